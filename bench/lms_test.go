package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/outband/outband/host/lms"
	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/mei"
)

// BenchmarkLMS echoes 64 KiB per connection and turn, through the local service and by TCP alone.
func BenchmarkLMS(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("lms/%d", n), func(b *testing.B) {
			address := startLMS(b, n)
			echoes(b, address, n)
		})
		b.Run(fmt.Sprintf("tcp/%d", n), func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			var work sync.WaitGroup
			work.Go(func() { echoAll(ln) })
			b.Cleanup(work.Wait)
			b.Cleanup(func() { ln.Close() })
			echoes(b, ln.Addr().String(), n)
		})
	}
}

// echoAll sends back what comes, until the listener closes.
func echoAll(ln net.Listener) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		work.Go(func() {
			defer conn.Close()
			io.Copy(conn, conn)
		})
	}
}

func echoes(b *testing.B, address string, n int) {
	const size = 64 << 10
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	out := make([]byte, size)
	b.SetBytes(int64(2 * size * n))
	for b.Loop() {
		var work sync.WaitGroup
		for _, conn := range conns {
			work.Go(func() { conn.Write(out) })
			work.Go(func() {
				if _, err := io.CopyN(io.Discard, conn, size); err != nil {
					b.Error(err)
				}
			})
		}
		work.Wait()
	}
}

// startLMS runs a service whose engine takes n channels to an echo on port 16992.
func startLMS(b *testing.B, n int) string {
	engine, host := mei.NewEngine(), mei.NewHost()
	err := engine.Add(mei.Client{Properties: mei.Properties{Client: mei.LME, Version: 1, MaxConnections: 1, MaxMsgLen: 5120}, Serve: func(ctx context.Context, c mei.Conn) {
		s, err := apf.Device(ctx, c, apf.Config{LME: true, MaxChannels: n, MaxMessage: 4096, Window: 16 << 10})
		if err != nil {
			return
		}
		defer s.Close()
		if ln, err := s.Listen(ctx, "", 16992); err == nil {
			echoAll(ln)
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	there, here := mei.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	b.Cleanup(work.Wait)
	b.Cleanup(cancel)
	work.Go(func() { engine.Run(ctx, here) })
	work.Go(func() { host.Run(ctx, there) })
	if err := host.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	at := netip.MustParseAddr("127.94.1.1")
	up := make(chan struct{})
	var once sync.Once
	s := &lms.Service{Bus: host, Addresses: []netip.Addr{at}, Channels: n, MaxConns: 2 * n, OnState: func(now lms.State) {
		if len(now.Ports) > 0 {
			once.Do(func() { close(up) })
		}
	}}
	work.Go(func() { s.Run(ctx) })
	<-up
	return at.String() + ":16992"
}
