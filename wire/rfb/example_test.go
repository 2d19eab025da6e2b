package rfb_test

import (
	"context"
	"fmt"
	"net"

	"github.com/outband/outband/wire/rfb"
)

// A console sees what a machine draws, and presses a key on it.
func Example() {
	ctx := context.Background()
	screen, err := rfb.NewFrame(64, 48)
	if err != nil {
		fmt.Println(err)
		return
	}
	screen.Draw(0, 0, 1, 1, []uint32{0xFF0000}, 1) // one red pixel
	screen.Publish()

	here, there := net.Pipe() // package redir's, or TCP to port 5900, in earnest
	keys := make(chan rfb.KeyEvent, 1)
	go rfb.Accept(ctx, there, screen, rfb.DeviceOptions{Key: func(k rfb.KeyEvent) { keys <- k }})

	updates := make(chan int, 1)
	c, err := rfb.Connect(ctx, here, rfb.ClientOptions{Updated: func(rects, _ int) {
		select {
		case updates <- rects:
		default:
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	<-updates
	w, h := c.Frame.Size()
	fmt.Println(w, h, c.Frame.Image().At(0, 0))
	c.Key('a', true)
	k := <-keys
	fmt.Printf("%c %v\n", k.Keysym, k.Down)
	// Output:
	// 64 48 {255 0 0 255}
	// a true
}
