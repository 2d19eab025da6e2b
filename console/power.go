package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// Power is a power state, as read or as asked for. Source: DSP1027; spec power-and-boot.md section 1.
type Power = cim.PowerState

// The power states. Which can be read and which can be asked for differs.
const (
	PowerOn              Power = 2  // S0; a PC in modern standby reads so too
	PowerSleepLight      Power = 3  // S1, S2
	PowerSleepDeep       Power = 4  // S3
	PowerCycleSoft       Power = 5  // request: off and on again
	PowerOffHard         Power = 6  // rarely read
	PowerHibernate       Power = 7  // S4
	PowerOff             Power = 8  // S5, what a machine that is off reads; as a request it is forced
	PowerCycleHard       Power = 9  // request
	PowerReset           Power = 10 // request: reset, power stays on
	PowerNMI             Power = 11 // request: diagnostic interrupt
	PowerOffGraceful     Power = 12 // request: through the operating system
	PowerOffHardGraceful Power = 13
	PowerResetGraceful   Power = 14 // request: through the operating system
)

// IsOff reports whether a machine that reads so is off.
func IsOff(p Power) bool {
	return p == PowerOff || p == PowerOffHard || p == PowerOffGraceful || p == PowerOffHardGraceful
}

// IsAsleep reports whether a machine that reads so sleeps or hibernates: it will go on where it was.
func IsAsleep(p Power) bool {
	return p == PowerSleepLight || p == PowerSleepDeep || p == PowerHibernate
}

// PowerInfo is what a machine says about its power.
type PowerInfo struct {
	State     Power   `json:"state"`
	Requested Power   `json:"requested,omitempty"` // last request; 0: not told
	Available []Power `json:"available,omitempty"` // requests that are accepted now; nil: not told, as by older firmware

	// OSPowerSaving tells whether the operating system is in modern standby: 2 full power, 3 saving; 0 or 1: not told.
	OSPowerSaving ips.OSPowerSavingState `json:"osPowerSaving,omitempty"`
}

// Power reads the power state. It takes two requests, one on firmware before 10.0.
func (c *Client) Power(ctx context.Context) (PowerInfo, error) {
	var info PowerInfo
	err := together(
		func() (err error) {
			info2, err := c.powerState(ctx)
			info.State, info.Requested, info.Available = info2.State, info2.Requested, info2.Available
			return err
		},
		func() error {
			saving, err := ask[ips.PowerManagementService](ctx, c)
			if err == nil && saving != nil && saving.OSPowerSavingState != nil {
				info.OSPowerSaving = *saving.OSPowerSavingState
			}
			return err
		})
	if err != nil {
		return PowerInfo{}, fmt.Errorf("read power state: %w", err)
	}
	return info, nil
}

// powerState reads all but the standby, in one request.
func (c *Client) powerState(ctx context.Context) (PowerInfo, error) {
	got, err := class.Get[cim.AssociatedPowerManagementService](ctx, c)
	if err != nil {
		return PowerInfo{}, err
	}
	if got.PowerState == nil {
		return PowerInfo{}, errors.New("the machine does not tell its power state")
	}
	info := PowerInfo{State: *got.PowerState, Available: got.AvailableRequestedPowerStates}
	if got.RequestedPowerState != nil {
		info.Requested = *got.RequestedPowerState
	}
	return info, nil
}

// SetPower asks for a power state and returns when the firmware has said yes or no. It does not look first, and does
// not wait until the state is reached; [Client.Act] does. A refusal wraps a [*status.Error].
func (c *Client) SetPower(ctx context.Context, want Power) error {
	in := cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(want), ManagedElement: new(managedSystem)}
	if _, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(ctx, c, in); err != nil {
		return fmt.Errorf("set power to %v: %w", want, err)
	}
	return nil
}

// managedSystem is the PC, as opposed to AMT itself.
var managedSystem = wsman.Ref("CIM_ComputerSystem", "CreationClassName", "CIM_ComputerSystem", "Name", "ManagedSystem")

