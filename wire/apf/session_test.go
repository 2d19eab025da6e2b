package apf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outband/outband/wire/guid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair starts a device and a server on a pipe, and ends both with the test.
func pair(t testing.TB, dev, srv Config) (d, s *Session) {
	t.Helper()
	a, b := net.Pipe()
	return pairOn(t, a, b, dev, srv)
}

func pairOn(t testing.TB, a, b io.ReadWriteCloser, dev, srv Config) (d, s *Session) {
	t.Helper()
	dev.Version.UUID = machine
	if srv.Auth == nil {
		srv.SkipAuth = true
	}
	var err, deviceErr error
	var wg sync.WaitGroup
	wg.Go(func() { d, deviceErr = Device(t.Context(), a, dev) })
	s, err = Server(t.Context(), b, srv)
	wg.Wait()
	if err != nil || deviceErr != nil {
		t.Fatalf("server: %v; device: %v", err, deviceErr)
	}
	t.Cleanup(func() {
		d.Close()
		s.Close()
	})
	return d, s
}

// listen has a port forwarded and gives back what it accepts.
func listen(t testing.TB, d *Session, port int) *Listener {
	t.Helper()
	l, err := d.Listen(t.Context(), "amt", port)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connected returns both ends of a channel.
func connected(t testing.TB, d, s *Session) (accepted, dialled net.Conn) {
	t.Helper()
	l := listen(t, d, 16992)
	defer l.Close()
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { accepted, err = l.Accept() })
	dialled, dialErr := s.Dial(t.Context(), 16992)
	wg.Wait()
	if err != nil || dialErr != nil {
		t.Fatalf("accept: %v; dial: %v", err, dialErr)
	}
	return accepted, dialled
}

