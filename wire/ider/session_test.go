package ider

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/redir"
)

// memory is an image that can be written, and broken.
type memory struct {
	mu     sync.Mutex
	b      []byte
	broken bool
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return 0, errors.New("broken")
	}
	return bytes.NewReader(m.b).ReadAt(p, off)
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return 0, errors.New("broken")
	}
	return copy(m.b[off:], p), nil
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func medium(b []byte) *Medium { return &Medium{Image: bytes.NewReader(b), Size: int64(len(b))} }

// ends opens a session over the two ends of a connection.
func ends(t testing.TB, ctx context.Context, a, b net.Conn, o Options, do DeviceOptions) (*Session, *Device) {
	t.Helper()
	var d *Device
	var derr error
	var wg sync.WaitGroup
	wg.Go(func() { d, derr = Accept(ctx, redir.NewConn(b), do) })
	s, err := Open(ctx, redir.NewConn(a), o)
	wg.Wait()
	if err != nil || derr != nil {
		t.Fatal(err, derr)
	}
	return s, d
}

func pair(t testing.TB, o Options, do DeviceOptions) (*Session, *Device) {
	t.Helper()
	a, b := net.Pipe()
	s, d := ends(t, t.Context(), a, b, o, do)
	t.Cleanup(func() { s.Close(); d.Close() })
	return s, d
}

func disk(t *testing.T, d *Device, drive Drive) *Disk {
	t.Helper()
	k, err := d.Disk(t.Context(), drive)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestReadBothDrives(t *testing.T) {
	cd, floppy := noise(300_001), noise(floppySize)
	for _, tt := range []struct {
		name  string
		wrap  func(net.Conn) net.Conn
		o     DeviceOptions
		ahead int
	}{
		{"PIO", func(c net.Conn) net.Conn { return c }, DeviceOptions{}, 0},
		{"DMA", func(c net.Conn) net.Conn { return c }, DeviceOptions{DMA: true}, 0},
		{"read ahead", func(c net.Conn) net.Conn { return c }, DeviceOptions{}, 20000},
		{"byte by byte", wiretest.Bytewise, DeviceOptions{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				s, d := ends(t, t.Context(), tt.wrap(a), tt.wrap(b), Options{CD: medium(cd), Floppy: medium(floppy)}, tt.o)
				defer d.Close()
				defer s.Close()
				for drive, want := range map[Drive][]byte{CD: append(bytes.Clone(cd), make([]byte, 1055)...), Floppy: floppy} {
					k := disk(t, d, drive)
					k.ReadAhead = tt.ahead
					if k.Size() != int64(len(want)) {
						t.Fatalf("%v: %d bytes, want %d", drive, k.Size(), len(want))
					}
					if tt.name != "byte by byte" {
						got, err := io.ReadAll(io.NewSectionReader(k, 0, 1<<40))
						if err != nil || !bytes.Equal(got, want) {
							t.Errorf("%v: %d bytes, %v", drive, len(got), err)
						}
					}
					for _, r := range [][2]int{{0, 1}, {1, 2048}, {511, 2}, {2047, 4100}, {len(want) - 1, 1}, {65535, 70000}} {
						got := make([]byte, r[1])
						if n, err := k.ReadAt(got, int64(r[0])); n != r[1] || err != nil || !bytes.Equal(got, want[r[0]:r[0]+r[1]]) {
							t.Errorf("%v: %d bytes at %d: %d, %v", drive, r[1], r[0], n, err)
						}
					}
					if n, err := k.ReadAt(make([]byte, 10), k.Size()-4); n != 4 || err != io.EOF {
						t.Errorf("%v: beyond the end: %d, %v", drive, n, err)
					}
				}
			})
		})
	}
}

// A BIOS reads 2048 bytes at a time: reading ahead makes one command of 32.
func TestReadAheadSavesCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := pair(t, Options{CD: medium(noise(1 << 20))}, DeviceOptions{})
		k := disk(t, d, CD)
		k.ReadAhead = 64 << 10
		block := make([]byte, 2048)
		for at := int64(0); at < k.Size(); at += 2048 {
			if _, err := k.ReadAt(block, at); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		stats := s.Stats()
		if stats.Reads != 16 || stats.Read != 1<<20 || stats.Sequential != 15 || stats.Commands != 19 {
			t.Errorf("%+v", stats)
		}
	})
}

// hole is an image whose blocks hold their own number.
type hole struct{}

