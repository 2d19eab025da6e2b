package apf

import (
	"encoding/binary"
	"fmt"
)

// fields walks over a message. The first error sticks; what is read after it is empty.
type fields struct {
	b    []byte
	at   int   // of the next field
	need int   // bytes that the message must have at least, once err is ErrShort
	err  error // ErrShort as it is, others wrapped
}

// open starts behind the type byte, which must be kind.
func open(b []byte, kind Kind) fields {
	f := fields{b: b}
	if k := f.bytes(1); k != nil && Kind(k[0]) != kind {
		f.err = fmt.Errorf("%w: %v", ErrKind, Kind(k[0]))
	}
	return f
}

func (f *fields) bytes(n int) []byte {
	if f.err != nil {
		return nil
	}
	if len(f.b)-f.at < n {
		f.err, f.need = ErrShort, f.at+n
		return nil
	}
	b := f.b[f.at : f.at+n : f.at+n]
	f.at += n
	return b
}

func (f *fields) u8() uint8 {
	if b := f.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) u32() uint32 {
	if b := f.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// counted reads a length and so many bytes, which are part of b.
func (f *fields) counted(limit int) []byte {
	n := f.u32()
	if f.err == nil && uint64(n) > uint64(limit) {
		f.err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, n, limit)
	}
	return f.bytes(int(n))
}

func (f *fields) str() string { return string(f.counted(MaxString)) }

// rest returns what follows the message, and the error with its kind.
func (f *fields) rest(kind Kind) ([]byte, error) {
	switch {
	case f.err == nil:
		return f.b[f.at:], nil
	case f.err == ErrShort:
		return f.b, fmt.Errorf("apf: %v: %w (%d of %d bytes)", kind, ErrShort, len(f.b), f.need)
	}
	return f.b, fmt.Errorf("apf: %v: %w", kind, f.err)
}

func appendU32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

func appendString(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}