// wake asks the operating system to leave standby.
func (c *Client) wake(ctx context.Context) error {
	in := ips.PowerManagementServiceRequestOSPowerSavingStateChangeIn{OSPowerSavingState: new(osFullPower), ManagedElement: new(managedSystem)}
	_, err := ips.PowerManagementServiceRequestOSPowerSavingStateChange.Invoke(ctx, c, in)
	return err
}

const (
	osFullPower ips.OSPowerSavingState = 2
	osSaving    ips.OSPowerSavingState = 3
)

// pollFirst and pollMost bound the pauses between two looks at a machine that is changing.
const (
	pollFirst = 500 * time.Millisecond
	pollMost  = 3 * time.Second
)

// WaitPower looks at the machine until see returns true, first every poll (0: half a second), then less and less
// often, down to once in three seconds or in poll if that is longer. A machine that cannot be reached for a while is
// looked at again. It ends with the context; [PowerInfo] is what was seen last.
func (c *Client) WaitPower(ctx context.Context, poll time.Duration, see func(PowerInfo) bool) (PowerInfo, error) {
	pause := poll
	if pause <= 0 {
		pause = pollFirst
	}
	most := max(pause, pollMost)
	var last PowerInfo
	var trouble error
	for {
		info, err := c.powerState(ctx)
		switch {
		case err == nil:
			last, trouble = info, nil
			if see(info) {
				return info, nil
			}
		case !passes(err):
			return last, fmt.Errorf("read power state: %w", err)
		default:
			trouble = err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			err := fmt.Errorf("%w: the machine reads %v", ErrNotReached, last.State)
			switch {
			case errors.Is(ctx.Err(), context.Canceled):
				err = context.Cause(ctx)
			case trouble != nil && last.State == 0:
				err = fmt.Errorf("%w: %w", ErrNotReached, trouble)
			}
			return last, err
		}
		pause = min(pause*3/2, most)
	}
}

// passes reports whether an error of a mere reading may be gone a moment later: links go down and up when a machine
// is switched.
func passes(err error) bool {
	for _, lasting := range []error{ErrUnauthorized, ErrTrust, ErrUsage, ErrClosed, ErrHandshake, ErrMalformed, ErrTooLong, context.Canceled} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return !isAbsent(err) && !errors.Is(err, wsman.ErrAccessDenied)
}

// A Verb is what a person wants of the power.
type Verb string

// The verbs.
const (
	On        Verb = "on"       // also wakes from sleep, and an operating system from standby
	Off       Verb = "off"      // forced
	Cycle     Verb = "cycle"    // forced off, then on
	Reset     Verb = "reset"    // forced, power stays on
	SoftOff   Verb = "soft-off" // through the operating system, whose agent must run
	SoftReset Verb = "soft-reset"
	Sleep     Verb = "sleep"
	Hibernate Verb = "hibernate"
	NMI       Verb = "nmi" // diagnostic interrupt: the operating system may write a crash dump
)

// Verbs lists all verbs.
func Verbs() []Verb {
	return []Verb{On, Off, Cycle, Reset, SoftOff, SoftReset, Sleep, Hibernate, NMI}
}

// ParseVerb takes a verb, in any case, and the words other tools have for it. Errors wrap [ErrUsage].
func ParseVerb(word string) (Verb, error) {
	word = strings.ToLower(strings.ReplaceAll(word, "_", "-"))
	if v, ok := map[string]Verb{
		"poweron": On, "up": On, "powerup": On, "wake": On, "poweroff": Off, "down": Off, "powerdown": Off, "hard-off": Off,
		"powercycle": Cycle, "hard-reboot": Cycle, "reboot": Cycle, "hard-reset": Reset, "soft": SoftOff, "shutdown": SoftOff,
		"softoff": SoftOff, "softreset": SoftReset, "restart": SoftReset, "standby": Sleep, "suspend": Sleep, "diag": NMI,
	}[word]; ok {
		return v, nil
	}
	if v := Verb(word); slices.Contains(Verbs(), v) {
		return v, nil
	}
	return "", fmt.Errorf("%w: unknown power action %q", ErrUsage, word)
}

