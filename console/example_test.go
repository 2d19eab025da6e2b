package console_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/outband/outband/console"
)

// Switch a machine on, and say by what it is known that it is on. The certificate is pinned at first use.
func ExampleClient_Act() {
	ctx := context.Background()
	c, err := console.New(console.Config{
		Address:     "desk-7.example.org",
		AskPassword: func(context.Context) (string, error) { return readPassword() },
		TLS: console.TLSConfig{OnUnknown: func(_ context.Context, cert *x509.Certificate, reason error) bool {
			fmt.Println(reason)
			return askAndStore(console.Fingerprint(cert))
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	res, err := c.Act(ctx, console.On, nil)
	if err != nil {
		kind, hint := console.Explain(err)
		log.Fatalf("%v (%s; exit status %d)", err, hint, kind)
	}
	fmt.Printf("%v, by %s, after %v\n", res.After.State, res.Proof, res.Took)
}

// Boot from the network, once, now.
func ExampleClient_Boot() {
	var c *console.Client // from New
	res, err := c.Boot(context.Background(), console.BootRequest{Device: console.BootPXE, Now: true})
	if errors.Is(err, console.ErrConsent) {
		log.Fatal("somebody at the screen must agree first")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Power.Proof)
}

// Ask many machines at once; answers come as they arrive.
func ExampleEach() {
	var machines []*console.Client // from New
	var errs []error
	look := func(ctx context.Context, c *console.Client) (console.PowerInfo, error) { return c.Power(ctx) }
	for out := range console.Each(context.Background(), machines, nil, look) {
		errs = append(errs, out.Err)
		fmt.Println(out.Target.Address(), out.Value.State, out.Err)
	}
	if err := console.Sum(errs); err != nil {
		log.Fatal(err)
	}
}

func ExampleDiscover() {
	found, err := console.Discover(context.Background(), []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for machine := range found {
		fmt.Println(machine.Address, machine.Version, machine.Fingerprint)
	}
}

func ExampleExplain() {
	err := &console.NotOfferedError{Verb: console.Off, State: console.PowerOn, Offered: []console.Power{console.PowerReset}}
	kind, hint := console.Explain(err)
	fmt.Println(err)
	fmt.Println(kind, int(kind))
	fmt.Println(hint)
	// Output:
	// power off: not offered now: the machine is on and offers reset
	// refused 6
	// open KVM, SOL or IDE-R sessions forbid power off and cycle: close them, or reset
}

func readPassword() (string, error) { return "", nil }
func askAndStore(string) bool       { return false }
