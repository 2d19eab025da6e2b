package console_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/status"
)

// on returns the features that are on, with spaces between them.
func on(list []console.FeatureState) string {
	var out []string
	for _, s := range list {
		if s.On {
			out = append(out, string(s.Feature))
		}
	}
	return strings.Join(out, " ")
}

func TestSetFeatures(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	if got, err := m.Features(t.Context()); err != nil || on(got) != "listener sol ider kvm web" {
		t.Fatalf("at first %q, %v", on(got), err)
	}
	c := m.spy()
	for _, tt := range []struct {
		on       bool
		features []console.Feature
		want     string
		open     bool     // port 16994
		sent     []string // changes
	}{
		{false, []console.Feature{console.FeatureSOL}, "listener ider kvm web", true, []string{"AMT_RedirectionService.RequestStateChange"}},
		{false, []console.Feature{console.FeatureSOL, console.FeatureErase}, "listener ider kvm web", true, nil}, // is so
		{false, []console.Feature{console.FeatureKVM, console.FeatureListener}, "ider web", false, []string{"CIM_KVMRedirectionSAP.RequestStateChange", "Put AMT_RedirectionService"}},
		{true, []console.Feature{console.FeatureKVM}, "ider kvm web", true, []string{"CIM_KVMRedirectionSAP.RequestStateChange"}},
		{false, []console.Feature{console.FeatureWeb}, "ider kvm", true, []string{"AMT_WebUIService.RequestStateChange"}},
	} {
		m.sent = nil
		got, err := c.SetFeatures(t.Context(), tt.on, tt.features...)
		if err != nil || on(got) != tt.want || !slices.Equal(m.sent, tt.sent) {
			t.Errorf("%v %v: %q, sent %v, %v; want %q, sent %v", tt.on, tt.features, on(got), m.sent, err, tt.want, tt.sent)
		}
		if open := slices.Contains(m.machine.Firmware.Ports(), firmware.PortRedir); open != tt.open {
			t.Errorf("%v %v: port open %v", tt.on, tt.features, open)
		}
	}
	m.sent = nil
	for want, features := range map[error][]console.Feature{
		console.ErrUnsupported: {console.FeatureWeb, console.FeatureRecovery}, console.ErrUsage: {console.FeatureWeb, "sound"},
	} {
		if _, err := c.SetFeatures(t.Context(), true, features...); !errors.Is(err, want) || m.sent != nil {
			t.Errorf("%v: %v, sent %v", features, err, m.sent)
		}
	}
}

// Recovery boot and erasing from afar: bits of one state, of which one stays when the other is changed.
func TestSetBootFeatures(t *testing.T) {
	m := manage(t, lab.Machine{Version: "16.0.15.1735", Power: "on"})
	for _, tt := range []struct {
		on      bool
		feature console.Feature
		want    string
	}{
		{true, console.FeatureErase, "erase"}, {true, console.FeatureRecovery, "recovery erase"}, {false, console.FeatureErase, "recovery"},
	} {
		got, err := m.SetFeatures(t.Context(), tt.on, tt.feature)
		if err != nil || strings.TrimPrefix(on(got), "listener sol ider kvm web ") != tt.want {
			t.Errorf("%v %s: %q, %v", tt.on, tt.feature, on(got), err)
		}
	}
}

