package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type defenseFilterCmd struct {
	List   defenseFilterListCmd   `cmd:"" help:"List the filters of a machine."`
	Add    defenseFilterAddCmd    `cmd:"" help:"Add a filter. It does nothing until a policy that has it is bound."`
	Remove defenseFilterRemoveCmd `cmd:"" aliases:"delete" help:"Remove filters that no policy has."`
}

// A filterRecord is one filter of one machine.
type filterRecord struct {
	Host      string   `json:"host"`
	OK        bool     `json:"ok"`
	Name      string   `json:"name,omitempty"`
	Handle    uint32   `json:"handle,omitempty"`
	Direction string   `json:"direction,omitempty"` // in, out
	Action    string   `json:"action,omitempty"`    // pass, drop, limit
	Rate      uint32   `json:"rate,omitempty"`      // frames per second
	Count     *bool    `json:"count,omitempty"`
	Event     *bool    `json:"event,omitempty"`
	Match     string   `json:"match,omitempty"` // in words
	Policies  []string `json:"policies,omitempty"`
	Removed   bool     `json:"removed,omitempty"`
	Error     *problem `json:"error,omitempty"`
}

func newFilterRecord(host string, f *console.DefenseFilter, policies []string) filterRecord {
	r := filterRecord{Host: host, OK: true, Name: f.Name, Handle: f.Handle, Direction: "out", Action: string(f.Action), Rate: f.Rate, Count: &f.Count, Event: &f.Event,
		Match: f.Match(), Policies: policies}
	if f.In {
		r.Direction = "in"
	}
	return r
}

func filterColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"FILTER", 16}, {"WAY", 3}, {"DOES", 20}, {"WITH", 40}, {"POLICIES", 0}}
}

func (r *filterRecord) cells() []cell {
	does := r.Action
	if r.Rate > 0 {
		does += " to " + strconv.FormatUint(uint64(r.Rate), 10) + "/s"
	}
	if *r.Count {
		does += ", count"
	}
	if *r.Event {
		does += ", event"
	}
	tone := toneGood
	if r.Action == string(console.DefenseDrop) {
		tone = toneBad
	}
	return []cell{plain(r.Host), plain(r.Name), plain(r.Direction), {does, tone}, plain(r.Match), plain(strings.Join(r.Policies, ", "))}
}

type defenseFilterListCmd struct{ Many }

func (defenseFilterListCmd) Help() string {
	return example("outband defense filter list nuc1", "outband defense filter list @lab -o json")
}

