package firmware

import (
	"context"
	"errors"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

var errAsleep = errors.New("the engine sleeps with the PC")

// powerSaving returns OSPowerSavingState.
func (m *Machine) powerSaving() ips.OSPowerSavingState {
	switch s, ok := m.platform.(Standby); {
	case !ok || !s.HasStandby():
		return ips.OSPowerSavingStateUnsupported
	case m.platform.Power() != S0:
		return ips.OSPowerSavingStateUnknown
	case s.Saving():
		return ips.OSPowerSavingStateOSPowerSaving
	}
	return ips.OSPowerSavingStateFullPower
}

func requestOSPowerSaving(ctx context.Context, m *Machine, _ wsman.Selectors, in ips.PowerManagementServiceRequestOSPowerSavingStateChangeIn) (out ips.PowerManagementServiceRequestOSPowerSavingStateChangeOut, _ status.Status, _ error) {
	want := class.Value(in.OSPowerSavingState)
	s, ok := m.platform.(Standby)
	switch {
	case want != 2 && want != 3:
		return out, powerInvalid, nil
	case in.Time != nil || in.TimeoutPeriod != nil:
		return out, powerNoTimeout, nil
	case !ok || !s.HasStandby():
		return out, powerNotSupported, nil
	}
	if err := s.SetSaving(ctx, want == 3); err != nil {
		m.log.DebugContext(ctx, "power saving refused by the platform", "error", err)
		return out, powerNotNow, nil
	}
	return out, powerAccepted, nil
}

// setPowerScheme says in which states of the PC the engine stays on.
func setPowerScheme(_ context.Context, m *Machine, sel wsman.Selectors, _ amt.SystemPowerSchemeSetPowerSchemeIn) (out amt.SystemPowerSchemeSetPowerSchemeOut, _ status.Status, _ error) {
	v, err := m.resolve(&wsman.EPR{ResourceURI: wsman.ClassURI("AMT_SystemPowerScheme"), Selectors: sel})
	if err != nil {
		return out, status.InvalidParameter, nil
	}
	m.power.mu.Lock()
	m.power.kept.Scheme = v.keys.Value("InstanceID")
	m.power.mu.Unlock()
	m.engineSlept()
	return out, status.Success, nil
}

// asleep reports whether the engine sleeps with the PC, so that nobody on the network gets an answer: the power scheme that
// was set says "ON in S0" alone. Under the others it stays awake all the time here; a real one goes to sleep after
// AMT_GeneralSettings.IdleWakeTimeout and is woken by the first packets. Source: spec power-and-boot.md section 7.
func (m *Machine) asleep() bool {
	m.power.mu.Lock()
	id := m.power.kept.Scheme
	m.power.mu.Unlock()
	ci := m.catalogue.classes["AMT_SystemPowerScheme"]
	if id == "" || ci == nil || m.powerOf() == S0 {
		return false
	}
	for _, v := range m.views(ci) {
		if v.keys.Value("InstanceID") == id {
			return !strings.Contains(v.element.ChildText("Description"), "S3")
		}
	}
	return false
}

// engineSlept looks again at whether anybody can be heard: power or scheme may have changed.
func (m *Machine) engineSlept() {
	m.power.mu.Lock()
	set := m.power.kept.Scheme != ""
	m.power.mu.Unlock()
	if !set {
		return
	}
	if m.asleep() {
		m.endSessions(errAsleep, func(redir.Kind) bool { return true })
	}
	m.portsChanged()
}

// patchScheme shows which power scheme is in force.
func patchScheme(m *Machine, e *wsman.Element) {
	m.power.mu.Lock()
	scheme := m.power.kept.Scheme
	m.power.mu.Unlock()
	ref, ok := settingOf(e, "AMT_SystemPowerScheme")
	if !ok || scheme == "" {
		return
	}
	current := cim.ElementSettingDataIsCurrentIsNotCurrent
	if ref.Selectors.Value("InstanceID") == scheme {
		current = cim.ElementSettingDataIsCurrentIsCurrent
	}
	set(e, "IsCurrent", itoa(current))
}

// settingOf returns the setting that a CIM_ElementSettingData speaks of if it is of that class.
func settingOf(e *wsman.Element, class string) (wsman.EPR, bool) {
	child := e.Child("SettingData")
	if child == nil {
		return wsman.EPR{}, false
	}
	ref, err := wsman.ParseEPR(child)
	return ref, err == nil && ref.Class() == class
}
