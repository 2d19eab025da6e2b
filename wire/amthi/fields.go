package amthi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// A reader takes fields off the front of data. The first error sticks, and everything read after it is zero.
type reader struct {
	b   []byte
	err error
}

// take returns the next n bytes, part of what is read, or zeros.
func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = fmt.Errorf("amthi: %w (%d bytes left of a field of %d)", ErrShort, len(r.b), n)
	}
	if r.err != nil {
		return make([]byte, n) // n is a constant of the caller, or was held against r.b
	}
	field := r.b[:n]
	r.b = r.b[n:]
	return field
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) bool() bool  { return r.u32() != 0 }

// flag is a boolean of one byte.
func (r *reader) flag() bool { return r.u8() != 0 }

// blob is bytes with a 16-bit length.
func (r *reader) blob() []byte {
	n := int(r.u16())
	if n > len(r.b) {
		if r.err == nil {
			r.err = fmt.Errorf("amthi: text: %w (%d of %d bytes)", ErrShort, len(r.b), n)
		}
		return nil
	}
	return r.take(n)
}

// text is an ANSI string, with or without NUL.
func (r *reader) text() string { return cut(r.blob()) }

// padded is text in a field of n bytes.
func (r *reader) padded(n int) string { return cut(r.take(n)) }

// ipv4 is an address as a number.
func (r *reader) ipv4() netip.Addr {
	b := r.take(4)
	return netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]})
}

// end is an error if anything is left: for requests, whose lengths firmware checks.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		return fmt.Errorf("amthi: %w: %d bytes too many", ErrLength, len(r.b))
	}
	return r.err
}

// cut returns what stands before the first NUL.
func cut(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func u16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return u32(b, 1)
	}
	return u32(b, 0)
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// appendText writes an ANSI string without NUL; beyond 65535 bytes it is cut.
func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), 1<<16-1)]
	return append(u16(b, uint16(len(s))), s...)
}

// appendPadded writes text into n bytes; it is cut so that a NUL remains.
func appendPadded(b []byte, s string, n int) []byte {
	s = s[:min(len(s), n-1)]
	return append(append(b, s...), make([]byte, n-len(s))...)
}

// appendFixed writes bytes into n; they are cut to fit.
func appendFixed(b, v []byte, n int) []byte {
	v = v[:min(len(v), n)]
	return append(append(b, v...), make([]byte, n-len(v))...)
}

func appendIPv4(b []byte, a netip.Addr) []byte {
	var v [4]byte
	if a.Is4() {
		v = a.As4()
	}
	return append(b, v[3], v[2], v[1], v[0])
}

// names splits NUL-separated names and drops empty ones.
func names(b []byte) []string {
	var all []string
	for name := range strings.SplitSeq(string(b), "\x00") {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}

// appendNames writes names, each with a NUL behind it.
func appendNames(b []byte, names []string) []byte {
	for _, name := range names {
		b = append(append(b, name...), 0)
	}
	return b
}

// fail sets an error of a number that cannot be.
func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("amthi: %w: "+format, append([]any{ErrLength}, args...)...)
	}
}
