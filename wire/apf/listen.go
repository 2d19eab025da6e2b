package apf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
)

// An Opening is a channel that the peer asks for. It must be accepted or refused; until then it takes a place.
type Opening struct {
	ChannelOpen // what the peer said
	c           *Channel
}

// Accept grants the channel. The error says why the session has ended.
func (o *Opening) Accept() (*Channel, error) {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != asked {
		return nil, o.over()
	}
	if err := c.s.out.post(ChannelOpenConfirmation{c.remote, c.local, uint32(c.s.cfg.Window)}); err != nil {
		return nil, err
	}
	c.phase = live
	return c, nil
}

// Refuse refuses it.
func (o *Opening) Refuse(reason OpenReason) error {
	c := o.c
	c.mu.Lock()
	if c.phase != asked {
		defer c.mu.Unlock()
		return o.over()
	}
	c.phase = gone
	c.mu.Unlock()
	err := c.s.out.post(ChannelOpenFailure{c.remote, reason})
	c.s.free(c)
	return err
}

func (o *Opening) answered() bool {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	return o.c.phase != asked
}

func (o *Opening) over() error {
	if o.c.readErr != nil {
		return o.c.readErr
	}
	return errors.New("apf: opening has been answered")
}

// A backlog holds openings that wait to be taken. Each has a channel's number, so there are no more than
// Config.MaxChannels.
type backlog struct {
	mu     sync.Mutex // guards what follows
	list   []*Opening
	closed bool
	wake   chan struct{} // holds one token while list is not empty or closed is set
}

func (b *backlog) init() { b.wake = make(chan struct{}, 1) }

// put returns false if nobody listens any more.
func (b *backlog) put(o *Opening) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if len(b.list) >= o.c.s.cfg.MaxChannels { // the peer has started over and forgotten some
		b.list = slices.DeleteFunc(b.list, (*Opening).answered)
	}
	b.list = append(b.list, o)
	b.nudge()
	return true
}

func (b *backlog) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// close ends all get, and returns what nobody has taken.
func (b *backlog) close() []*Opening {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.list
	b.list, b.closed = nil, true
	b.nudge()
	return list
}

// get waits for an opening. It returns [net.ErrClosed] after close.
func (b *backlog) get(ctx context.Context, s *Session) (*Opening, error) {
	for {
		select {
		case <-b.wake:
			b.mu.Lock()
			var o *Opening
			if len(b.list) > 0 {
				o = b.list[0]
				b.list[0] = nil
				b.list = b.list[1:]
			}
			closed := b.closed
			if len(b.list) > 0 || closed {
				b.nudge()
			}
			b.mu.Unlock()
			switch {
			case o != nil:
				return o, nil
			case closed:
				return nil, net.ErrClosed
			}
		case <-s.ending:
			return nil, s.Err()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Accept waits for a direct-tcpip channel that the machine wants, as a Server with Config.Direct. The error is ctx's
// cause, or says why the session has ended.
func (s *Session) Accept(ctx context.Context) (*Opening, error) {
	if s.role != server || !s.cfg.Direct {
		return nil, errors.New("apf: accept: the session takes no direct-tcpip channels")
	}
	return s.incoming.get(ctx, s)
}

// A Listener is a port that a Device has had forwarded: a net.Listener.
type Listener struct {
	backlog
	s        *Session
	forward  Forward
	answered chan struct{} // closed with the first answer
	once     sync.Once     // for answered
	err      error         // set before answered is closed
}

var _ net.Listener = (*Listener)(nil)

// pending is a request that the server has not answered.
type pending struct {
	name     string
	listener *Listener // of RequestForward
}

// Listen asks the server to forward a port, as a Device, and returns when it has said yes. No wraps [ErrRefused]. address
// is as in [Forward]; a server may give it back when it opens a channel. If the server starts over (LME), the port is
// asked for again.
func (s *Session) Listen(ctx context.Context, address string, port int) (*Listener, error) {
	l := &Listener{s: s, forward: Forward{address, uint32(port)}, answered: make(chan struct{})}
	l.init()
	if err := s.listen(l); err != nil {
		return nil, fmt.Errorf("apf: listen on port %d: %w", port, err)
	}
	select {
	case <-l.answered:
		if l.err == nil {
			return l, nil
		}
		return nil, fmt.Errorf("apf: listen on port %d: %w", port, l.err)
	case <-s.ending:
		return nil, fmt.Errorf("apf: listen on port %d: %w", port, s.Err())
	case <-ctx.Done():
		l.Close()
		return nil, fmt.Errorf("apf: listen on port %d: %w", port, context.Cause(ctx))
	}
}

func (s *Session) listen(l *Listener) error {
	if s.role != device {
		return errors.New("only a device listens")
	}
	if n := len(l.forward.Address); n > MaxString {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, n, MaxString)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case s.listener(l.forward.Port) != nil:
		return errors.New("already listening")
	case len(s.listeners) >= maxForwards || len(s.pending) >= maxRequests:
		return fmt.Errorf("%d ports, %d requests open", len(s.listeners), len(s.pending))
	}
	if s.ready { // else announce will do it
		if err := s.forward(l); err != nil {
			return err
		}
	}
	s.listeners = append(s.listeners, l)
	return nil
}

// listener finds who listens on a port. The caller holds the lock.
func (s *Session) listener(port uint32) *Listener {
	for _, l := range s.listeners {
		if l.forward.Port == port {
			return l
		}
	}
	return nil
}

// unlisten returns false if l does not listen any more. The caller holds the lock.
func (s *Session) unlisten(l *Listener) bool {
	at := slices.Index(s.listeners, l)
	if at < 0 {
		return false
	}
	s.listeners = slices.Delete(s.listeners, at, at+1)
	return true
}

// forward asks for a listener's port. The caller holds the lock, so that requests are pending in the order they go out.
func (s *Session) forward(l *Listener) error {
	err := s.out.post(GlobalRequest{Name: RequestForward, WantReply: true, Address: l.forward.Address, Port: l.forward.Port})
	if err != nil {
		return err
	}
	s.pending = append(s.pending, pending{RequestForward, l})
	return nil
}

// announce asks for all ports, again. The caller holds the lock.
func (s *Session) announce() error {
	for _, l := range s.listeners {
		if err := s.forward(l); err != nil {
			return err
		}
	}
	return nil
}

// Accept waits for a connection to the port and grants it.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		o, err := l.get(context.Background(), l.s)
		if err != nil {
			return nil, err
		}
		if c, err := o.Accept(); err == nil {
			return c, nil
		} // else the server has started over since, or the session has ended, which the next get says
	}
}

