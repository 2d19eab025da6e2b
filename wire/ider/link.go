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

// A Conn is what package redir gives: *redir.Conn at a console, *redir.Session at a machine.
type Conn interface {
	Next(length func([]byte) (int, error)) ([]byte, error) // one whole message
	io.Writer
	io.Closer
}

// goodbye is how long an end waits for the other at the end of a session.
const goodbye = time.Second

// A link is what both ends have in common.
type link struct {
	conn    Conn
	ctx     context.Context // ends the session
	wg      sync.WaitGroup
	closing chan struct{} // closed when Close is called
	over    chan struct{} // closed when the session has ended
	ending  sync.Once
	closed  sync.Once
	err     error // why the session ended; good once over is closed

	start       time.Time
	heard, said atomic.Int64 // time of the last message either way, after start
	writing     sync.Mutex   // guards writes to conn, and what follows
	seq         uint32
	out         []byte
}

// reserver is a Conn whose buffer can be made to hold whole messages of data.
type reserver interface{ Reserve(n int) }

func (l *link) init(ctx context.Context, conn Conn, buffer int) {
	l.conn, l.ctx = conn, ctx
	if r, ok := conn.(reserver); ok {
		r.Reserve(buffer)
	}
	l.closing, l.over = make(chan struct{}), make(chan struct{})
	l.start = time.Now()
	l.wg.Go(func() {
		select {
		case <-ctx.Done():
			l.finish(context.Cause(ctx))
		case <-l.over:
		}
	})
}

// finish ends the session; the first reason counts, but what follows from the end of the context is no reason.
func (l *link) finish(err error) {
	l.ending.Do(func() {
		l.err = cmp.Or(context.Cause(l.ctx), err)
		close(l.over)
		l.conn.Close()
	})
}

// Done is closed when the session has ended, from whichever side.
func (l *link) Done() <-chan struct{} { return l.over }

// Err tells why the session has ended: io.EOF if the peer ended it in order, ErrClosed if this end did, nil if it has
// not ended yet.
func (l *link) Err() error {
	select {
	case <-l.over:
		return l.err
	default:
		return nil
	}
}

// result is Err as Close gives it: an end in order is none.
func (l *link) result() error {
	if l.err == ErrClosed || l.err == io.EOF {
		return nil
	}
	return l.err
}

// next is the next message.
func (l *link) next() ([]byte, error) {
	m, err := l.conn.Next(Length)
	switch {
	case err == nil:
		l.heard.Store(int64(time.Since(l.start)))
	case err != io.EOF:
		err = fmt.Errorf("storage redirection: %w", err)
	}
	return m, err
}

// silence is how long nothing has been heard; quiet, how long nothing has been said.
func (l *link) silence() time.Duration { return time.Since(l.start) - time.Duration(l.heard.Load()) }
func (l *link) quiet() time.Duration   { return time.Since(l.start) - time.Duration(l.said.Load()) }

// send writes one message with one Write. l.writing is held; l.out holds the message.
func (l *link) send() error {
	l.seq++
	_, err := l.conn.Write(l.out)
	l.said.Store(int64(time.Since(l.start)))
	if err != nil {
		if why := l.Err(); why != nil {
			return why
		}
		return fmt.Errorf("storage redirection: %w", err)
	}
	return nil
}

// A message is one that can be written.
type message interface{ Append([]byte) []byte }

// write sends the message that build makes of the next sequence number.
func (l *link) write(build func(seq uint32) message) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.out = build(l.seq).Append(l.out[:0])
	return l.send()
}

// header builds a message that is nothing but its header.
func header(op uint8) func(uint32) message {
	return func(seq uint32) message { return Message{op, seq} }
}

// unexpected is the error of a message that cannot be now.
func unexpected(op byte, where string) error {
	return fmt.Errorf("storage redirection: %w %02xh %s", redir.ErrOpcode, op, where)
}
