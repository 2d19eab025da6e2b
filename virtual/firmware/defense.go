package firmware

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
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
	replayed time.Time       // next second that a replay may begin in
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
