package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/outband/outband/virtual/firmware"
)

// A wire is the cable of a machine's wired port, on a unix socket: who connects sends frames as a packet capture (pcap),
// and gets those back as a capture that System Defense lets through. Whoever sends frames of the machine's own hardware
// address is the PC, whoever sends others is the network.
type wire struct {
	listener net.Listener
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// startWire listens on a path. A socket that an earlier machine has left there is replaced; one that answers is not.
func startWire(ctx context.Context, path string, m *firmware.Machine) (*wire, error) {
	listener, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if conn, answered := net.Dial("unix", path); answered == nil {
			conn.Close()
		} else if errors.Is(answered, syscall.ECONNREFUSED) && os.Remove(path) == nil {
			listener, err = net.Listen("unix", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("wire: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &wire{listener: listener, cancel: cancel}
	w.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				m.Replay(ctx, firmware.Wired, conn, conn) // a capture that is none is the sender's end
			})
		}
	})
	return w, nil
}

// close pulls the cable, and removes the socket.
func (w *wire) close() {
	if w == nil {
		return
	}
	w.cancel()
	w.listener.Close()
	w.wg.Wait()
}
