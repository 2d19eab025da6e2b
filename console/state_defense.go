package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StateDefense is System Defense: filters, the policies that have them, and on which ports these are. Each list that is
// there is whole. An isolation is a matter of the hour, and no part of it: it is neither saved nor lifted.
type StateDefense struct {
	Filters    *[]StateFilter  `json:"filters,omitempty"`
	Policies   *[]StatePolicy  `json:"policies,omitempty"`
	Bindings   *[]StateBinding `json:"bindings,omitempty"`
	Heuristics *StateHeuristic `json:"heuristics,omitempty"` // up to release 11

	locked   string
	isolated []string // ports of which a State does not tell: see [Client.Isolate]
}

// A StateFilter says what is done with frames that agree with all that is set, in the words of outband defense filter add.
type StateFilter struct {
	Name   string `json:"name"`
	Way    string `json:"way"`    // "in", "out"
	Action string `json:"action"` // "pass", "drop", "limit"
	Rate   uint32 `json:"rate,omitempty"`
	Count  bool   `json:"count,omitempty"`
	Event  bool   `json:"event,omitempty"`

	EtherType string  `json:"ethertype,omitempty"` // "arp", "ipv4", "ipv6" or "0x88cc": of an Ethernet filter
	FromMAC   string  `json:"from_mac,omitempty"`
	ToMAC     string  `json:"to_mac,omitempty"`
	VLAN      *uint16 `json:"vlan,omitempty"`
	Priority  *uint16 `json:"vlan_priority,omitempty"`

	IP       int     `json:"ip,omitempty"` // 4 (also 0) or 6: of an IP filter
	Protocol string  `json:"protocol,omitempty"`
	From     string  `json:"from,omitempty"`
	To       string  `json:"to,omitempty"`
	FromPort string  `json:"from_port,omitempty"`
	ToPort   string  `json:"to_port,omitempty"`
	Flags    string  `json:"flags,omitempty"`
	DSCP     []uint8 `json:"dscp,omitempty"`
}

// A StatePolicy is a set of filters, with what is done about all else.
type StatePolicy struct {
	Name         string       `json:"name"`
	Precedence   uint32       `json:"precedence"`
	Filters      []string     `json:"filters"`
	In           StateDefault `json:"in"`
	Out          StateDefault `json:"out"`
	AntiSpoofing bool         `json:"anti_spoofing,omitempty"`
	Timeout      uint32       `json:"timeout_seconds,omitempty"` // 0: for ever
}

// A StateDefault is what is done with frames that no filter matches.
type StateDefault struct {
	Drop  bool `json:"drop"`
	Count bool `json:"count,omitempty"`
	Event bool `json:"event,omitempty"`
}

// A StateBinding is a policy on a port.
type StateBinding struct {
	Port   string `json:"port"`  // "wired", "wireless"
	Owner  string `json:"owner"` // "console", "agents", "outside", "heuristics", "default"
	Policy string `json:"policy"`
}

func (b *StateBinding) id() string { return b.Port + " for " + b.Owner }

// StateHeuristic is what makes a PC look like a worm, and what is done then.
type StateHeuristic struct {
	Enabled   *bool   `json:"enabled,omitempty"`
	Fast      *uint32 `json:"fast_connections,omitempty"` // 0: not looked at
	FastClear *uint32 `json:"fast_clear_milliseconds,omitempty"`
	Slow      *uint32 `json:"slow_connections,omitempty"`
	SlowClear *uint32 `json:"slow_clear_seconds,omitempty"`
	BlockAll  *bool   `json:"block_all,omitempty"`
	BlockPort *bool   `json:"block_port,omitempty"`
	Encounter *uint32 `json:"encounter_seconds,omitempty"` // 0: until it is cleared
}

// etherTypes are the words for some EtherTypes.
var etherTypes = map[string]uint16{"ipv4": 0x0800, "ip": 0x0800, "ipv6": 0x86dd, "arp": 0x0806}

// ParseEtherType reads "arp", "ipv4", "ipv6" or a number. Errors wrap [ErrUsage].
func ParseEtherType(text string) (uint16, error) {
	if n, ok := etherTypes[strings.ToLower(text)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 0, 16)
	if err != nil {
		return 0, fmt.Errorf("%w: EtherType %q is none of ipv4, ipv6, arp, nor a number such as 0x88cc", ErrUsage, text)
	}
	return uint16(n), nil
}