func TestWholeConversation(t *testing.T) {
	secret := UserAuthRequest{"admin", ServiceForward, MethodPassword, "P@ssw0rd"}
	forwards := make(chan Forward, 8)
	cancels := make(chan Forward, 8)
	d, s := pair(t,
		Config{User: secret.User, Password: secret.Password, Version: ProtocolVersion{Trigger: TriggerAlert}},
		Config{
			Auth: func(_ context.Context, device guid.GUID, r UserAuthRequest) bool {
				return device == machine && r == secret
			},
			OnForward: func(_ context.Context, f Forward) error {
				if f.Port == 5900 {
					return errors.New("taken")
				}
				forwards <- f
				return nil
			},
			OnCancel: func(_ context.Context, f Forward) { cancels <- f },
		})
	if got, want := s.Peer(), (ProtocolVersion{1, 0, TriggerAlert, machine}); got != want {
		t.Errorf("machine %+v, want %+v", got, want)
	}
	if s.User() != "admin" {
		t.Errorf("user %q", s.User())
	}

	l := listen(t, d, 16992)
	if got := l.Addr().String(); got != "amt:16992" {
		t.Errorf("address %v", got)
	}
	want := Forward{"amt", 16992}
	if f, err := s.WaitForward(t.Context(), 16993, 16992); f != want || err != nil {
		t.Errorf("%v, %v; want %v", f, err, want)
	}
	if got := s.Forwards(); !slices.Equal(got, []Forward{want}) || <-forwards != want {
		t.Errorf("forwards %v", got)
	}
	if _, err := d.Listen(t.Context(), "", 16992); err == nil {
		t.Error("listens twice")
	}
	if _, err := d.Listen(t.Context(), "", 5900); !errors.Is(err, ErrRefused) {
		t.Errorf("refused port: %v", err)
	}

	var wg sync.WaitGroup
	wg.Go(func() { // an echo
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		if c.LocalAddr().String() != "amt:16992" || c.RemoteAddr().String() != "127.0.0.1:1024" || c.LocalAddr().Network() != "apf" {
			t.Errorf("accepted %v from %v", c.LocalAddr(), c.RemoteAddr())
		}
		io.Copy(c, c)
		c.Close()
	})
	c, err := s.Dial(t.Context(), 16992)
	if err != nil {
		t.Fatal(err)
	}
	if c.RemoteAddr().String() != "amt:16992" || c.LocalAddr().String() != "127.0.0.1:1024" {
		t.Errorf("dialled %v from %v", c.RemoteAddr(), c.LocalAddr())
	}
	if _, err := io.WriteString(c, "GET /"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c, buf); string(buf) != "GET /" || err != nil {
		t.Fatalf("%q, %v", buf, err)
	}
	c.Close()
	wg.Wait()
	if _, err := c.Read(buf); err != net.ErrClosed {
		t.Errorf("read after close: %v", err)
	}
	if _, err := c.Write(buf); err != net.ErrClosed {
		t.Errorf("write after close: %v", err)
	}
	if err := c.SetDeadline(time.Now()); err != net.ErrClosed {
		t.Errorf("deadline after close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}

	var refused *OpenError
	if _, err := s.Dial(t.Context(), 623); !errors.As(err, &refused) || refused.Reason != ConnectFailed || refused.Port != 623 {
		t.Errorf("port that nobody listens on: %v", err)
	}
	if _, err := d.Open(t.Context(), ChannelOpen{Port: 80}); !errors.As(err, &refused) || refused.Reason != UnknownChannelType {
		t.Errorf("direct channel to a gateway: %v", err)
	}
	if _, err := s.Open(t.Context(), ChannelOpen{Type: TypeDirect, Port: 16992}); !errors.As(err, &refused) || refused.Reason != UnknownChannelType {
		t.Errorf("direct channel to a machine: %v", err)
	}
	if err := l.Close(); err != nil || <-cancels != want {
		t.Error(err)
	}
	if _, err := l.Accept(); err != net.ErrClosed {
		t.Errorf("accept after close: %v", err)
	}
	if _, err := s.Listen(t.Context(), "", 1); err == nil {
		t.Error("a server listens")
	}
	if _, err := s.Accept(t.Context()); err == nil {
		t.Error("a server without Direct accepts")
	}

	s.Close()
	var told *DisconnectError
	if <-d.Done(); !errors.As(d.Err(), &told) || told.Reason != ByApplication {
		t.Errorf("device ended with %v", d.Err())
	}
	if !errors.Is(s.Err(), net.ErrClosed) {
		t.Errorf("server ended with %v", s.Err())
	}
	for name, err := range map[string]error{
		"dial":    second(s.Dial(t.Context(), 16992)),
		"wait":    second(s.WaitForward(t.Context())),
		"listen":  second(d.Listen(t.Context(), "", 1)),
		"sendudp": d.SendUDP(Addr{}, Addr{}, nil),
	} {
		if err == nil {
			t.Errorf("%s after the end", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// What was written before Close arrives, though nobody waits for it.
func TestCloseFlushes(t *testing.T) {
	for range 20 {
		d, s := pair(t, Config{}, Config{})
		a, c := connected(t, d, s)
		want := make([]byte, 100_000)
		var wg sync.WaitGroup
		wg.Go(func() {
			c.Write(want)
			s.Close()
		})
		got, err := io.ReadAll(a)
		var told *DisconnectError
		if len(got) != len(want) || !errors.As(err, &told) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
		}
		wg.Wait()
	}
}

func TestDirect(t *testing.T) {
	d, s := pair(t, Config{LME: true}, Config{LME: true, Direct: true})
	var wg sync.WaitGroup
	wg.Go(func() {
		o, err := s.Accept(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if o.Address != "localhost" || o.Port != 0 || o.OriginAddress != "127.0.0.1" {
			t.Errorf("asked for %+v", o.ChannelOpen)
		}
		c, err := o.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		if got, err := io.ReadAll(c); string(got) != "POST / HTTP/1.1" || err != nil {
			t.Errorf("alert %q, %v", got, err)
		}
		c.Close()
		if _, err := o.Accept(); err == nil {
			t.Error("accepted twice")
		}

		o, err = s.Accept(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if err := o.Refuse(ConnectFailed); err != nil {
			t.Error(err)
		}
		if _, err := o.Accept(); err == nil {
			t.Error("accepted after refusal")
		}
	})
	c, err := d.Open(t.Context(), ChannelOpen{Address: "localhost", OriginAddress: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST / HTTP/1.1")
	c.Close()
	var refused *OpenError
	if _, err := d.Open(t.Context(), ChannelOpen{Address: "10.0.0.1", Port: 443}); !errors.As(err, &refused) || refused.Reason != ConnectFailed {
		t.Errorf("refused: %v", err)
	}
	wg.Wait()
}

func TestUDP(t *testing.T) {
	got := make(chan GlobalRequest, 1)
	d, _ := pair(t, Config{}, Config{OnUDP: func(_ context.Context, m GlobalRequest) {
		m.Payload = bytes.Clone(m.Payload)
		got <- m
	}})
	if err := d.SendUDP(Addr{"10.0.0.1", 162}, Addr{"10.0.0.2", 161}, []byte("trap")); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m.Address != "10.0.0.1" || m.Port != 162 || m.OriginAddress != "10.0.0.2" || m.OriginPort != 161 || string(m.Payload) != "trap" {
		t.Errorf("%+v", m)
	}
	if err := d.SendUDP(Addr{}, Addr{}, make([]byte, MaxDatagram+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("long datagram: %v", err)
	}
}

// Many channels, both directions, checked bytes, with all kinds of configuration.
func TestManyChannels(t *testing.T) {
	for _, tt := range []struct {
		name     string
		dev, srv Config
	}{
		{"defaults", Config{}, Config{}},
		{"small windows", Config{Window: 1000}, Config{Window: 1024}},
		{"window of one byte", Config{Window: 1, MaxChannels: 3}, Config{Window: 5}},
		{"LME", Config{LME: true}, Config{LME: true}},
		{"each message by itself", Config{MaxMessage: 4096}, Config{MaxMessage: 128}},
		{"uneven", Config{Window: 1 << 20, MaxData: 1 << 20}, Config{Window: 4096, MaxData: 77}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, s := pair(t, tt.dev, tt.srv)
			n, size := 32, 64<<10
			if tt.dev.MaxChannels != 0 {
				n, size = tt.dev.MaxChannels, 3000
			}
			l := listen(t, d, 16994)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					c, err := l.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(c, c)
					c.Close()
				})
				wg.Go(func() {
					c, err := s.Dial(t.Context(), 16994)
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					random := rand.New(rand.NewPCG(uint64(i), 5))
					want := make([]byte, size)
					for i := range want {
						want[i] = byte(random.Uint32())
					}
					var writer sync.WaitGroup
					writer.Go(func() {
						for p := want; len(p) > 0; {
							n := min(1+random.IntN(20000), len(p))
							if got, err := c.Write(p[:n]); got != n || err != nil {
								t.Errorf("wrote %d of %d: %v", got, n, err)
								return
							}
							p = p[n:]
						}
					})
					got := make([]byte, size)
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
						t.Errorf("channel %d: other bytes came back: %v", i, err)
					}
					writer.Wait()
				})
			}
			wg.Wait()
		})
	}
}

// A reader that does not read costs its window, and nobody else anything.
func TestSlowReaderStallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := pair(t, Config{Window: 8000}, Config{})
		l := listen(t, d, 16992)
		open := func() (accepted, dialled net.Conn) {
			var wg sync.WaitGroup
			wg.Go(func() { accepted, _ = l.Accept() })
			dialled, err := s.Dial(t.Context(), 16992)
			if err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			return accepted, dialled
		}
		slow, to := open()
		to.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := to.Write(make([]byte, 20000)); n != 8000 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d, %v; want the window, 8000", n, err)
		}
		fast, from := open()
		for range 100 {
			if _, err := from.Write(make([]byte, 4000)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(fast, make([]byte, 4000)); err != nil {
				t.Fatal(err)
			}
		}
		// One byte less than a quarter is not worth a message; a quarter is.
		to.SetWriteDeadline(time.Time{})
		io.ReadFull(slow, make([]byte, 1999))
		synctest.Wait()
		if w := to.(*Channel).window; w != 0 {
			t.Errorf("granted %d after 1999 bytes", w)
		}
		io.ReadFull(slow, make([]byte, 1))
		synctest.Wait()
		if w := to.(*Channel).window; w != 2000 {
			t.Errorf("granted %d after 2000 bytes", w)
		}
		if n, err := to.Write(make([]byte, 2000)); n != 2000 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		d.Close()
		s.Close()
	})
}

func TestChannelLimit(t *testing.T) {
	d, s := pair(t, Config{MaxChannels: 8}, Config{})
	l := listen(t, d, 16992)
	var open []net.Conn
	for range 8 {
		var wg sync.WaitGroup
		wg.Go(func() { l.Accept() })
		c, err := s.Dial(t.Context(), 16992)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		wg.Wait()
	}
	var refused *OpenError
	if _, err := s.Dial(t.Context(), 16992); !errors.As(err, &refused) || refused.Reason != ResourceShortage {
		t.Errorf("ninth: %v", err)
	}
	if _, err := d.Open(t.Context(), ChannelOpen{}); !errors.Is(err, ErrChannels) {
		t.Errorf("ninth from the other side: %v", err)
	}
	open[3].Close()
	var wg sync.WaitGroup
	wg.Go(func() { l.Accept() })
	c, err := s.Dial(t.Context(), 16992)
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if c.(*Channel).remote != 3 {
		t.Errorf("number %d, want the lowest that is free", c.(*Channel).remote)
	}
}

func TestDialGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := pair(t, Config{}, Config{})
		l := listen(t, d, 16992)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too slow"))
		defer cancel()
		if _, err := s.Dial(ctx, 16992); err == nil || err.Error() != "apf: open channel to port 16992: too slow" {
			t.Fatalf("dial: %v", err)
		}
		c, err := l.Accept() // late
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
		synctest.Wait()
		if s.used != 0 || d.used != 0 {
			t.Errorf("channels left: %d, %d", s.used, d.used)
		}
		d.Close()
		s.Close()
	})
}

