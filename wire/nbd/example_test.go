package nbd_test

import (
	"bytes"
	"context"
	"fmt"
	"net"

	"github.com/outband/outband/wire/nbd"
)

// A disk of eight bytes, served and read over a pipe.
func Example() {
	ctx := context.Background()
	here, there := net.Pipe()
	done := make(chan error)
	go func() {
		done <- nbd.Serve(ctx, there, nbd.Export{Name: "cd", Disk: bytes.NewReader([]byte("sector 0"))})
	}()

	disk, err := nbd.Connect(ctx, here, "cd")
	if err != nil {
		fmt.Println(err)
		return
	}
	b := make([]byte, 6)
	n, err := disk.ReadAt(b, 0)
	fmt.Printf("%q, %d of %d bytes, %v\n", b, n, disk.Size(), err)
	disk.Close()
	fmt.Println(<-done)
	// Output:
	// "sector", 6 of 8 bytes, <nil>
	// <nil>
}
