package apf

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// A pulse is the keepalive of a session on CIRA. A device asks at an interval and misses the answer after a timeout. A
// server tells the interval and, from then on, ends a session in which nothing arrives any more.
type pulse struct {
	wake chan struct{} // holds a token when something has changed
	idle time.Duration // server: nothing may arrive for so long

	mu       sync.Mutex // guards what follows
	on       bool       // server: the machine has been told to ask
	interval time.Duration
	timeout  time.Duration // 0: as long as the interval
	cookie   uint32        // of the last question
	askedAt  time.Time     // zero if it has been answered
}

func (p *pulse) init(cfg Config) {
	p.wake = make(chan struct{}, 1)
	p.idle = max(0, cfg.IdleTimeout)
	p.interval = max(0, cfg.KeepAlive)
}

func (p *pulse) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// set takes what a server tells a device, and returns what is in force.
func (p *pulse) set(m KeepAliveOptionsRequest) KeepAliveOptionsReply {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Interval != 0 {
		p.interval = time.Duration(m.Interval) * time.Second
	}
	if m.Timeout != 0 {
		p.timeout = time.Duration(m.Timeout) * time.Second
	}
	p.nudge()
	return KeepAliveOptionsReply{seconds(p.interval), seconds(p.timeout)}
}

func (p *pulse) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = true
	p.nudge()
}

func (p *pulse) armed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}

// ask returns the next question.
func (p *pulse) ask(now time.Time) KeepAliveRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cookie++
	p.askedAt = now
	return KeepAliveRequest{p.cookie}
}

func (p *pulse) answered(cookie uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cookie == p.cookie {
		p.askedAt = time.Time{}
	}
}

// A beat is what is to be done now, and when to look again; zero is not before something changes.
type beat struct {
	ask, dead bool
	next      time.Time
}

// device decides for a device that last asked, or was told its interval, at the time since.
func (p *pulse) device(now, since time.Time) beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interval == 0 {
		return beat{}
	}
	next := since.Add(p.interval)
	timeout := p.timeout
	if timeout == 0 {
		timeout = p.interval
	}
	if !p.askedAt.IsZero() {
		late := p.askedAt.Add(timeout)
		if !now.Before(late) {
			return beat{dead: true}
		}
		// No second question before the first is answered or missed.
		return beat{next: late}
	}
	if !now.Before(next) {
		return beat{ask: true, next: now.Add(min(p.interval, timeout))}
	}
	return beat{next: next}
}

// server decides for a server that last heard something at the time heard.
func (p *pulse) server(now, heard time.Time) beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on || p.idle == 0 {
		return beat{}
	}
	doubt, end := heard.Add(p.idle*2/3), heard.Add(p.idle)
	switch {
	case !now.Before(end):
		return beat{dead: true}
	case now.Before(doubt):
		return beat{next: doubt}
	case p.askedAt.After(heard):
		return beat{next: end}
	}
	return beat{ask: true, next: end}
}

// beat runs the keepalive.
func (s *Session) beat() {
	since := s.began
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		now := time.Now()
		var b beat
		if s.role == device {
			b = s.pulse.device(now, since)
		} else {
			b = s.pulse.server(now, s.began.Add(time.Duration(s.heard.Load())))
		}
		switch {
		case b.dead:
			err := fmt.Errorf("apf: %w", ErrTimeout)
			s.end(err, reasonFor(err))
			return
		case b.ask:
			since = now
			s.out.post(s.pulse.ask(now))
		}
		if b.next.IsZero() {
			timer.Reset(math.MaxInt64)
		} else {
			timer.Reset(b.next.Sub(now))
		}
		select {
		case <-timer.C:
		case <-s.pulse.wake:
			if s.role == device {
				since = time.Now()
			}
		case <-s.ending:
			return
		}
	}
}

// seconds rounds up, as 0 means something else.
func seconds(d time.Duration) uint32 {
	return uint32(min((d+time.Second-1)/time.Second, math.MaxUint32))
}
