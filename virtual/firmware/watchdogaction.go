package firmware

import (
	"context"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
	heci "github.com/outband/outband/wire/watchdog"
	"github.com/outband/outband/wire/wsman"
)

// What happens when the operating system has fallen silent, beside an event: the PC is reset, if IPS_WatchDogAction says
// so, after a time in which a sign of life or a console can stop it. Source: spec watchdog.md section 9.

const (
	actionClass  = "IPS_WatchDogAction"
	actionReboot = "1"
	maxAction    = 86400 // seconds between expiry and action
)

// registerWatchdogAction gives IPS_WatchDogAction its rules.
func registerWatchdogAction(t *table) {
	t.class(actionClass).onPut = func(_ context.Context, _ *Machine, _, want *wsman.Element) error {
		for _, name := range []string{"HeciWatchDogExpirationAction", "AgentPresenceWatchDogExpirationAction"} {
			if text := want.ChildText(name); text != "" && text != "0" && text != actionReboot {
				return &status.Error{Op: actionClass + ".Put", Code: status.InvalidParameter}
			}
		}
		if number(want.ChildText("Timeout")) > maxAction {
			return &status.Error{Op: actionClass + ".Put", Code: status.InvalidParameter}
		}
		return nil
	}
	class.Handle(&t.methods, ips.WatchDogActionCancelRebootAction,
		func(_ context.Context, m *Machine, _ wsman.Selectors, _ ips.WatchDogActionCancelRebootActionIn) (out ips.WatchDogActionCancelRebootActionOut, _ status.Status, _ error) {
			m.me.watchdog.spare()
			return out, status.Success, nil
		})
}

// punish begins the countdown to a reset, if there is to be one.
func (m *Machine) punish() {
	e := m.one(actionClass)
	if e == nil || m.platform == nil || e.ChildText("HeciWatchDogExpirationAction") != actionReboot || e.ChildText("ReArmReset") != "true" {
		return
	}
	w := &m.me.watchdog
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.countdown != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.countdown = cancel
	after := time.Duration(number(e.ChildText("Timeout"))) * time.Second
	w.work.Go(func() {
		if wait(ctx, after) {
			m.rebootHung(ctx)
			w.spare()
		}
	})
}

// rebootHung resets the PC, once: until it is armed again nothing is reset, so that a broken PC does not do it for ever.
func (m *Machine) rebootHung(ctx context.Context) {
	m.modify(actionClass, nil, func(e *wsman.Element) { set(e, "ReArmReset", "false") })
	if err := m.platform.Do(ctx, Reset, nil); err != nil {
		m.log.Warn("reset after silence of the operating system", "error", err)
	}
}

// spare ends the countdown, if there is one.
func (w *osWatchdog) spare() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.countdown != nil {
		w.countdown()
		w.countdown = nil
	}
}

// heartbeats is a connection whose heartbeats are heard.
type heartbeats struct {
	mei.Conn
	heard func()
}

// Read reads a message.
func (h *heartbeats) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if _, bad := heci.ParseStart(p[:n]); n > 0 && bad == nil {
		h.heard()
	}
	return n, err
}

// Raise sends an event.
func (h *heartbeats) Raise() error {
	if r, ok := h.Conn.(mei.Raiser); ok {
		return r.Raise()
	}
	return nil
}
