package console_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/status"
)

func TestConsentPolicy(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	c := m.spy()
	for _, tt := range []struct {
		policy        string
		display, code time.Duration
		want          console.Consent
		puts          int
	}{
		{"kvm", 0, 0, console.Consent{Policy: "kvm", State: "not started", Display: 5 * time.Minute, Code: 2 * time.Minute}, 1},
		{"kvm", 0, 0, console.Consent{Policy: "kvm", State: "not started", Display: 5 * time.Minute, Code: 2 * time.Minute}, 0},
		{"", 6 * time.Minute, 90 * time.Second, console.Consent{Policy: "kvm", State: "not started", Display: 6 * time.Minute, Code: 90 * time.Second}, 1},
		{"all", 0, 0, console.Consent{Policy: "all", State: "not started", Display: 6 * time.Minute, Code: 90 * time.Second}, 1},
	} {
		m.sent = nil
		got, err := c.SetConsentPolicy(t.Context(), tt.policy, tt.display, tt.code)
		if err != nil || got != tt.want || len(m.sent) != tt.puts {
			t.Errorf("%s %v %v: %+v, sent %v, %v", tt.policy, tt.display, tt.code, got, m.sent, err)
		}
		if read, err := m.Consent(t.Context()); err != nil || read != tt.want {
			t.Errorf("%s: read %+v, %v", tt.policy, read, err)
		}
	}
	m.sent = nil
	for _, tt := range []struct {
		policy        string
		display, code time.Duration
	}{{"some", 0, 0}, {"kvm", -time.Second, 0}, {"kvm", 0, 1500 * time.Millisecond}, {"kvm", 65536 * time.Second, 0}} {
		if _, err := c.SetConsentPolicy(t.Context(), tt.policy, tt.display, tt.code); !errors.Is(err, console.ErrUsage) || m.sent != nil {
			t.Errorf("%s %v %v: %v, sent %v", tt.policy, tt.display, tt.code, err, m.sent)
		}
	}
}

func TestConsentCode(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	c := m.spy()
	if _, err := c.StartConsent(t.Context()); !errors.Is(err, console.ErrNotOffered) {
		t.Errorf("start where none is needed: %v", err)
	}
	if _, err := m.SetConsentPolicy(t.Context(), "all", 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendConsentCode(t.Context(), "123456"); !errors.Is(err, console.ErrNotOffered) {
		t.Errorf("a code before any is shown: %v", err)
	}
	if got, err := c.CancelConsent(t.Context()); err != nil || got.State != "not started" {
		t.Errorf("cancel before anything: %+v, %v", got, err)
	}
	if m.sent != nil {
		t.Errorf("sent %v", m.sent)
	}
	start := func() string {
		t.Helper()
		got, err := c.StartConsent(t.Context())
		code := m.machine.Firmware.ConsentCode()
		if err != nil || got.State != "displayed" || got.Given() || len(code) != 6 {
			t.Fatalf("start: %+v, %v; on the screen stands %q", got, err, code)
		}
		return code
	}
	code := start()
	if again := start(); again != code {
		t.Errorf("a second start changes the code from %s to %s", code, again)
	}
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	for try := 1; try <= 3; try++ { // the third ends the request
		got, err := c.SendConsentCode(t.Context(), wrong)
		want := map[bool]string{true: "not started", false: "displayed"}[try == 3]
		if !errors.Is(err, console.ErrConsentCode) || got.State != want {
			t.Errorf("wrong code %d: %+v, %v; want %s", try, got, err, want)
		}
	}
	for _, bad := range []string{"", "12345", "1234567", "12a456", "+12345"} {
		if _, err := c.SendConsentCode(t.Context(), bad); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	got, err := c.SendConsentCode(t.Context(), start())
	if err != nil || got.State != "received" || !got.Given() {
		t.Errorf("the right code: %+v, %v", got, err)
	}
	if got, err = c.CancelConsent(t.Context()); err != nil || got.State != "not started" || got.Given() {
		t.Errorf("cancel: %+v, %v", got, err)
	}
}

// In client control mode the policy is fixed, and nothing is sent that would be refused.
func TestConsentInClientMode(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on", ClientMode: true})
	c := m.spy()
	got, err := c.SetConsentPolicy(t.Context(), "none", 0, 0)
	if !errors.Is(err, console.ErrNotOffered) || m.sent != nil || !got.Fixed || got.Policy != "all" {
		t.Errorf("%+v, %v, sent %v", got, err, m.sent)
	}
	if got, err = c.SetConsentPolicy(t.Context(), "all", 6*time.Minute, 0); err != nil || got.Display != 6*time.Minute {
		t.Errorf("times: %+v, %v", got, err)
	}
}

func TestConsentElsewhere(t *testing.T) {
	if _, err := manage(t, lab.Machine{Version: "6.1.0.1000"}).Consent(t.Context()); !errors.Is(err, console.ErrUnsupported) {
		t.Errorf("release 6.1: %v", err)
	}
	off := manage(t, lab.Machine{Profile: 12})
	if _, err := off.SetConsentPolicy(t.Context(), "all", 0, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := off.StartConsent(t.Context()); err != nil || got.State != "requested" {
		t.Errorf("the PC is off: %+v, %v", got, err)
	}
	if _, err := off.SendConsentCode(t.Context(), "123456"); !errors.Is(err, console.ErrNotOffered) {
		t.Errorf("the PC is off: %v", err)
	}
	no := manage(t, lab.Machine{Profile: 12, Power: "on", Refuse: map[string]status.Status{"StartOptIn": 1, "CancelOptIn": 2}})
	if _, err := no.SetConsentPolicy(t.Context(), "all", 0, 0); err != nil {
		t.Fatal(err)
	}
	var refusal *status.Error
	if got, err := no.StartConsent(t.Context()); !errors.As(err, &refusal) || refusal.Code != 1 || got.State != "not started" {
		t.Errorf("refused: %+v, %v", got, err)
	}
	if sent := no.sent; slices.Contains(sent, "IPS_OptInService.CancelOptIn") {
		t.Errorf("sent %v", sent)
	}
}