// Close ends listening and tells the server. Connections stay.
func (l *Listener) Close() error {
	for _, o := range l.close() {
		o.Refuse(ConnectFailed)
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unlisten(l) || s.err != nil || !s.ready {
		return nil
	}
	err := s.out.post(GlobalRequest{Name: RequestCancel, WantReply: true, Address: l.forward.Address, Port: l.forward.Port})
	if err == nil {
		s.pending = append(s.pending, pending{name: RequestCancel})
	}
	return err
}

// Addr returns the address and the port.
func (l *Listener) Addr() net.Addr { return Addr{l.forward.Address, l.forward.Port} }

func (l *Listener) answer(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.answered)
	})
}

// SendUDP asks the server to send a datagram, as a Device. There is no answer: it may be lost.
func (s *Session) SendUDP(to, from Addr, payload []byte) error {
	if len(payload) > MaxDatagram {
		return fmt.Errorf("apf: send datagram: %w: %d bytes, at most %d", ErrTooLong, len(payload), MaxDatagram)
	}
	if n := max(len(to.Host), len(from.Host)); n > MaxString {
		return fmt.Errorf("apf: send datagram: %w: address of %d bytes, at most %d", ErrTooLong, n, MaxString)
	}
	select {
	case <-s.ending:
		return s.Err()
	default:
	}
	return s.out.post(GlobalRequest{
		Name: RequestUDP, Address: to.Host, Port: to.Port,
		OriginAddress: from.Host, OriginPort: from.Port, Payload: payload,
	})
}

// portAsked tells the reader whether the oldest request wanted a port.
func (s *Session) portAsked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) > 0 && s.pending[0].name == RequestForward
}

// replied takes the server's answer to the oldest request.
func (s *Session) replied(kind Kind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		if kind == KindRequestFailure || s.cfg.LME {
			return nil // MeshCentral's host program answers what wants no answer
		}
		return fmt.Errorf("apf: %w: %v to no request", ErrProtocol, kind)
	}
	oldest := s.pending[0]
	s.pending = s.pending[1:]
	l := oldest.listener
	if l == nil {
		return nil
	}
	if kind == KindRequestSuccess {
		l.answer(nil)
		return nil
	}
	l.answer(ErrRefused)
	s.unlisten(l)
	l.close() // nobody could have come
	return nil
}
