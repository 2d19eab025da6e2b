package mei

import (
	"context"
	"log/slog"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A Host is the driver's part in user space: it brings up a link, finds the clients, and is a [Bus] to them. Set the
// fields, start Run in a goroutine, wait with Ready. It answers as the kernel does, error numbers included, so that a
// virtual device node can be put on top.
type Host struct {
	// Version is the highest HBM version to speak; default 2.2.
	Version Version
	// UnknownClient is the answer for a client that the firmware does not have. Default ENOTTY, as kernels give; the
	// kernel's documentation of the 3.x days says ENODEV.
	UnknownClient Errno
	// Slow waits longer for firmware, as the driver does on graphics devices and simulators: 5 s for the start, 30 s for
	// connecting, instead of 1 s and 15 s.
	Slow bool
	// Log gets resets and dropped messages; nil is silent.
	Log *slog.Logger

	pump *pump
	m    *hostMachine
	news chan struct{} // closed and renewed when the state changes; guarded by pump.mu
}

// NewHost returns a Host with defaults. Fields may be changed until Run.
func NewHost() *Host {
	h := &Host{Version: latest, UnknownClient: ENOTTY, news: make(chan struct{})}
	h.m = &hostMachine{news: func() {
		close(h.news)
		h.news = make(chan struct{})
	}}
	h.pump = newPump(h.m)
	return h
}

// Run works until ctx ends (and returns its cause), the link fails, or the firmware cannot be brought up: three resets
// in a row, or an HBM version too new. It closes link. A Host runs once at a time.
func (h *Host) Run(ctx context.Context, link Link) error {
	h.pump.mu.Lock()
	h.m.log, h.m.most, h.m.times = logger(h.Log), h.Version, patience(h.Slow)
	h.pump.mu.Unlock()
	return h.pump.run(ctx, link)
}

// State returns the state of the device.
func (h *Host) State() State {
	h.pump.mu.Lock()
	defer h.pump.mu.Unlock()
	return h.m.state
}

// HBMVersion returns what both sides agreed on; zero before.
func (h *Host) HBMVersion() Version {
	h.pump.mu.Lock()
	defer h.pump.mu.Unlock()
	return h.m.version
}

// Ready waits until clients can be connected to. ErrDisconnected: the Host has given up.
func (h *Host) Ready(ctx context.Context) error {
	return h.until(ctx, "open", func() (bool, Errno) {
		if h.m.state == Disabled {
			return false, ENODEV
		}
		return h.m.state == Enabled, 0
	})
}

// until waits for a condition, asked under the lock.
func (h *Host) until(ctx context.Context, op string, done func() (bool, Errno)) error {
	for {
		h.pump.mu.Lock()
		ok, errno := done()
		news := h.news
		h.pump.mu.Unlock()
		switch {
		case errno != 0:
			return &Error{Op: op, Errno: errno}
		case ok:
			return nil
		}
		h.pump.kick()
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Clients returns the clients that the firmware has, by address.
func (h *Host) Clients() map[uint8]Properties {
	h.pump.mu.Lock()
	defer h.pump.mu.Unlock()
	all := make(map[uint8]Properties, len(h.m.clients))
	for addr, c := range h.m.clients {
		all[addr] = c.props
	}
	return all
}

// Connect connects to a client. While the link is being reset it returns ErrDisconnected; see Ready and [Retry].
func (h *Host) Connect(ctx context.Context, client guid.GUID) (Conn, error) {
	return h.connect(ctx, "connect", client, 0)
}

// ConnectTag connects with a tag. Connections of different tags share one of the client's.
func (h *Host) ConnectTag(ctx context.Context, client guid.GUID, tag uint8) (Conn, error) {
	if tag == 0 {
		return nil, &Error{Op: "connect tag", Client: client, Errno: EINVAL}
	}
	return h.connect(ctx, "connect tag", client, tag)
}

func (h *Host) connect(ctx context.Context, op string, client guid.GUID, tag uint8) (Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c := &conn{pump: h.pump, tag: tag}
	h.pump.mu.Lock()
	errno := h.m.open(c, client, h.UnknownClient, time.Now())
	for errno == 0 && c.ch.phase == connecting && ctx.Err() == nil {
		c.wait(ctx.Done())
	}
	if errno == 0 && c.ch.phase == gone {
		errno = c.ch.failed
	}
	waiting := errno == 0 && c.ch.phase == connecting
	h.pump.mu.Unlock()
	switch {
	case errno != 0:
		return nil, &Error{Op: op, Client: client, Errno: errno}
	case waiting:
		c.Close()
		return nil, context.Cause(ctx)
	}
	return &hostConn{c}, nil
}

// PowerGate tells the ME that nothing will come for a while, and waits for its word. Writing anything, or a message from
// the ME, ends it. ErrUnsupported before HBM 1.1.
func (h *Host) PowerGate(ctx context.Context) error {
	asked := false
	return h.until(ctx, "power gate", func() (bool, Errno) {
		switch {
		case h.m.step != started:
			return false, ENODEV
		case !h.m.version.Least(1, 1):
			return false, EOPNOTSUPP
		case h.m.gate == sleeping || asked && h.m.gate == awake:
			return true, 0
		case h.m.gate == awake:
			asked = true
			h.m.gate, h.m.gateDue = dozing, time.Now().Add(h.m.times.gate)
			h.m.hbm(GateEntryRequest{})
		}
		return false, 0
	})
}

// hostConn is a conn with what only the host's end has.
type hostConn struct{ *conn }

// Notify switches events on or off.
func (c *hostConn) Notify(on bool) error {
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	m := c.pump.machine.(*hostMachine)
	ch := c.ch
	switch {
	case c.closed:
		return isClosed("notify")
	case ch.phase != connected:
		return c.error("notify", ENODEV)
	case !m.version.Least(2, 0) || ch.free:
		return c.error("notify", EOPNOTSUPP)
	}
	for ch.notify.waiting && ch.phase == connected {
		c.wait(nil) // another goroutine's request
	}
	if ch.phase == connected && ch.notify.on != on {
		ch.notify.waiting, ch.notify.failed = true, 0
		ch.due = time.Now().Add(m.times.connect)
		m.hbm(NotifyRequest{ch.me, ch.host, on})
		for ch.notify.waiting && !c.closed {
			c.wait(nil)
		}
	}
	switch {
	case c.closed:
		return isClosed("notify")
	case ch.phase != connected:
		return c.error("notify", ENODEV)
	case ch.notify.failed != 0:
		return c.error("notify", ch.notify.failed)
	}
	return nil
}
