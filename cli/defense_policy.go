package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type defensePolicyCmd struct {
	List   defensePolicyListCmd   `cmd:"" help:"List the policies of a machine."`
	Add    defensePolicyAddCmd    `cmd:"" help:"Add a policy. It does nothing until it is bound to a port."`
	Remove defensePolicyRemoveCmd `cmd:"" aliases:"delete" help:"Remove a policy that is not bound; its filters stay."`
}

// A policyRecord is one policy of one machine.
type policyRecord struct {
	Host       string   `json:"host"`
	OK         bool     `json:"ok"`
	Name       string   `json:"name,omitempty"`
	Number     uint32   `json:"number,omitempty"`
	Precedence *uint32  `json:"precedence,omitempty"`
	Filters    []string `json:"filters,omitempty"`
	In         string   `json:"in,omitempty"` // what is done with all else that is received: "drop, count"
	Out        string   `json:"out,omitempty"`
	AntiSpoof  *bool    `json:"anti_spoofing,omitempty"`
	Timeout    *float64 `json:"timeout_seconds,omitempty"` // 0: none
	BoundTo    []string `json:"bound_to,omitempty"`        // ports
	Removed    bool     `json:"removed,omitempty"`
	Error      *problem `json:"error,omitempty"`
}

func defaultText(d console.DefenseDefault) string {
	text := "pass"
	if d.Drop {
		text = "drop"
	}
	if d.Count {
		text += ", count"
	}
	if d.Event {
		text += ", event"
	}
	return text
}

func newPolicyRecord(host string, p *console.DefensePolicy, d *console.Defense) policyRecord {
	r := policyRecord{Host: host, OK: true, Name: p.Name, Number: p.Number(), Precedence: &p.Precedence, In: defaultText(p.In), Out: defaultText(p.Out),
		AntiSpoof: &p.AntiSpoofing, Timeout: new(p.Timeout.Seconds())}
	for _, handle := range p.Filters {
		name := strconv.FormatUint(uint64(handle), 10)
		if d != nil {
			if f, err := d.Filter(name); err == nil {
				name = f.Name
			}
		}
		r.Filters = append(r.Filters, name)
	}
	if d != nil {
		for _, b := range d.Bindings {
			if b.Policy == p.ID {
				r.BoundTo = append(r.BoundTo, b.Port+" for "+string(b.Owner))
			}
		}
	}
	return r
}

func policyColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"POLICY", 16}, {"PRECEDENCE", 10}, {"ELSE IN", 12}, {"ELSE OUT", 12}, {"FILTERS", 24}, {"BOUND TO", 0}}
}

func (r *policyRecord) cells() []cell {
	bound := strings.Join(r.BoundTo, ", ")
	if *r.Timeout > 0 {
		bound = strings.TrimPrefix(bound+", for "+daysText(time.Duration(*r.Timeout)*time.Second), ", ")
	}
	if *r.AntiSpoof {
		r.Filters = append(r.Filters, "(anti-spoofing)")
	}
	return []cell{plain(r.Host), plain(r.Name), plain(fmt.Sprint(*r.Precedence)), plain(r.In), plain(r.Out), plain(strings.Join(r.Filters, ", ")), plain(bound)}
}

type defensePolicyListCmd struct{ Many }

func (defensePolicyListCmd) Help() string {
	return example("outband defense policy list nuc1", "outband defense policy list @lab -o json")
}

