package console_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/status"
)

func goodKerberos(change func(k *console.Kerberos)) console.Kerberos {
	k := console.Kerberos{Realm: "EXAMPLE.ORG", KeyVersion: 3, Principals: []console.Principal{{Name: "HTTP/desk-7.example.org:16992", Protocol: "http"}}}
	if change != nil {
		change(&k)
	}
	return k
}

func TestSetKerberos(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12})
	key16, key32 := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 32)
	for _, tt := range []struct {
		name string
		k    console.Kerberos
		key  []byte
	}{
		{"no realm", goodKerberos(func(k *console.Kerberos) { k.Realm = "" }), key32},
		{"no name", goodKerberos(func(k *console.Kerberos) { k.Principals = nil }), key32},
		{"five names", goodKerberos(func(k *console.Kerberos) { k.Principals = slices.Repeat(k.Principals, 5) }), key32},
		{"a name without a service", goodKerberos(func(k *console.Kerberos) { k.Principals[0].Name = "/desk-7" }), key32},
		{"a name without a protocol", goodKerberos(func(k *console.Kerberos) { k.Principals[0].Protocol = "" }), key32},
		{"clocks half a minute apart", goodKerberos(func(k *console.Kerberos) { k.Tolerance = new(30 * time.Second) }), key32},
		{"an unknown encryption", goodKerberos(func(k *console.Kerberos) { k.Encryption = "des" }), key32},
		{"a key too short", goodKerberos(nil), key16[:8]},
		{"a key that does not fit", goodKerberos(func(k *console.Kerberos) { k.Encryption = "aes128" }), key32},
	} {
		m.sent = nil
		if _, err := m.spy().SetKerberos(t.Context(), tt.k, tt.key); !errors.Is(err, console.ErrUsage) || slices.Contains(m.sent, "Put AMT_KerberosSettingData") {
			t.Errorf("%s: %v, sent %q", tt.name, err, m.sent)
		}
	}
	for _, tt := range []struct {
		encryption string
		key        []byte
		want       string
	}{{"", key32, "aes256"}, {"", key16, "aes128"}, {"rc4-hmac", key16, "rc4-hmac"}} {
		got, err := m.SetKerberos(t.Context(), goodKerberos(func(k *console.Kerberos) { k.Encryption, k.Cache = tt.encryption, new(true) }), tt.key)
		if err != nil || !got.Enabled || got.Encryption != tt.want || got.KeyVersion != 3 || *got.Tolerance != 5*time.Minute || !*got.Cache {
			t.Errorf("%q: got %+v, %v", tt.encryption, got, err)
		}
	}
	v, err := class.Get[amt.KerberosSettingData](t.Context(), m)
	if err != nil || len(v.MasterKey) != 0 || *v.RealmName != "EXAMPLE.ORG" {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := m.forgetful("Put AMT_KerberosSettingData").SetKerberos(t.Context(), goodKerberos(func(k *console.Kerberos) { k.Realm = "OTHER.ORG" }), key32); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("forgotten: %v", err)
	}
	if _, err := m.forgetful("Put AMT_KerberosSettingData").DisableKerberos(t.Context()); !errors.Is(err, console.ErrDiffers) {
		t.Errorf("still on: %v", err)
	}
	if got, err := m.DisableKerberos(t.Context()); err != nil || got.Enabled {
		t.Errorf("got %+v, %v", got, err)
	}
	m.sent = nil
	if _, err := m.spy().DisableKerberos(t.Context()); err != nil || slices.Contains(m.sent, "Put AMT_KerberosSettingData") {
		t.Errorf("%v, sent %q", err, m.sent)
	}
}

// That tickets are not kept is not told as a success.
func TestSetKerberosCacheRefused(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Refuse: map[string]status.Status{"SetCredentialCacheState": status.InternalError}})
	var refusal *status.Error
	if _, err := m.SetKerberos(t.Context(), goodKerberos(func(k *console.Kerberos) { k.Cache = new(true) }), make([]byte, 32)); !errors.As(err, &refusal) {
		t.Errorf("got %v", err)
	}
}

func TestParseKerberosKey(t *testing.T) {
	octets := []byte("0123456789abcdef")
	for _, tt := range []struct {
		name string
		file []byte
		want []byte
	}{
		{"octets", octets, octets},
		{"hex digits", []byte(hex.EncodeToString(octets) + "\n"), octets},
		{"64 hex digits", []byte(hex.EncodeToString(slices.Repeat(octets, 2))), slices.Repeat(octets, 2)},
		{"32 octets that are no digits", []byte("0123456789abcdefghijklmnopqrstuv"), []byte("0123456789abcdefghijklmnopqrstuv")},
		{"too few", octets[:15], nil},
		{"too few digits", []byte("0123"), nil},
		{"nothing", nil, nil},
	} {
		got, err := console.ParseKerberosKey(tt.file)
		if !bytes.Equal(got, tt.want) || (err == nil) != (tt.want != nil) || err != nil && !errors.Is(err, console.ErrKerberosKey) {
			t.Errorf("%s: %x, %v", tt.name, got, err)
		}
	}
}

func FuzzParseKerberosKey(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Add([]byte("000102030405060708090a0b0c0d0e0f\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := console.ParseKerberosKey(b); err == nil && len(key) != 16 && len(key) != 32 {
			t.Errorf("a key of %d octets of %x", len(key), b)
		}
	})
}
