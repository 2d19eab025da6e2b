package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/wsman"
)

// A RemoteTrigger is what has a machine call a presence server.
type RemoteTrigger string

// The triggers, the more important first: a higher one takes the tunnel over.
const (
	TriggerUser     RemoteTrigger = "user"     // somebody at the machine asks for help
	TriggerAlert    RemoteTrigger = "alert"    // an event that a subscription wants to hear of
	TriggerPeriodic RemoteTrigger = "periodic" // the clock
	TriggerHome     RemoteTrigger = "home"     // setup from home
)

var remoteTriggers = []RemoteTrigger{TriggerUser, TriggerAlert, TriggerPeriodic, TriggerHome} // by number

func (t RemoteTrigger) number() int { return slices.Index(remoteTriggers, t) }

// ParseRemoteTrigger takes a RemoteTrigger. Errors wrap [ErrUsage].
func ParseRemoteTrigger(word string) (RemoteTrigger, error) {
	t := RemoteTrigger(strings.ToLower(word))
	if t.number() < 0 {
		return "", fmt.Errorf("%w: trigger %q is none of user, alert, periodic, home", ErrUsage, word)
	}
	return t, nil
}

// A RemotePolicy says when the machine calls which servers; there is one for each trigger. Source:
// AMT_RemoteAccessPolicyRule.
type RemotePolicy struct {
	Trigger  RemoteTrigger
	Lifetime time.Duration  // of the tunnel, in whole seconds; 0: without limit
	Period   *amt.Period    // of [TriggerPeriodic]; nil if what the machine tells cannot be read
	Servers  []PolicyServer // in the order in which they are tried

	ref wsman.EPR
}

// A PolicyServer is a server that a policy names: for calls from outside of the home network, from inside, or both.
type PolicyServer struct {
	ID              string // of the [PresenceServer]; an address will do for [Client.SetRemotePolicy]
	Inside, Outside bool
}

// policy makes a policy of its instances.
func (p *ciraParts) policy(v *amt.RemoteAccessPolicyRule, servers []PresenceServer) RemotePolicy {
	r := RemotePolicy{Lifetime: time.Duration(class.Value(v.TunnelLifeTime)) * time.Second, ref: wsman.Ref("AMT_RemoteAccessPolicyRule")}
	r.ref.Selectors = v.Selectors()
	if n := int(class.Value(v.Trigger)); n < len(remoteTriggers) {
		r.Trigger = remoteTriggers[n]
	} else {
		r.Trigger = RemoteTrigger(text(v.PolicyRuleName))
	}
	if r.Trigger == TriggerPeriodic {
		if period, err := amt.ParsePeriod(v.ExtendedData); err == nil {
			r.Period = &period
		}
	}
	type ordered struct {
		PolicyServer
		order uint16
	}
	var all []ordered
	for _, b := range p.bindings {
		if b.PolicySet == nil || b.ManagedElement == nil || b.PolicySet.Selectors.Value("PolicyRuleName") != class.Value(v.PolicyRuleName) {
			continue
		}
		kind := class.Value(b.MpsType)
		s := PolicyServer{ID: handle("mps", b.ManagedElement.Selectors.Value("Name")), Outside: kind != amt.RemoteAccessPolicyAppliesToMPSMpsTypeInternal,
			Inside: kind == amt.RemoteAccessPolicyAppliesToMPSMpsTypeInternal || kind == amt.RemoteAccessPolicyAppliesToMPSMpsTypeBoth}
		all = append(all, ordered{s, class.Value(b.OrderOfAccess)})
	}
	slices.SortStableFunc(all, func(a, b ordered) int { return cmp.Compare(a.order, b.order) })
	for _, s := range all {
		r.Servers = append(r.Servers, s.PolicyServer)
	}
	return r
}

// same reports whether a policy is what was wanted.
func (p *RemotePolicy) same(want *RemotePolicy) bool {
	if p.Lifetime != want.Lifetime || !slices.Equal(p.from(true), want.from(true)) || !slices.Equal(p.from(false), want.from(false)) || (p.Period == nil) != (want.Period == nil) {
		return false
	}
	return p.Period == nil || *p.Period == *want.Period
}

