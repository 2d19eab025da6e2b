package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// capture is a file header of either order with one frame of three octets.
func capture(order binary.AppendByteOrder, magic, link, size uint32) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 262144)
	b = order.AppendUint32(b, link)
	b = order.AppendUint32(b, 1_700_000_000)
	b = order.AppendUint32(b, 500_000)
	b = order.AppendUint32(b, size)
	b = order.AppendUint32(b, size)
	return append(b, "abc"...)
}

func TestRead(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	for _, tt := range []struct {
		name string
		file []byte
		part time.Duration
		err  error
	}{
		{"little-endian", capture(little, magicMicro, 1, 3), 500 * time.Millisecond, nil},
		{"big-endian", capture(big, magicMicro, 1, 3), 500 * time.Millisecond, nil},
		{"nanoseconds", capture(big, magicNano, 1, 3), 500 * time.Microsecond, nil},
		{"pcapng", capture(big, magicNG, 1, 3), 0, ErrFormat},
		{"text", []byte("this is a text of some length, no capture"), 0, ErrFormat},
		{"other link", capture(little, magicMicro, 113, 3), 0, ErrLink},
		{"no header", []byte{0xd4, 0xc3}, 0, ErrCut},
		{"long frame", capture(little, magicMicro, 1, MaxFrame+1), 0, ErrLength},
		{"cut frame", capture(little, magicMicro, 1, 4), 0, ErrCut},
		{"cut record", capture(little, magicMicro, 1, 3)[:30], 0, ErrCut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(tt.file))
			var frame []byte
			var at time.Time
			if err == nil {
				frame, at, err = r.Next()
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if string(frame) != "abc" || !at.Equal(time.Unix(1_700_000_000, int64(tt.part))) {
				t.Errorf("got %q at %v", frame, at)
			}
			if _, _, err := r.Next(); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 123_456_000).UTC()
	for _, frame := range []string{"one", "", "three"} {
		if err := w.Write([]byte(frame), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(make([]byte, MaxFrame+1), at); !errors.Is(err, ErrLength) {
		t.Errorf("too long: %v", err)
	}
	r, err := NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "", "three"} {
		got, when, err := r.Next()
		if err != nil || string(got) != want || !when.Equal(at) {
			t.Errorf("got %q, %v, %v; want %q", got, when, err, want)
		}
	}
}

// What was read is read again as it was, once it is written; times are cut to microseconds.
func FuzzRead(f *testing.F) {
	f.Add(capture(binary.LittleEndian, magicMicro, 1, 3))
	f.Add(capture(binary.BigEndian, magicNano, 1, 3))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		for err == nil {
			var frame []byte
			var at time.Time
			if frame, at, err = r.Next(); err != nil {
				break
			}
			var again bytes.Buffer
			w, werr := NewWriter(&again)
			if werr == nil {
				werr = w.Write(frame, at)
			}
			r, rerr := NewReader(&again)
			if werr != nil || rerr != nil {
				t.Fatal(werr, rerr)
			}
			if got, when, err := r.Next(); err != nil || !bytes.Equal(got, frame) || !when.Equal(at.Truncate(time.Microsecond)) {
				t.Fatalf("wrote %d octets of %v, read %d of %v, %v", len(frame), at, len(got), when, err)
			}
		}
	})
}
