package rfb

import (
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// window is how far back deflate may refer.
const window = 32 << 10

// An inflater reads the zlib stream (RFC 1950) that runs through all ZRLE rectangles of a connection. Each rectangle ends
// at a byte boundary, behind a stored block or a sync flush. AMT sends stored blocks as a rule, one a rectangle; they are
// passed on as they are, and only remembered.
type inflater struct {
	headed bool   // the two bytes of the zlib header have come
	past   []byte // the end of what came out: at most 2*[window], of which the last window counts
	feed   feed
	flate  io.ReadCloser // nil while nothing compressed is under way
	out    []byte        // of the present rectangle: what came out
	at     int           // of out: what was taken
}

// feed is what the decompressor reads.
type feed struct{ b []byte }

func (f *feed) ReadByte() (byte, error) {
	if len(f.b) == 0 {
		return 0, io.EOF
	}
	c := f.b[0]
	f.b = f.b[1:]
	return c, nil
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.b)
	f.b = f.b[n:]
	return n, nil
}

// emptyBlock is a stored block without data. Behind a rectangle it makes the decompressor hand over all that it has, which
// it would otherwise keep until it has seen what follows a stored block.
var emptyBlock = []byte{0, 0, 0, 0xFF, 0xFF}

// begin starts a rectangle.
func (z *inflater) begin(packed []byte) error {
	z.out, z.at = z.out[:0], 0
	if !z.headed {
		if len(packed) < 2 || packed[0]&0x0F != 8 || binary.BigEndian.Uint16(packed)%31 != 0 || packed[1]&0x20 != 0 {
			return fmt.Errorf("zlib header: %w", ErrProtocol)
		}
		z.headed, packed = true, packed[2:]
	}
	if data, ok := stored(packed); ok {
		z.flate = nil
		z.out = append(z.out, data...)
		z.remember(data)
		return nil
	}
	if z.flate == nil {
		z.feed.b = z.feed.b[:0]
		z.flate = flate.NewReaderDict(&z.feed, z.past[max(0, len(z.past)-window):])
	}
	z.feed.b = append(append(z.feed.b, packed...), emptyBlock...)
	return nil
}

// stored returns the data if packed is exactly one stored block that is not the last of the stream.
func stored(packed []byte) (data []byte, ok bool) {
	if len(packed) < 5 || packed[0] != 0 {
		return nil, false
	}
	n := binary.LittleEndian.Uint16(packed[1:])
	if n != ^binary.LittleEndian.Uint16(packed[3:]) || int(n) != len(packed)-5 {
		return nil, false
	}
	return packed[5:], true
}

func (z *inflater) remember(data []byte) {
	if len(data) > window {
		data = data[len(data)-window:]
	}
	if len(z.past)+len(data) > 2*window {
		z.past = z.past[:copy(z.past, z.past[len(z.past)-window:])]
	}
	z.past = append(z.past, data...)
}

// next returns the next n bytes that come out, good until the next call.
func (z *inflater) next(n int) ([]byte, error) {
	for len(z.out)-z.at < n {
		if z.flate == nil {
			return nil, fmt.Errorf("tile ends early: %w", ErrProtocol)
		}
		if z.at > 0 {
			z.out = z.out[:copy(z.out, z.out[z.at:])]
			z.at = 0
		}
		have := len(z.out)
		z.out = append(z.out, make([]byte, max(4096, n-have))...)
		m, err := z.flate.Read(z.out[have:])
		z.out = z.out[:have+m]
		z.remember(z.out[have:])
		if m == 0 && err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, fmt.Errorf("tile ends early: %w", ErrProtocol)
			}
			return nil, fmt.Errorf("compressed data: %w: %w", ErrProtocol, err)
		}
	}
	b := z.out[z.at : z.at+n]
	z.at += n
	return b, nil
}

// rest tells how much came out that nobody took.
func (z *inflater) rest() int { return len(z.out) - z.at }

// maxUnread is how much may be left to decompress behind a rectangle: its sync flush and our empty block, and a little.
// More is not for this rectangle, and would pile up.
const maxUnread = 64

// unread tells how much was not decompressed.
func (z *inflater) unread() int { return len(z.feed.b) }
