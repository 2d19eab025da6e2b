// Package smbios reads the tables in which a BIOS describes its PC: SMBIOS, once called DMI. They are what AMT's own
// inventory comes from, and structures 130 and 131 say what the PC has of AMT and vPro.
//
// A table is a row of structures. Each has a formatted area (type, its length, a handle by which others refer to it, and
// fields at fixed offsets) and after it a set of strings, which fields name by number. A BIOS of an older release of the
// specification writes shorter formatted areas: what is not there is zero, "" or absent here.
//
// Integers are little-endian. Where the table is an entry point says: 32 bits wide ("_SM_"), 64 bits ("_SM3_"), or the
// one from before SMBIOS ("_DMI_"). Linux shows both as files; dmidecode writes them into one, which [ParseDump] reads.
//
// Sources: DMTF DSP0134; for 130 and 131 the Intel AMT Implementation and Reference Guide and MeshAgent (Apache-2.0).
//
// The package opens no files and does not look into memory.
package smbios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Limits of what a table may make us keep.
const (
	MaxTable      = 1 << 20 // octets; real tables have 2 to 8 KiB
	maxStructures = 8192
	maxStrings    = 255 // a field names a string by one octet
)

// Errors of the package.
var (
	ErrShort  = errors.New("table ends too early")
	ErrFormat = errors.New("not an SMBIOS table")
)

// headerSize is the octets of type, length and handle.
const headerSize = 4

// typeEnd is the type of the last structure.
const typeEnd = 127

// A Structure is one part of the description.
type Structure struct {
	Type    uint8
	Handle  uint16
	Data    []byte   // the formatted area, with its header of 4 octets
	Strings []string // the first is number 1
}

// Parse reads a table up to its end-of-table structure, or its end. With an error it returns what it has read before: a
// table that is damaged somewhere is still of use.
func Parse(b []byte) (out []Structure, err error) {
	if len(b) > MaxTable {
		return nil, fmt.Errorf("smbios: %w: %d octets, more than %d", ErrFormat, len(b), MaxTable)
	}
	whole := len(b)
	for len(b) > 0 {
		if len(out) == maxStructures {
			return out, fmt.Errorf("smbios: %w: more than %d structures", ErrFormat, maxStructures)
		}
		s, rest, err := parseStructure(b)
		if err != nil {
			return out, fmt.Errorf("smbios: structure %d at octet %d: %w", len(out), whole-len(b), err)
		}
		out, b = append(out, s), rest
		if s.Type == typeEnd {
			return out, nil
		}
	}
	return out, nil
}

// parseStructure reads one structure off the front of b and returns the rest.
func parseStructure(b []byte) (s Structure, rest []byte, err error) {
	if len(b) < headerSize {
		return s, b, fmt.Errorf("%w: header (%d of %d octets)", ErrShort, len(b), headerSize)
	}
	n := int(b[1])
	switch {
	case n < headerSize:
		return s, b, fmt.Errorf("%w: a length of %d", ErrFormat, n)
	case len(b) < n:
		return s, b, fmt.Errorf("%w: formatted area (%d of %d octets)", ErrShort, len(b), n)
	}
	s = Structure{Type: b[0], Handle: binary.LittleEndian.Uint16(b[2:]), Data: bytes.Clone(b[:n])}
	b = b[n:]
	if len(b) >= 2 && b[0] == 0 && b[1] == 0 { // no strings
		return s, b[2:], nil
	}
	for {
		end := bytes.IndexByte(b, 0)
		switch {
		case end < 0:
			return s, b, fmt.Errorf("%w: strings", ErrShort)
		case end == 0:
			return s, b[1:], nil
		case len(s.Strings) == maxStrings:
			return s, b, fmt.Errorf("%w: more than %d strings", ErrFormat, maxStrings)
		}
		s.Strings = append(s.Strings, string(b[:end]))
		b = b[end+1:]
	}
}

// Append writes the structure. Its header is written anew from Type and Handle; Data without one is too short and gets one.
func (s Structure) Append(b []byte) []byte {
	data := s.Data
	if len(data) < headerSize {
		data = make([]byte, headerSize)
	}
	data = data[:min(len(data), 255)]
	b = append(b, s.Type, byte(len(data)))
	b = binary.LittleEndian.AppendUint16(b, s.Handle)
	b = append(b, data[headerSize:]...)
	for _, text := range s.Strings {
		b = append(append(b, text...), 0)
	}
	if len(s.Strings) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

// Fields beyond the formatted area are zero.

func (s *Structure) u8(at int) uint8 {
	if at >= len(s.Data) {
		return 0
	}
	return s.Data[at]
}

func (s *Structure) u16(at int) uint16 {
	if at+2 > len(s.Data) {
		return 0
	}
	return binary.LittleEndian.Uint16(s.Data[at:])
}

func (s *Structure) u32(at int) uint32 {
	if at+4 > len(s.Data) {
		return 0
	}
	return binary.LittleEndian.Uint32(s.Data[at:])
}

func (s *Structure) u64(at int) uint64 {
	if at+8 > len(s.Data) {
		return 0
	}
	return binary.LittleEndian.Uint64(s.Data[at:])
}

// has reports whether the formatted area reaches beyond an octet: a zero there was said.
func (s *Structure) has(at int) bool { return at < len(s.Data) }

// text is the string whose number is at an offset, without blanks around it. Number 0 is none.
func (s *Structure) text(at int) string {
	n := int(s.u8(at))
	if n == 0 || n > len(s.Strings) {
		return ""
	}
	return strings.TrimSpace(printable(s.Strings[n-1]))
}

// printable replaces what is not printable ASCII, as a BIOS may have anything there.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, s)
}
