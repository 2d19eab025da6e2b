package conformance

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	amtboot "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/boot"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim/power"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/pc"
)

// TestGoWsmanReadsBootOptions has our command set options, and the library read them and what the BIOS can do.
func TestGoWsmanReadsBootOptions(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, BIOS: map[string]string{"BIOSPause": "true", "VerbosityScreenBlank": "true"}})
			m := gowsman(t, w)
			ourCommand(t, w, "boot", "custom", w.Address, "--lock", "keyboard", "--pause", "--progress-events", "--bypass-password", "--verbosity", "blank", "--sol")
			now, err := m.AMT.BootSettingData.Get()
			check(t, err)
			d := now.Body.BootSettingDataGetResponse
			if !d.LockKeyboard || d.LockPowerButton || !d.BIOSPause || !d.ForcedProgressEvents || !d.UserPasswordBypass || d.FirmwareVerbosity != 3 || !d.UseSOL || d.UseIDER {
				t.Errorf("the library reads %+v", d)
			}
			can, err := m.AMT.BootCapabilities.Get()
			check(t, err)
			c := can.Body.BootCapabilitiesGetResponse
			r := ourCommand(t, w, "boot", "settings", w.Address, "-o", "json")
			for name, value := range map[string]bool{"BIOSPause": c.BIOSPause, "KeyboardLock": c.KeyboardLock, "SleepButtonLock": c.SleepButtonLock,
				"VerbosityScreenBlank": c.VerbosityScreenBlank, "SecureErase": c.SecureErase, "BIOSSecureBoot": c.BIOSSecureBoot} {
				if !strings.Contains(r.out, fmt.Sprintf("%q:\"%v\"", name, value)) {
					t.Errorf("%s is %v for the library, and not for our command: %s", name, value, r.out)
				}
			}
			_, err = m.CIM.PowerManagementService.RequestPowerStateChange(power.PowerOn)
			check(t, err)
			w.wait(t, "waiting for a key", func(p *pc.PC) bool { return p.Phase() == pc.Paused })
			if plan := w.PC.LastBoot().Plan; !plan.LockKeyboard || plan.Verbosity != 3 || !plan.SOL {
				t.Errorf("the PC boots by %+v", plan)
			}
		})
	}
}

// TestGoWsmanErases has the library do a platform erase, in the order of its console.
func TestGoWsmanErases(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 16, DrivePassword: "pw"})
	m := gowsman(t, w)
	now, err := m.AMT.BootSettingData.Get()
	check(t, err)
	d := now.Body.BootSettingDataGetResponse
	if !d.RPEEnabled {
		t.Fatal("the BIOS does not let it")
	}
	_, err = m.CIM.BootService.RequestStateChange(32770)
	check(t, err)
	record := func(kind byte, value string) string {
		return "\x86\x80" + string([]byte{kind, 0, byte(len(value)), 0, 0, 0}) + value
	}
	params := record(1, "\x44\x00\x00\x00") + record(20, "pw") // SSDs and TPM
	_, err = m.AMT.BootSettingData.Put(amtboot.BootSettingDataRequest{ElementName: d.ElementName, InstanceID: d.InstanceID, OwningEntity: d.OwningEntity,
		PlatformErase: true, UefiBootNumberOfParams: 2, UefiBootParametersArray: base64.StdEncoding.EncodeToString([]byte(params))})
	check(t, err)
	_, err = m.CIM.BootService.SetBootConfigRole("Intel(r) AMT: Boot Configuration 0", 1)
	check(t, err)
	_, err = m.CIM.PowerManagementService.RequestPowerStateChange(power.PowerOn)
	check(t, err)
	w.wait(t, "erased", func(p *pc.PC) bool { return p.Erased() == pc.Erased{Disk: true, TPM: true} })
}

// TestGoWsmanReadsErase has our command erase, and the library read the result.
func TestGoWsmanReadsErase(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 16})
	m := gowsman(t, w)
	ourCommand(t, w, "erase", w.Address, "--part", "ssd,nvm", "--yes", w.Address)
	if got, want := w.PC.Erased(), (pc.Erased{Disk: true, NVM: true}); got != want {
		t.Errorf("erased %+v, want %+v", got, want)
	}
	now, err := m.AMT.BootSettingData.Get()
	check(t, err)
	d := now.Body.BootSettingDataGetResponse
	if len(d.BIOSLastStatus) != 2 || d.BIOSLastStatus[0] != 0 || !d.OptionsCleared || d.PlatformErase {
		t.Errorf("the library reads %+v", d)
	}
}
