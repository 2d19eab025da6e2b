package setupbin

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/outband/outband/wire/guid"
)

// FileFlags are flags of a file.
type FileFlags uint16

// Reusable files serve any number of machines from the same record: no record is consumed. Since version 2.
const Reusable FileFlags = 1

// A Header is the first record of a file. [New] fills it; a file that was read keeps what its author wrote.
type Header struct {
	Type         guid.GUID // tells the major version
	Chunks       uint16    // octets / 512; 0, as an older MeshCommander writes, is taken as 1
	Length       uint16    // octets in use; readers ignore it
	Number       uint32    // 0
	Major, Minor uint8     // 1.0, 2.0, 2.1, 3.0, 4.0
	Flags        FileFlags
	Count        uint32   // records in the file
	Consumed     uint32   // how many have been used
	RecordChunks uint16   // of each record; 0 is taken as 1
	Reserved     uint16   // 0
	Modules      []uint16 // those that variables are of, ascending; a BIOS is known to accept an empty list

	rest []byte // what follows the list's end, if that is not zeros
}

// Version returns the version of the file.
func (h *Header) Version() Version { return Version(h.Major)<<8 | Version(h.Minor) }

func (h *Header) size() int       { return ChunkSize * max(1, int(h.Chunks)) }
func (h *Header) recordSize() int { return ChunkSize * max(1, int(h.RecordChunks)) }

// A File is a header and its records.
type File struct {
	Header
	Records []Record
	Rest    []byte // what follows the last record
}

// New makes a file of the given version. The error wraps [ErrValue] if there is no such version.
func New(v Version, flags FileFlags, records ...Record) (*File, error) {
	f := &File{Header: Header{Chunks: 1, Major: uint8(v >> 8), Minor: uint8(v), Flags: flags, RecordChunks: 1}, Records: records}
	uuid, ok := typeOf(f.Major)
	if !ok || f.Minor > 1 || f.Minor == 1 && f.Major != 2 {
		return nil, fmt.Errorf("setupbin: version %v: %w", v, ErrValue)
	}
	f.Type = uuid
	f.Index()
	return f, nil
}

// Index brings the header up to date with the records: their number, the modules they use, and the records' own
// numbers. A new file needs it after each change of Records or of variables; to a file of somebody else it is a change.
func (f *File) Index() {
	f.Count = uint32(len(f.Records))
	f.Modules, f.rest = nil, nil
	for i := range f.Records {
		f.Records[i].Number = uint32(i) + 1
		for _, v := range f.Records[i].Variables {
			if m := v.ID.Module(); !slices.Contains(f.Modules, m) {
				f.Modules = append(f.Modules, m)
			}
		}
	}
	slices.Sort(f.Modules)
	f.Length = uint16(moduleList + 2 + 2*len(f.Modules))
}

// Declare puts a module on the header's list unless it is there. An empty list stays empty: its author has done without.
func (f *File) Declare(module uint16) {
	if len(f.Modules) == 0 || slices.Contains(f.Modules, module) {
		return
	}
	f.Modules = append(f.Modules, module)
	slices.Sort(f.Modules)
	f.Length += 2
}

// Parse reads a file. It goes by the header's count of records; more octets than that are kept in Rest, fewer are
// refused. The result shares no memory with b. Errors wrap [ErrOther], [ErrShort], [ErrTooLong] or [ErrMalformed].
func Parse(b []byte) (*File, error) {
	f, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("setupbin: %w", err)
	}
	return f, nil
}

