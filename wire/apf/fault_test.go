package apf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/guid"
)

// accepted opens a channel from the foreign side and takes it.
func (f *foreign) accepted(d *Session, l *Listener, number, window uint32) *Channel {
	f.t.Helper()
	got := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			f.t.Error(err)
		}
		got <- c
	}()
	f.send(ChannelOpen{TypeForwarded, number, window, "", l.forward.Port, "", 0})
	f.expectKind(KindChannelOpenConfirmation)
	return (<-got).(*Channel)
}

func (f *foreign) listener(d *Session) *Listener {
	f.t.Helper()
	got := make(chan *Listener, 1)
	go func() { got <- listen(f.t, d, 16992) }()
	f.expectKind(KindGlobalRequest)
	f.send(RequestSuccess{true, 16992})
	return <-got
}

// A device with one open channel of number 0 on both sides, window 5000.
func foreignChannel(t testing.TB, cfg Config) (*Session, *foreign, *Channel) {
	if cfg.Window == 0 {
		cfg.Window = 5000
	}
	d, f := foreignDevice(t, cfg)
	f.r.port = nil
	return d, f, f.accepted(d, f.listener(d), 0, 5000)
}

func TestWhatEndsASession(t *testing.T) {
	for _, tt := range []struct {
		name string
		send []byte
		want error
		told DisconnectReason
	}{
		{"garbage", []byte{7, 7, 7, 7}, ErrUnknown, ProtocolError},
		{"a browser", []byte("GET / HTTP/1.1\r\n\r\n"), ErrUnknown, ProtocolError},
		{"MeshCentral's private type", []byte{250, 0, 0, 0, 2, '{', '}'}, ErrUnknown, ProtocolError},
		{"4 GiB of data", unhex(t, "5e 00000000 ffffffff"), ErrTooLong, ProtocolError},
		{"a byte beyond the window", Data{0, make([]byte, 5001)}.Append(nil), ErrWindow, ProtocolError},
		{"the window, and a byte", Data{0, []byte{1}}.Append(Data{0, make([]byte, 5000)}.Append(nil)), ErrWindow, ProtocolError},
		{"confirmation twice", ChannelOpenConfirmation{0, 0, 1}.Append(nil), ErrProtocol, ProtocolError},
		{"confirmation of nothing", ChannelOpenConfirmation{9, 0, 1}.Append(nil), ErrProtocol, ProtocolError},
		{"refusal of an open channel", ChannelOpenFailure{0, 1}.Append(nil), ErrProtocol, ProtocolError},
		{"refusal of nothing", ChannelOpenFailure{0xffffffff, 1}.Append(nil), ErrProtocol, ProtocolError},
		{"a request to a device", GlobalRequest{Name: RequestForward, Port: 1}.Append(nil), ErrProtocol, ProtocolError},
		{"success to no request", RequestSuccess{}.Append(nil), ErrProtocol, ProtocolError},
		{"start-up again", yesForward.Append(nil), ErrProtocol, ProtocolError},
		{"a version", hostVersion.Append(nil), ErrProtocol, ProtocolError},
		{"disconnect", Disconnect{ByPolicy}.Append(nil), errAny, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, f, c := foreignChannel(t, Config{})
			if _, err := f.conn.Write(tt.send); err != nil {
				t.Fatal(err)
			}
			if tt.want != errAny {
				f.ended(d, tt.want, tt.told)
			}
			_, err := io.Copy(io.Discard, c)
			if <-d.Done(); err != d.Err() || err == nil {
				t.Errorf("channel ended with %v, session with %v", err, d.Err())
			}
			var told *DisconnectError
			if tt.want == errAny && (!errors.As(err, &told) || told.Reason != ByPolicy || !strings.Contains(err.Error(), "by policy")) {
				t.Errorf("session ended with %v", err)
			}
		})
	}
}

var errAny = errors.New("any")

