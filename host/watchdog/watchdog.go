// Package watchdog keeps AMT's watchdog of the operating system going: as long as the PC runs, the management engine
// hears from it every minute; when the PC hangs, AMT logs and reports it, and may reset the machine.
//
// There are two ways to it. [Feeder] speaks to the watchdog client of the management engine over MEI. Where the Linux
// driver mei_wdt has that client, [Device] feeds its device /dev/watchdogN instead; on Linux the driver is the better way,
// since it also tells AMT when the PC is shut down in good order.
//
// The heartbeat says that the operating system still runs programs, no more. Single programs are watched by agent
// presence, which is WS-Management and not here.
//
// Sources: spec watchdog.md sections 1 to 6; torvalds/linux drivers/watchdog/mei_wdt.c, include/uapi/linux/watchdog.h;
// intel/lms UNS/WatchdogService.
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outband/outband/wire/mei"
	heci "github.com/outband/outband/wire/watchdog"
)

// Limits of the timeout: within it AMT must hear from the PC. The Linux driver refuses others.
const (
	DefaultTimeout = heci.DefaultTimeout // 120 s
	MinTimeout     = heci.MinTimeout     // 120 s
	MaxTimeout     = heci.MaxTimeout     // 65535 s
)

// ErrNotRequired says that the firmware does not want the watchdog, and cannot tell when that changes.
var ErrNotRequired = heci.ErrNotRequired

// A State is how the watchdog is.
type State string

// The states.
const (
	Running     State = "running"
	Stopped     State = "stopped"
	NotRequired State = "not required" // AMT does not want it, as it is not set up; it says so when that changes
)

// Pauses before connecting anew.
const (
	leastPause = time.Second
	mostPause  = 30 * time.Second
)

// A Feeder feeds the watchdog over MEI. The zero value of all fields but Bus works.
type Feeder struct {
	Bus     mei.Bus
	Timeout time.Duration // 120 s to 65535 s, default 120 s
	Every   time.Duration // between heartbeats; default half of Timeout
	OnState func(State)   // if set, is told each change; calls come one at a time
	Log     *slog.Logger  // nil is silent
}

// Run feeds until ctx ends; then it stops the watchdog, so that a PC whose feeder ends is not taken for one that hangs,
// and returns ctx's cause. After a restart of the management engine it connects anew. ErrNotRequired if the firmware does
// not want the watchdog and gives no events; errors that wrap mei.ErrNoClient and others say that there is no watchdog
// here, or that another program, such as the driver mei_wdt, has it.
func (f *Feeder) Run(ctx context.Context) error {
	if err := check(f.Timeout, f.Every); err != nil {
		return err
	}
	log := logger(f.Log)
	tell := teller(f.OnState, log)
	defer tell(Stopped)
	pause, worked := leastPause, false
	for {
		conn, err := f.Bus.Connect(ctx, mei.Watchdog)
		if err == nil {
			err = heci.Feed(ctx, conn, heci.Feeding{Timeout: f.Timeout, Every: f.Every, OnState: func(s heci.State) {
				switch s {
				case heci.Running:
					worked, pause = true, leastPause
					tell(Running)
				case heci.NotRequired:
					worked, pause = true, leastPause
					tell(NotRequired)
				}
			}})
			awaitStop(conn)
			conn.Close()
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrNotRequired), !worked && !errors.Is(err, mei.ErrDisconnected):
			return err
		}
		tell(Stopped)
		log.Warn("the watchdog is not fed; connecting anew", "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause = min(2*pause, mostPause)
	}
}

// stopTime is how long the firmware is given to take the stop message. It answers with an empty message, or not at all.
const stopTime = time.Second / 2

// awaitStop keeps a connection until the stop message has been taken: what is queued is lost when it is closed.
func awaitStop(c mei.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	for {
		b, err := mei.Receive(ctx, c)
		if err != nil || len(b) == 0 {
			return // errors say that there is nothing to wait for
		} // else it is a late answer to a heartbeat
	}
}

// check holds the times against what the firmware takes.
func check(timeout, every time.Duration) error {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if timeout < MinTimeout || timeout > MaxTimeout {
		return fmt.Errorf("watchdog: %w: %v", heci.ErrTimeout, timeout)
	}
	if every < 0 || every >= timeout {
		return fmt.Errorf("watchdog: a heartbeat every %v does not keep a timeout of %v", every, timeout)
	}
	return nil
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

// teller tells changes of state.
func teller(to func(State), log *slog.Logger) func(State) {
	last := Stopped
	return func(s State) {
		if s == last {
			return
		}
		last = s
		log.Info("watchdog", "state", string(s))
		if to != nil {
			to(s)
		}
	}
}
