package firmware_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/wsman"
)

// A world is a machine, the PC around it and a client that speaks HTTP to it over pipes.
type world struct {
	*firmware.Machine
	*wsman.Client
	pc *pc.PC
}

func newWorld(t testing.TB, c firmware.Config, o pc.Options) *world {
	t.Helper()
	if c.Generation == 0 {
		c.Generation = 12 // the default one wants TLS, which takes time
	}
	w := &world{pc: pc.New(o)}
	c.Platform = w.pc
	var err error
	if w.Machine, err = firmware.New(c); err != nil {
		t.Fatal(err)
	}
	w.Client = w.login(t, "admin", firmware.DefaultPassword)
	t.Cleanup(func() {
		w.Machine.Close()
		w.pc.Close()
	})
	return w
}

// login returns a client of a user.
func (w *world) login(t testing.TB, user, password string) *wsman.Client {
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	c := &wsman.Client{Username: user, Password: password, MaxConns: 1, Dial: func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		port := firmware.PortHTTP
		if !w.Profile().Plain {
			port = firmware.PortHTTPS
		}
		served.Go(func() { w.ServeConn(ctx, there, port) })
		if port == firmware.PortHTTPS {
			return tls.Client(here, &tls.Config{InsecureSkipVerify: true}), nil
		}
		return here, nil
	}}
	t.Cleanup(func() {
		c.Close()
		cancel()
		served.Wait()
	})
	return c
}

// settle waits until the PC is done with whatever it does.
func (w *world) settle() {
	time.Sleep(w.pc.Settle())
	synctest.Wait()
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
