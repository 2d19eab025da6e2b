package auditlog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A Field is one part of the extended data of an event. For [Encode] it has a Number or Octets, and no more.
type Field struct {
	Name   string // "policy"
	Number uint32 // of fields that are numbers, flags or times
	Octets []byte // of others, without length or padding
	Text   string // readable
}

// Num is a Field that is a number.
func Num(n uint32) Field { return Field{Number: n} }

// Str is a Field that is text.
func Str(s string) Field { return Field{Octets: []byte(s)} }

// Bytes is a Field of octets: a serial number, an address, a GUID.
func Bytes(b []byte) Field { return Field{Octets: b} }

// Fields takes the extended data of an event apart. Data may end between two fields, as older releases tell less; what
// is behind the last one, as newer releases may tell more, becomes a field of the name "more". An event that is not
// known has its data in that field, too. The error wraps [ErrData] if the data ends inside a field.
func Fields(id EventID, data []byte) ([]Field, error) {
	e, _ := lookup(id)
	var out []Field
	for _, f := range e.layout {
		if f.present != nil && !f.present(out) {
			continue
		}
		if len(data) == 0 && !f.empty(out) {
			return out, nil
		}
		got, left, err := f.parse(out, data)
		if err != nil {
			return nil, fmt.Errorf("auditlog: %v: %s: %w: %d octets are left", id, f.name, ErrData, len(data))
		}
		out, data = append(out, got), left
	}
	if len(data) > 0 {
		out = append(out, Field{Name: "more", Octets: bytes.Clone(data), Text: hex.EncodeToString(data)})
	}
	return out, nil
}

// Encode makes the extended data of an event from fields in the order in which [Fields] returns them; fewer may be
// given. The error wraps [ErrData] if a field does not fit.
func Encode(id EventID, fields ...Field) ([]byte, error) {
	e, _ := lookup(id)
	var b []byte
	var done []Field
	for _, f := range e.layout {
		if f.present != nil && !f.present(done) {
			continue
		}
		if len(done) == len(fields) {
			break
		}
		value := fields[len(done)]
		var err error
		if b, err = f.append(b, done, value); err != nil {
			return nil, fmt.Errorf("auditlog: %v: %s: %w", id, f.name, err)
		}
		value.Name = f.name
		done = append(done, value)
	}
	for _, more := range fields[len(done):] {
		if more.Number != 0 {
			return nil, fmt.Errorf("auditlog: %v: %w: a number behind the last field", id, ErrData)
		}
		b = append(b, more.Octets...)
	}
	if len(b) > 255 {
		return nil, fmt.Errorf("auditlog: %v: %w: %d octets", id, ErrTooLong, len(b))
	}
	return b, nil
}

// length returns the octets that the field takes, -1 if it tells itself.
func (f field) length(before []Field) int {
	switch {
	case f.sizeBy != nil:
		return f.sizeBy(before)
	case f.kind == text || f.kind == rest:
		return -1
	}
	return f.size
}

// empty tells a field that takes no octets, after what came before it.
func (f field) empty(before []Field) bool { return f.length(before) == 0 }

func (f field) parse(before []Field, b []byte) (out Field, left []byte, err error) {
	n := f.length(before)
	switch f.kind {
	case text:
		if n, b = int(b[0]), b[1:]; n > len(b) {
			return out, b, ErrData
		}
	case rest:
		n = len(b)
	}
	if n > len(b) {
		return out, b, ErrData
	}
	out = Field{Name: f.name}
	value, left := b[:n], b[n:]
	switch f.kind {
	case number, flags, seconds:
		for _, c := range value {
			out.Number = out.Number<<8 | uint32(c)
		}
	case padded:
		out.Octets = bytes.Clone(bytes.TrimRight(value, "\x00"))
	default:
		out.Octets = bytes.Clone(value)
	}
	out.Text = f.text(before, out)
	return out, left, nil
}

func (f field) append(b []byte, before []Field, value Field) ([]byte, error) {
	n := f.length(before)
	switch f.kind {
	case number, flags, seconds:
		if n < 4 && value.Number>>(8*n) != 0 {
			return nil, fmt.Errorf("%w: %d in %d octets", ErrData, value.Number, n)
		}
		return append(b, binary.BigEndian.AppendUint32(nil, value.Number)[4-n:]...), nil
	case text:
		if len(value.Octets) > 255 {
			return nil, fmt.Errorf("%w: %d octets of text", ErrData, len(value.Octets))
		}
		return append(append(b, byte(len(value.Octets))), value.Octets...), nil
	case padded:
		if len(value.Octets) > n {
			return nil, fmt.Errorf("%w: %d octets of at most %d", ErrData, len(value.Octets), n)
		}
		return append(append(b, value.Octets...), make([]byte, n-len(value.Octets))...), nil
	case rest:
		return append(b, value.Octets...), nil
	}
	if len(value.Octets) != n {
		return nil, fmt.Errorf("%w: %d octets, want %d", ErrData, len(value.Octets), n)
	}
	return append(b, value.Octets...), nil
}

// text shows a value.
func (f field) text(before []Field, v Field) string {
	switch f.kind {
	case number:
		return f.numberText(before, v.Number)
	case flags:
		var set []string
		for _, w := range f.words {
			if v.Number&w.value != 0 {
				set = append(set, w.text)
			}
		}
		if set == nil {
			return "none"
		}
		return strings.Join(set, "+")
	case text, padded:
		return strconv.Quote(string(v.Octets))
	case address:
		if a, ok := netip.AddrFromSlice(v.Octets); ok {
			return a.String()
		}
	case seconds:
		return time.Unix(int64(v.Number), 0).UTC().Format(time.RFC3339)
	case uuid:
		return guid.GUID(v.Octets).String()
	case version:
		var parts []string
		for b := v.Octets; len(b) >= 2; b = b[2:] {
			parts = append(parts, strconv.Itoa(int(binary.BigEndian.Uint16(b))))
		}
		return strings.Join(parts, ".")
	}
	return hex.EncodeToString(v.Octets)
}

func (f field) numberText(before []Field, n uint32) string {
	words := f.words
	if f.name == "device" && before[0].Number == 193 {
		words = []word{{0, "CD"}, {1, "floppy"}}
	}
	for _, w := range words {
		if w.value == n {
			return w.text
		}
	}
	if words == nil {
		return strconv.FormatUint(uint64(n), 10)
	}
	return fmt.Sprintf("unknown (%d)", n)
}
