package firmware

import (
	"context"
	"slices"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	conditionClass   = "AMT_StateTransitionCondition"
	agentActionClass = "AMT_AgentPresenceWatchdogAction"
	dependencyClass  = "CIM_ConcreteDependency"
	agentRuleName    = "Intel(r) AMT:Agent Presence Rule"
)

// registerAgentActions shows the actions of agents. Each is a condition (from which states to which), an action (what is
// done), and two links: watchdog to condition, condition to action. Source: spec inventory-events-policies.md section 6.
func registerAgentActions(t *table) {
	t.class(conditionClass).instances = func(m *Machine) (out []wsman.Element) {
		m.eachAction(func(x *agent, condition, _ string, a *agentAction) {
			v := amt.StateTransitionCondition{CreationClassName: new(conditionClass), PolicyConditionName: &condition,
				PolicyRuleCreationClassName: new("CIM_PolicyRule"), PolicyRuleName: new(agentRuleName),
				SystemCreationClassName: new("CIM_ComputerSystem"), SystemName: new("Intel(r) AMT"),
				OldState: new(amt.AgentPresenceState(a.From)), NewState: new(amt.AgentPresenceState(a.To))}
			out = append(out, v.Element())
		})
		return out
	}
	t.class(agentActionClass).instances = func(m *Machine) (out []wsman.Element) {
		m.eachAction(func(x *agent, _, action string, a *agentAction) {
			v := amt.AgentPresenceWatchdogAction{CreationClassName: new(agentActionClass), PolicyActionName: &action,
				PolicyRuleCreationClassName: new("CIM_PolicyRule"), PolicyRuleName: new(agentRuleName),
				SystemCreationClassName: new("CIM_ComputerSystem"), SystemName: new("Intel(r) AMT"), EventOnTransition: new(a.Event)}
			if a.Policy != nil {
				v.ActionSd = new(amt.AgentPresenceWatchdogActionActionSd(*a.Policy))
			}
			out = append(out, v.Element())
		})
		return out
	}
	class.Handle(&t.methods, amt.AgentPresenceWatchdogActionGetActionEac, getActionEac)
	t.class(dependencyClass).instances = func(m *Machine) (out []wsman.Element) {
		if ci := m.catalogue.classes[dependencyClass]; ci != nil {
			for _, i := range m.store.of(ci) {
				out = append(out, i.element)
				out[len(out)-1].Children = slices.Clone(i.element.Children)
			}
		}
		uri := wsman.ClassURI(dependencyClass)
		m.eachAction(func(x *agent, condition, action string, _ *agentAction) {
			first, middle, end := m.watchdogRef(x), ruleRef(conditionClass, "PolicyConditionName", condition), ruleRef(agentActionClass, "PolicyActionName", action)
			out = append(out, wsman.Group(uri, dependencyClass, first.Element(uri, "Antecedent"), middle.Element(uri, "Dependent")),
				wsman.Group(uri, dependencyClass, middle.Element(uri, "Antecedent"), end.Element(uri, "Dependent")))
		})
		return out
	}

	b := t.class("AMT_AgentPresenceInterfacePolicy")
	b.patch = func(m *Machine, e *wsman.Element) {
		enabled := "false"
		if m.agentPolicy() {
			enabled = "true"
		}
		set(e, "Enabled", enabled)
	}
	b.onCreate = bindAgentPolicy
	b.onDelete = func(ctx context.Context, _ *Machine, _ *wsman.Element) error {
		return mayAgents(ctx, RealmAgentRemote, RealmCircuitBreaker)
	}
	b.after = func(_ context.Context, m *Machine, _, _ *wsman.Element) {
		if m.agents.policy != nil {
			m.agents.policy()
		}
	}
}

// eachAction calls f for the actions of all agents.
func (m *Machine) eachAction(f func(x *agent, condition, action string, a *agentAction)) {
	m.agents.mu.Lock()
	defer m.agents.mu.Unlock()
	for _, x := range m.agents.list {
		for n := range x.Actions {
			condition, action := actionNames(x, n)
			f(x, condition, action, &x.Actions[n])
		}
	}
}

// watchdogRef is the reference to an agent's watchdog.
func (m *Machine) watchdogRef(x *agent) wsman.EPR {
	return wsman.Ref(watchdogClass, "CreationClassName", watchdogClass, "DeviceID", m.deviceID(x.ID), "SystemCreationClassName", "CIM_ComputerSystem",
		"SystemName", "Intel(r) AMT")
}

// ruleRef is the reference to a condition or an action.
func ruleRef(name, key, value string) wsman.EPR {
	return wsman.Ref(name, "CreationClassName", name, key, value, "PolicyRuleCreationClassName", "CIM_PolicyRule", "PolicyRuleName", agentRuleName,
		"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")
}

func getActionEac(_ context.Context, m *Machine, sel wsman.Selectors, _ amt.AgentPresenceWatchdogActionGetActionEacIn) (out amt.AgentPresenceWatchdogActionGetActionEacOut, _ status.Status, _ error) {
	ci := m.catalogue.classes[agentActionClass]
	list := m.views(ci)
	if len(sel) > 0 || len(list) != 1 {
		v, err := m.find(ci, sel)
		if err != nil {
			return out, 0, err
		}
		list = []view{v}
	}
	name := list[0].element.ChildText("PolicyActionName")
	m.eachAction(func(_ *agent, _, action string, a *agentAction) {
		if action == name {
			out.ActionEac = new(a.EAC)
		}
	})
	if out.ActionEac == nil { // deleted meanwhile
		return out, status.InvalidHandle, nil
	}
	return out, status.Success, nil
}

// bindAgentPolicy judges a new AMT_AgentPresenceInterfacePolicy: a port has one policy for agents.
func bindAgentPolicy(ctx context.Context, m *Machine, want *wsman.Element) error {
	if err := mayAgents(ctx, RealmAgentRemote, RealmCircuitBreaker); err != nil {
		return err
	}
	for _, end := range [][2]string{{"Antecedent", "CIM_EthernetPort"}, {"Dependent", "AMT_SystemDefensePolicy"}} {
		ref, err := wsman.ParseEPR(want.Child(end[0]))
		if err != nil || ref.Class() != end[1] {
			return badValue()
		}
		at, err := m.resolve(&ref)
		if err != nil {
			return badValue()
		}
		self := at.epr()
		setElements(want, end[0], self.Element(want.Space, end[0])) // with all keys, however many the client gave
	}
	port, err := wsman.ParseEPR(want.Child("Antecedent"))
	if err != nil {
		return badValue()
	}
	ci := m.catalogue.classes["AMT_AgentPresenceInterfacePolicy"]
	for _, i := range m.store.of(ci) {
		if other, err := wsman.ParseEPR(i.element.Child("Antecedent")); err == nil && m.catalogue.sameRef(&other, &port) {
			return wsman.ErrAlreadyExists
		}
	}
	set(want, "Enabled", "false")
	return nil
}
