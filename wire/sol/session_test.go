package sol

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/redir"
)

// ends opens a session over a pipe.
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

func want(t *testing.T, r io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v; want %q", got, err, text)
	}
}

func TestBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		s, d := ends(t, t.Context(), wiretest.Bytewise(a), wiretest.Bytewise(b), Options{}, DeviceOptions{})
		long := string(bytes.Repeat([]byte("0123456789abcdef"), 5000))
		var wg sync.WaitGroup
		wg.Go(func() { io.WriteString(s, "help\r"); io.WriteString(s, long) })
		wg.Go(func() { io.WriteString(d, "login: "); io.WriteString(d, long) })
		wg.Go(func() { want(t, d, "help\r"+long) })
		want(t, s, "login: "+long)
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := d.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("machine reads %v after the end", err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("console writes %v after Close", err)
		}
		if _, err := d.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("machine writes %v after the end", err)
		}
		if fromHost, toHost := d.Lost(); fromHost != 0 || toHost != 0 {
			t.Errorf("lost %d, %d", fromHost, toHost)
		}
	})
}

func TestMachineEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := pair(t, Options{}, DeviceOptions{})
		io.WriteString(d, "last words")
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(s); string(got) != "last words" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		<-s.Done()
		if err := s.Err(); err != io.EOF {
			t.Error(err)
		}
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := net.Pipe()
		s, d := ends(t, ctx, a, b, Options{}, DeviceOptions{})
		cancel()
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := s.Close(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := d.Close(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		s, d := pair(t, Options{OnLine: func(l Line) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, l.String())
		}}, DeviceOptions{Control: RTS, Status: Powered})
		time.Sleep(time.Second)
		d.SetLine(RTS|DTR|Break, Powered)
		time.Sleep(time.Second)
		d.SetLine(RTS|DTR, Powered)
		d.SetLine(RTS|DTR, Powered) // no change, no message
		time.Sleep(time.Second)
		d.SetLine(0, 0)
		time.Sleep(time.Second)
		s.Close()
		if want := []string{"RTS powered", "RTS DTR break powered", "RTS DTR powered", "off"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Neither end says anything for ten minutes but what the protocol itself asks.
func TestKeepAlive(t *testing.T) {
	for _, o := range []Options{
		{},
		{Settings: Settings{MaxTxBuffer: 1000, TxBufferTimeout: 100, RxTimeout: 10000, Heartbeat: 500}},
		{Settings: Settings{MaxTxBuffer: 1000, TxBufferTimeout: 100, RxTimeout: 10000, Heartbeat: 1}},
		{Settings: Settings{MaxTxBuffer: 1000, TxBufferTimeout: 100}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, d := pair(t, o, DeviceOptions{})
			time.Sleep(10 * time.Minute)
			if s.Err() != nil || d.Err() != nil {
				t.Fatalf("%v, %v", s.Err(), d.Err())
			}
			io.WriteString(d, "still here")
			want(t, s, "still here")
		})
	}
}

// raw is an end that a test plays by hand: what it gets is in messages.
type raw struct {
	net.Conn
	mu       sync.Mutex
	messages [][]byte
	done     chan struct{}
}

func newRaw(c net.Conn) *raw {
	r := &raw{Conn: c, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		conn := redir.NewConn(c)
		for {
			m, err := conn.Next(Length)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.messages = append(r.messages, bytes.Clone(m))
			r.mu.Unlock()
		}
	}()
	return r
}

func (r *raw) opcodes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ops []byte
	for _, m := range r.messages {
		ops = append(ops, m[0])
	}
	return ops
}

func (r *raw) send(t *testing.T, wire string) {
	t.Helper()
	if _, err := r.Write(wiretest.Hex(t, wire)); err != nil {
		t.Errorf("%s: %v", wire, err)
	}
}

// device starts a Device whose console the test plays.
func startDevice(t *testing.T, start string, o DeviceOptions) (*Device, *raw) {
	t.Helper()
	a, b := net.Pipe()
	r := newRaw(a)
	var d *Device
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { d, err = Accept(t.Context(), redir.NewConn(b), o) })
	r.send(t, start)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); a.Close(); <-r.done })
	return d, r
}

const (
	startAmtterm = "20000000 00000000 e803 6400 0000 1027 0000 8813 00000000"
	startMesh    = "20000000 01000000 1027 6400 0000 1027 6400 0000 00000000"
)

func TestDeviceTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := startDevice(t, startAmtterm, DeviceOptions{})
		synctest.Wait()
		if got := r.opcodes(); !bytes.Equal(got, []byte{opStartReply}) {
			t.Errorf("at once: % x", got)
		}
		time.Sleep(49 * time.Millisecond)
		if got := r.opcodes(); len(got) != 1 {
			t.Errorf("after 49 ms: % x", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := r.opcodes(); !bytes.Equal(got, []byte{opStartReply, opLine}) {
			t.Errorf("after 50 ms: % x", got)
		}
		time.Sleep(4950 * time.Millisecond)
		synctest.Wait()
		if got := r.opcodes(); !bytes.Equal(got, []byte{opStartReply, opLine, opHeartbeat}) {
			t.Errorf("after 5 s: % x", got)
		}
		r.send(t, "2b000000 00000000") // the echo
		start := time.Now()
		<-d.Done()
		if took := time.Since(start); !errors.Is(d.Err(), ErrSilent) || took != 10*time.Second {
			t.Errorf("%v after %v", d.Err(), took)
		}
	})
}

// What is typed comes back at once; what comes after that is collected.
func TestDeviceCollects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := startDevice(t, startMesh, DeviceOptions{})
		time.Sleep(time.Second)
		count := func() (n int) { return bytes.Count(r.opcodes(), []byte{opDataFromHost}) }
		for _, b := range []byte("abc") {
			d.Write([]byte{b})
			synctest.Wait()
		}
		if got := count(); got != 1 {
			t.Errorf("%d messages at once, want 1", got)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := count(); got != 2 {
			t.Errorf("%d messages after 10 ms, want 2", got)
		}
		d.Write(make([]byte, 4097)) // one full message at once, the rest later
		synctest.Wait()
		if got := count(); got != 3 {
			t.Errorf("%d messages, want 3", got)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		m, _, err := ParseData(r.messages[len(r.messages)-1])
		if err != nil || len(m.Bytes) != 1 {
			t.Errorf("%d bytes, %v", len(m.Bytes), err)
		}
	})
}

func TestDeviceSendsOnlyFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := startDevice(t, "20000000 00000000 0400 0000 0000 0000 0000 0000 00000000", DeviceOptions{})
		time.Sleep(time.Hour)
		d.Write([]byte("abc"))
		time.Sleep(time.Hour)
		if got := r.opcodes(); len(got) != 2 {
			t.Errorf("% x", got)
		}
		d.Write([]byte("de"))
		synctest.Wait()
		d.Close()
		<-r.done
		if got := r.opcodes(); !bytes.Equal(got[2:], []byte{opDataFromHost, opDataFromHost}) {
			t.Errorf("% x", got)
		}
	})
}

func TestDeviceAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := startDevice(t, startMesh, DeviceOptions{})
		time.Sleep(time.Second)
		// Everything in one segment, as TCP may do.
		r.send(t, "27000000 02000000 00001b000000 24000000 09000000 28000000 00000000 0200 6c73 25000000 00000000 2b000000 77000000 28000000 00000000 0100 0d")
		want(t, d, "ls\r")
		r.send(t, "22000000 05000000")
		synctest.Wait()
		r.send(t, "28000000 00000000 0100 71") // amtterm's parting word
		r.send(t, "12000000")
		if n, err := d.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		<-r.done
		r.mu.Lock()
		defer r.mu.Unlock()
		for i, want := range []string{"25000000 09000000", "23000000 05000000"} {
			if got := r.messages[2+i]; !bytes.Equal(got, wiretest.Hex(t, want)) {
				t.Errorf("% x, want %s", got, want)
			}
		}
	})
}

// The host does not fetch what the console sends.
func TestDeviceFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, r := startDevice(t, startMesh, DeviceOptions{Status: Powered})
		time.Sleep(time.Second)
		r.send(t, "28000000 00000000 0400 61626364")
		time.Sleep(60 * time.Millisecond)
		want(t, d, "a") // a slow host: the time begins again
		time.Sleep(60 * time.Millisecond)
		want(t, d, "b")
		time.Sleep(time.Second)
		r.mu.Lock()
		last, _, err := ParseLine(r.messages[len(r.messages)-1])
		r.mu.Unlock()
		if err != nil || last.Status != Powered|Flushed {
			t.Errorf("%v, %v", last, err)
		}
		if _, lost := d.Lost(); lost != 2 {
			t.Errorf("lost %d", lost)
		}
		r.send(t, "28000000 00000000 0100 65")
		want(t, d, "e")
	})
}

// The console does not read: the host is held for the time that was asked, then its bytes are dropped.
func TestDeviceOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		var d *Device
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			if d, err = Accept(t.Context(), redir.NewConn(b), DeviceOptions{TxOverflow: 100 * time.Millisecond}); err != nil {
				t.Error(err)
			}
		})
		a.Write(wiretest.Hex(t, "20000000 01000000 1027 6400 0000 0000 0000 0000 00000000")) // no RxTimeout
		a.Read(make([]byte, startReplyLen))
		a.Read(make([]byte, lineLen))
		wg.Wait()
		time.Sleep(time.Second)
		const size = 100_000
		start := time.Now()
		for range 10 {
			if n, err := d.Write(make([]byte, size/10)); n != size/10 || err != nil {
				t.Fatal(n, err)
			}
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("held for %v", took)
		}
		lost, _ := d.Lost()
		r := newRaw(a)
		time.Sleep(time.Second)
		d.Close()
		<-r.done
		var got int64
		overflow := false
		for _, m := range r.messages {
			if data, _, err := ParseData(m); err == nil {
				got += int64(len(data.Bytes))
			}
			if line, _, err := ParseLine(m); err == nil {
				overflow = overflow || line.Status&Overflow != 0
			}
		}
		if got+lost != size || lost == 0 || !overflow {
			t.Errorf("got %d and lost %d of %d, overflow %v", got, lost, size, overflow)
		}
	})
}

