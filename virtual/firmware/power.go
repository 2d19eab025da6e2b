package firmware

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Return values of RequestPowerStateChange. Source: DSP1027; spec power-and-boot.md section 2.
const (
	powerAccepted     status.Status = 0
	powerNotSupported status.Status = 1 // by this platform, ever
	powerNotNow       status.Status = 2 // "unknown or unspecified error"; clients show "not ready"
	powerInvalid      status.Status = 5
	powerNoTimeout    status.Status = 4098
)

// busyAtMost is how long a transition may keep others out when nothing is heard of its end.
const busyAtMost = 3 * time.Second

// power is what the engine knows of the PC's power, beside the PC.
type power struct {
	mu       sync.Mutex // guards what follows
	kept     powerState
	busy     time.Time // until then a transition is under way; zero for none
	under    Action    // which
	sessions int       // of redirection

	unwatch func() // set once
}

// powerState is what outlives a restart.
type powerState struct {
	Requested cim.PowerState  `json:",omitempty"` // last; 0 for none yet
	Scheme    string          `json:",omitempty"` // InstanceID of the AMT_SystemPowerScheme in force, if it was set
	Reason    *hostBootReason `json:",omitempty"` // of the last boot, if there was one
}

func (p *power) dump() (json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == (powerState{}) {
		return nil, nil
	}
	return json.Marshal(&p.kept)
}

func (p *power) load(text json.RawMessage) error {
	var kept powerState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = kept
	return nil
}

// powerOf returns the state of the PC. An engine without one finds it on, always.
func (m *Machine) powerOf() Sx {
	if m.platform == nil {
		return S0
	}
	return m.platform.Power()
}

// beginSession notes that a redirection session (SOL, storage or KVM) has opened. While one is, the PC is not switched
// off. end notes that it has closed, and may be called more than once.
func (m *Machine) beginSession() (end func()) {
	m.power.mu.Lock()
	m.power.sessions++
	m.power.mu.Unlock()
	m.consent.inSession(m, true)
	return sync.OnceFunc(func() {
		m.power.mu.Lock()
		m.power.sessions--
		last := m.power.sessions == 0
		m.power.mu.Unlock()
		if last {
			m.consent.inSession(m, false)
		}
	})
}

// available returns which states may be asked for now, in the order that was recorded. Source: spec power-and-boot.md,
// table of section 2.
func (m *Machine) available() []cim.PowerState {
	if m.platform == nil {
		return nil
	}
	m.power.mu.Lock()
	session := m.power.sessions > 0
	m.power.mu.Unlock()
	var out []cim.PowerState
	switch m.platform.Power() {
	case S0:
		out = append(out, cim.PowerStateMasterBusReset)
		if !session {
			out = append(out, cim.PowerStateOffSoft, cim.PowerStateCycleSoft)
		}
		if m.profile.Before(9, 0) {
			break
		}
		out = append(out, cim.PowerStateNMI)
		if !m.platform.Agent() && !m.LMS() {
			break
		}
		if !m.hasStandby() {
			out = append(out, cim.PowerStateSleepDeep, cim.PowerStateHibernate)
		}
		out = append(out, cim.PowerStateMasterBusResetGraceful)
		if !session {
			out = append(out, cim.PowerStateOffSoftGraceful)
		}
		out = slices.DeleteFunc(out, func(s cim.PowerState) bool {
			action, wish := actionOf(s)
			return action == 0 && !m.agentTakes(wish) && !(m.LMS() && m.hostCan(s))
		})
	case S3:
		if session {
			return []cim.PowerState{cim.PowerStateOn, cim.PowerStateMasterBusReset}
		}
		return []cim.PowerState{cim.PowerStateOn, cim.PowerStateCycleSoft, cim.PowerStateOffSoft, cim.PowerStateMasterBusReset}
	case S4, S5:
		return []cim.PowerState{cim.PowerStateOn}
	}
	return out
}

// agentTakes reports whether the platform's own agent passes a wish on.
func (m *Machine) agentTakes(wish Wish) bool {
	if !m.platform.Agent() {
		return false
	}
	w, some := m.platform.(Wisher)
	return !some || w.Takes(wish)
}

// hostCan reports whether the program on the PC (LMS) has said that its operating system can go to a state. Source: spec
// lms.md section 8.
func (m *Machine) hostCan(s cim.PowerState) bool {
	e := m.one("CIM_PowerManagementCapabilities")
	if e == nil {
		return false
	}
	for v := range e.All("PowerStatesSupported") {
		if v.TrimText() == itoa(s) {
			return true
		}
	}
	return false
}

func (m *Machine) hasStandby() bool {
	s, ok := m.platform.(Standby)
	return ok && s.HasStandby()
}

// supports reports whether the platform can ever be asked for a state.
func (m *Machine) supports(want cim.PowerState) bool {
	switch want {
	case cim.PowerStateOn, cim.PowerStateCycleSoft, cim.PowerStateOffSoft, cim.PowerStateMasterBusReset:
		return true
	case cim.PowerStateNMI, cim.PowerStateOffSoftGraceful, cim.PowerStateMasterBusResetGraceful:
		return !m.profile.Before(9, 0)
	case cim.PowerStateSleepDeep, cim.PowerStateHibernate:
		return !m.profile.Before(9, 0) && !m.hasStandby()
	}
	return false
}

