package mei_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// A virtual ME with one client that says everything twice, and a program that calls it. On a real machine the bus is
// &mei.Device{}, the driver's, and nothing else changes.
func Example() {
	echo := guid.FromSeed("echo")
	engine := mei.NewEngine()
	engine.Add(mei.Client{
		Properties: mei.Properties{Client: echo, Version: 1, MaxConnections: 1, MaxMsgLen: 512},
		Serve: func(ctx context.Context, c mei.Conn) {
			for {
				message, err := mei.Receive(ctx, c)
				if err != nil {
					return
				}
				mei.Send(ctx, c, append(message, message...))
			}
		},
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

	c, err := host.Connect(ctx, echo)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	answer, err := mei.Call(ctx, c, []byte("hello "))
	fmt.Printf("%q, %v; at most %d bytes\n", answer, err, c.MaxMsgLen())
	_, err = host.Connect(ctx, guid.FromSeed("nobody"))
	fmt.Println(errors.Is(err, mei.ErrNoClient))
	// Output:
	// "hello hello ", <nil>; at most 512 bytes
	// true
}
