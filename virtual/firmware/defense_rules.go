package firmware

import (
	"context"
	"unicode/utf8"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Limits of System Defense. Sources: spec inventory-events-policies.md section 5; the vendor's class reference for the
// number of handles; AMT_NetworkPortSystemDefenseCapabilities of the class model for the rest.
const (
	maxPolicies      = 8
	maxFilters       = 80
	maxHandles       = 62 // of one policy
	maxDefenseName   = 16 // characters, of filters and policies
	maxPortFilters   = 32 // of one policy in one direction; one for IPv6 takes the room of ipv6Ratio
	maxPortFilters6  = 8
	ipv6Ratio        = 4
	maxAntiSpoofing  = 2
	tcpFlags         = 0x3f
	defenseOperation = "System Defense"
)

// registerDefense gives System Defense its life. It comes after what else looks at the environment.
func registerDefense(t *table) {
	for _, name := range []string{ipFilterClass, macFilterClass} {
		b := t.class(name)
		b.onCreate = createFilter
		b.onPut = func(ctx context.Context, m *Machine, _, want *wsman.Element) error {
			if err := m.mayDefend(ctx); err != nil {
				return err
			}
			return m.judgeFilter(want)
		}
		b.onDelete = deleteFilter
	}
	b := t.class(policyClass)
	b.onCreate = createPolicy
	b.onPut = func(ctx context.Context, m *Machine, _, want *wsman.Element) error {
		if err := m.mayDefend(ctx); err != nil {
			return err
		}
		return m.judgePolicy(want)
	}
	b.onDelete = deletePolicy
	for _, owner := range policyOwners {
		if owner == agentPolicies { // it has a file of its own
			continue
		}
		b := t.class(owner)
		b.onCreate = func(ctx context.Context, m *Machine, want *wsman.Element) error {
			return m.bindPolicy(ctx, owner, want)
		}
		b.onDelete = func(ctx context.Context, m *Machine, _ *wsman.Element) error { return m.mayDefend(ctx) }
		b.patch = func(m *Machine, e *wsman.Element) { m.patchBinding(owner, e) }
	}
	agent := t.class(agentPolicies)
	inner := agent.patch
	agent.patch = func(m *Machine, e *wsman.Element) {
		if inner != nil {
			inner(m, e)
		}
		m.patchBinding(agentPolicies, e)
	}
	again := []string{ipFilterClass, macFilterClass, policyClass, environmentClass, "AMT_GeneralSettings"}
	for _, name := range append(again, policyOwners...) {
		b := t.class(name)
		inner := b.after
		b.after = func(ctx context.Context, m *Machine, old, now *wsman.Element) {
			if inner != nil {
				inner(ctx, m, old, now)
			}
			if now == nil && name == policyClass {
				m.defense.mu.Lock()
				delete(m.defense.kept.Timeouts, old.ChildText("InstanceID"))
				m.defense.mu.Unlock()
			}
			m.applyDefense()
		}
	}
	registerDefenseStats(t)
	registerHeuristics(t)
}

// mayDefend refuses what comes from the PC itself, and everything in client control mode. Source: spec
// inventory-events-policies.md section 5, activation.md section 1.
func (m *Machine) mayDefend(ctx context.Context) error {
	if p, _ := ctx.Value(peerKey{}).(peer); p.local || m.clientMode() {
		return wsman.ErrAccessDenied
	}
	return nil
}

func refuseDefense(code status.Status) error { return &status.Error{Op: defenseOperation, Code: code} }

// createFilter gives a new filter its number, which is its handle in policies.
func createFilter(ctx context.Context, m *Machine, want *wsman.Element) error {
	if err := m.mayDefend(ctx); err != nil {
		return err
	}
	filters := 0
	for _, name := range []string{ipFilterClass, macFilterClass} {
		filters += len(m.store.of(m.catalogue.classes[name]))
	}
	if filters >= maxFilters {
		return refuseDefense(status.MaxLimitReached)
	}
	element := "Intel(r) AMT: IP Headers Filter"
	if want.Local == macFilterClass {
		element = "Intel(r) AMT: Hdr8021 Filter"
	}
	for name, value := range map[string]string{"CreationClassName": want.Local, "SystemCreationClassName": "CIM_ComputerSystem", "SystemName": "Intel(r) AMT",
		"ElementName": element} {
		set(want, name, value)
	}
	if err := m.judgeFilter(want); err != nil {
		return err
	}
	set(want, "InstanceID", itoa(m.store.handle("AMT_ComplexFilterEntryBase")))
	return nil
}

// judgeFilter refuses what firmware does not take.
func (m *Machine) judgeFilter(want *wsman.Element) error {
	if n := utf8.RuneCountInString(want.ChildText("Name")); n == 0 || n > maxDefenseName {
		return badValue()
	}
	if _, ok := nicFilter(want); !ok {
		return badValue()
	}
	return nil
}

// deleteFilter refuses as long as a policy has the filter.
func deleteFilter(ctx context.Context, m *Machine, old *wsman.Element) error {
	if err := m.mayDefend(ctx); err != nil {
		return err
	}
	for _, i := range m.store.of(m.catalogue.classes[policyClass]) {
		for h := range i.element.All("FilterCreationHandles") {
			if h.TrimText() == old.ChildText("InstanceID") {
				return refuseDefense(status.NotPermitted)
			}
		}
	}
	return nil
}

func createPolicy(ctx context.Context, m *Machine, want *wsman.Element) error {
	if err := m.mayDefend(ctx); err != nil {
		return err
	}
	if len(m.store.of(m.catalogue.classes[policyClass])) >= maxPolicies {
		return refuseDefense(status.MaxLimitReached)
	}
	set(want, "ElementName", "Intel(r) AMT: System Defense Policy")
	if err := m.judgePolicy(want); err != nil {
		return err
	}
	set(want, "InstanceID", policyID+itoa(m.store.handle(policyClass)))
	return nil
}

// judgePolicy refuses what firmware does not take: handles that are none, and more filters than the hardware has.
func (m *Machine) judgePolicy(want *wsman.Element) error {
	if n := utf8.RuneCountInString(want.ChildText("PolicyName")); n == 0 || n > maxDefenseName {
		return badValue()
	}
	if number(want.ChildText("AntiSpoofingSupport")) > maxAntiSpoofing {
		return badValue()
	}
	seen := make(map[string]bool)
	var room, six [2]int
	for h := range want.All("FilterCreationHandles") {
		e := m.filter(h.TrimText())
		if e == nil || seen[h.TrimText()] {
			return refuseDefense(status.InvalidHandle)
		}
		seen[h.TrimText()] = true
		f, ok := nicFilter(e)
		if !ok {
			return refuseDefense(status.InvalidHandle)
		}
		if f.Match.Version == 6 {
			six[f.Direction]++
			room[f.Direction] += ipv6Ratio
		} else {
			room[f.Direction]++
		}
	}
	for d := range room {
		if len(seen) > maxHandles || room[d] > maxPortFilters || six[d] > maxPortFilters6 {
			return refuseDefense(status.MaxLimitReached)
		}
	}
	return nil
}

// filter returns the filter of a handle, nil if there is none.
func (m *Machine) filter(handle string) *wsman.Element {
	for _, name := range []string{ipFilterClass, macFilterClass} {
		for _, i := range m.store.of(m.catalogue.classes[name]) {
			if i.element.ChildText("InstanceID") == handle {
				return &i.element
			}
		}
	}
	return nil
}

// deletePolicy refuses as long as the policy is bound to a port.
func deletePolicy(ctx context.Context, m *Machine, old *wsman.Element) error {
	if err := m.mayDefend(ctx); err != nil {
		return err
	}
	for _, owner := range policyOwners {
		ci := m.catalogue.classes[owner]
		if ci == nil {
			continue
		}
		for _, i := range m.store.of(ci) {
			if _, id, ok := m.binding(&i.element); ok && id == old.ChildText("InstanceID") {
				return refuseDefense(status.NotPermitted)
			}
		}
	}
	return nil
}

// bindPolicy enables a policy on a port. A port has one for each owner.
func (m *Machine) bindPolicy(ctx context.Context, owner string, want *wsman.Element) error {
	if err := m.mayDefend(ctx); err != nil {
		return err
	}
	port, id, ok := m.binding(want)
	if !ok || m.policy(id) == nil || owner == heuristicPolicies && port != Wired {
		return badValue()
	}
	for _, i := range m.store.of(m.catalogue.classes[owner]) {
		if other, _, ok := m.binding(&i.element); ok && other == port {
			return wsman.ErrAlreadyExists
		}
	}
	at, what := portRef(port), wsman.Ref(policyClass, "InstanceID", id)
	setElements(want, "Antecedent", at.Element(want.Space, "Antecedent"))
	setElements(want, "Dependent", what.Element(want.Space, "Dependent"))
	set(want, "Active", "false")
	if owner != defaultPolicies {
		set(want, "Enabled", "true")
	}
	m.defense.forgetEnd(owner, port)
	return nil
}

// patchBinding shows whether a policy that is bound is enabled, and active.
func (m *Machine) patchBinding(owner string, e *wsman.Element) {
	port, id, ok := m.binding(e)
	if !ok {
		return
	}
	m.defense.mu.Lock()
	now := m.defense.kept.Ports[port]
	m.defense.mu.Unlock()
	truth := map[bool]string{true: "true", false: "false"}
	set(e, "Active", truth[now.Owner == owner && now.Policy == lastNumber(id)])
	if owner != defaultPolicies {
		set(e, "Enabled", truth[m.policyEnabled(owner, id, port)])
	}
}
