package wsman

import (
	"context"
	"time"
)

// A pacer keeps a least time between the starts of two exchanges.
type pacer struct {
	gap  time.Duration
	last chan time.Time // holds the last start; taken while somebody waits for the next
}

func (p *pacer) init(gap time.Duration) {
	if gap > 0 {
		p.gap = gap
		p.last = make(chan time.Time, 1)
		p.last <- time.Time{}
	}
}

// wait returns when the next exchange may start.
func (p *pacer) wait(ctx, life context.Context) error {
	if p.gap == 0 {
		return nil
	}
	var last time.Time
	select {
	case last = <-p.last:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-life.Done():
		return errClosed
	}
	if left := p.gap - time.Since(last); left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			p.last <- last
			return context.Cause(ctx)
		case <-life.Done():
			p.last <- last
			return errClosed
		}
	}
	p.last <- time.Now()
	return nil
}
