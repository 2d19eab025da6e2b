package mei

import (
	"fmt"
	"io"
	"sync"
)

// Pipe returns the two ends of a link in memory. Closing one closes both.
func Pipe() (host, me Link) {
	down, up := newQueue(), newQueue()
	closeBoth := func() {
		down.close()
		up.close()
	}
	return &pipe{out: down, in: up, close: closeBoth}, &pipe{out: up, in: down, close: closeBoth}
}

// pipeDepth is how many packets may wait before who sends has to.
const pipeDepth = 64

// pipe is one end.
type pipe struct {
	out, in *queue
	got     packets // taken from in, and not all handed out yet
	close   func()
}

func (p *pipe) Send(packet []byte) error { return p.out.put(packet) }

func (p *pipe) Receive() ([]byte, error) {
	if p.got.empty() {
		if err := p.in.take(&p.got); err != nil {
			return nil, err
		}
	}
	return p.got.next(), nil
}

func (p *pipe) Close() error { p.close(); return nil }

// packets are back to back; each ends where ends says.
type packets struct {
	b    []byte
	ends []int
	at   int // of the next one in ends
}

func (s *packets) empty() bool { return s.at == len(s.ends) }

func (s *packets) add(p []byte) {
	s.b = append(s.b, p...)
	s.ends = append(s.ends, len(s.b))
}

// next returns the next one. There must be one.
func (s *packets) next() []byte {
	start := 0
	if s.at > 0 {
		start = s.ends[s.at-1]
	}
	end := s.ends[s.at]
	s.at++
	return s.b[start:end:end]
}

// reset forgets all, and keeps the memory.
func (s *packets) reset() { s.b, s.ends, s.at = s.b[:0], s.ends[:0], 0 }

// A queue is one direction. Whoever takes, takes all that there is, and gives the memory of what it took before.
type queue struct {
	mu     sync.Mutex // guards what follows
	change sync.Cond
	wait   packets
	over   bool
}

func newQueue() *queue {
	q := new(queue)
	q.change.L = &q.mu
	return q
}

func (q *queue) put(packet []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.wait.ends) >= pipeDepth && !q.over {
		q.change.Wait()
	}
	if q.over {
		return fmt.Errorf("mei: link: %w", io.ErrClosedPipe)
	}
	q.wait.add(packet)
	q.change.Signal() // the two ends never wait at once: one wants room, the other a packet
	return nil
}

// take waits for packets and exchanges got for them, also for those sent before the end.
func (q *queue) take(got *packets) error {
	got.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.wait.empty() && !q.over {
		q.change.Wait()
	}
	if q.wait.empty() {
		return fmt.Errorf("mei: link: %w", io.EOF)
	}
	*got, q.wait = q.wait, *got
	q.change.Signal()
	return nil
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	q.change.Broadcast()
}
