package watchdog

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A State is where the host's end is, by the driver's names.
type State uint8

// The states.
const (
	Idle        State = 0 // the watchdog can be started
	Probing     State = 1 // asked whether it is wanted
	Starting    State = 2 // the first heartbeat is to come
	Running     State = 3
	Stopping    State = 4
	NotRequired State = 5 // the firmware does not want it
)

func (s State) String() string {
	switch s {
	case Idle:
		return "IDLE"
	case Probing:
		return "PROBE"
	case Starting:
		return "START"
	case Running:
		return "RUNNING"
	case Stopping:
		return "STOPPING"
	case NotRequired:
		return "NOT_REQUIRED"
	}
	return "unknown (" + strconv.Itoa(int(s)) + ")"
}

// Errors of the host's end.
var (
	ErrNotRequired = errors.New("the firmware does not require the watchdog")
	ErrState       = errors.New("not possible in this state")
	ErrTimeout     = errors.New("timeout out of range (120 to 65535 seconds)")
	ErrRefused     = errors.New("the firmware refused to start the watchdog")
)

// A Host is the feeding end as pure steps, as the Linux driver's: what happens in which state leads where, and what is
// sent. The zero value speaks to a client of version 1, with the default timeout.
type Host struct {
	Version uint8 // of the client: from 2 on every start is answered

	state   State
	timeout time.Duration // 0 is the default
	waiting bool          // for an answer
}

// State returns where the host is.
func (h *Host) State() State { return h.state }

// Waiting tells whether an answer is to come.
func (h *Host) Waiting() bool { return h.waiting }

// Timeout returns what the next heartbeat will ask for.
func (h *Host) Timeout() time.Duration {
	if h.timeout == 0 {
		return DefaultTimeout
	}
	return h.timeout
}

// SetTimeout sets it, in whole seconds. ErrTimeout if the driver would refuse it.
func (h *Host) SetTimeout(d time.Duration) error {
	if d < MinTimeout || d > MaxTimeout {
		return fmt.Errorf("watchdog: %w: %v", ErrTimeout, d)
	}
	h.timeout = d
	return nil
}

func (h *Host) start() []byte {
	h.waiting = h.Version > 1
	return Start{uint16(h.Timeout() / time.Second)}.Append(nil)
}

// Probe asks whether the watchdog is wanted. A client of version 1 cannot say; there is nothing to send then.
func (h *Host) Probe() []byte {
	if h.Version <= 1 {
		h.state = Idle
		return nil
	}
	h.state = Probing
	return h.start()
}

// Open readies the watchdog; the first Ping starts it. ErrNotRequired, ErrState.
func (h *Host) Open() error {
	switch h.state {
	case Idle:
		h.state = Starting
		return nil
	case NotRequired:
		return fmt.Errorf("watchdog: open: %w", ErrNotRequired)
	}
	return fmt.Errorf("watchdog: open: %w: %v", ErrState, h.state)
}

// Ping returns a heartbeat to send. ErrNotRequired, ErrState.
func (h *Host) Ping() ([]byte, error) {
	switch h.state {
	case Starting, Running:
		h.state = Running
		return h.start(), nil
	case NotRequired:
		return nil, fmt.Errorf("watchdog: ping: %w", ErrNotRequired)
	}
	return nil, fmt.Errorf("watchdog: ping: %w: %v", ErrState, h.state)
}

// Stop returns what stops the timer, nil if it does not run. Call Stopped when it is sent.
func (h *Host) Stop() []byte {
	if h.state == Starting {
		h.state = Idle
	}
	if h.state != Running {
		return nil
	}
	h.state, h.waiting = Stopping, false
	return Stop{}.Append(nil)
}

// Stopped ends Stopping.
func (h *Host) Stopped() {
	if h.state == Stopping {
		h.state = Idle
	}
}

// Notified is told of an event of the client: whether the watchdog is wanted may have changed. It returns what to send.
func (h *Host) Notified() []byte {
	if h.state != NotRequired {
		return nil
	}
	return h.Probe()
}

// Receive takes a message and returns what to send. Empty messages are answers to Stop, and ignored. Errors: ErrRefused
// for a status other than 0, and the parser's.
func (h *Host) Receive(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	reply, err := ParseStartReply(b)
	if err != nil {
		return nil, err
	}
	h.waiting = false
	switch {
	case reply.NotRequired && (h.state == Probing || h.state == Running):
		h.state = NotRequired
	case h.state == Probing: // it is wanted; stop what the question started
		h.state = Idle
		return Stop{}.Append(nil), nil
	case reply.Status != 0:
		return nil, fmt.Errorf("watchdog: %w (status %d)", ErrRefused, reply.Status)
	}
	return nil, nil
}
