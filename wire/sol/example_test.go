package sol_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

// A console types a name at the login prompt of a machine. Package redir logs both in before; here a pipe is in its place.
func Example() {
	ctx := context.Background()
	here, there := net.Pipe()
	ended := make(chan error)
	go func() {
		host, err := sol.Accept(ctx, redir.NewConn(there), sol.DeviceOptions{Control: sol.RTS | sol.DTR})
		if err != nil {
			ended <- err
			return
		}
		fmt.Fprintln(host, "desk-7 login:")
		name, err := bufio.NewReader(host).ReadString('\r')
		fmt.Printf("host got %q, %v\n", name, err)
		<-host.Done()
		ended <- host.Close()
	}()

	line, err := sol.Open(ctx, redir.NewConn(here), sol.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	prompt, err := bufio.NewReader(line).ReadString('\n')
	fmt.Printf("console got %q, %v\n", prompt, err)
	fmt.Fprint(line, "root\r")
	line.Close()
	fmt.Println(<-ended)
	// Output:
	// console got "desk-7 login:\n", <nil>
	// host got "root\r", <nil>
	// <nil>
}
