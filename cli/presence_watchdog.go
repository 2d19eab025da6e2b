package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/guid"
)

type presenceWatchdogCmd struct {
	List   watchdogListCmd   `cmd:"" help:"List the watchdogs of a machine, and how their programs are."`
	Add    watchdogAddCmd    `cmd:"" help:"Have a machine watch a program."`
	Remove watchdogRemoveCmd `cmd:"" aliases:"delete" help:"Remove watchdogs, with their actions."`
}

// A watchdogRecord is one watchdog of one machine.
type watchdogRecord struct {
	Host      string   `json:"host"`
	OK        bool     `json:"ok"`
	Agent     string   `json:"agent,omitempty"` // GUID
	Name      string   `json:"name,omitempty"`
	State     string   `json:"state,omitempty"`
	Startup   *float64 `json:"startup_seconds,omitempty"`
	Heartbeat *float64 `json:"heartbeat_seconds,omitempty"`
	Actions   *int     `json:"actions,omitempty"`
	Removed   bool     `json:"removed,omitempty"`
	Error     *problem `json:"error,omitempty"`
}

func newWatchdogRecord(host string, w console.Watchdog) watchdogRecord {
	return watchdogRecord{Host: host, OK: true, Agent: w.ID.String(), Name: w.Name, State: agentStateText(w.State), Startup: new(w.Startup.Seconds()),
		Heartbeat: new(w.Timeout.Seconds()), Actions: new(len(w.Actions))}
}

func watchdogColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"NAME", 16}, {"AGENT", 36}, {"STATE", 11}, {"STARTUP", 7}, {"HEARTBEAT", 9}, {"ACTIONS", 0}}
}

func (r *watchdogRecord) cells() []cell {
	state := cell{text: r.State}
	switch r.State {
	case agentStateText(eventlog.Running):
		state.tone = toneGood
	case agentStateText(eventlog.Expired):
		state.tone = toneBad
	}
	interval := func(seconds *float64) cell { return plain(daysText(time.Duration(*seconds) * time.Second)) }
	return []cell{plain(r.Host), plain(r.Name), plain(r.Agent), state, interval(r.Startup), interval(r.Heartbeat), plain(fmt.Sprint(*r.Actions))}
}

type watchdogListCmd struct{ Many }

func (watchdogListCmd) Help() string {
	return "States: not-started (the startup interval runs), running, stopped (it has ended in good order), expired (it is late), " +
		"suspended (the machine is off, asleep or starting).\n\n" +
		example("outband presence watchdog list nuc1", "outband presence watchdog list @lab -o json")
}

func (c *watchdogListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(watchdogColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (*console.Presence, error) {
		return client.Presence(ctx)
	}, func(h hosts.Host, p *console.Presence, bad *failure) error {
		if bad != nil {
			return out.failed(watchdogRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, w := range p.Watchdogs {
			r := newWatchdogRecord(h.Name, w)
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		if len(p.Watchdogs) == 0 {
			a.note("%s: no watchdogs", h.Name)
		}
		return nil
	})
}

type watchdogAddCmd struct {
	Name string `arg:"" help:"Name of the program, at most 16 characters."`
	Many
	Agent     string        `placeholder:"GUID" help:"What the program registers as; default is a new one, the same for all machines named."`
	Startup   time.Duration `default:"1h" placeholder:"TIME" help:"How long the program may take to register once the machine is on; up to 18h12m15s."`
	Heartbeat time.Duration `default:"1m" placeholder:"TIME" help:"How long it may be silent afterwards."`
}

func (watchdogAddCmd) Help() string {
	return "A watchdog alone shows the state of its program; add an action to have AMT do something about it.\n\n" +
		example("outband presence watchdog add antivirus nuc1", "outband presence watchdog add backup @lab --agent 03020100-0504-0706-0809-0a0b0c0d0e0f --heartbeat 5m")
}

func (c *watchdogAddCmd) Run(a *app) error {
	w := console.Watchdog{ID: guid.New(), Name: c.Name, Startup: c.Startup, Timeout: c.Heartbeat}
	if c.Agent != "" {
		var err error
		if w.ID, err = guid.Parse(c.Agent); err != nil {
			return usage("", "--agent: %w", err)
		}
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(watchdogColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Watchdog, error) {
		return client.AddWatchdog(ctx, w)
	}, func(h hosts.Host, now console.Watchdog, bad *failure) error {
		if bad != nil {
			return out.failed(watchdogRecord{Host: h.Name, Name: c.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newWatchdogRecord(h.Name, now)
		return out.record(r, r.cells()...)
	})
}

type watchdogRemoveCmd struct {
	Agent string `arg:"" help:"Name or GUID of the program."`
	Many
	Yes bool `short:"y" help:"Do not ask before removing it from several machines."`
}

func (watchdogRemoveCmd) Help() string {
	return example("outband presence watchdog remove antivirus nuc1")
}

func (c *watchdogRemoveCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "remove watchdog "+c.Agent); err != nil {
		return err
	}
	out := a.printer(watchdogColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Watchdog, error) {
		return client.RemoveWatchdogs(ctx, c.Agent)
	}, func(h hosts.Host, gone []console.Watchdog, bad *failure) error {
		if bad != nil {
			return out.failed(watchdogRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, w := range gone {
			r := newWatchdogRecord(h.Name, w)
			cells := r.cells()
			r.Removed, r.State = true, ""
			cells[3] = cell{"removed", toneWarn}
			if err := out.record(r, cells...); err != nil {
				return err
			}
		}
		return nil
	})
}
