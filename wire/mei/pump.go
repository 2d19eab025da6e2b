package mei

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A machine is one side of a link, Host or Engine, as pure steps: no I/O, no clock.
type machine interface {
	begin(now time.Time)             // the link is there
	receive(b []byte, now time.Time) // a packet or a signal arrived
	expire(now time.Time)            // time passed
	next(b []byte) []byte            // appends the packet or signal to send now, if there is one
	due() time.Time                  // when expire has something to do; zero is never
	over() error                     // set once the machine has given up
	end()                            // the link is gone
	want(c *conn)                    // somebody reads c and finds nothing
	taken(c *conn)                   // somebody took a message of c
	leave(c *conn)                   // somebody closes c
}

// A pump moves packets between a link and a machine, and decides nothing.
type pump struct {
	mu      sync.Mutex // guards the machine, its channels and connections
	machine machine
	wake    chan struct{} // holds one: there may be something to send
}

func newPump(m machine) *pump { return &pump{machine: m, wake: make(chan struct{}, 1)} }

// kick makes the sender look again.
func (p *pump) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run serves link until ctx ends, the link does, or the machine gives up. It closes link.
func (p *pump) run(ctx context.Context, link Link) error {
	ctx, cancel := context.WithCancelCause(ctx)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		link.Close()
		close(closed)
	})
	sent := make(chan struct{})

	p.mu.Lock()
	p.machine.begin(time.Now())
	p.mu.Unlock()
	go func() {
		defer close(sent)
		cancel(p.send(ctx, link))
	}()
	for {
		b, err := link.Receive()
		if err != nil {
			cancel(err)
			break
		}
		p.mu.Lock()
		p.machine.receive(b, time.Now())
		p.mu.Unlock()
		p.kick()
	}
	<-sent
	if stop() {
		link.Close()
	} else {
		<-closed
	}
	p.mu.Lock()
	p.machine.end()
	p.mu.Unlock()
	return context.Cause(ctx)
}

// sendAtOnce is how many packets are taken from the machine at a time: more than a message of LME has.
const sendAtOnce = 16

// send is the sender and keeper of time.
func (p *pump) send(ctx context.Context, link Link) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out packets
	for {
		out.reset()
		p.mu.Lock()
		p.machine.expire(time.Now())
		for len(out.ends) < sendAtOnce {
			before := len(out.b)
			if out.b = p.machine.next(out.b); len(out.b) == before {
				break
			}
			out.ends = append(out.ends, len(out.b))
		}
		due, over := p.machine.due(), p.machine.over()
		p.mu.Unlock()
		if !out.empty() {
			for !out.empty() {
				if err := link.Send(out.next()); err != nil {
					return err
				}
			}
			continue
		}
		if over != nil {
			return over
		}
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