func TestWhatDoesNotEndASession(t *testing.T) {
	d, f, c := foreignChannel(t, Config{})
	f.send(
		Data{5, []byte("late")}, Data{0xffffffff, nil},
		WindowAdjust{5, 1}, WindowAdjust{0xffffffff, 0xffffffff},
		ChannelClose{5}, ChannelClose{0xffffffff},
		KeepAliveReply{77}, KeepAliveOptionsReply{1, 2}, RequestFailure{},
		Data{0, nil},
		WindowAdjust{0, 0xffffffff}, WindowAdjust{0, 0xffffffff}, // more than 2^32-1 in all
		Data{0, make([]byte, 5000)}, // exactly the window
		KeepAliveRequest{5},
	)
	f.expect(KeepAliveReply{5})
	if n, err := io.ReadFull(c, make([]byte, 5000)); err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	f.expect(WindowAdjust{0, 5000})
	if c.window != 1<<32-1 {
		t.Errorf("window %d", c.window)
	}
	// Our close and the peer's data cross.
	c.Close()
	f.expect(ChannelClose{0})
	f.send(Data{0, make([]byte, 5000)}, ChannelClose{0}, KeepAliveRequest{6})
	f.expect(KeepAliveReply{6})
	if d.used != 0 {
		t.Errorf("%d channels left", d.used)
	}
}

// Even what nobody will read counts.
func TestWindowOfAClosedChannel(t *testing.T) {
	d, f, c := foreignChannel(t, Config{})
	c.Close()
	f.expect(ChannelClose{0})
	f.send(Data{0, make([]byte, 5000)}, Data{0, make([]byte, 1)})
	f.ended(d, ErrWindow, ProtocolError)
}

// Firmware was seen to send up to 4 KiB into smaller windows.
func TestSmallWindowHasSlack(t *testing.T) {
	d, f, c := foreignChannel(t, Config{Window: 1024})
	f.send(Data{0, make([]byte, 4096)})
	if _, err := io.ReadFull(c, make([]byte, 4096)); err != nil {
		t.Error(err)
	}
	f.expectKind(KindWindowAdjust)
	d.Disconnect(ByApplication)
	<-d.Done()

	d, f, _ = foreignChannel(t, Config{Window: 1024})
	f.send(Data{0, make([]byte, 4097)})
	f.ended(d, ErrWindow, ProtocolError)
}

// Data before the confirmation.
func TestEarlyData(t *testing.T) {
	d, f := foreignDevice(t, Config{})
	dialled := make(chan error, 1)
	go func() {
		_, err := d.Open(t.Context(), ChannelOpen{})
		dialled <- err
	}()
	f.expectKind(KindChannelOpen)
	f.send(Data{0, []byte("hello")})
	f.ended(d, ErrProtocol, ProtocolError)
	if err := <-dialled; !errors.Is(err, ErrProtocol) {
		t.Errorf("open: %v", err)
	}
}

func TestFloodOfOpens(t *testing.T) {
	d, f := foreignDevice(t, Config{})
	f.r.port = nil
	f.listener(d)
	const n = 10000
	go func() {
		for i := range uint32(n) {
			f.send(ChannelOpen{TypeForwarded, i, 1, "", 16992, "", 0})
		}
	}()
	for i := range uint32(n - 256) {
		f.expect(ChannelOpenFailure{256 + i, ResourceShortage})
	}
	if d.used != 256 || len(d.channels) != 256 {
		t.Errorf("%d channels", d.used)
	}
	f.send(KeepAliveRequest{1}) // it lives
	f.expect(KeepAliveReply{1})
}