// On LME a host may start over at any time: channels end, ports are asked for again.
func TestHostStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := packetPipe()
		done := make(chan struct{})
		var d *Session
		go func() {
			defer close(done)
			var err error
			if d, err = Device(t.Context(), a, Config{LME: true}); err != nil {
				t.Error(err)
			}
		}()
		host := &foreign{t: t, conn: b, r: NewPacketReader(b)}
		host.expect(ProtocolVersion{Major: 1})
		host.send(ProtocolVersion{Major: 1, Trigger: 9})
		host.send(ProtocolVersion{Major: 1}) // back
		host.expect(askForward)
		host.send(yesForward)
		<-done
		got := make(chan *Listener, 2)
		for _, port := range []int{16993, 664} {
			go func() { got <- listen(t, d, port) }()
			host.expect(GlobalRequest{Name: RequestForward, WantReply: true, Address: "amt", Port: uint32(port)})
			host.send(RequestSuccess{true, uint32(port)})
		}
		<-got
		<-got
		go d.listener(16993).Accept()
		host.send(ChannelOpen{TypeForwarded, 7, 4096, "::1", 16993, "::1", 123})
		host.expect(ChannelOpenConfirmation{7, 0, 4096})
		old := d.channel(0)

		host.send(ProtocolVersion{Major: 1, Trigger: 9})
		host.expect(ProtocolVersion{Major: 1})
		host.send(ProtocolVersion{Major: 1}) // back
		host.expect(askForward)
		if _, err := old.Read(make([]byte, 1)); !errors.Is(err, ErrRestarted) {
			t.Errorf("read: %v", err)
		}
		if _, err := d.Open(t.Context(), ChannelOpen{}); !errors.Is(err, ErrRestarted) {
			t.Errorf("open: %v", err)
		}
		host.send(yesForward)
		for _, port := range []uint32{16993, 664} {
			host.expect(GlobalRequest{Name: RequestForward, WantReply: true, Address: "amt", Port: port})
			host.send(RequestSuccess{true, port})
		}
		host.send(RequestFailure{}) // MeshCentral answers datagrams
		go d.listener(664).Accept()
		host.send(ChannelOpen{TypeForwarded, 8, 4096, "::1", 664, "::1", 123})
		host.expect(ChannelOpenConfirmation{8, 0, 4096})
		go d.Close()
		host.expect(Disconnect{ByApplication})
		b.Close()
		<-d.Done()
	})
}

