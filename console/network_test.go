package console_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A managed is a client of a virtual machine, with what it has sent.
type managed struct {
	*console.Client
	machine *lab.Running
	sent    []string // "Put AMT_X", "CIM_Y.Method"
}

// manage starts a machine on a loopback address and returns a client of it.
func manage(t *testing.T, m lab.Machine) *managed {
	t.Helper()
	l, err := lab.Start(context.Background(), lab.World{Machines: []lab.Machine{m}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	r := &managed{machine: l.Machines[0]}
	return r.as(t, r.machine.Address)
}

// as connects to an address.
func (m *managed) as(t *testing.T, address string) *managed {
	t.Helper()
	c, err := console.New(console.Config{Address: address, Password: m.machine.Password, Scheme: console.HTTP, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	m.Client = c
	return m
}

// spy counts what changes something.
func (m *managed) spy() *console.Client {
	return console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		switch name := wsman.ClassName(req.ResourceURI); {
		case strings.HasPrefix(req.Action, req.ResourceURI):
			m.sent = append(m.sent, name+"."+wsman.ClassName(req.Action))
		case req.Action == wsman.ActionPut, req.Action == wsman.ActionDelete:
			m.sent = append(m.sent, wsman.ClassName(req.Action)+" "+name)
		}
		return m.Client.RoundTrip(ctx, req)
	}), m.machine.Address)
}

type roundTrip func(context.Context, *wsman.Request) (*wsman.Response, error)

func (f roundTrip) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	return f(ctx, req)
}

func TestSetNetwork(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Wireless: &firmware.Wireless{}})
	got, err := m.SetNetwork(t.Context(), console.NetworkChange{HostName: new("pc9"), Domain: new("example.org"), Ping: new(false), DDNS: "on",
		DDNSInterval: new(uint32(720)), VLAN: new(uint16(7)), LinkPolicy: []string{"sx-ac", "s0-ac"}, SharedMAC: new(false),
		IPv6: new(true), InterfaceID: "mac", IPv6Address: new(netip.MustParseAddr("2001:db8::7"))})
	if err != nil {
		t.Fatal(err)
	}
	port := got.Port(console.Wired)
	want := &console.Port{Interface: console.Wired, Mode: "dhcp", Address: m.machine.Address, VLAN: 7, LinkPolicy: []string{"s0-ac", "sx-ac"}, SharedMAC: new(false),
		IPSync: new(true), LinkUp: new(true), IPv6: &console.IPv6{Enabled: new(true), InterfaceID: "mac", Address: "2001:db8::7"}}
	if diff := cmp.Diff(want, port, cmpopts.IgnoreFields(console.Port{}, "ID", "MAC", "Mask", "Gateway", "DNS1", "DNS2", "Connection"), cmpopts.IgnoreUnexported(console.IPv6{})); diff != "" {
		t.Error(diff)
	}
	if id := m.machine.Firmware.Identity(); id.FQDN() != "pc9.example.org" || got.HostName != "pc9" || *got.Ping || !*got.DDNS.Enabled {
		t.Errorf("the machine is %s and reads %+v", id.FQDN(), got)
	}
	if got, err := m.PreferLink(t.Context(), "me", time.Minute); err != nil || got.LinkPreference != "me" {
		t.Errorf("preference %q, %v", got.LinkPreference, err)
	}
}