// A peer that asks without reading the answers costs a limit, then its session.
func TestFloodWithoutReading(t *testing.T) {
	a, b := net.Pipe()
	go func() {
		m := KeepAliveRequest{1}.Append(nil)
		b.Write(deviceVersion.Append(nil))
		b.Write(askForward.Append(nil))
		b.SetReadDeadline(time.Now().Add(10 * time.Second))
		io.ReadFull(b, make([]byte, len(yesForward.Append(nil))))
		many := make([]byte, 0, 100*len(m))
		for range 100 {
			many = append(many, m...)
		}
		for {
			if _, err := b.Write(many); err != nil {
				return
			}
		}
	}()
	s, err := Server(t.Context(), a, Config{SkipAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	<-s.ending
	b.Close()
	if <-s.Done(); !errors.Is(s.Err(), ErrFlood) {
		t.Errorf("ended with %v", s.Err())
	}
	if n := cap(s.out.control.b); n > 2*maxControl {
		t.Errorf("%d bytes waited", n)
	}
}

func TestFloodOfRequests(t *testing.T) {
	block := make(chan struct{})
	s, f := foreignServer(t, Config{OnForward: func(ctx context.Context, _ Forward) error {
		<-ctx.Done()
		close(block)
		return ctx.Err()
	}})
	for i := range uint32(2 * maxRequests) {
		f.conn.Write(GlobalRequest{Name: RequestForward, WantReply: true, Port: 1 + i}.Append(nil))
	}
	<-block
	f.ended(s, ErrFlood, ByPolicy)
}

func TestTooManyForwards(t *testing.T) {
	s, f := foreignServer(t, Config{KeepAlive: -1})
	for i := range uint32(maxForwards) {
		f.send(GlobalRequest{Name: RequestForward, WantReply: true, Port: 1 + i})
		f.r.port = func() bool { return true }
		f.expect(RequestSuccess{true, 1 + i})
	}
	for _, port := range []uint32{1, 1000, 0, 65536} {
		f.send(GlobalRequest{Name: RequestForward, WantReply: true, Port: port})
		f.expect(RequestFailure{})
	}
	f.send(GlobalRequest{Name: RequestCancel, WantReply: true, Port: 1000})
	f.expect(RequestFailure{})
	f.send(GlobalRequest{Name: RequestUDP, WantReply: true})
	f.expect(RequestFailure{})
	f.send(GlobalRequest{Name: RequestForward, Port: 1000}) // wants no reply
	f.r.port = nil
	f.send(GlobalRequest{Name: RequestCancel, WantReply: true, Port: 1})
	f.expect(RequestSuccess{})
	if got := len(s.Forwards()); got != maxForwards-1 {
		t.Errorf("%d ports", got)
	}
}

func TestStartUpThatFails(t *testing.T) {
	t.Run("silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			go io.Copy(io.Discard, b)
			start := time.Now()
			if _, err := Server(ctx, a, Config{SkipAuth: true}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("a peer that takes nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			if _, err := Device(ctx, a, Config{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second+linger {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("wrong password", func(t *testing.T) {
		a, b := net.Pipe()
		var deviceErr error
		var wg sync.WaitGroup
		wg.Go(func() {
			_, deviceErr = Device(t.Context(), a, Config{User: "admin", Password: "hunter22"})
		})
		auth := Config{Auth: serverAuthNobody}
		_, err := Server(t.Context(), b, auth)
		wg.Wait()
		if !errors.Is(err, ErrAuth) || !errors.Is(deviceErr, ErrAuth) {
			t.Errorf("server %v; device %v", err, deviceErr)
		}
		if text := fmt.Sprint(err, deviceErr); strings.Contains(text, "hunter22") || !strings.Contains(text, `"admin"`) {
			t.Error(text)
		}
	})
	t.Run("MPS refuses with a byte more", func(t *testing.T) {
		a, b := bufferedPipe()
		f := &foreign{t: t, conn: b}
		f.send(yesAuth, UserAuthFailure{MethodPassword, false})
		b.Write([]byte{0})
		if _, err := Device(t.Context(), a, Config{User: "admin"}); !errors.Is(err, ErrAuth) {
			t.Error(err)
		}
	})
	t.Run("channel too early", func(t *testing.T) {
		a, b := bufferedPipe()
		f := &foreign{t: t, conn: b}
		f.send(deviceVersion, ChannelOpen{Type: TypeDirect})
		if _, err := Server(t.Context(), a, Config{SkipAuth: true}); !errors.Is(err, ErrProtocol) {
			t.Error(err)
		}
	})
	t.Run("hangs up", func(t *testing.T) {
		a, b := bufferedPipe()
		b.Close()
		if _, err := Server(t.Context(), a, Config{SkipAuth: true}); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	t.Run("no way in", func(t *testing.T) {
		a, b := net.Pipe()
		if _, err := Server(t.Context(), a, Config{}); err != errConfig {
			t.Error(err)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("connection left open: %v", err)
		}
	})
}

func serverAuthNobody(context.Context, guid.GUID, UserAuthRequest) bool { return false }

// The cable is cut at every byte of a conversation: everything ends, nothing hangs.
func TestCutAnywhere(t *testing.T) {
	for cut := 0; cut < 700; cut += 1 + cut/40 {
		a, b := net.Pipe()
		short := &cutConn{Conn: b, left: cut}
		var wg sync.WaitGroup
		wg.Go(func() {
			d, err := Device(t.Context(), a, Config{})
			if err != nil {
				return
			}
			l, err := d.Listen(t.Context(), "", 16992)
			if err == nil {
				if c, err := l.Accept(); err == nil {
					io.Copy(c, c)
				}
			}
			<-d.Done()
		})
		s, err := Server(t.Context(), short, Config{SkipAuth: true})
		if err == nil {
			if c, err := s.Dial(t.Context(), 16992); err == nil {
				for err == nil {
					_, err = c.Write(make([]byte, 50))
				}
			}
			s.Disconnect(0)
			<-s.Done()
		}
		wg.Wait()
	}
}

// cutConn breaks after some bytes in both directions.
type cutConn struct {
	net.Conn
	mu   sync.Mutex
	left int // guarded by mu
}

func (c *cutConn) spend(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, c.left)
	c.left -= n
	return n
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if got := c.spend(n); got < n {
		c.Conn.Close()
		return got, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	n := c.spend(len(p))
	got, err := c.Conn.Write(p[:n])
	if n < len(p) {
		c.Conn.Close()
		return got, io.ErrClosedPipe
	}
	return got, err
}

// Whatever a peer sends after the start-up, in whatever pieces, the session neither panics nor hangs nor grows.
func FuzzSession(f *testing.F) {
	for _, tt := range wires {
		f.Add(unhex(f, tt.wire), uint64(1))
	}
	stream, _ := conversation(f)
	f.Add(stream, uint64(2))
	open := ChannelOpen{TypeForwarded, 1, 100, "", 16992, "", 0}.Append(nil)
	f.Add(ChannelClose{0}.Append(Data{0, []byte("GET /")}.Append(open)), uint64(3))
	f.Add(ChannelOpen{TypeDirect, 1, 100, "", 0, "", 0}.Append(Data{0, nil}.Append(open)), uint64(6))
	f.Add(WindowAdjust{0, 50}.Append(ChannelOpenConfirmation{0, 3, 10}.Append(nil)), uint64(5))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		ours, theirs := memPipe(seed&4 != 0)
		f := &foreign{t: t, conn: theirs}
		cfg := Config{LME: seed&4 != 0, SkipAuth: true, Direct: true, Window: 5000, MaxChannels: 4}
		var s *Session
		var err error
		if seed&1 == 0 {
			f.send(deviceVersion, askForward)
			s, err = Server(t.Context(), ours, cfg)
		} else {
			if cfg.LME {
				f.send(hostVersion)
			}
			f.send(yesForward)
			s, err = Device(t.Context(), ours, cfg)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var users sync.WaitGroup
		echo := func(c *Channel) {
			users.Go(func() { io.Copy(c, c); c.Close() })
		}
		if s.role == server {
			users.Go(func() {
				for {
					o, err := s.Accept(ctx)
					if err != nil {
						return
					}
					if c, err := o.Accept(); err == nil {
						echo(c)
					}
				}
			})
		} else {
			users.Go(func() {
				l, err := s.Listen(ctx, "", 16992)
				if err != nil {
					return
				}
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					echo(c.(*Channel))
				}
			})
		}
		users.Go(func() {
			if c, err := s.Open(ctx, ChannelOpen{Port: 16992}); err == nil {
				c.Write([]byte("hello"))
				c.Close()
			}
		})
		for len(b) > 0 {
			n := min(1+random.IntN(64), len(b))
			theirs.Write(b[:n])
			b = b[n:]
			runtime.Gosched()
		}
		if seed&2 == 0 {
			theirs.Close()
		} else {
			s.Disconnect(ByApplication)
		}
		cancel()
		<-s.Done()
		users.Wait()
		if s.Err() == nil || s.used > 4 || len(s.channels) > 4 {
			t.Fatalf("ended with %v, %d channels", s.Err(), s.used)
		}
		for _, c := range s.channels {
			if c != nil && len(c.in.b) > 8192 {
				t.Fatalf("%d bytes for a window of 5000", len(c.in.b))
			}
		}
	})
}
