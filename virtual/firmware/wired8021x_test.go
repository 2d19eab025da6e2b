package firmware_test

import (
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
)

func TestWired8021x(t *testing.T) {
	w := newWorld(t, withCertificates(t, firmware.Config{Generation: 12}), pc.Options{})
	put := func(change func(v *ips.IEEE8021xSettings)) error {
		v, err := class.Get[ips.IEEE8021xSettings](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		change(v)
		_, err = class.Put(t.Context(), w, v)
		return err
	}
	set := func(client, ca string) error {
		_, err := ips.IEEE8021xSettingsSetCertificates.Invoke(t.Context(), w, ips.IEEE8021xSettingsSetCertificatesIn{
			ServerCertificateIssuer: certificate(ca), ClientCertificate: certificate(client)})
		return err
	}
	if set(clientID, rootID) == nil {
		t.Error("certificates are taken while 802.1X is off")
	}
	for _, tt := range []struct {
		what   string
		change func(v *ips.IEEE8021xSettings)
		ok     bool
	}{
		{"state 4", func(v *ips.IEEE8021xSettings) { v.Enabled = new(ips.IEEE8021xSettingsEnabled(4)) }, false},
		{"no protocol", func(v *ips.IEEE8021xSettings) { v.Enabled = new(ips.IEEE8021xSettingsEnabled(6)) }, false},
		{"a long PXE timeout", func(v *ips.IEEE8021xSettings) { v.PxeTimeout = new(uint32(86401)) }, false},
		{"EAP-TLS without certificates", func(v *ips.IEEE8021xSettings) {
			v.Enabled, v.AuthenticationProtocol = new(ips.IEEE8021xSettingsEnabled(6)), new(uint16(0))
		}, false},
		{"PEAP", func(v *ips.IEEE8021xSettings) {
			v.Enabled, v.AuthenticationProtocol, v.Username, v.Password = new(ips.IEEE8021xSettingsEnabled(6)), new(uint16(2)), new("amt"), new("s3cret")
		}, true},
		{"EAP-TLS", func(v *ips.IEEE8021xSettings) {
			v.Enabled, v.AuthenticationProtocol, v.PxeTimeout = new(ips.IEEE8021xSettingsEnabled(2)), new(uint16(0)), new(uint32(86400))
		}, true},
	} {
		if err := put(tt.change); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %v", tt.what, err, tt.ok)
		}
	}
	if set("Intel(r) AMT Certificate: Handle: 9", "") == nil || set(rootID, "") == nil || set("", clientID) == nil {
		t.Error("certificates that are not there, or of the wrong kind, are taken")
	}
	for range 2 { // the second time they replace those of the first
		if err := set(clientID, rootID); err != nil {
			t.Fatal(err)
		}
	}
	bound, err := class.All[ips.IEEE8021xCredentialContext](t.Context(), w)
	if err != nil || len(bound) != 2 {
		t.Errorf("%d certificates bound, %v; want 2", len(bound), err)
	}
	v, err := class.Get[ips.IEEE8021xSettings](t.Context(), w)
	if err != nil || *v.Enabled != 2 || *v.AuthenticationProtocol != 0 || *v.PxeTimeout != 86400 || class.Value(v.Password) != "" {
		t.Errorf("settings %+v, %v", v, err)
	}
	old, err := class.Get[amt.IEEE8021XProfile](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	old.Enabled, old.AuthenticationProtocol, old.Username = new(true), new(amt.IEEE8021XProfileAuthenticationProtocol(2)), new("amt")
	if _, err := class.Put(t.Context(), w, old); err == nil {
		t.Error("the class of before 8.0 can still be switched on")
	}
}

// Before 8.0 there was another class, with certificates among its properties.
func TestOldWired8021x(t *testing.T) {
	w := newWorld(t, withCertificates(t, firmware.Config{Version: "7.1.20"}), pc.Options{})
	if _, err := class.Get[ips.IEEE8021xSettings](t.Context(), w); err == nil {
		t.Error("release 7.1 has IPS_IEEE8021xSettings")
	}
	put := func(protocol int, client string) error {
		v, err := class.Get[amt.IEEE8021XProfile](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		v.Enabled, v.AuthenticationProtocol, v.PxeTimeout = new(true), new(amt.IEEE8021XProfileAuthenticationProtocol(protocol)), nil
		v.ClientCertificate = certificate(client)
		_, err = class.Put(t.Context(), w, v)
		return err
	}
	if put(0, "") == nil || put(7, clientID) == nil || put(0, rootID) == nil {
		t.Error("EAP-TLS without the client's certificate, or a protocol that is none, is taken")
	}
	if err := put(6, clientID); err != nil { // EAP-FAST/TLS has number 6 here
		t.Fatal(err)
	}
	v, err := class.Get[amt.IEEE8021XProfile](t.Context(), w)
	if err != nil || !*v.Enabled || v.ClientCertificate != nil {
		t.Errorf("settings %+v, %v", v, err)
	}
	bound, err := class.All[amt.IEEE8021xCredentialContext](t.Context(), w)
	if err != nil || len(bound) != 1 {
		t.Errorf("%d certificates bound, %v; want 1", len(bound), err)
	}
}
