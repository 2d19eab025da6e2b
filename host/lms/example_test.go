package lms_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/outband/outband/host/lms"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

// A program on a PC asks its AMT through the service. On a real PC the bus is &mei.Device{}, and the ports are AMT's own.
func Example() {
	machine, err := firmware.New(firmware.Config{Generation: 12, HostName: "desk-7", Password: "P@ssw0rd"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer machine.Close()
	bus, stop := machine.MEBus()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	web := make(chan string, 8) // where the service listens for AMT's web port
	service := &lms.Service{Bus: bus, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
		l, err := net.Listen(network, "127.0.0.1:0") // other ports here, as this PC may have an AMT
		if err == nil && address == "127.0.0.1:16992" {
			web <- l.Addr().String()
		}
		return l, err
	}}
	running.Go(func() { service.Run(ctx) })

	address := <-web
	client := &wsman.Client{Password: "P@ssw0rd", Dial: func(context.Context) (net.Conn, error) { return net.Dial("tcp", address) }}
	defer client.Close()
	settings, err := wsman.Get(ctx, client, "AMT_GeneralSettings", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(settings.ChildText("HostName"))
	// Output: desk-7
}
