package firmware

import (
	"context"
	"errors"
	"fmt"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/tlv"
)

// A Platform is the PC around the management engine, as far as power goes. What else a PC may have (a screen, a standby
// mode) are interfaces of their own, which the firmware looks for by type assertion.
//
// No method waits for a transition. Functions that the firmware hands over are called from goroutines of the platform,
// never from inside a call of one of these methods, and with no lock held that these methods take. All methods are safe
// for concurrent use.
type Platform interface {
	// Power returns the state as it is now.
	Power() Sx

	// Do forces a transition, as the chipset does, and returns when it has begun. plan is asked once, when the boot
	// begins that follows, after [EventBoot], and never if none does. An error means that nothing has been done.
	Do(ctx context.Context, action Action, plan Plan) error

	// Ask passes a wish on to the operating system through the agent, and returns when the agent has it. What comes of it
	// is the operating system's business. plan is as in Do. Without an agent the error is [ErrNoAgent].
	Ask(ctx context.Context, wish Wish, plan Plan) error

	// Agent reports whether the management agent (LMS) of the operating system is connected.
	Agent() bool

	// Watch has f called with each event, in order, until cancel is called.
	Watch(f func(Event)) (cancel func())
}

// ErrNoAgent is what [Platform.Ask] says when nobody is there to pass a wish on.
var ErrNoAgent = errors.New("no agent in the operating system")

// An Sx is an ACPI sleep state.
type Sx uint8

// The states. The numbers are ACPI's, and those of the old SOAP interface.
const (
	S0 Sx = 0 // on
	S3 Sx = 3 // asleep, memory powered
	S4 Sx = 4 // hibernated
	S5 Sx = 5 // off
	G3 Sx = 7 // no power at all: the engine is gone as well
)

