package qmp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A Client controls one QEMU. Its methods are safe for concurrent use.
type Client struct {
	Version Version

	conn   io.ReadWriteCloser
	events func(Event)
	over   chan struct{} // closed when the session has ended
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows; held while a command is written
	last    uint64     // number of a command
	waiting map[uint64]chan<- message
	err     error // why the session has ended; nil while it has not
}

// Open begins a session on conn, on which QEMU speaks first. conn belongs to the Client, and is closed in the end. ctx is
// for the beginning. events, if not nil, is called with each event, in order, from one goroutine which reads nothing more
// meanwhile: it must not call methods of the Client.
func Open(ctx context.Context, conn io.ReadWriteCloser, events func(Event)) (*Client, error) {
	c := &Client{conn: conn, events: events, over: make(chan struct{}), waiting: map[uint64]chan<- message{}}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r := bufio.NewReaderSize(conn, 64<<10)
	m, err := read(r)
	if err == nil && m.Greeting == nil {
		err = fmt.Errorf("%w: no greeting", ErrProtocol)
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("qmp: %w", err)
	}
	v := m.Greeting.Version
	c.Version = Version{v.QEMU.Major, v.QEMU.Minor, v.QEMU.Micro, v.Package}
	c.wg.Go(func() { c.end(c.receive(r)) })
	if err := c.Do(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Do carries out a command and unmarshals what it returns into result, unless that is nil. arguments is what marshals to a
// JSON object, or nil. A refusal is an [*Error]; other errors wrap [ErrCut], [ErrClosed], or are ctx's. When ctx ends
// the command may still be carried out.
func (c *Client) Do(ctx context.Context, command string, arguments, result any) error {
	answer := make(chan message, 1)
	id, err := c.send(command, arguments, answer)
	if err != nil {
		return err
	}
	var m message
	select {
	case m = <-answer:
	case <-ctx.Done():
		c.forget(id)
		return fmt.Errorf("qmp: %s: %w", command, context.Cause(ctx))
	case <-c.over:
		select {
		case m = <-answer: // just before the end
		default:
			return fmt.Errorf("qmp: %s: %w", command, c.reason())
		}
	}
	if m.Error != nil {
		return &Error{command, m.Error.Class, m.Error.Desc}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Return, result); err != nil {
		return fmt.Errorf("qmp: %s: %w: %v", command, ErrProtocol, err)
	}
	return nil
}

func (c *Client) send(command string, arguments any, answer chan<- message) (id uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, fmt.Errorf("qmp: %s: %w", command, c.err)
	}
	c.last++
	b, err := appendCommand(nil, c.last, command, arguments)
	if err != nil {
		return 0, err
	}
	c.waiting[c.last] = answer
	if _, err := c.conn.Write(b); err != nil {
		delete(c.waiting, c.last)
		return 0, fmt.Errorf("qmp: %s: %w: %w", command, ErrCut, err)
	}
	return c.last, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *Client) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// receive reads messages to the end.
func (c *Client) receive(r *bufio.Reader) error {
	for {
		m, err := read(r)
		switch {
		case err != nil:
			return err
		case m.Event != "":
			if c.events != nil {
				c.events(m.event())
			}
		case m.Greeting == nil:
			c.mu.Lock()
			if answer := c.waiting[m.ID]; answer != nil {
				answer <- m
				delete(c.waiting, m.ID)
			}
			c.mu.Unlock()
		}
	}
}

// read reads the next message; empty lines are passed over.
func read(r *bufio.Reader) (m message, err error) {
	for {
		var line []byte
		for {
			piece, err := r.ReadSlice('\n')
			if len(line)+len(piece) > MaxMessage {
				return m, fmt.Errorf("%d bytes and more: %w", len(line)+len(piece), ErrTooLong)
			}
			line = append(line, piece...)
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return m, fmt.Errorf("%w: %w", ErrCut, err)
			}
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return parse(line)
		}
	}
}

// end notes why the session has ended; the first reason counts.
func (c *Client) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.over)
		c.conn.Close()
	}
}

// Done is closed when the session has ended.
func (c *Client) Done() <-chan struct{} { return c.over }

// Close ends the session and waits until no event is told any more. QEMU goes on.
func (c *Client) Close() error {
	c.end(ErrClosed)
	c.wg.Wait()
	return nil
}
