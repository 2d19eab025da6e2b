package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/ws"
)

// A Door is a way for redirection into a machine.
type Door string

const (
	DoorAny    Door = ""     // the port, or the web socket where that is closed
	DoorPort   Door = "port" // 16994, or 16995 with TLS
	DoorSocket Door = "ws"   // a web socket on the ports of WS-Man, since AMT 11: passes where only these may
)

// ErrNoSocket tells that the machine's web server takes no redirection: it is older than 11, or all of it is off.
var ErrNoSocket = fmt.Errorf("%w: no redirection by web socket", ErrUnsupported)

// enter opens a connection for redirection by the door of the settings. loggedIn is true if HTTP has authenticated it.
func (c *Client) enter(ctx context.Context, username, password string) (conn net.Conn, loggedIn bool, err error) {
	if c.cfg.Door == DoorSocket {
		conn, err = c.dialSocket(ctx, username, password)
		return conn, true, err
	}
	conn, err = c.DialRedirection(ctx)
	if c.cfg.Door == DoorPort || !errors.Is(err, ErrUnreachable) {
		return conn, false, err
	}
	socket, e := c.dialSocket(ctx, username, password)
	if e != nil {
		c.cfg.Log.Debug("no web socket either", "error", e)
		return nil, false, err // the port is what most people open
	}
	return socket, true, nil
}

// dialSocket opens a web socket for redirection. The first request is for the challenge.
func (c *Client) dialSocket(ctx context.Context, username, password string) (net.Conn, error) {
	at, err := c.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	auth := &digest.Client{Username: username, Password: password}
	for tries := 0; ; tries++ {
		conn, err := c.Dial(ctx, at.Port, at.Scheme == HTTPS)
		if err != nil {
			return nil, err
		}
		header, _ := auth.Authorize(http.MethodGet, redir.SocketPath, nil)
		socket, err := c.askSocket(ctx, conn, hostHeader(c.cfg.Address, at.Port), header)
		var refused *ws.Refusal
		switch {
		case err == nil:
			return socket, nil
		case !errors.As(err, &refused):
			return nil, err
		case refused.Status == http.StatusNotFound:
			return nil, ErrNoSocket
		case refused.Status == http.StatusForbidden:
			return nil, fmt.Errorf("%w: %w", redir.ErrDenied, err)
		case refused.Status != http.StatusUnauthorized:
			return nil, err
		}
		stale, err := auth.Challenged(refused.Challenges)
		if err != nil {
			return nil, err
		}
		if tries > 0 && (!stale || tries > 1) {
			return nil, fmt.Errorf("web socket: %w", redir.ErrDenied)
		}
	}
}

func (c *Client) askSocket(ctx context.Context, conn net.Conn, host, authorization string) (*ws.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	return ws.Dial(ctx, conn, host, redir.SocketPath, authorization)
}

func explainRedirection(err error) (Kind, string) {
	switch {
	case errors.Is(err, redir.ErrBusy):
		return KindRefused, "one session of a kind at a time: end the other, or wait some seconds until the firmware misses its connection"
	case errors.Is(err, redir.ErrDisabled):
		return KindRefused, "switch it on first; the setup menu of the firmware (MEBx) may forbid it"
	case errors.Is(err, redir.ErrConsent):
		return KindRefused, "ask for consent: the code on the machine's screen must be entered first"
	case errors.Is(err, redir.ErrDenied):
		return KindAuthentication, "check user name and password; the account needs the realm of redirection"
	case errors.Is(err, ErrNoSocket):
		return KindUnsupported, "firmware before 11 has no web socket; the port of redirection is another way in"
	case errors.Is(err, redir.ErrTimeout):
		return KindTimeout, "the machine took too long to answer; it may be in a power transition"
	}
	return KindOK, ""
}
