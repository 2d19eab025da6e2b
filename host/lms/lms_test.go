package lms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/mei"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeME is a management engine whose only client is LME. Each session with it comes out of sessions.
type fakeME struct {
	engine   *mei.Engine
	bus      *mei.Host
	sessions chan *apf.Session
}

func newME(t *testing.T, most int) *fakeME {
	t.Helper()
	m := &fakeME{engine: mei.NewEngine(), bus: mei.NewHost(), sessions: make(chan *apf.Session, 16)}
	err := m.engine.Add(mei.Client{Properties: mei.Properties{Client: mei.LME, Version: 1, MaxConnections: 1, MaxMsgLen: 5120}, Serve: func(ctx context.Context, c mei.Conn) {
		s, err := apf.Device(ctx, c, apf.Config{LME: true, MaxChannels: most, MaxMessage: 4096})
		if err != nil {
			return
		}
		m.sessions <- s
		<-s.Done()
	}})
	if err != nil {
		t.Fatal(err)
	}
	there, here := mei.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { m.engine.Run(ctx, here) })
	work.Go(func() { m.bus.Run(ctx, there) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	if err := m.bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// serve takes connections to a port until the session ends.
func serve(t *testing.T, s *apf.Session, port int, f func(net.Conn)) {
	t.Helper()
	ln, err := s.Listen(t.Context(), "", port)
	if err != nil {
		t.Error(err)
		return
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				f(conn)
			})
		}
	})
	t.Cleanup(func() {
		s.Close()
		work.Wait()
	})
}

func echo(conn net.Conn) { io.Copy(conn, conn) }

// A world is a service that runs.
type world struct {
	me      *fakeME
	address string
	states  chan State
	stop    func() error
}

// start runs a service on an address of its own.
func start(t *testing.T, me *fakeME, change func(*Service)) *world {
	t.Helper()
	at := netip.AddrFrom4([4]byte{127, byte(100 + rand.N(100)), byte(rand.N(256)), byte(1 + rand.N(254))})
	w := &world{me: me, address: at.String(), states: make(chan State, 256)}
	s := &Service{Bus: me.bus, Addresses: []netip.Addr{at}, OnState: func(s State) { w.states <- s }}
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { w.stop() })
	return w
}

// until waits for the ports.
func (w *world) until(t *testing.T, ports ...int) {
	t.Helper()
	for {
		select {
		case s := <-w.states:
			if slices.Equal(s.Ports, ports) {
				return
			}
		case <-t.Context().Done():
			t.Fatal("the test ended")
		}
	}
}

func (w *world) dial(t *testing.T, port int) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort(w.address, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// Many connections at once carry much both ways, whole and in order, and more than the firmware has channels get theirs.
func TestTransfers(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, nil)
	serve(t, <-me.sessions, 16992, echo)
	w.until(t, 16992)
	const size = 300 << 10
	var work sync.WaitGroup
	for i := range 3 * channels {
		work.Go(func() {
			conn, err := net.Dial("tcp", w.address+":16992")
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			want := bytes.Repeat([]byte(fmt.Sprintf("%04d", i)), size/4)
			work.Go(func() { conn.Write(want) })
			got := make([]byte, size)
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("connection %d: differs, %v", i, err)
			}
		})
	}
	work.Wait()
	if err := w.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if _, err := net.Dial("tcp", w.address+":16992"); err == nil {
		t.Error("still listening after the end")
	}
}

// A program that has sent its request and closed its direction gets the whole answer; when AMT closes, the program reads
// to the end although it still sends.
func TestHalfClose(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, nil)
	s := <-me.sessions
	answer := strings.Repeat("answer ", 20000)
	serve(t, s, 16992, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, 7))
		io.WriteString(conn, answer)
	})
	w.until(t, 16992)
	for _, half := range []bool{true, false} {
		conn := w.dial(t, 16992)
		io.WriteString(conn, "request")
		if half {
			conn.CloseWrite()
		} else {
			io.WriteString(conn, " and what nobody reads")
		}
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != answer {
			t.Errorf("half %v: %d of %d octets, %v", half, len(got), len(answer), err)
		}
	}
}

