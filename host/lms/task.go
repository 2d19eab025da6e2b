package lms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/wsman"
)

// A Task is something that the operating system tells AMT, or does to it, by WS-Management: at the beginning of each
// session with the firmware, so also after a restart of the management engine and after sleep, when AMT's setup
// changes, and every now and then. AMT must be set up; before, tasks wait.
type Task struct {
	Name  string        // for the log: "time"
	Every time.Duration // between two times; 0: not again by itself

	// Do does it, with the account that the engine gives to programs on its PC. An error is logged, and it is tried
	// again after a while.
	Do func(ctx context.Context, c *wsman.Client) error
}

// Times of tasks. Source: spec lms.md sections 7 and 9.2.
const (
	taskTime  = time.Minute      // for one
	taskAgain = 10 * time.Second // after the first failure, and twice as long after each further one
	taskMost  = 10 * time.Minute
)

// setupChanged is the alert that tells of a change of AMT's setup.
const setupChanged = "iAMT0055"

// errNotSetUp says that a task must wait.
var errNotSetUp = errors.New("AMT is not set up")

// tasks does all tasks until ctx ends. One runs at a time: the firmware takes few connections.
func (f *forwarder) tasks(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	var one sync.Mutex
	for i, t := range f.s.Tasks {
		work.Go(func() { f.task(ctx, &one, t, f.kicks[i]) })
	}
}

// task does one again and again.
func (f *forwarder) task(ctx context.Context, one *sync.Mutex, t Task, kick <-chan struct{}) {
	again, told := taskAgain, ""
	for {
		one.Lock()
		err := f.do(ctx, t)
		one.Unlock()
		var wait <-chan time.Time // nil: only a change of the setup
		var timer *time.Timer
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			again, told = taskAgain, ""
			if t.Every > 0 {
				timer = time.NewTimer(t.Every)
			}
		case errors.Is(err, errNotSetUp):
		default:
			if text := err.Error(); text != told {
				told = text
				f.s.log().Warn("not done; trying again", "task", t.Name, "error", err)
			}
			timer = time.NewTimer(again)
			again = min(2*again, taskMost)
		}
		if timer != nil {
			wait = timer.C
		}
		select {
		case <-wait:
		case <-kick:
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// kick has all tasks done anew.
func (f *forwarder) kick() {
	for _, k := range f.kicks {
		select {
		case k <- struct{}{}:
		default:
		}
	}
}

// do does a task once, if AMT is set up.
func (f *forwarder) do(ctx context.Context, t Task) error {
	ctx, cancel := context.WithTimeout(ctx, taskTime)
	defer cancel()
	account, err := f.account(ctx)
	if err != nil {
		return err
	}
	c := &wsman.Client{Username: account.User, Password: account.Password, MaxConns: 1, Dial: f.dial}
	defer c.Close()
	if err := t.Do(ctx, c); err != nil {
		return err
	}
	f.s.log().Info("done", "task", t.Name)
	return nil
}

// account asks the engine for the account of programs on its PC.
func (f *forwarder) account(ctx context.Context) (account amthi.LocalAccount, err error) {
	c, err := amthi.Dial(ctx, mei.Retry{Bus: f.s.Bus})
	if err != nil {
		return account, err
	}
	defer c.Close()
	mode, err := c.ControlMode(ctx)
	if err == nil && mode == amthi.NotProvisioned || errors.Is(err, amthi.ErrDisabled) {
		return account, errNotSetUp
	}
	if err != nil {
		return account, err
	}
	return c.LocalSystemAccount(ctx)
}

// Ports of WS-Management.
const (
	portPlain = 16992
	portTLS   = 16993
)

// dial opens a channel to WS-Management as any program on the PC would, but without a detour over a socket. The port
// without TLS is preferred: nobody listens in on the way, and it asks less of the firmware.
func (f *forwarder) dial(ctx context.Context) (net.Conn, error) {
	f.mu.Lock()
	port := portTLS
	if f.ports[portPlain] != nil {
		port = portPlain
	}
	f.mu.Unlock()
	const here = "127.0.0.1"
	ch, err := f.channel(ctx, apf.ChannelOpen{Address: here, Port: uint32(port), OriginAddress: here})
	if err != nil {
		return nil, err
	}
	conn := &placed{Channel: ch, leave: sync.OnceFunc(func() { <-f.places })}
	if port == portPlain {
		return conn, nil
	}
	// The certificate is AMT's own, mostly signed by itself; the engine is at the end of this channel in any case.
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with AMT: %w", err)
	}
	return secure, nil
}

// A placed channel gives its place back when it is closed.
type placed struct {
	*apf.Channel
	leave func()
}

func (p *placed) Close() error {
	err := p.Channel.Close()
	p.leave()
	return err
}
