package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/redir"
)

// Redirection are the flags of commands that open a session.
type Redirection struct {
	Enable bool   `help:"Switch on what is off for this session, without asking, and off again behind it."`
	Door   string `enum:"any,port,ws" default:"any" help:"Way in: port (16994, 16995), ws (a web socket on the ports of the web server, since AMT 11) or any: the port, or ws where it is closed."`
}

// putBackTime is for switching off again what was off, after an interrupt too.
const putBackTime = 20 * time.Second

// redirected runs f, which opens a session of a kind. If that is switched off at the machine it is switched on, if the user
// agrees, and off again in the end; if the machine wants consent, the code is asked for.
func (a *app) redirected(ctx context.Context, c *console.Client, kind redir.Kind, r Redirection, f func(ctx context.Context) error) (err error) {
	off, err := c.RedirectionOff(ctx, kind)
	if err != nil {
		return err
	}
	if len(off) > 0 {
		what := strings.Join(off, " and ")
		if !r.Enable {
			yes, err := a.confirm(fmt.Sprintf("%s is switched off at %s; switch it on for this session?", what, c.Address()), true)
			if err != nil {
				return err
			}
			if !yes {
				return &failure{exitRefused, fmt.Errorf("%s is switched off at %s", what, c.Address()), "--enable switches it on for the session"}
			}
		}
		restore, e := c.EnableRedirection(ctx, kind)
		if e != nil {
			return e
		}
		a.detail("%s: %s switched on", c.Address(), what)
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putBackTime)
			defer cancel()
			if e := restore(ctx); e != nil {
				err = failedBack(err, fmt.Errorf("%s is still switched on at %s: %w", what, c.Address(), e))
				return
			}
			a.detail("%s: %s switched off again", c.Address(), what)
		}()
	}
	err = f(ctx)
	if !errors.Is(err, redir.ErrConsent) {
		return err
	}
	if err := a.obtainConsent(ctx, c); err != nil {
		return err
	}
	return f(ctx)
}

// failedBack is the end of a session behind which something could not be put back. Where err says that it ended as the user
// wanted, that is all there is to tell; nothing hides it.
func failedBack(err, back error) error {
	switch {
	case back == nil:
		return err
	case err == nil, errors.Is(err, errTimeIsUp), errors.Is(err, errHungUp), errors.Is(err, context.Canceled):
		return back
	}
	return errors.Join(err, back)
}

// reachBy is reach for commands that open a session.
func (a *app) reachBy(word string, r Redirection) (hosts.Host, *console.Client, error) {
	h, err := a.target(word)
	if err != nil {
		return h, nil, err
	}
	cfg, err := a.config(h)
	if err != nil {
		return h, nil, err
	}
	cfg.Door = map[string]console.Door{"port": console.DoorPort, "ws": console.DoorSocket}[r.Door]
	client, err := console.New(cfg)
	return h, client, err
}

// reach finds the one machine of a command, and makes what speaks to it.
func (a *app) reach(word string) (hosts.Host, *console.Client, error) {
	h, err := a.target(word)
	if err != nil {
		return h, nil, err
	}
	client, err := a.connect(h)
	return h, client, err
}
