package console

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/wsman"
)

// A Presence is how AMT watches programs of the machine: each has a watchdog, which it must tell every so often that it
// runs. Source: spec watchdog.md section 7, inventory-events-policies.md section 6.
type Presence struct {
	Watchdogs []Watchdog // by name

	// What there can be at most, and how many actions each watchdog can have whatever the others have. 0: not told.
	MaxWatchdogs, MaxActions, SureActions int

	// PolicyOn tells whether actions have switched the network policy for agents on. nil: no policy is bound to a network
	// interface.
	PolicyOn *bool
}

// A Watchdog watches one program.
type Watchdog struct {
	ID      guid.GUID     // the program knows it
	Name    string        // at most 16 characters
	Startup time.Duration // from the start of the machine until the program must have registered; whole seconds
	Timeout time.Duration // from one heartbeat to the next at most; whole seconds
	State   eventlog.AgentState
	Actions []WatchdogAction
}

// A WatchdogAction is what AMT does when the state of a watchdog changes.
type WatchdogAction struct {
	From, To eventlog.AgentState // masks: from any of these to any of those
	Event    bool                // log an event, and send it to subscribers
	Policy   PolicySwitch        // the network policy for agents
	EAC      *bool               // tell endpoint access control; nil when read: see WatchdogActions
}

// A PolicySwitch says what an action does to the System Defense policy that is bound for agents.
type PolicySwitch string

// The switches; "" leaves the policy alone.
const (
	PolicyOn  PolicySwitch = "on"
	PolicyOff PolicySwitch = "off"
)

// AnyAgentState is all states of a watchdog.
const AnyAgentState = eventlog.NotStarted | eventlog.Stopped | eventlog.Running | eventlog.Expired | eventlog.Suspended

// agentStateNames are the words for states, in the order of the bits.
var agentStateNames = []struct {
	state eventlog.AgentState
	name  string
}{{eventlog.NotStarted, "not-started"}, {eventlog.Stopped, "stopped"}, {eventlog.Running, "running"}, {eventlog.Expired, "expired"},
	{eventlog.Suspended, "suspended"}}

// AgentStateNames returns the words for the states of a mask. A bit without a name is printed as its number.
func AgentStateNames(mask eventlog.AgentState) (names []string) {
	for _, n := range agentStateNames {
		if mask&n.state != 0 {
			names = append(names, n.name)
		}
	}
	if rest := mask &^ AnyAgentState; rest != 0 {
		names = append(names, fmt.Sprintf("unknown(%d)", uint8(rest)))
	}
	return names
}

// ParseAgentStates takes words as [AgentStateNames] gives them, or any for all. Errors wrap [ErrUsage].
func ParseAgentStates(words []string) (mask eventlog.AgentState, err error) {
	for _, word := range words {
		i := slices.IndexFunc(agentStateNames, func(n struct {
			state eventlog.AgentState
			name  string
		}) bool {
			return strings.EqualFold(word, n.name)
		})
		switch {
		case i >= 0:
			mask |= agentStateNames[i].state
		case strings.EqualFold(word, "any"):
			mask |= AnyAgentState
		default:
			return 0, fmt.Errorf("%w: state %q is none of not-started, stopped, running, expired, suspended, any", ErrUsage, word)
		}
	}
	return mask, nil
}

// Presence reads what AMT watches, in six requests at once. EAC of actions is not read.
func (c *Client) Presence(ctx context.Context) (*Presence, error) {
	p, err := c.presence(ctx)
	if err != nil {
		return nil, fmt.Errorf("agent presence: %w", err)
	}
	return &p.Presence, nil
}

// A presence is a Presence with what AMT calls its parts.
type presence struct {
	Presence
	devices map[guid.GUID]string      // DeviceID of watchdogs, as the machine writes it
	actions map[guid.GUID][]wsman.EPR // of watchdogs, beside their Actions
}

