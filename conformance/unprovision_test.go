package conformance

import (
	"fmt"
	"net"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/setupandconfiguration"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// closed fails the test if a machine still listens.
func closed(t *testing.T, w *world) {
	t.Helper()
	if got := w.Firmware.ControlMode(); got != firmware.ModeNone {
		t.Errorf("the machine is in %v", got)
	}
	for _, port := range []string{"16992", "16993"} {
		if conn, err := net.Dial("tcp", net.JoinHostPort(w.Address, port)); err == nil {
			conn.Close()
			t.Errorf("port %s is open", port)
		}
	}
}

// TestGoWsmanUnprovisions has the library unprovision machines.
func TestGoWsmanUnprovisions(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			answer, err := gowsman(t, w).AMT.SetupAndConfigurationService.Unprovision(setupandconfiguration.ProvisioningModeValue(1))
			check(t, err)
			if got := answer.Body.Unprovision_OUTPUT.ReturnValue; got != 0 {
				t.Fatalf("return value %d", got)
			}
			closed(t, w)

			w = machine(t, lab.Machine{Profile: generation})
			partial, err := gowsman(t, w).AMT.SetupAndConfigurationService.PartialUnprovision()
			check(t, err)
			if got := partial.Body.PartialUnprovision_OUTPUT.ReturnValue; got != 0 {
				t.Fatalf("partially: return value %d", got)
			}
			closed(t, w)
		})
	}
}

// TestUnprovisionIsSeen has our command unprovision a machine that the library could read before, and cannot then.
func TestUnprovisionIsSeen(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 12})
	m := gowsman(t, w)
	state, err := m.AMT.SetupAndConfigurationService.Get()
	check(t, err)
	if got := state.Body.GetResponse.ProvisioningState; got != 2 {
		t.Errorf("provisioning state %v before", got)
	}
	ourCommand(t, w, "unprovision", w.Address, "--yes", w.Address)
	closed(t, w)
	if _, err := m.AMT.SetupAndConfigurationService.Get(); err == nil {
		t.Error("the library still reads the machine")
	}
}
