package apf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Session is one connection that has been started up. It owns the connection and closes it when it ends: by
// [Session.Close], by the peer, or by an error. Its methods may be called from several goroutines.
type Session struct {
	conn  io.ReadWriteCloser
	cfg   Config
	role  role
	start startup // used by the reader goroutine only
	open  bool    // likewise: ports can be forwarded
	out   outbox
	heard atomic.Int64 // when bytes last arrived, since began
	began time.Time
	pulse pulse

	ctx     context.Context // of the callbacks
	cancel  context.CancelCauseFunc
	started chan struct{} // closed when ports can be forwarded
	ending  chan struct{} // closed when err is set
	done    chan struct{} // closed when all goroutines have ended
	work    sync.WaitGroup

	mu        sync.Mutex // guards what follows; taken first of all locks
	err       error
	linger    *time.Timer
	channels  []*Channel // by our number
	used      int
	peer      ProtocolVersion
	user      string
	ready     bool          // ports can be forwarded
	listeners []*Listener   // device: in the order of the calls
	pending   []pending     // device: requests not answered, oldest first
	forwards  []Forward     // server: in the order they came
	changed   chan struct{} // server: closed and replaced when forwards change

	incoming backlog      // server: direct-tcpip
	requests chan request // server: for the callbacks
}

type role string

const (
	device role = "device"
	server role = "server"
)

// Device starts up as the firmware and returns when ports can be forwarded. ctx is for the start-up only. The session
// takes conn over, also on error; Close of conn must end a Read and a Write under way. Errors wrap [ErrAuth],
// [ErrVersion], [ErrProtocol], *[DisconnectError] and others, or ctx's cause.
func Device(ctx context.Context, conn io.ReadWriteCloser, cfg Config) (*Session, error) {
	return begin(ctx, conn, cfg, device)
}

// Server starts up as a gateway or as LMS and returns when the machine may ask for ports; they come next, see
// [Session.WaitForward]. ctx is for the start-up only; give it a deadline, as a silent caller costs memory. The session
// takes conn over, also on error; Close of conn must end a Read and a Write under way. Errors wrap [ErrAuth],
// [ErrVersion], [ErrRefused], [ErrProtocol], *[DisconnectError] and others, or ctx's cause.
func Server(ctx context.Context, conn io.ReadWriteCloser, cfg Config) (*Session, error) {
	return begin(ctx, conn, cfg, server)
}

func begin(ctx context.Context, conn io.ReadWriteCloser, cfg Config, r role) (*Session, error) {
	cfg, err := cfg.withDefaults(r == server)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &Session{
		conn:    conn,
		cfg:     cfg,
		role:    r,
		out:     outbox{maxMessage: cfg.MaxMessage},
		began:   time.Now(),
		started: make(chan struct{}),
		ending:  make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	s.out.wake.L = &s.out.mu
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.incoming.init()
	s.pulse.init(cfg)
	if r == device {
		s.start = &deviceStart{cfg: cfg}
	} else {
		s.start = &serverStart{cfg: cfg}
		s.requests = make(chan request, maxRequests)
		s.work.Go(s.serveRequests)
	}
	if !cfg.LME {
		s.work.Go(s.beat)
	}
	s.out.post(s.start.begin()...)
	s.work.Go(s.write)
	go s.run()

	select {
	case <-s.started:
		return s, nil
	case <-s.ending:
	case <-ctx.Done():
		s.end(fmt.Errorf("apf: start-up: %w", context.Cause(ctx)), ByApplication)
	}
	<-s.done
	return nil, s.Err()
}

// Peer returns what the other end said of itself: on CIRA, that of a machine.
func (s *Session) Peer() ProtocolVersion {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// User returns the name that Auth let in.
func (s *Session) User() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// Done is closed when the session has ended and nothing of it runs any more.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err says why the session has ended, or nil. It wraps [net.ErrClosed] after Close, [io.EOF] if the connection just
// ended, and otherwise what happened.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the session, tells the peer, and waits until nothing of it runs any more. What was written on channels is
// sent first, unless that takes too long.
func (s *Session) Close() error {
	s.Disconnect(ByApplication)
	<-s.done
	return nil
}

// Disconnect does what Close does with a reason, and without waiting.
func (s *Session) Disconnect(reason DisconnectReason) {
	s.end(fmt.Errorf("apf: session: %w", net.ErrClosed), reason)
}

// end ends everything, once. A reason is told to the peer.
func (s *Session) end(err error, reason DisconnectReason) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	channels := slices.Clone(s.channels)
	s.linger = time.AfterFunc(linger, func() { s.conn.Close() })
	close(s.ending)
	s.mu.Unlock()

	s.cancel(err)
	var last message
	if reason != 0 {
		last = Disconnect{reason}
	}
	s.out.finish(last)
	for _, c := range channels {
		if c != nil {
			c.fail(err)
		}
	}
}

// reasonFor tells the peer what was wrong with it. 0 stays silent: the peer or the connection is gone.
func reasonFor(err error) DisconnectReason {
	var told *DisconnectError
	switch {
	case errors.As(err, &told):
		return 0
	case errors.Is(err, ErrAuth):
		return NoMoreAuthMethods
	case errors.Is(err, ErrVersion):
		return VersionNotSupported
	case errors.Is(err, ErrService):
		return ServiceNotAvailable
	case errors.Is(err, ErrRefused):
		return HostNotAllowed
	case errors.Is(err, ErrFlood):
		return ByPolicy
	case errors.Is(err, ErrTimeout):
		return TimedOut
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrWindow), errors.Is(err, ErrShort),
		errors.Is(err, ErrTooLong), errors.Is(err, ErrUnknown):
		return ProtocolError
	}
	return 0
}

