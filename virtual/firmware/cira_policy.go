package firmware

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	remotePolicyClass = "AMT_RemoteAccessPolicyRule"
	policyServerClass = "AMT_RemoteAccessPolicyAppliesToMPS"
)

// remotePolicyNames are the names of the rules, one for each trigger. Source: spec classes.md, AMT_RemoteAccessPolicyRule.
var remotePolicyNames = map[amt.RemoteAccessPolicyRuleTrigger]string{
	amt.RemoteAccessPolicyRuleTriggerUserInitiated: "User Initiated", amt.RemoteAccessPolicyRuleTriggerAlert: "Alert",
	amt.RemoteAccessPolicyRuleTriggerPeriodic: "Periodic", amt.RemoteAccessPolicyRuleTriggerHomeProvisioning: "Home Provisioning",
}

// maxExtendedData is the length of ExtendedData, in octets. Source: the vendor's guide, AddRemoteAccessPolicyRule.
const maxExtendedData = 32

func registerRemotePolicies(t *table) {
	class.Handle(&t.methods, amt.RemoteAccessServiceAddRemoteAccessPolicyRule, addRemotePolicy)
	rule := t.class(remotePolicyClass)
	rule.onPut = func(_ context.Context, _ *Machine, old, want *wsman.Element) error {
		data, err := base64.StdEncoding.DecodeString(want.ChildText("ExtendedData"))
		trigger := amt.RemoteAccessPolicyRuleTrigger(number(want.ChildText("Trigger")))
		if err != nil || want.ChildText("Trigger") != old.ChildText("Trigger") || !goodExtendedData(trigger, data) {
			return &status.Error{Op: remotePolicyClass + ".Put", Code: status.InvalidParameter}
		}
		return nil
	}
	rule.after = func(_ context.Context, m *Machine, old, now *wsman.Element) {
		if now == nil {
			m.dropPolicyServers(remotePolicyRef(old))
		}
	}
	binding := t.class(policyServerClass)
	binding.onPut = func(_ context.Context, m *Machine, _, want *wsman.Element) error {
		kind := want.ChildText("MpsType")
		if !slices.Contains([]string{"0", "1", "2"}, kind) || number(want.ChildText("OrderOfAccess")) >= uint32(m.remoteLimit("MaxMpsPerPolicy")) {
			return &status.Error{Op: policyServerClass + ".Put", Code: status.InvalidParameter}
		}
		return nil
	}
	binding.onDelete = func(_ context.Context, m *Machine, old *wsman.Element) error {
		if rule := refOf(old, "PolicySet"); rule != nil && len(m.policyServers(*rule)) < 2 {
			return &status.Error{Op: policyServerClass + ".Delete", Code: status.NotPermitted} // a policy has a server; a guess
		}
		return nil
	}
}

func remotePolicyRef(e *wsman.Element) wsman.EPR {
	return wsman.Ref(remotePolicyClass, "CreationClassName", e.ChildText("CreationClassName"), "PolicyRuleName", e.ChildText("PolicyRuleName"),
		"SystemCreationClassName", e.ChildText("SystemCreationClassName"), "SystemName", e.ChildText("SystemName"))
}

// refOf returns a reference that an instance holds, or nil.
func refOf(e *wsman.Element, name string) *wsman.EPR {
	child := e.Child(name)
	if child == nil {
		return nil
	}
	ref, err := wsman.ParseEPR(child)
	if err != nil {
		return nil
	}
	return &ref
}

// policyServers returns what binds servers to a policy.
func (m *Machine) policyServers(policy wsman.EPR) (out []*instance) {
	for _, i := range m.store.of(m.catalogue.classes[policyServerClass]) {
		if at := i.keys.Get("PolicySet"); at != nil && at.EPR != nil && m.catalogue.sameRef(at.EPR, &policy) {
			out = append(out, i)
		}
	}
	return out
}

func (m *Machine) dropPolicyServers(policy wsman.EPR) {
	for _, i := range m.policyServers(policy) {
		m.store.update(i.class, i, nil)
	}
}

