package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/eventlog"
)

type presenceCmd struct {
	Show     presenceShowCmd     `cmd:"" help:"Show how many programs a machine watches, and how they are."`
	Watchdog presenceWatchdogCmd `cmd:"" help:"List, add and remove watchdogs: each watches one program."`
	Action   presenceActionCmd   `cmd:"" help:"List, add and remove what AMT does when the state of a watchdog changes."`
	Run      presenceRunCmd      `cmd:"" like:"AmtPresence" help:"Be the program that is watched, or run it: send its heartbeats."`
}

// A presenceRecord is agent presence of one machine.
type presenceRecord struct {
	Host         string         `json:"host"`
	OK           bool           `json:"ok"`
	Watchdogs    *int           `json:"watchdogs,omitempty"`
	States       map[string]int `json:"states,omitempty"` // how many watchdogs are in which state
	Actions      *int           `json:"actions,omitempty"`
	MaxWatchdogs int            `json:"max_watchdogs,omitempty"`
	MaxActions   int            `json:"max_actions,omitempty"`
	SureActions  int            `json:"guaranteed_actions,omitempty"` // per watchdog
	Policy       string         `json:"policy,omitempty"`             // on, off, or none: no policy is bound
	Error        *problem       `json:"error,omitempty"`
}

func newPresenceRecord(host string, p *console.Presence) presenceRecord {
	r := presenceRecord{Host: host, OK: true, Watchdogs: new(len(p.Watchdogs)), States: map[string]int{}, Actions: new(0), MaxWatchdogs: p.MaxWatchdogs,
		MaxActions: p.MaxActions, SureActions: p.SureActions, Policy: "none"}
	for _, w := range p.Watchdogs {
		*r.Actions += len(w.Actions)
		r.States[agentStateText(w.State)]++
	}
	if p.PolicyOn != nil {
		r.Policy = map[bool]string{true: "on", false: "off"}[*p.PolicyOn]
	}
	return r
}

func agentStateText(mask eventlog.AgentState) string {
	return strings.Join(console.AgentStateNames(mask), ",")
}

type presenceShowCmd struct{ Many }

func (presenceShowCmd) Help() string {
	return "AMT can watch programs of the machine's operating system: each has a watchdog, and must send a heartbeat every so often " +
		"(see outband presence run). When one falls silent AMT logs an event, sends it to subscribers, and can switch a network policy on.\n\n" +
		example("outband presence show nuc1", "outband presence show @lab -o json")
}

func (c *presenceShowCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (*console.Presence, error) {
		return client.Presence(ctx)
	}, func(h hosts.Host, p *console.Presence, bad *failure) error {
		if bad != nil {
			if out.form == "table" {
				return nil // told on stderr
			}
			return out.object(presenceRecord{Host: h.Name, Error: problemOf(bad)}, "")
		}
		r := newPresenceRecord(h.Name, p)
		title := ""
		if len(list) > 1 {
			title = h.Name
		}
		var states []string
		for _, name := range console.AgentStateNames(console.AnyAgentState) {
			if n := r.States[name]; n > 0 {
				states = append(states, fmt.Sprintf("%d %s", n, name))
			}
		}
		policy := map[string]string{"none": "none bound for agents", "on": "switched on by an action", "off": "off"}[r.Policy]
		return out.object(r, title, [2]string{"watchdogs", ofMost(*r.Watchdogs, r.MaxWatchdogs)}, [2]string{"states", strings.Join(states, ", ")},
			[2]string{"actions", ofMost(*r.Actions, r.MaxActions)}, [2]string{"network policy", policy})
	})
}

// ofMost is "3 of 16".
func ofMost(n, most int) string {
	if most == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, most)
}
