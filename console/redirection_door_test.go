package console_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

// A walled client reaches the ports of the web server only, and notes which it tried.
func walled(t *testing.T, m *lab.Running, door console.Door, password string) (c *console.Client, tried func() string) {
	t.Helper()
	var mu sync.Mutex
	var ports []string
	c, err := console.New(console.Config{
		Address: m.Address, Password: password, Door: door,
		TLS: console.TLSConfig{Pin: m.Fingerprint()},
		Dial: func(ctx context.Context, port int) (net.Conn, error) {
			mu.Lock()
			ports = append(ports, fmt.Sprint(port))
			mu.Unlock()
			if port != console.PortHTTPS {
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", net.JoinHostPort(m.Address, fmt.Sprint(port)))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(ports, " ")
	}
}

// Where only the web server can be reached, redirection goes through it.
func TestDoor(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 16, Power: "on"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := l.Machines[0]
	for _, tt := range []struct {
		door     console.Door
		password string
		err      error
		port     bool // the port of redirection is tried
	}{
		{console.DoorAny, m.Password, nil, true},
		{console.DoorSocket, m.Password, nil, false},
		{console.DoorPort, m.Password, console.ErrUnreachable, true},
		{console.DoorSocket, "wrong", redir.ErrDenied, false},
	} {
		c, tried := walled(t, m, tt.door, tt.password)
		if tt.err == nil {
			restore, err := c.EnableRedirection(t.Context(), redir.SOL)
			if err != nil {
				t.Fatal(err)
			}
			defer restore(context.WithoutCancel(t.Context()))
		}
		s, err := c.SOL(t.Context(), sol.Options{})
		if !errors.Is(err, tt.err) {
			t.Errorf("door %q: %v, want %v", tt.door, err, tt.err)
		}
		if got := strings.Contains(tried(), fmt.Sprint(console.PortRedirectionTLS)); got != tt.port {
			t.Errorf("door %q: tried %s", tt.door, tried())
		}
		if err != nil {
			continue
		}
		s.Write([]byte("\recho through\r"))
		var got []byte
		for b := make([]byte, 256); !strings.Contains(string(got), "\nthrough"); {
			n, err := s.Read(b)
			if err != nil {
				t.Fatalf("door %q: %v after %q", tt.door, err, got)
			}
			got = append(got, b[:n]...)
		}
		s.Close()
	}
}

// Firmware before 11 has no such door.
func TestDoorOfOldMachine(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 8})
	c, err := console.New(console.Config{Address: m.machine.Address, Password: m.machine.Password, Scheme: console.HTTP, Door: console.DoorSocket})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.SOL(t.Context(), sol.Options{}); !errors.Is(err, console.ErrNoSocket) || !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// What the machine says no with has a kind and a hint.
func TestExplainRedirection(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want console.Kind
	}{
		{&redir.Error{Kind: redir.SOL, Status: redir.StatusBusy}, console.KindRefused},
		{&redir.Error{Kind: redir.SOL, Status: redir.StatusUnsupported}, console.KindRefused},
		{&redir.Error{Kind: redir.KVM, Status: redir.StatusConsent}, console.KindRefused},
		{redir.ErrDenied, console.KindAuthentication},
		{redir.ErrTimeout, console.KindTimeout},
	} {
		kind, hint := console.Explain(fmt.Errorf("serial line: %w", tt.err))
		if kind != tt.want || hint == "" {
			t.Errorf("%v: %v, %q", tt.err, kind, hint)
		}
	}
}
