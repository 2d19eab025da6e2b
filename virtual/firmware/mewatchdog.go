package firmware

import (
	"context"
	"sync"

	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
	heci "github.com/outband/outband/wire/watchdog"
)

// osWatchdog is the timer that the operating system keeps winding up. It outlives the connections over which it is: a
// program that dies is what it is for.
type osWatchdog struct {
	server heci.Server

	mu        sync.Mutex // guards what follows
	cancel    context.CancelFunc
	closed    bool
	work      sync.WaitGroup
	countdown context.CancelFunc // of the reset that is to come; nil: none
}

// serveWatchdog answers one connection. Time is kept from the first one on.
func (m *Machine) serveWatchdog(ctx context.Context, c mei.Conn) {
	w := &m.me.watchdog
	w.mu.Lock()
	if w.cancel == nil && !w.closed {
		m.startWatchdog()
	}
	w.mu.Unlock()
	m.requireWatchdog()
	if err := w.server.Serve(ctx, &heartbeats{c, w.spare}); err != nil && ctx.Err() == nil {
		m.log.Info("watchdog", "error", err)
	}
}

// startWatchdog starts the goroutine that keeps time. The lock is held.
func (m *Machine) startWatchdog() {
	w := &m.me.watchdog
	w.server.Version = watchdogVersion
	w.server.Log = m.log
	w.server.OnExpire = m.osHung
	w.server.Allow = m.hooks.OnHeartbeat
	w.server.ChangeEnabled = m.changeFlags
	w.server.SetOperational = m.setOperational
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	w.work.Go(func() { w.server.Run(ctx) })
}

// close ends the keeping of time and waits for it.
func (w *osWatchdog) close() {
	w.mu.Lock()
	w.closed = true
	if w.cancel != nil {
		w.cancel()
	}
	w.mu.Unlock()
	w.spare()
	w.work.Wait()
}

// requireWatchdog tells the watchdog whether AMT wants it: once it is set up. Hosts are told of a change. Source: spec
// watchdog.md section 3.
func (m *Machine) requireWatchdog() {
	m.me.watchdog.server.Require(m.ControlMode() != ModeNone && !m.amtOff())
}

// WatchdogRunning reports whether the operating system keeps the watchdog going.
func (m *Machine) WatchdogRunning() bool { return m.me.watchdog.server.Running() }

// osHung is what happens when the operating system has fallen silent: an event, and subscribers are told. Source: spec
// watchdog.md section 10.1.
func (m *Machine) osHung() {
	if m.powerOf() != S0 {
		return
	}
	m.log.Info("the operating system has fallen silent")
	m.Log(eventlog.NewRecord(m.now(), eventlog.OSStop, osStopped, eventlog.Critical, eventlog.Engine))
	m.punish()
}

// osStopped is the offset "run-time stop" of the sensor type "OS critical stop". Source: IPMI Platform Event Trap
// Format 1.0 table 6.
const osStopped = 1

// changeFlags say whether AMT may be switched on. Source: spec amthi.md section 5, activation.md section 1.
func (m *Machine) changeFlags() heci.ChangeFlags {
	var f heci.ChangeFlags
	if m.ControlMode() == ModeNone {
		f |= heci.ChangeAllowed
	}
	if m.profile.Before(16, 1) { // command 53 is of 16.1
		return f
	}
	f |= heci.NewInterface | heci.CIRATimer
	if !m.amtOff() {
		f |= heci.Operational
	}
	if m.tlsOnly(true) {
		f |= heci.TLSEnforced
	}
	return f
}

// setOperational switches AMT on or off, which is possible only before it is set up.
func (m *Machine) setOperational(on bool) status.Status {
	switch {
	case m.ControlMode() != ModeNone:
		return status.InvalidPTMode
	case m.profile.Before(16, 1):
		return status.NotPermitted
	}
	m.mebx.change(func(s *mebxState) { s.Off = !on })
	m.portsChanged()
	return status.Success
}
