// Package asset reads and writes the hardware tables that the BIOS hands over: SMBIOS structures, and the two of Intel
// that tell what the machine has of AMT and vPro (types 130 and 131). AMT gives those two as AMT_AssetTable, in a form
// of its own ([Table]); programs on the host read all from the BIOS ([ParseTable]).
//
// An SMBIOS structure, integers little-endian:
//
//	0  1  type
//	1  1  length of header and formatted area, without strings
//	2  2  handle
//	4     formatted area; a string is told as its number, from 1, or 0 for none
//	      strings, each ended by a zero octet, and one more zero; two zeros if there are none
//
// TableData of AMT_AssetTable, as recorded:
//
//	 0  4  10 in the table of type 131, 11 in that of type 130: meaning not known
//	 4  4  length of the rest
//	 8  4  1, the version of the structure
//	12     content: for 131 the formatted area of SMBIOS; for 130 that area without its "$AMT", and 4 octets more
//
// The tables describe the last boot. Types 0, 1, 2, 3, 4 and 17 have a reader for what is asked most; others are kept
// as they are.
//
// Sources: DMTF DSP0134 (SMBIOS) 6.1 and 7; Intel AMT Implementation and Reference Guide, "Enumerate Vpro Verification
// Table"; Ylianst/MeshAgent modules/smbios.js; device-management-toolkit/go-wsman-messages pkg/wsman/amt/asset;
// dmidecode output of four machines.
package asset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits.
const (
	MaxTable      = 1 << 20 // octets of a whole table
	MaxStructures = 4096
	headerLen     = 4
)

// Errors that this package wraps.
var (
	ErrShort     = errors.New("cut short")
	ErrMalformed = errors.New("malformed")
	ErrTooLong   = errors.New("too long")
	ErrOther     = errors.New("another structure")
)

// Types of structures that have a reader here.
const (
	TypeBIOS      uint8 = 0
	TypeSystem    uint8 = 1
	TypeBoard     uint8 = 2
	TypeChassis   uint8 = 3
	TypeProcessor uint8 = 4
	TypeMemory    uint8 = 17
	TypeEnd       uint8 = 127
	TypeAMT       uint8 = 130
	TypeVPro      uint8 = 131 // Lenovo has another structure of this type
)

// A Structure is one SMBIOS structure.
type Structure struct {
	Type    uint8
	Handle  uint16
	Data    []byte   // formatted area, at most 251 octets
	Strings []string // not empty, without zero octets; see Structure.Text
}

// ParseStructure reads one structure off the front of b and returns the rest. Errors wrap [ErrShort] or [ErrMalformed].
func ParseStructure(b []byte) (s Structure, rest []byte, err error) {
	if len(b) < headerLen {
		return Structure{}, b, fmt.Errorf("asset: structure: %w (%d of %d octets)", ErrShort, len(b), headerLen)
	}
	n := int(b[1])
	if n < headerLen {
		return Structure{}, b, fmt.Errorf("asset: structure of type %d: %w: length %d", b[0], ErrMalformed, n)
	}
	if len(b) < n+2 {
		return Structure{}, b, fmt.Errorf("asset: structure of type %d: %w (%d of %d octets)", b[0], ErrShort, len(b), n+2)
	}
	s = Structure{Type: b[0], Handle: binary.LittleEndian.Uint16(b[2:]), Data: bytes.Clone(b[headerLen:n])}
	in := b[n:]
	if in[0] == 0 && in[1] == 0 {
		return s, in[2:], nil
	}
	for len(in) > 0 && in[0] != 0 {
		text, left, ok := bytes.Cut(in, []byte{0})
		if !ok {
			break
		}
		s.Strings = append(s.Strings, string(text))
		in = left
	}
	switch {
	case len(in) == 0 || in[0] != 0:
		return Structure{}, b, fmt.Errorf("asset: structure of type %d: strings: %w", b[0], ErrShort)
	case len(s.Strings) == 0:
		return Structure{}, b, fmt.Errorf("asset: structure of type %d: strings: %w: an empty one", b[0], ErrMalformed)
	}
	return s, in[1:], nil
}

