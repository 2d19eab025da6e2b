package apf

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// Addr is an end of a channel, as the message that opened it has it. It implements net.Addr.
type Addr struct {
	Host string // a name or an IP address, perhaps empty
	Port uint32
}

// Network returns "apf".
func (a Addr) Network() string { return "apf" }

func (a Addr) String() string {
	return net.JoinHostPort(a.Host, strconv.FormatUint(uint64(a.Port), 10))
}

// A Channel is one forwarded connection: a net.Conn. Its methods may be called from several goroutines.
//
// Read returns what has arrived even if the peer has closed since, then io.EOF. Write returns when its bytes are on their
// way to the connection; they have been granted by the peer. An end of the session is an error of both, for Read after
// what has arrived.
type Channel struct {
	s           *Session
	local       uint32 // our number
	here, there Addr

	dialled chan struct{} // closed when an open of ours is answered
	openErr error         // set before; nil is yes

	scheduled bool // guarded by the outbox's lock, like next
	next      *Channel

	mu     sync.Mutex // guards what follows; taken after the session's lock and before the outbox's
	phase  phase
	remote uint32 // the peer's number

	in         ring
	credit     int // bytes that the peer may still send
	unreturned int // bytes that have been read and not been granted again
	readable   sync.Cond
	readErr    error // once in is empty
	readBy     deadline

	out      []byte // what the Write under way has not got rid of
	writing  bool   // a Write is under way
	window   int64  // bytes that we may still send
	writable sync.Cond
	writeErr error
	writeBy  deadline

	closedAt time.Time // when our close was sent
}

var _ net.Conn = (*Channel)(nil)

// phase is how far a channel is.
type phase string

const (
	opening   phase = "opening"   // we have asked
	asked     phase = "asked"     // we have been asked
	abandoned phase = "abandoned" // we have asked, and do not want it any more
	live      phase = "open"
	closing   phase = "closing" // our close is sent
	gone      phase = "gone"    // the peer's close has come, and ours is sent
)

func newChannel(s *Session, local uint32, p phase) *Channel {
	c := &Channel{s: s, local: local, phase: p, credit: s.cfg.Window}
	c.readable.L, c.writable.L = &c.mu, &c.mu
	return c
}

// LocalAddr returns the originator's address on the side that opened the channel, else the connected one.
func (c *Channel) LocalAddr() net.Addr { return c.here }

// RemoteAddr returns the other one.
func (c *Channel) RemoteAddr() net.Addr { return c.there }

// Read reads what has arrived. A window is granted again once a quarter of it has been read.
func (c *Channel) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.readErr == net.ErrClosed:
			return 0, c.readErr
		case c.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case c.in.n > 0:
			n := c.in.read(p)
			c.unreturned += n
			if c.owes() {
				c.s.out.schedule(c)
			}
			return n, nil
		case c.readErr != nil:
			return 0, c.readErr
		case len(p) == 0:
			return 0, nil
		}
		c.readable.Wait()
	}
}

// owes tells that it is time to grant the peer what has been read.
func (c *Channel) owes() bool {
	return c.phase == live && c.unreturned > 0 && c.unreturned >= c.s.cfg.Window/4
}

// Write sends p, in as many messages as the peer's window asks for.
func (c *Channel) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing && c.cannotWrite() == nil {
		c.writable.Wait()
	}
	if err := c.cannotWrite(); err != nil || len(p) == 0 {
		return 0, err
	}
	c.writing, c.out = true, p
	if c.window > 0 {
		c.s.out.schedule(c)
	}
	var err error
	for len(c.out) > 0 && err == nil {
		c.writable.Wait()
		if len(c.out) > 0 {
			err = c.cannotWrite()
		}
	}
	n := len(p) - len(c.out)
	c.writing, c.out = false, nil
	c.writable.Broadcast()
	return n, err
}

// cannotWrite says why a Write cannot go on.
func (c *Channel) cannotWrite() error {
	if c.writeErr == nil && c.writeBy.passed {
		return os.ErrDeadlineExceeded
	}
	return c.writeErr
}

// take puts what the channel has to send into t: window for the peer, then data, one message of each at most. The
// writer calls it.
func (c *Channel) take(t *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != live {
		return
	}
	if c.owes() {
		t.add(WindowAdjust{c.remote, uint32(c.unreturned)})
		c.credit += c.unreturned
		c.unreturned = 0
	}
	n := int(min(int64(len(c.out)), c.window, int64(c.s.cfg.MaxData)))
	if n == 0 {
		return
	}
	t.add(Data{c.remote, c.out[:n]})
	c.out = c.out[n:]
	c.window -= int64(n)
	switch {
	case len(c.out) == 0:
		c.writable.Broadcast()
	case c.window > 0:
		c.s.out.schedule(c)
	}
}

