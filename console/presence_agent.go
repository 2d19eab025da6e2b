package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// An Agent is a program that AMT watches, seen from its own side: it has registered, and must beat within Timeout again
// and again until it says that it ends. Its methods are for one goroutine at a time.
type Agent struct {
	Watchdog Watchdog      // as it was when the agent registered
	Timeout  time.Duration // from one heartbeat to the next at most
	Beats    int           // heartbeats so far

	// OnTrouble, if set, is told why heartbeats do not get through, once, and nil when they do again.
	OnTrouble func(error)

	c        *Client
	at       []wsman.Selector
	sequence uint32 // number given or sent last
}

// RegisterAgent says that the program of the watchdog of that GUID or name runs: AMT counts it as running from now on.
// The user needs the realm agent-local.
func (c *Client) RegisterAgent(ctx context.Context, agent string) (*Agent, error) {
	p, err := c.presence(ctx)
	var w *Watchdog
	if err == nil {
		w, err = p.find(agent)
	}
	if err != nil {
		return nil, fmt.Errorf("register agent %s: %w", agent, err)
	}
	a := &Agent{Watchdog: *w, c: c, at: p.selectors(w)}
	if err := a.register(ctx); err != nil {
		return nil, fmt.Errorf("register agent %s: %w", agent, err)
	}
	return a, nil
}

// register begins a session.
func (a *Agent) register(ctx context.Context) error {
	out, err := amt.AgentPresenceWatchdogRegisterAgent.Invoke(ctx, a.c, amt.AgentPresenceWatchdogRegisterAgentIn{}, a.at...)
	if errors.Is(err, status.ErrNotReady) {
		return fmt.Errorf("programs cannot register while the machine is off, asleep or starting: %w", err)
	}
	if err != nil {
		return err
	}
	if out.SessionSequenceNumber == nil {
		return errors.New("the machine gives no sequence number to count heartbeats from")
	}
	a.sequence = *out.SessionSequenceNumber
	if a.Timeout = time.Duration(class.Value(out.TimeoutInterval)) * time.Second; a.Timeout <= 0 {
		a.Timeout = a.Watchdog.Timeout
	}
	if a.Timeout <= 0 {
		return errors.New("the machine does not say how often it wants to hear of the agent")
	}
	return nil
}

// Beat is one heartbeat. If AMT has lost the session (the agent was late, the machine has restarted, a heartbeat was
// lost on the way) it registers again.
func (a *Agent) Beat(ctx context.Context) error {
	a.sequence++ // wraps to 0, as AMT's does
	_, err := amt.AgentPresenceWatchdogAssertPresence.Invoke(ctx, a.c, amt.AgentPresenceWatchdogAssertPresenceIn{SequenceNumber: &a.sequence}, a.at...)
	var no *status.Error
	if errors.As(err, &no) && no.Code != status.NotPermitted {
		err = a.register(ctx)
	}
	if err != nil {
		return fmt.Errorf("heartbeat of %s: %w", a.Watchdog.Name, err)
	}
	a.Beats++
	return nil
}

// beatsPerTimeout is how often an agent beats in the time in which it must once: two may get lost.
const beatsPerTimeout = 3

// Run beats until ctx ends, and returns nil then; it does not say that the agent ends: see Shutdown. A heartbeat that
// does not get through is tried again, until the reason is one that time will not cure.
func (a *Agent) Run(ctx context.Context) error {
	troubled := false
	for {
		pause := time.NewTimer(a.Timeout / beatsPerTimeout)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
		err := a.Beat(ctx)
		switch {
		case ended(ctx):
			return nil
		case err != nil && !passing(err):
			return err
		case (err != nil) != troubled:
			troubled = err != nil
			if a.OnTrouble != nil {
				a.OnTrouble(err)
			}
		}
	}
}

// ended reports whether ctx is at its end: a connection may notice a deadline a moment before the context says so.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// passing reports whether an error may go away by itself.
func passing(err error) bool {
	switch kind, _ := Explain(err); kind {
	case KindUnreachable, KindTimeout, KindFailed:
		return !errors.Is(err, ErrNotAMT) && !errors.Is(err, ErrClosed)
	}
	return errors.Is(err, status.ErrNotReady) || errors.Is(err, status.ErrBusy) || errors.Is(err, wsman.ErrEndpointUnavailable)
}

// Shutdown says that the agent ends in good order, and reads the state to see that AMT counts it as stopped: firmware
// passes over a wrong sequence number in silence.
func (a *Agent) Shutdown(ctx context.Context) error {
	if err := a.shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown of %s: %w", a.Watchdog.Name, err)
	}
	return nil
}

func (a *Agent) shutdown(ctx context.Context) error {
	for again := range 2 {
		a.sequence++
		_, err := amt.AgentPresenceWatchdogAssertShutdown.Invoke(ctx, a.c, amt.AgentPresenceWatchdogAssertShutdownIn{SequenceNumber: &a.sequence}, a.at...)
		if err != nil {
			return err
		}
		now, err := class.Get[amt.AgentPresenceWatchdog](ctx, a.c, a.at...)
		if err != nil {
			return fmt.Errorf("accepted, but reading the state again failed: %w", err)
		}
		if eventlog.AgentState(class.Value(now.CurrentState)) == eventlog.Stopped {
			a.Watchdog.State = eventlog.Stopped
			return nil
		}
		if again == 0 { // the number was wrong, after a heartbeat whose answer was lost
			if err := a.register(ctx); err != nil {
				return err
			}
		}
	}
	return ErrDiffers
}