// What cannot be is refused before anything is changed.
func TestSetNetworkRefuses(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	prefix := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	addr := func(s string) *netip.Addr { return new(netip.MustParseAddr(s)) }
	for _, tt := range []struct {
		name   string
		change console.NetworkChange
		want   error
	}{
		{"nothing", console.NetworkChange{}, console.ErrUsage},
		{"no address", console.NetworkChange{Mode: "static"}, console.ErrUsage},
		{"an address with DHCP", console.NetworkChange{Mode: "dhcp", Address: prefix("10.1.2.3/24")}, console.ErrUsage},
		{"the network itself", console.NetworkChange{Mode: "static", Address: prefix("10.1.2.0/24")}, console.ErrUsage},
		{"the broadcast address", console.NetworkChange{Mode: "static", Address: prefix("10.1.3.255/23")}, console.ErrUsage},
		{"IPv6", console.NetworkChange{Mode: "static", Address: prefix("2001:db8::7/64")}, console.ErrUsage},
		{"the gateway elsewhere", console.NetworkChange{Mode: "static", Address: prefix("10.1.2.3/24"), Gateway: addr("10.1.3.1")}, console.ErrUsage},
		{"the gateway itself", console.NetworkChange{Mode: "static", Address: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.3")}, console.ErrUsage},
		{"a gateway with DHCP", console.NetworkChange{Gateway: addr("10.1.2.1")}, console.ErrUsage},
		{"its own address that follows the host's", console.NetworkChange{Mode: "static", Address: prefix("10.1.2.3/24"), IPSync: new(true)}, console.ErrUsage},
		{"wireless", console.NetworkChange{Interface: console.Wireless, VLAN: new(uint16(1))}, console.ErrUnsupported},
		{"static wireless", console.NetworkChange{Interface: console.Wireless, Mode: "static", Address: prefix("10.1.2.3/24")}, console.ErrUsage},
		{"retransmissions of the wired port", console.NetworkChange{Retransmissions: new(uint32(7))}, console.ErrUnsupported},
		{"a link policy that is none", console.NetworkChange{LinkPolicy: []string{"s5"}}, console.ErrUsage},
		{"a name with a blank", console.NetworkChange{HostName: new("a b")}, console.ErrUsage},
		{"an interface ID of zeros", console.NetworkChange{InterfaceID: "0000000000000000"}, console.ErrUsage},
	} {
		if _, err := m.spy().SetNetwork(t.Context(), tt.change); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if m.sent != nil {
		t.Errorf("sent %q", m.sent)
	}
}

// A machine that takes settings and does not keep them is found out.
func TestSetNetworkDiffers(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	forgetful := roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		if req.Action == wsman.ActionPut {
			return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, Body: req.Body}, nil
		}
		return m.RoundTrip(ctx, req)
	})
	for name, change := range map[string]console.NetworkChange{"host name": {HostName: new("other")}, "VLAN": {VLAN: new(uint16(9))}, "IPv6": {IPv6: new(true)},
		"link policy": {LinkPolicy: []string{"sx-dc"}}, "DDNS": {DDNS: "on"}, "ping": {Ping: new(false)}} {
		_, err := console.Over(forgetful, "x").SetNetwork(t.Context(), change)
		if !errors.Is(err, console.ErrDiffers) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want one that says it differs", name, err)
		}
	}
}

// The client goes after a machine whose address it has changed.
func TestSetNetworkMoves(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	const to = "127.72.9.9"
	got, err := m.SetNetwork(t.Context(), console.NetworkChange{Mode: "static", Address: netip.MustParsePrefix(to + "/8"), DNS: []netip.Addr{netip.MustParseAddr("127.0.0.53")}})
	port := got.Port(console.Wired)
	if err != nil || got.Moved != to || port.Address != to || port.Mode != "static" || port.DNS1 != "127.0.0.53" || port.DNS2 != "" || port.Gateway != "" {
		t.Fatalf("moved to %q, %+v, %v", got.Moved, port, err)
	}
	if _, err := m.as(t, m.machine.Address).Network(t.Context()); !errors.Is(err, console.ErrUnreachable) {
		t.Errorf("at the old address: %v, want unreachable", err)
	}
	// Only the mask changes: nobody moves.
	got, err = m.as(t, to).SetNetwork(t.Context(), console.NetworkChange{Mode: "static", Address: netip.MustParsePrefix(to + "/16")})
	if err != nil || got.Moved != "" || got.Port(console.Wired).Mask != "255.255.0.0" {
		t.Errorf("with another mask: moved to %q, %v", got.Moved, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := m.SetNetwork(ctx, console.NetworkChange{Mode: "dhcp"}); !errors.Is(err, console.ErrMoved) {
		t.Errorf("with DHCP: %v, want one that says it has moved", err)
	}
	if got, err := m.as(t, m.machine.Address).Network(t.Context()); err != nil || got.Port(console.Wired).Mode != "dhcp" {
		t.Errorf("home: %v", err)
	}
}

func TestPreferLinkRefused(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Wireless: &firmware.Wireless{}, Refuse: map[string]status.Status{"SetLinkPreference": 1}})
	if _, err := m.PreferLink(t.Context(), "me", time.Minute); !errors.As(err, new(*status.Error)) {
		t.Errorf("refused: %v", err)
	}
	for _, tt := range []struct {
		who string
		how time.Duration
	}{{"me", 0}, {"me", 19 * time.Hour}, {"host", time.Second}, {"you", time.Second}} {
		if _, err := m.PreferLink(t.Context(), tt.who, tt.how); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%s for %v: %v", tt.who, tt.how, err)
		}
	}
}
