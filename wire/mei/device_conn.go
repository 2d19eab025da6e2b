package mei

import (
	"context"
	"sync"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A deviceConn is a Conn through the driver. It is a Notifier.
type deviceConn struct {
	kernel  kernel
	fd      int
	client  guid.GUID
	mtu     int
	version uint8

	in, out, event way

	events bool // asked for; guarded by event.use

	mu     sync.Mutex
	closed bool // guarded by mu, as are the deadlines in the ways
}

// A way is one direction of a connection: who uses it, until when, and how to wake him.
type way struct {
	use      sync.Mutex // held by the user
	waker    int
	made     bool // there is a waker
	deadline time.Time
}

// wait waits for events. It returns nil when it is worth trying.
func (c *deviceConn) wait(ctx context.Context, w *way, op string, events int16) error {
	for {
		if err := c.may(ctx, w, op); err != nil {
			return err
		}
		timeout := time.Duration(-1)
		c.mu.Lock()
		if !w.deadline.IsZero() {
			timeout = max(time.Until(w.deadline), 0)
		}
		c.mu.Unlock()
		got, woken, err := c.kernel.poll(c.fd, events, w.waker, timeout)
		if woken {
			c.kernel.rest(w.waker)
		}
		switch {
		case err == EINTR:
		case err != nil:
			return fault(op, c.client, err)
		case got&events != 0:
			return nil
		case got&pollErr != 0: // the driver's sign that the connection is gone
			return c.fault(op, ENODEV)
		}
	}
}

// may tells what forbids going on.
func (c *deviceConn) may(ctx context.Context, w *way, op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return isClosed(op)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !w.deadline.IsZero() && !time.Now().Before(w.deadline):
		return expired(op)
	}
	return nil
}

func (c *deviceConn) fault(op string, errno Errno) error {
	return &Error{Op: op, Client: c.client, Errno: errno}
}

// Read asks the driver first: where there is nothing to read, that also lets the firmware send.
func (c *deviceConn) Read(p []byte) (int, error) {
	ctx := context.Background()
	c.in.use.Lock()
	defer c.in.use.Unlock()
	if err := c.may(ctx, &c.in, "read"); err != nil {
		return 0, err
	}
	for {
		n, err := c.kernel.read(c.fd, p)
		switch {
		case err == EINTR:
		case err == EAGAIN:
			if err := c.wait(ctx, &c.in, "read", pollIn); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, fault("read", c.client, err)
		case n == 0 && len(p) > 0 && c.hungUp():
			return 0, c.fault("read", ENODEV)
		default:
			return n, nil
		}
	}
}

// hungUp tells an empty message from the end of a socket that stands in for the driver.
func (c *deviceConn) hungUp() bool {
	got, _, err := c.kernel.poll(c.fd, 0, c.in.waker, 0)
	return err == nil && got&pollErr != 0
}

func (c *deviceConn) Write(p []byte) (int, error) {
	ctx := context.Background()
	c.out.use.Lock()
	defer c.out.use.Unlock()
	if err := c.may(ctx, &c.out, "write"); err != nil {
		return 0, err
	}
	for {
		n, err := c.kernel.write(c.fd, p)
		switch {
		case err == EINTR:
		case err == EAGAIN:
			if err := c.wait(ctx, &c.out, "write", pollOut); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, fault("write", c.client, err)
		default:
			return n, nil
		}
	}
}

// Notify switches events on or off, since Linux 4.4. The driver waits up to 15 s for the firmware.
func (c *deviceConn) Notify(on bool) error {
	c.event.use.Lock()
	defer c.event.use.Unlock()
	if err := c.may(context.Background(), &c.event, "notify"); err != nil {
		return err
	}
	var arg [4]byte
	arg[0] = bit(on, 0)
	for {
		err := c.kernel.ioctl(c.fd, ioctlNotifySet, arg[:])
		if err == nil {
			c.events = on
			return nil
		}
		if err != EINTR {
			return fault("notify", c.client, err)
		}
	}
}

// Notified waits for an event. The driver would let those wait who never asked for events.
func (c *deviceConn) Notified(ctx context.Context) error {
	c.event.use.Lock()
	defer c.event.use.Unlock()
	if err := c.may(ctx, &c.event, "notify"); err != nil {
		return err
	}
	if !c.events {
		return c.fault("notify", EOPNOTSUPP)
	}
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.kernel.wake(c.event.waker)
		close(told)
	})
	defer func() {
		if !stop() {
			<-told // the waker may not be used once c is closed
		}
	}()
	for {
		if err := c.may(ctx, &c.event, "notify"); err != nil {
			return err
		}
		var arg [4]byte
		err := c.kernel.ioctl(c.fd, ioctlNotifyGet, arg[:])
		switch {
		case err == nil && arg[0] != 0:
			return nil
		case err == nil || err == EAGAIN:
			if err := c.wait(ctx, &c.event, "notify", pollPri); err != nil {
				return err
			}
		case err != EINTR:
			return fault("notify", c.client, err)
		}
	}
}

// Close closes the node, and with it the connection; whoever waits is woken first.
func (c *deviceConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return isClosed("close")
	}
	c.closed = true
	for _, w := range []*way{&c.in, &c.out, &c.event} {
		c.kernel.wake(w.waker)
	}
	c.mu.Unlock()
	for _, w := range []*way{&c.in, &c.out, &c.event} {
		w.use.Lock()
		defer w.use.Unlock()
	}
	c.free()
	return nil
}

// free gives the descriptors back. Nobody uses them any more.
func (c *deviceConn) free() {
	for _, w := range []*way{&c.in, &c.out, &c.event} {
		if w.made {
			c.kernel.close(w.waker)
		}
	}
	c.kernel.close(c.fd)
}

func (c *deviceConn) MaxMsgLen() int { return c.mtu }
func (c *deviceConn) Version() uint8 { return c.version }

func (c *deviceConn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.in) }
func (c *deviceConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.out) }
func (c *deviceConn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.in, &c.out) }

func (c *deviceConn) setDeadlines(t time.Time, ways ...*way) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return isClosed("set deadline")
	}
	for _, w := range ways {
		w.deadline = t
		c.kernel.wake(w.waker)
	}
	return nil
}