// filter makes the filter that a State tells. Errors wrap [ErrUsage].
func (s *StateFilter) filter() (f DefenseFilter, err error) {
	if s.Way != "in" && s.Way != "out" {
		return f, fmt.Errorf("%w: way %q of filter %s is neither in nor out", ErrUsage, s.Way, s.Name)
	}
	f = DefenseFilter{Name: s.Name, In: s.Way == "in", Action: DefenseAction(s.Action), Rate: s.Rate, Count: s.Count || s.Action == string(DefenseLimit), Event: s.Event,
		SrcMAC: s.FromMAC, DstMAC: s.ToMAC, VLAN: s.VLAN, VLANPriority: s.Priority, Version: s.IP, DSCP: s.DSCP}
	if s.EtherType != "" {
		f.EtherType, err = ParseEtherType(s.EtherType)
	} else if f.Version == 0 {
		f.Version = 4
	}
	read := func(text string, into func(string) error) {
		if text != "" && err == nil {
			err = into(text)
		}
	}
	read(s.Protocol, func(text string) error {
		p, err := ParseDefenseProtocol(text)
		f.Protocol = &p
		return err
	})
	read(s.From, func(text string) (err error) { f.Source, err = ParseDefenseAddresses(text); return err })
	read(s.To, func(text string) (err error) { f.Dest, err = ParseDefenseAddresses(text); return err })
	read(s.FromPort, func(text string) (err error) { f.SrcPorts, err = ParseDefensePorts(text); return err })
	read(s.ToPort, func(text string) (err error) { f.DstPorts, err = ParseDefensePorts(text); return err })
	read(s.Flags, func(text string) (err error) { f.FlagsOn, f.FlagsOff, err = ParseDefenseFlags(text); return err })
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return f, fmt.Errorf("filter %s: %w", s.Name, err)
	}
	return f, nil
}

// stateFilter is the way back.
func stateFilter(f *DefenseFilter) StateFilter {
	s := StateFilter{Name: f.Name, Way: "out", Action: string(f.Action), Rate: f.Rate, Count: f.Count && f.Action != DefenseLimit, Event: f.Event,
		FromMAC: f.SrcMAC, ToMAC: f.DstMAC, VLAN: f.VLAN, Priority: f.VLANPriority, From: f.Source.String(), To: f.Dest.String(),
		FromPort: portsText(f.SrcPorts), ToPort: portsText(f.DstPorts), Flags: strings.Join(flagNames(f.FlagsOn, f.FlagsOff), ","), DSCP: f.DSCP}
	if f.In {
		s.Way = "in"
	}
	if f.EtherType != 0 {
		s.EtherType = fmt.Sprintf("0x%04x", f.EtherType)
		for _, name := range []string{"ipv4", "ipv6", "arp"} {
			if etherTypes[name] == f.EtherType {
				s.EtherType = name
			}
		}
	} else if s.IP = f.Version; s.IP == 4 {
		s.IP = 0
	}
	if f.Protocol != nil {
		s.Protocol = protocolName(*f.Protocol)
	}
	return s
}

func portsText(p *[2]uint16) string {
	switch {
	case p == nil:
		return ""
	case p[0] == p[1]:
		return strconv.Itoa(int(p[0]))
	}
	return fmt.Sprintf("%d-%d", p[0], p[1])
}

// filterWords tells all of a filter.
func filterWords(f *DefenseFilter) string {
	way := "out"
	if f.In {
		way = "in"
	}
	text := way + ", " + string(f.Action)
	if f.Rate > 0 {
		text += fmt.Sprintf(" to %d/s", f.Rate)
	}
	if f.Count {
		text += ", count"
	}
	if f.Event {
		text += ", event"
	}
	return text + ": " + f.Match()
}

func (p *StatePolicy) words() string {
	way := func(name string, d StateDefault) string {
		text := name + " pass"
		if d.Drop {
			text = name + " drop"
		}
		if d.Count {
			text += " count"
		}
		if d.Event {
			text += " event"
		}
		return text
	}
	text := fmt.Sprintf("precedence %d, filters %s, %s, %s", p.Precedence, cmp.Or(strings.Join(p.Filters, " "), "none"), way("in", p.In), way("out", p.Out))
	if p.AntiSpoofing {
		text += ", anti-spoofing"
	}
	if p.Timeout > 0 {
		text += ", for " + (time.Duration(p.Timeout) * time.Second).String()
	}
	return text
}

