package firmware_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

// A machine in memory: no socket, no PC, one pipe.
func Example() {
	m, err := firmware.New(firmware.Config{Generation: 12, HostName: "desk-7", Password: "Secret1$"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client := &wsman.Client{Password: "Secret1$", Dial: func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		go m.ServeConn(ctx, there, firmware.PortHTTP)
		return here, nil
	}}
	defer client.Close()

	id, err := wsman.Identify(ctx, client)
	if err != nil {
		log.Fatal(err)
	}
	settings, err := wsman.Get(ctx, client, wsman.ClassURI("AMT_GeneralSettings"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id.ProductVendor, id.ProductVersion, settings.ChildText("HostName"))
	// Output: Intel(r) AMT 12.0 desk-7
}