// Firmware that starts over loses its forwards, and LMS hears of it.
func TestFirmwareStartsOver(t *testing.T) {
	a, b := packetPipe()
	cancels := make(chan Forward, 1)
	cfg := Config{LME: true, OnCancel: func(_ context.Context, f Forward) { cancels <- f }}
	amt := &foreign{t: t, conn: a, r: NewPacketReader(a)}
	done := make(chan struct{})
	var s *Session
	go func() {
		defer close(done)
		s, _ = Server(t.Context(), b, cfg)
	}()
	for range 2 {
		amt.send(deviceVersion)
		amt.expect(hostVersion)
		amt.send(askForward)
		amt.expect(yesForward)
		amt.send(GlobalRequest{Name: RequestForward, WantReply: true, Port: 16993})
		amt.expect(RequestSuccess{true, 16993})
		<-done
		amt.send(GlobalRequest{Name: RequestForward, WantReply: true, Port: 16993})
		amt.expect(RequestFailure{}) // the same port twice
		amt.send(GlobalRequest{Name: "hello", WantReply: true, Payload: []byte("?")})
		amt.expect(RequestFailure{})
	}
	if f := <-cancels; f.Port != 16993 {
		t.Errorf("cancelled %v", f)
	}
	if got := s.Forwards(); len(got) != 1 {
		t.Errorf("forwards %v", got)
	}
	go s.Close()
	amt.expect(Disconnect{ByApplication})
	a.Close()
	<-s.Done()
}

