package conformance

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/ethernetport"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

const (
	wiredID    = "Intel(r) AMT Ethernet Port Settings 0"
	wirelessID = "Intel(r) AMT Ethernet Port Settings 1"
)

// manager returns our console for a machine.
func manager(t testing.TB, w *world) *console.Client {
	t.Helper()
	cfg := console.Config{Address: w.Address, Password: password, Scheme: console.HTTP}
	if !w.Firmware.Profile().Plain {
		cfg.Scheme, cfg.TLS.Pin = console.HTTPS, w.fingerprint(t)
	}
	c, err := console.New(cfg)
	noError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// instances returns what the state of a machine has of a class, which is how it is kept there, not how it is shown.
func (w *world) instances(t testing.TB, class string) []wsman.Element {
	t.Helper()
	s, err := w.Firmware.State()
	noError(t, err)
	for _, c := range s.Instances {
		if c.Name == class {
			return c.Instances
		}
	}
	return nil
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dump returns the state of a machine as text, secrets included.
func (w *world) dump(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	noError(t, w.Firmware.Dump(&b))
	return b.String()
}

// What our console sets, the library reads.
func TestGoWsmanReadsNetwork(t *testing.T) {
	for _, generation := range []int{12, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation, Power: "on", Wireless: &firmware.Wireless{}})
			ours, theirs := manager(t, w), gowsman(t, w)
			_, err := ours.SetNetwork(t.Context(), console.NetworkChange{HostName: new("pc9"), Domain: new("example.org"), VLAN: new(uint16(12)), SharedMAC: new(false),
				LinkPolicy: []string{"s0-ac", "s0-dc"}, DDNS: "on", DDNSInterval: new(uint32(60)), Ping: new(false), InterfaceID: "mac",
				IPv6Address: new(netip.MustParseAddr("2001:db8::7"))})
			check(t, err)
			_, err = ours.SetNetwork(t.Context(), console.NetworkChange{Interface: console.Wireless, Retransmissions: new(uint32(7))})
			check(t, err)
			_, err = ours.PreferLink(t.Context(), "me", time.Minute)
			check(t, err)

			port, err := theirs.AMT.EthernetPortSettings.Get(wiredID)
			check(t, err)
			got := port.Body.GetAndPutResponse
			equal(t, "VLAN", got.VLANTag, 12)
			equal(t, "shared MAC", got.SharedMAC, false)
			equal(t, "link policy", fmt.Sprint(got.LinkPolicy), "[S0 AC S0 DC]")
			equal(t, "DHCP", got.DHCPEnabled, true)
			equal(t, "address", got.IPAddress, w.Address)
			radio, err := theirs.AMT.EthernetPortSettings.Get(wirelessID)
			check(t, err)
			equal(t, "retransmissions", radio.Body.GetAndPutResponse.ConsoleTcpMaxRetransmissions, 7)
			equal(t, "link preference", int(radio.Body.GetAndPutResponse.LinkPreference), 1)
			general, err := theirs.AMT.GeneralSettings.Get()
			check(t, err)
			equal(t, "host name", general.Body.GetResponse.HostName, "pc9")
			equal(t, "dynamic DNS", general.Body.GetResponse.DDNSUpdateEnabled, true)
			equal(t, "interval", general.Body.GetResponse.DDNSPeriodicUpdateInterval, 60)
			equal(t, "ping", general.Body.GetResponse.PingResponseEnabled, false)
			six, err := theirs.IPS.IPv6PortSettings.Get()
			check(t, err)
			equal(t, "IPv6 address", six.Body.GetResponse.IPv6Address, "2001:db8::7")
			equal(t, "the machine's name", func() string { id := w.Firmware.Identity(); return id.FQDN() }(), "pc9.example.org")
		})
	}
}

// What the library sets is so in the machine, and our console reads it. The machine moves to its new address.
func TestGoWsmanWritesNetwork(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 12, Power: "on", Wireless: &firmware.Wireless{}})
	theirs := gowsman(t, w)
	set, err := theirs.AMT.EthernetPortSettings.SetLinkPreference(1, 300, wirelessID)
	check(t, err)
	equal(t, "SetLinkPreference", set.Body.SetLinkPreferenceResponse.ReturnValue, 0)
	set, err = theirs.AMT.EthernetPortSettings.SetLinkPreference(1, 300, wiredID)
	check(t, err)
	equal(t, "SetLinkPreference of the wired port", set.Body.SetLinkPreferenceResponse.ReturnValue, 16)
	now, err := manager(t, w).Network(t.Context())
	check(t, err)
	equal(t, "link preference", now.Port(console.Wireless).LinkPreference, "me")

	const to = "127.73.1.7"
	_, err = theirs.AMT.EthernetPortSettings.Put(wiredID, ethernetport.SettingsRequest{ElementName: "Intel(r) AMT Ethernet Port Settings", InstanceID: wiredID,
		SharedMAC: true, LinkIsUp: true, LinkPolicy: []ethernetport.LinkPolicy{1, 14}, IPAddress: to, SubnetMask: "255.0.0.0", DefaultGateway: "127.0.0.1", PrimaryDNS: "127.0.0.53"})
	check(t, err)
	list := w.instances(t, "AMT_EthernetPortSettings")
	i := slices.IndexFunc(list, func(e wsman.Element) bool { return e.ChildText("InstanceID") == wiredID })
	if i < 0 || list[i].ChildText("IPAddress") != to || list[i].ChildText("DHCPEnabled") != "false" {
		t.Errorf("the machine has %+v", list)
	}
	home := w.Address
	w.Address = to
	if now, err = manager(t, w).Network(t.Context()); err != nil || now.Port(console.Wired).Address != to || now.Port(console.Wired).Mode != "static" {
		t.Errorf("at its new address: %+v, %v", now, err)
	}
	w.Address = home
	if _, err := manager(t, w).Network(t.Context()); err == nil {
		t.Error("it is still at its old address")
	}
}

// amttool reads what our console has set.
func TestAmttoolReadsNetwork(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 8})
	const to = "127.73.1.8"
	_, err := manager(t, w).SetNetwork(t.Context(), console.NetworkChange{Mode: "static", Address: netip.MustParsePrefix(to + "/8"), Gateway: new(netip.MustParseAddr("127.0.0.1"))})
	check(t, err)
	w.Address = to
	got := amttool(t, w, "", "netinfo")
	for _, want := range []string{"LocalAddress *" + to, "SubnetMask *255.0.0.0", "DefaultGatewayAddress *127.0.0.1", "InterfaceMode *SEPARATE"} {
		name, value, _ := strings.Cut(want, " *")
		i := strings.Index(got.out, name)
		if i < 0 || !strings.Contains(strings.SplitN(got.out[i:], "\n", 2)[0], value) {
			t.Errorf("no %s with %s in\n%s%s", name, value, got.out, got.err)
		}
	}
}
