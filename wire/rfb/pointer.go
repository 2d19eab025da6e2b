package rfb

import (
	"sync"
	"time"
)

// A pointer sends movements, not too many of them.
type pointer struct {
	client *Client

	mu      sync.Mutex
	last    PointerEvent
	sent    time.Time
	waiting *time.Timer // set while last is still to be sent
	stopped bool
}

// move sends an event, now or, if only the place is new, when the interval allows.
func (p *pointer) move(m PointerEvent) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errClosed
	}
	buttons := m.Buttons != p.last.Buttons
	p.last = m
	wait := p.client.o.Motion - time.Since(p.sent)
	if buttons || wait <= 0 {
		return p.send()
	}
	if p.waiting == nil {
		p.waiting = time.AfterFunc(wait, p.flush)
	}
	return nil
}

func (p *pointer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting != nil && !p.stopped {
		p.send() // a failure ends the session, and is told there
	}
}

func (p *pointer) send() error {
	if p.waiting != nil {
		p.waiting.Stop()
		p.waiting = nil
	}
	p.sent = time.Now()
	return p.client.Send(p.last)
}

func (p *pointer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.waiting != nil {
		p.waiting.Stop()
		p.waiting = nil
	}
}
