package console_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

var air = &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "Office", Key: "correct horse"}, {SSID: "corp", Security: "802.1x", Key: "s3cret"}}}

func office() console.WiFiProfile {
	return console.WiFiProfile{Name: "office", SSID: "Office", Security: "wpa2", Key: "correct horse"}
}

func TestWiFiProfiles(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on", Wireless: air})
	if _, err := m.SetWiFiState(t.Context(), "s0-sx"); err != nil {
		t.Fatal(err)
	}
	got, err := m.AddWiFiProfile(t.Context(), office())
	want := console.WiFiProfile{Name: "office", SSID: "Office", Priority: 1, Security: "wpa2", Encryption: "aes"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(console.WiFiProfile{})); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	corp := console.WiFiProfile{Name: "corp", SSID: "corp", Security: "wpa2-802.1x", EAP: &console.EAP{Protocol: "peap-mschapv2", Username: "amt", ServerName: "example.org", ServerSuffix: true, Password: "s3cret"}}
	if got, err = m.AddWiFiProfile(t.Context(), corp); err != nil || got.Priority != 2 || got.EAP.Username != "amt" || got.EAP.Password != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	state, err := m.WiFi(t.Context())
	if err != nil || state.State != "s0-sx" || !*state.Connected || state.SSID != "Office" || state.Control != "host" {
		t.Errorf("state %+v, %v", state, err)
	}
	// The order decides which network it is.
	if _, err := m.SetWiFiPriority(t.Context(), "corp", 1); err != nil {
		t.Fatal(err)
	}
	if state, err = m.WiFi(t.Context()); err != nil || state.SSID != "corp" {
		t.Errorf("state %+v, %v", state, err)
	}
	// A new SSID keeps the key, and the password of 802.1X.
	for _, name := range []string{"corp", "office"} {
		if got, err := m.ChangeWiFiProfile(t.Context(), name, console.WiFiChange{SSID: "Elsewhere"}); err != nil || got.SSID != "Elsewhere" {
			t.Fatal(got, err)
		}
	}
	if state, err = m.WiFi(t.Context()); err != nil || *state.Connected {
		t.Errorf("state %+v, %v", state, err)
	}
	if _, err := m.ChangeWiFiProfile(t.Context(), "corp", console.WiFiChange{SSID: "corp"}); err != nil {
		t.Fatal(err)
	}
	if state, err = m.WiFi(t.Context()); err != nil || state.SSID != "corp" {
		t.Errorf("state %+v, %v", state, err)
	}
	if n, err := m.ClearWiFiProfiles(t.Context(), false); n != 2 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
}

// What cannot be is refused before anything is changed, and no secret is in an error.
func TestWiFiRefuses(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Wireless: air})
	if _, err := m.AddWiFiProfile(t.Context(), office()); err != nil {
		t.Fatal(err)
	}
	with := func(change func(p *console.WiFiProfile)) console.WiFiProfile {
		p := office()
		p.Name = "other"
		change(&p)
		return p
	}
	for _, tt := range []struct {
		name string
		p    console.WiFiProfile
		want error
	}{
		{"the name twice", office(), console.ErrUsage},
		{"the priority twice", with(func(p *console.WiFiProfile) { p.Priority = 1 }), console.ErrUsage},
		{"a short key", with(func(p *console.WiFiProfile) { p.Key = "s3cr3tt" }), console.ErrUsage},
		{"64 digits", with(func(p *console.WiFiProfile) { p.Key = strings.Repeat("ab", 32) }), console.ErrUsage},
		{"open", with(func(p *console.WiFiProfile) { p.Security = "open" }), console.ErrUsage},
		{"WPA3 on AMT 12", with(func(p *console.WiFiProfile) { p.Security = "wpa3" }), console.ErrUnsupported},
		{"802.1X without settings", with(func(p *console.WiFiProfile) { p.Security = "wpa2-802.1x" }), console.ErrUsage},
		{"settings without 802.1X", with(func(p *console.WiFiProfile) { p.EAP = &console.EAP{Protocol: "tls", ClientCertificate: "1"} }), console.ErrUsage},
		{"a certificate that is not there", with(func(p *console.WiFiProfile) {
			p.Security, p.EAP = "wpa2-802.1x", &console.EAP{Protocol: "tls", ClientCertificate: "1"}
		}), console.ErrUsage},
	} {
		_, err := m.spy().AddWiFiProfile(t.Context(), tt.p)
		if !errors.Is(err, tt.want) || strings.Contains(fmt.Sprint(err), tt.p.Key) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := m.spy().RemoveWiFiProfile(t.Context(), "nobody"); !errors.Is(err, console.ErrUsage) {
		t.Errorf("removing what is not there: %v", err)
	}
	if _, err := m.spy().SetWiFiSync(t.Context(), console.WiFiSync{UEFISharing: new(true)}); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("UEFI sharing on AMT 12: %v", err)
	}
	if m.sent != nil {
		t.Errorf("sent %q", m.sent)
	}
	desktop := manage(t, lab.Machine{Profile: 12})
	if _, err := desktop.AddWiFiProfile(t.Context(), office()); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("on a desktop: %v", err)
	}
}

