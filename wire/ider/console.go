package ider

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/redir"
)

// Options are a console's settings for [Open]. The zero value opens a session with two empty drives.
type Options struct {
	Floppy, CD *Medium // nil is no medium

	When      Moment // the drives are to appear; default Gracefully
	RxTimeout uint16 // ms of silence after which the machine ends the session; default 30000, at least 10000
	Heartbeat uint16 // ms between heartbeats of the machine; default 5000, at least 1000

	// OnEvent, if set, is told what happens, as it happens. It may call Insert and Eject, and must neither block nor
	// call Close.
	OnEvent func(Event)

	Timeout time.Duration // for each answer of the machine while opening; default 10 s
}

// An Event is what a console may like to know of a running session.
type Event struct {
	Kind  EventKind
	Drive Drive // of Ejected
	Mask  uint8 // of BusReset and MachineError, as sent
}

// An EventKind names an event.
type EventKind string

// The kinds.
const (
	BusReset     EventKind = "bus reset"     // the host has booted, or tries again
	MachineError EventKind = "machine error" // the session goes on
	Ejected      EventKind = "eject"         // the host wants the medium out; it stays in unless Eject is called
)

// maxBatch is how many messages of a read go out in one Write.
const maxBatch = 32

// A Session is the console's end: it serves images until it is closed or the machine ends it.
type Session struct {
	link
	o        Options
	chunk    int // bytes in one DataToHost
	inbox    chan received
	resets   atomic.Int32  // waiting in inbox
	serving  atomic.Bool   // a command is being worked on
	attached chan struct{} // closed when the machine has enabled the drives

	// Of the serving goroutine.
	batch   []byte
	pending *pendingWrite // nil: none

	mu         sync.Mutex // guards what follows
	floppy, cd unit
	stats      Stats
}

// A pendingWrite is a write whose data is on its way.
type pendingWrite struct {
	drive   Drive
	medium  *Medium
	lba     uint64
	data    []byte // so far; its capacity is what is wanted
	started time.Time
}

// Open opens the session on a connection that has logged in for [redir.IDER], and returns when the machine has enabled
// the drives: with Gracefully or Now the host sees them then, with OnReboot after its next reset. The connection belongs
// to the Session from now on and is closed on an error. The session ends when ctx does.
//
// The error wraps [ErrMedium], [ErrRefused], [ErrSequence], [redir.ErrTimeout], [redir.ErrProtocol], [redir.ErrCut],
// [redir.ErrOpcode], or is the connection's.
func Open(ctx context.Context, conn Conn, o Options) (*Session, error) {
	s := &Session{o: o, floppy: unit{drive: Floppy}, cd: unit{drive: CD}}
	s.o.When = cmp.Or(o.When, Gracefully)
	s.o.RxTimeout = max(cmp.Or(o.RxTimeout, 30000), 10000)
	s.o.Heartbeat = max(cmp.Or(o.Heartbeat, 5000), 1000)
	s.o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	s.inbox, s.attached = make(chan received, 4), make(chan struct{})
	for _, err := range []error{s.floppy.insert(o.Floppy, attached), s.cd.insert(o.CD, attached)} {
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("storage redirection: %w", err)
		}
	}
	s.init(ctx, conn, 1<<10)
	s.wg.Go(s.receive)
	s.wg.Go(s.serve)
	s.wg.Go(s.keep)
	late := time.AfterFunc(s.o.Timeout, func() {
		s.finish(fmt.Errorf("storage redirection: %w", redir.ErrTimeout))
	})
	defer late.Stop()
	err := s.write(func(seq uint32) message {
		return OpenRequest{Sequence: seq, RxTimeout: s.o.RxTimeout, Heartbeat: s.o.Heartbeat, Version: 1}
	})
	if err != nil {
		s.finish(err)
	}
	select {
	case <-s.attached:
		return s, nil
	case <-s.over:
		s.wg.Wait()
		if s.err == io.EOF {
			return nil, fmt.Errorf("storage redirection: %w: %w", redir.ErrCut, io.ErrUnexpectedEOF)
		}
		return nil, s.err
	}
}

