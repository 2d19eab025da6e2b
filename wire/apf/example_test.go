package apf_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/guid"
)

// A machine calls home and offers its web port; the gateway asks it for a page.
func Example() {
	ctx := context.Background()
	toGateway, toMachine := net.Pipe() // TLS, in earnest

	finished := make(chan struct{})
	go func() {
		defer close(finished)
		machine, err := apf.Device(ctx, toGateway, apf.Config{
			Version:  apf.ProtocolVersion{Trigger: apf.TriggerUser, UUID: guid.FromSeed("desk-7")},
			User:     "desk-7",
			Password: "P@ssw0rd",
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer machine.Close()
		port, err := machine.Listen(ctx, "desk-7.example.com", 16992)
		if err != nil {
			fmt.Println(err)
			return
		}
		http.Serve(port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s of %s", r.URL, r.Host)
		}))
		fmt.Println("machine:", machine.Err())
	}()

	gateway, err := apf.Server(ctx, toMachine, apf.Config{
		Auth: func(_ context.Context, device guid.GUID, r apf.UserAuthRequest) bool {
			return device == guid.FromSeed("desk-7") && subtle.ConstantTimeCompare([]byte(r.Password), []byte("P@ssw0rd")) == 1
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	forward, err := gateway.WaitForward(ctx, 16992)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("port", forward.Port, "of", forward.Address)

	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return gateway.Dial(ctx, 16992)
		},
	}}
	resp, err := client.Get("http://desk-7/index.htm")
	if err != nil {
		fmt.Println(err)
		return
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(string(page))

	gateway.Close()
	<-finished
	// Output:
	// port 16992 of desk-7.example.com
	// /index.htm of desk-7
	// machine: apf: peer disconnected: by application
}
