package firmware

import "github.com/outband/outband/wire/wsman"

// A hostBootReason is why the PC booted last.
type hostBootReason struct {
	Reason   uint32 // 0 other, 1 remote control, 2 alarm
	Details  string `json:",omitempty"` // "Reset", "Power Up", "Power Cycle", or the alarm's name
	Previous uint32 // the sleep state before: 0 on, 3, 4, 5
}

const reasonRemote = 1

// noteBoot remembers why the PC booted.
func (m *Machine) noteBoot(r hostBootReason) {
	m.power.mu.Lock()
	defer m.power.mu.Unlock()
	m.power.kept.Reason = &r
}

// noteRemote says that the boot noted last was asked for through the engine.
func (m *Machine) noteRemote() {
	m.power.mu.Lock()
	defer m.power.mu.Unlock()
	r := hostBootReason{}
	if m.power.kept.Reason != nil {
		r = *m.power.kept.Reason
	}
	r.Reason = reasonRemote
	switch m.power.under {
	case PowerUp:
		r.Details = "Power Up"
	case Cycle:
		r.Details = "Power Cycle"
	default:
		r.Details = "Reset"
	}
	m.power.kept.Reason = &r
}

// registerBootReason gives IPS_HostBootReason its values.
func registerBootReason(t *table) {
	t.class("IPS_HostBootReason").patch = func(m *Machine, e *wsman.Element) {
		m.power.mu.Lock()
		r := m.power.kept.Reason
		m.power.mu.Unlock()
		if r != nil {
			set(e, "Reason", itoa(r.Reason))
			set(e, "ReasonDetails", r.Details)
			set(e, "PreviousSxState", itoa(r.Previous))
		}
	}
}
