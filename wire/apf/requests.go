package apf

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

// Forwards returns the ports that the machine offers, as a Server, in the order it asked.
func (s *Session) Forwards() []Forward {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.forwards)
}

// WaitForward waits, as a Server, until the machine offers one of the ports, and returns it; without ports, any. A
// machine says at once which ones it has, one after the other: those with TLS (16993, 664, 16995) before those without.
func (s *Session) WaitForward(ctx context.Context, ports ...int) (Forward, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		for _, f := range s.forwards {
			if len(ports) == 0 || slices.Contains(ports, int(f.Port)) {
				s.mu.Unlock()
				return f, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.ending:
			return Forward{}, s.Err()
		case <-ctx.Done():
			return Forward{}, fmt.Errorf("apf: wait for ports %v: %w", ports, context.Cause(ctx))
		}
	}
}

// handleGlobal takes a global request, or the answer to one.
func (s *Session) handleGlobal(kind Kind, b []byte) error {
	if kind != KindGlobalRequest {
		if s.role != device {
			return fmt.Errorf("apf: %w: %v to no request", ErrProtocol, kind)
		}
		return s.replied(kind)
	}
	m, _, err := ParseGlobalRequest(b)
	if err != nil {
		return err
	}
	if s.role != server {
		return fmt.Errorf("apf: %w: a server's %v", ErrProtocol, kind)
	}
	if m.Name == RequestUDP && !m.WantReply && (s.cfg.OnUDP == nil || len(s.requests) > maxRequests/2) {
		return nil // datagrams may be lost
	}
	if m.Name != RequestUDP {
		m.Payload = nil // that of a name that we do not know
	}
	m.Payload = bytes.Clone(m.Payload)
	return s.queue(request{GlobalRequest: m})
}

// A request waits for serveRequests.
type request struct {
	GlobalRequest
	restarted bool // instead of a request: the machine has forgotten what it asked before
}

func (s *Session) queue(r request) error {
	select {
	case s.requests <- r:
		return nil
	default:
		return fmt.Errorf("apf: %w: %d requests wait", ErrFlood, cap(s.requests))
	}
}

// serveRequests answers one request after the other, as replies have no number.
func (s *Session) serveRequests() {
	for s.ctx.Err() == nil {
		select {
		case r := <-s.requests:
			if r.restarted {
				for _, f := range s.Forwards() {
					s.dropForward(f)
				}
				continue
			}
			s.out.post(s.serveRequest(r.GlobalRequest)...) // with an error the reader meets it, too
		case <-s.ending:
			return
		}
	}
}

func (s *Session) serveRequest(m GlobalRequest) (reply []message) {
	var ok, first bool
	f := Forward{m.Address, m.Port}
	switch m.Name {
	case RequestForward:
		ok, first = s.addForward(f)
	case RequestCancel:
		ok = s.dropForward(f)
	case RequestUDP:
		if ok = s.cfg.OnUDP != nil; ok {
			s.cfg.OnUDP(s.ctx, m)
		}
	}
	switch {
	case !m.WantReply:
	case ok:
		reply = append(reply, RequestSuccess{HasPort: m.Name == RequestForward, Port: m.Port})
	default:
		reply = append(reply, RequestFailure{})
	}
	if first && !s.cfg.LME {
		if s.cfg.KeepAlive > 0 {
			reply = append(reply, KeepAliveOptionsRequest{Interval: seconds(s.cfg.KeepAlive)})
		}
		s.pulse.arm()
	}
	return reply
}

// addForward is the answer to tcpip-forward. first is true once in a session.
func (s *Session) addForward(f Forward) (ok, first bool) {
	s.mu.Lock()
	known := slices.ContainsFunc(s.forwards, func(g Forward) bool { return f.Port == g.Port })
	full := len(s.forwards) >= maxForwards
	s.mu.Unlock()
	if known || full || f.Port == 0 || f.Port > 65535 {
		return false, false
	}
	if s.cfg.OnForward != nil && s.cfg.OnForward(s.ctx, f) != nil {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forwards = append(s.forwards, f)
	s.wakeWaiters()
	return true, !s.pulse.armed()
}

// dropForward is the answer to cancel-tcpip-forward. Firmware need not repeat the address, so the port decides.
func (s *Session) dropForward(f Forward) bool {
	s.mu.Lock()
	at := slices.IndexFunc(s.forwards, func(g Forward) bool { return f.Port == g.Port })
	if at < 0 {
		s.mu.Unlock()
		return false
	}
	f = s.forwards[at]
	s.forwards = slices.Delete(s.forwards, at, at+1)
	s.wakeWaiters()
	s.mu.Unlock()
	if s.cfg.OnCancel != nil {
		s.cfg.OnCancel(s.ctx, f)
	}
	return true
}

// wakeWaiters makes WaitForward look again. The caller holds the lock.
func (s *Session) wakeWaiters() {
	close(s.changed)
	s.changed = make(chan struct{})
}
