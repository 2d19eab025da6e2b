package firmware_test

import (
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

func (w *world) scheme(t *testing.T, id string) status.Status {
	t.Helper()
	_, err := amt.SystemPowerSchemeSetPowerScheme.Invoke(t.Context(), w, amt.SystemPowerSchemeSetPowerSchemeIn{}, wsman.Selector{Name: "InstanceID", Value: id})
	return code(t, err)
}

func TestPowerScheme(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		current := func() (out []string) {
			list, err := class.All[cim.ElementSettingData](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				if s.SettingData != nil && s.SettingData.Class() == "AMT_SystemPowerScheme" && class.Value(s.IsCurrent) == 1 {
					out = append(out, s.SettingData.Selectors.Value("InstanceID"))
				}
			}
			return out
		}
		if got := current(); !slices.Equal(got, []string{"SCHEME 1"}) {
			t.Errorf("at first: %v", got)
		}
		if _, err := amt.SystemPowerSchemeSetPowerScheme.Invoke(t.Context(), w, amt.SystemPowerSchemeSetPowerSchemeIn{}, wsman.Selector{Name: "InstanceID", Value: "SCHEME 0"}); err != nil {
			t.Fatal(err)
		}
		if got := current(); !slices.Equal(got, []string{"SCHEME 0"}) {
			t.Errorf("after SetPowerScheme: %v", got)
		}
		other := newWorld(t, firmware.Config{}, pc.Options{On: true})
		if err := w.Parts(other.Machine); err != nil {
			t.Fatal(err)
		}
		w = other
		if got := current(); !slices.Equal(got, []string{"SCHEME 0"}) {
			t.Errorf("in another machine: %v", got)
		}
	})
}

// With "ON in S0" alone nobody on the network gets an answer while the PC is off; with the other scheme all do.
func TestEngineSleepsWithPC(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := listening(t, firmware.Config{}, pc.Options{On: true})
		line, err := w.open(t, redir.SOL)
		if err != nil {
			t.Fatal(err)
		}
		defer line.Close()
		awake := w.Ports()
		if got := w.scheme(t, "SCHEME 0"); got != 0 || !slices.Equal(w.Ports(), awake) {
			t.Fatalf("while the PC is on: %d, ports %v", got, w.Ports())
		}
		press := func(want firmware.Sx) {
			t.Helper()
			w.pc.Person().Press()
			w.settle()
			if got := w.pc.Power(); got != want {
				t.Fatalf("the PC is in %v, want %v", got, want)
			}
		}
		press(firmware.S5)
		if got := w.Ports(); len(got) != 0 || len(w.Sessions()) != 0 {
			t.Errorf("off: ports %v, sessions %v", got, w.Sessions())
		}
		if _, pinged := w.Presence(); pinged {
			t.Error("off: a ping is answered")
		}
		if _, err := class.Get[amt.GeneralSettings](t.Context(), w); err == nil {
			t.Error("off: a connection of before is answered")
		}
		here, there := net.Pipe()
		if err := w.ServeConn(t.Context(), there, firmware.PortHTTP); !errors.Is(err, firmware.ErrPortClosed) {
			t.Errorf("off: %v", err)
		}
		here.Close()
		press(firmware.S0)
		if got := w.Ports(); !slices.Equal(got, awake) {
			t.Errorf("on again: ports %v, want %v", got, awake)
		}
		if got := w.scheme(t, "SCHEME 1"); got != 0 {
			t.Fatal(got)
		}
		press(firmware.S5)
		if got := w.Ports(); !slices.Equal(got, awake) {
			t.Errorf("off under the other scheme: ports %v, want %v", got, awake)
		}
		none := wsman.Selector{Name: "InstanceID", Value: "SCHEME 7"}
		if _, err := amt.SystemPowerSchemeSetPowerScheme.Invoke(t.Context(), w, amt.SystemPowerSchemeSetPowerSchemeIn{}, none); !errors.Is(err, wsman.ErrInvalidSelectors) {
			t.Errorf("a scheme that there is none of: %v", err)
		}
	})
}