// run reads until the session ends, and waits for the others.
func (s *Session) run() {
	err := s.read()
	s.end(err, reasonFor(err))
	s.work.Wait()
	s.linger.Stop()
	close(s.done)
}

// write is the writer goroutine. It closes the connection, which ends the reader.
func (s *Session) write() {
	defer s.conn.Close()
	var t batch
	for s.out.fill(&t) {
		if err := t.writeTo(s.conn, s.cfg.MaxMessage > 0); err != nil {
			select { // what the peer has said last may still be on its way to the reader
			case <-s.ending:
			case <-time.After(linger):
				s.end(fmt.Errorf("apf: write: %w", err), 0)
			}
			return
		}
	}
}

// heardReader notes when bytes arrive.
type heardReader struct{ s *Session }

func (r heardReader) Read(b []byte) (int, error) {
	n, err := r.s.conn.Read(b)
	if n > 0 && r.s.cfg.IdleTimeout > 0 {
		r.s.heard.Store(int64(time.Since(r.s.began)))
	}
	return n, err
}

func (s *Session) read() error {
	var r *Reader
	if s.cfg.LME {
		r = NewPacketReader(s.conn)
	} else {
		r = NewReader(heardReader{s}, s.portAsked)
	}
	for {
		m, err := r.Next()
		if err != nil {
			return fmt.Errorf("apf: read: %w", err)
		}
		if err := s.handle(m); err != nil {
			return err
		}
	}
}

// handle does what a message asks for. It does not block, but for callbacks of the start-up.
func (s *Session) handle(b []byte) error {
	switch kind := Kind(b[0]); kind {
	case KindDisconnect:
		m, _, err := ParseDisconnect(b)
		if err != nil {
			return err
		}
		return &DisconnectError{m.Reason}
	case KindKeepAliveRequest:
		m, _, err := ParseKeepAliveRequest(b)
		if err != nil {
			return err
		}
		return s.out.post(KeepAliveReply(m))
	case KindKeepAliveReply:
		m, _, err := ParseKeepAliveReply(b)
		s.pulse.answered(m.Cookie)
		return err
	case KindKeepAliveOptionsRequest:
		m, _, err := ParseKeepAliveOptionsRequest(b)
		if err != nil || s.role != device {
			return err
		}
		return s.out.post(s.pulse.set(m))
	case KindKeepAliveOptionsReply:
		return nil
	case KindProtocolVersion, KindServiceRequest, KindServiceAccept,
		KindUserAuthRequest, KindUserAuthFailure, KindUserAuthSuccess:
		return s.step(b)
	default:
		if !s.open {
			return fmt.Errorf("apf: %w: %v before port forwarding", ErrProtocol, kind)
		}
		if kind == KindGlobalRequest || kind == KindRequestSuccess || kind == KindRequestFailure {
			return s.handleGlobal(kind, b)
		}
		return s.handleChannel(kind, b)
	}
}

// step takes a message of the start-up.
func (s *Session) step(b []byte) error {
	reply, event, err := s.start.step(s.ctx, b)
	if posted := s.out.post(reply...); err == nil {
		err = posted
	}
	if event == restarted {
		if dropped := s.restart(); err == nil {
			err = dropped
		}
	}
	if err != nil {
		return err
	}
	if Kind(b[0]) == KindProtocolVersion {
		version, _, _ := ParseProtocolVersion(b) // step has read it
		s.mu.Lock()
		s.peer = version
		s.mu.Unlock()
	}
	if event == opened {
		return s.opened()
	}
	return nil
}

func (s *Session) opened() error {
	s.open = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	if start, ok := s.start.(*serverStart); ok {
		s.user = start.user
	}
	select {
	case <-s.started:
	default:
		close(s.started)
	}
	return s.announce()
}

// restart drops what the peer has forgotten.
func (s *Session) restart() error {
	s.open = false
	s.mu.Lock()
	channels := s.channels
	s.ready, s.channels, s.used, s.pending = false, nil, 0, nil
	s.mu.Unlock()
	for _, c := range channels {
		if c != nil {
			c.fail(fmt.Errorf("apf: channel: %w", ErrRestarted))
		}
	}
	if s.role == server {
		return s.queue(request{restarted: true})
	}
	return nil
}
