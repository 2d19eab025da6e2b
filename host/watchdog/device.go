package watchdog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Identity is what the driver of AMT's watchdog calls itself.
const Identity = "iamt_wdt"

// ErrNoDevice says that no device is AMT's watchdog: the driver mei_wdt is not loaded, or the firmware does not want it.
var ErrNoDevice = errors.New("no watchdog device of AMT (driver mei_wdt)")

// errGone says that a device has ended under its user, as after resume.
var errGone = errors.New("the device is gone")

// A Device feeds a watchdog of the Linux kernel. The zero value feeds AMT's.
type Device struct {
	Path    string        // default: the device under /dev whose identity is [Identity]
	Timeout time.Duration // 120 s to 65535 s, default 120 s
	Every   time.Duration // between heartbeats; default half of Timeout
	OnState func(State)   // if set, is told each change; calls come one at a time
	Log     *slog.Logger  // nil is silent

	open func(path string) (timer, error) // replaces the kernel in tests
}

// A timer is an open watchdog device. Opening has started it.
type timer interface {
	SetTimeout(seconds int) error
	KeepAlive() error // errGone
	// Close stops it: it writes the letter V first, which drivers with "magic close" want to see.
	Close() error
}

// reopens is how often a device that could not be opened, or has gone, is tried again, a second apart. Source: spec
// watchdog.md section 6.
const reopens = 3

// Run feeds until ctx ends; then it stops the watchdog and returns ctx's cause. Errors: ErrNoDevice, or what the kernel
// says; EBUSY is another daemon, such as systemd, that feeds the device.
func (d *Device) Run(ctx context.Context) error {
	if err := check(d.Timeout, d.Every); err != nil {
		return err
	}
	log := logger(d.Log)
	tell := teller(d.OnState, log)
	defer tell(Stopped)
	for failed := 0; ; {
		fed, err := d.feed(ctx, tell)
		if fed {
			failed = 0
		}
		failed++
		switch {
		case ctx.Err() != nil:
			return errors.Join(context.Cause(ctx), stopError(err))
		case failed > reopens, errors.Is(err, ErrNoDevice):
			return fmt.Errorf("watchdog: %w", err)
		}
		tell(Stopped)
		log.Warn("the watchdog is not fed; opening it again", "error", err)
		if !sleep(ctx, leastPause) {
			return context.Cause(ctx)
		}
	}
}

// feed opens the device and feeds it until ctx ends or it fails. fed says that it got so far.
func (d *Device) feed(ctx context.Context, tell func(State)) (fed bool, err error) {
	open := d.open
	if open == nil {
		open = openDevice
	}
	timeout, every := d.Timeout, d.Every
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if every == 0 {
		every = timeout / 2
	}
	t, err := open(d.Path)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := t.Close(); e != nil && !errors.Is(err, errGone) {
			err = errors.Join(err, &closeError{e})
		}
	}()
	if err := t.SetTimeout(int(timeout / time.Second)); err != nil {
		return false, fmt.Errorf("set the timeout: %w", err)
	}
	for {
		if err := t.KeepAlive(); err != nil {
			return fed, fmt.Errorf("heartbeat: %w", err)
		}
		fed = true
		tell(Running)
		if !sleep(ctx, every) {
			return true, nil
		}
	}
}

// A closeError says that the watchdog may run on, unfed.
type closeError struct{ err error }

func (e *closeError) Error() string { return "stop: " + e.err.Error() }
func (e *closeError) Unwrap() error { return e.err }

// stopError returns what is wrong with the stopping alone.
func stopError(err error) error {
	var e *closeError
	if errors.As(err, &e) {
		return fmt.Errorf("watchdog: %w", e)
	}
	return nil
}

// sleep returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
