package firmware

import (
	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/tlv"
	"github.com/outband/outband/wire/wsman"
)

// An EraseSet is what a platform erase is to take away: the bits of AMT_BootCapabilities.PlatformErase. Source: spec
// power-and-boot.md section 6.2.
type EraseSet uint32

// The bits. What the PC has is erased by its BIOS; the engine unconfigures itself.
const (
	ErasePyrite      EraseSet = 1 << 1  // revert the drive to its factory state, by its PSID
	EraseSSD         EraseSet = 1 << 2  // secure erase of all SSDs
	EraseVerify      EraseSet = 1 << 3  // read afterwards that they are empty
	EraseTPM         EraseSet = 1 << 6  // clear the TPM
	EraseOEM         EraseSet = 1 << 16 // what the OEM has made
	EraseNVM         EraseSet = 1 << 25 // clear the variables of the BIOS
	EraseGolden      EraseSet = 1 << 26 // reload the BIOS's golden configuration
	EraseUnconfigure EraseSet = 1 << 31 // unconfigure the engine
)

// EraseSet returns what is to be erased: 0 if nothing is, or if the parameters do not say.
func (b *BootPlan) EraseSet() EraseSet {
	p, _ := tlv.Find(b.Params, tlv.EraseMask)
	if set, ok := p.DWord(); ok && b.PlatformErase {
		return EraseSet(set)
	}
	return 0
}

// PSID returns the PSID that a Pyrite revert is to be done with.
func (b *BootPlan) PSID() Secret {
	p, _ := tlv.Find(b.Params, tlv.ErasePSID)
	return Secret(p.Value)
}

// DrivePassword returns the password for erasing a drive, from wherever the plan has it.
func (b *BootPlan) DrivePassword() Secret {
	if p, ok := tlv.Find(b.Params, tlv.ErasePassword); ok && b.PlatformErase {
		return Secret(p.Value)
	}
	return b.ErasePassword
}

// goodErase reports whether the BIOS can do all that the parameters of an erase ask for.
func goodErase(d *amt.BootSettingData, c *amt.BootCapabilities) bool {
	params, err := tlv.Parse(d.UefiBootParametersArray)
	if err != nil {
		return false
	}
	plan := BootPlan{PlatformErase: class.Value(d.PlatformErase), Params: params}
	return plan.EraseSet()&^EraseSet(class.Value(c.PlatformErase)) == 0
}

// Events of an erase: octets of the record after [ownEvent] and [ownErase]. Source: spec inventory-events-policies.md
// section 2.3.
const (
	eraseOffset   = 5
	eraseStarted  = 1
	eraseFinished = 2
	eraseBegins   = 3

	eraseOfSSD    = 2
	eraseOfTPM    = 3
	eraseOfGolden = 5
)

// erased does the engine's part of an erase that the BIOS is done with, and logs how it went.
func (m *Machine) erased(set EraseSet, r BootResult) {
	tell := func(data ...byte) {
		m.bios(eventlog.Firmware, eraseOffset, eventlog.Monitor, append([]byte{ownEvent, ownErase}, data...)...)
	}
	tell(eraseBegins)
	if r.Status != 0 {
		return // why is logged by [Machine.logPlatform]
	}
	for _, part := range []struct {
		bits EraseSet
		code byte
	}{{EraseSSD | ErasePyrite, eraseOfSSD}, {EraseTPM, eraseOfTPM}, {EraseGolden, eraseOfGolden}} {
		if set&part.bits != 0 {
			tell(eraseStarted, part.code)
			tell(eraseFinished, part.code)
		}
	}
	if set&EraseUnconfigure != 0 {
		m.Unprovision()
	}
}

// SetCapability says what AMT_BootCapabilities is to say of the PC's BIOS: a property and its value.
func (m *Machine) SetCapability(property, value string) {
	m.changeOne("AMT_BootCapabilities", func(e *wsman.Element) { set(e, property, value) })
}