func (hole) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for i := (2048 - off%2048) % 2048; i+8 <= int64(len(p)); i += 2048 {
		for j := range int64(8) {
			p[i+j] = byte((off + i) / 2048 >> (8 * j))
		}
	}
	return len(p), nil
}

func TestBeyond2GiB(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := pair(t, Options{CD: &Medium{Image: hole{}, Size: 5 << 40}}, DeviceOptions{})
		k := disk(t, d, CD)
		for _, at := range []int64{0, 1<<31 - 2048, 1 << 31, 1 << 32, 1 << 42, 5<<40 - 2048} {
			got, want := make([]byte, 2048), make([]byte, 2048)
			hole{}.ReadAt(want, at)
			if _, err := k.ReadAt(got, at); err != nil || !bytes.Equal(got, want) {
				t.Errorf("at %d: % x, %v", at, got[:8], err)
			}
		}
	})
}

func TestWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{b: make([]byte, floppySize)}
		s, d := pair(t, Options{Floppy: &Medium{Image: m, Size: floppySize, Writer: m}, CD: medium(noise(4096))}, DeviceOptions{})
		k := disk(t, d, Floppy)
		data := noise(200 * 512)
		if n, err := k.WriteAt(data, 512*7); n != len(data) || err != nil {
			t.Fatal(n, err)
		}
		got := make([]byte, len(data))
		if _, err := k.ReadAt(got, 512*7); err != nil || !bytes.Equal(got, data) {
			t.Error("read is not what was written", err)
		}
		if _, err := k.WriteAt(data[:512], k.Size()); !errors.Is(err, SenseOutOfRange) {
			t.Errorf("beyond the end: %v", err)
		}
		if _, err := k.WriteAt(data[:100], 0); err == nil {
			t.Error("a part of a block was written")
		}
		if _, err := disk(t, d, CD).WriteAt(data[:2048], 0); !errors.Is(err, SenseProtected) {
			t.Errorf("CD: %v", err)
		}
		m.mu.Lock()
		m.broken = true
		m.mu.Unlock()
		if _, err := k.WriteAt(data[:512], 0); !errors.Is(err, SenseWriteError) {
			t.Errorf("broken: %v", err)
		}
		if _, err := k.ReadAt(data[:512], 0); !errors.Is(err, SenseReadError) {
			t.Errorf("broken: %v", err)
		}
		if stats := s.Stats(); stats.Writes != 3 || stats.Written != 201*512 {
			t.Errorf("%+v", stats)
		}
	})
}

// An image that becomes shorter than it was said to be.
func TestTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := pair(t, Options{CD: &Medium{Image: bytes.NewReader(noise(1 << 20)), Size: 2 << 20}}, DeviceOptions{})
		k := disk(t, d, CD)
		if n, err := k.ReadAt(make([]byte, 2<<20), 0); !errors.Is(err, SenseReadError) {
			t.Errorf("%d, %v", n, err)
		}
		// One READ(12) of everything: data first, then the error.
		n, err := d.Command(t.Context(), CD, [12]byte{scsiRead12, 8: 4}, nil, make([]byte, 2<<20))
		if err != SenseReadError || n == 0 || n > 1<<20 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestMediumChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan Event, 4)
		s, d := pair(t, Options{CD: medium(noise(4096)), OnEvent: func(e Event) { events <- e }}, DeviceOptions{})
		k := disk(t, d, CD)
		if _, err := d.Disk(t.Context(), Floppy); !errors.Is(err, SenseNotReady) {
			t.Errorf("no floppy: %v", err)
		}
		next := noise(8192)
		if err := s.Insert(CD, medium(next)); err != nil {
			t.Fatal(err)
		}
		if _, err := k.ReadAt(make([]byte, 1), 0); !errors.Is(err, SenseAttention) {
			t.Errorf("after the change: %v", err)
		}
		if k = disk(t, d, CD); k.Size() != 8192 {
			t.Errorf("%d bytes", k.Size())
		}
		if _, err := d.Command(t.Context(), CD, [12]byte{scsiStartStop, 4: 2}, nil, nil); err != nil {
			t.Error(err)
		}
		if e := <-events; e != (Event{Kind: Ejected, Drive: CD}) {
			t.Errorf("%+v", e)
		}
		s.Eject(CD)
		if _, err := k.ReadAt(make([]byte, 1), 0); !errors.Is(err, SenseNotReady) {
			t.Errorf("after eject: %v", err)
		}
		if err := s.Insert(CD, &Medium{}); !errors.Is(err, ErrMedium) {
			t.Error(err)
		}
	})
}

