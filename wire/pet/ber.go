package pet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Tags of BER.
const (
	tagInteger   = 0x02
	tagOID       = 0x06
	tagSequence  = 0x30
	tagIPAddress = 0x40 // [APPLICATION 0]
	tagTimeTicks = 0x43 // [APPLICATION 3]
	tagTrap      = 0xA4 // [4]
)

// Append appends the datagram. Errors wrap [ErrFormat] if an object identifier or the agent's address is none.
func (t Trap) Append(out []byte) ([]byte, error) {
	if !t.Agent.Is4() {
		return out, fmt.Errorf("pet: %w: the agent's address %v is not IPv4", ErrFormat, t.Agent)
	}
	enterprise, err := appendOID(nil, t.Enterprise)
	if err != nil {
		return out, err
	}
	var list []byte
	for _, v := range t.Variables {
		name, err := appendOID(nil, v.Name)
		if err != nil {
			return out, err
		}
		list = appendTLV(list, tagSequence, appendTLV(appendTLV(nil, tagOID, name), v.Type, v.Value))
	}
	pdu := appendTLV(nil, tagOID, enterprise)
	pdu = appendTLV(pdu, tagIPAddress, t.Agent.AsSlice())
	pdu = appendTLV(pdu, tagInteger, appendNumber(nil, uint32(t.Generic)))
	pdu = appendTLV(pdu, tagInteger, appendNumber(nil, t.Specific))
	pdu = appendTLV(pdu, tagTimeTicks, appendNumber(nil, t.Uptime))
	pdu = appendTLV(pdu, tagSequence, list)
	message := appendTLV(nil, tagInteger, []byte{0})
	message = appendTLV(message, octetString, []byte(t.Community))
	message = appendTLV(message, tagTrap, pdu)
	return appendTLV(out, tagSequence, message), nil
}

// Parse reads a datagram. Errors wrap [ErrFormat].
func Parse(b []byte) (Trap, error) {
	if len(b) > MaxDatagram {
		return Trap{}, fmt.Errorf("pet: %w: %d octets, at most %d are read", ErrFormat, len(b), MaxDatagram)
	}
	var t Trap
	p := &parser{rest: b}
	message := p.open(tagSequence, "message")
	if version := message.number("version"); version != 0 && message.err == nil {
		message.fail("version %d", version)
	}
	t.Community = string(message.take(octetString, "community"))
	pdu := message.open(tagTrap, "trap")
	t.Enterprise = pdu.oid("enterprise")
	if agent := pdu.take(tagIPAddress, "agent"); pdu.err == nil {
		var ok bool
		if t.Agent, ok = netip.AddrFromSlice(agent); !ok || !t.Agent.Is4() {
			pdu.fail("agent of %d octets", len(agent))
		}
	}
	generic := pdu.number("generic trap")
	if generic > 255 {
		pdu.fail("generic trap %d", generic)
	}
	t.Generic, t.Specific = uint8(generic), pdu.number("specific trap")
	t.Uptime = pdu.unsigned(tagTimeTicks, "time stamp")
	list := pdu.open(tagSequence, "variables")
	for len(list.rest) > 0 && list.err == nil {
		if len(t.Variables) == MaxVariables {
			list.fail("more than %d variables", MaxVariables)
			break
		}
		binding := list.open(tagSequence, "variable")
		v := Variable{Name: binding.oid("variable")}
		v.Type, v.Value = binding.any("value")
		list.end(binding, "variable")
		t.Variables = append(t.Variables, v)
	}
	pdu.end(list, "variables")
	message.end(pdu, "trap")
	p.end(message, "message")
	if p.err == nil && len(p.rest) > 0 {
		p.fail("%d octets behind the message", len(p.rest))
	}
	if p.err != nil {
		return Trap{}, p.err
	}
	return t, nil
}

// A parser reads elements off the front of octets. The first error stays.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("pet: %w: "+format, append([]any{ErrFormat}, args...)...)
	}
}

