package console_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/status"
)

// The GUIDs are those of a recorded mobile; both are of version 4, which tells that they are read in the right order.
const (
	onlyS0 = "11973976-560b-4350-8870-9812f391b560"
	wakes  = "ee0d8030-c009-4378-af28-7868a2dbbe3a"
)

func TestSetPowerPolicy(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on"})
	all, err := m.PowerPolicies(t.Context())
	if err != nil || len(all.List) != 2 || all.List[0].GUID != onlyS0 || all.List[1].GUID != wakes || all.IdleTimeout == 0 {
		t.Fatalf("got %+v, %v", all, err)
	}
	c := m.spy()
	for _, tt := range []struct {
		name string
		idle time.Duration
		want string
		sent []string
	}{
		{"1", 0, onlyS0, []string{"AMT_SystemPowerScheme.SetPowerScheme"}},
		{"Mobile: ON in S0", 0, onlyS0, nil}, // is so; the whole name, though the other begins with it
		{"me wake in s3", 0, wakes, []string{"AMT_SystemPowerScheme.SetPowerScheme"}},
		{"{11973976-560B-4350-8870-9812F391B560}", 30 * time.Minute, onlyS0, []string{"Put AMT_GeneralSettings", "AMT_SystemPowerScheme.SetPowerScheme"}},
		{"", 45 * time.Minute, onlyS0, []string{"Put AMT_GeneralSettings"}},
		{"MIAN7gnAeEOvKHhootu+Og==", 45 * time.Minute, wakes, []string{"AMT_SystemPowerScheme.SetPowerScheme"}},
	} {
		m.sent = nil
		got, err := c.SetPowerPolicy(t.Context(), tt.name, tt.idle)
		now, _ := got.Current()
		if err != nil || now.GUID != tt.want || tt.idle > 0 && got.IdleTimeout != tt.idle || !slices.Equal(m.sent, tt.sent) {
			t.Errorf("%q %v: %+v, %v; sent %v, want %v", tt.name, tt.idle, got, err, m.sent, tt.sent)
		}
	}
	m.sent = nil
	for _, tt := range []struct {
		name string
		idle time.Duration
	}{{"3", 0}, {"0", 0}, {"ON in", 0}, {"nonsense", 0}, {"", 90 * time.Second}, {"", -time.Minute}, {"", 65536 * time.Minute}} {
		if _, err := c.SetPowerPolicy(t.Context(), tt.name, tt.idle); !errors.Is(err, console.ErrUsage) || m.sent != nil {
			t.Errorf("%q %v: %v, sent %v", tt.name, tt.idle, err, m.sent)
		}
	}
}

func TestPowerPolicyThatFails(t *testing.T) {
	m := manage(t, lab.Machine{Profile: 12, Power: "on", Refuse: map[string]status.Status{"SetPowerScheme": 36}})
	var refusal *status.Error
	if _, err := m.SetPowerPolicy(t.Context(), "1", 0); !errors.As(err, &refusal) || refusal.Code != 36 {
		t.Errorf("refused: %v", err)
	}
	// The engine of a machine that is off goes to sleep at once: nobody can say that it was done.
	off := manage(t, lab.Machine{Profile: 12})
	if _, err := off.SetPowerPolicy(t.Context(), "1", 0); err == nil || slices.Contains(off.machine.Firmware.Ports(), firmware.PortHTTP) {
		t.Errorf("off: %v, ports %v", err, off.machine.Firmware.Ports())
	}
}
