package lab

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/mei"
)

// An engine offers a machine's management engine on a unix socket: what connects to it is the PC's side of a link of
// its own, as package mei has it. Each program on the PC may have one.
type engine struct {
	listener net.Listener
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// startEngine listens on a path. A socket that an earlier machine has left there is replaced; one that answers is not.
func startEngine(ctx context.Context, path string, serve func(context.Context, mei.Link) error) (*engine, error) {
	listener, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if conn, answered := net.Dial("unix", path); answered == nil {
			conn.Close()
		} else if errors.Is(answered, syscall.ECONNREFUSED) && os.Remove(path) == nil {
			listener, err = net.Listen("unix", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("management engine: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // as the kernel's device is
		listener.Close()
		return nil, fmt.Errorf("management engine: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &engine{listener: listener, cancel: cancel}
	e.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.wg.Go(func() { serve(ctx, mei.NewLink(conn)) }) // a link that fails is the program's end
		}
	})
	return e, nil
}

// close ends all links and removes the socket.
func (e *engine) close() {
	if e == nil {
		return
	}
	e.cancel()
	e.listener.Close()
	e.wg.Wait()
}

// trustRoots adds the certificates of a file to those that setup may come with.
func trustRoots(m *firmware.Machine, file string) error {
	rest, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("setup roots: %w", err)
	}
	n := 0
	for block := (*pem.Block)(nil); ; n++ {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			err = m.TrustRoot(c)
		}
		if err != nil {
			return fmt.Errorf("setup roots: %s: %w", file, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("setup roots: %s holds no certificate in PEM", file)
	}
	return nil
}
