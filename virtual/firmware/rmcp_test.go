package firmware_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/rmcp"
)

func listenUDP(t *testing.T) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestPresencePing(t *testing.T) {
	for _, tt := range []struct {
		generation int
		tls        bool
		want       rmcp.AMT
	}{
		{8, false, rmcp.AMT{Port: 16992, Major: 8, Minor: 1, State: rmcp.Post, DASH: true}},
		{12, true, rmcp.AMT{Port: 16993, Major: 12, State: rmcp.Post, DASH: true}},
		{16, true, rmcp.AMT{Port: 16993, Major: 16, Minor: 1, State: rmcp.Post, DASH: true}},
	} {
		w := newWorld(t, firmware.Config{Generation: tt.generation, TLS: tt.tls}, pc.Options{})
		server, client := listenUDP(t), listenUDP(t)
		ctx, cancel := context.WithCancel(t.Context())
		var served sync.WaitGroup
		served.Go(func() {
			if err := w.ServeRMCP(ctx, server); !errors.Is(err, context.Canceled) {
				t.Errorf("serve: %v", err)
			}
		})
		within, stop := context.WithTimeout(ctx, 10*time.Second)
		pong, err := rmcp.Ping(within, client, server.LocalAddr())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := pong.AMT(); !ok || got != tt.want {
			t.Errorf("generation %d: got %+v, %v; want %+v", tt.generation, got, ok, tt.want)
		}
		stop()
		cancel()
		served.Wait()
	}
}

func TestPresencePingSwitchedOff(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	if _, ok := w.Presence(); !ok {
		t.Error("silent at first")
	}
	g, err := class.Get[amt.GeneralSettings](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	g.RmcpPingResponseEnabled = new(false)
	if _, err := class.Put(t.Context(), w, g); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.Presence(); ok {
		t.Error("answers though RmcpPingResponseEnabled is false")
	}
	w = newWorld(t, firmware.Config{}, pc.Options{})
	w.pc.Person().PullPlug()
	if _, ok := w.Presence(); ok {
		t.Error("answers without power")
	}
}