// goodExtendedData reports whether the data of a policy is right: those of a periodic one say when; the others need none.
func goodExtendedData(trigger amt.RemoteAccessPolicyRuleTrigger, data []byte) bool {
	if trigger != amt.RemoteAccessPolicyRuleTriggerPeriodic {
		return len(data) <= maxExtendedData
	}
	p, err := amt.ParsePeriod(data)
	return err == nil && p.Valid()
}

// addRemotePolicy says when the machine calls which servers: one policy for each trigger.
func addRemotePolicy(_ context.Context, m *Machine, _ wsman.Selectors, in amt.RemoteAccessServiceAddRemoteAccessPolicyRuleIn) (out amt.RemoteAccessServiceAddRemoteAccessPolicyRuleOut, _ status.Status, _ error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes[remotePolicyClass]
	name, ok := remotePolicyNames[class.Value(in.Trigger)]
	if !ok || in.Trigger == nil || in.TunnelLifeTime == nil || !goodExtendedData(*in.Trigger, in.ExtendedData) {
		return out, status.InvalidParameter, nil
	}
	servers, ok := m.orderServers(in.MpServer, in.InternalMpServer)
	if !ok {
		return out, status.InvalidParameter, nil
	}
	rules := m.store.of(ci)
	if slices.ContainsFunc(rules, func(i *instance) bool { return i.element.ChildText("PolicyRuleName") == name }) {
		return out, status.Duplicate, nil
	}
	if len(rules) >= m.remoteLimit("MaxTotalPolicies") {
		return out, status.InternalError, nil // it has no status for this
	}
	e := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
	set(&e, "ElementName", "Inte(r) AMT:Remote Access Policy") // recorded, with its mistake
	set(&e, "PolicyRuleName", name)
	set(&e, "Trigger", itoa(*in.Trigger))
	set(&e, "TunnelLifeTime", itoa(*in.TunnelLifeTime))
	if len(in.ExtendedData) > 0 {
		set(&e, "ExtendedData", base64.StdEncoding.EncodeToString(in.ExtendedData))
	}
	made, err := m.add(ci, e)
	if err != nil {
		return out, 0, err
	}
	binding := m.catalogue.classes[policyServerClass]
	for _, s := range servers {
		b := wsman.Element{Name: wsman.Name{Space: binding.uri, Local: binding.Name}}
		b.Children = append(b.Children, s.at.epr().Element(binding.uri, "ManagedElement"), made.epr().Element(binding.uri, "PolicySet"))
		set(&b, "OrderOfAccess", strconv.Itoa(s.order))
		set(&b, "MpsType", itoa(s.kind))
		if _, err := m.add(binding, b); err != nil {
			return out, 0, err
		}
	}
	out.PolicyRule = new(made.epr())
	return out, status.Success, nil
}

// A policyServer is a server of a policy: where in the order, and whether inside or outside of the home network.
type policyServer struct {
	at    view
	order int
	kind  amt.RemoteAccessPolicyAppliesToMPSMpsType
}

// orderServers puts the servers for outside and inside in order. One that stands in both lists is for both. It reports
// false if there is none, too many, or one that does not exist or stands twice in a list.
func (m *Machine) orderServers(outside, inside []wsman.EPR) (out []policyServer, ok bool) {
	limit := m.remoteLimit("MaxMpsPerPolicy")
	if len(outside)+len(inside) == 0 || len(outside) > limit || len(inside) > limit {
		return nil, false
	}
	for _, list := range []struct {
		refs []wsman.EPR
		kind amt.RemoteAccessPolicyAppliesToMPSMpsType
	}{{outside, amt.RemoteAccessPolicyAppliesToMPSMpsTypeExternal}, {inside, amt.RemoteAccessPolicyAppliesToMPSMpsTypeInternal}} {
		for order := range list.refs {
			v, err := m.resolve(&list.refs[order])
			if err != nil || v.class.Name != presenceServerClass {
				return nil, false
			}
			at := slices.IndexFunc(out, func(s policyServer) bool { return s.at.keys.Equal(v.keys) })
			switch {
			case at < 0:
				out = append(out, policyServer{v, order, list.kind})
			case out[at].kind == list.kind || out[at].kind == amt.RemoteAccessPolicyAppliesToMPSMpsTypeBoth:
				return nil, false
			default:
				out[at].kind = amt.RemoteAccessPolicyAppliesToMPSMpsTypeBoth
			}
		}
	}
	return out, true
}