// from returns the IDs of the servers that are called from outside of the home network, or from inside, in order.
func (p *RemotePolicy) from(outside bool) (ids []string) {
	for _, s := range p.Servers {
		if outside && s.Outside || !outside && s.Inside {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// SetRemotePolicy says when the machine calls which servers, instead of the policy that the trigger had, and returns it as
// the machine has it then. If the machine takes the new one not after the old one was removed, the old one is brought back.
func (c *Client) SetRemotePolicy(ctx context.Context, want RemotePolicy) (RemotePolicy, error) {
	now, err := c.setRemotePolicy(ctx, want)
	if err != nil {
		return now, fmt.Errorf("set the policy %s: %w", want.Trigger, err)
	}
	return now, nil
}

func (c *Client) setRemotePolicy(ctx context.Context, want RemotePolicy) (none RemotePolicy, err error) {
	if err := want.check(); err != nil {
		return none, err
	}
	before, err := c.cira(ctx)
	if err != nil {
		return none, err
	}
	if want.Servers, err = before.resolve(want.Servers); err != nil {
		return none, err
	}
	old := before.Policy(want.Trigger)
	switch {
	case old != nil && old.same(&want):
		return *old, nil
	case old == nil && before.MaxPolicies > 0 && len(before.Policies) >= before.MaxPolicies:
		return none, fmt.Errorf("%w: the machine has %d policies, and holds no more", ErrNotOffered, len(before.Policies))
	}
	if old != nil {
		if err := class.Delete[amt.RemoteAccessPolicyRule](ctx, c, old.ref.Selectors...); err != nil {
			return *old, err
		}
	}
	if err := c.addRemotePolicy(ctx, &before, &want); err != nil {
		if old != nil && refused(err) {
			if e := c.addRemotePolicy(ctx, &before, old); e != nil {
				return none, fmt.Errorf("%w; and the policy of before could not be brought back: %w", err, e)
			}
			return *old, fmt.Errorf("%w; the policy of before is back", err)
		}
		return none, err
	}
	after, err := c.cira(ctx)
	if err != nil {
		return none, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now := after.Policy(want.Trigger)
	switch {
	case now == nil:
		return none, ErrDiffers
	case !now.same(&want):
		return *now, ErrDiffers
	}
	return *now, nil
}

// check holds a policy against what firmware takes.
func (p *RemotePolicy) check() error {
	if p.Trigger.number() < 0 {
		return fmt.Errorf("%w: trigger %q is none of user, alert, periodic, home", ErrUsage, p.Trigger)
	}
	if _, err := lifetimeSeconds(p.Lifetime); err != nil {
		return err
	}
	switch period := p.Period; {
	case len(p.Servers) == 0:
		return fmt.Errorf("%w: a policy needs a server to call", ErrUsage)
	case p.Trigger != TriggerPeriodic && period != nil:
		return fmt.Errorf("%w: only the trigger periodic has a time", ErrUsage)
	case p.Trigger != TriggerPeriodic:
		return nil
	case period == nil:
		return fmt.Errorf("%w: the trigger periodic needs a time: every so often, or daily at a time", ErrUsage)
	case !period.Valid() || period.Every < 0 || period.Every%time.Second != 0 || period.Every/time.Second > 1<<32-1:
		return fmt.Errorf("%w: %v is neither a number of seconds nor a time of day", ErrUsage, period)
	}
	return nil
}

// resolve finds the servers of a policy and puts their IDs in.
func (r *CIRA) resolve(servers []PolicyServer) ([]PolicyServer, error) {
	out := slices.Clone(servers)
	var inside, outside int
	for i := range out {
		s := r.Server(out[i].ID)
		switch {
		case s == nil:
			return nil, fmt.Errorf("%w: the machine has no presence server %q", ErrUsage, out[i].ID)
		case slices.ContainsFunc(out[:i], func(o PolicyServer) bool { return o.ID == s.ID }):
			return nil, fmt.Errorf("%w: presence server %s is named twice", ErrUsage, s.ID)
		case !out[i].Inside && !out[i].Outside:
			return nil, fmt.Errorf("%w: presence server %s is neither for inside nor for outside of the home network", ErrUsage, s.ID)
		}
		out[i].ID = s.ID
		if out[i].Inside {
			inside++
		}
		if out[i].Outside {
			outside++
		}
	}
	if limit := r.MaxServersPerPolicy; limit > 0 && max(inside, outside) > limit {
		return nil, fmt.Errorf("%w: a policy of this machine calls %d servers at most", ErrNotOffered, limit)
	}
	return out, nil
}

// addRemotePolicy adds a policy whose servers are resolved.
func (c *Client) addRemotePolicy(ctx context.Context, r *CIRA, p *RemotePolicy) error {
	seconds, err := lifetimeSeconds(p.Lifetime)
	if err != nil {
		return err
	}
	in := amt.RemoteAccessServiceAddRemoteAccessPolicyRuleIn{Trigger: new(amt.RemoteAccessPolicyRuleTrigger(p.Trigger.number())), TunnelLifeTime: &seconds}
	if p.Period != nil {
		in.ExtendedData = p.Period.Append(nil)
	}
	for _, s := range p.Servers {
		server := r.Server(s.ID)
		if server == nil {
			return fmt.Errorf("%w: the machine has no presence server %q", ErrUsage, s.ID)
		}
		if s.Outside {
			in.MpServer = append(in.MpServer, server.ref)
		} else {
			in.InternalMpServer = append(in.InternalMpServer, server.ref)
		}
	}
	out, err := amt.RemoteAccessServiceAddRemoteAccessPolicyRule.Invoke(ctx, c, in)
	if err != nil || !slices.ContainsFunc(p.Servers, func(s PolicyServer) bool { return s.Inside && s.Outside }) {
		return err
	}
	// That a server is for both is said afterwards. Source: spec activation.md section 8.4.
	if out.PolicyRule == nil {
		return errors.New("the machine does not tell the name of the new policy")
	}
	err = c.orderPolicy(ctx, p, out.PolicyRule.Selectors.Value("PolicyRuleName"))
	if err != nil && refused(err) {
		if e := class.Delete[amt.RemoteAccessPolicyRule](ctx, c, out.PolicyRule.Selectors...); e != nil {
			return fmt.Errorf("%w; and the half of it stays: %w", err, e)
		}
	}
	return err
}

// orderPolicy says for each server of a policy where it is for, and where in the order of these it stands: a server for
// both counts as one for outside.
func (c *Client) orderPolicy(ctx context.Context, p *RemotePolicy, rule string) error {
	bindings, err := class.All[amt.RemoteAccessPolicyAppliesToMPS](ctx, c)
	if err != nil {
		return err
	}
	for _, b := range bindings {
		if b.PolicySet == nil || b.ManagedElement == nil || b.PolicySet.Selectors.Value("PolicyRuleName") != rule {
			continue
		}
		id := handle("mps", b.ManagedElement.Selectors.Value("Name"))
		i := slices.IndexFunc(p.Servers, func(s PolicyServer) bool { return s.ID == id })
		if i < 0 {
			continue
		}
		kind := amt.RemoteAccessPolicyAppliesToMPSMpsTypeExternal
		switch s := p.Servers[i]; {
		case s.Inside && s.Outside:
			kind = amt.RemoteAccessPolicyAppliesToMPSMpsTypeBoth
		case s.Inside:
			kind = amt.RemoteAccessPolicyAppliesToMPSMpsTypeInternal
		}
		order := uint16(slices.Index(p.from(p.Servers[i].Outside), id))
		if class.Value(b.MpsType) == kind && class.Value(b.OrderOfAccess) == order {
			continue
		}
		b.MpsType, b.OrderOfAccess = &kind, &order
		if _, err := class.Put(ctx, c, b); err != nil {
			return err
		}
	}
	return nil
}

// RemoveRemotePolicy removes the policy of a trigger, and reads the list again.
func (c *Client) RemoveRemotePolicy(ctx context.Context, t RemoteTrigger) (RemotePolicy, error) {
	gone, err := c.removeRemotePolicy(ctx, t)
	if err != nil {
		return gone, fmt.Errorf("remove the policy %s: %w", t, err)
	}
	return gone, nil
}

func (c *Client) removeRemotePolicy(ctx context.Context, t RemoteTrigger) (RemotePolicy, error) {
	before, err := c.cira(ctx)
	if err != nil {
		return RemotePolicy{}, err
	}
	p := before.Policy(t)
	if p == nil {
		return RemotePolicy{}, fmt.Errorf("%w: the machine has no such policy", ErrUsage)
	}
	if err := class.Delete[amt.RemoteAccessPolicyRule](ctx, c, p.ref.Selectors...); err != nil {
		return *p, err
	}
	after, err := c.cira(ctx)
	if err != nil {
		return *p, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if after.Policy(t) != nil {
		return *p, ErrDiffers
	}
	return *p, nil
}
