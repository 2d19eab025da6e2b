package cli

import (
	"context"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type defenseIsolateCmd struct {
	Many
	Keep      []string `default:"dhcp" placeholder:"WHAT" help:"What is let through: arp, dhcp, dns, ping (all with ARP), or none; default dhcp. IPv4 only."`
	Allow     []string `placeholder:"ADDRESS" help:"Who may be spoken to: an address, a network (192.0.2.0/24) or a range."`
	Interface string   `enum:"wired,wireless," default:"" placeholder:"PORT" help:"Network port: wired or wireless; default is all that the machine has."`
	Expires   string   `placeholder:"TIME" help:"End by itself after 30m, 12h, 1d ..."`
	Event     bool     `help:"Log the first frame that is dropped in each direction."`
	Replace   bool     `help:"Take the place of policies that were bound for console before."`
	Yes       bool     `short:"y" help:"Do not ask before isolating several machines."`
}

func (defenseIsolateCmd) Help() string {
	return "For a machine that is lost or infected: AMT drops all that its operating system sends and receives, but for what is kept. AMT itself stays " +
		"reachable: its connections are never filtered. It stays so over restarts, until outband defense release, or --expires. Isolating again " +
		"with other flags takes the place of what was.\n\n" +
		example("outband defense isolate nuc1", "outband defense isolate @infected --keep dhcp,dns --allow 192.0.2.5 --yes", "outband defense isolate nuc1 --keep none --expires 12h")
}

// An isolateRecord is whether a machine is cut off.
type isolateRecord struct {
	Host     string   `json:"host"`
	OK       bool     `json:"ok"`
	Isolated *bool    `json:"isolated,omitempty"`
	Ports    []string `json:"ports,omitempty"`
	Keep     []string `json:"keep,omitempty"` // what gets through
	Timeout  float64  `json:"timeout_seconds,omitempty"`
	Replaced []string `json:"replaced,omitempty"` // policies whose place was taken
	Error    *problem `json:"error,omitempty"`
}

func isolateColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"STATE", 10}, {"PORTS", 16}, {"KEPT", 0}}
}

func (r *isolateRecord) cells() []cell {
	state, kept := cell{"isolated", toneBad}, strings.Join(append([]string{"AMT"}, r.Keep...), ", ")
	if !*r.Isolated {
		state, kept = cell{"free", toneGood}, "everything"
	}
	if r.Timeout > 0 {
		kept += "; for " + daysText(time.Duration(r.Timeout)*time.Second)
	}
	return []cell{plain(r.Host), state, plain(strings.Join(r.Ports, ", ")), plain(kept)}
}

// isolation reads the flags.
func (c *defenseIsolateCmd) isolation() (o console.Isolation, err error) {
	o = console.Isolation{Event: c.Event, Replace: c.Replace}
	for _, word := range c.Keep {
		if word != "none" {
			o.Keep = append(o.Keep, word)
		} else if len(c.Keep) > 1 {
			return o, usage("", "--keep none stands alone")
		}
	}
	for _, text := range c.Allow {
		at, err := console.ParseDefenseAddresses(text)
		if err != nil {
			return o, usage("", "--allow: %w", err)
		}
		o.Allow = append(o.Allow, at)
	}
	if c.Interface != "" {
		o.Ports = []string{c.Interface}
	}
	if c.Expires != "" {
		if o.Timeout, err = parseDays(c.Expires); err != nil {
			return o, usage("", "--expires: %w", err)
		}
	}
	return o, nil
}

func (c *defenseIsolateCmd) Run(a *app) error {
	isolation, err := c.isolation()
	if err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "cut off the network"); err != nil {
		return err
	}
	out := a.printer(isolateColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.IsolationState, error) {
		return client.Isolate(ctx, isolation)
	}, func(h hosts.Host, s console.IsolationState, bad *failure) error {
		if bad != nil {
			return out.failed(isolateRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := isolateRecord{Host: h.Name, OK: true, Isolated: &s.Isolated, Ports: s.Ports, Keep: s.Keep, Timeout: s.Timeout.Seconds(), Replaced: s.Replaced}
		for _, name := range s.Replaced {
			a.note("%s: policy %q is not in force any more; outband defense bind puts it back after the release", h.Name, name)
		}
		return out.record(r, r.cells()...)
	})
}

type defenseReleaseCmd struct {
	Many
	Yes bool `short:"y" help:"Do not ask before releasing several machines."`
}

func (defenseReleaseCmd) Help() string {
	return example("outband defense release nuc1", "outband defense release @infected --yes")
}

func (c *defenseReleaseCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "let back into the network"); err != nil {
		return err
	}
	out := a.printer(isolateColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]string, error) {
		return client.Release(ctx)
	}, func(h hosts.Host, ports []string, bad *failure) error {
		if bad != nil {
			return out.failed(isolateRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		if len(ports) == 0 {
			a.note("%s: it was not isolated", h.Name)
		}
		r := isolateRecord{Host: h.Name, OK: true, Isolated: new(false), Ports: ports}
		return out.record(r, r.cells()...)
	})
}
