package soap

import (
	"fmt"

	"github.com/outband/outband/wire/wsman"
)

// Numbers of the organizations whose special commands and parameters a request speaks of.
const (
	IANAIntel uint32 = 343
	IANAASF   uint32 = 4542
)

// A Command of RemoteControl, numbered as in ASF 2.0.
type Command uint8

// The commands.
const (
	Reset          Command = 16
	PowerUp        Command = 17
	PowerDown      Command = 18
	PowerCycle     Command = 19
	SetBootOptions Command = 33 // and do nothing else; Intel's, so IANAIntel only
)

func (c Command) String() string {
	switch c {
	case Reset:
		return "reset"
	case PowerUp:
		return "power up"
	case PowerDown:
		return "power down"
	case PowerCycle:
		return "power cycle"
	case SetBootOptions:
		return "set boot options"
	}
	return fmt.Sprintf("unknown (%d)", uint8(c))
}

// A SpecialCommand says what the boot that follows is to use.
type SpecialCommand uint8

// The special commands.
const (
	NOP         SpecialCommand = 0
	ForcePXE    SpecialCommand = 1
	ForceHD     SpecialCommand = 2
	ForceHDSafe SpecialCommand = 3
	ForceDiag   SpecialCommand = 4
	ForceCD     SpecialCommand = 5
	IntelOEM    SpecialCommand = 193 // what, says SpecialCommandParameter; IANAIntel only
)

// Known reports whether AMT knows the special command.
func (c SpecialCommand) Known() bool { return c <= ForceCD || c == IntelOEM }

// Bits of SpecialCommandParameter with IntelOEM, and of OEMDefinedCapabilities.
const (
	OEMIDER    = 0x01 // as a parameter: boot from the redirected floppy
	OEMSOL     = 0x02 // as a capability only; see OEMUseSOL
	OEMReflash = 0x04
	OEMSetup   = 0x08
	OEMPause   = 0x10
	OEMIDERCD  = 0x0100 // with OEMIDER: boot from the redirected CD instead
)

// OEMUseSOL in OEMParameters redirects the text console of the boot that follows.
const OEMUseSOL = 1

// Bits of BootOptions and of SystemFirmwareCapabilities, by ASF 2.0.
const (
	OptionLockPower      = 0x0002
	OptionLockReset      = 0x0004
	OptionLockKeyboard   = 0x0020
	OptionLockSleep      = 0x0040
	OptionBypassPassword = 0x0800
	OptionProgressEvents = 0x1000
	OptionQuiet          = 0x2000 // with OptionVerbose: blank the screen
	OptionVerbose        = 0x4000
	OptionResetConfig    = 0x8000
)

// Bits of SpecialCommandsSupported, as amttool reads them.
const (
	CanPXE    = 0x0100
	CanHD     = 0x0200
	CanHDSafe = 0x0400
	CanDiag   = 0x0800
	CanCD     = 0x1000
)

// Bits of SystemCapabilitiesSupported. amttool tests 3 for power up and 4 for reset.
const (
	CanCycle     = 0x01
	CanPowerDown = 0x02
	CanPowerUp   = 0x04
	CanReset     = 0x08
)

// A RemoteControlRequest is the input of RemoteControl.RemoteControl. Boot parts act on this command's boot alone.
type RemoteControlRequest struct {
	Command       Command
	IANA          uint32
	Special       SpecialCommand
	SpecialParam  uint16
	BootOptions   uint16
	OEMParameters uint16
	HasOptions    bool // an optional parameter was there, be it zero; a power down must carry none
}

// Params returns the parameters in wire order; zero ones are left out.
func (r RemoteControlRequest) Params() []wsman.Element {
	space := RemoteControl.Space()
	out := []wsman.Element{
		numberElement(space, "Command", uint64(r.Command)),
		numberElement(space, "IanaOemNumber", uint64(r.IANA)),
	}
	for _, p := range []struct {
		name  string
		value uint64
	}{
		{"SpecialCommand", uint64(r.Special)},
		{"SpecialCommandParameter", uint64(r.SpecialParam)},
		{"BootOptions", uint64(r.BootOptions)},
		{"OEMparameters", uint64(r.OEMParameters)},
	} {
		if p.value != 0 {
			out = append(out, numberElement(space, p.name, p.value))
		}
	}
	return out
}

// ParseRemoteControl reads the parameters of a call. It says nothing about whether they make sense together. Errors wrap
// [ErrMessage].
func ParseRemoteControl(call *Call) (r RemoteControlRequest, err error) {
	if call.Param("Command") == nil || call.Param("IanaOemNumber") == nil {
		return r, fmt.Errorf("soap: %w: RemoteControl needs Command and IanaOemNumber", ErrMessage)
	}
	get := func(name string, bits int) uint64 {
		if err != nil {
			return 0
		}
		var n uint64
		n, err = number(call.Param(name), bits, 0)
		return n
	}
	r.Command = Command(get("Command", 8))
	r.IANA = uint32(get("IanaOemNumber", 32))
	r.Special = SpecialCommand(get("SpecialCommand", 8))
	r.SpecialParam = uint16(get("SpecialCommandParameter", 16))
	r.BootOptions = uint16(get("BootOptions", 16))
	r.OEMParameters = uint16(get("OEMparameters", 16))
	r.HasOptions = len(call.Params) > 2
	return r, err
}

// Capabilities is the output of RemoteControl.GetRemoteControlCapabilities.
type Capabilities struct {
	IANA     uint32 // whose the second word is: IANAIntel
	OEM      uint32 // OEM... bits
	Special  uint32 // Can... bits of boot sources
	System   uint32 // Can... bits of power
	Firmware uint32 // Option... bits
}

// Params returns the output parameters in wire order.
func (c Capabilities) Params() []wsman.Element {
	space := RemoteControl.Space()
	return []wsman.Element{
		numberElement(space, "IanaOemNumber", uint64(c.IANA)),
		numberElement(space, "OemDefinedCapabilities", uint64(c.OEM)),
		numberElement(space, "SpecialCommandsSupported", uint64(c.Special)),
		numberElement(space, "SystemCapabilitiesSupported", uint64(c.System)),
		numberElement(space, "SystemFirmwareCapabilities", uint64(c.Firmware)),
	}
}

func parseCapabilities(params []wsman.Element) (c Capabilities, err error) {
	if len(params) < 5 {
		return c, fmt.Errorf("soap: %w: %d capabilities of 5", ErrMessage, len(params))
	}
	for i, field := range []*uint32{&c.IANA, &c.OEM, &c.Special, &c.System, &c.Firmware} {
		n, err := number(&params[i], 32, 0)
		if err != nil {
			return c, err
		}
		*field = uint32(n)
	}
	return c, nil
}

// A SystemPowerState is the ACPI state as GetSystemPowerState gives it. Only the low four bits are the state; the rest
// differs by release.
type SystemPowerState uint32

// The states that AMT sends. Source: spec soap-eoi.md section 4.1.
const (
	S0     SystemPowerState = 0
	S1     SystemPowerState = 1
	S2     SystemPowerState = 2
	S3     SystemPowerState = 3
	S4     SystemPowerState = 4
	S5     SystemPowerState = 5 // soft off
	S4orS5 SystemPowerState = 6
	G3     SystemPowerState = 7 // mechanical off
)

func (s SystemPowerState) String() string {
	switch s & 0xf {
	case S0, S1, S2, S3, S4, S5:
		return "S" + string(rune('0'+s&0xf))
	case S4orS5:
		return "S4/S5"
	case G3:
		return "off"
	}
	return fmt.Sprintf("unknown (%d)", uint32(s))
}
