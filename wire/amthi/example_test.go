package amthi_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
)

// A program asks a virtual ME. On a real machine the bus is &mei.Device{}, and nothing else changes.
func Example() {
	var mux amthi.Mux
	amthi.Handle(&mux, amthi.GetControlMode, func(context.Context, amthi.None) (amthi.ControlMode, status.Status) {
		return amthi.ClientControl, status.Success
	})
	engine := mei.NewEngine()
	engine.Add(mei.Client{
		Properties: mei.Properties{Client: mei.AMTHI, Version: 1, MaxConnections: 3, MaxMsgLen: 5120},
		Serve:      func(ctx context.Context, c mei.Conn) { mux.Serve(ctx, c) },
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	down, up := mei.Pipe()
	host := mei.NewHost()
	running.Go(func() { engine.Run(ctx, up) })
	running.Go(func() { host.Run(ctx, down) })
	if err := host.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}

	c, err := amthi.Dial(ctx, mei.Retry{Bus: host})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	mode, err := c.ControlMode(ctx)
	fmt.Println(mode, err)
	_, err = c.UUID(ctx)
	fmt.Println(err)
	// Output:
	// client control <nil>
	// AMTHI get UUID: refused with unsupported
}
