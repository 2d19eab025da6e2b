package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// mpsIn is a good request for a presence server.
func mpsIn(change func(in *amt.RemoteAccessServiceAddMpServerIn)) amt.RemoteAccessServiceAddMpServerIn {
	in := amt.RemoteAccessServiceAddMpServerIn{AccessInfo: new("mps.example.org"), InfoFormat: new(amt.ManagementPresenceRemoteSAPInfoFormatFQDN), Port: new(uint16(4433)),
		AuthMethod: new(amt.RemoteAccessServiceAddMpServerAuthMethodUsernamePasswordAuthentication), Username: new("desk7"), Password: new("S3cret.")}
	if change != nil {
		change(&in)
	}
	return in
}

func (w *world) addServer(t *testing.T, in amt.RemoteAccessServiceAddMpServerIn) (*wsman.EPR, status.Status) {
	t.Helper()
	out, err := amt.RemoteAccessServiceAddMpServer.Invoke(t.Context(), w, in)
	return out.MpServer, code(t, err)
}

func (w *world) addRemotePolicy(t *testing.T, in amt.RemoteAccessServiceAddRemoteAccessPolicyRuleIn) (*wsman.EPR, status.Status) {
	t.Helper()
	out, err := amt.RemoteAccessServiceAddRemoteAccessPolicyRule.Invoke(t.Context(), w, in)
	return out.PolicyRule, code(t, err)
}

func TestPresenceServers(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	type edit = func(in *amt.RemoteAccessServiceAddMpServerIn)
	for _, tt := range []struct {
		name string
		edit edit
		want status.Status
	}{
		{"a name", nil, status.Success},
		{"the same again", nil, status.Duplicate},
		{"another port", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.Port = new(uint16(4434)) }, status.Success},
		{"port 0", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.Port = new(uint16(0)) }, status.InvalidParameter},
		{"an address that is said to be a name", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.AccessInfo = new("192.0.2.1") }, status.InvalidParameter},
		{"an address without a name", func(in *amt.RemoteAccessServiceAddMpServerIn) {
			in.AccessInfo, in.InfoFormat = new("192.0.2.1"), new(amt.ManagementPresenceRemoteSAPInfoFormatIPv4)
		}, status.InvalidParameter},
		{"an address", func(in *amt.RemoteAccessServiceAddMpServerIn) {
			in.AccessInfo, in.InfoFormat, in.CN = new("192.0.2.1"), new(amt.ManagementPresenceRemoteSAPInfoFormatIPv4), new("mps")
		}, status.Success},
		{"an IPv6 address", func(in *amt.RemoteAccessServiceAddMpServerIn) {
			in.AccessInfo, in.InfoFormat, in.CN = new("2001:db8::1"), new(amt.ManagementPresenceRemoteSAPInfoFormatIPv6), new("mps")
		}, status.Success},
		{"no user", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.Username = nil }, status.InvalidParameter},
		{"a user of 17 letters", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.Username = new(strings.Repeat("x", 17)) }, status.InvalidParameter},
		{"a user with a blank", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.Username = new("a b") }, status.InvalidParameter},
		{"no password", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.Password = nil }, status.InvalidParameter},
		{"a certificate that is not there", func(in *amt.RemoteAccessServiceAddMpServerIn) {
			in.AuthMethod = new(amt.RemoteAccessServiceAddMpServerAuthMethodMutualAuthentication)
			in.Certificate = new(wsman.Ref("AMT_PublicKeyCertificate", "InstanceID", "Intel(r) AMT Certificate: Handle: 7"))
		}, status.InvalidParameter},
		{"a fifth", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.AccessInfo = new("five") }, status.Success},
		{"a sixth", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.AccessInfo = new("six") }, status.Success},
		{"a seventh", func(in *amt.RemoteAccessServiceAddMpServerIn) { in.AccessInfo = new("seven") }, status.MaxLimitReached},
	} {
		ref, got := w.addServer(t, mpsIn(tt.edit))
		if got != tt.want || (ref != nil) != (tt.want == status.Success) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, ref, tt.want)
		}
	}
	all, err := class.All[amt.ManagementPresenceRemoteSAP](t.Context(), w)
	if err != nil || len(all) != 6 {
		t.Fatalf("%d servers, %v", len(all), err)
	}
	if got := class.Value(all[0].Name); got != "Intel(r) AMT:Management Presence Server 0" || class.Value(all[0].ElementName) != "Intel(r) AMT:Management Presence Server" {
		t.Errorf("first is %q", got)
	}
	contexts, err := class.All[amt.RemoteAccessCredentialContext](t.Context(), w)
	if err != nil || len(contexts) != 6 || contexts[0].ElementInContext.Class() != "AMT_MPSUsernamePassword" {
		t.Fatalf("credentials %+v, %v", contexts, err)
	}

	// The password does not come back, and goes with the state.
	account, err := class.Get[amt.MPSUsernamePassword](t.Context(), w)
	if err != nil || class.Value(account.RemoteID) != "desk7" || class.Value(account.Secret) != "" {
		t.Errorf("account %+v, %v", account, err)
	}
	var saved bytes.Buffer
	if err := w.Dump(&saved); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(saved.String(), "S3cret.") {
		t.Error("the password is not in the state")
	}
	state, err := firmware.ReadState(&saved)
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, firmware.Config{State: state}, pc.Options{})
	if all, err := class.All[amt.ManagementPresenceRemoteSAP](t.Context(), again); err != nil || len(all) != 6 {
		t.Errorf("after a restart: %d servers, %v", len(all), err)
	}

	// The number of one that is removed is given again.
	if err := class.Delete[amt.ManagementPresenceRemoteSAP](t.Context(), w, wsman.Selector{Name: "Name", Value: "Intel(r) AMT:Management Presence Server 1"}); err != nil {
		t.Fatal(err)
	}
	if contexts, err := class.All[amt.RemoteAccessCredentialContext](t.Context(), w); err != nil || len(contexts) != 5 {
		t.Errorf("%d credentials left, %v", len(contexts), err)
	}
	if ref, got := w.addServer(t, mpsIn(func(in *amt.RemoteAccessServiceAddMpServerIn) { in.AccessInfo = new("seven") })); got != 0 || ref.Selectors.Value("Name") != "Intel(r) AMT:Management Presence Server 1" {
		t.Errorf("got %v, %v", ref, got)
	}
}

