package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// TestGoWsmanReadsPower has our command change the power, and the library read it.
func TestGoWsmanReadsPower(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			for _, tt := range []struct {
				verb string
				want int
			}{{"on", 2}, {"reset", 2}, {"cycle", 2}, {"off", 8}} {
				ourCommand(t, w, "power", tt.verb, w.Address)
				answer, err := m.CIM.ServiceAvailableToElement.Enumerate()
				check(t, err)
				pulled, err := m.CIM.ServiceAvailableToElement.Pull(answer.Body.EnumerateResponse.EnumerationContext)
				check(t, err)
				items := pulled.Body.PullResponse.AssociatedPowerManagementService
				if len(items) != 1 || int(items[0].PowerState) != tt.want {
					t.Errorf("%s: %+v, want power state %d", tt.verb, items, tt.want)
				}
			}
		})
	}
}

// TestAmttoolReadsPower is the same on a machine that Debian's amttool can ask.
func TestAmttoolReadsPower(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8})
	for _, tt := range []struct{ verb, want string }{{"on", "S0"}, {"reset", "S0"}, {"off", "S5"}} {
		ourCommand(t, w, "power", tt.verb, w.Address)
		if r := amttool(t, w, "", "info"); !strings.Contains(r.out, "\nPowerstate:   "+tt.want) {
			t.Errorf("%s: %s%s", tt.verb, r.out, r.err)
		}
	}
}

// TestGoWsmanReadsBootSettings has our command choose boots and take the choice back, and the library read the settings.
func TestGoWsmanReadsBootSettings(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			for _, tt := range []struct {
				args        []string
				setup, sol  bool
				ider        bool
				device, pos int
			}{
				{[]string{"bios"}, true, false, false, 0, 0},
				{[]string{"ider"}, false, false, true, 1, 0},
				{[]string{"ider", "--floppy"}, false, false, true, 0, 0},
				{[]string{"disk", "--index", "2"}, false, false, false, 0, 2},
				{[]string{"custom", "--sol"}, false, true, false, 0, 0},
				{[]string{"clear"}, false, false, false, 0, 0},
			} {
				ourCommand(t, w, append(append([]string{"boot"}, tt.args...), w.Address)...)
				answer, err := m.AMT.BootSettingData.Get()
				check(t, err)
				got := answer.Body.BootSettingDataGetResponse
				if got.BIOSSetup != tt.setup || got.UseSOL != tt.sol || got.UseIDER != tt.ider || int(got.IDERBootDevice) != tt.device || got.BootMediaIndex != tt.pos {
					t.Errorf("boot %q: BIOSSetup %v, UseSOL %v, UseIDER %v, IDERBootDevice %d, BootMediaIndex %d", tt.args, got.BIOSSetup, got.UseSOL, got.UseIDER, got.IDERBootDevice, got.BootMediaIndex)
				}
			}
		})
	}
}
