package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

// How long a session that the machine says it has may take to be over: the firmware notices the end of one late.
const (
	busyTime  = 2 * time.Second
	busyPause = time.Second / 5
)

// OpenRedirection starts a session of a kind and logs in; what is spoken then is the business of packages sol, ider and
// rfb. The session outlives ctx. Errors wrap those of [redir.Open]; a machine that goes on having such a session already
// gives [redir.ErrBusy].
func (c *Client) OpenRedirection(ctx context.Context, kind redir.Kind) (*redir.Conn, error) {
	return WhenFree(ctx, func() (*redir.Conn, error) { return c.openRedirection(ctx, kind) })
}

// WhenFree opens a session, again and again for two seconds while the machine says that it has one already
// ([redir.ErrBusy]): the one before may have ended without the firmware having noticed.
func WhenFree(ctx context.Context, open func() (*redir.Conn, error)) (*redir.Conn, error) {
	for late := time.Now().Add(busyTime); ; {
		s, err := open()
		if !errors.Is(err, redir.ErrBusy) || time.Now().After(late) {
			return s, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *Client) openRedirection(ctx context.Context, kind redir.Kind) (*redir.Conn, error) {
	username, password, err := c.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	at, err := c.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	conn, loggedIn, err := c.enter(ctx, username, password)
	if err != nil {
		return nil, err
	}
	secure := at.Scheme == HTTPS
	s, err := redir.Open(ctx, conn, kind, redir.Options{Username: username, Password: password, ClearPassword: secure, HTTPAuthenticated: loggedIn})
	if errors.Is(err, redir.ErrDenied) {
		err = fmt.Errorf("%w: the account needs the realm %q", err, RealmName(amt.RealmRedirection))
	}
	return s, err
}

// SOL opens the serial line of the machine. The session ends with ctx.
func (c *Client) SOL(ctx context.Context, o sol.Options) (*sol.Session, error) {
	conn, err := c.OpenRedirection(ctx, redir.SOL)
	if err != nil {
		return nil, fmt.Errorf("serial line: %w", err)
	}
	return sol.Open(ctx, conn, o)
}

// IDER shows the machine two drives, and returns when it has taken them. The session ends with ctx.
func (c *Client) IDER(ctx context.Context, o ider.Options) (*ider.Session, error) {
	conn, err := c.OpenRedirection(ctx, redir.IDER)
	if err != nil {
		return nil, fmt.Errorf("drives: %w", err)
	}
	return ider.Open(ctx, conn, o)
}