func TestRemotePolicies(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	var servers []wsman.EPR
	for i := range 3 {
		ref, got := w.addServer(t, mpsIn(func(in *amt.RemoteAccessServiceAddMpServerIn) { in.AccessInfo = new(fmt.Sprint("mps", i)) }))
		if got != 0 {
			t.Fatal(got)
		}
		servers = append(servers, *ref)
	}
	every25s := []byte{0, 0, 0, 0, 0, 0, 0, 25}
	in := func(trigger amt.RemoteAccessPolicyRuleTrigger, data []byte, outside, inside []wsman.EPR) amt.RemoteAccessServiceAddRemoteAccessPolicyRuleIn {
		return amt.RemoteAccessServiceAddRemoteAccessPolicyRuleIn{Trigger: &trigger, TunnelLifeTime: new(uint32(300)), ExtendedData: data, MpServer: outside, InternalMpServer: inside}
	}
	nobody := wsman.Ref("AMT_ManagementPresenceRemoteSAP", "Name", "Intel(r) AMT:Management Presence Server 9")
	for _, tt := range []struct {
		name string
		in   amt.RemoteAccessServiceAddRemoteAccessPolicyRuleIn
		want status.Status
	}{
		{"no time", in(2, nil, servers[:1], nil), status.InvalidParameter},
		{"25 hours", in(2, []byte{0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 0}, servers[:1], nil), status.InvalidParameter},
		{"no server", in(2, every25s, nil, nil), status.InvalidParameter},
		{"three servers", in(2, every25s, servers, nil), status.InvalidParameter},
		{"a server that is not there", in(2, every25s, []wsman.EPR{nobody}, nil), status.InvalidParameter},
		{"a server twice", in(2, every25s, []wsman.EPR{servers[0], servers[0]}, nil), status.InvalidParameter},
		{"an unknown trigger", in(4, nil, servers[:1], nil), status.InvalidParameter},
		{"periodic, two servers", in(2, every25s, []wsman.EPR{servers[1], servers[0]}, nil), status.Success},
		{"periodic again", in(2, every25s, servers[:1], nil), status.Duplicate},
		{"user, one for both", in(0, nil, servers[:1], servers[:1]), status.Success},
		{"alert, inside", in(1, nil, nil, servers[:1]), status.Success},
		{"a fourth", in(3, nil, servers[:1], nil), status.InternalError},
	} {
		ref, got := w.addRemotePolicy(t, tt.in)
		if got != tt.want || (ref != nil) != (tt.want == status.Success) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, ref, tt.want)
		}
	}
	bindings := func() (out []string) {
		all, err := class.All[amt.RemoteAccessPolicyAppliesToMPS](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			name := b.ManagedElement.Selectors.Value("Name")
			out = append(out, fmt.Sprintf("%s %s order %d type %d", b.PolicySet.Selectors.Value("PolicyRuleName"), name[len(name)-1:], *b.OrderOfAccess, *b.MpsType))
		}
		slices.Sort(out)
		return out
	}
	want := []string{"Alert 0 order 0 type 1", "Periodic 0 order 1 type 0", "Periodic 1 order 0 type 0", "User Initiated 0 order 0 type 2"}
	if got := bindings(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	// A server of a policy stays; with the policy goes what binds them.
	first := wsman.Selector{Name: "Name", Value: "Intel(r) AMT:Management Presence Server 1"}
	if err := class.Delete[amt.ManagementPresenceRemoteSAP](t.Context(), w, first); !errors.Is(err, wsman.ErrInternal) {
		t.Errorf("delete of a server in use: %v", err)
	}
	rule, err := class.Get[amt.RemoteAccessPolicyRule](t.Context(), w, wsman.Selector{Name: "PolicyRuleName", Value: "Periodic"})
	if err != nil || !bytes.Equal(rule.ExtendedData, every25s) || class.Value(rule.TunnelLifeTime) != 300 {
		t.Fatalf("got %+v, %v", rule, err)
	}
	rule.ExtendedData = []byte{0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 30}
	if now, err := class.Put(t.Context(), w, rule); err != nil || !bytes.Equal(now.ExtendedData, rule.ExtendedData) {
		t.Errorf("daily: %+v, %v", now, err)
	}
	rule.ExtendedData = []byte{1}
	if _, err := class.Put(t.Context(), w, rule); !errors.Is(err, wsman.ErrInternal) {
		t.Errorf("nonsense is taken: %v", err)
	}
	if err := class.Delete[amt.RemoteAccessPolicyRule](t.Context(), w, wsman.Selector{Name: "PolicyRuleName", Value: "Periodic"}); err != nil {
		t.Fatal(err)
	}
	if got := bindings(); !slices.Equal(got, []string{want[0], want[3]}) {
		t.Errorf("left %q", got)
	}
	if err := class.Delete[amt.ManagementPresenceRemoteSAP](t.Context(), w, first); err != nil {
		t.Error(err)
	}
}

