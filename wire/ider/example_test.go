package ider_test

import (
	"bytes"
	"context"
	"fmt"
	"net"

	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
)

// A console lends a machine a CD, and the machine's BIOS reads its first block. Package redir logs both in before; here a
// pipe is in its place.
func Example() {
	ctx := context.Background()
	here, there := net.Pipe()
	read := make(chan string)
	go func() {
		enabled := make(chan bool, 2)
		machine, err := ider.Accept(ctx, redir.NewConn(there), ider.DeviceOptions{OnEnable: func(on bool, _ ider.Moment) { enabled <- on }})
		if err != nil {
			read <- err.Error()
			return
		}
		defer machine.Close()
		<-enabled
		cd, err := machine.Disk(ctx, ider.CD)
		if err != nil {
			read <- err.Error()
			return
		}
		block := make([]byte, 2048)
		n, err := cd.ReadAt(block, 0)
		read <- fmt.Sprintf("%d of %d bytes, %q, %v", n, cd.Size(), block[:9], err)
	}()

	image := append([]byte("boot code"), make([]byte, 8<<10)...)
	session, err := ider.Open(ctx, redir.NewConn(here), ider.Options{
		CD: &ider.Medium{Image: bytes.NewReader(image), Size: int64(len(image))},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	fmt.Println(<-read)
	// Output: 2048 of 10240 bytes, "boot code", <nil>
}
