package smbios

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// An Entry is the entry point: where the table is, and by which release of the specification it was written.
type Entry struct {
	Major, Minor uint8
	Revision     uint8  // of the document, "_SM3_" only
	Wide         bool   // "_SM3_"
	Length       uint32 // octets of the table; of "_SM3_" the most it may have
	Address      uint64 // of the table
	Count        uint16 // structures; 0: not told
}

// Version is such as "3.2.0".
func (e Entry) Version() string {
	if e.Wide {
		return fmt.Sprintf("%d.%d.%d", e.Major, e.Minor, e.Revision)
	}
	return fmt.Sprintf("%d.%d", e.Major, e.Minor)
}

// since reports whether the table is of that release or a newer one.
func (e Entry) since(major, minor uint8) bool {
	return e.Major > major || e.Major == major && e.Minor >= minor
}

// Octets of the entry points.
const (
	size32  = 31
	size64  = 24
	sizeDMI = 15
)

// ParseEntry reads an entry point and checks its sums.
func ParseEntry(b []byte) (e Entry, err error) {
	switch {
	case bytes.HasPrefix(b, []byte("_SM3_")):
		if len(b) < size64 {
			return e, fmt.Errorf("smbios: entry point: %w (%d of %d octets)", ErrShort, len(b), size64)
		}
		if err := checkSum(b, int(b[6]), size64); err != nil {
			return e, err
		}
		return Entry{Major: b[7], Minor: b[8], Revision: b[9], Wide: true, Length: binary.LittleEndian.Uint32(b[12:]), Address: binary.LittleEndian.Uint64(b[16:])}, nil
	case bytes.HasPrefix(b, []byte("_SM_")):
		if len(b) < size32 {
			return e, fmt.Errorf("smbios: entry point: %w (%d of %d octets)", ErrShort, len(b), size32)
		}
		n := int(b[5])
		if n == 30 { // release 2.1 of the specification says so by mistake
			n = size32
		}
		if err := checkSum(b, n, size32); err != nil {
			return e, err
		}
		e, err = parseDMI(b[16:])
		e.Major, e.Minor = b[6], b[7]
		return e, err
	case bytes.HasPrefix(b, []byte("_DMI_")):
		return parseDMI(b)
	}
	return e, fmt.Errorf("smbios: entry point: %w", ErrFormat)
}

// parseDMI reads the older entry point, which is also the second half of "_SM_".
func parseDMI(b []byte) (e Entry, err error) {
	if len(b) < sizeDMI {
		return e, fmt.Errorf("smbios: entry point: %w (%d of %d octets)", ErrShort, len(b), sizeDMI)
	}
	if !bytes.HasPrefix(b, []byte("_DMI_")) {
		return e, fmt.Errorf("smbios: entry point: %w: no _DMI_ in it", ErrFormat)
	}
	if err := checkSum(b, sizeDMI, sizeDMI); err != nil {
		return e, err
	}
	return Entry{Major: b[14] >> 4, Minor: b[14] & 0xf, Length: uint32(binary.LittleEndian.Uint16(b[6:])), Address: uint64(binary.LittleEndian.Uint32(b[8:])),
		Count: binary.LittleEndian.Uint16(b[12:])}, nil
}

// checkSum says whether the first n octets, at least least of them, add up to zero.
func checkSum(b []byte, n, least int) error {
	if n < least || n > len(b) {
		return fmt.Errorf("smbios: entry point: %w: a length of %d", ErrFormat, n)
	}
	if sum(b[:n]) != 0 {
		return fmt.Errorf("smbios: entry point: %w: the check sum is wrong", ErrFormat)
	}
	return nil
}

func sum(b []byte) (n byte) {
	for _, c := range b {
		n += c
	}
	return n
}

// Append writes the entry point.
func (e Entry) Append(b []byte) []byte {
	if e.Wide {
		p := make([]byte, size64)
		copy(p, "_SM3_")
		p[6], p[7], p[8], p[9], p[10] = size64, e.Major, e.Minor, e.Revision, 1
		binary.LittleEndian.PutUint32(p[12:], e.Length)
		binary.LittleEndian.PutUint64(p[16:], e.Address)
		p[5] = -sum(p)
		return append(b, p...)
	}
	p := make([]byte, size32)
	copy(p, "_SM_")
	p[5], p[6], p[7] = size32, e.Major, e.Minor
	d := p[16:]
	copy(d, "_DMI_")
	binary.LittleEndian.PutUint16(d[6:], uint16(e.Length))
	binary.LittleEndian.PutUint32(d[8:], uint32(e.Address))
	binary.LittleEndian.PutUint16(d[12:], e.Count)
	d[14] = e.Major<<4 | e.Minor&0xf
	d[5] = -sum(d)
	p[4] = -sum(p)
	return append(b, p...)
}

// dumpTable is where the table lies in a dump.
const dumpTable = 32

// ParseDump reads what "dmidecode --dump-bin" writes: the entry point at the front, and the table where it says, mostly
// at octet 32. With an error it returns what it has read before.
func ParseDump(b []byte) (Entry, []Structure, error) {
	if len(b) > MaxTable+dumpTable {
		return Entry{}, nil, fmt.Errorf("smbios: %w: %d octets", ErrFormat, len(b))
	}
	e, err := ParseEntry(b)
	if err != nil {
		return e, nil, err
	}
	if e.Address > uint64(len(b)) {
		return e, nil, fmt.Errorf("smbios: dump: %w: the table is at octet %d of %d", ErrShort, e.Address, len(b))
	}
	table := b[e.Address:]
	if uint64(e.Length) < uint64(len(table)) {
		table = table[:e.Length]
	}
	list, err := Parse(table)
	return e, list, err
}

// AppendDump writes entry point and structures in that form. Address, length and count are those of the dump.
func AppendDump(b []byte, e Entry, list []Structure) []byte {
	var table []byte
	for _, s := range list {
		table = s.Append(table)
	}
	e.Address, e.Length, e.Count = dumpTable, uint32(len(table)), uint16(len(list))
	b = e.Append(b)
	if fill := dumpTable - size32; !e.Wide {
		b = append(b, make([]byte, fill)...)
	} else {
		b = append(b, make([]byte, dumpTable-size64)...)
	}
	return append(b, table...)
}