func (c *Client) presence(ctx context.Context) (*presence, error) {
	var (
		watchdogs    []*amt.AgentPresenceWatchdog
		capabilities *amt.AgentPresenceCapabilities
		conditions   []*amt.StateTransitionCondition
		actions      []*amt.AgentPresenceWatchdogAction
		links        []*cim.ConcreteDependency
		policies     []*amt.AgentPresenceInterfacePolicy
	)
	err := together(
		func() (err error) {
			watchdogs, err = class.All[amt.AgentPresenceWatchdog](ctx, c)
			if isAbsent(err) {
				return fmt.Errorf("%w: no agent presence", ErrUnsupported)
			}
			return err
		},
		func() (err error) {
			capabilities, err = ask[amt.AgentPresenceCapabilities](ctx, c)
			return lenient(err)
		},
		func() (err error) { conditions, err = list[amt.StateTransitionCondition](ctx, c); return lenient(err) },
		func() (err error) { actions, err = list[amt.AgentPresenceWatchdogAction](ctx, c); return lenient(err) },
		func() (err error) { links, err = list[cim.ConcreteDependency](ctx, c); return lenient(err) },
		func() (err error) {
			policies, err = list[amt.AgentPresenceInterfacePolicy](ctx, c)
			return lenient(err)
		})
	if err != nil {
		return nil, err
	}
	p := &presence{devices: make(map[guid.GUID]string), actions: make(map[guid.GUID][]wsman.EPR)}
	if capabilities != nil {
		p.MaxWatchdogs, p.MaxActions = int(class.Value(capabilities.MaxTotalAgents)), int(class.Value(capabilities.MaxTotalActions))
		p.SureActions = int(class.Value(capabilities.MinGuaranteedActionListSize))
	}
	for _, b := range policies {
		p.PolicyOn = new(class.Value(p.PolicyOn) || class.Value(b.Enabled))
	}
	for _, v := range watchdogs {
		device := class.Value(v.DeviceID)
		id, err := parseDeviceID(device)
		if err != nil {
			return nil, err
		}
		w := Watchdog{ID: id, Name: class.Value(v.MonitoredEntityDescription), State: eventlog.AgentState(class.Value(v.CurrentState)),
			Startup: time.Duration(class.Value(v.StartupInterval)) * time.Second, Timeout: time.Duration(class.Value(v.TimeoutInterval)) * time.Second}
		for _, toCondition := range linked(links, "AMT_AgentPresenceWatchdog", "DeviceID", device) {
			name := toCondition.Selectors.Value("PolicyConditionName")
			i := slices.IndexFunc(conditions, func(x *amt.StateTransitionCondition) bool { return class.Value(x.PolicyConditionName) == name })
			if i < 0 {
				continue // another kind of link, or removed meanwhile
			}
			a := WatchdogAction{From: eventlog.AgentState(class.Value(conditions[i].OldState)), To: eventlog.AgentState(class.Value(conditions[i].NewState))}
			for _, toAction := range linked(links, "AMT_StateTransitionCondition", "PolicyConditionName", name) {
				k := slices.IndexFunc(actions, func(x *amt.AgentPresenceWatchdogAction) bool {
					return class.Value(x.PolicyActionName) == toAction.Selectors.Value("PolicyActionName")
				})
				if k < 0 {
					continue
				}
				a.Event = class.Value(actions[k].EventOnTransition)
				if sd := actions[k].ActionSd; sd != nil {
					if a.Policy = PolicyOn; *sd == amt.AgentPresenceWatchdogActionActionSdDeactivatePolicy {
						a.Policy = PolicyOff
					}
				}
				w.Actions = append(w.Actions, a)
				p.actions[id] = append(p.actions[id], toAction)
			}
		}
		p.Watchdogs = append(p.Watchdogs, w)
		p.devices[id] = device
	}
	slices.SortStableFunc(p.Watchdogs, func(a, b Watchdog) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), strings.Compare(a.ID.String(), b.ID.String()))
	})
	return p, nil
}

// linked returns what CIM_ConcreteDependency links an instance to.
func linked(links []*cim.ConcreteDependency, name, key, value string) (out []wsman.EPR) {
	for _, l := range links {
		if l.Antecedent != nil && l.Dependent != nil && l.Antecedent.Class() == name && l.Antecedent.Selectors.Value(key) == value {
			out = append(out, *l.Dependent)
		}
	}
	return out
}

// parseDeviceID reads base64 of the GUID, or, as before 6.0, its digits.
func parseDeviceID(device string) (guid.GUID, error) {
	b, err := base64.StdEncoding.DecodeString(device)
	if err != nil || len(b) != guid.Size {
		b, err = hex.DecodeString(device)
	}
	if err != nil || len(b) != guid.Size {
		return guid.GUID{}, fmt.Errorf("watchdog %.64q is named by no GUID", device)
	}
	return guid.FromBytes(b)
}

// find returns the watchdog of a GUID or a name that only one has. Errors wrap [ErrUsage].
func (p *presence) find(agent string) (*Watchdog, error) {
	id, err := guid.Parse(agent)
	var found []int
	for i, w := range p.Watchdogs {
		if err == nil && w.ID == id || err != nil && w.Name == agent {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: no watchdog %q", ErrUsage, agent)
	case 1:
		return &p.Watchdogs[found[0]], nil
	}
	return nil, fmt.Errorf("%w: %d watchdogs have the name %q; say which by its GUID", ErrUsage, len(found), agent)
}

// selectors name the instance of a watchdog.
func (p *presence) selectors(w *Watchdog) []wsman.Selector {
	return []wsman.Selector{{Name: "CreationClassName", Value: "AMT_AgentPresenceWatchdog"}, {Name: "DeviceID", Value: p.devices[w.ID]},
		{Name: "SystemCreationClassName", Value: "CIM_ComputerSystem"}, {Name: "SystemName", Value: "Intel(r) AMT"}}
}

// WatchdogActions reads all watchdogs, or the one of that GUID or name, with EAC of their actions, which takes a request
// for each action. EAC stays nil where the firmware does not tell.
func (c *Client) WatchdogActions(ctx context.Context, agent string) ([]Watchdog, error) {
	p, err := c.presence(ctx)
	if err == nil && agent != "" {
		var w *Watchdog
		if w, err = p.find(agent); err == nil {
			p.Watchdogs = []Watchdog{*w}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("actions of watchdogs: %w", err)
	}
	var asked []func() error
	for _, w := range p.Watchdogs {
		for i, at := range p.actions[w.ID] {
			asked = append(asked, func() error {
				out, err := amt.AgentPresenceWatchdogActionGetActionEac.Invoke(ctx, c, amt.AgentPresenceWatchdogActionGetActionEacIn{}, at.Selectors...)
				w.Actions[i].EAC = out.ActionEac
				return lenient(err)
			})
		}
	}
	if err := together(asked...); err != nil {
		return nil, fmt.Errorf("actions of watchdogs: %w", err)
	}
	return p.Watchdogs, nil
}