func readStateDefense(ctx context.Context, c *Client, s *State) error {
	d, err := c.Defense(ctx)
	if err != nil {
		return err
	}
	filters, policies, bindings := []StateFilter{}, []StatePolicy{}, []StateBinding{}
	names := map[uint32]string{}
	isolation := d.isolation()
	for i := range d.Filters {
		f := &d.Filters[i]
		if names[f.Handle] = f.Name; isolation == nil || !strings.HasPrefix(f.Name, isolationPrefix) {
			filters = append(filters, stateFilter(f))
		}
	}
	for _, p := range d.Policies {
		if p.Name == isolationPolicy {
			continue
		}
		one := StatePolicy{Name: p.Name, Precedence: p.Precedence, Filters: []string{}, In: StateDefault(p.In), Out: StateDefault(p.Out), AntiSpoofing: p.AntiSpoofing,
			Timeout: uint32(p.Timeout / time.Second)}
		for _, handle := range p.Filters {
			one.Filters = append(one.Filters, cmp.Or(names[handle], strconv.FormatUint(uint64(handle), 10)))
		}
		policies = append(policies, one)
	}
	var isolated []string
	for _, b := range d.Bindings {
		if slices.Contains(isolation, b.Policy) {
			isolated = append(isolated, (&StateBinding{Port: b.Port, Owner: string(b.Owner)}).id())
			continue
		}
		bindings = append(bindings, StateBinding{Port: b.Port, Owner: string(b.Owner), Policy: cmp.Or(b.Name, b.Policy)})
	}
	s.Defense = &StateDefense{Filters: &filters, Policies: &policies, Bindings: &bindings, locked: d.Locked, isolated: isolated}
	if h := d.Heuristics; h != nil {
		v := &StateHeuristic{Enabled: &h.Enabled, Fast: &h.Fast, Slow: &h.Slow, BlockAll: &h.BlockAll, BlockPort: &h.BlockPort, Encounter: new(uint32(h.Encounter / time.Second))}
		if h.Fast > 0 {
			v.FastClear = new(uint32(h.FastClear / time.Millisecond))
		}
		if h.Slow > 0 {
			v.SlowClear = new(uint32(h.SlowClear / time.Second))
		}
		s.Defense.Heuristics = v
	}
	return nil
}

// A defensePlan sorts changes: ports let go of policies, policies of filters; then all is made again the other way round.
// What is changed is made anew, as firmware changes neither filters nor policies.
type defensePlan struct {
	c                                                           *Client
	unbound, oldPolicies, oldFilters, filters, policies, bounds []Change
	anewFilters, anewPolicies                                   map[string]bool // names of those that are removed, maybe to be made again
}

func planDefense(c *Client, now, want *State, _ *StateHelp) ([]Change, error) {
	n, w := now.Defense, want.Defense
	p := &defensePlan{c: c, anewFilters: map[string]bool{}, anewPolicies: map[string]bool{}}
	if w.Filters != nil {
		if err := p.planFilters(*n.Filters, *w.Filters); err != nil {
			return nil, err
		}
	}
	if w.Policies != nil {
		if err := p.planPolicies(*n.Policies, *w.Policies); err != nil {
			return nil, err
		}
	} else if err := p.kept(n); err != nil {
		return nil, err
	}
	if w.Bindings != nil {
		for _, b := range *w.Bindings {
			if slices.Contains(n.isolated, b.id()) {
				return nil, fmt.Errorf("%w: the PC is isolated on its %s port, which is to be lifted first", ErrNotOffered, b.Port)
			}
		}
		if err := p.planBindings(*n.Bindings, *w.Bindings); err != nil {
			return nil, err
		}
	} else if i := slices.IndexFunc(*n.Bindings, func(b StateBinding) bool { return p.anewPolicies[b.Policy] }); i >= 0 {
		return nil, fmt.Errorf("%w: policy %s, which is to change, is on the %s port: the state must tell the bindings too", ErrUsage, (*n.Bindings)[i].Policy, (*n.Bindings)[i].Port)
	}
	out := slices.Concat(p.unbound, p.oldPolicies, p.oldFilters, p.filters, p.policies, p.bounds)
	if w.Heuristics != nil {
		if n.Heuristics == nil {
			return nil, fmt.Errorf("%w: no heuristics (releases up to 11 have them)", ErrUnsupported)
		}
		if change, ok := changeOf("heuristics", *n.Heuristics, *w.Heuristics); ok {
			change.do = func(ctx context.Context) error {
				_, err := c.SetDefenseHeuristics(ctx, w.Heuristics.into, false)
				return err
			}
			out = append(out, change)
		}
	}
	if len(out) > 0 && n.locked != "" {
		return nil, fmt.Errorf("%w: %s", ErrNotOffered, n.locked)
	}
	return out, nil
}

// kept refuses changes of filters that policies have which the State does not tell.
func (p *defensePlan) kept(n *StateDefense) error {
	for _, policy := range *n.Policies {
		for _, f := range policy.Filters {
			if p.anewFilters[f] {
				return fmt.Errorf("%w: filter %s, which is to change, is one of policy %s: the state must tell the policies too", ErrUsage, f, policy.Name)
			}
		}
	}
	return nil
}

