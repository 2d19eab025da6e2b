package console_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// authority makes the certificate of an authority.
func authority(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Presence Root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// forgetful is a client of the machine for which it says yes to the named changes, and does not make them.
func (m *managed) forgetful(changes ...string) *console.Client {
	return console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		name, verb := wsman.ClassName(req.ResourceURI), wsman.ClassName(req.Action)
		answer := &wsman.Response{Action: req.Action + wsman.ResponseSuffix, ResourceURI: req.ResourceURI}
		switch {
		case strings.HasPrefix(req.Action, req.ResourceURI) && slices.Contains(changes, verb):
			answer.Body = new(wsman.Group(req.ResourceURI, verb+"_OUTPUT", wsman.El(req.ResourceURI, "ReturnValue", "0")))
			return answer, nil
		case slices.Contains(changes, verb+" "+name):
			answer.Body = req.Body
			return answer, nil
		}
		return m.Client.RoundTrip(ctx, req)
	}), m.machine.Address)
}

var goodServer = console.PresenceServer{Address: "mps.example.org", Port: 4433, User: "desk7"}

func TestAddPresenceServer(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	root := authority(t)
	for _, tt := range []struct {
		name     string
		change   func(s *console.PresenceServer)
		password string
		roots    []*x509.Certificate
	}{
		{"an authority unknown", func(*console.PresenceServer) {}, "secret", nil},
		{"an address without a name", func(s *console.PresenceServer) { s.Address = "192.0.2.1" }, "secret", []*x509.Certificate{root}},
		{"port 0", func(s *console.PresenceServer) { s.Port = 0 }, "secret", []*x509.Certificate{root}},
		{"no address", func(s *console.PresenceServer) { s.Address = "" }, "secret", []*x509.Certificate{root}},
		{"user and certificate", func(s *console.PresenceServer) { s.Certificate = "cert-0" }, "secret", []*x509.Certificate{root}},
		{"neither", func(s *console.PresenceServer) { s.User = "" }, "secret", []*x509.Certificate{root}},
		{"a certificate that is not there", func(s *console.PresenceServer) { s.User, s.Certificate = "", "cert-0" }, "", []*x509.Certificate{root}},
		{"a user of 17 letters", func(s *console.PresenceServer) { s.User = strings.Repeat("x", 17) }, "secret", []*x509.Certificate{root}},
		{"a user with a point", func(s *console.PresenceServer) { s.User = "a.b" }, "secret", []*x509.Certificate{root}},
		{"no password", func(*console.PresenceServer) {}, "", []*x509.Certificate{root}},
		{"a long password", func(*console.PresenceServer) {}, strings.Repeat("x", 17), []*x509.Certificate{root}},
	} {
		s := goodServer
		tt.change(&s)
		m.sent = nil
		if _, err := m.spy().AddPresenceServer(t.Context(), s, tt.password, tt.roots); !errors.Is(err, console.ErrUsage) || m.sent != nil {
			t.Errorf("%s: %v, sent %q", tt.name, err, m.sent)
		}
	}

	// A server that is forgotten is noticed.
	if _, err := m.forgetful("AddMpServer").AddPresenceServer(t.Context(), goodServer, "secret", []*x509.Certificate{root}); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("forgotten: %v", err)
	}
	got, err := m.AddPresenceServer(t.Context(), goodServer, "secret", []*x509.Certificate{root})
	if err != nil || got.ID != "mps-0" || got.Address != goodServer.Address || got.Port != 4433 || got.User != "desk7" {
		t.Fatalf("got %+v, %v", got, err)
	}
	pki, err := m.PKI(t.Context())
	if err != nil || len(pki.Certificates) != 1 || !pki.Certificates[0].Root || !pki.Certificates[0].X509.Equal(root) {
		t.Errorf("roots %+v, %v", pki.Certificates, err)
	}
	for i := range 5 {
		s := goodServer
		s.Port = uint16(1 + i)
		if _, err := m.AddPresenceServer(t.Context(), s, "secret", nil); err != nil {
			t.Fatal(err)
		}
	}
	m.sent = nil
	s := goodServer
	s.Port = 99
	if _, err := m.spy().AddPresenceServer(t.Context(), s, "secret", nil); !errors.Is(err, console.ErrNotOffered) || m.sent != nil {
		t.Errorf("a seventh: %v, sent %q", err, m.sent)
	}
}