// Append appends the structure. Errors wrap [ErrTooLong] or [ErrMalformed].
func (s Structure) Append(b []byte) ([]byte, error) {
	if len(s.Data) > 255-headerLen || len(s.Strings) > 255 {
		return b, fmt.Errorf("asset: structure of type %d: %w: %d octets, %d strings", s.Type, ErrTooLong, len(s.Data), len(s.Strings))
	}
	start := len(b)
	b = append(b, s.Type, byte(headerLen+len(s.Data)))
	b = binary.LittleEndian.AppendUint16(b, s.Handle)
	b = append(b, s.Data...)
	for i, text := range s.Strings {
		if text == "" || bytes.IndexByte([]byte(text), 0) >= 0 {
			return b[:start], fmt.Errorf("asset: structure of type %d: string %d: %w: empty, or with a zero octet", s.Type, i+1, ErrMalformed)
		}
		b = append(append(b, text...), 0)
	}
	if len(s.Strings) == 0 {
		b = append(b, 0)
	}
	return append(b, 0), nil
}

// Text returns the string with a number from 1, "" if there is none.
func (s Structure) Text(number uint8) string {
	if number == 0 || int(number) > len(s.Strings) {
		return ""
	}
	return s.Strings[number-1]
}

// ParseTable reads structures up to and including the end-of-table structure, or up to the end of b. What follows the
// former is ignored: tables are padded. Errors wrap [ErrShort], [ErrMalformed] or [ErrTooLong].
func ParseTable(b []byte) ([]Structure, error) {
	if len(b) > MaxTable {
		return nil, fmt.Errorf("asset: table: %w: %d of at most %d octets", ErrTooLong, len(b), MaxTable)
	}
	var out []Structure
	for len(b) > 0 {
		if len(out) == MaxStructures {
			return nil, fmt.Errorf("asset: table: %w: more than %d structures", ErrTooLong, MaxStructures)
		}
		s, rest, err := ParseStructure(b)
		if err != nil {
			return nil, err
		}
		out, b = append(out, s), rest
		if s.Type == TypeEnd {
			break
		}
	}
	return out, nil
}

// AppendTable appends structures one after the other. The last should be of TypeEnd.
func AppendTable(b []byte, table []Structure) ([]byte, error) {
	start := len(b)
	for _, s := range table {
		var err error
		if b, err = s.Append(b); err != nil {
			return b[:start], err
		}
	}
	return b, nil
}

// field returns n octets of the formatted area from an offset of the standard, which counts the header; zeros if the
// structure is of an older version and shorter.
func (s Structure) field(offset, n int) []byte {
	at := offset - headerLen
	if at+n > len(s.Data) {
		return make([]byte, n)
	}
	return s.Data[at : at+n]
}

// has tells whether the structure is long enough for a field.
func (s Structure) has(offset, n int) bool { return offset-headerLen+n <= len(s.Data) }

func (s Structure) octet(offset int) uint8   { return s.field(offset, 1)[0] }
func (s Structure) word(offset int) uint16   { return binary.LittleEndian.Uint16(s.field(offset, 2)) }
func (s Structure) dword(offset int) uint32  { return binary.LittleEndian.Uint32(s.field(offset, 4)) }
func (s Structure) qword(offset int) uint64  { return binary.LittleEndian.Uint64(s.field(offset, 8)) }
func (s Structure) string(offset int) string { return s.Text(s.octet(offset)) }

// want checks the type of a structure.
func (s Structure) want(kind uint8) error {
	if s.Type != kind {
		return fmt.Errorf("asset: %w: of type %d, want %d", ErrOther, s.Type, kind)
	}
	return nil
}
