package firmware

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/virtual/nic"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/wsman"
)

// A NetworkPort is one of the PC's network ports.
type NetworkPort int

// The ports. The numbers are those at the end of their names.
const (
	Wired     NetworkPort = 0
	WiFi      NetworkPort = 1
	portCount             = 2
)

// Classes of System Defense.
const (
	policyClass    = "AMT_SystemDefensePolicy"
	ipFilterClass  = "AMT_IPHeadersFilter"
	macFilterClass = "AMT_Hdr8021Filter"
	policyID       = "Intel(r) AMT:Policy "

	consolePolicies     = "AMT_NetworkPortSystemDefensePolicy"
	agentPolicies       = "AMT_AgentPresenceInterfacePolicy"
	environmentPolicies = "AMT_EnvironmentDetectionInterfacePolicy"
	heuristicPolicies   = "AMT_HeuristicPacketFilterInterfacePolicy"
	defaultPolicies     = "AMT_NetworkPortDefaultSystemDefensePolicy"
)

// policyOwners are the classes that bind a policy to a port, one policy each.
var policyOwners = []string{consolePolicies, agentPolicies, environmentPolicies, heuristicPolicies, defaultPolicies}

// defense is System Defense: which policy is active on which port, since when, and what has come of it. Filters,
// policies and bindings stand in the store. Of the policies that are enabled on a port the one with the highest
// precedence is active; the default one if there is none. Source: spec inventory-events-policies.md section 5.
type defense struct {
	ports [portCount]nic.Port

	mu       sync.Mutex // guards what follows
	kept     defenseState
	spoofing [portCount]bool // the active policy looks at addresses
	timer    *time.Timer
	turn     int // number of the timer that counts
	closed   bool
	timers   sync.WaitGroup
}

// defenseState is what outlives a restart.
type defenseState struct {
	Timeouts map[string]uint32              `json:",omitempty"` // by InstanceID of the policy: seconds
	Ports    [portCount]portDefense         `json:",omitzero"`
	Ended    map[string]map[NetworkPort]int `json:",omitempty"` // by owner: policies whose time was up, by port
}

// portDefense is what is kept of a port.
type portDefense struct {
	Owner  string     `json:",omitempty"` // class of the binding of the active policy; "" for none
	Policy uint32     `json:",omitempty"` // number of the active policy
	Since  time.Time  `json:",omitzero"`
	Counts nic.Counts `json:",omitzero"` // in a file: as they were
	Shown  nic.Counts `json:",omitzero"` // by the last UpdateStatistics
}

func (d *defense) dump() (json.RawMessage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.kept
	empty := len(kept.Timeouts) == 0 && len(kept.Ended) == 0
	for i := range kept.Ports {
		kept.Ports[i].Counts = d.ports[i].Counts()
		empty = empty && kept.Ports[i].Owner == ""
	}
	if empty {
		return nil, nil
	}
	return json.Marshal(&kept)
}

