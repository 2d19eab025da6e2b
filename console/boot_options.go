package console

import (
	"errors"
	"fmt"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// BootAsSetUp boots what the BIOS would boot anyway, with the options of the request.
const BootAsSetUp BootDevice = "as-set-up"

// A Verbosity is how much the BIOS shows while it starts.
type Verbosity string

// The verbosities.
const (
	VerbosityDefault Verbosity = ""
	VerbosityQuiet   Verbosity = "quiet"
	VerbosityVerbose Verbosity = "verbose"
	VerbosityBlank   Verbosity = "blank" // screen
)

// BootOptions are what else is special about one boot. The zero value is nothing. Which of them a machine has its BIOS
// tells, in AMT_BootCapabilities. Source: spec power-and-boot.md section 4.3.
type BootOptions struct {
	Pause          bool // wait for a key before starting
	Reflash        bool // write the BIOS anew
	ResetBIOS      bool // settings of the BIOS as in the factory
	BypassPassword bool // do not ask for the user password of the BIOS
	ProgressEvents bool // log all progress of the BIOS

	LockPower, LockReset, LockSleep, LockKeyboard bool // until the next boot

	Verbosity  Verbosity
	SecureBoot *bool // of redirected and recovery boots: enforce it or not; nil: as it is
}

// check refuses what the machine cannot do, before anything is changed. It names all that is missing.
func (o *BootOptions) check(v *bootView) error {
	var missing []string
	for _, need := range []struct {
		asked bool
		can   *bool
		name  string
		what  string
	}{
		{o.Pause, v.caps.BIOSPause, "BIOSPause", "a pause"},
		{o.Reflash, v.caps.BIOSReflash, "BIOSReflash", "reflashing"},
		{o.ResetBIOS, v.caps.ConfigurationDataReset, "ConfigurationDataReset", "resetting its settings"},
		{o.BypassPassword, v.caps.UserPasswordBypass, "UserPasswordBypass", "going past its user password"},
		{o.ProgressEvents, v.caps.ForcedProgressEvents, "ForcedProgressEvents", "events of all progress"},
		{o.LockPower, v.caps.PowerButtonLock, "PowerButtonLock", "locking the power button"},
		{o.LockReset, v.caps.ResetButtonLock, "ResetButtonLock", "locking the reset button"},
		{o.LockSleep, v.caps.SleepButtonLock, "SleepButtonLock", "locking the sleep button"},
		{o.LockKeyboard, v.caps.KeyboardLock, "KeyboardLock", "locking the keyboard"},
		{o.Verbosity == VerbosityQuiet, v.caps.VerbosityQuiet, "VerbosityQuiet", "a quiet start"},
		{o.Verbosity == VerbosityVerbose, v.caps.VerbosityVerbose, "VerbosityVerbose", "a verbose start"},
		{o.Verbosity == VerbosityBlank, v.caps.VerbosityScreenBlank, "VerbosityScreenBlank", "a blank screen"},
		{o.SecureBoot != nil, v.caps.BIOSSecureBoot, "BIOSSecureBoot", "control of secure boot"},
	} {
		if need.asked && !class.Value(need.can) {
			missing = append(missing, fmt.Sprintf("%s (AMT_BootCapabilities.%s)", need.what, need.name))
		}
	}
	if missing != nil {
		return fmt.Errorf("%w: the BIOS does not support %s", ErrUnsupported, strings.Join(missing, ", "))
	}
	if o.SecureBoot != nil && v.options.EnforceSecureBoot == nil { // what the BIOS could do is of no use then
		return fmt.Errorf("%w: this release has no control of secure boot (AMT_BootSettingData.EnforceSecureBoot)", ErrUnsupported)
	}
	switch o.Verbosity {
	case VerbosityDefault, VerbosityQuiet, VerbosityVerbose, VerbosityBlank:
	default:
		return fmt.Errorf("%w: verbosity %q is none of quiet, verbose, blank", ErrUsage, o.Verbosity)
	}
	if control := v.options.SecureBootControlEnabled; o.SecureBoot != nil && !*o.SecureBoot && control != nil && !*control {
		return fmt.Errorf("%w: the BIOS does not let AMT boot without secure boot (SecureBootControlEnabled)", ErrNotOffered)
	}
	return nil
}

// apply writes the options into what is to be sent.
func (o *BootOptions) apply(out *amt.BootSettingData) {
	for _, flag := range []struct {
		on  bool
		set **bool
	}{
		{o.Pause, &out.BIOSPause}, {o.Reflash, &out.ReflashBIOS}, {o.ResetBIOS, &out.ConfigurationDataReset},
		{o.BypassPassword, &out.UserPasswordBypass}, {o.ProgressEvents, &out.ForcedProgressEvents}, {o.LockPower, &out.LockPowerButton},
		{o.LockReset, &out.LockResetButton}, {o.LockSleep, &out.LockSleepButton}, {o.LockKeyboard, &out.LockKeyboard},
	} {
		if flag.on {
			*flag.set = new(true)
		}
	}
	switch o.Verbosity {
	case VerbosityQuiet:
		out.FirmwareVerbosity = new(amt.BootSettingDataFirmwareVerbosity(1))
	case VerbosityVerbose:
		out.FirmwareVerbosity = new(amt.BootSettingDataFirmwareVerbosity(2))
	case VerbosityBlank:
		out.FirmwareVerbosity = new(amt.BootSettingDataFirmwareVerbosity(3))
	}
	if o.SecureBoot != nil {
		out.EnforceSecureBoot = new(*o.SecureBoot)
	}
}

// ParseLocks reads which of power, reset, sleep and keyboard are to be locked; "all" is every one. Errors wrap
// [ErrUsage].
func (o *BootOptions) ParseLocks(words []string) error {
	for _, word := range words {
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "power":
			o.LockPower = true
		case "reset":
			o.LockReset = true
		case "sleep":
			o.LockSleep = true
		case "keyboard":
			o.LockKeyboard = true
		case "all":
			o.LockPower, o.LockReset, o.LockSleep, o.LockKeyboard = true, true, true, true
		default:
			return fmt.Errorf("%w: lock %q is none of power, reset, sleep, keyboard, all", ErrUsage, word)
		}
	}
	return nil
}

// errNoDrivePassword is a password that AMT cannot carry.
var errNoDrivePassword = errors.New("the password of a drive has 1 to 32 printable ASCII characters")

// checkDrivePassword holds the password of a drive against what AMT can carry; it is not told.
func checkDrivePassword(password string) error {
	if len(password) > 32 || strings.IndexFunc(password, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return fmt.Errorf("%w: %v", ErrUsage, errNoDrivePassword)
	}
	return nil
}
