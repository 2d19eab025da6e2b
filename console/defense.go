package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// A Defense is the packet filter that AMT has in front of the operating system: System Defense. Filters are gathered in
// policies, and policies are bound to network ports. Source: spec inventory-events-policies.md section 5.
type Defense struct {
	Filters  []DefenseFilter // by handle
	Policies []DefensePolicy // by number
	Bindings []DefenseBinding

	Limits     DefenseLimits
	Heuristics *DefenseHeuristics // nil: releases 12 and newer have none
	Wireless   bool               // there is a wireless port beside the wired one
	Locked     string             // why nothing can be changed; "" if it can
}

// DefenseLimits are what there can be at most; 0: not told.
type DefenseLimits struct {
	Policies, Filters int
	In, Out           int // filters of one policy
	In6, Out6         int // of them for IPv6
	Room6             int // each of which takes the room of so many
	AntiSpoofing      bool
}

// A DefensePolicy is a set of filters, with what is done about all else.
type DefensePolicy struct {
	ID           string // "Intel(r) AMT:Policy 1"
	Name         string
	Precedence   uint32   // of those that are enabled on a port the highest is active
	Filters      []uint32 // handles
	In, Out      DefenseDefault
	AntiSpoofing bool          // drop what the PC sends from addresses of others
	Timeout      time.Duration // active for so long at most; 0: for ever. Whole seconds
}

// A DefenseDefault is what is done with frames that no filter matches.
type DefenseDefault struct{ Drop, Count, Event bool }

// A DefenseBinding is a policy on a port.
type DefenseBinding struct {
	Port    string // "wired", "wireless"
	Owner   DefenseOwner
	Policy  string // its ID
	Name    string // its name; "" if there is no such policy
	Enabled bool   // what the owner waits for has happened
	Active  bool   // it is the one that counts
}

// A DefenseOwner says what enables a policy that is bound to a port.
type DefenseOwner string

// The owners.
const (
	OwnerConsole    DefenseOwner = "console"    // enabled as it is bound
	OwnerAgents     DefenseOwner = "agents"     // by actions of agent presence
	OwnerOutside    DefenseOwner = "outside"    // when the machine is not in its home network
	OwnerHeuristics DefenseOwner = "heuristics" // when the PC behaves like a worm
	OwnerDefault    DefenseOwner = "default"    // when no other is
)

// DefenseOwners returns all owners.
func DefenseOwners() []DefenseOwner {
	return []DefenseOwner{OwnerConsole, OwnerAgents, OwnerOutside, OwnerHeuristics, OwnerDefault}
}

