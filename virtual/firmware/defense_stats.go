package firmware

import (
	"context"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	inPolicyClass      = "AMT_FilterInSystemDefensePolicy"
	inServiceClass     = "AMT_SystemDefensePolicyInService"
	statisticsClass    = "AMT_ActiveFilterStatistics"
	networkFilterClass = "AMT_NetworkFilter"
	serviceClass       = "AMT_SystemDefenseService"
)

// registerDefenseStats gives policies their methods, and shows what filters have seen: instances of
// AMT_ActiveFilterStatistics hold what UpdateStatistics has found, for the active policy of each port.
func registerDefenseStats(t *table) {
	class.Handle(&t.methods, amt.SystemDefensePolicyUpdateStatistics, updateStatistics)
	class.Handle(&t.methods, amt.SystemDefensePolicyGetTimeout, getTimeout)
	class.Handle(&t.methods, amt.SystemDefensePolicySetTimeout, setTimeout)
	t.class(statisticsClass).instances = (*Machine).activeStatistics
	t.class(networkFilterClass).instances = func(m *Machine) (out []wsman.Element) {
		for _, i := range m.store.of(m.catalogue.classes[policyClass]) {
			n := lastNumber(i.element.ChildText("InstanceID"))
			for _, handle := range []uint32{nic.AllSent, nic.AllReceived} {
				v := amt.NetworkFilter{CreationClassName: new(networkFilterClass), Name: new(defaultFilterName(handle)), OwnerID: &n,
					SystemCreationClassName: new("CIM_ComputerSystem"), SystemName: new("Intel(r) AMT")}
				out = append(out, v.Element())
			}
		}
		return out
	}
	t.class(inPolicyClass).instances = func(m *Machine) (out []wsman.Element) {
		for _, i := range m.store.of(m.catalogue.classes[policyClass]) {
			n := lastNumber(i.element.ChildText("InstanceID"))
			var handles []uint32
			for h := range i.element.All("FilterCreationHandles") {
				handles = append(handles, number(h.TrimText()))
			}
			for _, handle := range append(handles, nic.AllSent, nic.AllReceived) {
				if ref, ok := m.inPolicy(n, handle); ok {
					v := amt.FilterInSystemDefensePolicy{Antecedent: ref.Selectors.Get("Antecedent").EPR, Dependent: ref.Selectors.Get("Dependent").EPR}
					out = append(out, v.Element())
				}
			}
		}
		return out
	}
	b := t.class(inServiceClass)
	b.instances = func(m *Machine) (out []wsman.Element) {
		service := wsman.Ref(serviceClass, "CreationClassName", serviceClass, "Name", "Intel(r) AMT System Defense Service",
			"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")
		for _, i := range m.store.of(m.catalogue.classes[policyClass]) {
			v := amt.SystemDefensePolicyInService{Antecedent: &service, Dependent: new(i.epr())}
			out = append(out, v.Element())
		}
		return out
	}
	b.onCreate = func(context.Context, *Machine, *wsman.Element) error { return wsman.ErrAlreadyExists } // every policy is in it
	b.onDelete = func(context.Context, *Machine, *wsman.Element) error { return refuseDefense(status.NotPermitted) }
	environment := func(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.EnvironmentDetectionSettingDataSetSystemDefensePolicyIn) (out amt.EnvironmentDetectionSettingDataSetSystemDefensePolicyOut, _ status.Status, _ error) {
		return out, m.setEnvironmentPolicy(ctx, in.Policy), nil
	}
	class.Handle(&t.methods, amt.EnvironmentDetectionSettingDataSetSystemDefensePolicy, environment)
}

// defaultFilterName names the filter for what no other matches. How firmware names it is not known.
func defaultFilterName(handle uint32) string {
	switch handle {
	case nic.AllSent:
		return "Tx Default"
	case nic.AntiSpoofing:
		return "Anti Spoofing"
	}
	return "Rx Default"
}

// inPolicy is the reference to the association of a filter and a policy.
func (m *Machine) inPolicy(policy, handle uint32) (wsman.EPR, bool) {
	owner := wsman.Ref(policyClass, "InstanceID", policyID+itoa(policy))
	var filter wsman.EPR
	if handle >= nic.AntiSpoofing {
		filter = wsman.Ref(networkFilterClass, "CreationClassName", networkFilterClass, "Name", defaultFilterName(handle), "OwnerID", itoa(policy),
			"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")
	} else {
		e := m.filter(itoa(handle))
		if e == nil {
			return filter, false
		}
		filter = m.catalogue.classes[e.Local].instance(*e).epr()
	}
	return wsman.EPR{ResourceURI: wsman.ClassURI(inPolicyClass), Selectors: wsman.Selectors{{Name: "Antecedent", EPR: &owner}, {Name: "Dependent", EPR: &filter}}}, true
}