// A MeshCentral host program never answers the close of a channel that the firmware has opened.
func TestForgottenCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev, host := foreignDevice(t, Config{MaxChannels: 2})
		for i := range uint32(2) {
			opened := make(chan *Channel, 1)
			go func() {
				c, err := dev.Open(t.Context(), ChannelOpen{})
				if err != nil {
					t.Error(err)
				}
				opened <- c
			}()
			host.expectKind(KindChannelOpen)
			host.send(ChannelOpenConfirmation{i, i, 4000})
			c := <-opened
			c.Close()
			host.expect(ChannelClose{i})
		}
		if _, err := dev.Open(t.Context(), ChannelOpen{}); !errors.Is(err, ErrChannels) {
			t.Fatalf("third: %v", err)
		}
		time.Sleep(forgetClosing + time.Second)
		go dev.Open(t.Context(), ChannelOpen{})
		host.expectKind(KindChannelOpen)
		host.conn.Close()
		<-dev.Done()
	})
}

// foreign speaks messages, and nothing by itself.
type foreign struct {
	t    testing.TB
	conn io.ReadWriteCloser
	r    *Reader
}

func (f *foreign) send(messages ...message) {
	f.t.Helper()
	for _, m := range messages {
		if _, err := f.conn.Write(m.Append(nil)); err != nil {
			f.t.Errorf("send %+v: %v", m, err)
		}
	}
}

func (f *foreign) expect(want message) {
	f.t.Helper()
	got, err := f.r.Next()
	if b := want.Append(nil); err != nil || !bytes.Equal(got, b) {
		f.t.Fatalf("got %x, %v; want %+v, %x", got, err, want, b)
	}
}

func (f *foreign) expectKind(want Kind) {
	f.t.Helper()
	got, err := f.r.Next()
	if err != nil || Kind(got[0]) != want {
		f.t.Fatalf("got %x, %v; want %v", got, err, want)
	}
}

// ended waits for the session's end and its last message.
func (f *foreign) ended(s *Session, want error, told DisconnectReason) {
	f.t.Helper()
	if told != 0 {
		f.expect(Disconnect{told})
	}
	<-s.Done()
	if !errors.Is(s.Err(), want) {
		f.t.Errorf("ended with %v, want %v", s.Err(), want)
	}
	f.conn.Close()
}

// foreignDevice is a device of ours that has been started up by a foreign server.
func foreignDevice(t testing.TB, cfg Config) (*Session, *foreign) {
	a, b := bufferedPipe()
	f := &foreign{t: t, conn: b, r: NewReader(b, nil)}
	f.send(yesForward)
	s, err := Device(t.Context(), a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.expectKind(KindProtocolVersion)
	f.expect(askForward)
	t.Cleanup(func() { s.Disconnect(0) })
	return s, f
}

// foreignServer is a server of ours that has been started up by a foreign machine.
func foreignServer(t testing.TB, cfg Config) (*Session, *foreign) {
	a, b := bufferedPipe()
	f := &foreign{t: t, conn: b, r: NewReader(b, nil)}
	cfg.SkipAuth = true
	f.send(deviceVersion, askForward)
	s, err := Server(t.Context(), a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.expect(yesForward)
	t.Cleanup(func() { s.Disconnect(0) })
	return s, f
}

// A memConn is one end of a connection in memory that takes writes without a reader, as sockets do.
type memConn struct{ in, out *memQueue }

type memQueue struct {
	mu      sync.Mutex // guards what follows
	wake    sync.Cond
	list    [][]byte
	packets bool
	closed  bool
}

func memPipe(packets bool) (a, b *memConn) {
	one, two := &memQueue{packets: packets}, &memQueue{packets: packets}
	one.wake.L, two.wake.L = &one.mu, &two.mu
	return &memConn{one, two}, &memConn{two, one}
}

func bufferedPipe() (a, b *memConn) { return memPipe(false) }
func packetPipe() (a, b *memConn)   { return memPipe(true) }

func (c *memConn) Write(p []byte) (int, error) {
	q := c.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, io.ErrClosedPipe
	}
	q.list = append(q.list, bytes.Clone(p))
	q.wake.Broadcast()
	return len(p), nil
}

func (c *memConn) Read(p []byte) (int, error) {
	q := c.in
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.list) == 0 && !q.closed {
		q.wake.Wait()
	}
	if len(q.list) == 0 {
		return 0, io.EOF
	}
	n := copy(p, q.list[0])
	if q.list[0] = q.list[0][n:]; len(q.list[0]) == 0 || q.packets {
		q.list = q.list[1:]
	}
	return n, nil
}

func (c *memConn) Close() error {
	for _, q := range []*memQueue{c.in, c.out} {
		q.mu.Lock()
		q.closed = true
		q.wake.Broadcast()
		q.mu.Unlock()
	}
	return nil
}
