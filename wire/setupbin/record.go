package setupbin

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// RecordFlags are flags of a record.
type RecordFlags uint32

// The flags.
const (
	Valid     RecordFlags = 1 // cleared when the record has been consumed
	Scrambled RecordFlags = 2 // the body is stored with 17 added to each octet; since version 4
)

// DataRecord is the type of a record that holds variables. 0 is an invalid one.
const DataRecord uint32 = 1

const scramble = 17

// A Record holds the settings of one machine.
type Record struct {
	Type      uint32 // DataRecord
	Flags     RecordFlags
	Reserved  [2]uint32
	Chunks    uint16 // as the file's header says
	Length    uint16 // of the record's header, 24
	Number    uint32 // from 1
	Variables []Variable

	padding []byte // the body behind the variables, descrambled, if that is not zeros
}

// NewRecord makes a valid record. Flags beside Valid are added; variables are put in order.
func NewRecord(flags RecordFlags, variables ...Variable) Record {
	r := Record{Type: DataRecord, Flags: Valid | flags, Chunks: 1, Length: bodyOffset, Number: 1}
	for _, v := range variables {
		r.Add(v)
	}
	return r
}

// Usable tells that a BIOS takes the record: it has the right type and has not been consumed.
func (r *Record) Usable() bool { return r.Type == DataRecord && r.Flags&Valid != 0 }

// Get returns the value of the first variable with this ID.
func (r *Record) Get(id ID) (value []byte, ok bool) {
	for _, v := range r.Variables {
		if v.ID == id {
			return v.Value, true
		}
	}
	return nil, false
}

// Set gives a variable its value; where it was set more than once, one is left. New ones go to their place in the
// ascending order that all known writers use.
func (r *Record) Set(v Variable) {
	i := slices.IndexFunc(r.Variables, func(have Variable) bool { return have.ID == v.ID })
	if i < 0 {
		r.Add(v)
		return
	}
	r.Variables[i] = v
	tail := slices.DeleteFunc(r.Variables[i+1:], func(have Variable) bool { return have.ID == v.ID })
	r.Variables = r.Variables[:i+1+len(tail)]
}

// Add adds a variable behind others with its ID, as [AddHash] needs.
func (r *Record) Add(v Variable) {
	i := len(r.Variables)
	for i > 0 && r.Variables[i-1].ID > v.ID {
		i--
	}
	r.Variables = slices.Insert(r.Variables, i, v)
}

// Delete removes all variables with this ID and returns how many they were.
func (r *Record) Delete(id ID) int {
	n := len(r.Variables)
	r.Variables = slices.DeleteFunc(r.Variables, func(v Variable) bool { return v.ID == id })
	return n - len(r.Variables)
}

// used returns the octets of the body that the variables take.
func (r *Record) used() int {
	n := 0
	for _, v := range r.Variables {
		n += varHeader + roundUp(len(v.Value))
	}
	return n
}

// parse reads a record of len(b) octets.
func (r *Record) parse(b []byte) error {
	*r = Record{
		Type:     binary.LittleEndian.Uint32(b),
		Flags:    RecordFlags(binary.LittleEndian.Uint32(b[4:])),
		Reserved: [2]uint32{binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])},
		Chunks:   binary.LittleEndian.Uint16(b[16:]),
		Length:   binary.LittleEndian.Uint16(b[18:]),
		Number:   binary.LittleEndian.Uint32(b[20:]),
	}
	body := slices.Clone(b[bodyOffset:])
	if r.Flags&Scrambled != 0 {
		for i := range body {
			body[i] -= scramble
		}
	}
	variables, rest, err := parseVariables(body)
	if err != nil && r.Usable() {
		return err
	}
	if err != nil { // a consumed record may hold anything
		variables, rest = nil, body
	}
	r.Variables, r.padding = variables, keep(rest)
	return nil
}

// append appends a record of size octets.
func (r *Record) append(b []byte, size int) ([]byte, error) {
	if n := r.used(); n > size-bodyOffset {
		return b, fmt.Errorf("variables: %w: %d of at most %d octets", ErrTooLong, n, size-bodyOffset)
	}
	end := len(b) + size
	b = binary.LittleEndian.AppendUint32(b, r.Type)
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Flags))
	b = binary.LittleEndian.AppendUint32(b, r.Reserved[0])
	b = binary.LittleEndian.AppendUint32(b, r.Reserved[1])
	b = binary.LittleEndian.AppendUint16(b, r.Chunks)
	b = binary.LittleEndian.AppendUint16(b, r.Length)
	b = binary.LittleEndian.AppendUint32(b, r.Number)
	body := len(b)
	for _, v := range r.Variables {
		b = v.append(b)
	}
	if len(r.padding) == end-len(b) {
		b = append(b, r.padding...)
	} else { // the variables have changed, and what was behind them may not be taken for one
		b = fill(b, end, nil)
	}
	if r.Flags&Scrambled != 0 {
		for i := body; i < len(b); i++ {
			b[i] += scramble
		}
	}
	return b, nil
}