func (c *defensePolicyListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(policyColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Defense, error) {
		return client.Defense(ctx)
	}, func(h hosts.Host, d console.Defense, bad *failure) error {
		if bad != nil {
			return out.failed(policyRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for i := range d.Policies {
			r := newPolicyRecord(h.Name, &d.Policies[i], &d)
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		if len(d.Policies) == 0 {
			a.note("%s: no policies", h.Name)
		}
		return nil
	})
}

type defensePolicyAddCmd struct {
	Name string `arg:"" help:"Name of the policy, at most 16 characters."`
	Many
	Filter       []string `placeholder:"NAME" help:"Filters of the policy, by name or number."`
	Precedence   uint32   `placeholder:"N" help:"Of the policies that are enabled on a port the highest is active; default 0."`
	ElseIn       string   `enum:"pass,drop" default:"pass" placeholder:"WHAT" help:"What to do with all else that is received: pass or drop."`
	ElseOut      string   `enum:"pass,drop" default:"pass" placeholder:"WHAT" help:"What to do with all else that is sent."`
	Count        bool     `help:"Count all else, too."`
	Event        bool     `help:"Log the first of all else, too."`
	AntiSpoofing bool     `help:"Drop what is sent from IPv4 addresses that are not the machine's."`
	Expires      string   `placeholder:"TIME" help:"Active for so long at most: 30m, 12h, 1d."`
}

func (defensePolicyAddCmd) Help() string {
	return "Any filter that drops a frame goes before those that pass it; what no filter is for is left to --else-in and --else-out.\n\n" +
		example("outband defense policy add office nuc1 --filter no-telnet,syn-flood", "outband defense policy add closed nuc1 --filter arp,dns --else-in drop --else-out drop --count")
}

func (c *defensePolicyAddCmd) Run(a *app) error {
	policy := console.DefensePolicy{Name: c.Name, Precedence: c.Precedence, AntiSpoofing: c.AntiSpoofing,
		In: console.DefenseDefault{Drop: c.ElseIn == "drop", Count: c.Count, Event: c.Event}, Out: console.DefenseDefault{Drop: c.ElseOut == "drop", Count: c.Count, Event: c.Event}}
	var err error
	if c.Expires != "" {
		if policy.Timeout, err = parseDays(c.Expires); err != nil {
			return usage("", "--expires: %w", err)
		}
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(policyColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.DefensePolicy, error) {
		return client.AddDefensePolicy(ctx, policy, c.Filter...)
	}, func(h hosts.Host, p console.DefensePolicy, bad *failure) error {
		if bad != nil {
			return out.failed(policyRecord{Host: h.Name, Name: c.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newPolicyRecord(h.Name, &p, nil)
		r.Filters = c.Filter
		return out.record(r, r.cells()...)
	})
}

type defensePolicyRemoveCmd struct {
	Name string `arg:"" help:"Name of the policy, or its number."`
	Many
}

func (defensePolicyRemoveCmd) Help() string {
	return example("outband defense policy remove office nuc1")
}

func (c *defensePolicyRemoveCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"REMOVED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]string, error) {
		return client.RemoveDefensePolicies(ctx, c.Name)
	}, func(h hosts.Host, gone []string, bad *failure) error {
		r := policyRecord{Host: h.Name, OK: bad == nil, Name: c.Name, Removed: bad == nil}
		if bad != nil {
			r.Error = problemOf(bad)
			return out.failed(r, len(list) > 1, failedRow(h, bad))
		}
		return out.record(r, plain(h.Name), cell{"policy " + strings.Join(gone, ", "), toneWarn})
	})
}

// defensePlace is where a policy is in force.
type defensePlace struct {
	Interface string `enum:"wired,wireless," default:"" placeholder:"PORT" help:"Network port: wired or wireless."`
	For       string `enum:"console,agents,outside,heuristics,default" default:"console" placeholder:"OWNER" help:"What enables it: console (at once), agents, outside, heuristics, default; see outband defense show."`
}

func bindingColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"PORT", 8}, {"POLICY", 16}, {"FOR", 10}, {"STATE", 0}}
}

func (r *bindingRecord) cells() []cell {
	return []cell{plain(r.Host), plain(r.Port), plain(r.Policy), plain(r.For), r.state()}
}

type defenseBindCmd struct {
	Policy string `arg:"" help:"Name of the policy, or its number."`
	Many
	defensePlace
	Replace bool `help:"Take the place of the policy that is bound there."`
}

func (defenseBindCmd) Help() string {
	return "On the wired port unless --interface says otherwise. A port has one policy for each owner.\n\n" +
		example("outband defense bind office nuc1", "outband defense bind closed nuc1 --for agents")
}

func (c *defenseBindCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(bindingColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.DefenseBinding, error) {
		return client.BindDefense(ctx, c.Policy, console.DefenseOwner(c.For), first(c.Interface, "wired"), c.Replace)
	}, func(h hosts.Host, b console.DefenseBinding, bad *failure) error {
		if bad != nil {
			return out.failed(bindingRecord{Host: h.Name, OK: new(false), Policy: c.Policy, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newBindingRecord(b)
		r.Host, r.OK = h.Name, new(true)
		return out.record(r, r.cells()...)
	})
}

type defenseUnbindCmd struct {
	Many
	defensePlace
}

func (defenseUnbindCmd) Help() string {
	return "Off all ports unless --interface says which.\n\n" + example("outband defense unbind nuc1", "outband defense unbind nuc1 --for agents --interface wired")
}

func (c *defenseUnbindCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(bindingColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.DefenseBinding, error) {
		return client.UnbindDefense(ctx, console.DefenseOwner(c.For), c.Interface)
	}, func(h hosts.Host, gone []console.DefenseBinding, bad *failure) error {
		if bad != nil {
			return out.failed(bindingRecord{Host: h.Name, OK: new(false), Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, b := range gone {
			r := bindingRecord{Host: h.Name, OK: new(true), Port: b.Port, For: string(b.Owner), Policy: b.Name, Unbound: true}
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		if len(gone) == 0 && out.form != "table" {
			return out.record(bindingRecord{Host: h.Name, OK: new(true)})
		}
		if len(gone) == 0 {
			a.note("%s: no policy was bound for %s", h.Name, c.For)
		}
		return nil
	})
}
