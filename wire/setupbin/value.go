package setupbin

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/guid"
)

// Make reads a value as text ("on", "sol+ider", "192.168.1.2") and returns the variable. name is as for [ParseID]. A
// value that begins with "hex:" is raw octets, and the only form for a variable that is unknown or [Definition.Uncertain].
// Errors wrap [ErrUnknown] or [ErrValue], and do not tell the value of a secret.
func Make(name, value string) (Variable, error) {
	id, err := ParseID(name)
	if err != nil {
		return Variable{}, err
	}
	d, _ := Lookup(id)
	b, err := d.Parse(value)
	return Variable{ID: id, Value: b}, err
}

// Parse reads a value of the variable as text, the form that Format writes. Errors wrap [ErrValue].
func (d Definition) Parse(text string) ([]byte, error) {
	b, err := d.parse(text)
	if err == nil {
		err = d.Check(b)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

const hexPrefix = "hex:"

func (d Definition) parse(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, hexPrefix); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, d.refuse(text, "no hex digits")
		}
		return b, nil
	}
	switch d.Kind {
	case Text:
		return []byte(text), nil
	case Number:
		n, err := strconv.ParseUint(text, 0, 8*d.Max)
		if err != nil {
			return nil, d.refuse(text, "no number of this size")
		}
		return d.number(uint32(n)), nil
	case Choice:
		for _, w := range d.Words {
			if w.Text == text {
				return d.number(w.Value), nil
			}
		}
		return nil, d.refuse(text, "want "+d.words(" or "))
	case Bits:
		var n uint32
		for word := range strings.SplitSeq(text, "+") {
			bit := d.bit(word)
			if bit == 0 && text != "none" {
				return nil, d.refuse(text, "want none, or some of "+d.words("+"))
			}
			n |= bit
		}
		return d.number(n), nil
	case GUID:
		g, err := guid.Parse(text)
		if err != nil {
			return nil, d.refuse(text, "no GUID")
		}
		return g[:], nil
	case IPv4:
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			return nil, d.refuse(text, "no IPv4 address")
		}
		o := a.As4()
		return []byte{o[3], o[2], o[1], o[0]}, nil
	case Hash:
		h, err := ParseHashText(text)
		if err != nil {
			return nil, err
		}
		return h.Append(nil)
	}
	return nil, d.refuse(text, "its encoding is not known; give raw octets, hex:...")
}

// refuse makes the error for a value, and shows the value unless it is a secret.
func (d Definition) refuse(text, why string) error {
	if d.Secret {
		return fmt.Errorf("setupbin: %s: %w: %s", d.Name, ErrValue, why)
	}
	if len(text) > 40 {
		text = text[:40] + "..."
	}
	return fmt.Errorf("setupbin: %s: %w: %q: %s", d.Name, ErrValue, text, why)
}

func (d Definition) number(n uint32) []byte {
	return binary.LittleEndian.AppendUint32(nil, n)[:d.Max]
}

func (d Definition) words(separator string) string {
	var words []string
	for _, w := range d.Words {
		words = append(words, w.Text)
	}
	return strings.Join(words, separator)
}

func (d Definition) bit(word string) uint32 {
	for _, w := range d.Words {
		if w.Text == word {
			return w.Value
		}
	}
	return 0
}

// Format returns a value as text that Parse reads; in "hex:" form if it does not fit the definition. It shows secrets.
func (d Definition) Format(b []byte) string {
	raw := hexPrefix + hex.EncodeToString(b)
	if d.Check(b) != nil {
		return raw
	}
	switch d.Kind {
	case Text:
		if strings.HasPrefix(string(b), hexPrefix) {
			return raw
		}
		return string(b)
	case Number:
		return strconv.FormatUint(uint64(value(b)), 10)
	case Choice:
		for _, w := range d.Words {
			if w.Value == value(b) {
				return w.Text
			}
		}
	case Bits:
		var words []string
		for _, w := range d.Words {
			if value(b)&w.Value != 0 {
				words = append(words, w.Text)
			}
		}
		if words == nil {
			return "none"
		}
		return strings.Join(words, "+")
	case GUID:
		return guid.GUID(b).String()
	case IPv4:
		return netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}).String()
	case Hash:
		if h, err := ParseHash(b); err == nil {
			if text, ok := h.text(); ok {
				return text
			}
		}
	}
	return raw
}

// value reads a little-endian number of up to 4 octets.
func value(b []byte) (n uint32) {
	for i, c := range b {
		n |= uint32(c) << (8 * i)
	}
	return n
}

// Check tells whether a value is allowed: its length, its characters, its range. The error wraps [ErrValue].
func (d Definition) Check(b []byte) error {
	if len(b) < d.Min || len(b) > d.Max {
		if d.Min == d.Max {
			return fmt.Errorf("setupbin: %s: %w: %d octets, want %d", d.Name, ErrValue, len(b), d.Min)
		}
		return fmt.Errorf("setupbin: %s: %w: %d octets, want %d to %d", d.Name, ErrValue, len(b), d.Min, d.Max)
	}
	switch d.Kind {
	case Text:
		for _, c := range b {
			if c < ' ' || c > '~' {
				return fmt.Errorf("setupbin: %s: %w: only printable ASCII", d.Name, ErrValue)
			}
		}
	case Number:
		if n := value(b); d.High > 0 && (n < 1 || n > d.High) {
			return fmt.Errorf("setupbin: %s: %w: %d, want 1 to %d", d.Name, ErrValue, n, d.High)
		}
	case Choice:
		for _, w := range d.Words {
			if w.Value == value(b) {
				return nil
			}
		}
		return fmt.Errorf("setupbin: %s: %w: %d", d.Name, ErrValue, value(b))
	case Bits:
		left := value(b)
		for _, w := range d.Words {
			left &^= w.Value
		}
		if left != 0 {
			return fmt.Errorf("setupbin: %s: %w: bits %#x", d.Name, ErrValue, left)
		}
	case Hash:
		if _, err := ParseHash(b); err != nil {
			return err
		}
	}
	return nil
}
