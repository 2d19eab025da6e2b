package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/wsman"
)

// AddDefensePolicy makes a policy and returns it as the machine has it then; filters are named by name or handle. It does
// nothing until it is bound to a port. What the firmware would refuse is an error that wraps [ErrUsage] or
// [ErrNotOffered], and nothing is sent.
func (c *Client) AddDefensePolicy(ctx context.Context, p DefensePolicy, filters ...string) (DefensePolicy, error) {
	now, err := c.addDefensePolicy(ctx, p, filters)
	if err != nil {
		return now, fmt.Errorf("add policy %s: %w", p.Name, err)
	}
	return now, nil
}

func (c *Client) addDefensePolicy(ctx context.Context, p DefensePolicy, filters []string) (DefensePolicy, error) {
	if err := checkDefenseName("policy", p.Name); err != nil {
		return p, err
	}
	if err := checkTimeout(p.Timeout); err != nil {
		return p, err
	}
	d, err := c.defense(ctx)
	if err != nil {
		return p, err
	}
	for _, name := range filters {
		f, err := d.Filter(name)
		if err != nil {
			return p, err
		}
		if slices.Contains(p.Filters, f.Handle) {
			return p, fmt.Errorf("%w: filter %q is named twice", ErrUsage, name)
		}
		p.Filters = append(p.Filters, f.Handle)
	}
	if slices.ContainsFunc(d.Policies, func(other DefensePolicy) bool { return other.Name == p.Name }) {
		return p, fmt.Errorf("%w: there is a policy %q", ErrUsage, p.Name)
	}
	if err := d.room(&p); err != nil {
		return p, err
	}
	if p.ID, err = c.createPolicy(ctx, &p); err != nil {
		return p, err
	}
	if d, err = c.defense(ctx); err != nil {
		return p, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now, err := d.Policy(p.ID)
	if err != nil {
		return p, ErrDiffers
	}
	if now.Name != p.Name || now.Precedence != p.Precedence || now.In != p.In || now.Out != p.Out || now.AntiSpoofing != p.AntiSpoofing || now.Timeout != p.Timeout ||
		!slices.Equal(now.Filters, p.Filters) {
		return *now, ErrDiffers
	}
	return *now, nil
}

func checkTimeout(d time.Duration) error {
	if d < 0 || d%time.Second != 0 || d/time.Second > 1<<32-1 {
		return fmt.Errorf("%w: a timeout of %v is not one of whole seconds", ErrUsage, d)
	}
	return nil
}

// room holds a policy against the limits of the machine.
func (d *Defense) room(p *DefensePolicy) error {
	if err := d.mayChange(); err != nil {
		return err
	}
	l := &d.Limits
	if l.Policies > 0 && len(d.Policies) >= l.Policies {
		return fmt.Errorf("%w: the machine has %d policies, and holds no more", ErrNotOffered, len(d.Policies))
	}
	if p.AntiSpoofing && !l.AntiSpoofing {
		return fmt.Errorf("%w: the network port cannot look for forged addresses", ErrUnsupported)
	}
	for _, in := range []bool{true, false} {
		room, six := 0, 0
		for _, f := range d.Filters {
			switch {
			case f.In != in || !slices.Contains(p.Filters, f.Handle):
			case f.Version == 6:
				six++
				room += max(l.Room6, 1)
			default:
				room++
			}
		}
		most, most6, way := l.Out, l.Out6, "sent"
		if in {
			most, most6, way = l.In, l.In6, "received"
		}
		if most > 0 && room > most || most6 > 0 && six > most6 {
			return fmt.Errorf("%w: too many filters for what is %s: a policy can have %d, or %d for IPv6, each of which takes the room of %d", ErrNotOffered, way, most, most6, l.Room6)
		}
	}
	return nil
}

// createPolicy makes a policy and returns its ID.
func (c *Client) createPolicy(ctx context.Context, p *DefensePolicy) (string, error) {
	spoofing := uint32(0)
	if p.AntiSpoofing {
		spoofing = 1
	}
	ref, err := class.Create(ctx, c, &amt.SystemDefensePolicy{InstanceID: new("0"), PolicyName: &p.Name, PolicyPrecedence: &p.Precedence, AntiSpoofingSupport: &spoofing,
		FilterCreationHandles: p.Filters, TxDefaultDrop: &p.Out.Drop, TxDefaultCount: &p.Out.Count, TxDefaultMatchEvent: &p.Out.Event,
		RxDefaultDrop: &p.In.Drop, RxDefaultCount: &p.In.Count, RxDefaultMatchEvent: &p.In.Event})
	if err != nil {
		return "", err
	}
	id := ref.Selectors.Value("InstanceID")
	if p.Timeout == 0 {
		return id, nil
	}
	_, err = amt.SystemDefensePolicySetTimeout.Invoke(ctx, c, amt.SystemDefensePolicySetTimeoutIn{
		Timeout: new(amt.SystemDefensePolicySetTimeoutTimeout(p.Timeout / time.Second))}, wsman.Selector{Name: "InstanceID", Value: id})
	if err != nil {
		c.deletePolicy(ctx, id) // better none than one that does not end
		return id, fmt.Errorf("timeout: %w", err)
	}
	return id, nil
}

func (c *Client) deletePolicy(ctx context.Context, id string) error {
	return class.Delete[amt.SystemDefensePolicy](ctx, c, wsman.Selector{Name: "InstanceID", Value: id})
}

// RemoveDefensePolicies removes policies by name, number or ID, and reads again to see that they are gone. Their filters
// stay. One that is bound to a port stays too, and is an error that wraps [ErrNotOffered] before anything is removed.
func (c *Client) RemoveDefensePolicies(ctx context.Context, names ...string) ([]string, error) {
	gone, err := c.removeDefensePolicies(ctx, names)
	if err != nil {
		return gone, fmt.Errorf("remove policies: %w", err)
	}
	return gone, nil
}

func (c *Client) removeDefensePolicies(ctx context.Context, names []string) (gone []string, err error) {
	d, err := c.defense(ctx)
	if err == nil {
		err = d.mayChange()
	}
	if err != nil {
		return nil, err
	}
	var list []*DefensePolicy
	for _, name := range names {
		p, err := d.Policy(name)
		if err != nil {
			return nil, err
		}
		for _, b := range d.Bindings {
			if b.Policy == p.ID {
				return nil, fmt.Errorf("%w: policy %q is bound to the %s port for %s; unbind it first", ErrNotOffered, p.Name, b.Port, b.Owner)
			}
		}
		list = append(list, p)
	}
	for _, p := range list {
		if err := c.deletePolicy(ctx, p.ID); err != nil {
			return gone, fmt.Errorf("%s: %w", p.Name, err)
		}
		gone = append(gone, p.Name)
	}
	now, err := c.defense(ctx)
	if err != nil {
		return gone, fmt.Errorf("accepted, but reading them again failed: %w", err)
	}
	for _, p := range list {
		if slices.ContainsFunc(now.Policies, func(other DefensePolicy) bool { return other.ID == p.ID }) {
			return gone, ErrDiffers
		}
	}
	return gone, nil
}

// hasPort refuses a port that the machine does not have.
func (d *Defense) hasPort(port string) error {
	if port == defensePorts[1] && !d.Wireless {
		return fmt.Errorf("%w: the machine has no wireless port", ErrUnsupported)
	}
	return nil
}

// binding returns what an owner has bound to a port, nil for nothing.
func (d *Defense) binding(owner DefenseOwner, port string) *DefenseBinding {
	for i := range d.Bindings {
		if b := &d.Bindings[i]; b.Owner == owner && b.Port == port {
			return b
		}
	}
	return nil
}

// BindDefense binds a policy to a port, "wired" or "wireless", and returns the binding as the machine has it then. Each
// owner has one per port: another one is an error that wraps [ErrNotOffered], unless it is to be replaced.
func (c *Client) BindDefense(ctx context.Context, policy string, owner DefenseOwner, port string, replace bool) (DefenseBinding, error) {
	b, err := c.bindDefense(ctx, policy, owner, port, replace)
	if err != nil {
		return b, fmt.Errorf("bind %s to the %s port: %w", policy, port, err)
	}
	return b, nil
}

func (c *Client) bindDefense(ctx context.Context, policy string, owner DefenseOwner, port string, replace bool) (DefenseBinding, error) {
	b := DefenseBinding{Port: port, Owner: owner}
	if _, err := portRef(port); err != nil {
		return b, err
	}
	if !slices.Contains(DefenseOwners(), owner) {
		return b, fmt.Errorf("%w: %q is none of %v", ErrUsage, owner, DefenseOwners())
	}
	d, err := c.defense(ctx)
	if err == nil {
		err = d.mayChange()
	}
	if err != nil {
		return b, err
	}
	p, err := d.Policy(policy)
	if err != nil {
		return b, err
	}
	if err := d.hasPort(port); err != nil {
		return b, err
	}
	if owner == OwnerHeuristics && d.Heuristics == nil {
		return b, fmt.Errorf("%w: no heuristics (releases up to 11 have them)", ErrUnsupported)
	}
	old := d.binding(owner, port)
	switch {
	case old != nil && old.Policy == p.ID:
		return *old, nil
	case old != nil && !replace:
		return b, fmt.Errorf("%w: policy %q is bound to it for %s already", ErrNotOffered, old.Name, owner)
	case old != nil:
		if err := c.unbind(ctx, *old); err != nil {
			return b, fmt.Errorf("unbind %s: %w", old.Name, err)
		}
	}
	b.Policy, b.Name = p.ID, p.Name
	if err := c.bind(ctx, b); err != nil {
		if old != nil { // do not leave the port open
			if again := c.bind(ctx, *old); again != nil {
				return b, fmt.Errorf("%w; and %s, which was bound before, could not be bound again: %w", err, old.Name, again)
			}
		}
		return b, err
	}
	if d, err = c.defense(ctx); err != nil {
		return b, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now := d.binding(owner, port)
	if now == nil || now.Policy != p.ID {
		return b, ErrDiffers
	}
	return *now, nil
}

// bind creates the association of a port and a policy.
func (c *Client) bind(ctx context.Context, b DefenseBinding) error {
	port, err := portRef(b.Port)
	if err != nil {
		return err
	}
	uri := wsman.ClassURI(ownerClasses[b.Owner])
	policy := policyRef(b.Policy)
	e := wsman.Group(uri, ownerClasses[b.Owner], port.Element(uri, "Antecedent"), policy.Element(uri, "Dependent"))
	_, err = wsman.Create(ctx, c, uri, &e)
	return err
}

// unbind deletes it: by two references.
func (c *Client) unbind(ctx context.Context, b DefenseBinding) error {
	port, err := portRef(b.Port)
	if err != nil {
		return err
	}
	policy := policyRef(b.Policy)
	return wsman.Delete(ctx, c, wsman.ClassURI(ownerClasses[b.Owner]), wsman.Selectors{{Name: "Antecedent", EPR: &port}, {Name: "Dependent", EPR: &policy}})
}

// ownerClasses are the associations.
var ownerClasses = map[DefenseOwner]string{OwnerConsole: "AMT_NetworkPortSystemDefensePolicy", OwnerAgents: "AMT_AgentPresenceInterfacePolicy",
	OwnerOutside: "AMT_EnvironmentDetectionInterfacePolicy", OwnerHeuristics: "AMT_HeuristicPacketFilterInterfacePolicy",
	OwnerDefault: "AMT_NetworkPortDefaultSystemDefensePolicy"}

// UnbindDefense takes the policies of an owner off a port, or off all of them if port is "", and returns what it has
// unbound.
func (c *Client) UnbindDefense(ctx context.Context, owner DefenseOwner, port string) ([]DefenseBinding, error) {
	gone, err := c.unbindDefense(ctx, owner, port)
	if err != nil {
		return gone, fmt.Errorf("unbind: %w", err)
	}
	return gone, nil
}

func (c *Client) unbindDefense(ctx context.Context, owner DefenseOwner, port string) (gone []DefenseBinding, err error) {
	if ownerClasses[owner] == "" {
		return nil, fmt.Errorf("%w: %q is none of %v", ErrUsage, owner, DefenseOwners())
	}
	if port != "" && !slices.Contains(defensePorts, port) {
		return nil, fmt.Errorf("%w: port %q is none of %s", ErrUsage, port, strings.Join(defensePorts, ", "))
	}
	d, err := c.defense(ctx)
	if err == nil {
		err = d.mayChange()
	}
	if err != nil {
		return nil, err
	}
	for _, b := range d.Bindings {
		if b.Owner == owner && (port == "" || b.Port == port) {
			if err := c.unbind(ctx, b); err != nil {
				return gone, fmt.Errorf("%s: %w", b.Name, err)
			}
			gone = append(gone, b)
		}
	}
	if gone == nil {
		return nil, nil
	}
	if d, err = c.defense(ctx); err != nil {
		return gone, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, b := range gone {
		if d.binding(owner, b.Port) != nil {
			return gone, ErrDiffers
		}
	}
	return gone, nil
}