// Outside of its home network the ports are closed to the network, and open to the PC and to a tunnel.
func TestEnvironment(t *testing.T) {
	w := newWorld(t, firmware.Config{Domain: "example.org"}, pc.Options{On: true})
	v, err := class.Get[amt.EnvironmentDetectionSettingData](t.Context(), w)
	if err != nil || v.DetectionStrings != nil {
		t.Fatalf("fresh: %+v, %v", v, err)
	}
	open, local := w.Ports(), w.LocalPorts()
	put := func(names ...string) error {
		v.DetectionStrings = names
		_, err := class.Put(t.Context(), w, v)
		return err
	}
	for _, tt := range []struct {
		name    string
		strings []string
		outside bool
	}{
		{"at home", []string{"other.example", "EXAMPLE.org"}, false},
		{"elsewhere", []string{"other.example"}, true},
		{"below home", []string{"org"}, true},
		{"everywhere", nil, false},
	} {
		if err := put(tt.strings...); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := w.Outside(); got != tt.outside {
			t.Errorf("%s: outside %v", tt.name, got)
		}
		want := open
		if tt.outside {
			want = nil
		}
		if got := w.Ports(); !slices.Equal(got, want) || !slices.Equal(w.LocalPorts(), local) {
			t.Errorf("%s: ports %v, to the PC %v", tt.name, got, w.LocalPorts())
		}
		serves := func(serve func(context.Context, net.Conn, int) error) bool {
			here, there := net.Pipe()
			here.Close()
			return !errors.Is(serve(t.Context(), there, firmware.PortHTTP), firmware.ErrPortClosed)
		}
		if serves(w.ServeConn) == tt.outside || !serves(w.ServeTunnelConn) || !serves(w.ServeLocalConn) {
			t.Errorf("%s: network %v, tunnel %v, PC %v", tt.name, serves(w.ServeConn), serves(w.ServeTunnelConn), serves(w.ServeLocalConn))
		}
	}
	if err := put("a.example", "b.example", "c.example", "d.example", "e.example", "f.example"); !errors.Is(err, wsman.ErrInternal) {
		t.Errorf("six names: %v", err)
	}
	if err := put("not a name"); !errors.Is(err, wsman.ErrInternal) {
		t.Errorf("a name with blanks: %v", err)
	}
}

