package watchdog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

// A Server is the watchdog client of a virtual ME: one Timer, any number of connections. Set the fields, start Run, and
// give Serve to the engine.
type Server struct {
	// Version is the client's protocol version; the same must be in its MEI properties. Default 2.
	Version uint8
	// OnExpire is told, by Run, when the host has fallen silent.
	OnExpire func()
	// Allow, if set, says how long the host may be silent that asks for that time. For tests; default is what it asks for.
	Allow func(silence time.Duration) time.Duration
	// ChangeEnabled answers whether AMT may be switched on; nil is "no".
	ChangeEnabled func() ChangeFlags
	// SetOperational switches AMT on or off; nil refuses with NotPermitted.
	SetOperational func(on bool) status.Status
	// Log gets messages that are not understood; nil is silent.
	Log *slog.Logger

	mu    sync.Mutex // guards what follows
	timer Timer
	news  chan struct{} // closed when the timer changed
	conns map[mei.Conn]struct{}
}

// Run keeps time until ctx ends, and returns its cause.
func (s *Server) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.mu.Lock()
		expired := s.timer.Expire(time.Now())
		due, running := s.timer.Running()
		news := s.watch()
		s.mu.Unlock()
		if expired && s.OnExpire != nil {
			s.OnExpire()
		}
		timer.Stop()
		if running {
			timer.Reset(time.Until(due))
		}
		select {
		case <-timer.C:
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch returns a channel that is closed at the next change. The caller holds the lock.
func (s *Server) watch() <-chan struct{} {
	if s.news == nil {
		s.news = make(chan struct{})
	}
	return s.news
}

// changed wakes Run. The caller holds the lock.
func (s *Server) changed() {
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}

// Running tells whether the timer runs.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.timer.Running()
	return ok
}

// Require says whether AMT wants the watchdog. Hosts that asked for events are told of a change; a timer no longer
// wanted stops.
func (s *Server) Require(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer.Required == on {
		return
	}
	s.timer.Required = on
	if !on {
		s.timer.Reset()
	}
	s.changed()
	for c := range s.conns {
		if r, ok := c.(mei.Raiser); ok {
			r.Raise() // a connection that has just gone needs no event
		}
	}
}

// Reset stops the timer: the machine was reset, or left S0.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Reset()
	s.changed()
}

// Serve answers on one connection until it ends (nil) or ctx does.
func (s *Server) Serve(ctx context.Context, c mei.Conn) error {
	s.mu.Lock()
	if s.conns == nil {
		s.conns = map[mei.Conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for {
		b, err := mei.Receive(ctx, c)
		if err == nil {
			var answer []byte
			if answer, err = s.answer(b); err != nil {
				s.log().Warn("watchdog: message ignored", "error", err)
				continue
			}
			if answer != nil {
				err = mei.Send(ctx, c, answer)
			}
		}
		if errors.Is(err, mei.ErrDisconnected) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watchdog: serve: %w", err)
		}
	}
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// answer returns the answer to a message, nil for none.
func (s *Server) answer(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != cmdState {
		s.mu.Lock()
		defer s.mu.Unlock()
		defer s.changed()
		s.timer.Version = s.Version
		if s.Version == 0 {
			s.timer.Version = 2
		}
		s.timer.Allow = s.Allow
		return s.timer.Receive(b, time.Now())
	}
	request, err := ParseRequest(b)
	if err != nil {
		return nil, err
	}
	var flags ChangeFlags
	if s.ChangeEnabled != nil {
		flags = s.ChangeEnabled()
	}
	switch request.Kind {
	case KindEnabled:
		return flags.Append(nil), nil
	case KindSet:
		return SetReply{s.set(request.On)}.Append(nil), nil
	default: // KindChange, which newer firmware no longer takes
		code := uint32(changeRefused)
		if flags&NewInterface == 0 && flags&ChangeAllowed != 0 && s.set(true) == status.Success {
			code = 0
		}
		return binary.LittleEndian.AppendUint32(nil, code), nil
	}
}

func (s *Server) set(on bool) status.Status {
	if s.SetOperational == nil {
		return status.NotPermitted
	}
	return s.SetOperational(on)
}
