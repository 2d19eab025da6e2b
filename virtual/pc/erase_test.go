package pc

import (
	"testing"
	"testing/synctest"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/tlv"
)

// erasing is a plan with the parameters of a platform erase.
func erasing(set firmware.EraseSet, psid, password string) firmware.BootPlan {
	return firmware.BootPlan{PlatformErase: true, Params: []tlv.Param{
		tlv.DWord(tlv.EraseMask, uint32(set)), tlv.Text(tlv.ErasePSID, psid), tlv.Text(tlv.ErasePassword, password)}}
}

// An erase takes away what it is to, or nothing.
func TestErase(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		plan firmware.BootPlan
		log  string
		want Erased
	}{
		{"all", Options{}, erasing(firmware.EraseSSD|firmware.EraseTPM|firmware.EraseNVM|firmware.EraseGolden, "", ""), "booted 0 0", Erased{true, true, true, true}},
		{"TPM alone", Options{}, erasing(firmware.EraseTPM, "", ""), "booted 0 0", Erased{TPM: true}},
		{"SSD with a password", Options{Password: "x"}, erasing(firmware.EraseSSD, "", "x"), "booted 0 0", Erased{Disk: true}},
		{"a wrong password spares the TPM too", Options{Password: "x"}, erasing(firmware.EraseSSD|firmware.EraseTPM, "", "y"), "booted 65535 2", Erased{}},
		{"pyrite", Options{PSID: "P"}, erasing(firmware.ErasePyrite, "P", ""), "booted 0 0", Erased{Disk: true}},
		{"another PSID", Options{PSID: "P"}, erasing(firmware.ErasePyrite, "Q", ""), "booted 65535 2", Erased{}},
		{"a drive without a PSID", Options{}, erasing(firmware.ErasePyrite, "", ""), "booted 65535 2", Erased{}},
		{"no drive", Options{NoDisk: true}, erasing(firmware.EraseSSD, "", ""), "booted 65535 3", Erased{}},
		{"nothing of an OEM's", Options{}, erasing(firmware.EraseOEM|firmware.EraseTPM, "", ""), "booted 65535 3", Erased{}},
		{"secure erase", Options{}, firmware.BootPlan{SecureErase: true}, "booted 0 0", Erased{Disk: true}},
		{"nothing asked for", Options{}, firmware.BootPlan{}, "booted 0 0", Erased{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tt.o)
				if err := b.Do(t.Context(), firmware.PowerUp, func() firmware.BootPlan { return tt.plan }); err != nil {
					t.Fatal(err)
				}
				log := b.settle()
				found := false
				for _, line := range log {
					found = found || line == tt.log
				}
				if !found {
					t.Errorf("no %q in %q", tt.log, log)
				}
				if got := b.Erased(); got != tt.want {
					t.Errorf("erased %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}
