package nbd

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A Client uses the disk of a server: it is an io.ReaderAt and an io.WriterAt. Safe for concurrent use; commands are sent
// one after the other.
type Client struct {
	Info Info // of the export

	mu     sync.Mutex // guards what follows
	conn   io.ReadWriteCloser
	r      *bufio.Reader
	cookie uint64
	failed error
}

// Connect negotiates for an export on conn, on which the server speaks first. conn belongs to the Client, and is closed on
// an error. ctx is for the negotiation. The error wraps [ErrRefused] if the server has no such export.
func Connect(ctx context.Context, conn io.ReadWriteCloser, export string) (*Client, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c := &Client{conn: conn, r: bufio.NewReader(conn)}
	err := c.negotiate(export)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("nbd: %w", err)
	}
	return c, nil
}

func (c *Client) negotiate(export string) error {
	if len(export) > MaxName {
		return fmt.Errorf("name of %d bytes: %w", len(export), ErrTooLong)
	}
	var b [greetingLen]byte
	if _, err := io.ReadFull(c.r, b[:]); err != nil {
		return midway(err)
	}
	flags := binary.BigEndian.Uint16(b[16:])
	if binary.BigEndian.Uint64(b[:]) != magicInit || binary.BigEndian.Uint64(b[8:]) != magicOption || flags&flagFixedNewstyle == 0 {
		return fmt.Errorf("greeting % x: %w", b, ErrProtocol)
	}
	hello := binary.BigEndian.AppendUint32(nil, uint32(flags&(flagFixedNewstyle|flagNoZeroes)))
	if _, err := c.conn.Write(Option{OptionGo, appendGo(nil, export)}.Append(hello)); err != nil {
		return err
	}
	for range maxOptions {
		m, err := ReadOptionReply(c.r)
		switch {
		case err != nil:
			return midway(err)
		case m.Kind != OptionGo:
			return fmt.Errorf("answer to option %v: %w", m.Kind, ErrProtocol)
		case m.Status == StatusAck:
			return nil
		case m.Status&statusError != 0:
			return fmt.Errorf("export %q: %w: %v %q", export, ErrRefused, m.Status, m.Data)
		case m.Status == StatusInfo:
			if err := c.Info.parse(m.Data); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("more than %d answers: %w", maxOptions, ErrTooLong)
}

// Size returns the size in bytes.
func (c *Client) Size() int64 { return c.Info.Size }

// ReadAt reads any bytes. The error is io.EOF beyond the end, an [Errno] of the server, or the connection's.
func (c *Client) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= c.Info.Size {
			return n, io.EOF
		}
		piece := p[n:min(int64(len(p)), int64(n)+MaxData, int64(n)+c.Info.Size-at)]
		if err := c.do(Request{Kind: CommandRead, Offset: uint64(at), Length: uint32(len(piece))}, nil, piece); err != nil {
			return n, fmt.Errorf("nbd: read at %d: %w", at, err)
		}
		n += len(piece)
	}
	return n, nil
}

// WriteAt writes bytes. The error is an [Errno] of the server, or the connection's.
func (c *Client) WriteAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		piece := p[n:min(len(p), n+MaxData)]
		if err := c.do(Request{Kind: CommandWrite, Offset: uint64(at), Length: uint32(len(piece))}, piece, nil); err != nil {
			return n, fmt.Errorf("nbd: write at %d: %w", at, err)
		}
		n += len(piece)
	}
	return n, nil
}

// do sends one command and takes its answer.
func (c *Client) do(q Request, out, in []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.cookie++
	q.Cookie = c.cookie
	err := c.exchange(q, out, in)
	if errno := Errno(0); err != nil && !errors.As(err, &errno) {
		c.failed = err
		c.conn.Close()
	}
	return err
}

func (c *Client) exchange(q Request, out, in []byte) error {
	if _, err := c.conn.Write(append(q.Append(nil), out...)); err != nil {
		return err
	}
	m, err := ReadReply(c.r)
	switch {
	case err != nil:
		return midway(err)
	case m.Cookie != q.Cookie:
		return fmt.Errorf("reply to %d instead of %d: %w", m.Cookie, q.Cookie, ErrProtocol)
	case m.Err != 0:
		return m.Err
	}
	_, err = io.ReadFull(c.r, in)
	return midway(err)
}

// Close says goodbye and closes the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.conn.Write(Request{Kind: CommandDisconnect}.Append(nil)) // a server that has gone needs none
		c.failed = io.ErrClosedPipe
	}
	return c.conn.Close()
}