func TestTunnel(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	connected := func() bool {
		v, err := class.Get[amt.RemoteAccessService](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return class.Value(v.IsRemoteTunnelConnected)
	}
	end := func() status.Status {
		_, err := amt.RemoteAccessServiceCloseRemoteAccessConnection.Invoke(t.Context(), w, amt.RemoteAccessServiceCloseRemoteAccessConnectionIn{})
		return code(t, err)
	}
	if connected() || end() != status.NotPermitted {
		t.Error("there is a tunnel at first")
	}
	var ended []string
	closed := w.TunnelOpened(func() { ended = append(ended, "first") })
	second := w.TunnelOpened(func() { ended = append(ended, "second") })
	closed() // of the first, which is over: the second stays
	if !connected() {
		t.Error("no tunnel")
	}
	if got := end(); got != 0 || connected() || !slices.Equal(ended, []string{"first", "second"}) {
		t.Errorf("%v, connected %v, ended %q", got, connected(), ended)
	}
	second()
	third := w.TunnelOpened(func() {})
	third()
	if connected() {
		t.Error("a tunnel that is closed is still shown")
	}
}

func TestProxies(t *testing.T) {
	in := func(address string, port uint16, suffix string) ips.HTTPProxyServiceAddProxyAccessPointIn {
		return ips.HTTPProxyServiceAddProxyAccessPointIn{AccessInfo: &address, InfoFormat: new(ips.HTTPProxyAccessPointInfoFormatFQDN), Port: &port, NetworkDnsSuffix: &suffix}
	}
	old := newWorld(t, firmware.Config{Generation: 8}, pc.Options{})
	if _, err := ips.HTTPProxyServiceAddProxyAccessPoint.Invoke(t.Context(), old, in("proxy", 3128, "example.org")); !errors.Is(err, wsman.ErrDestinationUnreachable) {
		t.Errorf("generation 8: %v", err)
	}
	w := newWorld(t, firmware.Config{}, pc.Options{})
	add := func(address string, port uint16, suffix string) status.Status {
		_, err := ips.HTTPProxyServiceAddProxyAccessPoint.Invoke(t.Context(), w, in(address, port, suffix))
		return code(t, err)
	}
	for i := range 15 {
		if got := add(fmt.Sprint("proxy", i), 3128, "example.org"); got != 0 {
			t.Fatal(got)
		}
	}
	for _, tt := range []struct {
		address, suffix string
		port            uint16
		want            status.Status
	}{{"proxy0", "example.org", 3128, status.Duplicate}, {"proxy", "example.org", 3128, status.MaxLimitReached}, {"proxy", "", 3128, status.InvalidParameter}, {"proxy", "example.org", 0, status.InvalidParameter}} {
		if got := add(tt.address, tt.port, tt.suffix); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
	all, err := class.All[ips.HTTPProxyAccessPoint](t.Context(), w)
	if err != nil || len(all) != 15 || class.Value(all[14].Priority) != 14 || class.Value(all[14].Name) != "Intel(r) ME:HTTP Proxy Access Point 14" {
		t.Errorf("%d proxies, %v", len(all), err)
	}
}
