package wsman

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A pool holds the connections to one machine. Whoever wants one first takes a slot; there are as many slots as there
// may be connections, and an idle connection holds none, so that no more than that are ever open.
type pool struct {
	dial    dialFunc
	maxIdle time.Duration
	slots   chan struct{}
	life    context.Context // ends with Close
	end     context.CancelFunc

	mu     sync.Mutex
	idle   []*conn            // longest idle first
	busy   map[*conn]struct{} // carrying a request
	reaper *time.Timer        // closes idle connections; nil while there are none
	reaps  sync.WaitGroup     // one while reaper is armed or running
}

func newPool(dial dialFunc, maxConns int, maxIdle time.Duration) *pool {
	p := &pool{dial: dial, maxIdle: maxIdle, slots: make(chan struct{}, maxConns), busy: make(map[*conn]struct{}, maxConns)}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// acquire waits for a slot.
func (p *pool) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.life.Done():
		return errClosed
	}
	if p.life.Err() != nil {
		<-p.slots
		return errClosed
	}
	return nil
}

func (p *pool) release() { <-p.slots }

// take returns an idle connection that is still open, or nil. A slot is held.
func (p *pool) take() *conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		cn := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.busy[cn] = struct{}{}
		p.mu.Unlock()
		if time.Since(cn.idle) < p.maxIdle && cn.wake() {
			return cn
		}
		p.drop(cn)
	}
}

// connect dials. A slot is held.
func (p *pool) connect(ctx context.Context, deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	nc, err := p.dial(ctx)
	if p.life.Err() != nil {
		if err == nil {
			nc.Close()
		}
		return nil, errClosed
	}
	if err != nil {
		return nil, fmt.Errorf("wsman: connect: %w", err)
	}
	cn := newConn(nc)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() != nil {
		cn.close()
		return nil, errClosed
	}
	p.busy[cn] = struct{}{}
	return cn, nil
}

// put gives a connection back that can carry another request.
func (p *pool) put(cn *conn) {
	now := time.Now()
	p.mu.Lock()
	delete(p.busy, cn)
	if p.life.Err() != nil {
		p.mu.Unlock()
		cn.close()
		return
	}
	cn.rest(now)
	p.idle = append(p.idle, cn)
	if p.reaper == nil {
		p.reaps.Add(1)
		p.reaper = time.AfterFunc(p.maxIdle, p.reap)
	}
	p.mu.Unlock()
}

// drop closes a connection that is in use.
func (p *pool) drop(cn *conn) {
	p.mu.Lock()
	delete(p.busy, cn)
	p.mu.Unlock()
	cn.close()
}

// reap closes what has been idle for too long: firmware has few sockets, and others want them.
func (p *pool) reap() {
	var old []*conn
	p.mu.Lock()
	for len(p.idle) > 0 && time.Since(p.idle[0].idle) >= p.maxIdle {
		old = append(old, p.idle[0])
		p.idle = p.idle[1:]
	}
	if len(p.idle) > 0 && p.life.Err() == nil {
		p.reaper.Reset(p.maxIdle - time.Since(p.idle[0].idle))
	} else {
		p.reaper = nil
		defer p.reaps.Done()
	}
	p.mu.Unlock()
	for _, cn := range old {
		cn.close()
	}
}

// close closes all connections, those in use as well, and waits for the pool's own goroutines.
func (p *pool) close() {
	p.mu.Lock()
	p.end()
	idle := p.idle
	p.idle = nil
	for cn := range p.busy {
		cn.abort()
	}
	if p.reaper != nil && p.reaper.Stop() {
		p.reaper = nil
		p.reaps.Done()
	}
	p.mu.Unlock()
	for _, cn := range idle {
		cn.close()
	}
	p.reaps.Wait()
}