func parse(b []byte) (*File, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("file: %w: %d of at most %d octets", ErrTooLong, len(b), MaxSize)
	}
	if len(b) < guid.Size || majorOf(guid.GUID(b[:guid.Size])) == 0 {
		return nil, ErrOther
	}
	if len(b) < ChunkSize {
		return nil, fmt.Errorf("header: %w (%d of %d octets)", ErrShort, len(b), ChunkSize)
	}
	f := &File{Header: Header{
		Type:         guid.GUID(b[:guid.Size]),
		Chunks:       binary.LittleEndian.Uint16(b[16:]),
		Length:       binary.LittleEndian.Uint16(b[18:]),
		Number:       binary.LittleEndian.Uint32(b[20:]),
		Major:        b[24],
		Minor:        b[25],
		Flags:        FileFlags(binary.LittleEndian.Uint16(b[26:])),
		Count:        binary.LittleEndian.Uint32(b[28:]),
		Consumed:     binary.LittleEndian.Uint32(b[32:]),
		RecordChunks: binary.LittleEndian.Uint16(b[36:]),
		Reserved:     binary.LittleEndian.Uint16(b[38:]),
	}}
	if f.Chunks > MaxChunks || f.RecordChunks > MaxChunks {
		return nil, fmt.Errorf("header: %w: %d and %d chunks, at most %d", ErrTooLong, f.Chunks, f.RecordChunks, MaxChunks)
	}
	if len(b) < f.size() {
		return nil, fmt.Errorf("header: %w (%d of %d octets)", ErrShort, len(b), f.size())
	}
	list := b[moduleList:f.size()]
	for len(list) >= 2 {
		m := binary.LittleEndian.Uint16(list)
		list = list[2:]
		if m == 0 {
			break
		}
		f.Modules = append(f.Modules, m)
	}
	f.rest = keep(list)
	b = b[f.size():]
	if int64(f.Count)*int64(f.recordSize()) > int64(len(b)) {
		return nil, fmt.Errorf("records: %w (%d records of %d octets in %d)", ErrShort, f.Count, f.recordSize(), len(b))
	}
	f.Records = make([]Record, f.Count)
	for i := range f.Records {
		if err := f.Records[i].parse(b[:f.recordSize()]); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
		b = b[f.recordSize():]
	}
	if len(b) > 0 {
		f.Rest = slices.Clone(b)
	}
	return f, nil
}

// Append appends the file. The error wraps [ErrTooLong] if the variables of a record, or the modules, do not fit.
func (f *File) Append(b []byte) ([]byte, error) {
	if f.Chunks > MaxChunks || f.RecordChunks > MaxChunks {
		return b, fmt.Errorf("setupbin: header: %w: %d and %d chunks, at most %d", ErrTooLong, f.Chunks, f.RecordChunks, MaxChunks)
	}
	start := len(b)
	b = append(b, f.Type[:]...)
	b = binary.LittleEndian.AppendUint16(b, f.Chunks)
	b = binary.LittleEndian.AppendUint16(b, f.Length)
	b = binary.LittleEndian.AppendUint32(b, f.Number)
	b = append(b, f.Major, f.Minor)
	b = binary.LittleEndian.AppendUint16(b, uint16(f.Flags))
	b = binary.LittleEndian.AppendUint32(b, f.Count)
	b = binary.LittleEndian.AppendUint32(b, f.Consumed)
	b = binary.LittleEndian.AppendUint16(b, f.RecordChunks)
	b = binary.LittleEndian.AppendUint16(b, f.Reserved)
	for _, m := range f.Modules {
		b = binary.LittleEndian.AppendUint16(b, m)
	}
	end := start + f.size()
	if len(b) > end {
		return b[:start], fmt.Errorf("setupbin: header: %w: %d modules", ErrTooLong, len(f.Modules))
	}
	b = fill(b, end, f.rest)
	for i := range f.Records {
		var err error
		if b, err = f.Records[i].append(b, f.recordSize()); err != nil {
			return b[:start], fmt.Errorf("setupbin: record %d: %w", i+1, err)
		}
	}
	return append(b, f.Rest...), nil
}

// keep returns a copy of padding, or nil if it is zeros.
func keep(padding []byte) []byte {
	for _, c := range padding {
		if c != 0 {
			return slices.Clone(padding)
		}
	}
	return nil
}

// fill brings b to the length end with zeros, and puts padding at the very end, if it fits.
func fill(b []byte, end int, padding []byte) []byte {
	at := len(b)
	b = slices.Grow(b, end-at)[:end]
	clear(b[at:])
	if len(padding) <= end-at {
		copy(b[end-len(padding):], padding)
	}
	return b
}
