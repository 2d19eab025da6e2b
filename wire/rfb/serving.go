package rfb

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A serving is what both servers have in common: a session that shows a Frame, one update for each request.
type serving struct {
	conn   io.ReadWriteCloser
	r      *bufio.Reader
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	wake   chan struct{} // something to send, or to look at again

	mu      sync.Mutex // guards what follows, and the choices of the peer
	frame   *Frame
	asked   uint64 // requests so far
	done    uint64 // how many of them are answered
	request UpdateRequest
	queue   [][]byte // messages to send before the next update

	// The writer's own.
	shown *Frame
	look  Look // at shown
	list  []int
	out   []byte
	tile  Tile
}

// maxQueue bounds the messages that wait to be sent.
const maxQueue = 16

// open shakes hands: start does. conn is closed when ctx ends.
func (s *serving) open(ctx context.Context, conn io.ReadWriteCloser, frame *Frame, start func() error) error {
	s.conn, s.frame, s.shown = conn, frame, frame
	s.r, s.wake = bufio.NewReaderSize(conn, 4096), make(chan struct{}, 1)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.wg.Go(func() {
		<-s.ctx.Done()
		s.conn.Close()
	})
	if err := start(); err != nil {
		s.cancel(err)
		s.wg.Wait()
		return fmt.Errorf("rfb: handshake: %w", cut(cmp.Or(context.Cause(s.ctx), err)))
	}
	return nil
}

// run serves until the session ends.
func (s *serving) run(take func(ClientMessage) error, update func() (done bool, err error)) {
	s.wg.Go(func() { s.cancel(readMessages(s.r, take, s.ask)) })
	s.wg.Go(func() { s.cancel(s.send(update)) })
}

// Done is closed when the session has ended.
func (s *serving) Done() <-chan struct{} { return s.ctx.Done() }

// Err waits for the end of the session and returns why it ended; nil after Close.
func (s *serving) Err() error {
	<-s.ctx.Done()
	s.wg.Wait()
	if err := context.Cause(s.ctx); err != errClosed {
		return fmt.Errorf("rfb: %w", cut(err))
	}
	return nil
}

// Close ends the session and waits for its end.
func (s *serving) Close() error {
	s.cancel(errClosed)
	return s.Err()
}

// Show shows another frame from now on: the peer learns the new size.
func (s *serving) Show(f *Frame) {
	s.mu.Lock()
	s.frame = f
	s.mu.Unlock()
	s.nudge()
}

// nudge has the writer look again.
func (s *serving) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// put queues a message. It reports false when too many wait already.
func (s *serving) put(message []byte) bool {
	s.mu.Lock()
	ok := len(s.queue) < maxQueue
	if ok {
		s.queue = append(s.queue, message)
	}
	s.mu.Unlock()
	s.nudge()
	return ok
}

// ask notes a request for an update.
func (s *serving) ask(m UpdateRequest) {
	s.mu.Lock()
	if s.asked > s.done && !s.request.Incremental {
		m.Incremental = false // what was asked for in full is still owed
	}
	s.request = m
	s.asked++
	s.mu.Unlock()
	s.nudge()
}

// next takes what there is to send, and tells whether an update is wanted.
func (s *serving) next() (queue [][]byte, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown != s.frame {
		s.shown.unwatch(s.wake)
		s.frame.watch(s.wake)
		s.shown, s.look = s.frame, Look{W: s.look.W, H: s.look.H}
	}
	queue, s.queue = s.queue, nil
	return queue, s.asked > s.done
}

// answered takes the first n requests as done.
func (s *serving) answered(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = n
}

// send sends messages and answers requests to the end.
func (s *serving) send(update func() (done bool, err error)) error {
	s.shown.watch(s.wake)
	defer func() { s.shown.unwatch(s.wake) }()
	for {
		queue, asked := s.next()
		for _, m := range queue {
			if _, err := s.conn.Write(m); err != nil {
				return err
			}
		}
		if asked {
			done, err := update()
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		select {
		case <-s.wake: // also when something was published, even while update looked
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
}

// readMessages hands messages over until one is refused or the stream ends. Requests for updates, of which there is one for
// each, have a way of their own.
func readMessages(r *bufio.Reader, take func(ClientMessage) error, ask func(UpdateRequest)) error {
	var b []byte
	for {
		b = b[:0]
		for need := 1; len(b) < need; {
			have := len(b)
			b = slices.Grow(b, need-have)[:need]
			if _, err := io.ReadFull(r, b[have:]); err != nil {
				if have > 0 && err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			n, err := ClientLength(b)
			if err != nil {
				return err
			}
			if need = n; n == 0 {
				need = 8 // no head of a message is longer
				if b[0] == typeSetEncodings {
					need = 4
				}
			}
		}
		if b[0] == typeUpdateRequest {
			ask(parseUpdateRequest(b))
			continue
		}
		m, _, err := ParseClientMessage(b)
		if err != nil {
			return err
		}
		if text, ok := m.(ClientText); ok {
			m = ClientText{slices.Clone(text.Text)}
		}
		if err := take(m); err != nil {
			return err
		}
	}
}
