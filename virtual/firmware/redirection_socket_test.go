package firmware_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
	"github.com/outband/outband/wire/ws"
)

// socket opens the web socket of redirection.
func (w *world) socket(t *testing.T, user, password string) (*ws.Conn, error) {
	t.Helper()
	_, err := ws.Dial(t.Context(), w.dial(t, firmware.PortHTTP), "amt:16992", redir.SocketPath, "")
	var refused *ws.Refusal
	if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		return nil, err
	}
	auth := &digest.Client{Username: user, Password: password}
	if _, err := auth.Challenged(refused.Challenges); err != nil {
		t.Fatal(err)
	}
	header, _ := auth.Authorize("GET", redir.SocketPath, nil)
	return ws.Dial(t.Context(), w.dial(t, firmware.PortHTTP), "amt:16992", redir.SocketPath, header)
}

// The serial line passes through the web server, whose digest is the login.
func TestRedirectionSocket(t *testing.T) {
	w := listening(t, firmware.Config{}, pc.Options{On: true})
	conn, err := w.socket(t, "admin", firmware.DefaultPassword)
	if err != nil {
		t.Fatal(err)
	}
	s, err := redir.Open(t.Context(), conn, redir.SOL, redir.Options{HTTPAuthenticated: true})
	if err != nil {
		t.Fatal(err)
	}
	line, err := sol.Open(t.Context(), s, sol.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.Sessions(), " "); got != "SOL" {
		t.Errorf("sessions %q", got)
	}
	if _, err := w.open(t, redir.SOL); !errors.Is(err, redir.ErrBusy) {
		t.Errorf("a second one by the port: %v", err)
	}
	line.Write([]byte("\recho by the web\r"))
	var got []byte
	for b := make([]byte, 256); !strings.Contains(string(got), "\nby the web"); {
		n, err := line.Read(b)
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
		got = append(got, b[:n]...)
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
}

func TestRedirectionSocketRefuses(t *testing.T) {
	var refused *ws.Refusal
	status := func(w *world, user, password string) int {
		t.Helper()
		c, err := w.socket(t, user, password)
		if err == nil {
			c.Close()
			return http.StatusSwitchingProtocols
		}
		if !errors.As(err, &refused) {
			t.Fatal(err)
		}
		return refused.Status
	}
	w := listening(t, firmware.Config{}, pc.Options{})
	if got := status(w, "admin", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", got)
	}
	if got := status(w, "admin", firmware.DefaultPassword); got != http.StatusSwitchingProtocols {
		t.Errorf("the right one: %d", got)
	}
	reply, err := w.HTTP(t.Context(), "GET", redir.SocketPath, nil, "")
	if err != nil || reply.Status != http.StatusUpgradeRequired {
		t.Errorf("no web socket: %+v, %v", reply, err)
	}
	old := listening(t, firmware.Config{Generation: 8}, pc.Options{})
	if got := status(old, "admin", firmware.DefaultPassword); got != http.StatusNotFound {
		t.Errorf("AMT 8: %d", got)
	}
}

// A socket that is open without the empty login is no session.
func TestRedirectionSocketWantsLogin(t *testing.T) {
	w := listening(t, firmware.Config{}, pc.Options{On: true})
	conn, err := w.socket(t, "admin", firmware.DefaultPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := redir.Open(t.Context(), conn, redir.SOL, redir.Options{Password: "wrong"}); !errors.Is(err, redir.ErrDenied) {
		t.Errorf("got %v", err)
	}
	if got := w.Sessions(); len(got) != 0 {
		t.Errorf("sessions %q", got)
	}
}
