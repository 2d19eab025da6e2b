package firmware

import (
	"cmp"
	"slices"
	"time"

	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/wsman"
)

// An enabledPolicy is one that may become active on a port.
type enabledPolicy struct {
	owner      string
	id         string
	precedence uint32
}

// enabledPolicies returns what is enabled on a port, the active one first.
func (m *Machine) enabledPolicies(port NetworkPort) (out []enabledPolicy) {
	for _, owner := range policyOwners {
		ci := m.catalogue.classes[owner]
		if ci == nil || owner == defaultPolicies && len(out) > 0 {
			continue
		}
		for _, i := range m.store.of(ci) {
			at, id, ok := m.binding(&i.element)
			if !ok || at != port || !m.policyEnabled(owner, id, port) {
				continue
			}
			if p := m.policy(id); p != nil {
				out = append(out, enabledPolicy{owner, id, number(p.ChildText("PolicyPrecedence"))})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b enabledPolicy) int { return cmp.Compare(b.precedence, a.precedence) })
	return out
}

// policyEnabled reports whether a policy that is bound may be active: what its owner waits for has happened, and its
// time is not up.
func (m *Machine) policyEnabled(owner, id string, port NetworkPort) bool {
	m.defense.mu.Lock()
	ended, timedOut := m.defense.kept.Ended[owner][port]
	m.defense.mu.Unlock()
	if timedOut && uint32(ended) == lastNumber(id) {
		return false
	}
	switch owner {
	case agentPolicies:
		return m.agentPolicy()
	case environmentPolicies:
		return m.Outside()
	case heuristicPolicies:
		_, on := m.defense.ports[port].Encounter(m.hostTime())
		return on
	}
	return true
}

// policy returns a policy of the store, nil if there is none.
func (m *Machine) policy(id string) *wsman.Element {
	ci := m.catalogue.classes[policyClass]
	if ci == nil {
		return nil
	}
	for _, i := range m.store.of(ci) {
		if i.element.ChildText("InstanceID") == id {
			return &i.element
		}
	}
	return nil
}

// applyDefense makes the policies active that are to be, and sets the timer to the next change.
func (m *Machine) applyDefense() {
	d := &m.defense
	now := m.hostTime()
	var next time.Time
	soonest := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	changed := false
	for port := range NetworkPort(portCount) {
		changed = m.applyPort(port, now, soonest) || changed
	}
	d.mu.Lock()
	d.stop()
	if !next.IsZero() && !d.closed {
		turn := d.turn
		d.timers.Add(1)
		d.timer = time.AfterFunc(max(next.Sub(now), time.Millisecond), func() {
			defer d.timers.Done()
			d.mu.Lock()
			void := d.turn != turn || d.closed
			if !void {
				d.timer = nil
			}
			d.mu.Unlock()
			if !void {
				m.defenseDue()
			}
		})
	}
	d.mu.Unlock()
	if changed {
		m.alert("iAMT0056", eventing.Information, "0")
	}
}

// applyPort makes the policy of one port active, and reports whether it is another one than before.
func (m *Machine) applyPort(port NetworkPort, now time.Time, soonest func(time.Time)) bool {
	d := &m.defense
	enabled := m.enabledPolicies(port)
	var is portDefense
	var policy *nic.Policy
	if len(enabled) > 0 {
		is = portDefense{Owner: enabled[0].owner, Policy: lastNumber(enabled[0].id), Since: now}
		policy = m.nicPolicy(enabled[0].id)
	}
	d.mu.Lock()
	was := d.kept.Ports[port]
	same := was.Owner == is.Owner && was.Policy == is.Policy
	if same {
		is.Since, is.Shown, is.Counts = was.Since, was.Shown, was.Counts
	}
	counts := is.Counts
	is.Counts = nic.Counts{}
	d.kept.Ports[port] = is
	d.spoofing[port] = policy != nil && policy.AntiSpoofing
	timeout := time.Duration(0)
	if policy != nil {
		timeout = time.Duration(d.kept.Timeouts[policyID+itoa(is.Policy)]) * time.Second
	}
	d.mu.Unlock()
	d.ports[port].Apply(policy, now)
	if counts.Policy != 0 { // of a state that was loaded
		d.ports[port].Restore(counts)
	}
	if timeout > 0 {
		soonest(is.Since.Add(timeout))
	}
	if found, on := d.ports[port].Encounter(now); on {
		if lasts := m.heuristics().Encounter; lasts > 0 {
			soonest(found.At.Add(lasts))
		}
	}
	return !same
}

// defenseDue is called when a policy's time is up, or an encounter is over.
func (m *Machine) defenseDue() {
	d := &m.defense
	now := m.hostTime()
	d.mu.Lock()
	for port := range d.kept.Ports {
		p := &d.kept.Ports[port]
		timeout := time.Duration(d.kept.Timeouts[policyID+itoa(p.Policy)]) * time.Second
		if p.Owner == "" || timeout == 0 || now.Before(p.Since.Add(timeout)) {
			continue
		}
		if d.kept.Ended == nil {
			d.kept.Ended = make(map[string]map[NetworkPort]int)
		}
		if d.kept.Ended[p.Owner] == nil {
			d.kept.Ended[p.Owner] = make(map[NetworkPort]int)
		}
		d.kept.Ended[p.Owner][NetworkPort(port)] = int(p.Policy)
	}
	d.mu.Unlock()
	m.wormsOver(now)
	m.applyDefense()
}

// forgetEnd lets a policy that has been bound, or asked for, anew have its time anew.
func (d *defense) forgetEnd(owner string, port NetworkPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.kept.Ended[owner], port)
	if len(d.kept.Ended[owner]) == 0 {
		delete(d.kept.Ended, owner)
	}
}

// agentsAsk is called when agents have begun or ceased to ask for their policy.
func (m *Machine) agentsAsk() {
	for port := range NetworkPort(portCount) {
		m.defense.forgetEnd(agentPolicies, port)
	}
	m.applyDefense()
}