func (p *defensePlan) planFilters(now, want []StateFilter) error {
	return compared(now, want, func(f *StateFilter) string { return f.Name }, func(n, w *StateFilter) error {
		var is, to DefenseFilter
		var err error
		if w != nil {
			if to, err = w.filter(); err != nil {
				return err
			}
		}
		if n != nil {
			is, err = n.filter()
			if err == nil && w != nil && filterWords(&is) == filterWords(&to) {
				return nil
			}
			p.anewFilters[n.Name] = true
			p.oldFilters = append(p.oldFilters, Change{Subject: "filter " + n.Name, From: filterWords(&is), do: func(ctx context.Context) error {
				_, err := p.c.RemoveDefenseFilters(ctx, n.Name)
				return err
			}})
		}
		if w != nil {
			p.filters = append(p.filters, Change{Subject: "filter " + w.Name, To: filterWords(&to), do: func(ctx context.Context) error {
				_, err := p.c.AddDefenseFilter(ctx, to)
				return err
			}})
		}
		return nil
	})
}

func (p *defensePlan) planPolicies(now, want []StatePolicy) error {
	return compared(now, want, func(f *StatePolicy) string { return f.Name }, func(n, w *StatePolicy) error {
		uses := n != nil && slices.ContainsFunc(n.Filters, func(f string) bool { return p.anewFilters[f] })
		if n != nil && w != nil && !uses && n.words() == w.words() {
			return nil
		}
		if n != nil {
			p.anewPolicies[n.Name] = true
			p.oldPolicies = append(p.oldPolicies, Change{Subject: "policy " + n.Name, From: n.words(), do: func(ctx context.Context) error {
				_, err := p.c.RemoveDefensePolicies(ctx, n.Name)
				return err
			}})
		}
		if w != nil {
			policy := DefensePolicy{Name: w.Name, Precedence: w.Precedence, In: DefenseDefault(w.In), Out: DefenseDefault(w.Out), AntiSpoofing: w.AntiSpoofing,
				Timeout: time.Duration(w.Timeout) * time.Second}
			if err := errors.Join(checkDefenseName("policy", w.Name), checkTimeout(policy.Timeout)); err != nil {
				return err
			}
			p.policies = append(p.policies, Change{Subject: "policy " + w.Name, To: w.words(), do: func(ctx context.Context) error {
				_, err := p.c.AddDefensePolicy(ctx, policy, w.Filters...)
				return err
			}})
		}
		return nil
	})
}

func (p *defensePlan) planBindings(now, want []StateBinding) error {
	return compared(now, want, (*StateBinding).id, func(n, w *StateBinding) error {
		loose := n != nil && p.anewPolicies[n.Policy]
		if n != nil && w != nil && n.Policy == w.Policy && !loose {
			return nil
		}
		if n != nil && (w == nil || loose) {
			p.unbound = append(p.unbound, Change{Subject: n.id(), From: n.Policy, do: func(ctx context.Context) error {
				_, err := p.c.UnbindDefense(ctx, DefenseOwner(n.Owner), n.Port)
				return err
			}})
		}
		if w == nil {
			return nil
		}
		if !slices.Contains(DefenseOwners(), DefenseOwner(w.Owner)) {
			return fmt.Errorf("%w: owner %q is none of %v", ErrUsage, w.Owner, DefenseOwners())
		}
		if _, err := portRef(w.Port); err != nil {
			return err
		}
		change := Change{Subject: w.id(), To: w.Policy, do: func(ctx context.Context) error {
			_, err := p.c.BindDefense(ctx, w.Policy, DefenseOwner(w.Owner), w.Port, true)
			return err
		}}
		if n != nil && !loose {
			change.From = n.Policy
		}
		p.bounds = append(p.bounds, change)
		return nil
	})
}

// into writes what a State tells into settings.
func (s *StateHeuristic) into(h *DefenseHeuristics) {
	for _, flag := range []struct{ from, to *bool }{{s.Enabled, &h.Enabled}, {s.BlockAll, &h.BlockAll}, {s.BlockPort, &h.BlockPort}} {
		if flag.from != nil {
			*flag.to = *flag.from
		}
	}
	for _, count := range []struct{ from, to *uint32 }{{s.Fast, &h.Fast}, {s.Slow, &h.Slow}} {
		if count.from != nil {
			*count.to = *count.from
		}
	}
	for _, d := range []struct {
		from *uint32
		unit time.Duration
		to   *time.Duration
	}{{s.FastClear, time.Millisecond, &h.FastClear}, {s.SlowClear, time.Second, &h.SlowClear}, {s.Encounter, time.Second, &h.Encounter}} {
		if d.from != nil {
			*d.to = time.Duration(*d.from) * d.unit
		}
	}
}
