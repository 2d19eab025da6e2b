package agent

import (
	"context"
	"net"
)

// A Door leads to AMT's local ports: whoever works on AMT from its own PC goes through it, as another would over the
// network. Close it in the end.
type Door struct {
	ch *channel
}

// Open opens the door: by a port forwarding session of its own, or through the program that has one ([Agent].Dial).
func (a *Agent) Open(ctx context.Context) (*Door, error) {
	ch, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	return &Door{ch}, nil
}

// Dial opens a connection to a local port of AMT.
func (d *Door) Dial(ctx context.Context, port int) (net.Conn, error) { return d.ch.dial(ctx, port) }

// Port returns the port of WS-Management to be used: 16992, or 16993 where AMT has only that.
func (d *Door) Port() int {
	d.ch.mu.Lock()
	defer d.ch.mu.Unlock()
	return d.ch.port
}

// Close closes the door, and all connections through it.
func (d *Door) Close() { d.ch.close() }