// Policy finds a policy by name, number or ID.
func (d *Defense) Policy(name string) (*DefensePolicy, error) {
	var found *DefensePolicy
	for i := range d.Policies {
		p := &d.Policies[i]
		if p.ID == name || strconv.FormatUint(uint64(p.Number()), 10) == name {
			return p, nil
		}
		if p.Name == name {
			if found != nil {
				return nil, fmt.Errorf("%w: several policies are called %q; name the number", ErrUsage, name)
			}
			found = p
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no policy %q", ErrUsage, name)
	}
	return found, nil
}

// Number is the number at the end of the policy's ID.
func (p *DefensePolicy) Number() uint32 {
	n, _ := strconv.ParseUint(p.ID[strings.LastIndexByte(p.ID, ' ')+1:], 10, 32)
	return uint32(n)
}

// Filter finds a filter by name or handle.
func (d *Defense) Filter(name string) (*DefenseFilter, error) {
	var found *DefenseFilter
	for i := range d.Filters {
		f := &d.Filters[i]
		if strconv.FormatUint(uint64(f.Handle), 10) == name {
			return f, nil
		}
		if f.Name == name {
			if found != nil {
				return nil, fmt.Errorf("%w: several filters are called %q; name the number", ErrUsage, name)
			}
			found = f
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: no filter %q", ErrUsage, name)
	}
	return found, nil
}

// UsedBy returns the names of the policies that have a filter.
func (d *Defense) UsedBy(handle uint32) (names []string) {
	for i := range d.Policies {
		if slices.Contains(d.Policies[i].Filters, handle) {
			names = append(names, d.Policies[i].Name)
		}
	}
	return names
}

// Defense reads filters, policies, where they are bound, and limits.
func (c *Client) Defense(ctx context.Context) (Defense, error) {
	d, err := c.defense(ctx)
	if err != nil {
		return d, fmt.Errorf("system defense: %w", err)
	}
	return d, nil
}

func (c *Client) defense(ctx context.Context) (d Defense, err error) {
	var ip []*amt.IPHeadersFilter
	var mac []*amt.Hdr8021Filter
	var policies []*amt.SystemDefensePolicy
	var port []*amt.NetworkPortSystemDefenseCapabilities
	var general *amt.GeneralSystemDefenseCapabilities
	var setup *ips.HostBasedSetupService
	bound := make([][]DefenseBinding, len(DefenseOwners()))
	do := []func() error{
		func() (err error) { policies, err = class.All[amt.SystemDefensePolicy](ctx, c); return err },
		func() (err error) { ip, err = list[amt.IPHeadersFilter](ctx, c); return err },
		func() (err error) { mac, err = list[amt.Hdr8021Filter](ctx, c); return err },
		func() (err error) {
			port, err = list[amt.NetworkPortSystemDefenseCapabilities](ctx, c)
			return lenient(err)
		},
		func() (err error) {
			general, err = ask[amt.GeneralSystemDefenseCapabilities](ctx, c)
			return lenient(err)
		},
		func() (err error) { setup, err = ask[ips.HostBasedSetupService](ctx, c); return lenient(err) },
		func() (err error) { d.Heuristics, err = c.heuristics(ctx); return err },
		func() error {
			return lenient(eachOf(ctx, c, func(v *amt.EthernetPortSettings) {
				d.Wireless = d.Wireless || strings.HasSuffix(class.Value(v.InstanceID), " 1")
			}))
		},
	}
	for i, owner := range DefenseOwners() {
		do = append(do, func() (err error) { bound[i], err = c.bindings(ctx, owner); return err })
	}
	if err := together(do...); err != nil {
		if isAbsent(err) {
			err = fmt.Errorf("%w: no System Defense", ErrUnsupported)
		}
		return d, err
	}
	for _, v := range ip {
		d.Filters = append(d.Filters, readIPFilter(v))
	}
	for _, v := range mac {
		d.Filters = append(d.Filters, readMACFilter(v))
	}
	slices.SortFunc(d.Filters, func(a, b DefenseFilter) int { return int(int64(a.Handle) - int64(b.Handle)) })
	for _, v := range policies {
		d.Policies = append(d.Policies, readPolicy(v))
	}
	slices.SortFunc(d.Policies, func(a, b DefensePolicy) int { return int(int64(a.Number()) - int64(b.Number())) })
	for _, list := range bound {
		for _, b := range list {
			if p, err := d.Policy(b.Policy); err == nil {
				b.Name = p.Name
			}
			d.Bindings = append(d.Bindings, b)
		}
	}
	d.Limits = defenseLimits(general, port)
	if setup != nil && class.Value(setup.CurrentControlMode) == ips.ControlModeClient {
		d.Locked = "in client control mode AMT keeps System Defense from being changed"
	}
	return d, c.policyTimeouts(ctx, &d)
}

// policyTimeouts asks for how long policies stay active; releases before 4.0 do not know.
func (c *Client) policyTimeouts(ctx context.Context, d *Defense) error {
	var do []func() error
	for i := range d.Policies {
		p := &d.Policies[i]
		do = append(do, func() error {
			out, err := amt.SystemDefensePolicyGetTimeout.Invoke(ctx, c, amt.SystemDefensePolicyGetTimeoutIn{}, wsman.Selector{Name: "InstanceID", Value: p.ID})
			if err != nil {
				return lenient(err)
			}
			p.Timeout = time.Duration(class.Value(out.Timeout)) * time.Second
			return nil
		})
	}
	return together(do...)
}

func defenseLimits(general *amt.GeneralSystemDefenseCapabilities, ports []*amt.NetworkPortSystemDefenseCapabilities) (l DefenseLimits) {
	if general != nil {
		l.Policies, l.Filters = int(class.Value(general.GlobalMaxSupportedPolicies)), int(class.Value(general.GlobalMaxSupportedFilters))
	}
	if len(ports) > 0 {
		p := ports[0]
		l.In, l.Out = int(class.Value(p.IPv4_MaxRxFilters)), int(class.Value(p.IPv4_MaxTxFilters))
		l.In6, l.Out6, l.Room6 = int(class.Value(p.IPv6_MaxRxFilters)), int(class.Value(p.IPv6_MaxTxFilters)), int(class.Value(p.IPv6_to_IPv4_Ratio))
		l.AntiSpoofing = class.Value(p.IPv4_AntiSpoofingCapable)
	}
	return l
}

func readPolicy(v *amt.SystemDefensePolicy) DefensePolicy {
	return DefensePolicy{ID: class.Value(v.InstanceID), Name: class.Value(v.PolicyName), Precedence: class.Value(v.PolicyPrecedence), Filters: v.FilterCreationHandles,
		AntiSpoofing: class.Value(v.AntiSpoofingSupport) != 0,
		In:           DefenseDefault{class.Value(v.RxDefaultDrop), class.Value(v.RxDefaultCount), class.Value(v.RxDefaultMatchEvent)},
		Out:          DefenseDefault{class.Value(v.TxDefaultDrop), class.Value(v.TxDefaultCount), class.Value(v.TxDefaultMatchEvent)}}
}

// Network ports by name.
var defensePorts = []string{"wired", "wireless"}

const portDevice = "Intel(r) AMT Ethernet Port "

// portRef is the reference to a port.
func portRef(port string) (wsman.EPR, error) {
	i := slices.Index(defensePorts, port)
	if i < 0 {
		return wsman.EPR{}, fmt.Errorf("%w: port %q is none of %s", ErrUsage, port, strings.Join(defensePorts, ", "))
	}
	return wsman.Ref("CIM_EthernetPort", "CreationClassName", "CIM_EthernetPort", "DeviceID", portDevice+strconv.Itoa(i),
		"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT"), nil
}

func policyRef(id string) wsman.EPR { return wsman.Ref("AMT_SystemDefensePolicy", "InstanceID", id) }

// bindings reads what an owner has bound.
func (c *Client) bindings(ctx context.Context, owner DefenseOwner) (out []DefenseBinding, err error) {
	add := func(port, policy *wsman.EPR, active, enabled *bool) {
		if port == nil || policy == nil {
			return
		}
		b := DefenseBinding{Port: port.Selectors.Value("DeviceID"), Owner: owner, Policy: policy.Selectors.Value("InstanceID"), Active: class.Value(active), Enabled: class.Value(enabled)}
		for i, name := range defensePorts {
			if b.Port == portDevice+strconv.Itoa(i) {
				b.Port = name
			}
		}
		out = append(out, b)
	}
	switch owner {
	case OwnerConsole:
		err = eachOf(ctx, c, func(v *amt.NetworkPortSystemDefensePolicy) { add(v.Antecedent, v.Dependent, v.Active, v.Enabled) })
	case OwnerAgents:
		err = eachOf(ctx, c, func(v *amt.AgentPresenceInterfacePolicy) { add(v.Antecedent, v.Dependent, v.Active, v.Enabled) })
	case OwnerOutside:
		err = eachOf(ctx, c, func(v *amt.EnvironmentDetectionInterfacePolicy) { add(v.Antecedent, v.Dependent, v.Active, v.Enabled) })
	case OwnerHeuristics:
		err = eachOf(ctx, c, func(v *amt.HeuristicPacketFilterInterfacePolicy) { add(v.Antecedent, v.Dependent, v.Active, v.Enabled) })
	case OwnerDefault:
		err = eachOf(ctx, c, func(v *amt.NetworkPortDefaultSystemDefensePolicy) {
			add(v.Antecedent, v.Dependent, v.Active, new(true))
		})
	}
	return out, lenient(err)
}

// eachOf calls f for all instances of a class; there are none of one that the machine lacks.
func eachOf[T any, P class.Pointer[T]](ctx context.Context, c *Client, f func(*T)) error {
	all, err := list[T, P](ctx, c)
	for _, v := range all {
		f(v)
	}
	return err
}

// mayChange refuses what the machine would refuse.
func (d *Defense) mayChange() error {
	if d.Locked != "" {
		return fmt.Errorf("%w: %s", ErrNotOffered, d.Locked)
	}
	return nil
}

// checkDefenseName holds the name of a filter or a policy against what firmware takes.
func checkDefenseName(what, name string) error {
	if len(name) == 0 || len(name) > maxDefenseName || strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("<>&\"", r) }) >= 0 {
		return fmt.Errorf("%w: name %q of the %s does not have 1 to %d printable characters, none of <, >, &, quote", ErrUsage, name, what, maxDefenseName)
	}
	return nil
}

// maxDefenseName is how long the names of filters and policies may be. Source: the vendor's guide, "Create an IP Filter".
const maxDefenseName = 16
