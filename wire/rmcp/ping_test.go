package rmcp

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNet is a UDP socket in memory. What is written goes to answer, which may deliver datagrams; the lock guards the
// deadline.
type fakeNet struct {
	net.PacketConn // what is not implemented panics
	answer         func(f *fakeNet, request []byte, to net.Addr)
	inbox          chan datagram

	mu       sync.Mutex
	deadline *time.Timer
	expired  chan struct{} // closed when the deadline has come
	cleared  bool
}

type datagram struct {
	b    []byte
	from net.Addr
}

func newFakeNet(answer func(f *fakeNet, request []byte, to net.Addr)) *fakeNet {
	return &fakeNet{answer: answer, inbox: make(chan datagram, 8), expired: make(chan struct{})}
}

func (f *fakeNet) WriteTo(b []byte, to net.Addr) (int, error) {
	f.answer(f, b, to)
	return len(b), nil
}

func (f *fakeNet) ReadFrom(b []byte) (int, net.Addr, error) {
	f.mu.Lock()
	expired := f.expired
	f.mu.Unlock()
	select {
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case d := <-f.inbox:
		return copy(b, d.b), d.from, nil
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// SetReadDeadline, like that of a socket, also ends reads under way; unlike it, a later deadline does not reach a read
// under way, which nothing here relies on.
func (f *fakeNet) SetReadDeadline(at time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deadline != nil {
		f.deadline.Stop()
		f.deadline = nil
	}
	f.cleared = at.IsZero()
	select {
	case <-f.expired:
		f.expired = make(chan struct{})
	default:
	}
	expired := f.expired
	switch wait := time.Until(at); {
	case at.IsZero():
	case wait <= 0:
		close(expired)
	default:
		f.deadline = time.AfterFunc(wait, func() { close(expired) })
	}
	return nil
}

var here = &net.UDPAddr{IP: net.IPv4(10, 0, 0, 7), Port: Port}

func TestPingAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := AMT{Port: 16993, Major: 16, Minor: 1, State: Post, DASH: true}
		asked := 0
		conn := newFakeNet(func(f *fakeNet, request []byte, to net.Addr) {
			m, err := ParsePing(request)
			if err != nil || to != here {
				t.Errorf("sent %x to %v: %v", request, to, err)
			}
			if asked++; asked < 3 {
				return // lost
			}
			other := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 8), Port: Port}
			f.inbox <- datagram{AMT{Major: 1}.Pong(m).Append(nil), other}                           // from elsewhere
			f.inbox <- datagram{AMT{Major: 2}.Pong(PresencePing{Tag: m.Tag + 1}).Append(nil), here} // another tag
			f.inbox <- datagram{[]byte{6, 0, m.Sequence, 0x86}, here}                               // acknowledgement
			f.inbox <- datagram{nil, here}                                                          // nothing
			f.inbox <- datagram{want.Pong(m).Append(nil), here}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		pong, err := Ping(ctx, conn, here)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := pong.AMT(); got != want || !ok {
			t.Errorf("got %+v, %t; want %+v", got, ok, want)
		}
		if took := time.Since(start); asked != 3 || took != 2*resend {
			t.Errorf("asked %d times in %v", asked, took)
		}
		if !conn.cleared {
			t.Error("read deadline left behind")
		}
	})
}

func TestPingUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		conn := newFakeNet(func(*fakeNet, []byte, net.Addr) { asked++ })
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := Ping(ctx, conn, here)
		if !errors.Is(err, context.DeadlineExceeded) || asked != 4 || time.Since(start) != 3500*time.Millisecond {
			t.Errorf("%v, asked %d times in %v", err, asked, time.Since(start))
		}
		if !conn.cleared {
			t.Error("read deadline left behind")
		}

		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := Ping(ended, conn, here); !errors.Is(err, context.Canceled) || asked != 4 {
			t.Errorf("%v, asked %d times", err, asked)
		}
	})
}

// Both ends over real sockets on the loopback interface.
func TestPingAndServe(t *testing.T) {
	machine, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	console, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()

	want := AMT{Port: 16992, Major: 12, Minor: 0, State: In}
	enabled := true
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("machine unplugged")
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, machine, func() (AMT, bool) { return want, enabled }) }()

	if _, err := console.WriteTo([]byte("not RMCP"), machine.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the socket can be used again
		pong, err := Ping(t.Context(), console, machine.LocalAddr())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := pong.AMT(); got != want || !ok {
			t.Errorf("got %+v, %t; want %+v", got, ok, want)
		}
	}
	stop(why)
	if err := <-served; err != why {
		t.Errorf("Serve: %v, want %v", err, why)
	}

	// A machine whose answer is switched off reads the ping and stays silent.
	enabled = false
	ctx, stop = context.WithCancelCause(t.Context())
	asked := make(chan struct{}, 1)
	go func() {
		served <- Serve(ctx, machine, func() (AMT, bool) { asked <- struct{}{}; return want, enabled })
	}()
	pinging, end := context.WithCancel(t.Context())
	go func() { <-asked; end() }()
	if pong, err := Ping(pinging, console, machine.LocalAddr()); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", pong, err)
	}
	machine.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed socket: %v", err)
	}
	stop(nil)
}
