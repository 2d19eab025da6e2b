package firmware

import (
	"time"

	"github.com/outband/outband/wire/eventlog"
)

// onPlatform hears what happens to the PC.
func (a *agents) onPlatform(m *Machine, e Event) {
	switch {
	case e.Kind == EventBoot && e.Was != S4: // from S4 it is no boot for the programs
		m.withAgents(func(a *agents) {
			a.awake = true
			for _, x := range a.list {
				a.suspend(m, x)
				m.moveAgent(x, eventlog.NotStarted)
				x.Before = 0
			}
		})
	case e.Kind == EventPower && e.Power == S0:
		m.withAgents(func(a *agents) {
			a.awake = true
			for _, x := range a.list {
				if x.State == eventlog.Suspended && (e.Was == S3 || e.Was == S4) {
					left := x.Left
					m.moveAgent(x, x.Before)
					x.Before, x.Left = 0, left
				}
			}
		})
	case e.Kind == EventOSDown, e.Kind == EventPower:
		m.withAgents(func(a *agents) {
			if e.Kind == EventPower {
				a.awake = false
			}
			for _, x := range a.list {
				a.suspend(m, x)
			}
		})
	}
}

// suspend stops the time of an agent that had begun. mu is held.
func (a *agents) suspend(m *Machine, x *agent) {
	if x.State == eventlog.Suspended {
		return
	}
	before, left := x.State, x.Left
	if !x.due.IsZero() {
		left = max(time.Until(x.due), time.Nanosecond)
	}
	m.moveAgent(x, eventlog.Suspended)
	x.Before, x.Left = before, left
}

// restoreAgents begins with what a state says: what was running goes on, with the time that was left.
func (m *Machine) restoreAgents() {
	on := m.powerOf() == S0
	m.withAgents(func(a *agents) {
		a.awake = on
		for _, x := range a.list {
			switch {
			case on && x.State == eventlog.Suspended: // it was off meanwhile
				x.State, x.Before, x.Left = eventlog.NotStarted, 0, 0
			case !on && x.State != eventlog.NotStarted && x.State != eventlog.Suspended:
				x.State, x.Before = eventlog.Suspended, x.State
			}
		}
	})
}
