package watchdog

import (
	"fmt"
	"time"
)

// A Timer is the firmware's end as pure steps. The zero value is stopped, of client version 1, and not required.
type Timer struct {
	Version  uint8 // of the client: from 2 on every start is answered
	Required bool  // a policy of AMT wants the watchdog
	// Allow, if set, says how long the host may be silent that asks for that time. For tests; default is what it asks for.
	Allow func(silence time.Duration) time.Duration

	due time.Time // zero is stopped
}

// Running tells whether the timer runs, and when it expires.
func (t *Timer) Running() (due time.Time, ok bool) { return t.due, !t.due.IsZero() }

// Receive takes a message of the watchdog's and returns the answer, nil for none. Errors are the parsers'.
//
// If the watchdog is not required the timer stays stopped. A client of version 1 cannot say so, and does the same.
func (t *Timer) Receive(b []byte, now time.Time) ([]byte, error) {
	if _, err := ParseStop(b); err == nil {
		t.due = time.Time{}
		return nil, nil
	}
	start, err := ParseStart(b)
	if err != nil {
		return nil, fmt.Errorf("watchdog: timer: %w", err)
	}
	t.due = time.Time{}
	if t.Required {
		silence := time.Duration(start.Timeout) * time.Second
		if t.Allow != nil {
			silence = t.Allow(silence)
		}
		t.due = now.Add(silence)
	}
	if t.Version <= 1 {
		return nil, nil
	}
	return StartReply{NotRequired: !t.Required}.Append(nil), nil
}

// Expire tells whether the timer has run out. It does so once; the timer is stopped then.
func (t *Timer) Expire(now time.Time) bool {
	if t.due.IsZero() || now.Before(t.due) {
		return false
	}
	t.due = time.Time{}
	return true
}

// Reset stops the timer, as a reset of the machine does, or its leaving S0, or a reset of the link.
func (t *Timer) Reset() { t.due = time.Time{} }
