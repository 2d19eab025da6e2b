package watchdog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/wire/mei"
)

// answerTime is how long Feed waits for the answer to a heartbeat. The driver waits for ever.
const answerTime = 10 * time.Second

// stopTime is how long Feed tries to stop the timer once ctx has ended.
const stopTime = 5 * time.Second

// Feeding says how Feed feeds.
type Feeding struct {
	Timeout time.Duration // default 120 s
	Every   time.Duration // between heartbeats; default half of Timeout
	// OnState, if set, is told each change of state.
	OnState func(State)
}

// Feed probes and then feeds the watchdog over one connection until ctx ends; then it stops the timer and returns ctx's
// cause. While the firmware does not require the watchdog it waits for its event, or returns ErrNotRequired where there
// are no events. On mei.ErrDisconnected (reset, resume) connect and call it again. It does not close c.
func Feed(ctx context.Context, c mei.Conn, how Feeding) error {
	f := &feeder{Host: Host{Version: c.Version()}, c: c, how: how, last: Idle}
	if how.Timeout != 0 {
		if err := f.SetTimeout(how.Timeout); err != nil {
			return err
		}
	}
	if f.how.Every <= 0 {
		f.how.Every = f.Timeout() / 2
	}
	err := f.run(ctx)
	// Stop the timer also after errors: a machine must not be reset because its feeder ended.
	if stop := f.Stop(); stop != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if e := mei.Send(ctx, c, stop); e != nil && !errors.Is(e, mei.ErrDisconnected) {
			err = errors.Join(err, fmt.Errorf("watchdog: stop: %w", e))
		}
		f.told()
		f.Stopped()
	}
	f.told()
	return err
}

type feeder struct {
	Host
	c    mei.Conn
	how  Feeding
	last State // that OnState was told
}

// told tells a change of state.
func (f *feeder) told() {
	if s := f.State(); s != f.last {
		f.last = s
		if f.how.OnState != nil {
			f.how.OnState(s)
		}
	}
}

func (f *feeder) run(ctx context.Context) error {
	notifier, _ := f.c.(mei.Notifier)
	events := notifier != nil && notifier.Notify(true) == nil
	if err := f.exchange(ctx, f.Probe()); err != nil {
		return err
	}
	for {
		if f.State() == NotRequired {
			if !events {
				return fmt.Errorf("watchdog: %w", ErrNotRequired)
			}
			if err := notifier.Notified(ctx); err != nil {
				return err
			}
			if err := f.exchange(ctx, f.Notified()); err != nil {
				return err
			}
			continue
		}
		if f.State() == Idle {
			if err := f.Open(); err != nil {
				return err
			}
			f.told()
		}
		ping, err := f.Ping()
		if err == nil {
			err = f.exchange(ctx, ping)
		}
		if err != nil {
			return err
		}
		if f.State() != Running {
			continue
		}
		if err := f.pause(ctx, notifier, events); err != nil {
			return err
		}
	}
}

// errTime is the cause of the end of a pause.
var errTime = errors.New("time for a heartbeat")

// pause waits until the next heartbeat. Where there are events, an event is a reason for one, and the end of the
// connection ends it: a restart of the engine stops the timer, which is not to stand still until the heartbeat.
func (f *feeder) pause(ctx context.Context, notifier mei.Notifier, events bool) error {
	pause, cancel := context.WithTimeoutCause(ctx, f.how.Every, errTime)
	defer cancel()
	if events {
		if err := notifier.Notified(pause); err == nil || pause.Err() == nil {
			return err
		}
	}
	<-pause.Done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// exchange sends a message and takes answers until none is to come.
func (f *feeder) exchange(ctx context.Context, out []byte) error {
	for out != nil || f.Waiting() {
		f.told()
		if out != nil {
			if err := mei.Send(ctx, f.c, out); err != nil {
				return err
			}
		}
		out = nil
		if !f.Waiting() {
			break
		}
		ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("watchdog: start: %w", mei.ErrNoAnswer))
		b, err := mei.Receive(ctx, f.c)
		cancel()
		if err != nil {
			return err
		}
		if out, err = f.Receive(b); err != nil {
			return err
		}
	}
	f.told()
	return nil
}
