package firmware

import (
	"errors"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// What a release or its setup menu does not let anybody have cannot be switched on.
func TestSwitchesThatAreLocked(t *testing.T) {
	t.Run("web pages", func(t *testing.T) {
		for generation, want := range map[int]status.Status{12: 0, 16: stateNotSupported} {
			c := client(t, newMachine(t, Config{Generation: generation}))
			for i, want := range []status.Status{want, 0} {
				state := cim.RequestedState(stateEnabled + i) // on, off
				_, err := amt.WebUIServiceRequestStateChange.Invoke(t.Context(), c, amt.WebUIServiceRequestStateChangeIn{RequestedState: &state})
				if got := returned(t, err); got != want {
					t.Errorf("%d, state %d: %d, want %d", generation, state, got, want)
				}
			}
			s, err := class.Get[amt.WebUIService](t.Context(), c)
			if err != nil || class.Value(s.EnabledState) != stateDisabled {
				t.Errorf("%d: switched off and %v, %v", generation, class.Value(s.EnabledState), err)
			}
		}
	})
	t.Run("KVM", func(t *testing.T) {
		m := newMachine(t, Config{Generation: 12})
		c := client(t, m)
		request := func(state cim.RequestedState) status.Status {
			t.Helper()
			_, err := cim.KVMRedirectionSAPRequestStateChange.Invoke(t.Context(), c, cim.KVMRedirectionSAPRequestStateChangeIn{RequestedState: &state})
			return returned(t, err)
		}
		if got := request(2); got != 0 || !m.kvmEnabled() {
			t.Errorf("at first: %d, %v", got, m.kvmEnabled())
		}
		m.changeOne("IPS_KVMRedirectionSettingData", func(e *wsman.Element) { set(e, "EnabledByMEBx", "false") })
		if got := request(2); got != stateNotSupported || m.kvmEnabled() {
			t.Errorf("forbidden by the setup menu: %d, %v", got, m.kvmEnabled())
		}
		if got := request(3); got != 0 {
			t.Errorf("off: %d", got)
		}
	})
}

// returned is the ReturnValue that an error holds.
func returned(t *testing.T, err error) status.Status {
	t.Helper()
	var refusal *status.Error
	if err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if refusal == nil {
		return status.Success
	}
	return refusal.Code
}
