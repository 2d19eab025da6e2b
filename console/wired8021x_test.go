package console_test

import (
	"errors"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/status"
)

// certified is a machine of a dump whose store has a root certificate, handle 0, and one of the client, handle 1.
const certified = `{"version":"12.0.67.1579","instances":{"AMT_PublicKeyCertificate":[
{"ElementName":"Intel(r) AMT Certificate","InstanceID":"Intel(r) AMT Certificate: Handle: 0","TrustedRootCertficate":"true","X509Certificate":"AAAA"},
{"ElementName":"Intel(r) AMT Certificate","InstanceID":"Intel(r) AMT Certificate: Handle: 1","TrustedRootCertficate":"false","X509Certificate":"AAAA"}]}}`

func TestWired8021x(t *testing.T) {
	m := manage(t, lab.Machine{Dump: []byte(certified)})
	now, err := m.Wired8021x(t.Context())
	if err != nil || now.Enabled || now.EAP != nil {
		t.Fatalf("at first: %+v, %v", now, err)
	}
	peap := &console.EAP{Protocol: "peap-mschapv2", Username: "amt", Password: "s3cret"}
	if now, err = m.SetWired8021x(t.Context(), console.Wired8021x{EAP: peap, PXETimeout: new(uint32(60))}); err != nil || !now.Enabled || now.EAP.Username != "amt" {
		t.Fatalf("PEAP: %+v, %v", now, err)
	}
	v, err := class.Get[ips.IEEE8021xSettings](t.Context(), m)
	if err != nil || *v.Enabled != 6 || *v.PxeTimeout != 60 {
		t.Errorf("the machine has %+v, %v", v, err)
	}
	tls := &console.EAP{Protocol: "tls", ClientCertificate: "1", CACertificate: "0", ServerName: "example.org", ServerSuffix: true}
	now, err = m.SetWired8021x(t.Context(), console.Wired8021x{EAP: tls, ActiveInS0: new(true)})
	if err != nil || now.EAP.ClientCertificate != "Intel(r) AMT Certificate: Handle: 1" || now.EAP.CACertificate != "Intel(r) AMT Certificate: Handle: 0" || !now.EAP.ServerSuffix || !*now.ActiveInS0 {
		t.Fatalf("TLS: %+v, %v", now.EAP, err)
	}
	if now, err = m.DisableWired8021x(t.Context()); err != nil || now.Enabled {
		t.Errorf("disabled: %+v, %v", now, err)
	}
}

func TestWired8021xRefuses(t *testing.T) {
	m := manage(t, lab.Machine{Dump: []byte(certified)})
	for what, want := range map[string]console.Wired8021x{
		"nothing":              {},
		"TLS":                  {EAP: &console.EAP{Protocol: "tls"}},
		"a root as the client": {EAP: &console.EAP{Protocol: "tls", ClientCertificate: "0"}},
		"a client as the root": {EAP: &console.EAP{Protocol: "peap-gtc", Username: "x", CACertificate: "1"}},
		"a certificate gone":   {EAP: &console.EAP{Protocol: "tls", ClientCertificate: "5"}},
		"no user":              {EAP: &console.EAP{Protocol: "peap-gtc"}},
		"MD5":                  {EAP: &console.EAP{Protocol: "md5", Username: "x"}},
		"a long timeout":       {EAP: &console.EAP{Protocol: "peap-gtc", Username: "x"}, PXETimeout: new(uint32(86401))},
	} {
		if _, err := m.spy().SetWired8021x(t.Context(), want); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if m.sent != nil {
		t.Errorf("sent %q", m.sent)
	}
}

// If the machine does not take the certificates 802.1X is off again, not half set.
func TestWired8021xCertificatesRefused(t *testing.T) {
	m := manage(t, lab.Machine{Dump: []byte(certified), Refuse: map[string]status.Status{"SetCertificates": 1}})
	_, err := m.SetWired8021x(t.Context(), console.Wired8021x{EAP: &console.EAP{Protocol: "tls", ClientCertificate: "1"}})
	if !errors.As(err, new(*status.Error)) {
		t.Errorf("got %v", err)
	}
	if now, err := m.Wired8021x(t.Context()); err != nil || now.Enabled {
		t.Errorf("afterwards: %+v, %v", now, err)
	}
}

// Before AMT 8 there is another class, in which EAP-FAST with TLS has another number.
func TestOldWired8021x(t *testing.T) {
	m := manage(t, lab.Machine{Version: "7.1.20"})
	want := console.Wired8021x{EAP: &console.EAP{Protocol: "fast-gtc", Username: "amt"}, PXETimeout: new(uint32(0))}
	now, err := m.SetWired8021x(t.Context(), want)
	if err != nil || !now.Enabled || now.EAP.Protocol != "fast-gtc" {
		t.Fatalf("%+v, %v", now, err)
	}
	v, err := class.Get[amt.IEEE8021XProfile](t.Context(), m)
	if err != nil || !*v.Enabled || *v.AuthenticationProtocol != 5 {
		t.Errorf("the machine has %+v, %v", v, err)
	}
	if now, err = m.DisableWired8021x(t.Context()); err != nil || now.Enabled {
		t.Errorf("disabled: %+v, %v", now, err)
	}
}