// receive takes data that has arrived.
func (c *Channel) receive(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case opening, asked, abandoned:
		return fmt.Errorf("apf: %w: data on channel %d, which is %s", ErrProtocol, c.local, c.phase)
	}
	slack := max(0, minSlack-c.s.cfg.Window)
	if len(p) > c.credit+slack {
		return fmt.Errorf("apf: channel %d: %w: %d bytes, %d granted", c.local, ErrWindow, len(p), max(0, c.credit))
	}
	c.credit -= len(p)
	if c.phase != live || c.readErr != nil {
		return nil // nobody will read it
	}
	c.in.write(p)
	c.readable.Broadcast()
	return nil
}

// grant takes window that has arrived.
func (c *Channel) grant(n uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window = min(c.window+int64(n), math.MaxUint32)
	if len(c.out) > 0 && c.window > 0 && c.phase == live {
		c.s.out.schedule(c)
	}
}

// confirm takes the answer yes to an open of ours.
func (c *Channel) confirm(m ChannelOpenConfirmation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case opening:
		c.phase, c.remote, c.window = live, m.Sender, int64(m.Window)
		close(c.dialled)
		return nil
	case abandoned:
		c.remote = m.Sender
		return c.sendClose()
	}
	return fmt.Errorf("apf: %w: channel %d confirmed while %s", ErrProtocol, c.local, c.phase)
}

// refuse takes the answer no. The caller frees the number.
func (c *Channel) refuse(m ChannelOpenFailure) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case opening:
		c.phase = gone
		c.openErr = &OpenError{c.there.Host, c.there.Port, m.Reason}
		close(c.dialled)
		return nil
	case abandoned:
		c.phase = gone
		return nil
	}
	return fmt.Errorf("apf: %w: channel %d refused while %s", ErrProtocol, c.local, c.phase)
}

// abandon gives up an open of ours; if the answer has just come, it closes the channel.
func (c *Channel) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case opening:
		c.phase = abandoned
	case live:
		c.stop(net.ErrClosed, net.ErrClosed)
		c.sendClose()
	}
}

// Close closes the channel in both directions. What has arrived and was not read is lost; what was written is sent. The
// number is free once the peer has closed, too.
func (c *Channel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readErr == net.ErrClosed {
		return nil
	}
	c.stop(net.ErrClosed, net.ErrClosed)
	if c.phase == live {
		c.sendClose()
	}
	return nil
}

// sendClose queues our close. The caller holds the lock.
func (c *Channel) sendClose() error {
	c.phase, c.closedAt = closing, time.Now()
	return c.s.out.post(ChannelClose{c.remote})
}

// closed takes the peer's close. The caller frees the number.
func (c *Channel) closed() (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.phase {
	case live:
		err = c.sendClose()
	case closing:
	default:
		return fmt.Errorf("apf: %w: channel %d closed while %s", ErrProtocol, c.local, c.phase)
	}
	c.phase = gone
	c.stop(io.EOF, ErrPeerClosed)
	return err
}

// fail ends the channel with its session.
func (c *Channel) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == opening {
		c.openErr = err
		close(c.dialled)
	}
	c.phase = gone
	c.stop(err, err)
}

// stop sets the errors of Read and Write, unless there are some, and wakes both. The caller holds the lock.
func (c *Channel) stop(read, write error) {
	if c.readErr == nil || read == net.ErrClosed {
		c.readErr = read
	}
	if c.writeErr == nil || write == net.ErrClosed {
		c.writeErr = write
	}
	if c.readErr == net.ErrClosed {
		c.in = ring{}
		c.readBy.stop()
		c.writeBy.stop()
	}
	c.readable.Broadcast()
	c.writable.Broadcast()
}

// SetDeadline sets both deadlines.
func (c *Channel) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline makes a Read return [os.ErrDeadlineExceeded] from t on; the zero time undoes that.
func (c *Channel) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.readBy, &c.readable, t) }

// SetWriteDeadline does the same for Write. What a Write has got rid of by then is sent.
func (c *Channel) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.writeBy, &c.writable, t)
}

// A deadline is one, guarded by its channel's lock.
type deadline struct {
	passed bool
	timer  *time.Timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (c *Channel) setDeadline(d *deadline, wake *sync.Cond, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readErr == net.ErrClosed {
		return net.ErrClosed
	}
	d.stop()
	wait := time.Until(t)
	d.passed = !t.IsZero() && wait <= 0
	switch {
	case d.passed:
		wake.Broadcast()
	case !t.IsZero():
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if d.timer == timer {
				d.passed = true
				wake.Broadcast()
			}
		})
		d.timer = timer
	}
	return nil
}
