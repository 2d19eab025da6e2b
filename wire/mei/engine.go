package mei

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/outband/outband/wire/guid"
)

// A Client is a service inside a virtual ME.
type Client struct {
	Properties Properties
	// Address on the link. Default: the next free one, from 1 for fixed clients and from 32 for others.
	Address uint8
	// Serve answers one connection (a fixed client has one between resets). It runs in a goroutine of its own, and must
	// return when Read fails or ctx ends; the connection is closed then, and what it still had to send is lost. Conn is a
	// [Raiser], and may Write an empty message.
	Serve func(ctx context.Context, c Conn)
}

// A Raiser is the ME's end of a connection.
type Raiser interface {
	// Raise sends an event if the host has asked for events.
	Raise() error
}

// An Engine is the ME's side of a link: a virtual management engine with its clients. Set the fields, add clients,
// start Run. It outlives links: after Run has returned it may run again.
type Engine struct {
	// Version is the highest HBM version to speak; default 2.2.
	Version Version
	// Capabilities are granted if the host offers them; default none.
	Capabilities Capabilities
	// Depth is the size of the buffer towards the host, in slots, 32 or 128; default 128. A packet fills it up to one slot.
	Depth int
	// Admit, if set, is asked before a connection that could be had is given; anything but StatusSuccess refuses it.
	Admit func(client guid.GUID) Status
	// Release, if set, is told when a connection that Admit let in is over, before its host can ask for another. The
	// client may still be at work on it. Neither may call the engine.
	Release func(client guid.GUID)
	// Ignore, if set, sees the host's messages first; true leaves one without effect or answer. For tests of hosts.
	Ignore func(Message) bool
	// Log gets resets and broken connections; nil is silent.
	Log *slog.Logger

	pump *pump
	m    *engineMachine
	ctx  context.Context // of Run, for the clients; guarded by pump.mu
	work sync.WaitGroup  // of the clients
}

// NewEngine returns an Engine with defaults. Fields may be changed until Run.
func NewEngine() *Engine {
	e := &Engine{Version: latest, Depth: 128}
	e.m = &engineMachine{clients: map[uint8]*engineClient{}, live: map[pair]*channel{}, opened: e.serve}
	e.pump = newPump(e.m)
	return e
}

// Add gives the ME a client. It may be called before Run, or while running if the host takes new clients (HBM 2.0); a
// client that is there under the same GUID is then replaced. Errors wrap ErrInvalid, or ErrUnsupported when the host
// takes none.
func (e *Engine) Add(c Client) error {
	p := c.Properties
	switch {
	case c.Serve == nil || p.Client.IsZero() || p.MaxMsgLen == 0 || p.MaxMsgLen > MaxMessage:
		return fmt.Errorf("mei: engine: add %v: %w", p.Client, ErrInvalid)
	}
	e.pump.mu.Lock()
	defer e.pump.mu.Unlock()
	if e.m.up && !e.m.dynamic {
		return fmt.Errorf("mei: engine: add %v while running: %w", p.Client, ErrUnsupported)
	}
	for addr, old := range e.m.clients {
		if old.Properties.Client == p.Client {
			if !e.m.up {
				return fmt.Errorf("mei: engine: add %v twice: %w", p.Client, ErrInvalid)
			}
			e.m.retire(addr)
		}
	}
	addr := c.Address
	if addr == 0 {
		addr = 32
		if p.Fixed {
			addr = 1
		}
		for e.m.clients[addr] != nil && addr != 0 {
			addr++
		}
	}
	if addr == 0 || e.m.clients[addr] != nil {
		return fmt.Errorf("mei: engine: add %v: no address: %w", p.Client, ErrInvalid)
	}
	e.m.clients[addr] = &engineClient{Client: c}
	if e.m.up {
		e.m.hbm(AddClientRequest{addr, p})
		e.pump.kick()
	}
	return nil
}

// Run serves a link until ctx ends (and returns its cause) or the link fails. It closes link, and waits for the clients.
func (e *Engine) Run(ctx context.Context, link Link) error {
	ctx, cancel := context.WithCancel(ctx)
	e.pump.mu.Lock()
	e.ctx = ctx
	e.m.log, e.m.most, e.m.grants, e.m.ignore, e.m.admit, e.m.release = logger(e.Log), e.Version, e.Capabilities, e.Ignore, e.Admit, e.Release
	e.m.payload = min(max(e.Depth, 8)*slot-2*slot, maxPayload)
	e.pump.mu.Unlock()
	err := e.pump.run(ctx, link)
	cancel()
	e.work.Wait()
	return err
}

// serve puts a client to work on a new connection. The caller holds the lock.
func (e *Engine) serve(client *engineClient, c *conn) {
	c.pump = e.pump
	ctx, end := e.ctx, &meConn{c}
	e.work.Go(func() {
		defer end.Close()
		client.Serve(ctx, end)
	})
}

// Reset takes the ME down and up, as a restart of the firmware does: all connections end.
func (e *Engine) Reset() {
	e.pump.mu.Lock()
	defer e.pump.mu.Unlock()
	if e.m.up {
		e.m.reset(errRestart)
		e.pump.kick()
	}
}

// Stop asks the host to stop; hosts answer with a reset.
func (e *Engine) Stop(reason StopReason) {
	e.pump.mu.Lock()
	defer e.pump.mu.Unlock()
	if e.m.up {
		e.m.hbm(MEStopRequest{reason})
		e.pump.kick()
	}
}

// meConn is a conn with what only the ME's end has.
type meConn struct{ *conn }

// Raise sends an event if the host has asked for events.
func (c *meConn) Raise() error {
	c.pump.mu.Lock()
	defer c.pump.mu.Unlock()
	switch {
	case c.closed:
		return isClosed("raise")
	case c.ch.phase != connected:
		return c.error("raise", ENODEV)
	case c.ch.notify.on:
		c.pump.machine.(*engineMachine).hbm(Notification{c.ch.me, c.ch.host})
		c.pump.kick()
	}
	return nil
}