// An answer goes on after the program has closed its direction in the middle of it.
func TestHalfCloseInAnswer(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, nil)
	closed := make(chan struct{})
	answer := strings.Repeat("answer ", 20000)
	serve(t, <-me.sessions, 16992, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, 7))
		io.WriteString(conn, "begin ")
		<-closed
		io.WriteString(conn, answer)
	})
	w.until(t, 16992)
	conn := w.dial(t, 16992)
	io.WriteString(conn, "request")
	io.ReadFull(conn, make([]byte, 6))
	conn.CloseWrite()
	closed <- struct{}{}
	if got, err := io.ReadAll(conn); err != nil || string(got) != answer {
		t.Errorf("%d of %d octets, %v", len(got), len(answer), err)
	}
}

// Programs that are done keep nobody waiting for long, although AMT keeps its connections alive.
func TestKeptAlive(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, nil)
	serve(t, <-me.sessions, 16992, func(conn net.Conn) { io.Copy(conn, conn) })
	w.until(t, 16992)
	var work sync.WaitGroup
	for range 3 * channels {
		work.Go(func() {
			conn := w.dial(t, 16992)
			io.WriteString(conn, "request")
			if _, err := io.ReadFull(conn, make([]byte, 7)); err != nil {
				t.Error(err)
			}
			conn.Close()
		})
	}
	work.Wait()
}

// On a redirection port the end of a program ends the session at once.
func TestRedirectionEnds(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, nil)
	ended := make(chan error)
	serve(t, <-me.sessions, 16994, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	})
	// No port of WS-Management: the service gives up after a while, but not before this is over.
	w.until(t, 16994)
	conn := w.dial(t, 16994)
	io.WriteString(conn, "x")
	conn.CloseWrite()
	if err := <-ended; err != nil {
		t.Errorf("the session ended with %v", err)
	}
}

// A restart of the management engine in mid-stream is an error for the program, not an end; the ports are closed
// meanwhile, and come back.
func TestReset(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, nil)
	serve(t, <-me.sessions, 16993, echo)
	w.until(t, 16993)
	conn := w.dial(t, 16993)
	if _, err := io.WriteString(conn, "before"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	me.engine.Reset()
	if n, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read %d octets, %v; want an error that is no end", n, err)
	}
	w.until(t)
	if _, err := net.Dial("tcp", w.address+":16993"); err == nil {
		t.Error("listening while the engine is away")
	}
	serve(t, <-me.sessions, 16993, echo)
	w.until(t, 16993)
	again := w.dial(t, 16993)
	io.WriteString(again, "after")
	got := make([]byte, 5)
	if _, err := io.ReadFull(again, got); err != nil || string(got) != "after" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A foreign caller looks like a connection from elsewhere.
type foreign struct{ net.Conn }

func (foreign) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 4000} }

type foreigners struct{ net.Listener }

func (l foreigners) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return foreign{conn}, nil
}

// Callers from elsewhere are turned away without a word to the firmware, and nothing but loopback is listened on.
func TestCallersFromElsewhere(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, func(s *Service) {
		s.Listen = func(ctx context.Context, network, address string) (net.Listener, error) {
			ln, err := net.Listen(network, address)
			return foreigners{ln}, err
		}
	})
	reached := make(chan struct{}, 1)
	serve(t, <-me.sessions, 16992, func(net.Conn) { reached <- struct{}{} })
	w.until(t, 16992)
	if conn, err := net.Dial("tcp", w.address+":16992"); err == nil {
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("read %d octets", n)
		}
		conn.Close()
	}
	w.stop()
	if len(reached) != 0 {
		t.Error("the firmware was asked")
	}
	err := (&Service{Bus: me.bus, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("listening elsewhere: %v", err)
	}
}