func TestBadMedium(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	if _, err := Open(t.Context(), redir.NewConn(a), Options{CD: &Medium{}}); !errors.Is(err, ErrMedium) {
		t.Error(err)
	}
}

// stuck is an image that blocks until it is let go.
type stuck struct{ asked, letGo chan struct{} }

func (s stuck) ReadAt(p []byte, _ int64) (int, error) {
	s.asked <- struct{}{}
	<-s.letGo
	return len(p), nil
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image := stuck{make(chan struct{}, 100), make(chan struct{})}
		events := make(chan Event, 4)
		_, d := pair(t, Options{CD: &Medium{Image: image, Size: 1 << 20}, OnEvent: func(e Event) { events <- e }}, DeviceOptions{})
		k := disk(t, d, CD)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := k.ReadAt(make([]byte, 2048), 0); !errors.Is(err, ErrReset) {
				t.Errorf("read: %v", err)
			}
		})
		<-image.asked
		wg.Go(func() {
			if err := d.Reset(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(image.letGo)
		wg.Wait()
		if e := <-events; e != (Event{Kind: BusReset, Mask: 1}) {
			t.Errorf("%+v", e)
		}
		if _, err := k.ReadAt(make([]byte, 2048), 0); err != nil {
			t.Errorf("after the reset: %v", err)
		}
	})
}

// A host that gives up a command gets no data of it later.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		image := stuck{make(chan struct{}, 100), make(chan struct{})}
		s, d := pair(t, Options{CD: &Medium{Image: image, Size: 1 << 20}, Floppy: medium(noise(512))}, DeviceOptions{CommandTimeout: time.Second})
		disk(t, d, CD)
		read := [12]byte{scsiRead10, 8: 1}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := d.Command(ctx, CD, read, nil, make([]byte, 2048)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.AfterFunc(time.Second, func() { close(image.letGo) })
		in := bytes.Repeat([]byte{0xEE}, 512)
		if n, err := d.Command(t.Context(), Floppy, read, nil, in); n != 512 || err != nil || !bytes.Equal(in, noise(512)) {
			t.Errorf("next command: %d, %v", n, err)
		}
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		image := stuck{make(chan struct{}, 100), make(chan struct{})}
		s, d := pair(t, Options{CD: &Medium{Image: image, Size: 1 << 20}}, DeviceOptions{CommandTimeout: time.Second})
		disk(t, d, CD)
		start := time.Now()
		if _, err := d.Command(t.Context(), CD, [12]byte{scsiRead10, 8: 1}, nil, make([]byte, 2048)); !errors.Is(err, redir.ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// The console does not answer the reset either: the session is over after five seconds.
		if _, err := d.Command(t.Context(), CD, [12]byte{}, nil, nil); err == nil || time.Since(start) != 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(image.letGo)
		<-s.Done()
	})
}

func TestKeepAlive(t *testing.T) {
	for _, o := range []Options{{}, {Heartbeat: 65535}, {RxTimeout: 10000, Heartbeat: 1000}, {RxTimeout: 65535, Heartbeat: 65535}} {
		synctest.Test(t, func(t *testing.T) {
			o.CD = medium(noise(4096))
			s, d := pair(t, o, DeviceOptions{})
			time.Sleep(10 * time.Minute)
			if s.Err() != nil || d.Err() != nil {
				t.Fatal(s.Err(), d.Err())
			}
			disk(t, d, CD)
		})
	}
}

func TestEnds(t *testing.T) {
	t.Run("console", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, d := pair(t, Options{}, DeviceOptions{})
			start := time.Now()
			if err := s.Close(); err != nil || time.Since(start) != 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			<-d.Done()
			if d.Err() != io.EOF || d.Enabled() {
				t.Error(d.Err())
			}
			if _, err := d.Command(t.Context(), CD, [12]byte{}, nil, nil); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	})
	t.Run("machine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, d := pair(t, Options{}, DeviceOptions{})
			d.Close()
			<-s.Done()
			if s.Err() != io.EOF || s.Close() != nil {
				t.Error(s.Err())
			}
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			a, b := net.Pipe()
			s, d := ends(t, ctx, a, b, Options{}, DeviceOptions{})
			cancel()
			<-s.Done()
			if !errors.Is(s.Close(), context.Canceled) {
				t.Error(s.Err())
			}
			d.Close()
		})
	})
}