// session starts a Session whose machine the test plays.
func startSession(t *testing.T, o Options) (*Session, *raw) {
	t.Helper()
	a, b := net.Pipe()
	r := newRaw(b)
	var wg sync.WaitGroup
	wg.Go(func() { r.Write(wiretest.Hex(t, "21000000 01000000 0100 1000 1027 00000000 57010000 00")) })
	s, err := Open(t.Context(), redir.NewConn(a), o)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); b.Close(); <-r.done })
	return s, r
}

func TestConsolePaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := startSession(t, Options{Chunk: BIOSChunk, Pace: BIOSPace})
		start := time.Now()
		if n, err := s.Write(make([]byte, 100)); n != 100 || err != nil {
			t.Fatal(n, err)
		}
		if took := time.Since(start); took != 6*BIOSPace {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		if got := bytes.Count(r.opcodes(), []byte{opDataToHost}); got != 7 {
			t.Errorf("%d messages", got)
		}
	})
}

func TestConsoleSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := startSession(t, Options{})
		start := time.Now()
		<-s.Done()
		if took := time.Since(start); !errors.Is(s.Err(), ErrSilent) || took != 20*time.Second {
			t.Errorf("%v after %v", s.Err(), took)
		}
		if err := s.Close(); !errors.Is(err, ErrSilent) {
			t.Errorf("Close: %v", err)
		}
	})
}

// A console that does not read is not a machine that does not speak.
func TestConsoleDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := pair(t, Options{}, DeviceOptions{})
		var wg sync.WaitGroup
		wg.Go(func() { d.Write(make([]byte, 200_000)) })
		time.Sleep(time.Minute)
		if s.Err() != nil || d.Err() != nil {
			t.Fatal(s.Err(), d.Err())
		}
		if n, err := io.CopyN(io.Discard, s, 200_000); err != nil {
			t.Error(n, err)
		}
		wg.Wait()
	})
}

func TestConsoleCloses(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := startSession(t, Options{})
			var wg sync.WaitGroup
			start := time.Now()
			wg.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			r.send(t, "23000000 00000000")
			wg.Wait()
			<-r.done
			if got := r.opcodes(); !bytes.Equal(got, []byte{opStart, opEnd, opEndSession}) || time.Since(start) != 0 {
				t.Errorf("% x", got)
			}
		})
	})
	t.Run("no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := startSession(t, Options{})
			start := time.Now()
			if err := s.Close(); err != nil || time.Since(start) != time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("by the machine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := startSession(t, Options{})
			r.send(t, "23000000 00000000")
			if _, err := s.Read(make([]byte, 1)); err != io.EOF {
				t.Error(err)
			}
		})
	})
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		err        error
	}{
		{"garbage", "deadbeef", redir.ErrOpcode},
		{"KVM", "41000000 00000000", redir.ErrOpcode},
		{"cut in data", "2a000000 00000000 0500 61", redir.ErrCut},
		{"cut in a header", "2a0000", redir.ErrCut},
		{"started twice", "21000000 01000000 0100 1000 1027 00000000 57010000 00", redir.ErrOpcode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, r := startSession(t, Options{})
			r.send(t, tt.wire)
			r.Close()
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, tt.err) {
				t.Errorf("console: %v, want %v", err, tt.err)
			}
		})
		t.Run("device/"+tt.name, func(t *testing.T) {
			d, r := startDevice(t, startMesh, DeviceOptions{})
			r.send(t, tt.wire)
			r.Close()
			if _, err := d.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("device: %v", err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	a, b := net.Pipe()
	go func() {
		b.Read(make([]byte, startLen))
		b.Write(wiretest.Hex(t, "21020000 01000000 00000000 00000000 00000000 000000"))
		b.Close()
	}()
	if _, err := Open(t.Context(), redir.NewConn(a), Options{}); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	a, gone := net.Pipe()
	go func() { io.Copy(io.Discard, io.LimitReader(gone, startLen)); gone.Close() }()
	if _, err := Open(t.Context(), redir.NewConn(a), Options{}); !errors.Is(err, redir.ErrCut) {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		start := time.Now()
		if _, err := Accept(t.Context(), redir.NewConn(b), DeviceOptions{}); !errors.Is(err, redir.ErrTimeout) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		a.Close()
	})
}
