package cli

import (
	"context"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type presenceActionCmd struct {
	List   watchdogActionListCmd   `cmd:"" help:"List the actions of a machine's watchdogs."`
	Add    watchdogActionAddCmd    `cmd:"" help:"Have AMT do something when the state of a watchdog changes."`
	Remove watchdogActionRemoveCmd `cmd:"" aliases:"delete" help:"Remove all actions of a watchdog."`
}

// A watchdogActionRecord is one action of one watchdog.
type watchdogActionRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Agent   string   `json:"agent,omitempty"` // GUID
	Name    string   `json:"name,omitempty"`
	From    []string `json:"from,omitempty"`
	To      []string `json:"to,omitempty"`
	Event   *bool    `json:"event,omitempty"`
	Policy  string   `json:"policy,omitempty"` // on, off
	EAC     *bool    `json:"eac,omitempty"`
	Removed *int     `json:"removed,omitempty"` // how many
	Error   *problem `json:"error,omitempty"`
}

func newWatchdogActionRecord(host string, w *console.Watchdog, a console.WatchdogAction) watchdogActionRecord {
	return watchdogActionRecord{Host: host, OK: true, Agent: w.ID.String(), Name: w.Name, From: console.AgentStateNames(a.From), To: console.AgentStateNames(a.To),
		Event: &a.Event, Policy: string(a.Policy), EAC: a.EAC}
}

func watchdogActionColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"WATCHDOG", 16}, {"FROM", 20}, {"TO", 20}, {"DOES", 0}}
}

func (r *watchdogActionRecord) cells() []cell {
	var does []string
	if *r.Event {
		does = append(does, "event")
	}
	if r.Policy != "" {
		does = append(does, "network policy "+r.Policy)
	}
	if r.EAC != nil && *r.EAC {
		does = append(does, "endpoint access control")
	}
	if does == nil {
		does = append(does, "nothing")
	}
	states := func(names []string) cell {
		if len(names) == len(console.AgentStateNames(console.AnyAgentState)) {
			return plain("any")
		}
		return plain(strings.Join(names, ","))
	}
	return []cell{plain(r.Host), plain(r.Name), states(r.From), states(r.To), plain(strings.Join(does, ", "))}
}

type watchdogActionListCmd struct {
	Many
	Agent string `placeholder:"AGENT" help:"Only those of this watchdog: name or GUID of the program."`
}

func (watchdogActionListCmd) Help() string {
	return example("outband presence action list nuc1", "outband presence action list @lab --agent antivirus -o json")
}

func (c *watchdogActionListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(watchdogActionColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Watchdog, error) {
		return client.WatchdogActions(ctx, c.Agent)
	}, func(h hosts.Host, watchdogs []console.Watchdog, bad *failure) error {
		if bad != nil {
			return out.failed(watchdogActionRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		none := true
		for _, w := range watchdogs {
			for _, action := range w.Actions {
				none = false
				r := newWatchdogActionRecord(h.Name, &w, action)
				if err := out.record(r, r.cells()...); err != nil {
					return err
				}
			}
		}
		if none {
			a.note("%s: no actions", h.Name)
		}
		return nil
	})
}

type watchdogActionAddCmd struct {
	Agent string `arg:"" help:"The watchdog: name or GUID of the program."`
	Many
	From   []string `default:"any" placeholder:"STATE" help:"States to come from: not-started, stopped, running, expired, suspended, any; several with commas."`
	To     []string `required:"" placeholder:"STATE" help:"States that lead to the action."`
	Event  bool     `help:"Log an event, and send it to subscribers."`
	Policy string   `enum:",on,off" default:"" placeholder:"on|off" help:"Switch the System Defense policy that is bound for agents on or off."`
	EAC    bool     `name:"eac" help:"Tell endpoint access control."`
}

func (watchdogActionAddCmd) Help() string {
	return "An action fires when the state goes from any of --from to any of --to.\n\n" +
		example("outband presence action add antivirus nuc1 --to expired --event",
			"outband presence action add antivirus nuc1 --from running,not-started --to expired --event --policy on",
			"outband presence action add antivirus nuc1 --from expired --to running --policy off")
}

func (c *watchdogActionAddCmd) Run(a *app) error {
	action := console.WatchdogAction{Event: c.Event, Policy: console.PolicySwitch(c.Policy)}
	if c.EAC {
		action.EAC = &c.EAC
	}
	var err error
	if action.From, err = console.ParseAgentStates(c.From); err != nil {
		return err
	}
	if action.To, err = console.ParseAgentStates(c.To); err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(watchdogActionColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Watchdog, error) {
		return client.AddWatchdogAction(ctx, c.Agent, action)
	}, func(h hosts.Host, w console.Watchdog, bad *failure) error {
		if bad != nil {
			return out.failed(watchdogActionRecord{Host: h.Name, Name: c.Agent, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newWatchdogActionRecord(h.Name, &w, action)
		return out.record(r, r.cells()...)
	})
}

type watchdogActionRemoveCmd struct {
	Agent string `arg:"" help:"The watchdog: name or GUID of the program."`
	Many
	Yes bool `short:"y" help:"Do not ask before removing them on several machines."`
}

func (watchdogActionRemoveCmd) Help() string {
	return "AMT removes all actions of a watchdog together; it cannot remove one alone.\n\n" + example("outband presence action remove antivirus nuc1")
}

func (c *watchdogActionRemoveCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "remove the actions of watchdog "+c.Agent); err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"WATCHDOG", 16}, column{"REMOVED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Watchdog, error) {
		return client.RemoveWatchdogActions(ctx, c.Agent)
	}, func(h hosts.Host, was console.Watchdog, bad *failure) error {
		if bad != nil {
			return out.failed(watchdogActionRecord{Host: h.Name, Name: c.Agent, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := watchdogActionRecord{Host: h.Name, OK: true, Agent: was.ID.String(), Name: was.Name, Removed: new(len(was.Actions))}
		return out.record(r, plain(h.Name), plain(was.Name), plain(ofMost(len(was.Actions), 0)+" actions"))
	})
}