func (c *defenseFilterListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(filterColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Defense, error) {
		return client.Defense(ctx)
	}, func(h hosts.Host, d console.Defense, bad *failure) error {
		if bad != nil {
			return out.failed(filterRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for i := range d.Filters {
			r := newFilterRecord(h.Name, &d.Filters[i], d.UsedBy(d.Filters[i].Handle))
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		if len(d.Filters) == 0 {
			a.note("%s: no filters", h.Name)
		}
		return nil
	})
}

type defenseFilterAddCmd struct {
	Name string `arg:"" help:"Name of the filter, at most 16 characters."`
	Many
	In     bool   `xor:"way" help:"For what the machine receives."`
	Out    bool   `xor:"way" help:"For what the machine sends."`
	Action string `required:"" enum:"pass,drop,limit" placeholder:"WHAT" help:"pass, drop, or limit to --rate frames per second."`
	Rate   uint32 `placeholder:"N" help:"Frames per second that limit lets through."`
	Count  bool   `help:"Count the frames; limit always does."`
	Event  bool   `help:"Log the first frame, once until the statistics are read."`

	ARP       bool    `name:"arp" xor:"kind" help:"ARP frames."`
	EtherType string  `name:"ethertype" xor:"kind" placeholder:"TYPE" help:"Frames of an EtherType: ipv4, ipv6, arp or a number such as 0x88cc."`
	IPv6      bool    `name:"ipv6" xor:"kind" help:"IPv6 packets; default is IPv4."`
	VLAN      *uint16 `name:"vlan" placeholder:"ID" help:"With a VLAN tag; of Ethernet frames."`
	FromMAC   string  `name:"from-mac" placeholder:"MAC" help:"From this hardware address, maybe with /MASK; of Ethernet frames."`
	ToMAC     string  `name:"to-mac" placeholder:"MAC" help:"To this hardware address, maybe with /MASK; of Ethernet frames."`
	Protocol  string  `placeholder:"NAME" help:"tcp, udp, icmp ... or a number."`
	From      string  `placeholder:"ADDRESS" help:"From an address, a network (192.0.2.0/24) or a range (192.0.2.1-192.0.2.9)."`
	To        string  `placeholder:"ADDRESS" help:"To an address, a network or a range."`
	FromPort  string  `placeholder:"PORT" help:"From a port or a range (8000-8099)."`
	ToPort    string  `placeholder:"PORT" help:"To a port or a range."`
	Flags     string  `placeholder:"FLAGS" help:"TCP flags that are set, and with ! those that are not: syn,!ack."`
	DSCP      []uint8 `name:"dscp" placeholder:"N" help:"Any of these service code points (0 to 63)."`
}

func (defenseFilterAddCmd) Help() string {
	return "A frame must agree with all that is given. A machine holds 80 filters or so. Ports: one on each side, or a range on one side.\n\n" +
		example("outband defense filter add no-telnet nuc1 --in --action drop --count --protocol tcp --to-port 23",
			"outband defense filter add syn-flood nuc1 --out --action limit --rate 50 --event --protocol tcp --flags 'syn,!ack'",
			"outband defense filter add arp nuc1 --in --action pass --arp")
}

// filter reads the flags.
func (c *defenseFilterAddCmd) filter() (f console.DefenseFilter, err error) {
	if !c.In && !c.Out {
		return f, usage("", "which way? --in or --out says it")
	}
	f = console.DefenseFilter{Name: c.Name, In: c.In, Action: console.DefenseAction(c.Action), Rate: c.Rate, Count: c.Count || c.Action == "limit", Event: c.Event,
		SrcMAC: c.FromMAC, DstMAC: c.ToMAC, VLAN: c.VLAN, DSCP: c.DSCP}
	switch {
	case c.ARP:
		f.EtherType = 0x0806
	case c.EtherType != "":
		if f.EtherType, err = console.ParseEtherType(c.EtherType); err != nil {
			return f, usage("", "--ethertype: %w", err)
		}
	case c.FromMAC != "" || c.ToMAC != "" || c.VLAN != nil:
		return f, usage("", "--from-mac, --to-mac and --vlan are of Ethernet frames: --arp or --ethertype says which")
	case c.IPv6:
		f.Version = 6
	default:
		f.Version = 4
	}
	read := func(flag, text string, into func(string) error) {
		if text == "" || err != nil {
			return
		}
		if bad := into(text); bad != nil {
			err = usage("", "--%s: %w", flag, bad)
		}
	}
	read("protocol", c.Protocol, func(text string) error {
		p, err := console.ParseDefenseProtocol(text)
		f.Protocol = &p
		return err
	})
	read("from", c.From, func(text string) (err error) { f.Source, err = console.ParseDefenseAddresses(text); return err })
	read("to", c.To, func(text string) (err error) { f.Dest, err = console.ParseDefenseAddresses(text); return err })
	read("from-port", c.FromPort, func(text string) (err error) { f.SrcPorts, err = console.ParseDefensePorts(text); return err })
	read("to-port", c.ToPort, func(text string) (err error) { f.DstPorts, err = console.ParseDefensePorts(text); return err })
	read("flags", c.Flags, func(text string) (err error) {
		f.FlagsOn, f.FlagsOff, err = console.ParseDefenseFlags(text)
		return err
	})
	return f, err
}

func (c *defenseFilterAddCmd) Run(a *app) error {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(filterColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.DefenseFilter, error) {
		return client.AddDefenseFilter(ctx, filter)
	}, func(h hosts.Host, f console.DefenseFilter, bad *failure) error {
		if bad != nil {
			return out.failed(filterRecord{Host: h.Name, Name: c.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newFilterRecord(h.Name, &f, nil)
		return out.record(r, r.cells()...)
	})
}

type defenseFilterRemoveCmd struct {
	Name string `arg:"" help:"Name of the filter, or its number."`
	Many
}

func (defenseFilterRemoveCmd) Help() string {
	return example("outband defense filter remove no-telnet nuc1")
}

func (c *defenseFilterRemoveCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"REMOVED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]string, error) {
		return client.RemoveDefenseFilters(ctx, c.Name)
	}, func(h hosts.Host, gone []string, bad *failure) error {
		r := filterRecord{Host: h.Name, OK: bad == nil, Name: c.Name, Removed: bad == nil}
		if bad != nil {
			r.Error = problemOf(bad)
			return out.failed(r, len(list) > 1, failedRow(h, bad))
		}
		return out.record(r, plain(h.Name), cell{fmt.Sprintf("filter %s", strings.Join(gone, ", ")), toneWarn})
	})
}
