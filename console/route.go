package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// RouteOptions say where connections go.
type RouteOptions struct {
	Port   int  // of the machine
	Secure bool // TLS with all checks on the way to the machine; whoever connects here speaks without
	Max    int  // connections at once, those beyond wait; 0: 32

	// Event, if set, is told of each connection that could not be made, or broke. It must be safe for concurrent use.
	Event func(err error)
}

// routeMax is how many connections are carried at once if nobody says otherwise.
const routeMax = 32

// Route carries each connection that ln takes to a port of the machine, until ctx ends or ln fails. It closes ln and
// returns when the last connection has ended; ending by ctx is no error.
func (c *Client) Route(ctx context.Context, ln net.Listener, o RouteOptions) error {
	defer ln.Close()
	if o.Port < 1 || o.Port > 65535 {
		return fmt.Errorf("%w: port %d is not in 1..65535", ErrUsage, o.Port)
	}
	if o.Max <= 0 {
		o.Max = routeMax
	}
	var carried sync.WaitGroup
	defer carried.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	places := make(chan struct{}, o.Max)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("route: %w", err)
		}
		carried.Go(func() {
			defer func() { <-places }()
			if err := c.carry(ctx, conn, o); err != nil && ctx.Err() == nil && o.Event != nil {
				o.Event(err)
			}
		})
	}
}

// carry joins a connection and a new one to the machine, until both directions have ended.
func (c *Client) carry(ctx context.Context, here net.Conn, o RouteOptions) error {
	defer here.Close()
	there, err := c.Dial(ctx, o.Port, o.Secure)
	if err != nil {
		return err
	}
	defer there.Close()
	defer context.AfterFunc(ctx, func() {
		here.Close()
		there.Close()
	})()
	var back error
	var returned sync.WaitGroup
	returned.Go(func() { back = pour(here, there) })
	err = pour(there, here)
	returned.Wait()
	return errors.Join(err, back)
}

// lingerTime is how long one direction may go on after the other has broken.
const lingerTime = 10 * time.Second

// pour copies until src ends, and tells dst so. What breaks ends the other direction too.
func pour(dst, src net.Conn) error {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		return ignoreClosed(half.CloseWrite())
	}
	// No half of it can be closed: the other end has a while to say the rest.
	at := time.Now()
	if err == nil {
		at = at.Add(lingerTime)
	}
	dst.SetReadDeadline(at)
	src.SetReadDeadline(at)
	return ignoreClosed(err)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil
	}
	return err
}
