package firmware

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
)

// Limits of agent presence. Source: spec inventory-events-policies.md section 6, watchdog.md section 7.
const (
	maxAgents        = 16
	maxAgentActions  = 64 // of all agents together
	sureAgentActions = 3  // that every agent can have, whatever the others take
	maxAgentName     = 16 // characters of MonitoredEntityDescription
	maxAgentInterval = 0xffff
)

// agents is which programs of the PC are watched, and how they are. The watchdogs themselves stand in the store, as
// instances of AMT_AgentPresenceWatchdog; this is their life:
//
//	not started -RegisterAgent-> running -AssertShutdown-> stopped
//	not started -startup interval-> expired, running -timeout interval-> expired
//	any -the PC leaves S0, or restarts-> suspended -S3, S4: on again-> as before, -boot-> not started
//
// From not started, stopped and expired RegisterAgent leads to running. Time counts in S0 only. Source: spec watchdog.md
// section 7.
type agents struct {
	mu     sync.Mutex // guards what follows
	list   []*agent   // as the watchdogs stand in the store
	awake  bool       // the PC is in S0
	timer  *time.Timer
	turn   int // number of the timer that counts
	closed bool
	timers sync.WaitGroup

	// policy is called, without the lock, when what [Machine.agentPolicy] says has changed. It is set once, before the
	// machine is used.
	policy func()
}

// An agent is one watched program.
type agent struct {
	ID       guid.GUID
	State    eventlog.AgentState
	Before   eventlog.AgentState `json:",omitzero"` // while suspended: what comes back
	Left     time.Duration       `json:",omitzero"` // until it expires, while due is not set
	Sequence uint32              `json:",omitzero"` // number given or heard last
	Asks     bool                `json:",omitzero"` // for the network policy
	Actions  []agentAction       `json:",omitzero"`

	due time.Time // when it expires; zero while time does not count
}

// An agentAction is what comes of a change of state that both masks have.
type agentAction struct {
	From, To eventlog.AgentState                         // masks
	Event    bool                                        `json:",omitzero"`
	Policy   *amt.AgentPresenceWatchdogAddActionActionSd `json:",omitzero"`
	EAC      bool                                        `json:",omitzero"` // endpoint access control is told
}

const anyAgentState = eventlog.NotStarted | eventlog.Stopped | eventlog.Running | eventlog.Expired | eventlog.Suspended

func (a *agents) dump() (json.RawMessage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 {
		return nil, nil
	}
	kept := make([]agent, len(a.list))
	for i, x := range a.list {
		if kept[i] = *x; !x.due.IsZero() {
			kept[i].Left = max(time.Until(x.due), time.Nanosecond)
		}
	}
	return json.Marshal(kept)
}

