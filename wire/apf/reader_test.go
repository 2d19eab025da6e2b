package apf

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// conversation is every message of the table back to back, but those whose length depends on what was asked.
func conversation(t testing.TB) (stream []byte, messages [][]byte) {
	for _, tt := range wires {
		wire := unhex(t, tt.wire)
		if Kind(wire[0]) == KindRequestSuccess && len(wire) == 1 {
			continue
		}
		messages = append(messages, wire)
		stream = append(stream, wire...)
	}
	return stream, messages
}

// chunks returns its parts as they were cut.
type chunks struct {
	b   []byte
	cut func() int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), c.cut())])
	c.b = c.b[n:]
	return n, nil
}

func TestReaderWhateverTheSegmentation(t *testing.T) {
	stream, want := conversation(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name string
		r    io.Reader
	}{
		{"all at once", bytes.NewReader(stream)},
		{"byte by byte", iotest.OneByteReader(bytes.NewReader(stream))},
		{"halves", iotest.HalfReader(bytes.NewReader(stream))},
		{"end with the data", iotest.DataErrReader(bytes.NewReader(stream))},
		{"random", &chunks{stream, func() int { return random.IntN(40) }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := NewReader(tt.r, func() bool { return true })
			for i, m := range want {
				got, err := r.Next()
				if err != nil || !bytes.Equal(got, m) {
					t.Fatalf("message %d: got %x, %v; want %x", i, got, err, m)
				}
			}
			if got, err := r.Next(); err != io.EOF {
				t.Errorf("at the end: %x, %v", got, err)
			}
		})
	}
}

func TestReaderErrors(t *testing.T) {
	broken := errors.New("cable cut")
	for _, tt := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"nothing", bytes.NewReader(nil), io.EOF},
		{"within a message", bytes.NewReader(unhex(t, "5e 00000001 00000004 4745")), io.ErrUnexpectedEOF},
		{"unknown type", bytes.NewReader([]byte("GET / HTTP/1.1")), ErrUnknown},
		{"MeshCentral's private type", bytes.NewReader(unhex(t, "fa 00000002 7b7d")), ErrUnknown},
		{"unknown request", bytes.NewReader(unhex(t, "50 00000001 78 00")), ErrUnknown},
		{"unknown method", bytes.NewReader(unhex(t, "32 00000000 00000000 00000001 78")), ErrUnknown},
		{"error below", io.MultiReader(bytes.NewReader([]byte{1}), iotest.ErrReader(broken)), broken},
		{"a reader that does nothing", &chunks{[]byte{1}, func() int { return 0 }}, io.ErrNoProgress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if m, err := NewReader(tt.r, nil).Next(); !errors.Is(err, tt.want) {
				t.Errorf("got %x, %v; want %v", m, err, tt.want)
			}
		})
	}
}

// Success has a length of its own for every request.
func TestReaderAsksForThePort(t *testing.T) {
	answers := []bool{false, true, false}
	r := NewReader(bytes.NewReader(unhex(t, "51 51 00004260 51 52")), func() bool { return answers[0] })
	for i, want := range []string{"51", "51 00004260", "51", "52"} {
		got, err := r.Next()
		if err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Fatalf("message %d: %x, %v; want %s", i, got, err, want)
		}
		if len(answers) > 1 {
			answers = answers[1:]
		}
	}
}

// packetConn returns one packet per Read.
type packets struct{ list [][]byte }

func (p *packets) Read(b []byte) (int, error) {
	if len(p.list) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.list[0])
	p.list = p.list[1:]
	return n, nil
}

func TestPacketReader(t *testing.T) {
	r := NewPacketReader(&packets{[][]byte{
		unhex(t, "34"),
		unhex(t, "51"),
		unhex(t, "51 00004260"),
		unhex(t, "fa 00000002 7b7d"), // skipped
		unhex(t, "07"),               // skipped
		unhex(t, "5d 00000001 00001000 ffff"),
		unhex(t, "50 00000001 78 00 1234"),
		unhex(t, "5d 00000001 0000"),
	}})
	for i, want := range []string{"34", "51", "51 00004260", "5d 00000001 00001000", "50 00000001 78 00 1234"} {
		if got, err := r.Next(); err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Fatalf("message %d: %x, %v; want %s", i, got, err, want)
		}
	}
	if got, err := r.Next(); !errors.Is(err, ErrShort) {
		t.Errorf("short packet: %x, %v", got, err)
	}
	if got, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %x, %v", got, err)
	}
}

// endless repeats a message.
type endless struct {
	message []byte
	at      int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], e.message[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.message)
	}
	return n, nil
}

func TestReaderDoesNotAllocate(t *testing.T) {
	r := NewReader(&endless{message: Data{1, make([]byte, 5000)}.Append(nil)}, nil)
	r.Next()
	if n := testing.AllocsPerRun(1000, func() {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParseData(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
}

// The bytes of a stream mean the same however they are cut.
func FuzzReader(f *testing.F) {
	stream, _ := conversation(f)
	f.Add(stream, uint64(1))
	for _, tt := range wires {
		f.Add(unhex(f, tt.wire), uint64(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		whole := NewReader(bytes.NewReader(b), func() bool { return seed%2 == 0 })
		cut := NewReader(&chunks{b, func() int { return 1 + random.IntN(9) }}, func() bool { return seed%2 == 0 })
		for {
			want, wantErr := whole.Next()
			got, err := cut.Next()
			if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
				t.Fatalf("cut: %x, %v; whole: %x, %v", got, err, want, wantErr)
			}
			if err != nil {
				if err.Error() != wantErr.Error() {
					t.Fatalf("cut: %v; whole: %v", err, wantErr)
				}
				return
			}
			if _, _, err := parse(Kind(got[0]), got, seed%2 == 0); err != nil {
				t.Fatalf("%x: %v", got, err)
			}
		}
	})
}

func FuzzPacketReader(f *testing.F) {
	for _, tt := range wires {
		f.Add(unhex(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewPacketReader(&packets{[][]byte{b}})
		for {
			m, err := r.Next()
			if err != nil {
				return
			}
			if len(m) > len(b) || !bytes.Equal(m, b[:len(m)]) {
				t.Fatalf("%x from %x", m, b)
			}
		}
	})
}

func TestRing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var r ring
	var want []byte
	next := byte(0)
	for range 20000 {
		p := make([]byte, random.IntN(3000))
		if random.IntN(2) == 0 && len(want) < 20000 {
			for i := range p {
				p[i] = next
				next++
			}
			r.write(p)
			want = append(want, p...)
			continue
		}
		n := r.read(p)
		if n != min(len(p), len(want)) || !bytes.Equal(p[:n], want[:n]) {
			t.Fatalf("read %d bytes of %d, want %d", n, len(p), len(want))
		}
		want = want[n:]
		if r.n != len(want) {
			t.Fatalf("holds %d, want %d", r.n, len(want))
		}
	}
	if len(r.b) > 32<<10 {
		t.Errorf("%d bytes for 23000 at most", len(r.b))
	}
}
