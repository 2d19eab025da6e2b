package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
	"github.com/outband/outband/wire/sol"
)

// hurdle is the longest that anything here may take on the slowest machine.
const hurdle = time.Minute

// gathered is a line on which messages come in heaps: what has arrived since the last read is read at once.
type gathered struct {
	net.Conn
	heap []byte
}

func (c *gathered) Read(p []byte) (int, error) {
	if len(c.heap) == 0 {
		b := make([]byte, 64<<10)
		for n := 0; ; {
			if n > 0 { // wait a little for more
				c.Conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			}
			m, err := c.Conn.Read(b[n:])
			n += m
			if n > 0 && (err != nil || n == len(b)) {
				c.Conn.SetReadDeadline(time.Time{})
				c.heap = b[:n]
				break
			}
			if err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, c.heap)
	c.heap = c.heap[n:]
	return n, nil
}

// cable is cut after so many bytes from the machine; less than 0 is never.
type cable struct {
	net.Conn
	left *atomic.Int64
}

func (c cable) Read(p []byte) (int, error) {
	left := c.left.Load()
	switch {
	case left < 0:
		return c.Conn.Read(p)
	case left == 0:
		c.Conn.Close()
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(int64(-n))
	return n, err
}

// overLine connects to the machine by a line that is special for redirection.
func (m *managed) overLine(t *testing.T, line func(net.Conn) net.Conn) *console.Client {
	t.Helper()
	var d net.Dialer
	c, err := console.New(console.Config{Address: m.machine.Address, Password: m.machine.Password, Scheme: console.HTTP, MaxConns: 1,
		Dial: func(ctx context.Context, port int) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(m.machine.Address, strconv.Itoa(port)))
			if err == nil && port == firmware.PortRedir {
				conn = line(conn)
			}
			return conn, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// says reads from the serial line until the machine has said something.
func says(t *testing.T, s *sol.Session, want string) {
	t.Helper()
	defer time.AfterFunc(hurdle, func() { s.Close() }).Stop()
	var got bytes.Buffer
	b := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := s.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("no %q in %q: %v", want, got.String(), err)
		}
	}
}

// Sessions of all kinds do not care how their bytes are cut up.
func TestSessionsInPieces(t *testing.T) {
	for name, line := range map[string]func(net.Conn) net.Conn{
		"one byte at a time": wiretest.Bytewise,
		"in heaps":           func(c net.Conn) net.Conn { return &gathered{Conn: c} },
	} {
		t.Run(name, func(t *testing.T) {
			m := manage(t, lab.Machine{Profile: 12, Power: "on"})
			c := m.overLine(t, line)
			disc, err := console.OpenImage(t.Context(), bigDisc(t))
			if err != nil {
				t.Fatal(err)
			}
			defer disc.Close()
			d, err := c.IDER(t.Context(), ider.Options{CD: disc.Medium()})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			s, err := c.SOL(t.Context(), sol.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			io.WriteString(s, "dir cd\r")
			says(t, s, "BEHIND.4GB")
			here, err := c.KVM(t.Context(), rfb.ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer here.Close()
			if p := here.Frame.Image().RGBAAt(10, 10); p.R < 0xE0 { // the mark in the corner of the desktop
				t.Errorf("pixel %v", p)
			}
		})
	}
}

// await waits until something holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	for late := time.Now().Add(hurdle); !holds(); {
		if time.Now().After(late) {
			t.Fatal("waited in vain")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Wherever the cable is cut the session ends, with an error that says so; the machine notices and takes the next one.
func TestCableCut(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	var left atomic.Int64
	c := m.overLine(t, func(conn net.Conn) net.Conn { return cable{conn, &left} })
	image := make([]byte, 1<<20)
	for _, kind := range []struct {
		name string
		run  func(ctx context.Context) error // opens a session, uses it, and returns why it ended
	}{
		{"SOL", func(ctx context.Context) error {
			s, err := c.SOL(ctx, sol.Options{})
			if err != nil {
				return err
			}
			defer s.Close()
			stop := context.AfterFunc(ctx, func() { s.Close() })
			defer stop()
			for {
				if _, err := io.WriteString(s, "help\r"); err != nil {
					return err
				}
				if _, err := s.Read(make([]byte, 100)); err != nil {
					return errors.Join(s.Err(), err)
				}
			}
		}},
		{"IDE-R", func(ctx context.Context) error {
			s, err := c.IDER(ctx, ider.Options{CD: &ider.Medium{Image: bytes.NewReader(image), Size: int64(len(image))}})
			if err != nil {
				return err
			}
			defer s.Close()
			select {
			case <-s.Done():
				return s.Err()
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}},
		{"KVM", func(ctx context.Context) error {
			s, err := c.KVM(ctx, rfb.ClientOptions{})
			if err != nil {
				return err
			}
			defer s.Close()
			for {
				s.Key('x', true)
				s.Key('x', false)
				select {
				case <-s.Done():
					return s.Err()
				case <-time.After(5 * time.Millisecond): // a key, and so a picture, now and then
				}
			}
		}},
	} {
		for _, after := range []int64{0, 5, 13, 100, 117, 130, 150, 1000, 10_000} {
			if kind.name == "IDE-R" && after > 150 {
				continue // so much comes only when the host reads
			}
			t.Run(fmt.Sprintf("%s after %d", kind.name, after), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), hurdle)
				defer cancel()
				await(t, func() bool { return len(m.machine.Firmware.Sessions()) == 0 }) // of the test before
				left.Store(after)
				err := kind.run(ctx)
				if err == nil || ctx.Err() != nil {
					t.Fatalf("the session goes on: %v", err)
				}
				if text := err.Error(); !strings.Contains(text, "cut off") && !strings.Contains(text, "closed") && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v", err)
				}
				if errors.Is(err, redir.ErrBusy) || errors.Is(err, redir.ErrDenied) {
					t.Errorf("%v", err)
				}
				left.Store(-1)
				for { // the machine must notice by itself
					probe, cancel := context.WithCancel(ctx)
					var s interface{ Close() error }
					switch kind.name {
					case "SOL":
						s, err = c.SOL(probe, sol.Options{})
					case "KVM":
						s, err = c.KVM(probe, rfb.ClientOptions{})
					default:
						s, err = c.IDER(probe, ider.Options{})
					}
					if err == nil {
						s.Close()
						cancel()
						break
					}
					cancel()
					if !errors.Is(err, redir.ErrBusy) {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// A viewer that stops reading holds up neither the machine's session nor the other viewers, and goes when the share does.
func TestViewerStopsReading(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on", Programs: true})
	s := share(t, m.Client, console.ShareOptions{})
	stuck, far := net.Pipe()
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { served <- s.Serve(ctx, far) }()
	hello := append([]byte("RFB 003.008\n"), 1, 1)
	hello = rfb.UpdateRequest{W: 1024, H: 768}.Append(hello)
	go stuck.Write(hello)
	if _, err := io.ReadFull(stuck, make([]byte, 12+2+4+24)); err != nil { // and no byte more
		t.Fatal(err)
	}
	changes := make(chan int, 1000)
	texts := make(chan string, 10)
	v := view(t, s, rfb.ClientOptions{Updated: func(rects, _ int) {
		select {
		case changes <- rects:
		default:
		}
	}, Text: func(b []byte) { texts <- string(b) }})
	<-changes
	for round := range 5 {
		text := fmt.Sprintf("round %d", round)
		if err := s.Type(t.Context(), "copy "+text+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := <-texts; got != text {
			t.Errorf("clipboard %q, want %q", got, text)
		}
		<-changes
	}
	if n := s.Viewers(); n != 2 {
		t.Errorf("%d viewers", n)
	}
	v.Close()
	cancel()
	select {
	case <-served:
	case <-time.After(hurdle):
		t.Fatal("the viewer that does not read cannot be sent away")
	}
	stuck.Close()
}

// When the session with the machine breaks, the viewers stay, are told by a dim picture, and see the screen again when it
// is back.
func TestShareComesBack(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on", Programs: true})
	var left atomic.Int64
	left.Store(-1)
	c := m.overLine(t, func(conn net.Conn) net.Conn { return cable{conn, &left} })
	events := make(chan error, 10)
	s := share(t, c, console.ShareOptions{Event: func(err error) { events <- err }})
	texts := make(chan string, 10)
	v := view(t, s, rfb.ClientOptions{Text: func(b []byte) { texts <- string(b) }})
	left.Store(0)
	v.Key('x', true) // something to be seen, and so to be read
	v.Key('x', false)
	if err := <-events; err == nil {
		t.Fatal("the session began before it had ended")
	}
	if err := s.Type(t.Context(), "x"); err == nil {
		t.Error("typed without a session")
	}
	left.Store(-1)
	for err := range events {
		if err == nil {
			break
		}
	}
	if err := s.Type(t.Context(), "\ncopy there again\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-texts; got != "there again" {
		t.Errorf("clipboard %q", got)
	}
	select {
	case <-v.Done():
		t.Error("the viewer was sent away")
	default:
	}
}