func (a *agents) load(text json.RawMessage) error {
	var kept []*agent
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	if len(kept) > maxAgents {
		return fmt.Errorf("%d agents; there can be %d", len(kept), maxAgents)
	}
	actions := 0
	for _, x := range kept {
		if x == nil || x.ID.IsZero() || x.State&anyAgentState != x.State || x.State == 0 {
			return fmt.Errorf("an agent without identity or state")
		}
		actions += len(x.Actions)
	}
	if actions > maxAgentActions {
		return fmt.Errorf("%d actions of agents; there can be %d", actions, maxAgentActions)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = kept
	return nil
}

// close stops the timer for good and waits for it.
func (a *agents) close() {
	a.mu.Lock()
	a.closed = true
	a.stop()
	a.mu.Unlock()
	a.timers.Wait()
}

// closeWith returns what ends the watching after another thing.
func (a *agents) closeWith(other func()) func() {
	return func() {
		if other != nil {
			other()
		}
		a.close()
	}
}

// stop voids the timer. mu is held.
func (a *agents) stop() {
	a.turn++
	if a.timer != nil && a.timer.Stop() {
		a.timers.Done()
	}
	a.timer = nil
}

// find returns an agent, nil if there is none. mu is held.
func (a *agents) find(id guid.GUID) *agent {
	for _, x := range a.list {
		if x.ID == id {
			return x
		}
	}
	return nil
}

// asks reports whether any agent asks for the policy. mu is held.
func (a *agents) asks() bool {
	return slices.ContainsFunc(a.list, func(x *agent) bool { return x.Asks })
}

// agentPolicy reports whether the System Defense policy of AMT_AgentPresenceInterfacePolicy is asked for now: an action
// with ActionSd 0 has fired, and since then none of the same agent with ActionSd 1. See agents.policy.
func (m *Machine) agentPolicy() bool {
	m.agents.mu.Lock()
	defer m.agents.mu.Unlock()
	return m.agents.asks()
}

// withAgents calls do with the agents in line with the store and locked, and sets the timer afterwards.
func (m *Machine) withAgents(do func(a *agents)) {
	a := &m.agents
	a.mu.Lock()
	asked := a.asks()
	stored := a.join(m)
	do(a)
	a.aim(m, stored)
	changed := a.asks() != asked
	a.mu.Unlock()
	if changed && a.policy != nil {
		a.policy()
	}
}

// A watched is what the store says of an agent.
type watched struct {
	id               guid.GUID
	startup, timeout time.Duration
}

// watchdogs returns those of the store.
func (m *Machine) watchdogs() (out []watched) {
	ci := m.catalogue.classes[watchdogClass]
	if ci == nil {
		return nil
	}
	for _, i := range m.store.of(ci) {
		var v amt.AgentPresenceWatchdog
		if v.Decode(&i.element) != nil {
			continue
		}
		if id, ok := m.agentID(class.Value(v.DeviceID)); ok {
			out = append(out, watched{id, time.Duration(class.Value(v.StartupInterval)) * time.Second, time.Duration(class.Value(v.TimeoutInterval)) * time.Second})
		}
	}
	return out
}

// agentID reads a DeviceID: base64 of the GUID, or, before 6.0, its digits in the order of the octets.
func (m *Machine) agentID(device string) (guid.GUID, bool) {
	b, err := base64.StdEncoding.DecodeString(device)
	if m.profile.Before(6, 0) {
		b, err = hex.DecodeString(device)
	}
	if err != nil {
		return guid.GUID{}, false
	}
	id, err := guid.FromBytes(b)
	return id, err == nil && !id.IsZero()
}

// deviceID writes one.
func (m *Machine) deviceID(id guid.GUID) string {
	if m.profile.Before(6, 0) {
		return strings.ToUpper(hex.EncodeToString(id[:]))
	}
	return base64.StdEncoding.EncodeToString(id[:])
}

// join makes the list that of the watchdogs in the store, which it returns. mu is held.
func (a *agents) join(m *Machine) []watched {
	stored := m.watchdogs()
	list := make([]*agent, len(stored))
	for i, w := range stored {
		if list[i] = a.find(w.id); list[i] == nil {
			list[i] = &agent{ID: w.id, State: eventlog.NotStarted, Left: w.startup}
		}
	}
	a.list = list
	return stored
}

// aim lets time count, or stand still, and sets the timer to whoever expires next. mu is held.
func (a *agents) aim(m *Machine, stored []watched) {
	a.stop()
	var next time.Time
	for i, x := range a.list {
		waits := x.State == eventlog.NotStarted || x.State == eventlog.Running
		switch {
		case !waits && x.State != eventlog.Suspended:
			x.due, x.Left = time.Time{}, 0
		case (!waits || !a.awake) && !x.due.IsZero():
			x.due, x.Left = time.Time{}, max(time.Until(x.due), time.Nanosecond)
		case waits && a.awake && x.due.IsZero():
			if x.Left <= 0 {
				x.Left = stored[i].interval(x.State)
			}
			x.due, x.Left = time.Now().Add(x.Left), 0
		}
		if !x.due.IsZero() && (next.IsZero() || x.due.Before(next)) {
			next = x.due
		}
	}
	if next.IsZero() || a.closed {
		return
	}
	turn := a.turn
	a.timers.Add(1)
	a.timer = time.AfterFunc(time.Until(next), func() {
		defer a.timers.Done()
		m.withAgents(func(a *agents) {
			if a.turn != turn || a.closed {
				return
			}
			a.timer = nil
			now := time.Now()
			for _, x := range a.list {
				if !x.due.IsZero() && !now.Before(x.due) {
					m.moveAgent(x, eventlog.Expired)
				}
			}
		})
	})
}

// interval returns how long an agent may be silent in a state.
func (w *watched) interval(s eventlog.AgentState) time.Duration {
	if s == eventlog.Running {
		return w.timeout
	}
	return w.startup
}

// moveAgent brings an agent into a state, with the whole interval before it. Each action whose masks have the old and
// the new state fires; the event is one, however many want it. agents.mu is held.
func (m *Machine) moveAgent(x *agent, to eventlog.AgentState) {
	from := x.State
	x.State, x.due, x.Left = to, time.Time{}, 0
	if from == to {
		return
	}
	event := false
	for _, action := range x.Actions {
		if action.From&from == 0 || action.To&to == 0 {
			continue
		}
		event = event || action.Event
		if action.Policy != nil {
			x.Asks = *action.Policy == amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy
		}
	}
	if event {
		m.tellAgent(x)
	}
}

// tellAgent logs the state of an agent and tells subscribers, who learn the whole GUID since 8.0; the record has room
// for six octets of it. Source: spec watchdog.md section 10.2.
func (m *Machine) tellAgent(x *agent) {
	data := append([]byte{ownEvent}, x.ID[:6]...)
	r := eventlog.NewRecord(m.now(), eventlog.SystemEvent, 0, eventlog.Monitor, eventlog.Engine, append(data, byte(x.State))...)
	r.EventType, r.Source = eventlog.Discrete, eventlog.ManagementCard
	m.events.add(r)
	if a, ok := eventing.FromRecord(r); ok {
		for i, text := range a.Arguments {
			if text == eventlog.AgentID(r) && !m.profile.Before(8, 0) {
				a.Arguments[i] = x.ID.String()
			}
		}
		m.tell(a)
	}
	m.trap(r)
}
