package lab

import (
	"context"
	"net"
	"strconv"
	"sync"

	"github.com/outband/outband/virtual/firmware"
)

// A presence answers RMCP pings on UDP port 623 of one address.
type presence struct {
	cancel context.CancelFunc
	conn   net.PacketConn
	wg     sync.WaitGroup
}

// startPresence returns nil where the process may not open the port: nobody depends on pings.
func startPresence(ctx context.Context, address string, serve func(context.Context, net.PacketConn) error) *presence {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(address, strconv.Itoa(firmware.PortASF)))
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &presence{cancel: cancel, conn: conn}
	p.wg.Go(func() {
		serve(ctx, conn) // ends with the context; a socket that fails before answers no more, as a machine would not
		conn.Close()
	})
	return p
}

func (p *presence) close() {
	if p == nil {
		return
	}
	p.cancel()
	p.wg.Wait()
}