// A plan is how a verb is done.
type plan struct {
	ask     []Power          // what to request, best first
	done    func(Power) bool // the state that it leads to; nil if it leads back to on
	reboots bool             // the PC starts anew
	graced  bool             // goes through the operating system, which may not comply
	awake   bool             // only for a machine that is on
	wait    time.Duration    // for the state
}

func (v Verb) plan() (plan, bool) {
	asleep := func(p Power) bool { return p == PowerSleepDeep || p == PowerSleepLight }
	p, ok := map[Verb]plan{
		On:        {ask: []Power{PowerOn}, done: func(p Power) bool { return p == PowerOn }, wait: time.Minute},
		Off:       {ask: []Power{PowerOff, PowerOffHard}, done: IsOff, wait: time.Minute},
		Cycle:     {ask: []Power{PowerCycleSoft, PowerCycleHard}, reboots: true, awake: true, wait: time.Minute},
		Reset:     {ask: []Power{PowerReset}, reboots: true, awake: true, wait: time.Minute},
		SoftOff:   {ask: []Power{PowerOffGraceful, PowerOffHardGraceful}, done: IsOff, graced: true, awake: true, wait: 3 * time.Minute},
		SoftReset: {ask: []Power{PowerResetGraceful}, reboots: true, graced: true, awake: true, wait: 3 * time.Minute},
		Sleep:     {ask: []Power{PowerSleepDeep, PowerSleepLight}, done: asleep, graced: true, awake: true, wait: time.Minute},
		Hibernate: {ask: []Power{PowerHibernate}, done: func(p Power) bool { return p == PowerHibernate }, graced: true, awake: true, wait: 2 * time.Minute},
		NMI:       {ask: []Power{PowerNMI}, awake: true},
	}[v]
	return p, ok
}

// choose returns what to request of a machine in that state.
func (p plan) choose(v Verb, now PowerInfo, force bool) (Power, error) {
	if now.Available == nil || force {
		if p.awake && now.State != PowerOn && !force {
			return 0, &NotOfferedError{Verb: v, State: now.State, Offered: []Power{PowerOn}}
		}
		return p.ask[0], nil
	}
	for _, want := range p.ask {
		if slices.Contains(now.Available, want) {
			return want, nil
		}
	}
	return 0, &NotOfferedError{Verb: v, State: now.State, Offered: now.Available}
}

// A NotOfferedError says that the machine does not take a request in the state it is in. Nothing was sent. It matches
// [ErrNotOffered].
type NotOfferedError struct {
	Verb    Verb
	State   Power
	Offered []Power
}

func (e *NotOfferedError) Error() string {
	return fmt.Sprintf("power %s: %v: the machine is %s and offers %s", e.Verb, ErrNotOffered, stateWord(e.State), offers(e.Offered))
}

// Is matches [ErrNotOffered].
func (e *NotOfferedError) Is(target error) bool { return target == ErrNotOffered }

// offers names requests by their verbs.
func offers(states []Power) string {
	var words []string
	for _, s := range states {
		word := fmt.Sprint(s)
		for _, v := range Verbs() {
			if p, _ := v.plan(); slices.Contains(p.ask, s) {
				word = string(v)
			}
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// stateWord says what a machine that reads so is.
func stateWord(p Power) string {
	switch {
	case p == PowerOn:
		return "on"
	case IsOff(p):
		return "off"
	case p == PowerHibernate:
		return "hibernated"
	case IsAsleep(p):
		return "asleep"
	}
	return fmt.Sprint(p)
}

// notOfferedHint says why a request may be missing.
func notOfferedHint(err error) string {
	var e *NotOfferedError
	if !errors.As(err, &e) {
		return ""
	}
	p, _ := e.Verb.plan()
	switch {
	case e.State != PowerOn && p.awake:
		return "switch the machine on first"
	case p.graced:
		return "graceful actions need the agent (LMS) in a running operating system"
	case e.Verb == Off || e.Verb == Cycle:
		return "open KVM, SOL or IDE-R sessions forbid power off and cycle: close them, or reset"
	}
	return ""
}
