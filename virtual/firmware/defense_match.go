package firmware

import (
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/wsman"
)

// nicPolicy makes a policy of the store what the port understands.
func (m *Machine) nicPolicy(id string) *nic.Policy {
	e := m.policy(id)
	if e == nil {
		return nil
	}
	is := func(name string) bool { return e.ChildText(name) == "true" }
	p := &nic.Policy{Handle: lastNumber(id), AntiSpoofing: number(e.ChildText("AntiSpoofingSupport")) > 0}
	p.Default[nic.Transmit] = nic.Default{Drop: is("TxDefaultDrop"), Count: is("TxDefaultCount"), Event: is("TxDefaultMatchEvent")}
	p.Default[nic.Receive] = nic.Default{Drop: is("RxDefaultDrop"), Count: is("RxDefaultCount"), Event: is("RxDefaultMatchEvent")}
	for h := range e.All("FilterCreationHandles") {
		if e := m.filter(h.TrimText()); e != nil {
			if f, ok := nicFilter(e); ok {
				f.Handle = number(h.TrimText())
				p.Filters = append(p.Filters, f)
			}
		}
	}
	return p
}

// nicFilter makes a filter of the store what the port understands, and reports false for what firmware does not take.
func nicFilter(e *wsman.Element) (f nic.Filter, ok bool) {
	var profile *amt.FilterProfile
	var direction *amt.FilterDirection
	if e.Local == macFilterClass {
		var v amt.Hdr8021Filter
		if v.Decode(e) != nil || !macMatch(&v, &f.Match) {
			return f, false
		}
		profile, direction, f.Rate, f.Event = v.FilterProfile, v.FilterDirection, class.Value(v.FilterProfileData), class.Value(v.ActionEventOnMatch)
	} else {
		var v amt.IPHeadersFilter
		if v.Decode(e) != nil || !ipMatch(&v, &f.Match) {
			return f, false
		}
		profile, direction, f.Rate, f.Event = v.FilterProfile, v.FilterDirection, class.Value(v.FilterProfileData), class.Value(v.ActionEventOnMatch)
	}
	if profile == nil || direction == nil || *profile > amt.FilterProfileDrop || *direction > amt.FilterDirectionReceive ||
		*profile == amt.FilterProfileRateLimit && f.Rate == 0 {
		return f, false
	}
	f.Action, f.Direction = nic.Action(*profile), nic.Direction(*direction)
	return f, true
}

// macMatch reads what an Ethernet filter is for.
func macMatch(v *amt.Hdr8021Filter, m *nic.Match) bool {
	if v.HdrProtocolID8021 == nil || v.HdrVLANID8021 != nil && *v.HdrVLANID8021 > maxVLAN || v.HdrPriorityValue8021 != nil && *v.HdrPriorityValue8021 > 7 {
		return false
	}
	m.Type, m.Priority = new(uint16(*v.HdrProtocolID8021)), v.HdrPriorityValue8021
	if v.HdrVLANID8021 != nil {
		m.VLAN = new(uint16(*v.HdrVLANID8021))
	}
	var ok bool
	if m.SrcMAC, ok = macs(v.HdrSrcMACAddr8021, v.HdrSrcMACMask8021); !ok {
		return false
	}
	m.DstMAC, ok = macs(v.HdrDestMACAddr8021, v.HdrDestMACMask8021)
	return ok
}

func macs(address, mask []byte) (*nic.MACs, bool) {
	if address == nil && mask == nil {
		return nil, true
	}
	if mask == nil {
		mask = []byte{255, 255, 255, 255, 255, 255}
	}
	if len(address) != 6 || len(mask) != 6 {
		return nil, false
	}
	return &nic.MACs{Address: [6]byte(address), Mask: [6]byte(mask)}, true
}

// ipMatch reads what an IP filter is for. Ports: one on each side, or a range on one side. Source: spec
// inventory-events-policies.md section 5.
func ipMatch(v *amt.IPHeadersFilter, m *nic.Match) bool {
	m.Version = 4
	if v.HdrIPVersion != nil {
		m.Version = uint8(*v.HdrIPVersion)
	}
	if m.Version != 4 && m.Version != 6 {
		return false
	}
	var ok bool
	if m.Src, ok = addresses(m.Version, v.HdrSrcAddress, v.HdrSrcMask, v.HdrSrcAddressEndOfRange); !ok {
		return false
	}
	if m.Dst, ok = addresses(m.Version, v.HdrDestAddress, v.HdrDestMask, v.HdrDestAddressEndOfRange); !ok {
		return false
	}
	m.Protocol = v.HdrProtocolID
	if m.SrcPort, ok = ports(v.HdrSrcPortStart, v.HdrSrcPortEnd); !ok {
		return false
	}
	if m.DstPort, ok = ports(v.HdrDestPortStart, v.HdrDestPortEnd); !ok {
		return false
	}
	one := func(p *nic.Ports) bool { return p.First == p.Last }
	protocol := class.Value(m.Protocol)
	switch {
	case (m.SrcPort != nil || m.DstPort != nil) && protocol != nic.TCP && protocol != nic.UDP,
		m.SrcPort != nil && m.DstPort != nil && !(one(m.SrcPort) && one(m.DstPort)):
		return false
	}
	if m.On, ok = flags(v.TCPFlagsOn); !ok {
		return false
	}
	if m.Off, ok = flags(v.TCPFlagsOff); !ok || m.On&m.Off != 0 || m.On|m.Off != 0 && protocol != nic.TCP {
		return false
	}
	if m.DSCP = v.HdrDSCP; slices.ContainsFunc(m.DSCP, func(d uint8) bool { return d > 63 }) {
		return false
	}
	if v.HdrFlowLabel != nil {
		b, err := hex.DecodeString(*v.HdrFlowLabel)
		if err != nil || len(b) != 3 || b[0] > 0xf || m.Version != 6 {
			return false
		}
		m.Flow = new(uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]))
	}
	return true
}

// flags joins flags of TCP: bits as in the header, in one number or several. Which numbers real firmware takes is likely,
// not certain.
func flags(list []uint16) (uint8, bool) {
	var all uint16
	for _, f := range list {
		all |= f
	}
	return uint8(all), all&^tcpFlags == 0
}

func ports(first, last *uint16) (*nic.Ports, bool) {
	switch {
	case first == nil && last == nil:
		return nil, true
	case first == nil || last == nil || *first > *last:
		return nil, false
	}
	return &nic.Ports{First: *first, Last: *last}, true
}

// addresses reads an address with its mask, both or none, or a range.
func addresses(version uint8, address, mask, last *string) (*nic.Addresses, bool) {
	if address == nil && mask == nil && last == nil {
		return nil, true
	}
	if address == nil || (mask == nil) == (last == nil) {
		return nil, false
	}
	out := &nic.Addresses{}
	for text, dst := range map[*string]*netip.Addr{address: &out.First, mask: &out.Mask, last: &out.Last} {
		if text == nil {
			continue
		}
		b, ok := octets(*text)
		if !ok || len(b) != 4 && version == 4 || len(b) != 16 && version == 6 {
			return nil, false
		}
		*dst, _ = netip.AddrFromSlice(b)
	}
	return out, true
}

// octets reads hex digits; base64 is read too, as some clients write all octets so.
func octets(text string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	if b, err := hex.DecodeString(text); err == nil && (len(b) == 4 || len(b) == 16) {
		return b, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return b, err == nil && (len(b) == 4 || len(b) == 16)
}
