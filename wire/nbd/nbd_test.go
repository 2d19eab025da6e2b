package nbd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A memory is a disk. It can be written unless fail says why not.
type memory struct {
	data []byte
	fail error
}

func (m *memory) Size() int64 { return int64(len(m.data)) }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return bytes.NewReader(m.data).ReadAt(p, off)
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return copy(m.data[off:], p), nil
}

// pattern is n bytes of which no two pieces are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16*3)
	}
	return b
}

// serve starts a server and returns the other end of its connection, and what comes of it.
func serve(t *testing.T, exports ...Export) (net.Conn, <-chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() { defer close(ended); done <- Serve(context.Background(), theirs, exports...) }()
	t.Cleanup(func() { ours.Close(); <-ended })
	return ours, done
}

func TestBothEnds(t *testing.T) {
	disk := &memory{data: pattern(1<<20 + 512)}
	conn, done := serve(t, Export{Name: "a", Disk: &memory{}}, Export{Name: "b", Disk: disk, BlockSize: 512})
	c, err := Connect(t.Context(), conn, "b")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Info{Size: 1<<20 + 512, Flush: true, BlockSize: 512}); c.Info != want {
		t.Errorf("got %+v, want %+v", c.Info, want)
	}
	for _, tt := range []struct{ off, n int }{{0, 1}, {511, 3}, {1 << 20, 512}, {0, 1<<20 + 512}, {5, 0}, {300 << 10, maxPiece + 1}} {
		got := make([]byte, tt.n)
		if n, err := c.ReadAt(got, int64(tt.off)); n != tt.n || err != nil || !bytes.Equal(got, disk.data[tt.off:tt.off+tt.n]) {
			t.Errorf("read %d at %d: %d bytes, %v; the right ones: %v", tt.n, tt.off, n, err, bytes.Equal(got, disk.data[tt.off:tt.off+tt.n]))
		}
	}
	if n, err := c.ReadAt(make([]byte, 600), 1<<20); n != 512 || err != io.EOF {
		t.Errorf("read beyond the end: got %d, %v; want 512, EOF", n, err)
	}
	news := bytes.Repeat([]byte("new"), maxPiece/2)
	if n, err := c.WriteAt(news, 1000); n != len(news) || err != nil || !bytes.Equal(disk.data[1000:1000+len(news)], news) {
		t.Errorf("write: %d, %v", n, err)
	}
	if _, err := c.WriteAt([]byte("abc"), c.Size()-2); !errors.Is(err, ErrSpace) {
		t.Errorf("write beyond the end: got %v, want %v", err, ErrSpace)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("server: %v", err)
	}
	if _, err := c.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("read after Close succeeds")
	}
}

