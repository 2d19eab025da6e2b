package sol

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/outband/outband/wire/redir"
)

// A Conn is what package redir gives: *redir.Conn at a console, *redir.Session at a machine.
type Conn interface {
	Next(length func([]byte) (int, error)) ([]byte, error) // one whole message
	io.Writer
	io.Closer
}

// goodbye is how long an end waits for the other at the end of a session.
const goodbye = time.Second

// A port is what both ends have in common.
type port struct {
	conn    Conn
	ctx     context.Context // ends the session
	rx      *fifo
	closing chan struct{} // closed when Close is called: nobody wants data any more
	over    chan struct{} // closed when the session has ended
	wg      sync.WaitGroup

	ending sync.Once
	err    error // why the session ended; good once over is closed
	closed sync.Once

	writing sync.Mutex // guards writes to conn, and what follows
	out     []byte
	seq     uint32
}

func (p *port) init(ctx context.Context, conn Conn, rx int) {
	p.conn, p.ctx, p.rx = conn, ctx, newFIFO(rx)
	p.closing, p.over = make(chan struct{}), make(chan struct{})
	p.wg.Go(func() {
		select {
		case <-ctx.Done():
			p.finish(context.Cause(ctx))
		case <-p.over:
		}
	})
}

// finish ends the session; the first reason counts, but what follows from the end of the context is no reason.
func (p *port) finish(err error) {
	p.ending.Do(func() {
		p.err = cmp.Or(context.Cause(p.ctx), err)
		close(p.over)
		p.conn.Close()
	})
}

// ended tells why the session has ended, or nil.
func (p *port) ended() error {
	select {
	case <-p.over:
		return p.err
	default:
		return nil
	}
}

// Done is closed when the session has ended, from whichever side.
func (p *port) Done() <-chan struct{} { return p.over }

// Err tells why the session has ended: io.EOF if the peer ended it in order, ErrClosed if this end did, nil if it has
// not ended yet.
func (p *port) Err() error { return p.ended() }

func (p *port) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, p.ended()
	}
	for {
		if n := p.rx.take(b); n > 0 {
			return n, nil
		}
		select {
		case <-p.rx.more:
		case <-p.over:
			if n := p.rx.take(b); n > 0 {
				return n, nil
			}
			return 0, p.err
		}
	}
}

// deliver puts data into rx as there is room; TCP holds the peer meanwhile.
func (p *port) deliver(data []byte) {
	for {
		data = data[p.rx.put(data):]
		if len(data) == 0 {
			return
		}
		select {
		case <-p.rx.room:
		case <-p.closing:
			return
		case <-p.over:
			return
		}
	}
}

// next is one message, or an error if the peer is silent for too long. It tells io.EOF from all else.
func (p *port) next(silence *time.Timer, most time.Duration) ([]byte, error) {
	if most > 0 {
		silence.Reset(most)
		defer silence.Stop()
	}
	m, err := p.conn.Next(Length)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("serial-over-LAN: %w", err)
	}
	return m, err
}

// newSilence returns the timer for next, stopped.
func (p *port) newSilence() *time.Timer {
	t := time.AfterFunc(time.Hour, func() { p.finish(fmt.Errorf("serial-over-LAN: %w", ErrSilent)) })
	t.Stop()
	return t
}

// write sends one message, made by build from the next sequence number.
func (p *port) write(build func(b []byte, seq uint32) []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.out = build(p.out[:0], p.seq)
	p.seq++
	_, err := p.conn.Write(p.out)
	return err
}

// writeData is write for data, which is most of all.
func (p *port) writeData(fromHost bool, data []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.out = Data{FromHost: fromHost, Sequence: p.seq, Bytes: data}.Append(p.out[:0])
	p.seq++
	_, err := p.conn.Write(p.out)
	return err
}

func header(op byte) func([]byte, uint32) []byte {
	return func(b []byte, seq uint32) []byte { return appendHeader(b, op, seq) }
}

// failed is the error of a write: the reason of the end, if there is one.
func (p *port) failed(err error) error {
	if why := p.ended(); why != nil {
		err = why
	}
	if err == io.EOF {
		return fmt.Errorf("serial-over-LAN: %w", io.ErrClosedPipe)
	}
	return err
}

// first reads the opening message of the peer.
func first(ctx context.Context, conn Conn, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, redir.ErrTimeout)
	defer cancel()
	unbind := context.AfterFunc(ctx, func() { conn.Close() })
	defer unbind()
	for {
		m, err := conn.Next(Length)
		switch {
		case context.Cause(ctx) != nil:
			return nil, context.Cause(ctx)
		case err == io.EOF:
			return nil, fmt.Errorf("%w: %w", redir.ErrCut, io.ErrUnexpectedEOF)
		case err != nil:
			return nil, err
		case m[0] == opRecorded:
			continue
		case !unbind():
			return nil, redir.ErrTimeout
		}
		return m, nil
	}
}
