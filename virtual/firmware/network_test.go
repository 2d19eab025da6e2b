package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	wiredID    = "Intel(r) AMT Ethernet Port Settings 0"
	wirelessID = "Intel(r) AMT Ethernet Port Settings 1"
)

// port reads the settings of a port.
func (w *world) port(t *testing.T, id string) *amt.EthernetPortSettings {
	t.Helper()
	v, err := class.Get[amt.EthernetPortSettings](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: id})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPortSettings(t *testing.T) {
	static := func(p *amt.EthernetPortSettings) {
		p.DHCPEnabled, p.IpSyncEnabled, p.SharedStaticIp = new(false), new(false), new(false)
		p.IPAddress, p.SubnetMask, p.DefaultGateway, p.PrimaryDNS, p.SecondaryDNS = new("10.1.2.3"), new("255.255.255.0"), new("10.1.2.1"), nil, nil
	}
	for _, tt := range []struct {
		name   string
		id     string
		change func(p *amt.EthernetPortSettings)
		ok     bool
	}{
		{"as it is", wiredID, func(*amt.EthernetPortSettings) {}, true},
		{"static", wiredID, static, true},
		{"static without mask", wiredID, func(p *amt.EthernetPortSettings) { static(p); p.SubnetMask = new("") }, false},
		{"a mask with a hole", wiredID, func(p *amt.EthernetPortSettings) { static(p); p.SubnetMask = new("255.0.255.0") }, false},
		{"no address", wiredID, func(p *amt.EthernetPortSettings) { static(p); p.IPAddress = new("here") }, false},
		{"an IPv6 address", wiredID, func(p *amt.EthernetPortSettings) { static(p); p.IPAddress = new("fe80::1") }, false},
		{"no gateway", wiredID, func(p *amt.EthernetPortSettings) { static(p); p.DefaultGateway = new("x") }, false},
		{"an address with DHCP", wiredID, func(p *amt.EthernetPortSettings) { p.IPAddress = new("10.9.9.9") }, false},
		{"the host's address", wiredID, func(p *amt.EthernetPortSettings) {
			p.DHCPEnabled, p.SharedStaticIp = new(false), new(true)
		}, true},
		{"VLAN 4094", wiredID, func(p *amt.EthernetPortSettings) { p.VLANTag = new(uint16(4094)) }, true},
		{"VLAN 4095", wiredID, func(p *amt.EthernetPortSettings) { p.VLANTag = new(uint16(4095)) }, false},
		{"link policy", wiredID, func(p *amt.EthernetPortSettings) {
			p.LinkPolicy = []amt.EthernetPortSettingsLinkPolicy{1, 14, 16, 224}
		}, true},
		{"link policy 2", wiredID, func(p *amt.EthernetPortSettings) { p.LinkPolicy = []amt.EthernetPortSettingsLinkPolicy{2} }, false},
		{"wireless", wirelessID, func(p *amt.EthernetPortSettings) { p.ConsoleTcpMaxRetransmissions = new(uint32(7)) }, true},
		{"wireless, too many retransmissions", wirelessID, func(p *amt.EthernetPortSettings) { p.ConsoleTcpMaxRetransmissions = new(uint32(8)) }, false},
		{"wireless without DHCP", wirelessID, static, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Wireless: &firmware.Wireless{}}, pc.Options{})
			p := w.port(t, tt.id)
			tt.change(p)
			want := p.Element()
			_, err := class.Put(t.Context(), w, p)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want ok %v", err, tt.ok)
			}
			if err != nil {
				if !errors.As(err, new(*wsman.Fault)) {
					t.Errorf("refused by %v, not by a fault", err)
				}
				return
			}
			got := w.port(t, tt.id).Element()
			for _, name := range []string{"DHCPEnabled", "IPAddress", "SubnetMask", "VLANTag", "ConsoleTcpMaxRetransmissions", "SharedStaticIp"} {
				if got.ChildText(name) != want.ChildText(name) {
					t.Errorf("%s: got %q, want %q", name, got.ChildText(name), want.ChildText(name))
				}
			}
		})
	}
}