// any reads an element of whatever type.
func (p *parser) any(what string) (tag byte, value []byte) {
	if p.err != nil {
		return 0, nil
	}
	if len(p.rest) < 2 || p.rest[0]&0x1f == 0x1f {
		p.fail("%s is cut, or of a long type", what)
		return 0, nil
	}
	tag, length, head := p.rest[0], int(p.rest[1]), 2
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 2 || len(p.rest) < 2+n { // a datagram needs no more than two
			p.fail("length of %s", what)
			return 0, nil
		}
		length, head = 0, 2+n
		for _, c := range p.rest[2:head] {
			length = length<<8 | int(c)
		}
	}
	if length > len(p.rest)-head {
		p.fail("%s has %d octets, %d are left", what, length, len(p.rest)-head)
		return 0, nil
	}
	value = p.rest[head : head+length]
	p.rest = p.rest[head+length:]
	return tag, slices.Clone(value)
}

// take reads an element of one type.
func (p *parser) take(want byte, what string) []byte {
	tag, value := p.any(what)
	if p.err == nil && tag != want {
		p.fail("%s is of type %#x, not %#x", what, tag, want)
		return nil
	}
	return value
}

// open reads an element that holds others. It must be given to end.
func (p *parser) open(want byte, what string) *parser {
	return &parser{rest: p.take(want, what), err: p.err}
}

// end takes the error of what was opened, which must be read to its end.
func (p *parser) end(inner *parser, what string) {
	if inner.err == nil && len(inner.rest) > 0 {
		inner.fail("%d octets more in %s", len(inner.rest), what)
	}
	if p.err == nil {
		p.err = inner.err
	}
}

func (p *parser) number(what string) uint32 { return p.unsigned(tagInteger, what) }

// unsigned reads a number that is not below 0 and has up to 32 bits. Some agents leave out the zero in front that BER
// wants before a leading 1 bit.
func (p *parser) unsigned(tag byte, what string) uint32 {
	b := p.take(tag, what)
	if p.err != nil {
		return 0
	}
	if len(b) == 0 || len(b) > 5 || len(b) == 5 && b[0] != 0 {
		p.fail("%s is a number of %d octets", what, len(b))
		return 0
	}
	var n uint32
	for _, c := range b {
		n = n<<8 | uint32(c)
	}
	return n
}

func (p *parser) oid(what string) string {
	b := p.take(tagOID, what)
	if p.err != nil {
		return ""
	}
	var arcs []string
	var n uint64
	for i, c := range b {
		n = n<<7 | uint64(c&0x7f)
		switch {
		case n > 0xffffffff+80 || len(arcs) > maxArcs:
			p.fail("object identifier of %s", what)
			return ""
		case c&0x80 != 0:
			if i == len(b)-1 {
				p.fail("object identifier of %s is cut", what)
				return ""
			}
			continue
		case arcs == nil: // the first two arcs are one number
			first := min(n/40, 2)
			arcs = append(arcs, strconv.FormatUint(first, 10), strconv.FormatUint(n-40*first, 10))
		default:
			arcs = append(arcs, strconv.FormatUint(n, 10))
		}
		n = 0
	}
	return strings.Join(arcs, ".")
}

func appendTLV(out []byte, tag byte, value []byte) []byte {
	out = append(out, tag)
	switch n := len(value); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, value...)
}

// appendNumber writes as few octets as will do; the first one's highest bit is the sign.
func appendNumber(out []byte, n uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, n)
	for len(b) > 1 && b[0] == 0 && b[1] < 0x80 {
		b = b[1:]
	}
	return append(out, b...)
}

func appendOID(out []byte, dotted string) ([]byte, error) {
	words := strings.Split(dotted, ".")
	if len(words) < 2 || len(words) > maxArcs {
		return out, fmt.Errorf("pet: %w: object identifier %.60q", ErrFormat, dotted)
	}
	arcs := make([]uint64, len(words))
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil || i == 0 && n > 2 || i == 1 && arcs[0] < 2 && n >= 40 {
			return out, fmt.Errorf("pet: %w: object identifier %.60q", ErrFormat, dotted)
		}
		arcs[i] = n
	}
	arcs[1] += 40 * arcs[0]
	for _, n := range arcs[1:] {
		septets := []byte{byte(n & 0x7f)}
		for n >>= 7; n > 0; n >>= 7 {
			septets = append(septets, byte(n)|0x80)
		}
		slices.Reverse(septets)
		out = append(out, septets...)
	}
	return out, nil
}