// The authority of a server that is refused goes again; one that was there before stays.
func TestAddPresenceServerRefused(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Refuse: map[string]status.Status{"AddMpServer": status.FlashWriteLimitExceeded}})
	old, added := authority(t), authority(t)
	if _, _, err := m.AddRoot(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	var refusal *status.Error
	if _, err := m.AddPresenceServer(t.Context(), goodServer, "secret", []*x509.Certificate{old, added}); !errors.As(err, &refusal) || refusal.Code != status.FlashWriteLimitExceeded {
		t.Fatal(err)
	}
	pki, err := m.PKI(t.Context())
	if err != nil || len(pki.Certificates) != 1 || !pki.Certificates[0].X509.Equal(old) {
		t.Errorf("left %d certificates, %v", len(pki.Certificates), err)
	}
}

// withServers is a machine with so many presence servers, the first at port 1.
func withServers(t *testing.T, n int, m lab.Machine) *managed {
	t.Helper()
	r := manage(t, m)
	root := authority(t)
	for i := range n {
		s := goodServer
		s.Port = uint16(1 + i)
		if _, err := r.AddPresenceServer(t.Context(), s, "secret", []*x509.Certificate{root}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestSetRemotePolicy(t *testing.T) {
	m := withServers(t, 4, lab.Machine{Profile: 12})
	out := func(id string) console.PolicyServer { return console.PolicyServer{ID: id, Outside: true} }
	in := func(id string) console.PolicyServer { return console.PolicyServer{ID: id, Inside: true} }
	both := func(id string) console.PolicyServer { return console.PolicyServer{ID: id, Inside: true, Outside: true} }
	hourly := &amt.Period{Every: time.Hour}
	for _, tt := range []struct {
		name string
		p    console.RemotePolicy
		want error
	}{
		{"no server", console.RemotePolicy{Trigger: "user"}, console.ErrUsage},
		{"no such server", console.RemotePolicy{Trigger: "user", Servers: []console.PolicyServer{out("mps-9")}}, console.ErrUsage},
		{"a server twice", console.RemotePolicy{Trigger: "user", Servers: []console.PolicyServer{out("mps-0"), out("mps-0")}}, console.ErrUsage},
		{"nowhere", console.RemotePolicy{Trigger: "user", Servers: []console.PolicyServer{{ID: "mps-0"}}}, console.ErrUsage},
		{"three servers", console.RemotePolicy{Trigger: "user", Servers: []console.PolicyServer{out("mps-0"), out("mps-1"), out("mps-2")}}, console.ErrNotOffered},
		{"no trigger", console.RemotePolicy{Servers: []console.PolicyServer{out("mps-0")}}, console.ErrUsage},
		{"a time for user", console.RemotePolicy{Trigger: "user", Period: hourly, Servers: []console.PolicyServer{out("mps-0")}}, console.ErrUsage},
		{"no time", console.RemotePolicy{Trigger: "periodic", Servers: []console.PolicyServer{out("mps-0")}}, console.ErrUsage},
		{"24:00", console.RemotePolicy{Trigger: "periodic", Period: &amt.Period{Hour: 24}, Servers: []console.PolicyServer{out("mps-0")}}, console.ErrUsage},
		{"half a second", console.RemotePolicy{Trigger: "user", Lifetime: time.Second / 2, Servers: []console.PolicyServer{out("mps-0")}}, console.ErrUsage},
	} {
		m.sent = nil
		if _, err := m.spy().SetRemotePolicy(t.Context(), tt.p); !errors.Is(err, tt.want) || m.sent != nil {
			t.Errorf("%s: %v, sent %q", tt.name, err, m.sent)
		}
	}
	for _, tt := range []struct {
		name string
		p    console.RemotePolicy
		sent []string
	}{
		{"new", console.RemotePolicy{Trigger: "periodic", Period: hourly, Servers: []console.PolicyServer{out("mps-1"), out("mps-0")}}, []string{"AMT_RemoteAccessService.AddRemoteAccessPolicyRule"}},
		{"the same", console.RemotePolicy{Trigger: "periodic", Period: hourly, Servers: []console.PolicyServer{out("mps-1"), out("mps-0")}}, nil},
		{"another order", console.RemotePolicy{Trigger: "periodic", Period: hourly, Servers: []console.PolicyServer{out("mps-0"), out("mps-1")}},
			[]string{"Delete AMT_RemoteAccessPolicyRule", "AMT_RemoteAccessService.AddRemoteAccessPolicyRule"}},
		{"inside and outside", console.RemotePolicy{Trigger: "user", Lifetime: time.Hour, Servers: []console.PolicyServer{out("mps-0"), out("mps-1"), in("mps-2"), in("mps-3")}},
			[]string{"AMT_RemoteAccessService.AddRemoteAccessPolicyRule"}},
		{"for both", console.RemotePolicy{Trigger: "alert", Servers: []console.PolicyServer{both("mps-3"), both("mps-2")}},
			[]string{"AMT_RemoteAccessService.AddRemoteAccessPolicyRule", "Put AMT_RemoteAccessPolicyAppliesToMPS", "Put AMT_RemoteAccessPolicyAppliesToMPS"}},
	} {
		m.sent = nil
		got, err := m.spy().SetRemotePolicy(t.Context(), tt.p)
		if err != nil || got.Lifetime != tt.p.Lifetime || !slices.Equal(m.sent, tt.sent) || len(got.Servers) != len(tt.p.Servers) {
			t.Errorf("%s: %+v, %v, sent %q", tt.name, got, err, m.sent)
		}
	}
	r, err := m.CIRA(t.Context())
	if err != nil || len(r.Policies) != 3 || r.Policy("alert").Servers[0] != both("mps-3") || r.Policy("periodic").Period.Every != time.Hour {
		t.Errorf("got %+v, %v", r.Policies, err)
	}
	m.sent = nil
	if _, err := m.spy().SetRemotePolicy(t.Context(), console.RemotePolicy{Trigger: "home", Servers: []console.PolicyServer{out("mps-0")}}); !errors.Is(err, console.ErrNotOffered) || m.sent != nil {
		t.Errorf("a fourth policy: %v, sent %q", err, m.sent)
	}
	if _, err := m.forgetful("Delete AMT_RemoteAccessPolicyRule").RemoveRemotePolicy(t.Context(), "user"); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("not removed: %v", err)
	}
	if _, err := m.RemoveRemotePolicy(t.Context(), "user"); err != nil {
		t.Error(err)
	}
}

// A policy that is refused leaves the one of before.
func TestSetRemotePolicyRefused(t *testing.T) {
	m := withServers(t, 2, lab.Machine{Profile: 12})
	before := console.RemotePolicy{Trigger: "user", Lifetime: time.Hour, Servers: []console.PolicyServer{{ID: "mps-0", Outside: true}}}
	if _, err := m.SetRemotePolicy(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	refused := 0
	c := console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		if strings.HasSuffix(req.Action, "/AddRemoteAccessPolicyRule") && refused == 0 {
			refused++
			return nil, wsman.ErrInternal
		}
		return m.Client.RoundTrip(ctx, req)
	}), "x")
	now, err := c.SetRemotePolicy(t.Context(), console.RemotePolicy{Trigger: "user", Servers: []console.PolicyServer{{ID: "mps-1", Outside: true}}})
	if !errors.Is(err, wsman.ErrInternal) || !strings.Contains(err.Error(), "the policy of before is back") || now.Lifetime != time.Hour {
		t.Errorf("got %+v, %v", now, err)
	}
	if r, err := m.CIRA(t.Context()); err != nil || r.Policy("user") == nil || r.Policy("user").Lifetime != time.Hour || r.Policy("user").Servers[0].ID != "mps-0" {
		t.Errorf("got %+v, %v", r.Policies, err)
	}
}

