package firmware

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/virtual/nic"
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

// nicPolicy makes a policy of the store what the port understands.
func (m *Machine) nicPolicy(id string) *nic.Policy {
	e := m.policy(id)
	if e == nil {
		return nil
	}
	is := func(name string) bool { return e.ChildText(name) == "true" }
	p := &nic.Policy{Handle: lastNumber(id), AntiSpoofing: number(e.ChildText("AntiSpoofingSupport")) > 0}
	p.Default[nic.Transmit] = nic.Default{Drop: is("TxDefaultDrop"), Count: is("TxDefaultCount"), Event: is("TxDefaultMatchEvent")}
	p.Default[nic.Receive] = nic.Default{Drop: is("RxDefaultDrop"), Count: is("RxDefaultCount"), Event: is("RxDefaultMatchEvent")}
	for h := range e.All("FilterCreationHandles") {
		if e := m.filter(h.TrimText()); e != nil {
			if f, ok := nicFilter(e); ok {
				f.Handle = number(h.TrimText())
				p.Filters = append(p.Filters, f)
			}
		}
	}
	return p
}

// nicFilter makes a filter of the store what the port understands, and reports false for what firmware does not take.
func nicFilter(e *wsman.Element) (f nic.Filter, ok bool) {
	var profile *amt.FilterProfile
	var direction *amt.FilterDirection
	if e.Local == macFilterClass {
		var v amt.Hdr8021Filter
		if v.Decode(e) != nil || !macMatch(&v, &f.Match) {
			return f, false
		}
		profile, direction, f.Rate, f.Event = v.FilterProfile, v.FilterDirection, class.Value(v.FilterProfileData), class.Value(v.ActionEventOnMatch)
	} else {
		var v amt.IPHeadersFilter
		if v.Decode(e) != nil || !ipMatch(&v, &f.Match) {
			return f, false
		}
		profile, direction, f.Rate, f.Event = v.FilterProfile, v.FilterDirection, class.Value(v.FilterProfileData), class.Value(v.ActionEventOnMatch)
	}
	if profile == nil || direction == nil || *profile > amt.FilterProfileDrop || *direction > amt.FilterDirectionReceive ||
		*profile == amt.FilterProfileRateLimit && f.Rate == 0 {
		return f, false
	}
	f.Action, f.Direction = nic.Action(*profile), nic.Direction(*direction)
	return f, true
}

// macMatch reads what an Ethernet filter is for.
func macMatch(v *amt.Hdr8021Filter, m *nic.Match) bool {
	if v.HdrProtocolID8021 == nil || v.HdrVLANID8021 != nil && *v.HdrVLANID8021 > maxVLAN || v.HdrPriorityValue8021 != nil && *v.HdrPriorityValue8021 > 7 {
		return false
	}
	m.Type, m.Priority = new(uint16(*v.HdrProtocolID8021)), v.HdrPriorityValue8021
	if v.HdrVLANID8021 != nil {
		m.VLAN = new(uint16(*v.HdrVLANID8021))
	}
	var ok bool
	if m.SrcMAC, ok = macs(v.HdrSrcMACAddr8021, v.HdrSrcMACMask8021); !ok {
		return false
	}
	m.DstMAC, ok = macs(v.HdrDestMACAddr8021, v.HdrDestMACMask8021)
	return ok
}

func macs(address, mask []byte) (*nic.MACs, bool) {
	if address == nil && mask == nil {
		return nil, true
	}
	if mask == nil {
		mask = []byte{255, 255, 255, 255, 255, 255}
	}
	if len(address) != 6 || len(mask) != 6 {
		return nil, false
	}
	return &nic.MACs{Address: [6]byte(address), Mask: [6]byte(mask)}, true
}

// ipMatch reads what an IP filter is for. Ports: one on each side, or a range on one side. Source: spec
// inventory-events-policies.md section 5.
func ipMatch(v *amt.IPHeadersFilter, m *nic.Match) bool {
	m.Version = 4
	if v.HdrIPVersion != nil {
		m.Version = uint8(*v.HdrIPVersion)
	}
	if m.Version != 4 && m.Version != 6 {
		return false
	}
	var ok bool
	if m.Src, ok = addresses(m.Version, v.HdrSrcAddress, v.HdrSrcMask, v.HdrSrcAddressEndOfRange); !ok {
		return false
	}
	if m.Dst, ok = addresses(m.Version, v.HdrDestAddress, v.HdrDestMask, v.HdrDestAddressEndOfRange); !ok {
		return false
	}
	m.Protocol = v.HdrProtocolID
	if m.SrcPort, ok = ports(v.HdrSrcPortStart, v.HdrSrcPortEnd); !ok {
		return false
	}
	if m.DstPort, ok = ports(v.HdrDestPortStart, v.HdrDestPortEnd); !ok {
		return false
	}
	one := func(p *nic.Ports) bool { return p.First == p.Last }
	protocol := class.Value(m.Protocol)
	switch {
	case (m.SrcPort != nil || m.DstPort != nil) && protocol != nic.TCP && protocol != nic.UDP,
		m.SrcPort != nil && m.DstPort != nil && !(one(m.SrcPort) && one(m.DstPort)):
		return false
	}
	if m.On, ok = flags(v.TCPFlagsOn); !ok {
		return false
	}
	if m.Off, ok = flags(v.TCPFlagsOff); !ok || m.On&m.Off != 0 || m.On|m.Off != 0 && protocol != nic.TCP {
		return false
	}
	if m.DSCP = v.HdrDSCP; slices.ContainsFunc(m.DSCP, func(d uint8) bool { return d > 63 }) {
		return false
	}
	if v.HdrFlowLabel != nil {
		b, err := hex.DecodeString(*v.HdrFlowLabel)
		if err != nil || len(b) != 3 || b[0] > 0xf || m.Version != 6 {
			return false
		}
		m.Flow = new(uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]))
	}
	return true
}

// flags joins flags of TCP: bits as in the header, in one number or several. Which numbers real firmware takes is likely,
// not certain.
func flags(list []uint16) (uint8, bool) {
	var all uint16
	for _, f := range list {
		all |= f
	}
	return uint8(all), all&^tcpFlags == 0
}

func ports(first, last *uint16) (*nic.Ports, bool) {
	switch {
	case first == nil && last == nil:
		return nil, true
	case first == nil || last == nil || *first > *last:
		return nil, false
	}
	return &nic.Ports{First: *first, Last: *last}, true
}

// addresses reads an address with its mask, both or none, or a range.
func addresses(version uint8, address, mask, last *string) (*nic.Addresses, bool) {
	if address == nil && mask == nil && last == nil {
		return nil, true
	}
	if address == nil || (mask == nil) == (last == nil) {
		return nil, false
	}
	out := &nic.Addresses{}
	for text, dst := range map[*string]*netip.Addr{address: &out.First, mask: &out.Mask, last: &out.Last} {
		if text == nil {
			continue
		}
		b, ok := octets(*text)
		if !ok || len(b) != 4 && version == 4 || len(b) != 16 && version == 6 {
			return nil, false
		}
		*dst, _ = netip.AddrFromSlice(b)
	}
	return out, true
}

// octets reads hex digits; base64 is read too, as some clients write all octets so.
func octets(text string) ([]byte, bool) {
	text = strings.TrimSpace(text)
	if b, err := hex.DecodeString(text); err == nil && (len(b) == 4 || len(b) == 16) {
		return b, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return b, err == nil && (len(b) == 4 || len(b) == 16)
}
