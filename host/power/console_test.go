package power_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

// console returns a client of a machine, as one on the network has it.
func console(t *testing.T, m *firmware.Machine) *wsman.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	c := &wsman.Client{Username: "admin", Password: firmware.DefaultPassword, Dial: func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		work.Go(func() { m.ServeConn(ctx, there, firmware.PortHTTP) })
		return here, nil
	}}
	t.Cleanup(func() {
		c.Close()
		cancel()
		work.Wait()
	})
	return c
}
