package redir_test

import (
	"context"
	"fmt"
	"net"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/redir"
)

// A console logs in at a machine for Serial-over-LAN. What follows on the connection is package sol's.
func Example() {
	const realm = "Digest:A1B2C3D4E5F60718293A4B5C6D7E8F90"
	machine := &redir.Server{
		Digest:   digest.NewServer(realm, digest.ServerOptions{}),
		HA1:      func(user string) ([16]byte, bool) { return digest.HA1("admin", realm, "P@ssw0rd"), user == "admin" },
		Firmware: [2]uint8{16, 1},
	}
	ctx := context.Background()
	here, there := net.Pipe() // TCP or TLS to port 16994 or 16995, in earnest
	came := make(chan string)
	go func() {
		s, err := machine.Accept(ctx, there)
		if err != nil {
			came <- err.Error()
			return
		}
		came <- fmt.Sprintf("%s wants %v", s.User, s.Kind)
	}()

	conn, err := redir.Open(ctx, here, redir.SOL, redir.Options{Password: "P@ssw0rd"})
	fmt.Println(<-came, err)
	if err == nil {
		conn.Close()
	}
	// Output: admin wants SOL <nil>
}