// What a machine has accepted and not done is no success.
func TestChangesThatAreForgotten(t *testing.T) {
	m := manage(t, lab.Machine{Version: "16.0.15.1735", Power: "on"})
	c := m.forgetful("RequestStateChange", "SetPowerScheme", "StartOptIn", "SendOptInCode", "CancelOptIn", "Put AMT_RedirectionService",
		"Put IPS_KVMRedirectionSettingData", "Put IPS_OptInService", "Put AMT_GeneralSettings")
	if _, err := m.SetConsentPolicy(t.Context(), "all", 0, 0); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want error
	}{
		{"SOL", func() error { _, err := c.SetFeatures(t.Context(), false, console.FeatureSOL); return err }, console.ErrNotReached},
		{"listener", func() error { _, err := c.SetFeatures(t.Context(), false, console.FeatureListener); return err }, console.ErrNotReached},
		{"KVM", func() error { _, err := c.SetFeatures(t.Context(), false, console.FeatureKVM); return err }, console.ErrNotReached},
		{"web", func() error { _, err := c.SetFeatures(t.Context(), false, console.FeatureWeb); return err }, console.ErrDiffers},
		{"recovery", func() error { _, err := c.SetFeatures(t.Context(), true, console.FeatureRecovery); return err }, console.ErrDiffers},
		{"KVM settings", func() error {
			_, err := c.SetKVMSettings(t.Context(), console.KVMSettings{SessionTimeout: new(uint16(77))})
			return err
		}, console.ErrDiffers},
		{"consent policy", func() error { _, err := c.SetConsentPolicy(t.Context(), "none", 0, 0); return err }, console.ErrDiffers},
		{"consent", func() error { _, err := c.StartConsent(t.Context()); return err }, console.ErrNotReached},
		{"power policy", func() error { _, err := c.SetPowerPolicy(t.Context(), "1", 0); return err }, console.ErrDiffers},
		{"idle timeout", func() error { _, err := c.SetPowerPolicy(t.Context(), "", 77*time.Minute); return err }, console.ErrDiffers},
	} {
		if err := tt.do(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := m.StartConsent(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendConsentCode(t.Context(), m.machine.Firmware.ConsentCode()); !errors.Is(err, console.ErrNotReached) {
		t.Errorf("code: %v", err)
	}
	if _, err := c.CancelConsent(t.Context()); !errors.Is(err, console.ErrNotReached) {
		t.Errorf("cancel: %v", err)
	}
}

func TestSetFeaturesThatIsRefused(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on", Refuse: map[string]status.Status{"AMT_RedirectionService.RequestStateChange": 2}})
	var refusal *status.Error
	if _, err := m.SetFeatures(t.Context(), false, console.FeatureSOL); !errors.As(err, &refusal) || refusal.Code != 2 {
		t.Errorf("refused: %v", err)
	}
}

func TestKVMSettings(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	c := m.spy()
	for _, tt := range []struct {
		change console.KVMSettings
		want   error
	}{
		{console.KVMSettings{VNCPort: new(true)}, console.ErrUsage}, // without password
		{console.KVMSettings{VNCPort: new(true), Password: "Vn(1pas"}, console.ErrUsage},
		{console.KVMSettings{Password: "vn(1pass"}, console.ErrUsage},
	} {
		if _, err := c.SetKVMSettings(t.Context(), tt.change); !errors.Is(err, tt.want) || m.sent != nil {
			t.Errorf("%+v: %v, sent %v", tt.change, err, m.sent)
		}
	}
	got, err := c.SetKVMSettings(t.Context(), console.KVMSettings{VNCPort: new(true), Password: "Vn(1pass", SessionTimeout: new(uint16(7)), Screen: new(uint8(1))})
	if err != nil || !*got.VNCPort || *got.SessionTimeout != 7 || *got.Screen != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if !slices.Contains(m.machine.Firmware.Ports(), firmware.PortRFB) {
		t.Errorf("ports %v", m.machine.Firmware.Ports())
	}
	// What is not named stays, the password too.
	if got, err = c.SetKVMSettings(t.Context(), console.KVMSettings{ConsentTimeout: new(uint16(400))}); err != nil || *got.ConsentTimeout != 400 || *got.SessionTimeout != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
	if !slices.Contains(m.machine.Firmware.Ports(), firmware.PortRFB) {
		t.Errorf("the password went with another change: ports %v", m.machine.Firmware.Ports())
	}
	if got, err = c.SetKVMSettings(t.Context(), console.KVMSettings{VNCPort: new(false)}); err != nil || *got.VNCPort {
		t.Errorf("got %+v, %v", got, err)
	}
	if slices.Contains(m.machine.Firmware.Ports(), firmware.PortRFB) {
		t.Errorf("ports %v", m.machine.Firmware.Ports())
	}
}