// Back on DHCP a port shows a lease again, and nothing of the address that it had.
func TestPortLease(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	before := w.port(t, wiredID)
	p := w.port(t, wiredID)
	p.DHCPEnabled, p.IpSyncEnabled, p.IPAddress, p.SubnetMask, p.DefaultGateway = new(false), new(false), new("10.1.2.3"), new("255.0.0.0"), new("10.0.0.1")
	if _, err := class.Put(t.Context(), w, p); err != nil {
		t.Fatal(err)
	}
	p = w.port(t, wiredID)
	p.DHCPEnabled, p.IpSyncEnabled, p.IPAddress, p.SubnetMask, p.DefaultGateway, p.PrimaryDNS, p.SecondaryDNS = new(true), new(true), nil, nil, nil, nil, nil
	if _, err := class.Put(t.Context(), w, p); err != nil {
		t.Fatal(err)
	}
	got, want := w.port(t, wiredID).Element(), before.Element()
	for _, name := range []string{"IPAddress", "SubnetMask", "DefaultGateway", "PrimaryDNS"} {
		if got.ChildText(name) != want.ChildText(name) {
			t.Errorf("%s: got %q, want %q", name, got.ChildText(name), want.ChildText(name))
		}
	}
}

// dialPlain connects to port 16992 of an address.
func dialPlain(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort(address, "16992"))
	}
}

// A machine that gets another address of the loopback network is there, and no longer where it was, and goes home with
// DHCP. The answer still comes.
func TestListenerMoves(t *testing.T) {
	const home, other = "127.71.3.9", "127.71.3.10"
	w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
	l, err := w.Listen(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := func(address string) *wsman.Client {
		c := &wsman.Client{Dial: dialPlain(address), Password: firmware.DefaultPassword}
		t.Cleanup(func() { c.Close() })
		return c
	}
	get := func(address string) (*amt.EthernetPortSettings, error) {
		return class.Get[amt.EthernetPortSettings](t.Context(), at(address), wsman.Selector{Name: "InstanceID", Value: wiredID})
	}
	p, err := get(home)
	if err != nil || *p.IPAddress != home {
		t.Fatalf("at home: %+v, %v", p, err)
	}
	p.DHCPEnabled, p.IpSyncEnabled, p.SharedStaticIp, p.IPAddress, p.SubnetMask = new(false), new(false), new(false), new(other), new("255.0.0.0")
	if _, err := class.Put(t.Context(), at(home), p); err != nil {
		t.Fatal(err)
	}
	if p, err = get(other); err != nil || *p.IPAddress != other {
		t.Fatalf("at the new address: %v", err)
	}
	if _, err := get(home); err == nil {
		t.Error("the machine is still at its old address")
	}
	// An address that is taken: the settings stay, and so does the machine.
	blocker := newWorld(t, firmware.Config{Generation: 12, Seed: "other"}, pc.Options{})
	b, err := blocker.Listen(t.Context(), "127.71.3.11")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p.IPAddress = new("127.71.3.11")
	if _, err := class.Put(t.Context(), at(other), p); err != nil {
		t.Fatal(err)
	}
	if p, err = get(other); err != nil || *p.IPAddress != "127.71.3.11" {
		t.Fatalf("with an address that is taken: %v", err)
	}
	p.DHCPEnabled, p.IpSyncEnabled, p.IPAddress, p.SubnetMask, p.DefaultGateway, p.PrimaryDNS, p.SecondaryDNS = new(true), new(true), nil, nil, nil, nil, nil
	if _, err := class.Put(t.Context(), at(other), p); err != nil {
		t.Fatal(err)
	}
	if p, err = get(home); err != nil || *p.IPAddress != home {
		t.Fatalf("home again: %v", err)
	}
}

func TestLinkPreference(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Wireless: &firmware.Wireless{}}, pc.Options{On: true})
		prefer := func(id string, who amt.EthernetPortSettingsLinkPreference, seconds uint32) status.Status {
			_, err := amt.EthernetPortSettingsSetLinkPreference.Invoke(t.Context(), w, amt.EthernetPortSettingsSetLinkPreferenceIn{LinkPreference: &who, Timeout: &seconds},
				wsman.Selector{Name: "InstanceID", Value: id})
			return code(t, err)
		}
		_, err := cim.WiFiPortRequestStateChange.Invoke(t.Context(), w, cim.WiFiPortRequestStateChangeIn{RequestedState: new(cim.RequestedState(32769))})
		if err != nil {
			t.Fatal(err)
		}
		link := func() string {
			p := w.port(t, wirelessID)
			return fmt.Sprint(uint32(*p.LinkPreference), uint32(*p.LinkControl))
		}
		for _, tt := range []struct {
			what string
			do   func() status.Status
			want status.Status
			link string
		}{
			{"at first", func() status.Status { return 0 }, 0, "2 2"},
			{"the wired port", func() status.Status { return prefer(wiredID, 1, 60) }, status.NotPermitted, "2 2"},
			{"no time", func() status.Status { return prefer(wirelessID, 1, 0) }, status.InvalidParameter, "2 2"},
			{"too long", func() status.Status { return prefer(wirelessID, 1, 65536) }, status.InvalidParameter, "2 2"},
			{"nobody", func() status.Status { return prefer(wirelessID, 3, 60) }, status.InvalidParameter, "2 2"},
			{"AMT", func() status.Status { return prefer(wirelessID, 1, 60) }, 0, "1 1"},
			{"a little later", func() status.Status { time.Sleep(59 * time.Second); return 0 }, 0, "1 1"},
			{"when the time is up", func() status.Status { time.Sleep(time.Second); return 0 }, 0, "2 2"},
			{"AMT again", func() status.Status { return prefer(wirelessID, 1, 60) }, 0, "1 1"},
			{"the host", func() status.Status { return prefer(wirelessID, 2, 0) }, 0, "2 2"},
			{"with the PC off, which has no host then", func() status.Status { w.pc.Person().Hold(); w.settle(); return 0 }, 0, "2 1"},
		} {
			if got := tt.do(); got != tt.want || link() != tt.link {
				t.Errorf("%s: %v, link %s; want %v, %s", tt.what, got, link(), tt.want, tt.link)
			}
		}
	})
}