func TestEnable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			d, err := Accept(t.Context(), redir.NewConn(b), DeviceOptions{Allow: func(bool, Moment) bool { return false }})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := d.Command(t.Context(), CD, [12]byte{}, nil, nil); !errors.Is(err, ErrDetached) {
				t.Errorf("command: %v", err)
			}
			<-d.Done()
			if d.Enabled() {
				t.Error("enabled")
			}
			d.Close()
		})
		if _, err := Open(t.Context(), redir.NewConn(a), Options{}); !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		wg.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		moments := make(chan Moment, 1)
		pair(t, Options{When: OnReboot}, DeviceOptions{OnEnable: func(on bool, m Moment) {
			if on {
				moments <- m
			}
		}})
		if m := <-moments; m != OnReboot {
			t.Error(m)
		}
	})
}

const (
	openReply = "41000000 00000000 0100 0c00 00000000 0020 0020 00 00 000000 57010000 00"
	enabled   = "49000000 01000000 03 01000000"
)

// The console against machines that misbehave: each answer follows a message of the console's.
func TestConsoleFaults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []string
		openErr error
		err     error
	}{
		{"refused", []string{"41020000 00000000 0000 0000 00000000 0000 0000 00 00 000000 00000000 00"}, ErrRefused, nil},
		{"unknown protocol", []string{"41000000 00000000 0100 0c00 00000000 0020 0020 00 01 000000 57010000 00"}, redir.ErrProtocol, nil},
		{"buffer too large", []string{"41000000 00000000 0100 0c00 00000000 0120 0020 00 00 000000 57010000 00"}, redir.ErrProtocol, nil},
		{"cut", []string{openReply[:30]}, redir.ErrCut, nil},
		{"gone", []string{""}, redir.ErrCut, nil},
		{"garbage", []string{"ff"}, redir.ErrOpcode, nil},
		{"data before it is enabled", []string{openReply, "53000000 01000000 00 0100 000000 01"}, redir.ErrOpcode, nil},
		{"wrong number", []string{openReply, "49000000 02000000 03 01000000"}, ErrSequence, nil},
		{"not enabled", []string{openReply, "49000000 01000000 03 00000000"}, ErrRefused, nil},
		{"console's own opcode", []string{openReply, enabled + "42000000 02000000"}, nil, redir.ErrOpcode},
		{"gap", []string{openReply, enabled + "4b000000 03000000"}, nil, ErrSequence},
		{"cut later", []string{openReply, enabled + "4b000000"}, nil, redir.ErrCut},
		{"closed by the machine", []string{openReply, enabled + "43000000 02000000"}, nil, io.EOF},
		{"data without a write", []string{openReply, enabled + "53000000 02000000 00 0100 000000 01"}, nil, io.EOF},
		{"error, then the end", []string{openReply, enabled + "4a000000 02000000 010000"}, nil, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := net.Pipe()
			go func() {
				defer b.Close()
				buf := make([]byte, 4096)
				for _, answer := range tt.answers {
					if _, err := b.Read(buf); err != nil {
						return
					}
					b.Write(wiretest.Hex(t, answer))
				}
			}()
			s, err := Open(t.Context(), redir.NewConn(a), Options{})
			if tt.openErr != nil {
				if s != nil || !errors.Is(err, tt.openErr) {
					t.Errorf("%v, want %v", err, tt.openErr)
				}
				return
			}
			if err != nil { // what follows the answer in the same segment may be faster than Open
				if !errors.Is(err, tt.err) && !errors.Is(err, redir.ErrCut) {
					t.Errorf("%v, want %v", err, tt.err)
				}
				return
			}
			<-s.Done()
			if !errors.Is(s.Err(), tt.err) {
				t.Errorf("%v, want %v", s.Err(), tt.err)
			}
			s.Close()
		})
	}
}

func TestConsoleTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		go io.Copy(io.Discard, b)
		start := time.Now()
		if _, err := Open(t.Context(), redir.NewConn(a), Options{}); !errors.Is(err, redir.ErrTimeout) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) { // opened, then silent
		a, b := net.Pipe()
		defer b.Close()
		go func() {
			b.Read(make([]byte, 100))
			b.Write(wiretest.Hex(t, openReply))
			b.Read(make([]byte, 100))
			b.Write(wiretest.Hex(t, enabled))
			io.Copy(io.Discard, b)
		}()
		s, err := Open(t.Context(), redir.NewConn(a), Options{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-s.Done()
		if took := time.Since(start); !errors.Is(s.Close(), ErrSilent) || took < 10*time.Second || took > 13*time.Second {
			t.Errorf("%v after %v", s.Err(), took)
		}
	})
}