// requestPower carries out a request for a power state and returns the value of RequestPowerStateChange. plan is for the
// boot that follows, if any.
func (m *Machine) requestPower(ctx context.Context, want cim.PowerState, plan Plan) status.Status {
	if want == cim.PowerStateCycleHard {
		want = cim.PowerStateCycleSoft // one console means this; spec power-and-boot.md section 6.3
	}
	switch {
	case want < cim.PowerStateOn || want > cim.PowerStateINIT:
		return powerInvalid
	case !m.supports(want):
		return powerNotSupported
	case m.platform == nil || !slices.Contains(m.available(), want):
		return powerNotNow
	}
	action, wish := actionOf(want)
	if !m.power.claim(action) {
		return powerNotNow
	}
	if m.hooks.OnPower != nil {
		if code := m.hooks.OnPower(ctx, want); code != status.Success {
			m.power.release()
			return code
		}
	}
	var err error
	if action != 0 {
		err = m.platform.Do(ctx, action, plan)
	} else {
		err = m.askHost(ctx, wish, plan)
	}
	if err != nil {
		m.log.DebugContext(ctx, "power request refused by the platform", "want", want, "error", err)
		m.power.release()
		return powerNotNow
	}
	if action == 0 || action == NMI {
		m.power.release() // what comes of it, and when, nobody knows
	}
	m.power.mu.Lock()
	m.power.kept.Requested = want
	m.power.mu.Unlock()
	return powerAccepted
}

// actionOf returns what a request comes down to: an action, or, if that is 0, a wish.
func actionOf(want cim.PowerState) (Action, Wish) {
	switch want {
	case cim.PowerStateOn:
		return PowerUp, 0
	case cim.PowerStateCycleSoft:
		return Cycle, 0
	case cim.PowerStateOffSoft:
		return PowerDown, 0
	case cim.PowerStateMasterBusReset:
		return Reset, 0
	case cim.PowerStateNMI:
		return NMI, 0
	case cim.PowerStateSleepDeep:
		return 0, WishSleep
	case cim.PowerStateHibernate:
		return 0, WishHibernate
	case cim.PowerStateMasterBusResetGraceful:
		return 0, WishReboot
	}
	return 0, WishShutDown
}

// claim begins a transition, unless one is under way.
func (p *power) claim(action Action) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.busy) {
		return false
	}
	p.busy, p.under = now.Add(busyAtMost), action
	return true
}

// release ends it.
func (p *power) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = time.Time{}
}

// onPlatform hears what happens to the PC.
func (m *Machine) onPlatform(e Event) {
	m.logPlatform(e)
	m.redirection.onPlatform(m.platform, e)
	m.agents.onPlatform(m, e)
	m.defense.onPlatform(e)
	m.me.onPlatform(m, e)
	m.power.mu.Lock()
	under := m.power.under
	m.power.mu.Unlock()
	switch e.Kind {
	case EventBoot:
		m.lookAtKey()
		m.noteBoot(hostBootReason{Previous: uint32(e.Was)}) // the plan, if it is asked, knows better
	case EventBooted:
		m.boot.booted(m, e.Boot)
		m.power.release()
	case EventPower:
		if e.Power != S0 && under == PowerDown || e.Was == S3 && under == PowerUp {
			m.power.release()
		}
		m.consent.power(m, e.Power)
		m.engineSlept()
	}
}

// registerPower gives the classes around power their life.
func registerPower(t *table) {
	t.class("CIM_AssociatedPowerManagementService").patch = func(m *Machine, e *wsman.Element) {
		set(e, "PowerState", itoa(m.powerOf().CIM()))
		m.power.mu.Lock()
		requested := m.power.kept.Requested
		m.power.mu.Unlock()
		if requested != 0 {
			set(e, "RequestedPowerState", itoa(requested))
		}
		var values []string
		if m.profile.PowerStates {
			for _, s := range m.available() {
				values = append(values, itoa(s))
			}
		}
		set(e, "AvailableRequestedPowerStates", values...)
	}
	class.Handle(&t.methods, cim.PowerManagementServiceRequestPowerStateChange, requestPowerStateChange)

	t.class("IPS_PowerManagementService").patch = func(m *Machine, e *wsman.Element) {
		set(e, "OSPowerSavingState", itoa(m.powerSaving()))
	}
	class.Handle(&t.methods, ips.PowerManagementServiceRequestOSPowerSavingStateChange, requestOSPowerSaving)

	class.Handle(&t.methods, amt.SystemPowerSchemeSetPowerScheme, setPowerScheme)
	t.class("CIM_ElementSettingData").patch = func(m *Machine, e *wsman.Element) {
		patchScheme(m, e)
		patchBootRole(m, e)
	}
}

// itoa writes a number of any of the model's types.
func itoa[N ~uint8 | ~uint16 | ~uint32](n N) string { return strconv.FormatUint(uint64(n), 10) }

func requestPowerStateChange(ctx context.Context, m *Machine, _ wsman.Selectors, in cim.PowerManagementServiceRequestPowerStateChangeIn) (out cim.PowerManagementServiceRequestPowerStateChangeOut, _ status.Status, _ error) {
	switch {
	case in.PowerState == nil:
		return out, powerInvalid, nil
	case in.Time != nil || in.TimeoutPeriod != nil:
		return out, powerNoTimeout, nil
	}
	return out, m.requestPower(ctx, *in.PowerState, m.storedPlan), nil
}