func (s Sx) String() string {
	switch s {
	case S0, S3, S4, S5:
		return "S" + string(rune('0'+s))
	case G3:
		return "G3"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// CIM returns the state as CIM_AssociatedPowerManagementService reports it. Off is "off - soft".
func (s Sx) CIM() cim.PowerState {
	switch s {
	case S0:
		return cim.PowerStateOn
	case S3:
		return cim.PowerStateSleepDeep
	case S4:
		return cim.PowerStateHibernate
	}
	return cim.PowerStateOffSoft
}

// An Action is what the chipset can do to a PC whether its operating system likes it or not.
type Action uint8

// The actions.
const (
	PowerUp   Action = 1 // S3: resume; S4, S5: boot
	PowerDown Action = 2 // to S5
	Cycle     Action = 3 // to S5, and boot after a second or more
	Reset     Action = 4 // master bus reset: boot without leaving S0
	NMI       Action = 5 // interrupt the processors
)

func (a Action) String() string {
	switch a {
	case PowerUp:
		return "power up"
	case PowerDown:
		return "power down"
	case Cycle:
		return "power cycle"
	case Reset:
		return "reset"
	case NMI:
		return "diagnostic interrupt"
	}
	return fmt.Sprintf("unknown (%d)", uint8(a))
}

// A Wish is what the operating system can be asked for. The numbers are those of the first message argument of event
// iAMT0067, which carries it to the agent. Source: intel/lms CimToEventTranslator.cpp.
type Wish uint8

// The wishes.
const (
	WishShutDown  Wish = 0
	WishReboot    Wish = 1
	WishSleep     Wish = 2
	WishHibernate Wish = 3
)

func (w Wish) String() string {
	switch w {
	case WishShutDown:
		return "shut down"
	case WishReboot:
		return "reboot"
	case WishSleep:
		return "sleep"
	case WishHibernate:
		return "hibernate"
	}
	return fmt.Sprintf("unknown (%d)", uint8(w))
}

// A Plan tells the BIOS how a boot is to go: the BIOS asks the engine early in its self-test. The zero BootPlan is an
// ordinary boot. A nil Plan is as good as one that returns it.
type Plan func() BootPlan

// A BootSource is where a boot is to come from.
type BootSource uint8

// The sources.
const (
	BootDefault    BootSource = 0 // as the BIOS setup says
	BootDisk       BootSource = 1
	BootPXE        BootSource = 2
	BootCD         BootSource = 3
	BootDiagnostic BootSource = 4
	BootIDERFloppy BootSource = 5 // redirected
	BootIDERCD     BootSource = 6 // redirected
	BootHTTPS      BootSource = 7 // recovery boot; the URL is in Params
	BootLocalApp   BootSource = 8 // recovery boot of an entry that the BIOS registered (WinRE, PBA); Option says which
)

func (s BootSource) String() string {
	switch s {
	case BootDefault:
		return "default"
	case BootDisk:
		return "disk"
	case BootPXE:
		return "PXE"
	case BootCD:
		return "CD/DVD"
	case BootDiagnostic:
		return "diagnostic"
	case BootIDERFloppy:
		return "redirected floppy"
	case BootIDERCD:
		return "redirected CD"
	case BootHTTPS:
		return "HTTPS"
	case BootLocalApp:
		return "local boot option"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// A BootPlan is what one boot is to be like. Fields mean what the properties of AMT_BootSettingData of like names mean.
type BootPlan struct {
	Source BootSource
	Medium uint16 // BootMediaIndex: 1 primary, 2 secondary drive; 0 default
	Option uint8  // with BootLocalApp: 1..10
	Params []tlv.Param

	Setup          bool // stop in the BIOS setup
	Pause          bool // wait for a key first
	SafeMode       bool
	SOL            bool // text console to the serial port
	Reflash        bool
	BypassPassword bool
	ResetConfig    bool
	SecureBoot     bool // may not be switched off for redirected and recovery boots
	ProgressEvents bool
	Verbosity      uint8 // 0 default, 1 quiet, 2 verbose, 3 blank screen

	LockPower, LockReset, LockKeyboard, LockSleep bool // until the next boot

	SecureErase   bool
	ErasePassword Secret // of the drive
	PlatformErase bool
}

// A Secret does not print as what it is.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "secret"
}

// An EventKind says what has happened to a PC.
type EventKind uint8

// The kinds of event.
const (
	EventPower     EventKind = 1 // Power has changed
	EventBoot      EventKind = 2 // a boot has begun: the BIOS is at work
	EventBooted    EventKind = 3 // the BIOS is done, for better or worse; Boot says what it did
	EventOSUp      EventKind = 4
	EventOSDown    EventKind = 5
	EventAgentUp   EventKind = 6
	EventAgentDown EventKind = 7
	EventNMI       EventKind = 8
	EventSetup     EventKind = 9  // after EventBooted: the BIOS setup was entered
	EventHandover  EventKind = 10 // after EventBooted: the BIOS starts an operating system
	EventNoMedium  EventKind = 11 // after EventBooted: there was nothing to boot from
)

func (k EventKind) String() string {
	switch k {
	case EventPower:
		return "power"
	case EventBoot:
		return "boot"
	case EventBooted:
		return "booted"
	case EventOSUp:
		return "OS up"
	case EventOSDown:
		return "OS down"
	case EventAgentUp:
		return "agent up"
	case EventAgentDown:
		return "agent down"
	case EventNMI:
		return "NMI"
	case EventSetup:
		return "setup"
	case EventHandover:
		return "handover"
	case EventNoMedium:
		return "no medium"
	}
	return fmt.Sprintf("unknown (%d)", uint8(k))
}

// An Event is something that happened to a PC.
type Event struct {
	Kind  EventKind
	Power Sx // after it
	Was   Sx // EventPower and EventBoot: the sleep state before
	Boot  BootResult
}

// A BootResult is what the BIOS reports at the end of its work. It becomes BIOSLastStatus.
type BootResult struct {
	Status uint16 // 0 success, 0xFFFF failed
	Error  uint16 // 0 none, 1 drive failure, 2 password wrong, 3 not supported
}

// A Standby is a [Platform] that may have Connected or Modern Standby: its operating system saves power in S0, and it
// does not know S3. Where it has, it accepts neither sleep nor hibernation.
type Standby interface {
	HasStandby() bool
	Saving() bool                                     // the operating system is saving power
	SetSaving(ctx context.Context, saving bool) error // ask it to, or to wake up; an error says that it cannot
}

// A Wisher is a [Platform] whose agent takes some wishes only. One that is no Wisher takes them all.
type Wisher interface {
	Takes(wish Wish) bool // ever; Agent tells whether it can now
}

// A CodeScreen is a [Platform] with a screen that the engine can draw the user consent code on.
type CodeScreen interface {
	ShowCode(code string) // six digits
	HideCode()
}

// A PowerHook is asked before each change of power that a client requests and that is possible. A non-zero status
// refuses it, blocking delays it. It must be safe for concurrent use.
type PowerHook func(ctx context.Context, want cim.PowerState) status.Status
