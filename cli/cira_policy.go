package cli

import (
	"context"
	"errors"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/guid"
)

type ciraPolicyCmd struct {
	Set    ciraPolicySetCmd    `cmd:"" help:"Say when a machine calls which server, instead of what the trigger had."`
	Remove ciraPolicyRemoveCmd `cmd:"" aliases:"delete" help:"Remove the policy of a trigger."`
}

type ciraPolicySetCmd struct {
	Trigger string `arg:"" help:"What has the machine call: user, alert, periodic or home."`
	Many
	Server   []string `required:"" placeholder:"ID" help:"Server, as outband cira show has it: mps-0, or its address; may be repeated: the first is tried first."`
	Every    string   `placeholder:"TIME" xor:"when" help:"Of the trigger periodic: call every 10m, 12h, 1d ..."`
	At       string   `placeholder:"HH:MM" xor:"when" help:"Of the trigger periodic: call daily at that time, by the machine's clock."`
	Lifetime string   `default:"0s" placeholder:"TIME" help:"Close the tunnel after 5m, 1h ...; default is never."`
	From     string   `enum:"outside,inside,both" default:"outside" help:"Call from outside of the home network, from inside, or both; default is outside."`
}

func (ciraPolicySetCmd) Help() string {
	return "The triggers: user, somebody at the machine asks for help (see outband cira connect); alert, an event that somebody has subscribed to; " +
		"periodic, the clock; home, setup from home. Each has one policy; when two want the tunnel the one that stands first here has it.\n\n" +
		example("outband cira policy set periodic nuc1 --server mps-0 --every 12h --lifetime 10m", "outband cira policy set user @field --server mps-0 --server mps-1 --lifetime 1h",
			"outband cira policy set periodic nuc1 --server mps-0 --at 02:30 --from both")
}

func (c *ciraPolicySetCmd) Run(a *app) error {
	trigger, err := console.ParseRemoteTrigger(c.Trigger)
	if err != nil {
		return err
	}
	want := console.RemotePolicy{Trigger: trigger}
	if want.Lifetime, err = parseDays(c.Lifetime); err != nil {
		return usage("", "--lifetime: %w", err)
	}
	switch {
	case c.Every != "":
		every, err := parseDays(c.Every)
		if err != nil || every == 0 {
			return usage("", "--every: %q is no time such as 10m, 12h or 1d", c.Every)
		}
		want.Period = &amt.Period{Every: every}
	case c.At != "":
		at, err := time.Parse("15:04", c.At)
		if err != nil {
			return usage("", "--at: %q is no time of day such as 02:30", c.At)
		}
		want.Period = &amt.Period{Hour: uint32(at.Hour()), Minute: uint32(at.Minute())}
	}
	for _, id := range c.Server {
		want.Servers = append(want.Servers, console.PolicyServer{ID: id, Inside: c.From != "outside", Outside: c.From != "inside"})
	}
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		now, err := client.SetRemotePolicy(ctx, want)
		return ciraRecord{Policy: new(newCIRAPolicy(now))}, err
	})
}

type ciraPolicyRemoveCmd struct {
	Trigger string `arg:"" help:"user, alert, periodic or home."`
	Many
}

func (ciraPolicyRemoveCmd) Help() string { return example("outband cira policy remove periodic nuc1") }

func (c *ciraPolicyRemoveCmd) Run(a *app) error {
	trigger, err := console.ParseRemoteTrigger(c.Trigger)
	if err != nil {
		return err
	}
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		gone, err := client.RemoveRemotePolicy(ctx, trigger)
		return ciraRecord{Policy: new(newCIRAPolicy(gone)), Removed: true}, err
	})
}

type ciraEnvironmentCmd struct {
	Set   ciraEnvironmentSetCmd   `cmd:"" help:"Say by which DNS suffixes a machine knows its home network."`
	Clear ciraEnvironmentClearCmd `cmd:"" help:"Let every network be home."`
}

type ciraEnvironmentSetCmd struct {
	Many
	Suffix  []string `placeholder:"DOMAIN" help:"DNS suffix of the home network, as DHCP tells it; may be repeated, up to five times."`
	Outside bool     `help:"The machine may find itself outside now, and close its ports to this network; without --suffix it is outside everywhere."`
}

func (ciraEnvironmentSetCmd) Help() string {
	return "In its home network AMT listens; elsewhere it closes its ports to the network and calls presence servers. Where DHCP tells none of these " +
		"suffixes is elsewhere. What would cut the machine off from here is refused without --outside, and always if no policy has it call a server then.\n\n" +
		example("outband cira environment set nuc1 --suffix example.org", "outband cira environment set @field --outside")
}

func (c *ciraEnvironmentSetCmd) Run(a *app) error {
	if len(c.Suffix) == 0 && !c.Outside {
		return usage("", "--suffix names the home network; --outside alone makes every network foreign")
	}
	return setHome(a, c.Many, c.Outside, func() []string {
		if len(c.Suffix) > 0 {
			return c.Suffix
		}
		return []string{guid.New().String() + ".com"} // a network that nobody has
	})
}

type ciraEnvironmentClearCmd struct{ Many }

func (ciraEnvironmentClearCmd) Help() string { return example("outband cira environment clear nuc1") }

func (c *ciraEnvironmentClearCmd) Run(a *app) error {
	return setHome(a, c.Many, false, func() []string { return nil })
}

// setHome sets the suffixes of the home network on every machine and shows all of remote access then.
func setHome(a *app, m Many, outside bool, suffixes func() []string) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	type result struct {
		now       console.CIRA
		reachable bool
	}
	out := a.printer()
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) (r result, err error) {
		r.now, r.reachable, err = client.SetHome(ctx, suffixes(), outside)
		if errors.Is(err, console.ErrNotOffered) {
			hint := "--outside says that this is meant"
			if outside {
				hint = "outband cira server add and outband cira policy set come first"
			}
			err = &failure{exitRefused, err, hint}
		}
		return r, err
	}, func(h hosts.Host, r result, bad *failure) error {
		if bad != nil {
			return out.failedObject(ciraRecord{Host: h.Name, Error: problemOf(bad)}, h.Name, bad, len(list) > 1)
		}
		record := newCIRARecord(h.Name, r.now)
		record.Reachable = &r.reachable
		if !r.reachable {
			a.note("%s: accepted; the machine cannot be reached from here any more, as it was told", h.Name)
		}
		return out.object(record, h.Name, record.lines()...)
	})
}
