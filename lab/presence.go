package lab

import (
	"context"
	"net"
	"strconv"
	"sync"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/rmcp"
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

// unset answers as a machine does whose AMT nobody has set up.
func unset(ctx context.Context, conn net.PacketConn) error {
	return rmcp.Serve(ctx, conn, func() (rmcp.AMT, bool) { return rmcp.AMT{Major: newest, State: rmcp.Pre, DASH: true}, true })
}

func (p *presence) close() {
	if p == nil {
		return
	}
	p.cancel()
	p.wg.Wait()
}
