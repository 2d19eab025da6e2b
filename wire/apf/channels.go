package apf

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

// Dial opens a channel to a forwarded port of the machine, as a Server. It returns when the firmware has said yes or no:
// no is an *[OpenError]. It does not look whether the port has been announced, as firmware knows best. Other errors wrap
// [ErrChannels], ctx's cause, or say why the session has ended.
func (s *Session) Dial(ctx context.Context, port int) (net.Conn, error) {
	address := Forward{}.host()
	for _, f := range s.Forwards() {
		if f.Port == uint32(port) {
			address = f.host()
		}
	}
	c, err := s.Open(ctx, ChannelOpen{Type: TypeForwarded, Address: address, Port: uint32(port), OriginAddress: "127.0.0.1"})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Open opens a channel: type [TypeForwarded] as a Server, [TypeDirect] as a Device. Sender and Window of m are filled in,
// and an empty type and a zero originator's port. It returns when the peer has said yes or no. Errors are those of Dial.
func (s *Session) Open(ctx context.Context, m ChannelOpen) (*Channel, error) {
	c, err := s.ask(&m)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.dialled:
	case <-ctx.Done():
		c.abandon()
		return nil, fmt.Errorf("apf: open channel to port %d: %w", m.Port, context.Cause(ctx))
	}
	if c.openErr != nil {
		return nil, c.openErr
	}
	return c, nil
}

// ask gets a number and sends the open.
func (s *Session) ask(m *ChannelOpen) (*Channel, error) {
	if m.Type == "" {
		m.Type = TypeForwarded
		if s.role == device {
			m.Type = TypeDirect
		}
	}
	if n := max(len(m.Address), len(m.OriginAddress), len(m.Type)); n > MaxString {
		return nil, fmt.Errorf("apf: open channel to port %d: %w: %d bytes, at most %d", m.Port, ErrTooLong, n, MaxString)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil, s.err
	case !s.ready:
		return nil, fmt.Errorf("apf: open channel to port %d: %w", m.Port, ErrRestarted)
	}
	c := s.add(opening)
	if c == nil {
		return nil, fmt.Errorf("apf: open channel to port %d: %w: %d", m.Port, ErrChannels, s.used)
	}
	m.Sender, m.Window = c.local, uint32(s.cfg.Window)
	if m.OriginPort == 0 {
		m.OriginPort = 1024 + c.local // as MeshCentral; nobody looks
	}
	c.here, c.there = Addr{m.OriginAddress, m.OriginPort}, Addr{m.Address, m.Port}
	c.dialled = make(chan struct{})
	if err := s.out.post(*m); err != nil {
		s.remove(c)
		return nil, err
	}
	return c, nil
}

// add takes the lowest free number, or returns nil if the limit is reached. The caller holds the lock.
func (s *Session) add(p phase) *Channel {
	at := slices.Index(s.channels, nil)
	switch {
	case at >= 0:
	case len(s.channels) < s.cfg.MaxChannels:
		at = len(s.channels)
		s.channels = append(s.channels, nil)
	default:
		if at = s.oldestClosing(); at < 0 {
			return nil
		}
		s.used--
	}
	c := newChannel(s, uint32(at), p)
	s.channels[at] = c
	s.used++
	return c
}

// oldestClosing finds a number whose channel the peer should have closed long ago; MeshCentral's host program forgets to.
func (s *Session) oldestClosing() int {
	oldest, when := -1, time.Now().Add(-forgetClosing)
	for i, c := range s.channels {
		c.mu.Lock()
		if c.phase == closing && c.closedAt.Before(when) {
			oldest, when = i, c.closedAt
		}
		c.mu.Unlock()
	}
	return oldest
}

// remove frees a number. The caller holds the lock.
func (s *Session) remove(c *Channel) {
	if int(c.local) < len(s.channels) && s.channels[c.local] == c {
		s.channels[c.local] = nil
		s.used--
	}
}

func (s *Session) free(c *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// channel finds the channel of a number of ours, or nil.
func (s *Session) channel(number uint32) *Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if uint64(number) >= uint64(len(s.channels)) {
		return nil
	}
	return s.channels[number]
}

// handleChannel does what a message about a channel asks for. Data, window and close for a number that is not in use are
// dropped, as firmware sends some late; answers to what was never asked are not.
func (s *Session) handleChannel(kind Kind, b []byte) error {
	switch kind {
	case KindData:
		m, _, err := ParseData(b)
		if err != nil {
			return err
		}
		if c := s.channel(m.Recipient); c != nil {
			return c.receive(m.Payload)
		}
		return nil
	case KindWindowAdjust:
		m, _, err := ParseWindowAdjust(b)
		if err != nil {
			return err
		}
		if c := s.channel(m.Recipient); c != nil {
			c.grant(m.Bytes)
		}
		return nil
	case KindChannelClose:
		m, _, err := ParseChannelClose(b)
		if err != nil {
			return err
		}
		if c := s.channel(m.Recipient); c != nil {
			if err := c.closed(); err != nil {
				return err
			}
			s.free(c)
		}
		return nil
	case KindChannelOpen:
		m, _, err := ParseChannelOpen(b)
		if err != nil {
			return err
		}
		return s.asked(m)
	case KindChannelOpenConfirmation:
		m, _, err := ParseChannelOpenConfirmation(b)
		if err != nil {
			return err
		}
		if c := s.channel(m.Recipient); c != nil {
			return c.confirm(m)
		}
		return fmt.Errorf("apf: %w: confirmation of channel %d, which is not in use", ErrProtocol, m.Recipient)
	case KindChannelOpenFailure:
		m, _, err := ParseChannelOpenFailure(b)
		if err != nil {
			return err
		}
		c := s.channel(m.Recipient)
		if c == nil {
			return fmt.Errorf("apf: %w: refusal of channel %d, which is not in use", ErrProtocol, m.Recipient)
		}
		if err := c.refuse(m); err != nil {
			return err
		}
		s.free(c)
		return nil
	}
	return fmt.Errorf("apf: %w: %v", ErrUnknown, kind)
}

// asked takes an open of the peer's: it goes to whoever listens, or is refused.
func (s *Session) asked(m ChannelOpen) error {
	to, reason := s.taker(m)
	if to == nil {
		return s.out.post(ChannelOpenFailure{m.Sender, reason})
	}
	s.mu.Lock()
	var c *Channel
	if s.err == nil {
		c = s.add(asked)
	}
	s.mu.Unlock()
	if c == nil {
		return s.out.post(ChannelOpenFailure{m.Sender, ResourceShortage})
	}
	c.mu.Lock()
	c.remote, c.window = m.Sender, int64(m.Window)
	c.mu.Unlock()
	c.here, c.there = Addr{m.Address, m.Port}, Addr{m.OriginAddress, m.OriginPort}
	if o := (&Opening{m, c}); !to.put(o) {
		return o.Refuse(ConnectFailed)
	}
	return nil
}

// taker finds who takes such channels.
func (s *Session) taker(m ChannelOpen) (*backlog, OpenReason) {
	switch {
	case s.role == server && m.Type == TypeDirect && s.cfg.Direct:
		return &s.incoming, 0
	case s.role == device && m.Type == TypeForwarded:
		s.mu.Lock()
		defer s.mu.Unlock()
		if l := s.listener(m.Port); l != nil {
			return &l.backlog, 0
		}
		return nil, ConnectFailed
	}
	return nil, UnknownChannelType
}
