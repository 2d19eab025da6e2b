package console

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// An Isolation says what is left of a PC's network when it is cut off. AMT's own connections are never filtered.
type Isolation struct {
	Keep    []string           // "arp", "dhcp" (and ARP), "dns" (and ARP), "ping" (and ARP); none: nothing
	Allow   []DefenseAddresses // who may be spoken to, with ARP for IPv4 and ICMPv6 for IPv6
	Ports   []string           // "wired", "wireless"; nil: the wired one, and the wireless one if the machine takes it
	Timeout time.Duration      // end by itself after so long; 0: never. Whole seconds
	Event   bool               // log the first frame that is dropped in each direction
	Replace bool               // take the place of policies that consoles have bound before
}

// An IsolationState is whether a PC is cut off.
type IsolationState struct {
	Isolated bool
	Ports    []string // on which it is
	Keep     []string // names of the filters that pass something
	Replaced []string // policies whose place was taken
	Timeout  time.Duration
}

// Names of what isolating a PC leaves on the machine. Filters begin with the prefix.
const (
	isolationPolicy = "outband isolate"
	isolationPrefix = "iso "
)

// IsolationWords are what [Isolation.Keep] may name.
func IsolationWords() []string { return []string{"arp", "dhcp", "dns", "ping"} }

// filters makes the filters that pass what is to be kept.
func (o *Isolation) filters() (out []DefenseFilter, err error) {
	have := make(map[string]bool)
	both := func(name string, f DefenseFilter, in func(*DefenseFilter)) {
		if have[name] {
			return
		}
		have[name] = true
		f.Action, f.Count = DefensePass, true
		for _, way := range []string{" out", " in"} {
			x := f
			x.Name = isolationPrefix + name + way
			if x.In = way == " in"; x.In {
				in(&x)
			}
			out = append(out, x)
		}
	}
	turn := func(f *DefenseFilter) {
		f.Source, f.Dest, f.SrcPorts, f.DstPorts = f.Dest, f.Source, f.DstPorts, f.SrcPorts
	}
	arp := func() { both("arp", DefenseFilter{EtherType: 0x0806}, func(*DefenseFilter) {}) }
	one := func(port uint16) *[2]uint16 { return &[2]uint16{port, port} }
	for _, word := range o.Keep {
		switch strings.ToLower(word) {
		case "arp":
			arp()
		case "dhcp":
			arp()
			both("dhcp", DefenseFilter{Version: 4, Protocol: new(uint8(17)), SrcPorts: one(68), DstPorts: one(67)}, turn)
		case "dns":
			arp()
			both("dns", DefenseFilter{Version: 4, Protocol: new(uint8(17)), DstPorts: one(53)}, turn)
			both("dns tcp", DefenseFilter{Version: 4, Protocol: new(uint8(6)), DstPorts: one(53)}, turn)
		case "ping":
			arp()
			both("ping", DefenseFilter{Version: 4, Protocol: new(uint8(1))}, func(*DefenseFilter) {})
		default:
			return nil, fmt.Errorf("%w: %q is none of %s", ErrUsage, word, strings.Join(IsolationWords(), ", "))
		}
	}
	for i, a := range o.Allow {
		version := 6
		if a.First.Is4() {
			version = 4
			arp()
		} else {
			both("icmpv6", DefenseFilter{Version: 6, Protocol: new(uint8(58))}, func(*DefenseFilter) {})
		}
		both(fmt.Sprintf("host %d", i+1), DefenseFilter{Version: version, Dest: a}, turn)
	}
	for i := range out {
		if err := out[i].check(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Isolate cuts a PC off the network, but for AMT and what is to be kept, by a policy with the highest precedence, and
// returns when the machine says that the policy is active. If it is cut off already the new way takes the place of the
// old one. What the firmware would refuse is an error before anything is changed; when something fails on the way, what
// was made is taken back.
func (c *Client) Isolate(ctx context.Context, o Isolation) (IsolationState, error) {
	s, err := c.isolate(ctx, o)
	if err != nil {
		return s, fmt.Errorf("isolate: %w", err)
	}
	return s, nil
}

func (c *Client) isolate(ctx context.Context, o Isolation) (s IsolationState, err error) {
	wanted, err := o.filters()
	if err == nil {
		err = checkTimeout(o.Timeout)
	}
	if err != nil {
		return s, err
	}
	d, err := c.defense(ctx)
	if err != nil {
		return s, err
	}
	ports, optional, err := o.ports(&d)
	if err != nil {
		return s, err
	}
	p := DefensePolicy{Name: isolationPolicy, Precedence: d.top(), Timeout: o.Timeout,
		In: DefenseDefault{Drop: true, Count: true, Event: o.Event}, Out: DefenseDefault{Drop: true, Count: true, Event: o.Event}}
	if err := d.mayIsolate(&p, wanted); err != nil {
		return s, err
	}
	old := d.isolation()
	for _, port := range ports {
		if b := d.binding(OwnerConsole, port); b != nil && !slices.Contains(old, b.Policy) {
			if !o.Replace {
				return s, fmt.Errorf("%w: policy %q is bound to the %s port; replacing it has to be asked for", ErrNotOffered, b.Name, port)
			}
			s.Replaced = append(s.Replaced, b.Name)
		}
	}
	made := Defense{}
	undo := func(err error) (IsolationState, error) {
		if again := c.sweep(context.WithoutCancel(ctx), &made); again != nil {
			err = fmt.Errorf("%w; and what was made could not be removed: %w", err, again)
		}
		return IsolationState{}, err
	}
	for _, f := range wanted {
		if f.Handle, err = c.createFilter(ctx, &f); err != nil {
			return undo(fmt.Errorf("filter %s: %w", f.Name, err))
		}
		made.Filters = append(made.Filters, f)
		p.Filters = append(p.Filters, f.Handle)
	}
	if p.ID, err = c.createPolicy(ctx, &p); err != nil {
		return undo(fmt.Errorf("policy: %w", err))
	}
	made.Policies = []DefensePolicy{p}
	for _, port := range ports {
		b := DefenseBinding{Port: port, Owner: OwnerConsole, Policy: p.ID}
		before := d.binding(OwnerConsole, port)
		if before != nil {
			if err := c.unbind(ctx, *before); err != nil {
				return undo(fmt.Errorf("unbind %s: %w", before.Name, err))
			}
		}
		if err := c.bind(ctx, b); err != nil {
			if before != nil {
				err = errors.Join(err, c.bind(context.WithoutCancel(ctx), *before))
			}
			if port == optional && before == nil && refused(err) {
				continue
			}
			return undo(fmt.Errorf("bind to the %s port: %w", port, err))
		}
		made.Bindings = append(made.Bindings, b)
	}
	if len(old) > 0 {
		if err := c.sweepOld(ctx, &d, old, ports); err != nil {
			return s, fmt.Errorf("isolated, but the filters of before are still there: %w", err)
		}
	}
	return c.isolated(ctx, s, p.ID, len(made.Bindings))
}

// ports says where to isolate. optional is one that may refuse it: a radio that AMT sees is not always one that it
// filters.
func (o *Isolation) ports(d *Defense) (ports []string, optional string, err error) {
	for _, port := range o.Ports {
		if _, err := portRef(port); err != nil {
			return nil, "", err
		}
		if err := d.hasPort(port); err != nil {
			return nil, "", err
		}
	}
	switch {
	case o.Ports != nil:
		return o.Ports, "", nil
	case d.Wireless:
		return defensePorts, defensePorts[1], nil
	}
	return defensePorts[:1], "", nil
}

// top returns a precedence above those of all policies, if there is one.
func (d *Defense) top() uint32 {
	top := uint32(0)
	for _, p := range d.Policies {
		if p.Name != isolationPolicy {
			top = max(top, p.Precedence)
		}
	}
	if top < math.MaxUint32 {
		top++
	}
	return top
}

// mayIsolate holds the isolation against the limits of the machine.
func (d *Defense) mayIsolate(p *DefensePolicy, wanted []DefenseFilter) error {
	if l := d.Limits.Filters; l > 0 && len(d.Filters)+len(wanted) > l {
		return fmt.Errorf("%w: the machine has %d filters and holds %d; isolating it takes %d more", ErrNotOffered, len(d.Filters), l, len(wanted))
	}
	with := *d
	with.Filters = nil
	test := *p
	for i, f := range wanted { // as if they were there
		f.Handle = uint32(i + 1)
		with.Filters = append(with.Filters, f)
		test.Filters = append(test.Filters, f.Handle)
	}
	return with.room(&test)
}

// isolation returns the IDs of the policies that isolate the PC.
func (d *Defense) isolation() (ids []string) {
	for _, p := range d.Policies {
		if p.Name == isolationPolicy {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// sweep removes what was made for an isolation: bindings, policies, filters, in this order.
func (c *Client) sweep(ctx context.Context, made *Defense) error {
	var errs []error
	for _, b := range made.Bindings {
		errs = append(errs, c.unbind(ctx, b))
	}
	for _, p := range made.Policies {
		errs = append(errs, c.deletePolicy(ctx, p.ID))
	}
	for i := range made.Filters {
		errs = append(errs, c.deleteFilter(ctx, &made.Filters[i]))
	}
	return errors.Join(errs...)
}

// sweepOld removes the isolation of before: the policies, and those of their filters that no other policy has. On the ports
// of taken another one has its place already.
func (c *Client) sweepOld(ctx context.Context, d *Defense, old, taken []string) error {
	gone := Defense{}
	for _, b := range d.Bindings {
		if slices.Contains(old, b.Policy) && (b.Owner != OwnerConsole || !slices.Contains(taken, b.Port)) {
			gone.Bindings = append(gone.Bindings, b)
		}
	}
	for _, id := range old {
		p, err := d.Policy(id)
		if err != nil {
			continue
		}
		gone.Policies = append(gone.Policies, *p)
		for _, f := range d.Filters {
			if slices.Contains(p.Filters, f.Handle) && strings.HasPrefix(f.Name, isolationPrefix) && len(d.UsedBy(f.Handle)) == 1 {
				gone.Filters = append(gone.Filters, f)
			}
		}
	}
	return c.sweep(ctx, &gone)
}

// isolated reads again whether the PC is cut off, on so many ports.
func (c *Client) isolated(ctx context.Context, s IsolationState, id string, ports int) (IsolationState, error) {
	d, err := c.defense(ctx)
	if err != nil {
		return s, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now := d.Isolation()
	now.Replaced = s.Replaced
	if len(now.Ports) != ports || ports == 0 || !slices.Equal(d.isolation(), []string{id}) {
		return now, ErrDiffers
	}
	return now, nil
}

// Isolation tells whether the PC is cut off: on which ports the policy is active.
func (d *Defense) Isolation() (s IsolationState) {
	ids := d.isolation()
	for _, b := range d.Bindings {
		if slices.Contains(ids, b.Policy) && b.Active {
			s.Isolated = true
			s.Ports = append(s.Ports, b.Port)
		}
	}
	for _, p := range d.Policies {
		if p.Name != isolationPolicy {
			continue
		}
		s.Timeout = p.Timeout
		for _, f := range d.Filters {
			if slices.Contains(p.Filters, f.Handle) && !f.In {
				s.Keep = append(s.Keep, strings.TrimSuffix(strings.TrimPrefix(f.Name, isolationPrefix), " out"))
			}
		}
	}
	return s
}

// Release ends an isolation and removes what it has left on the machine. It returns the ports that were cut off: none if
// the PC was not isolated, which is no error. Policies whose place was taken are not bound again.
func (c *Client) Release(ctx context.Context) ([]string, error) {
	ports, err := c.endIsolation(ctx)
	if err != nil {
		return ports, fmt.Errorf("release: %w", err)
	}
	return ports, nil
}

func (c *Client) endIsolation(ctx context.Context) ([]string, error) {
	d, err := c.defense(ctx)
	if err != nil {
		return nil, err
	}
	old := d.isolation()
	if old == nil {
		return nil, nil
	}
	if err := d.mayChange(); err != nil {
		return nil, err
	}
	was := d.Isolation().Ports
	if err := c.sweepOld(ctx, &d, old, nil); err != nil {
		return was, err
	}
	if d, err = c.defense(ctx); err != nil {
		return was, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if d.isolation() != nil {
		return was, ErrDiffers
	}
	return was, nil
}
