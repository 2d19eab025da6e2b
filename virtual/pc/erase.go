package pc

import "github.com/outband/outband/virtual/firmware"

// Erased is what was taken away from a PC for good.
type Erased struct {
	Disk   bool // the drive is empty
	TPM    bool // cleared
	NVM    bool // the variables of the BIOS are cleared
	Golden bool // the BIOS has its golden configuration
}

// Erased returns what was taken away so far.
func (p *PC) Erased() Erased {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.erased
}

// erase does what a plan says, or nothing at all if a part of it cannot be done. mu is held.
func (p *PC) erase(b *firmware.BootPlan) firmware.BootResult {
	set := b.EraseSet()
	if b.SecureErase || b.PlatformErase && set == 0 { // without parameters it is the drive
		set |= firmware.EraseSSD
	}
	failed := func(reason uint16) firmware.BootResult {
		return firmware.BootResult{Status: statusFailed, Error: reason}
	}
	drive := set&(firmware.EraseSSD|firmware.ErasePyrite|firmware.EraseVerify) != 0
	switch {
	case set == 0:
		return firmware.BootResult{}
	case drive && !p.media[firmware.BootDisk]:
		return failed(errorNotSupported)
	case set&firmware.EraseSSD != 0 && b.DrivePassword() != firmware.Secret(p.o.Password):
		return failed(errorPasswordWrong)
	case set&firmware.ErasePyrite != 0 && (p.o.PSID == "" || b.PSID() != firmware.Secret(p.o.PSID)):
		return failed(errorPasswordWrong)
	case set&firmware.EraseOEM != 0:
		return failed(errorNotSupported)
	}
	if set&(firmware.EraseSSD|firmware.ErasePyrite) != 0 {
		p.media[firmware.BootDisk], p.erased.Disk = false, true
	}
	p.erased.TPM = p.erased.TPM || set&firmware.EraseTPM != 0
	p.erased.NVM = p.erased.NVM || set&firmware.EraseNVM != 0
	p.erased.Golden = p.erased.Golden || set&firmware.EraseGolden != 0
	return firmware.BootResult{}
}
