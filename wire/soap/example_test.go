package soap_test

import (
	"context"
	"fmt"

	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A machine of old that knows its host name, and the way to it without a network.
type machine struct {
	name string
	mux  soap.Mux[*machine]
}

// Post is what HTTP with digest authentication does in earnest.
func (m *machine) Post(ctx context.Context, path, _ string, body []byte) (int, []byte, error) {
	code, reply := m.mux.Serve(ctx, m, path, body)
	return code, reply, nil
}

func Example() {
	m := &machine{name: "desk-7"}
	m.mux.Handle(soap.NetworkAdministration, "GetHostName", func(_ context.Context, m *machine, _ *soap.Call) ([]wsman.Element, status.Status, error) {
		return []wsman.Element{wsman.El(soap.NetworkAdministration.Space(), "Host", m.name)}, status.Success, nil
	})
	m.mux.Handle(soap.NetworkAdministration, "GetDomainName", func(context.Context, *machine, *soap.Call) ([]wsman.Element, status.Status, error) {
		return nil, status.NotPermitted, nil
	})

	c := &soap.Client{Poster: m}
	fmt.Println(c.GetHostName(context.Background()))
	_, err := c.GetDomainName(context.Background())
	fmt.Println(err)
	// Output:
	// desk-7 <nil>
	// NetworkAdministration.GetDomainName: refused with not permitted
}
