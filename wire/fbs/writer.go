package fbs

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A Writer writes blocks.
type Writer struct {
	w    io.Writer
	buf  []byte
	good int64 // bytes of what was written whole, with the head
}

// NewWriter writes the head of a recording.
func NewWriter(w io.Writer) (*Writer, error) {
	n, err := io.WriteString(w, magic)
	if err != nil {
		return nil, fmt.Errorf("fbs: %w", err)
	}
	return &Writer{w: w, good: int64(n)}, nil
}

// Size returns how long the recording is up to the last message that is in it whole: after a failure, as the disk was
// full, a file that is cut there plays to its end.
func (w *Writer) Size() int64 { return w.good }

// Append appends what the server has sent at a time since the beginning: a whole message.
func (w *Writer) Append(message []byte, at time.Duration) error {
	size := w.good
	for len(message) > 0 {
		b := message[:min(len(message), ourBlock)]
		message = message[len(b):]
		out := binary.BigEndian.AppendUint32(w.buf[:0], uint32(len(b)))
		out = append(out, b...)
		out = append(out, make([]byte, padding(len(b)))...)
		out = binary.BigEndian.AppendUint32(out, uint32(at.Milliseconds()))
		w.buf = out
		n, err := w.w.Write(out)
		if err != nil {
			return fmt.Errorf("fbs: %w", err)
		}
		size += int64(n)
	}
	w.good = size
	return nil
}

// padding is how many zeros follow n bytes.
func padding(n int) int { return -n & 3 }