// No two profiles have the same priority at any time.
func TestWiFiPriorities(t *testing.T) {
	for _, tt := range []struct {
		name     string
		priority uint8
		want     string
		writes   int
	}{
		{"c", 1, "c1 a2 b3 d7", 4},
		{"a", 2, "b3 a2 c4 d7", 3},
		{"d", 2, "a1 d2 b3 c4", 3},
		{"a", 9, "b2 c3 d7 a9", 1},
		{"b", 2, "a1 b2 c3 d7", 0},
	} {
		m := manage(t, lab.Machine{Profile: 12, Wireless: air})
		for name, priority := range map[string]uint8{"a": 1, "b": 2, "c": 3, "d": 7} {
			p := office()
			p.Name, p.Priority = name, priority
			if _, err := m.AddWiFiProfile(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		all, err := m.spy().SetWiFiPriority(t.Context(), tt.name, tt.priority)
		var got []string
		for _, p := range all {
			got = append(got, fmt.Sprint(p.Name, p.Priority))
		}
		want := strings.Fields(tt.want)
		slices.Sort(want)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) || len(m.sent) != tt.writes {
			t.Errorf("%s to %d: %q with %d writes, %v; want %q with %d", tt.name, tt.priority, got, len(m.sent), err, want, tt.writes)
		}
	}
}

// A machine that says yes and does nothing is found out.
func TestWiFiDiffers(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Wireless: air})
	if _, err := m.AddWiFiProfile(t.Context(), office()); err != nil {
		t.Fatal(err)
	}
	lazy := console.Over(roundTrip(func(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
		name := wsman.ClassName(req.Action)
		switch {
		case strings.HasPrefix(req.Action, req.ResourceURI):
			body := wsman.Group(req.ResourceURI, name+"_OUTPUT", wsman.El(req.ResourceURI, "ReturnValue", "0"))
			return &wsman.Response{Body: &body}, nil
		case req.Action == wsman.ActionPut:
			return &wsman.Response{Body: req.Body}, nil
		case req.Action == wsman.ActionDelete:
			return &wsman.Response{}, nil
		}
		return m.RoundTrip(ctx, req)
	}), "x")
	other := office()
	other.Name = "other"
	for what, do := range map[string]func() error{
		"add": func() error { _, err := lazy.AddWiFiProfile(t.Context(), other); return err },
		"change": func() error {
			_, err := lazy.ChangeWiFiProfile(t.Context(), "office", console.WiFiChange{SSID: "x"})
			return err
		},
		"remove":   func() error { return lazy.RemoveWiFiProfile(t.Context(), "office") },
		"clear":    func() error { _, err := lazy.ClearWiFiProfiles(t.Context(), false); return err },
		"priority": func() error { _, err := lazy.SetWiFiPriority(t.Context(), "office", 9); return err },
		"state":    func() error { _, err := lazy.SetWiFiState(t.Context(), "s0"); return err },
		"sync":     func() error { _, err := lazy.SetWiFiSync(t.Context(), console.WiFiSync{Sync: "user"}); return err },
	} {
		if err := do(); !errors.Is(err, console.ErrDiffers) {
			t.Errorf("%s: %v, want one that says it differs", what, err)
		}
	}
}
