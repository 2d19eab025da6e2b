package redir

import (
	"errors"
	"fmt"
	"io"
)

// A Conn is a redirection connection: it reads whole messages, however they are cut on the way, and keeps what came
// behind them. One goroutine may read while another writes; Close may be called from any.
type Conn struct {
	rwc  io.ReadWriteCloser
	buf  []byte // buf[r:w] has been read and not yet handed out
	r, w int
}

// minBuffer holds every message of this package and of SOL as sent in practice.
const minBuffer = 4096

// NewConn returns a Conn on a connection on which nothing has been read of the redirection protocol so far.
func NewConn(rwc io.ReadWriteCloser) *Conn { return &Conn{rwc: rwc} }

// Reserve makes the read buffer hold n bytes at least: a long message comes with fewer reads.
func (c *Conn) Reserve(n int) {
	if n <= len(c.buf) {
		return
	}
	buf := make([]byte, n)
	c.w = copy(buf, c.buf[c.r:c.w])
	c.buf, c.r = buf, 0
}

// Next returns the next message, whose length the function tells as [Length] does. The bytes are good until the next
// call. The error is io.EOF only if the peer closed between two messages; inside one it wraps [ErrCut].
func (c *Conn) Next(length func([]byte) (int, error)) ([]byte, error) {
	for {
		have := c.buf[c.r:c.w]
		n, err := length(have)
		if err != nil {
			return nil, err
		}
		if n > 0 && n <= len(have) {
			c.r += n
			return have[:n:n], nil
		}
		if err := c.fill(max(n, len(have)+1)); err != nil {
			return nil, err
		}
	}
}

// fill reads once more, into a buffer that can hold want bytes. want is bounded by the length function.
func (c *Conn) fill(want int) error {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.r+want > len(c.buf):
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if want > len(c.buf) {
		c.Reserve(max(want, minBuffer))
	}
	n, err := c.rwc.Read(c.buf[c.w:])
	c.w += n
	switch {
	case n > 0:
		return nil // an error will come again
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) && c.w > c.r:
		return fmt.Errorf("redir: %w after %d bytes of a message: %w", ErrCut, c.w-c.r, io.ErrUnexpectedEOF)
	}
	return err
}

// Read reads bytes as they come, without looking for messages: KVM, after its 41h.
func (c *Conn) Read(p []byte) (int, error) {
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		return n, nil
	}
	return c.rwc.Read(p)
}

// Write writes p with one Write of the connection below: known consoles take what one read gives them for one whole
// message, so it should be one.
func (c *Conn) Write(p []byte) (int, error) { return c.rwc.Write(p) }

// Close closes the connection at once.
func (c *Conn) Close() error { return c.rwc.Close() }
