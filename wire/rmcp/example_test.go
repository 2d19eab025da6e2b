package rmcp_test

import (
	"context"
	"fmt"
	"net"

	"github.com/outband/outband/wire/rmcp"
)

// A machine answers the presence ping, without any account.
func Example() {
	machine, err := net.ListenPacket("udp", "127.0.0.1:0") // port 623, in earnest
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- rmcp.Serve(ctx, machine, func() (rmcp.AMT, bool) { return rmcp.AMT{Port: 16993, Major: 16, Minor: 1}, true })
	}()
	defer func() { stop(); <-done }()

	here, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer here.Close()
	pong, err := rmcp.Ping(ctx, here, machine.LocalAddr())
	amt, ok := pong.AMT()
	fmt.Printf("AMT %v: %d.%d on port %d, %v\n", ok, amt.Major, amt.Minor, amt.Port, err)
	// Output: AMT true: 16.1 on port 16993, <nil>
}
