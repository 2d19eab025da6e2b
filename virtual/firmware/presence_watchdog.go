package firmware

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	watchdogClass   = "AMT_AgentPresenceWatchdog"
	watchdogVAClass = "AMT_AgentPresenceWatchdogVA"
)

// registerPresence gives agent presence its life. Source: spec watchdog.md section 7, inventory-events-policies.md
// section 6.
func registerPresence(t *table) {
	b := t.class(watchdogClass)
	b.patch = patchWatchdog
	b.onPut = func(ctx context.Context, m *Machine, _, want *wsman.Element) error { return m.judgeWatchdog(ctx, want) }
	b.onCreate = createWatchdog
	b.onDelete = func(ctx context.Context, _ *Machine, _ *wsman.Element) error { return mayAgents(ctx, RealmAgentRemote) }
	b.after = func(_ context.Context, m *Machine, _, _ *wsman.Element) { m.withAgents(func(*agents) {}) }
	t.class(watchdogVAClass).instances = watchdogsVA

	class.Handle(&t.methods, amt.AgentPresenceWatchdogRegisterAgent, func(ctx context.Context, m *Machine, sel wsman.Selectors, _ amt.AgentPresenceWatchdogRegisterAgentIn) (out amt.AgentPresenceWatchdogRegisterAgentOut, code status.Status, err error) {
		out.SessionSequenceNumber, out.TimeoutInterval, code, err = m.registerAgent(ctx, watchdogClass, sel)
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogAssertPresence, func(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.AgentPresenceWatchdogAssertPresenceIn) (out amt.AgentPresenceWatchdogAssertPresenceOut, code status.Status, err error) {
		code, err = m.assertPresence(ctx, watchdogClass, sel, class.Value(in.SequenceNumber))
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogAssertShutdown, func(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.AgentPresenceWatchdogAssertShutdownIn) (out amt.AgentPresenceWatchdogAssertShutdownOut, code status.Status, err error) {
		code, err = m.assertShutdown(ctx, watchdogClass, sel, class.Value(in.SequenceNumber))
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogAddAction, func(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.AgentPresenceWatchdogAddActionIn) (out amt.AgentPresenceWatchdogAddActionOut, code status.Status, err error) {
		code, err = m.addAgentAction(ctx, watchdogClass, sel, &in)
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogDeleteAllActions, func(ctx context.Context, m *Machine, sel wsman.Selectors, _ amt.AgentPresenceWatchdogDeleteAllActionsIn) (out amt.AgentPresenceWatchdogDeleteAllActionsOut, code status.Status, err error) {
		code, err = m.deleteAgentActions(ctx, watchdogClass, sel)
		return out, code, err
	})

	class.Handle(&t.methods, amt.AgentPresenceWatchdogVARegisterAgent, func(ctx context.Context, m *Machine, sel wsman.Selectors, _ amt.AgentPresenceWatchdogVARegisterAgentIn) (out amt.AgentPresenceWatchdogVARegisterAgentOut, code status.Status, err error) {
		out.SessionSequenceNumber, out.TimeoutInterval, code, err = m.registerAgent(ctx, watchdogVAClass, sel)
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogVAAssertPresence, func(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.AgentPresenceWatchdogVAAssertPresenceIn) (out amt.AgentPresenceWatchdogVAAssertPresenceOut, code status.Status, err error) {
		code, err = m.assertPresence(ctx, watchdogVAClass, sel, class.Value(in.SequenceNumber))
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogVAAssertShutdown, func(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.AgentPresenceWatchdogVAAssertShutdownIn) (out amt.AgentPresenceWatchdogVAAssertShutdownOut, code status.Status, err error) {
		code, err = m.assertShutdown(ctx, watchdogVAClass, sel, class.Value(in.SequenceNumber))
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogVAAddAction, func(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.AgentPresenceWatchdogVAAddActionIn) (out amt.AgentPresenceWatchdogVAAddActionOut, code status.Status, err error) {
		same := amt.AgentPresenceWatchdogAddActionIn{OldState: in.OldState, NewState: in.NewState, EventOnTransition: in.EventOnTransition, ActionEac: in.ActionEac}
		if in.ActionSd != nil {
			same.ActionSd = new(amt.AgentPresenceWatchdogAddActionActionSd(*in.ActionSd))
		}
		code, err = m.addAgentAction(ctx, watchdogVAClass, sel, &same)
		return out, code, err
	})
	class.Handle(&t.methods, amt.AgentPresenceWatchdogVADeleteAllActions, func(ctx context.Context, m *Machine, sel wsman.Selectors, _ amt.AgentPresenceWatchdogVADeleteAllActionsIn) (out amt.AgentPresenceWatchdogVADeleteAllActionsOut, code status.Status, err error) {
		code, err = m.deleteAgentActions(ctx, watchdogVAClass, sel)
		return out, code, err
	})
	registerAgentActions(t)
}

// mayAgents lets those do it who have the realm: agent presence local is for the programs that are watched, agent
// presence remote for those who have them watched.
func mayAgents(ctx context.Context, realms ...Realm) error {
	c, ok := ctx.Value(callerKey{}).(caller)
	if ok && !c.realms.Allows(Realms(realms...)) {
		return wsman.ErrAccessDenied
	}
	return nil
}

// patchWatchdog shows the state.
func patchWatchdog(m *Machine, e *wsman.Element) {
	state := eventlog.NotStarted
	if id, ok := m.agentID(e.ChildText("DeviceID")); ok {
		m.agents.mu.Lock()
		if x := m.agents.find(id); x != nil {
			state = x.State
		}
		m.agents.mu.Unlock()
	}
	set(e, "CurrentState", itoa(state))
}

// watchdogsVA shows the watchdogs as instances of the other class.
func watchdogsVA(m *Machine) (out []wsman.Element) {
	ci := m.catalogue.classes[watchdogClass]
	if ci == nil {
		return nil
	}
	uri := wsman.ClassURI(watchdogVAClass)
	for _, v := range m.views(ci) {
		e := wsman.Element{Name: wsman.Name{Space: uri, Local: watchdogVAClass}}
		for _, c := range v.element.Children {
			text := c.TrimText()
			if c.Local == "CreationClassName" {
				text = watchdogVAClass
			}
			e.Children = append(e.Children, wsman.El(uri, c.Local, text))
		}
		out = append(out, e)
	}
	return out
}

// judgeWatchdog refuses what firmware does not take.
func (m *Machine) judgeWatchdog(ctx context.Context, want *wsman.Element) error {
	if err := mayAgents(ctx, RealmAgentRemote); err != nil {
		return err
	}
	var v amt.AgentPresenceWatchdog
	if err := v.Decode(want); err != nil {
		return wsman.ErrInvalidRepresentation.With(err.Error())
	}
	_, ok := m.agentID(class.Value(v.DeviceID))
	timeout := class.Value(v.TimeoutInterval)
	if !ok || class.Value(v.StartupInterval) == 0 || timeout == 0 || timeout > maxAgentInterval ||
		utf8.RuneCountInString(class.Value(v.MonitoredEntityDescription)) > maxAgentName {
		return badValue()
	}
	return nil
}

// createWatchdog gives a new watchdog its keys: whatever the client says but DeviceID does not count.
func createWatchdog(ctx context.Context, m *Machine, want *wsman.Element) error {
	if err := m.judgeWatchdog(ctx, want); err != nil {
		return err
	}
	id, _ := m.agentID(want.ChildText("DeviceID"))
	list := m.watchdogs()
	for _, w := range list {
		if w.id == id {
			return wsman.ErrAlreadyExists
		}
	}
	if len(list) >= maxAgents {
		return &status.Error{Op: watchdogClass + ".Create", Code: status.MaxLimitReached}
	}
	for name, value := range map[string]string{"CreationClassName": watchdogClass, "DeviceID": m.deviceID(id), "SystemCreationClassName": "CIM_ComputerSystem",
		"SystemName": "Intel(r) AMT", "ElementName": "Intel(r) AMT: Agent Presence Watchdog", "MonitoredEntity": itoa(cim.WatchdogMonitoredEntityApplication),
		"CurrentState": itoa(eventlog.NotStarted)} {
		set(want, name, value)
	}
	return nil
}

// watchdogOf returns which watchdog a method was called on. Selectors may be left out if there is one only.
func (m *Machine) watchdogOf(ctx context.Context, name string, sel wsman.Selectors, realms ...Realm) (guid.GUID, error) {
	if err := mayAgents(ctx, realms...); err != nil {
		return guid.GUID{}, err
	}
	ci := m.catalogue.classes[name]
	list := m.views(ci)
	if len(sel) > 0 || len(list) != 1 {
		v, err := m.find(ci, sel)
		if err != nil {
			return guid.GUID{}, err
		}
		list = []view{v}
	}
	id, ok := m.agentID(list[0].element.ChildText("DeviceID"))
	if !ok {
		return id, wsman.ErrInternal
	}
	return id, nil
}

// agent calls do with the agent that a method was called on, and locked.
func (m *Machine) agent(ctx context.Context, name string, sel wsman.Selectors, do func(a *agents, x *agent) status.Status, realms ...Realm) (code status.Status, err error) {
	id, err := m.watchdogOf(ctx, name, sel, realms...)
	if err != nil {
		return 0, err
	}
	m.withAgents(func(a *agents) {
		if x := a.find(id); x != nil {
			code = do(a, x)
		} else { // removed meanwhile
			code = status.InvalidHandle
		}
	})
	return code, nil
}

// registerAgent begins a session: the program runs from now on. While the PC is not up nobody can.
func (m *Machine) registerAgent(ctx context.Context, name string, sel wsman.Selectors) (sequence *uint32, timeout *uint16, code status.Status, err error) {
	code, err = m.agent(ctx, name, sel, func(a *agents, x *agent) status.Status {
		if !a.awake || x.State == eventlog.Suspended {
			return status.NotReady
		}
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return status.InternalError
		}
		x.Sequence = binary.BigEndian.Uint32(b[:])
		for _, w := range m.watchdogs() {
			if w.id == x.ID {
				timeout = new(uint16(w.timeout.Seconds()))
			}
		}
		sequence = new(x.Sequence)
		m.moveAgent(x, eventlog.Running)
		return status.Success
	}, RealmAgentLocal, RealmLocalSystem)
	return sequence, timeout, code, err
}

// assertPresence is a heartbeat. A wrong number does not count as one.
func (m *Machine) assertPresence(ctx context.Context, name string, sel wsman.Selectors, sequence uint32) (status.Status, error) {
	return m.agent(ctx, name, sel, func(_ *agents, x *agent) status.Status {
		switch {
		case x.State != eventlog.Running:
			return status.NotFound
		case sequence != x.Sequence+1:
			return status.InvalidParameter
		}
		x.Sequence = sequence
		m.moveAgent(x, eventlog.Running)
		return status.Success
	}, RealmAgentLocal, RealmLocalSystem)
}

// assertShutdown is the orderly end of a program. A wrong number is passed over in silence.
func (m *Machine) assertShutdown(ctx context.Context, name string, sel wsman.Selectors, sequence uint32) (status.Status, error) {
	return m.agent(ctx, name, sel, func(_ *agents, x *agent) status.Status {
		if x.State == eventlog.Running && sequence == x.Sequence+1 {
			x.Sequence = sequence
			m.moveAgent(x, eventlog.Stopped)
		}
		return status.Success
	}, RealmAgentLocal, RealmLocalSystem)
}

// addAgentAction has something done on changes of state.
func (m *Machine) addAgentAction(ctx context.Context, name string, sel wsman.Selectors, in *amt.AgentPresenceWatchdogAddActionIn) (status.Status, error) {
	return m.agent(ctx, name, sel, func(a *agents, x *agent) status.Status {
		from, to := class.Value(in.OldState), class.Value(in.NewState)
		if !goodStates(from) || !goodStates(to) || in.ActionSd != nil && *in.ActionSd > amt.AgentPresenceWatchdogAddActionActionSdDeactivatePolicy {
			return status.InvalidParameter
		}
		taken := max(len(x.Actions)+1, sureAgentActions) + (maxAgents-len(a.list))*sureAgentActions
		for _, other := range a.list {
			if other != x {
				taken += max(len(other.Actions), sureAgentActions)
			}
		}
		if taken > maxAgentActions {
			return status.MaxLimitReached
		}
		x.Actions = append(x.Actions, agentAction{From: eventlog.AgentState(from), To: eventlog.AgentState(to), Event: class.Value(in.EventOnTransition),
			Policy: in.ActionSd, EAC: class.Value(in.ActionEac)})
		return status.Success
	}, RealmAgentRemote)
}

// goodStates reports whether a mask has states, and nothing else.
func goodStates(mask uint16) bool { return mask != 0 && mask&^uint16(anyAgentState) == 0 }

// deleteAgentActions forgets all actions of an agent. What they had asked for ends.
func (m *Machine) deleteAgentActions(ctx context.Context, name string, sel wsman.Selectors) (status.Status, error) {
	return m.agent(ctx, name, sel, func(_ *agents, x *agent) status.Status {
		x.Actions, x.Asks = nil, false
		return status.Success
	}, RealmAgentRemote)
}

// actionNames names the n-th action of an agent; how real firmware does is not known. Clients take the names as they
// are.
func actionNames(x *agent, n int) (condition, action string) {
	id := x.ID.String() + " " + strconv.Itoa(n)
	return "Intel(r) AMT:Agent Presence Condition " + id, "Intel(r) AMT:Agent Presence Action " + id
}
