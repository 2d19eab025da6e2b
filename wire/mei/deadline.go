package mei

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// A deadline is a moment that can be waited for and moved. The zero value never comes.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	come  chan struct{} // closed when the moment has come; nil until somebody asks
}

// set moves the moment; the zero time is never. It reaches those who wait.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.come == nil || closed(d.come) {
		d.come = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	come := d.come
	left := time.Until(t)
	if left <= 0 {
		close(come)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer { // else it was moved meanwhile
			close(come)
		}
	})
	d.timer = timer
}

// wait returns a channel that is closed when the moment has come.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.come == nil {
		d.come = make(chan struct{})
	}
	return d.come
}

// stop frees the timer.
func (d *deadline) stop() { d.set(time.Time{}) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func expired(op string) error  { return fmt.Errorf("mei: %s: %w", op, os.ErrDeadlineExceeded) }
func isClosed(op string) error { return fmt.Errorf("mei: %s: %w", op, os.ErrClosed) }
