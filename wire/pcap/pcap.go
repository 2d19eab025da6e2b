// Package pcap reads and writes packet captures in the classic format of libpcap, with Ethernet frames: a file header of
// 24 octets, and before each frame a record header of 16. Integers are in the byte order that the magic number tells;
// times are seconds since 1970 and micro- or nanoseconds. Source: draft-ietf-opsawg-pcap (2024).
//
//	r, err := pcap.NewReader(file)
//	for {
//		frame, at, err := r.Next() // io.EOF at the end
//	}
//
// It does not read pcapng, nor frames of other links than Ethernet.
package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Magic numbers.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	magicNG    = 0x0a0d0d0a // pcapng, the same in either order
)

const (
	fileHeader   = 24
	recordHeader = 16
	linkEthernet = 1
)

// MaxFrame is the longest frame that is read or written. Octets.
const MaxFrame = 64 << 10

// What can be wrong with a capture.
var (
	ErrFormat = errors.New("not a packet capture")
	ErrLink   = errors.New("not a capture of Ethernet")
	ErrLength = errors.New("frame too long")
	ErrCut    = errors.New("capture is cut off")
)

// A Reader reads a capture.
type Reader struct {
	r     io.Reader
	order binary.ByteOrder
	unit  time.Duration // of the part of a second
	buf   []byte
}

// NewReader reads the file header. Errors wrap [ErrFormat], [ErrLink], [ErrCut] or are those of reading.
func NewReader(r io.Reader) (*Reader, error) {
	var h [fileHeader]byte
	if err := full(r, h[:]); err != nil {
		return nil, err
	}
	out := &Reader{r: r}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(h[:]) {
		case magicMicro:
			out.order, out.unit = order, time.Microsecond
		case magicNano:
			out.order, out.unit = order, time.Nanosecond
		case magicNG:
			return nil, fmt.Errorf("pcap: %w: it is pcapng, which tcpdump -r IN -w OUT turns into pcap", ErrFormat)
		}
	}
	if out.order == nil {
		return nil, fmt.Errorf("pcap: %w: it begins with %x", ErrFormat, h[:4])
	}
	if major := out.order.Uint16(h[4:]); major != 2 {
		return nil, fmt.Errorf("pcap: %w: version %d", ErrFormat, major)
	}
	if link := out.order.Uint32(h[20:]) & 0xffff; link != linkEthernet {
		return nil, fmt.Errorf("pcap: %w: link type %d", ErrLink, link)
	}
	return out, nil
}

// Next returns the next frame, which is valid until the next call, and when it was captured. The error is io.EOF after
// the last frame, wraps [ErrLength], [ErrCut] or [ErrFormat], or is that of reading.
func (r *Reader) Next() ([]byte, time.Time, error) {
	var h [recordHeader]byte
	if n, err := io.ReadFull(r.r, h[:]); n == 0 && err == io.EOF {
		return nil, time.Time{}, io.EOF
	} else if err != nil {
		return nil, time.Time{}, cut(err)
	}
	size := r.order.Uint32(h[8:])
	if size > MaxFrame {
		return nil, time.Time{}, fmt.Errorf("pcap: %w: %d octets", ErrLength, size)
	}
	part := time.Duration(r.order.Uint32(h[4:])) * r.unit
	if part >= time.Second {
		return nil, time.Time{}, fmt.Errorf("pcap: %w: part of a second of %v", ErrFormat, part)
	}
	if int(size) > cap(r.buf) {
		r.buf = make([]byte, size)
	}
	r.buf = r.buf[:size]
	if err := full(r.r, r.buf); err != nil {
		return nil, time.Time{}, err
	}
	return r.buf, time.Unix(int64(r.order.Uint32(h[:])), int64(part)).UTC(), nil
}

func full(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	return cut(err)
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("pcap: %w", ErrCut)
	}
	return err
}

// A Writer writes a capture with microseconds, little-endian.
type Writer struct {
	w   io.Writer
	buf []byte
}

// NewWriter writes the file header.
func NewWriter(w io.Writer) (*Writer, error) {
	b := binary.LittleEndian.AppendUint32(nil, magicMicro)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...) // time zone, accuracy
	b = binary.LittleEndian.AppendUint32(b, MaxFrame)
	b = binary.LittleEndian.AppendUint32(b, linkEthernet)
	_, err := w.Write(b)
	return &Writer{w: w}, err
}

// Write adds a frame. The error wraps [ErrLength], or is that of writing.
func (w *Writer) Write(frame []byte, at time.Time) error {
	if len(frame) > MaxFrame {
		return fmt.Errorf("pcap: %w: %d octets", ErrLength, len(frame))
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	w.buf = append(b, frame...)
	_, err := w.w.Write(w.buf)
	return err
}