func TestSetHome(t *testing.T) {
	m := withServers(t, 1, lab.Machine{Profile: 12}) // its network is lab.example
	for _, tt := range []struct {
		name     string
		suffixes []string
		outside  bool
		want     error
	}{
		{"six", []string{"a", "b", "c", "d", "e", "lab.example"}, false, console.ErrUsage},
		{"no name", []string{"lab.example", "a b"}, false, console.ErrUsage},
		{"twice", []string{"lab.example", "LAB.example"}, false, console.ErrUsage},
		{"elsewhere", []string{"corp.example"}, false, console.ErrNotOffered},
		{"elsewhere, meant, and nobody to call", []string{"corp.example"}, true, console.ErrNotOffered},
	} {
		m.sent = nil
		if _, _, err := m.spy().SetHome(t.Context(), tt.suffixes, tt.outside); !errors.Is(err, tt.want) || m.sent != nil {
			t.Errorf("%s: %v, sent %q", tt.name, err, m.sent)
		}
	}
	now, reachable, err := m.SetHome(t.Context(), []string{"corp.example", "lab.example"}, false)
	if err != nil || !reachable || now.OutsideHome() || m.machine.Firmware.Outside() {
		t.Fatalf("got %+v, %v, %v", now, reachable, err)
	}
	if _, _, err := m.forgetful("Put AMT_EnvironmentDetectionSettingData").SetHome(t.Context(), nil, false); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("forgotten: %v", err)
	}
	if now, _, err := m.SetHome(t.Context(), nil, false); err != nil || len(now.Home) != 0 {
		t.Errorf("got %+v, %v", now.Home, err)
	}

	// With a policy it may be cut off; a machine that cannot be read any more then has done what it was told.
	if _, err := m.SetRemotePolicy(t.Context(), console.RemotePolicy{Trigger: "user", Servers: []console.PolicyServer{{ID: "mps-0", Outside: true}}}); err != nil {
		t.Fatal(err)
	}
	var cut atomic.Bool
	c := console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		if cut.Load() {
			return nil, console.ErrUnreachable
		}
		if req.Action == wsman.ActionPut {
			cut.Store(true)
		}
		return m.Client.RoundTrip(ctx, req)
	}), "x")
	if _, reachable, err := c.SetHome(t.Context(), []string{"corp.example"}, true); err != nil || reachable {
		t.Errorf("reachable %v, %v", reachable, err)
	}
	if !m.machine.Firmware.Outside() || slices.Contains(m.machine.Ports(), firmware.PortHTTP) {
		t.Errorf("outside %v, ports %v", m.machine.Firmware.Outside(), m.machine.Ports())
	}
}

