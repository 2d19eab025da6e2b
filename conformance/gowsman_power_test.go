package conformance

import (
	"crypto/md5"
	"fmt"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/authorization"
	amtboot "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/boot"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim/boot"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim/power"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// digestHash returns what a machine keeps of a password (RFC 7616 3.4.2).
func digestHash(user, realm, password string) []byte {
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password))
	return sum[:]
}

func realmValues(list ...authorization.RealmValues) []authorization.RealmValues { return list }

// TestGoWsmanPower has the library switch machines on and off, and looks at the PC, not at the answers.
func TestGoWsmanPower(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			request := func(state power.PowerState, want power.ReturnValue) {
				t.Helper()
				answer, err := m.CIM.PowerManagementService.RequestPowerStateChange(state)
				check(t, err)
				if got := answer.Body.RequestPowerStateChangeResponse.ReturnValue; got != want {
					t.Fatalf("power state %d: got return value %d, want %d", state, got, want)
				}
			}
			request(power.PowerOn, 0)
			w.wait(t, "on", booted(1))
			request(power.MasterBusReset, 0)
			w.wait(t, "reset", booted(2))
			request(power.PowerCycleOffHard, 0)
			w.wait(t, "cycled", booted(3))
			if was := w.PC.LastBoot().Was; was != firmware.S5 {
				t.Errorf("the power cycle came from %v, want S5", was)
			}
			request(power.PowerOffHard, 0)
			w.wait(t, "off", isOff)
			answer, err := m.CIM.PowerManagementService.RequestPowerStateChange(power.MasterBusReset)
			check(t, err)
			if answer.Body.RequestPowerStateChangeResponse.ReturnValue == 0 {
				t.Error("a reset of a machine that is off was accepted")
			}
		})
	}
}

// TestGoWsmanBoot goes through the sequence that consoles use to boot from the network once: clear the boot settings,
// choose the source, make the configuration the next one, and power on. The boot after that is an ordinary one.
func TestGoWsmanBoot(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)

			now, err := m.AMT.BootSettingData.Get()
			check(t, err)
			settings := now.Body.BootSettingDataGetResponse
			_, err = m.AMT.BootSettingData.Put(amtboot.BootSettingDataRequest{
				ElementName:  settings.ElementName,
				InstanceID:   settings.InstanceID,
				OwningEntity: settings.OwningEntity,
			})
			check(t, err)
			_, err = m.CIM.BootConfigSetting.ChangeBootOrder("")
			check(t, err)
			_, err = m.CIM.BootConfigSetting.ChangeBootOrder(boot.PXE)
			check(t, err)
			_, err = m.CIM.BootService.SetBootConfigRole("Intel(r) AMT: Boot Configuration 0", 1)
			check(t, err)
			_, err = m.CIM.PowerManagementService.RequestPowerStateChange(power.PowerOn)
			check(t, err)
			w.wait(t, "on", booted(1))
			if b := w.PC.LastBoot(); b.From != firmware.BootPXE {
				t.Errorf("booted from %v, want PXE", b.From)
			}

			_, err = m.CIM.PowerManagementService.RequestPowerStateChange(power.MasterBusReset)
			check(t, err)
			w.wait(t, "reset", booted(2))
			if b := w.PC.LastBoot(); b.From != firmware.BootDisk {
				t.Errorf("the boot after booted from %v, want disk", b.From)
			}
		})
	}
}