// Insert puts another medium into a drive, in the place of the one that may be there. The host is told that it changed.
func (s *Session) Insert(d Drive, m *Medium) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unit(d).insert(m, changed)
}

// Eject takes the medium out.
func (s *Session) Eject(d Drive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unit(d).insert(nil, nothing)
}

// unit is the unit of a drive. mu is held.
func (s *Session) unit(d Drive) *unit {
	if d == CD {
		return &s.cd
	}
	return &s.floppy
}

// Stats returns what has happened so far.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close ends the session in order; the drives vanish from the host. It waits for the machine's answer, for a second at
// most. The error tells how the session had ended before, if not by the machine's wish.
func (s *Session) Close() error {
	s.closed.Do(func() {
		close(s.closing)
		late := time.AfterFunc(goodbye, func() { s.finish(ErrClosed) })
		if s.write(header(opClose)) != nil {
			s.finish(ErrClosed)
		}
		<-s.over // the answer has come, or the second has gone
		late.Stop()
	})
	s.wg.Wait()
	return s.result()
}

// receive reads messages and hands them on.
func (s *Session) receive() {
	p := console{state: openSent}
	for {
		m, err := s.next()
		var got received
		if err == nil {
			got, err = p.step(m)
		}
		if err == nil && got.op == opCloseReply {
			late := time.AfterFunc(goodbye, func() { s.finish(io.EOF) })
			s.conn.Write(redir.AppendEnd(nil)) // there is no answer, and nothing depends on it
			late.Stop()
			err = io.EOF
		}
		if err != nil {
			select {
			case <-s.closing:
				err = ErrClosed
			default:
			}
			s.finish(err)
			return
		}
		if got.op == opReset {
			s.resets.Add(1)
		}
		select {
		case s.inbox <- got:
		case <-s.over:
			return
		}
	}
}

// serve works on messages, one after the other.
func (s *Session) serve() {
	for {
		select {
		case got := <-s.inbox:
			s.serving.Store(true)
			err := s.handle(&got)
			s.serving.Store(false)
			if err != nil {
				s.finish(err)
				return
			}
		case <-s.over:
			return
		}
	}
}

// keep keeps the session alive, and notices when the machine is not.
func (s *Session) keep() {
	every := milliseconds(s.o.RxTimeout) / 2
	dead := 2 * milliseconds(s.o.Heartbeat)
	tick := time.NewTicker(min(every, dead) / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.over:
			return
		}
		if s.silence() >= dead && !s.serving.Load() {
			select {
			case <-s.attached:
				s.finish(fmt.Errorf("storage redirection: %w", ErrSilent))
				return
			default: // Open has its own time
			}
		}
		if s.quiet() >= every-min(every, dead)/4 {
			if err := s.write(header(opPing)); err != nil {
				s.finish(err)
				return
			}
		}
	}
}

func milliseconds(n uint16) time.Duration { return time.Duration(n) * time.Millisecond }

// handle does what a message asks for.
func (s *Session) handle(got *received) error {
	switch got.op {
	case opOpenReply:
		s.chunk = got.chunk
		return s.write(func(seq uint32) message {
			return Features{Sequence: seq, Sub: FeatureSet, Value: enable | uint32(s.o.When)}
		})
	case opFeaturesReply:
		if got.again {
			return s.handle(&received{op: opOpenReply, chunk: s.chunk})
		}
		close(s.attached)
	case opPing:
		return s.write(header(opPong))
	case opReset:
		s.pending = nil
		s.resets.Add(-1)
		if err := s.write(header(opResetReply)); err != nil {
			return err
		}
		s.event(Event{Kind: BusReset, Mask: got.mask})
	case opError:
		s.event(Event{Kind: MachineError, Mask: got.mask})
	case opCommand:
		if s.resets.Load() == 0 { // else the host has given it up already
			return s.command(&got.command)
		}
	case opDataFromHost:
		return s.written(got.data)
	}
	return nil
}

func (s *Session) event(e Event) {
	if s.o.OnEvent != nil {
		s.o.OnEvent(e)
	}
}