// Names reach the identity, and what is no name or interval is refused.
func TestGeneralSettings(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	put := func(change func(g *amt.GeneralSettings)) error {
		g, err := class.Get[amt.GeneralSettings](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		change(g)
		_, err = class.Put(t.Context(), w, g)
		return err
	}
	if err := put(func(g *amt.GeneralSettings) {
		g.HostName, g.DomainName, g.DDNSPeriodicUpdateInterval, g.RmcpPingResponseEnabled = new("desk"), new("example.org"), new(uint32(20)), new(false)
	}); err != nil {
		t.Fatal(err)
	}
	if id := w.Identity(); id.FQDN() != "desk.example.org" {
		t.Errorf("the machine is %s", id.FQDN())
	}
	if _, ok := w.Presence(); ok {
		t.Error("it answers presence pings that were switched off")
	}
	for what, change := range map[string]func(g *amt.GeneralSettings){
		"a long name":      func(g *amt.GeneralSettings) { g.HostName = new(strings.Repeat("x", 64)) },
		"a long domain":    func(g *amt.GeneralSettings) { g.DomainName = new(strings.Repeat("x", 192)) },
		"a short interval": func(g *amt.GeneralSettings) { g.DDNSPeriodicUpdateInterval = new(uint32(19)) },
		"a long interval":  func(g *amt.GeneralSettings) { g.DDNSPeriodicUpdateInterval = new(uint32(65536)) },
		"a family that is none": func(g *amt.GeneralSettings) {
			g.PreferredAddressFamily = new(amt.GeneralSettingsPreferredAddressFamily(2))
		},
	} {
		if put(change) == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if id := w.Identity(); id.FQDN() != "desk.example.org" {
		t.Errorf("after refusals the machine is %s", id.FQDN())
	}
}

func TestIPv6Settings(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	for _, tt := range []struct {
		what   string
		change func(v *ips.IPv6PortSettings)
		ok     bool
	}{
		{"an address", func(v *ips.IPv6PortSettings) { v.IPv6Address, v.DefaultRouter = new("2001:db8::7"), new("fe80::1") }, true},
		{"none again", func(v *ips.IPv6PortSettings) { v.IPv6Address = new("::") }, true},
		{"IPv4", func(v *ips.IPv6PortSettings) { v.IPv6Address = new("10.0.0.1") }, false},
		{"a word", func(v *ips.IPv6PortSettings) { v.PrimaryDNS = new("dns") }, false},
		{"a manual ID", func(v *ips.IPv6PortSettings) {
			v.InterfaceIDType, v.ManualInterfaceID = new(ips.IPv6PortSettingsInterfaceIDTypeManual), new("00000000000000a7")
		}, true},
		{"a manual ID of zeros", func(v *ips.IPv6PortSettings) {
			v.InterfaceIDType, v.ManualInterfaceID = new(ips.IPv6PortSettingsInterfaceIDTypeManual), new("0000000000000000")
		}, false},
		{"a short ID", func(v *ips.IPv6PortSettings) { v.ManualInterfaceID = new("a7") }, false},
	} {
		v, err := class.Get[ips.IPv6PortSettings](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		tt.change(v)
		if _, err := class.Put(t.Context(), w, v); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %v", tt.what, err, tt.ok)
		}
	}
}

// A machine without an adapter shows none of it.
func TestNoWireless(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	ports, err := class.All[amt.EthernetPortSettings](t.Context(), w)
	if err != nil || len(ports) != 1 {
		t.Errorf("%d ports, %v; want 1", len(ports), err)
	}
	radio, err := class.All[cim.WiFiPort](t.Context(), w)
	if err != nil || len(radio) != 0 {
		t.Errorf("%d wireless ports, %v; want none", len(radio), err)
	}
	_, err = cim.WiFiPortRequestStateChange.Invoke(t.Context(), w, cim.WiFiPortRequestStateChangeIn{RequestedState: new(cim.RequestedState(32769))})
	if got := code(t, err); got != 1 {
		t.Errorf("RequestStateChange: %v, want 1 (not supported)", got)
	}
	if got := w.addWiFi(t, profile("home", 1)); got != 1 {
		t.Errorf("AddWiFiSettings: %v, want 1 (not supported)", got)
	}
}

// What was set outlives the machine: addresses, adapter, profiles with their keys.
func TestNetworkState(t *testing.T) {
	air := &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "home", Key: "correct horse"}}}
	w := newWorld(t, firmware.Config{Seed: "x", Wireless: air}, pc.Options{On: true})
	if got := w.addWiFi(t, profile("home", 1)); got != 0 {
		t.Fatal(got)
	}
	if _, err := cim.WiFiPortRequestStateChange.Invoke(t.Context(), w, cim.WiFiPortRequestStateChangeIn{RequestedState: new(cim.RequestedState(32769))}); err != nil {
		t.Fatal(err)
	}
	p := w.port(t, wiredID)
	p.DHCPEnabled, p.IpSyncEnabled, p.IPAddress, p.SubnetMask = new(false), new(false), new("10.1.2.3"), new("255.0.0.0")
	if _, err := class.Put(t.Context(), w, p); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := w.Dump(&file); err != nil {
		t.Fatal(err)
	}
	s, err := firmware.ReadState(&file)
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, firmware.Config{Generation: 12, State: s}, pc.Options{On: true})
	if p := again.port(t, wiredID); *p.IPAddress != "10.1.2.3" || *p.DHCPEnabled {
		t.Errorf("address %s, DHCP %v", *p.IPAddress, *p.DHCPEnabled)
	}
	if p := again.port(t, wirelessID); !*p.LinkIsUp { // only with the right key
		t.Error("the profile does not get into its network any more")
	}
}