// The machine against consoles that misbehave.
func TestDeviceFaults(t *testing.T) {
	open := "40000000 00000000 0000 0000 0000 00000000"
	for _, tt := range []struct {
		name, wire string
		acceptErr  bool
		err        error
	}{
		{"garbage", "ff", true, nil},
		{"cut", open[:20], true, nil},
		{"other message first", "48000000 00000000 01", true, nil},
		{"garbage later", open + "ff", false, redir.ErrOpcode},
		{"machine's own opcode", open + "46000000 00000000 01", false, redir.ErrOpcode},
		{"cut later", open + "44000000", false, redir.ErrCut},
		{"late data", open + "54000002 05000000 00 0200 00 b5 00 02 00 0200 a0 58 85000300 0000a050 000000 000000 0102", false, io.EOF},
		{"late end", open + "51000002 02000000 000000000000000000000000 c5 00 03 000000 b0 50 000000", false, io.EOF},
		{"end of session", open + "12000000", false, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := net.Pipe()
			var wg sync.WaitGroup
			wg.Go(func() {
				wire, later := strings.CutPrefix(tt.wire, open)
				if later {
					a.Write(wiretest.Hex(t, open))
					io.ReadFull(a, make([]byte, openReplyLen))
				}
				wg.Go(func() { io.Copy(io.Discard, a) })
				a.Write(wiretest.Hex(t, wire)) // a machine that has had enough closes: no matter
				if tt.err != redir.ErrOpcode {
					a.Close()
				}
			})
			d, err := Accept(t.Context(), redir.NewConn(b), DeviceOptions{})
			if (err != nil) != tt.acceptErr {
				t.Fatalf("%v", err)
			}
			if d != nil {
				<-d.Done()
				if !errors.Is(d.Err(), tt.err) {
					t.Errorf("%v, want %v", d.Err(), tt.err)
				}
				d.Close()
			}
			a.Close()
			wg.Wait()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer a.Close()
		start := time.Now()
		if _, err := Accept(t.Context(), redir.NewConn(b), DeviceOptions{}); !errors.Is(err, redir.ErrTimeout) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// amtider sends pings and heartbeats back as they are, and jumps in its numbers.
func TestDeviceLenient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		var ops []byte
		var wg sync.WaitGroup
		wg.Go(func() {
			conn := redir.NewConn(a)
			for want := uint32(0); ; want++ {
				m, err := conn.Next(Length)
				if err != nil {
					return
				}
				if sequence(m) != want {
					t.Errorf("%02xh has number %d, want %d", m[0], sequence(m), want)
				}
				ops = append(ops, m[0])
				if m[0] == opPing {
					a.Write(bytes.Clone(m))
				}
			}
		})
		var d *Device
		wg.Go(func() { d, _ = Accept(t.Context(), redir.NewConn(b), DeviceOptions{}) })
		a.Write(wiretest.Hex(t, "40000000 00000000 1027 0000 ffff 01000000"))
		time.Sleep(time.Millisecond)
		a.Write(wiretest.Hex(t, "48000000 05000000 03 11000000"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if d.Err() != nil || !d.Enabled() || bytes.Count(ops, []byte{opPong}) != 0 || bytes.Count(ops, []byte{opPing}) < 5 {
			t.Errorf("% x, %v", ops, d.Err())
		}
		a.Write(wiretest.Hex(t, "44000000 05000000 48000000 06000000 02"))
		synctest.Wait()
		if !bytes.HasSuffix(ops, []byte{opPong, opFeaturesReply}) {
			t.Errorf("% x", ops)
		}
		d.Close()
		wg.Wait()
	})
}

func TestStats(t *testing.T) {
	var s Session
	for i := range 100 {
		s.record(scsiRead10, readData, CD, uint64(i), 1, 2048, time.Duration(i+1)*time.Microsecond)
	}
	s.record(scsiReadTOC, noRequest, CD, 0, 0, 0, time.Second)
	got := s.Stats()
	if got.Commands != 101 || got.Reads != 100 || got.Read != 204800 || got.Sequential != 99 || got.Slowest != time.Second ||
		got.SlowestOp != scsiReadTOC || got.Percentile(0.5) != 64*time.Microsecond || got.Percentile(1) != time.Second {
		t.Errorf("%+v, median %v", got, got.Percentile(0.5))
	}
}
