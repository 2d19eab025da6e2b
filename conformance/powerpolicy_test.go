package conformance

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/guid"
)

// TestGoWsmanPowerPolicy has the library list the policies, which our command then puts in force by the GUIDs that it reads.
// The library cannot set one: that it is in force shows when the PC is off.
func TestGoWsmanPowerPolicy(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			m := gowsman(t, w)
			sequence, err := m.AMT.SystemPowerScheme.Enumerate()
			check(t, err)
			answer, err := m.AMT.SystemPowerScheme.Pull(sequence.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			schemes := answer.Body.PullResponse.SystemPowerSchemeItems
			equal(t, "schemes", len(schemes), 2)
			for i, s := range schemes {
				b, err := base64.StdEncoding.DecodeString(s.SchemeGUID)
				check(t, err)
				id, err := guid.FromBytes(b)
				check(t, err)
				r := ourCommand(t, w, "powerpolicy", "set", id.String(), w.Address, "-o", "json")
				if want := fmt.Sprintf(`"number":%d,"name":"%s","guid":"%v","current":true`, i+1, s.Description, id); !strings.Contains(r.out, want) {
					t.Errorf("no %s in %s", want, r.out)
				}
				// Under "ON in S0" alone nobody answers when the PC is off.
				w.PC.Person().Press()
				w.wait(t, "off", isOff)
				if answers := len(w.Firmware.Ports()) > 0; answers != strings.Contains(s.Description, "S3") {
					t.Errorf("%s: off, and ports %v", s.Description, w.Firmware.Ports())
				}
				last := w.PC.LastBoot().Number
				w.PC.Person().Press()
				w.wait(t, "on", booted(last+1))
			}

			ourCommand(t, w, "powerpolicy", "set", "current", w.Address, "--idle-timeout", "75m")
			general, err := m.AMT.GeneralSettings.Get()
			check(t, err)
			equal(t, "IdleWakeTimeout", general.Body.GetResponse.IdleWakeTimeout, 75)
		})
	}
}
