package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// A Bus says how a command reaches the management engine of the PC it runs on.
type Bus struct {
	Bus string `placeholder:"BUS" help:"The management engine: a device such as /dev/mei0, or unix:PATH for that of a virtual machine (outband virtual --me). Default is the device that there is."`
}

// open returns the bus, and what closes it.
func (b *Bus) open(ctx context.Context) (bus mei.Bus, shut func(), err error) {
	path, ok := strings.CutPrefix(b.Bus, "unix:")
	if !ok {
		d := &mei.Device{Path: b.Bus}
		return d, d.Wait, nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, nil, &failure{exitUnreachable, fmt.Errorf("--bus: %w", err), "outband virtual --me PATH opens one"}
	}
	host := &linkedBus{Host: mei.NewHost(), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		defer close(host.ended)
		defer cancel() // nobody is to wait for what will not come
		host.Run(ctx, mei.NewLink(conn))
	})
	shut = func() {
		cancel()
		work.Wait()
	}
	if err := host.Ready(ctx); err != nil {
		shut()
		return nil, nil, fmt.Errorf("--bus %s: %w", b.Bus, errLinkEnded)
	}
	return host, shut, nil
}

// A linkedBus is a bus over one link. When that has ended, waiting does not bring it back.
type linkedBus struct {
	*mei.Host
	ended chan struct{}
}

var errLinkEnded = &failure{exitUnreachable, errors.New("the virtual machine has closed its management engine"), "the virtual machine has ended, or the path is of another program"}

func (l *linkedBus) Connect(ctx context.Context, client guid.GUID) (mei.Conn, error) {
	select {
	case <-l.ended:
		return nil, errLinkEnded
	default:
		return l.Host.Connect(ctx, client)
	}
}

// noEngine turns the errors of a PC without management engine into failures that say what to do.
func noEngine(err error) error {
	switch {
	case errors.Is(err, mei.EACCES), errors.Is(err, mei.EPERM):
		return &failure{exitRefused, err, "the device is root's: run it with sudo"}
	case errors.Is(err, mei.ENOENT):
		return &failure{exitUnsupported, err, "this PC has no Intel management engine, or its driver (mei_me) is not loaded"}
	case errors.Is(err, mei.ErrNoClient):
		return &failure{exitUnsupported, err, "the management engine of this PC has no AMT"}
	case errors.Is(err, mei.ErrBusy):
		return &failure{exitRefused, err, "another program uses it, such as LMS; end that one, or try again"}
	}
	return err
}
