package mei

import (
	"context"
	"time"
)

// queueLimit is how many messages may wait in a connection before Write blocks: the driver's tx_queue_limit.
const queueLimit = 50

// inboxLimit is how many messages of a client without flow control wait to be read; more are lost.
const inboxLimit = 16

// A conn is a Conn of a user-space bus, the host's or the ME's end.
type conn struct {
	pump    *pump
	empties bool // an empty message can be sent: by the ME only
	read    deadline
	writ    deadline

	// Guarded by pump.mu.
	ch     *channel
	tag    uint8
	closed bool
	queued int      // messages in ch.out
	inbox  [][]byte // messages not yet taken
	rest   bool     // the first of inbox was partly read
	wants  bool     // host: a read credit for this conn is out
	fault  Errno    // for the next Read
	event  bool     // a notification came
	news   chan struct{}
}

// changed wakes whoever waits on c. The caller holds the lock.
func (c *conn) changed() {
	if c.news != nil {
		close(c.news)
		c.news = nil
	}
}

// wait unlocks until something changes or a deadline comes, then locks again. It reports false for the deadline.
func (c *conn) wait(come <-chan struct{}) bool {
	if c.news == nil {
		c.news = make(chan struct{})
	}
	news := c.news
	c.pump.mu.Unlock()
	defer c.pump.mu.Lock()
	c.pump.kick()
	select {
	case <-news:
		return true
	case <-come:
		return false
	}
}

func (c *conn) error(op string, errno Errno) error {
	return &Error{Op: op, Client: c.ch.props.Client, Errno: errno}
}

func (c *conn) Read(p []byte) (int, error) {
	come := c.read.wait()
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, isClosed("read")
		case closed(come):
			return 0, expired("read")
		case c.fault != 0:
			errno := c.fault
			c.fault = 0
			return 0, c.error("read", errno)
		case len(c.inbox) > 0 && (len(p) > 0 || len(c.inbox[0]) == 0):
			return c.take(p), nil
		case c.ch.phase != connected:
			return 0, c.error("read", ENODEV)
		case len(p) == 0:
			return 0, nil
		}
		c.pump.machine.want(c)
		if !c.wait(come) {
			return 0, expired("read")
		}
	}
}

// take copies from the first message, and drops it once its end was handed out.
func (c *conn) take(p []byte) int {
	n := copy(p, c.inbox[0])
	if n < len(c.inbox[0]) {
		c.inbox[0], c.rest = c.inbox[0][n:], true
		return n
	}
	c.inbox, c.rest = c.inbox[1:], false
	c.pump.machine.taken(c)
	c.pump.kick()
	return n
}

func (c *conn) Write(p []byte) (int, error) {
	come := c.writ.wait()
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, isClosed("write")
		case closed(come):
			return 0, expired("write")
		case c.ch.phase != connected:
			return 0, c.error("write", ENODEV)
		case len(p) > int(c.ch.props.MaxMsgLen):
			return 0, c.error("write", EFBIG)
		case len(p) == 0 && !c.empties:
			return 0, nil
		case c.queued < queueLimit:
			c.push(p)
			return len(p), nil
		}
		if !c.wait(come) {
			return 0, expired("write")
		}
	}
}

// push queues a message. The caller holds the lock.
func (c *conn) push(p []byte) {
	c.queued++
	c.ch.out = append(c.ch.out, &out{conn: c, tag: c.tag, data: append([]byte(nil), p...)})
	c.pump.kick()
}

// Close ends the connection without waiting for the other side's word.
func (c *conn) Close() error {
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	if c.closed {
		return isClosed("close")
	}
	c.closed = true
	c.pump.machine.leave(c)
	c.inbox = nil
	c.changed()
	c.read.stop()
	c.writ.stop()
	c.pump.kick()
	return nil
}

func (c *conn) MaxMsgLen() int { return int(c.ch.props.MaxMsgLen) }
func (c *conn) Version() uint8 { return c.ch.props.Version }

func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.read) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writ) }
func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.read, &c.writ) }

func (c *conn) setDeadlines(t time.Time, ds ...*deadline) error {
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	if c.closed {
		return isClosed("set deadline")
	}
	for _, d := range ds {
		d.set(t)
	}
	return nil
}

// Notified waits for an event of the client.
func (c *conn) Notified(ctx context.Context) error {
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	for {
		switch {
		case c.closed:
			return isClosed("notify")
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.event:
			c.event = false
			return nil
		case c.ch.phase != connected:
			return c.error("notify", ENODEV)
		case !c.ch.notify.on:
			return c.error("notify", EOPNOTSUPP)
		}
		c.wait(ctx.Done())
	}
}