func (d *defense) load(text json.RawMessage) error {
	var kept defenseState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	for i := range kept.Ports {
		if n := max(len(kept.Ports[i].Counts.Filters), len(kept.Ports[i].Shown.Filters)); n > maxHandles+3 {
			return fmt.Errorf("counts of %d filters; a policy has at most %d", n, maxHandles)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = kept
	return nil
}

// stop voids the timer. mu is held.
func (d *defense) stop() {
	d.turn++
	if d.timer != nil && d.timer.Stop() {
		d.timers.Done()
	}
	d.timer = nil
}

// closeWith returns what ends the timer after another thing, for good.
func (d *defense) closeWith(other func()) func() {
	return func() {
		if other != nil {
			other()
		}
		d.mu.Lock()
		d.closed = true
		d.stop()
		d.mu.Unlock()
		d.timers.Wait()
	}
}

// OfferFrame has an Ethernet frame pass a network port of the PC, in the direction that the PC sees, and tells what
// becomes of it. What System Defense has to tell is told before it returns.
func (m *Machine) OfferFrame(port NetworkPort, d nic.Direction, frame []byte) nic.Result {
	return m.OfferFrameAt(port, m.hostTime(), d, frame)
}

// OfferFrameAt is OfferFrame at another time than now: rates and heuristics go by it.
func (m *Machine) OfferFrameAt(port NetworkPort, at time.Time, d nic.Direction, frame []byte) nic.Result {
	if port != Wired && port != WiFi {
		return nic.Result{Verdict: nic.Broken}
	}
	f := &m.defense
	f.mu.Lock()
	spoofing := f.spoofing[port]
	f.mu.Unlock()
	if spoofing {
		f.ports[port].SetOwn(m.ownAddresses(port)...)
	}
	r := f.ports[port].OfferAt(at, d, frame)
	for _, handle := range r.Events {
		m.tellMatch(port, handle)
	}
	if len(r.Events) > 0 && !r.Verdict.Through() {
		m.alert("iAMT0050", eventing.Warning, strconv.Itoa(noticeOf(d, r.Verdict)))
	}
	if r.Trigger != nic.NoTrigger {
		m.wormFound(port, r.Trigger)
	}
	return r
}

// noticeOf is the first argument of iAMT0050. Source: wire/eventing, texts.
func noticeOf(d nic.Direction, v nic.Verdict) int {
	notice := 16
	if v == nic.Limited {
		notice++
	}
	if d == nic.Receive {
		notice += 2
	}
	return notice
}

// tellMatch logs that a filter has matched, and tells subscribers. Source: spec inventory-events-policies.md section
// 2.3, sensor 36.
func (m *Machine) tellMatch(port NetworkPort, handle uint32) {
	where := byte(ownEvent)
	if port != Wired {
		where = byte(port)
	}
	data := binary.BigEndian.AppendUint32([]byte{where}, handle)
	m.Log(eventlog.NewRecord(m.now(), eventlog.PlatformAlert, 0, eventlog.Critical, eventlog.Engine, data...))
}

// ownAddresses are the IPv4 addresses that the PC may send from.
func (m *Machine) ownAddresses(port NetworkPort) (out []netip.Addr) {
	ci := m.catalogue.classes["AMT_EthernetPortSettings"]
	v, err := m.find(ci, wsman.Selectors{{Name: "InstanceID", Value: wiredPort[:len(wiredPort)-1] + strconv.Itoa(int(port))}})
	if err != nil {
		return nil
	}
	if a, err := netip.ParseAddr(v.element.ChildText("IPAddress")); err == nil {
		out = append(out, a)
	}
	return out
}

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

// onPlatform hears what happens to the PC: when it goes off, filters tell of their next match again.
func (d *defense) onPlatform(e Event) {
	if e.Kind == EventPower && e.Power == S5 {
		for i := range d.ports {
			d.ports[i].Untell()
		}
	}
}

// forgetDefense ends all that is not in the store, when the machine is unprovisioned.
func (m *Machine) forgetDefense() {
	m.defense.mu.Lock()
	m.defense.kept = defenseState{}
	m.defense.mu.Unlock()
	m.watchForWorms()
	m.applyDefense()
}

// portRef is the reference to a network port.
func portRef(port NetworkPort) wsman.EPR {
	return wsman.Ref("CIM_EthernetPort", "CreationClassName", "CIM_EthernetPort", "DeviceID", portDevice+strconv.Itoa(int(port)),
		"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")
}

const portDevice = "Intel(r) AMT Ethernet Port "

// portOf returns the port that a reference names, if the PC has it.
func (m *Machine) portOf(ref *wsman.EPR) (NetworkPort, bool) {
	digit, ok := strings.CutPrefix(strings.TrimSpace(ref.Selectors.Value("DeviceID")), portDevice)
	switch {
	case !ok || ref.Class() != "CIM_EthernetPort" && ref.Class() != "CIM_NetworkPort" && ref.Class() != "CIM_WiFiPort":
	case digit == "0":
		return Wired, true
	case digit == "1" && m.wireless() != nil:
		return WiFi, true
	}
	return 0, false
}

// binding reads an association of a port and a policy.
func (m *Machine) binding(e *wsman.Element) (port NetworkPort, policy string, ok bool) {
	at, err := wsman.ParseEPR(e.Child("Antecedent"))
	if err != nil {
		return 0, "", false
	}
	what, err := wsman.ParseEPR(e.Child("Dependent"))
	if err != nil {
		return 0, "", false
	}
	port, ok = m.portOf(&at)
	return port, what.Selectors.Value("InstanceID"), ok && what.Class() == policyClass
}