func TestErrors(t *testing.T) {
	odd := errors.New("odd")
	for _, tt := range []struct {
		name        string
		export      Export
		read, write error // as the client sees them
	}{
		{"disk fails", Export{Disk: &memory{make([]byte, 100), odd}}, ErrIO, ErrIO},
		{"disk says how", Export{Disk: &memory{make([]byte, 100), fmt.Errorf("because: %w", ErrPermission)}}, ErrPermission, ErrPermission},
		{"read-only", Export{Disk: &memory{make([]byte, 100), nil}, ReadOnly: true}, nil, ErrPermission},
		{"cannot write", Export{Disk: bytes.NewReader(make([]byte, 100))}, nil, ErrPermission},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, _ := serve(t, tt.export)
			c, err := Connect(t.Context(), conn, "")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.ReadAt(make([]byte, 10), 0); !errors.Is(err, tt.read) {
				t.Errorf("read: got %v, want %v", err, tt.read)
			}
			if _, err := c.WriteAt(make([]byte, 10), 0); !errors.Is(err, tt.write) {
				t.Errorf("write: got %v, want %v", err, tt.write)
			}
			if ro := tt.write == ErrPermission && tt.read == nil; c.Info.ReadOnly != ro {
				t.Errorf("read-only: got %v, want %v", c.Info.ReadOnly, ro)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	conn, done := serve(t, Export{Name: "a", Disk: &memory{}})
	if _, err := Connect(t.Context(), conn, "b"); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want %v", err, ErrRefused)
	}
	if err := <-done; err != nil {
		t.Errorf("server: %v", err)
	}
}

// Negotiations as clients have them, byte by byte: what goes in, and what must come back after the greeting.
func TestNegotiation(t *testing.T) {
	const greeting = "4e42444d41474943 49484156454f5054 0003"
	disk := &memory{data: make([]byte, 0x11800)}
	for _, tt := range []struct{ name, in, out string }{
		{
			// QEMU 7.2 as it begins: structured replies, contexts, then go for "cd" with the question for block sizes
			"QEMU", "00000003" +
				"49484156454f5054 00000008 00000000" +
				"49484156454f5054 00000007 0000000a 00000002 6364 0001 0003",
			"0003e889045565a9 00000008 80000001 00000000" +
				"0003e889045565a9 00000007 00000003 0000000c 0000 0000000000011800 0007" +
				"0003e889045565a9 00000007 00000003 0000000e 0003 00000800 00001000 02000000" +
				"0003e889045565a9 00000007 00000001 00000000",
		},
		{"list", "00000003 49484156454f5054 00000003 00000000 49484156454f5054 00000002 00000000",
			"0003e889045565a9 00000003 00000002 00000006 00000002 6364 0003e889045565a9 00000003 00000001 00000000" +
				"0003e889045565a9 00000002 00000001 00000000"},
		{"old way, zeroes", "00000001 49484156454f5054 00000001 00000002 6364", "0000000000011800 0007" + strings.Repeat("00", 124)},
		{"old way", "00000003 49484156454f5054 00000001 00000002 6364 25609513 0000 0000 0123456789abcdef 0000000000000800 00000004",
			"0000000000011800 0007 67446698 00000000 0123456789abcdef 00000000"},
		{"read beyond the end", "00000003 49484156454f5054 00000001 00000002 6364 25609513 0000 0000 0000000000000001 0000000000011800 00000001",
			"0000000000011800 0007 67446698 00000016 0000000000000001"},
		{"offset that wraps", "00000003 49484156454f5054 00000001 00000002 6364 25609513 0000 0000 0000000000000001 ffffffffffffffff 00000002",
			"0000000000011800 0007 67446698 00000016 0000000000000001"},
		{"unknown command", "00000003 49484156454f5054 00000001 00000002 6364 25609513 0000 0007 0000000000000001 0000000000000000 00000001",
			"0000000000011800 0007 67446698 00000016 0000000000000001"},
		{"name that lies", "00000003 49484156454f5054 00000007 00000006 ffffffff 0000", "0003e889045565a9 00000007 80000003 00000000"},
		{"questions that lie", "00000003 49484156454f5054 00000007 00000006 00000000 0009", "0003e889045565a9 00000007 80000003 00000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, _ := serve(t, Export{Name: "cd", Disk: disk, ReadOnly: true, BlockSize: 2048})
			want := wiretest.Hex(t, greeting+tt.out)
			go conn.Write(wiretest.Hex(t, tt.in))
			got := make([]byte, len(want))
			if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v\n got %x\nwant %x", err, got[:n], want)
			}
		})
	}
}

func TestBadClients(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"leaves at once", "", nil},
		{"leaves after the greeting", "00000003", nil},
		{"old protocol", "00000000", ErrProtocol},
		{"unknown flags", "80000003", ErrProtocol},
		{"no option", "00000003 0000000000000000 00000007 00000000", ErrProtocol},
		{"long option", "00000003 49484156454f5054 00000007 7fffffff", ErrTooLong},
		{"cut option", "00000003 49484156454f5054 00000007 00000009 00", ErrCut},
		{"half a request", "00000003 49484156454f5054 00000001 00000000 25609513 0000", ErrCut},
		{"no request", "00000003 49484156454f5054 00000001 00000000" + strings.Repeat("00", 28), ErrProtocol},
		{"long write", "00000003 49484156454f5054 00000001 00000000 25609513 0000 0001 0000000000000001 0000000000000000 ffffffff", ErrTooLong},
		{"cut write", "00000003 49484156454f5054 00000001 00000000 25609513 0000 0001 0000000000000001 0000000000000000 00000010 00", ErrCut},
		{"endless options", "00000003" + strings.Repeat("49484156454f5054 00000063 00000000", maxOptions), ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Serve(t.Context(), &script{in: bytes.NewReader(wiretest.Hex(t, tt.in))}, Export{Disk: &memory{data: make([]byte, 512)}})
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A context that ends ends the session.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ours, theirs := net.Pipe()
	defer ours.Close()
	done := make(chan error)
	go func() { done <- Serve(ctx, theirs, Export{Disk: &memory{}}) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	late, cancelLate := context.WithCancel(t.Context())
	cancelLate()
	ours, theirs = net.Pipe()
	defer theirs.Close()
	if _, err := Connect(late, ours, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Connect: got %v, want %v", err, context.Canceled)
	}
}

// A script is a connection whose other end has said everything already.
type script struct {
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *script) Close() error                { return nil }