func TestDisconnect(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	m.sent = nil
	if err := m.spy().Disconnect(t.Context()); !errors.Is(err, console.ErrNotOffered) || m.sent != nil {
		t.Errorf("no tunnel: %v, sent %q", err, m.sent)
	}
	ended := false
	m.machine.Firmware.TunnelOpened(func() { ended = true })
	if r, err := m.CIRA(t.Context()); err != nil || !r.Connected {
		t.Errorf("connected %v, %v", r.Connected, err)
	}
	if err := m.forgetful("CloseRemoteAccessConnection").Disconnect(t.Context()); !errors.Is(err, console.ErrDiffers) || ended {
		t.Errorf("forgotten: %v", err)
	}
	if err := m.Disconnect(t.Context()); err != nil || !ended {
		t.Errorf("ended %v, %v", ended, err)
	}
}

func TestAllowUserCalls(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	if err := m.AllowUserCalls(t.Context(), "everywhere"); !errors.Is(err, console.ErrUsage) {
		t.Errorf("got %v", err)
	}
	if err := m.AllowUserCalls(t.Context(), "bios"); err != nil {
		t.Fatal(err)
	}
	if v, err := class.Get[amt.UserInitiatedConnectionService](t.Context(), m); err != nil || uint16(*v.EnabledState) != 32769 {
		t.Errorf("got %+v, %v", v, err)
	}
	if err := m.forgetful("RequestStateChange").AllowUserCalls(t.Context(), "both"); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("forgotten: %v", err)
	}
}

func TestProxy(t *testing.T) {
	old := manage(t, lab.Machine{Profile: 8})
	good := console.Proxy{Address: "proxy.example.org", Port: 3128, Suffix: "example.org"}
	if _, err := old.AddProxy(t.Context(), good); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("generation 8: %v", err)
	}
	m := manage(t, lab.Machine{Profile: 11})
	for _, p := range []console.Proxy{{Port: 1, Suffix: "x"}, {Address: "p", Suffix: "x"}, {Address: "p", Port: 1}} {
		m.sent = nil
		if _, err := m.spy().AddProxy(t.Context(), p); !errors.Is(err, console.ErrUsage) || m.sent != nil {
			t.Errorf("%+v: %v, sent %q", p, err, m.sent)
		}
	}
	if _, err := m.forgetful("AddProxyAccessPoint").AddProxy(t.Context(), good); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("forgotten: %v", err)
	}
	got, err := m.AddProxy(t.Context(), good)
	if err != nil || got.ID != "proxy-0" || got.Address != good.Address || got.Suffix != good.Suffix {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := m.RemoveProxy(t.Context(), "proxy-1"); !errors.Is(err, console.ErrUsage) {
		t.Errorf("got %v", err)
	}
	if _, err := m.forgetful("Delete IPS_HTTPProxyAccessPoint").RemoveProxy(t.Context(), "proxy-0"); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("forgotten: %v", err)
	}
	if _, err := m.RemoveProxy(t.Context(), "proxy-0"); err != nil {
		t.Error(err)
	}
}
