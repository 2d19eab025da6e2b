package mei

import (
	"context"
	"time"

	"github.com/outband/outband/wire/guid"
)

// Retry is a Bus that asks again while a client is busy or the device is being reset. LMS, the kernel and other tools
// use the same clients, mostly for moments.
type Retry struct {
	Bus      Bus
	Attempts int           // default 8
	Wait     time.Duration // before attempt n+1 the n-fold of it; default 750 ms, 21 s in all
}

// Connect connects. It returns the last error once the attempts are used up, and at once an error that waiting cannot
// mend.
func (r Retry) Connect(ctx context.Context, client guid.GUID) (Conn, error) {
	attempts, wait := r.Attempts, r.Wait
	if attempts <= 0 {
		attempts = 8
	}
	if wait <= 0 {
		wait = 750 * time.Millisecond
	}
	for n := 1; ; n++ {
		c, err := r.Bus.Connect(ctx, client)
		if err == nil || n >= attempts || !Transient(err) {
			return c, err
		}
		timer := time.NewTimer(time.Duration(n) * wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
	}
}