// activeStatistics shows what the last UpdateStatistics has found: nothing yet, for a policy that is active and was never
// asked.
func (m *Machine) activeStatistics() (out []wsman.Element) {
	for port := range NetworkPort(portCount) {
		m.defense.mu.Lock()
		shown, since := m.defense.kept.Ports[port].Shown, m.defense.kept.Ports[port].Since
		m.defense.mu.Unlock()
		if live := m.defense.ports[port].Counts(); shown.Policy == 0 && live.Policy != 0 {
			shown = live
			for i := range shown.Filters {
				shown.Filters[i] = nic.Count{Handle: shown.Filters[i].Handle}
			}
		}
		for _, c := range shown.Filters {
			ref, ok := m.inPolicy(shown.Policy, c.Handle)
			if !ok {
				continue
			}
			v := amt.ActiveFilterStatistics{Antecedent: new(portRef(port)), Dependent: &ref, ReadCount: new(c.Frames), FilterMatched: new(c.Matched),
				ActivationTime: new(m.ownTime(since))}
			if !shown.Reset.IsZero() {
				v.LastResetTime = new(m.ownTime(shown.Reset))
			}
			out = append(out, v.Element())
		}
	}
	return out
}

// ownTime is a moment of the host by the machine's own clock.
func (m *Machine) ownTime(t time.Time) wsman.Datetime {
	return wsman.At(t.Add(m.clock.offset()).UTC().Truncate(time.Second))
}

// selected returns the policy that a method was called on. Selectors may be left out if there is one only.
func (m *Machine) selectedPolicy(sel wsman.Selectors) (string, error) {
	v, err := m.find(m.catalogue.classes[policyClass], sel)
	if err != nil {
		return "", err
	}
	return v.element.ChildText("InstanceID"), nil
}

func updateStatistics(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.SystemDefensePolicyUpdateStatisticsIn) (out amt.SystemDefensePolicyUpdateStatisticsOut, _ status.Status, _ error) {
	id, err := m.selectedPolicy(sel)
	if err != nil {
		return out, 0, err
	}
	if in.NetworkInterface == nil {
		return out, status.InvalidParameter, nil
	}
	port, ok := m.portOf(in.NetworkInterface)
	if !ok {
		return out, status.InvalidParameter, nil
	}
	d := &m.defense
	if active, ok := d.ports[port].Active(); !ok || active != lastNumber(id) {
		return out, status.NotFound, nil
	}
	counts := d.ports[port].Update(class.Value(in.ResetOnRead), m.hostTime())
	d.mu.Lock()
	d.kept.Ports[port].Shown = counts
	d.mu.Unlock()
	return out, status.Success, nil
}

func getTimeout(_ context.Context, m *Machine, sel wsman.Selectors, _ amt.SystemDefensePolicyGetTimeoutIn) (out amt.SystemDefensePolicyGetTimeoutOut, _ status.Status, _ error) {
	id, err := m.selectedPolicy(sel)
	if err != nil {
		return out, 0, err
	}
	m.defense.mu.Lock()
	defer m.defense.mu.Unlock()
	out.Timeout = new(m.defense.kept.Timeouts[id])
	return out, status.Success, nil
}

// setTimeout says for how long a policy stays active; 0: for ever. Time counts from its activation.
func setTimeout(ctx context.Context, m *Machine, sel wsman.Selectors, in amt.SystemDefensePolicySetTimeoutIn) (out amt.SystemDefensePolicySetTimeoutOut, _ status.Status, _ error) {
	if m.mayDefend(ctx) != nil {
		return out, status.NotPermitted, nil
	}
	id, err := m.selectedPolicy(sel)
	if err != nil {
		return out, 0, err
	}
	if in.Timeout == nil {
		return out, status.InvalidParameter, nil
	}
	m.defense.mu.Lock()
	if m.defense.kept.Timeouts == nil {
		m.defense.kept.Timeouts = make(map[string]uint32)
	}
	m.defense.kept.Timeouts[id] = uint32(*in.Timeout)
	if *in.Timeout == 0 {
		delete(m.defense.kept.Timeouts, id)
	}
	m.defense.mu.Unlock()
	m.applyDefense()
	return out, status.Success, nil
}

// setEnvironmentPolicy binds a policy to all ports for when the machine is outside; nil unbinds.
func (m *Machine) setEnvironmentPolicy(ctx context.Context, ref *wsman.EPR) status.Status {
	if m.mayDefend(ctx) != nil {
		return status.NotPermitted
	}
	if ref != nil && (ref.Class() != policyClass || m.policy(ref.Selectors.Value("InstanceID")) == nil) {
		return status.InvalidParameter
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes[environmentPolicies]
	for _, i := range m.store.of(ci) {
		m.store.update(ci, i, nil)
	}
	for port := range NetworkPort(portCount) {
		if ref == nil || port == WiFi && m.wireless() == nil {
			continue
		}
		m.defense.forgetEnd(environmentPolicies, port)
		v := amt.EnvironmentDetectionInterfacePolicy{Antecedent: new(portRef(port)), Dependent: new(wsman.Ref(policyClass, "InstanceID", ref.Selectors.Value("InstanceID"))),
			Active: new(false), Enabled: new(true)}
		e := v.Element()
		ci.Order(e.Children)
		m.store.update(ci, nil, ci.instance(e))
	}
	m.applyDefense()
	return status.Success
}
