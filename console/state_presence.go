package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A StateWatchdog watches one program.
type StateWatchdog struct {
	ID        string                `json:"id"` // GUID, which the program knows
	Name      string                `json:"name"`
	Startup   uint32                `json:"startup_seconds"`   // until the program must have registered
	Heartbeat uint32                `json:"heartbeat_seconds"` // at most
	Actions   []StateWatchdogAction `json:"actions,omitempty"`
}

// A StateWatchdogAction is what AMT does when the state of a watchdog changes: states are "not-started", "stopped",
// "running", "expired", "suspended"; "any" is all of them.
type StateWatchdogAction struct {
	From   []string `json:"from"`
	To     []string `json:"to"`
	Event  bool     `json:"event,omitempty"`
	Policy string   `json:"policy,omitempty"` // switches the network policy for agents "on" or "off"
	EAC    bool     `json:"eac,omitempty"`    // tells endpoint access control
}

func (a *StateWatchdogAction) words() string {
	text := strings.Join(a.From, "|") + " to " + strings.Join(a.To, "|") + ":"
	if a.Event {
		text += " event"
	}
	if a.Policy != "" {
		text += " policy " + a.Policy
	}
	if a.EAC {
		text += " eac"
	}
	return text
}

// tidy brings an action into the form in which machines tell it. Errors wrap [ErrUsage].
func (a *StateWatchdogAction) tidy() (WatchdogAction, error) {
	from, err := ParseAgentStates(a.From)
	if err != nil {
		return WatchdogAction{}, err
	}
	to, err := ParseAgentStates(a.To)
	if err != nil {
		return WatchdogAction{}, err
	}
	out := WatchdogAction{From: from, To: to, Event: a.Event, Policy: PolicySwitch(a.Policy)}
	if a.EAC {
		out.EAC = new(true)
	}
	*a = stateAction(out)
	return out, out.check()
}

func stateAction(a WatchdogAction) StateWatchdogAction {
	names := func(mask []string) []string {
		if len(mask) == len(agentStateNames) {
			return []string{"any"}
		}
		return mask
	}
	return StateWatchdogAction{From: names(AgentStateNames(a.From)), To: names(AgentStateNames(a.To)), Event: a.Event, Policy: string(a.Policy), EAC: a.EAC != nil && *a.EAC}
}

func (w *StateWatchdog) words() string {
	words := []string{w.Name, fmt.Sprintf("startup %ds, heartbeat %ds", w.Startup, w.Heartbeat)}
	for _, a := range w.Actions {
		words = append(words, a.words())
	}
	slices.Sort(words[2:]) // their order does not matter
	return strings.Join(words, ", ")
}

func readStatePresence(ctx context.Context, c *Client, s *State) error {
	watchdogs, err := c.WatchdogActions(ctx, "")
	if err != nil {
		return err
	}
	list := []StateWatchdog{}
	for _, w := range watchdogs {
		one := StateWatchdog{ID: w.ID.String(), Name: w.Name, Startup: uint32(w.Startup / time.Second), Heartbeat: uint32(w.Timeout / time.Second)}
		for _, a := range w.Actions {
			one.Actions = append(one.Actions, stateAction(a))
		}
		list = append(list, one)
	}
	s.Presence = &list
	return nil
}

func planPresence(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	var added []Change
	list := slices.Clone(*want.Presence)
	actions := map[string][]WatchdogAction{}
	for i := range list {
		w := &list[i]
		id, err := guid.Parse(w.ID)
		if err != nil {
			return nil, fmt.Errorf("%w: watchdog %s: %w", ErrUsage, w.Name, err)
		}
		w.ID = id.String()
		w.Actions = slices.Clone(w.Actions)
		for k := range w.Actions {
			a, err := w.Actions[k].tidy()
			if err != nil {
				return nil, fmt.Errorf("watchdog %s: %w", w.Name, err)
			}
			actions[w.ID] = append(actions[w.ID], a)
		}
	}
	err = compared(*now.Presence, list, func(w *StateWatchdog) string { return w.ID }, func(n, w *StateWatchdog) error {
		if n != nil && w != nil && n.words() == w.words() {
			return nil
		}
		anew := n == nil || w == nil || n.Name != w.Name || n.Startup != w.Startup || n.Heartbeat != w.Heartbeat
		if n != nil && anew { // a watchdog cannot be changed; others may have its name then
			change := Change{Subject: n.Name, From: n.words(), do: func(ctx context.Context) error {
				_, err := c.RemoveWatchdogs(ctx, n.ID)
				return err
			}}
			out = append(out, change)
		}
		if w == nil {
			return nil
		}
		dog := Watchdog{Name: w.Name, Startup: time.Duration(w.Startup) * time.Second, Timeout: time.Duration(w.Heartbeat) * time.Second}
		var err error
		if dog.ID, err = guid.Parse(w.ID); err == nil {
			err = dog.check()
		}
		if err != nil {
			return err
		}
		change := Change{Subject: w.Name, To: w.words(), do: func(ctx context.Context) error {
			var err error
			if anew {
				_, err = c.AddWatchdog(ctx, dog)
			} else {
				_, err = c.RemoveWatchdogActions(ctx, w.ID)
			}
			for _, a := range actions[w.ID] {
				if err != nil {
					break
				}
				_, err = c.AddWatchdogAction(ctx, w.ID, a)
			}
			return err
		}}
		if !anew {
			change.From = n.words()
		}
		added = append(added, change)
		return nil
	})
	return append(out, added...), err
}