// Ports that are not AMT's, and those of another program, are refused; the others work.
func TestPorts(t *testing.T) {
	me := newME(t, channels)
	var taken net.Listener
	w := start(t, me, func(s *Service) {
		var err error
		if taken, err = net.Listen("tcp", netip.AddrPortFrom(s.Addresses[0], 16995).String()); err != nil {
			t.Fatal(err)
		}
	})
	defer taken.Close()
	s := <-me.sessions
	for _, port := range []int{22, 16995} {
		if _, err := s.Listen(t.Context(), "0.0.0.0", port); !errors.Is(err, apf.ErrRefused) {
			t.Errorf("port %d: %v", port, err)
		}
	}
	ln, err := s.Listen(t.Context(), "0.0.0.0", 16993)
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, 16993)
	ln.Close()
	w.until(t)
	if _, err := net.Dial("tcp", w.address+":16993"); err == nil {
		t.Error("listening on a port that was taken back")
	}
}

// Connections beyond the limit are closed at once.
func TestTooMany(t *testing.T) {
	me := newME(t, channels)
	w := start(t, me, func(s *Service) { s.MaxConns = 1 })
	serve(t, <-me.sessions, 16992, echo)
	w.until(t, 16992)
	first := w.dial(t, 16992)
	io.WriteString(first, "x")
	if _, err := io.ReadFull(first, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", w.address+":16992")
	if err != nil {
		return // so fast
	}
	defer second.Close()
	if n, err := second.Read(make([]byte, 1)); err == nil {
		t.Errorf("the second read %d octets", n)
	}
}

const alertText = "POST / HTTP/1.1\r\nHost: localhost:0\r\nUser-Agent: Intel(R) AMT Agent\r\nConnection: Keep-Alive\r\nContent-Length: 9999\r\n\r\n"

// The firmware's alerts come through, however cut; connections that it wants to make do not.
func TestAlerts(t *testing.T) {
	want := eventing.Alert{MessageID: "iAMT0067", Arguments: []string{"0"}, Owner: eventing.Owner, Type: 6}
	doc := (&eventing.Delivery{MessageID: "uuid:1", Alert: want}).Append(nil)
	got := make(chan eventing.Alert, 1)
	me := newME(t, channels)
	w := start(t, me, func(s *Service) { s.OnAlert = func(a eventing.Alert) { got <- a } })
	s := <-me.sessions
	serve(t, s, 16992, echo)
	w.until(t, 16992)
	ch, err := s.Open(t.Context(), apf.ChannelOpen{Type: apf.TypeDirect, Address: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	text := append([]byte(alertText), doc...)
	ch.Write(text[:len(text)/2])
	ch.Write(text[len(text)/2:])
	if a := <-got; a.MessageID != want.MessageID || !slices.Equal(a.Arguments, want.Arguments) {
		t.Errorf("got %+v", a)
	}
	var no *apf.OpenError
	if _, err := s.Open(t.Context(), apf.ChannelOpen{Type: apf.TypeDirect, Address: "192.0.2.1", Port: 80}); !errors.As(err, &no) || no.Reason != apf.Prohibited {
		t.Errorf("a connection to elsewhere: %v", err)
	}
}

func TestReadAlertLimits(t *testing.T) {
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n<a:Envelope>", "POST / HTTP/1.1\r\n\r\n<a:Envelope></a:Envelope>", "POST " + strings.Repeat("x", maxAlert)} {
		if a, err := readAlert(strings.NewReader(text)); err == nil {
			t.Errorf("%.30q: got %+v", text, a)
		}
	}
}

func FuzzParseAlert(f *testing.F) {
	f.Add([]byte(alertText))
	f.Add(append([]byte(alertText), (&eventing.Delivery{MessageID: "uuid:1", Alert: eventing.Alert{MessageID: "iAMT0055", Arguments: []string{"1"}}}).Append(nil)...))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseAlert(text); err == nil && !bytes.HasPrefix(text, []byte("POST ")) {
			t.Error("took what is no POST")
		}
	})
}
