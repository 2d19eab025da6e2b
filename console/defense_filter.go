package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// A DefenseFilter says what is done with frames that agree with all that is set.
type DefenseFilter struct {
	Handle uint32 // number that the machine has given it
	Name   string
	In     bool // for frames that the PC receives; else for those that it sends
	Action DefenseAction
	Rate   uint32 // frames per second that Limit lets through
	Count  bool   // with Limit always
	Event  bool   // log the first match

	// Of an Ethernet filter.
	EtherType          uint16 // 0: it is an IP filter
	SrcMAC, DstMAC     string // "aa:bb:cc:dd:ee:ff", or with "/" and a mask of the same form
	VLAN, VLANPriority *uint16

	// Of an IP filter.
	Version            int              // 4 or 6
	Source, Dest       DefenseAddresses // zero: any
	Protocol           *uint8           // nil: any
	SrcPorts, DstPorts *[2]uint16       // first and last; nil: any
	FlagsOn, FlagsOff  uint8            // of TCP: bits FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32
	DSCP               []uint8          // any of them; nil: any
}

// A DefenseAction is what a filter does.
type DefenseAction string

// The actions.
const (
	DefensePass  DefenseAction = "pass"
	DefenseDrop  DefenseAction = "drop"
	DefenseLimit DefenseAction = "limit" // passes up to a number of frames per second, drops the others
)

// check holds a filter against what firmware takes.
func (f *DefenseFilter) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrUsage}, args...)...)
	}
	if err := checkDefenseName("filter", f.Name); err != nil {
		return err
	}
	protocol := -1
	if f.Protocol != nil {
		protocol = int(*f.Protocol)
	}
	one := func(p *[2]uint16) bool { return p[0] == p[1] }
	switch {
	case f.Action != DefensePass && f.Action != DefenseDrop && f.Action != DefenseLimit:
		return bad("action %q is none of pass, drop, limit", f.Action)
	case (f.Action == DefenseLimit) != (f.Rate > 0):
		return bad("a rate of frames per second goes with the action limit, and only with it")
	case f.EtherType != 0 && (f.Version != 0 || f.Protocol != nil || f.Source.First.IsValid() || f.Dest.First.IsValid() || f.SrcPorts != nil || f.DstPorts != nil ||
		f.FlagsOn|f.FlagsOff != 0 || f.DSCP != nil):
		return bad("a filter is for Ethernet frames of a type, or for IP packets; not for both")
	case f.EtherType != 0 && f.EtherType < 0x600:
		return bad("EtherType 0x%x is none: they begin with 0x0600", f.EtherType)
	case f.EtherType != 0:
		return nil
	case f.Version != 4 && f.Version != 6:
		return bad("IP version %d is neither 4 nor 6", f.Version)
	case (f.SrcPorts != nil || f.DstPorts != nil) && protocol != 6 && protocol != 17:
		return bad("ports need the protocol tcp or udp")
	case f.SrcPorts != nil && f.DstPorts != nil && !(one(f.SrcPorts) && one(f.DstPorts)):
		return bad("AMT takes one port on each side, or a range on one side")
	case f.FlagsOn|f.FlagsOff != 0 && protocol != 6:
		return bad("flags need the protocol tcp")
	}
	for _, a := range []DefenseAddresses{f.Source, f.Dest} {
		if a.First.IsValid() && a.First.Is4() != (f.Version == 4) {
			return bad("%s is no address of IPv%d", a, f.Version)
		}
	}
	for _, d := range f.DSCP {
		if d > 63 {
			return bad("DSCP %d is above 63", d)
		}
	}
	return nil
}

// AddDefenseFilter makes a filter and returns it as the machine has it then. It does nothing until a policy has it. What
// the firmware would refuse is an error that wraps [ErrUsage] or [ErrNotOffered], and nothing is sent.
func (c *Client) AddDefenseFilter(ctx context.Context, f DefenseFilter) (DefenseFilter, error) {
	now, err := c.addDefenseFilter(ctx, f)
	if err != nil {
		return now, fmt.Errorf("add filter %s: %w", f.Name, err)
	}
	return now, nil
}

func (c *Client) addDefenseFilter(ctx context.Context, f DefenseFilter) (DefenseFilter, error) {
	if err := f.check(); err != nil {
		return f, err
	}
	d, err := c.defense(ctx)
	if err != nil {
		return f, err
	}
	switch {
	case d.mayChange() != nil:
		return f, d.mayChange()
	case slices.ContainsFunc(d.Filters, func(other DefenseFilter) bool { return other.Name == f.Name }):
		return f, fmt.Errorf("%w: there is a filter %q", ErrUsage, f.Name)
	case d.Limits.Filters > 0 && len(d.Filters) >= d.Limits.Filters:
		return f, fmt.Errorf("%w: the machine has %d filters, and holds no more", ErrNotOffered, len(d.Filters))
	}
	handle, err := c.createFilter(ctx, &f)
	if err != nil {
		return f, err
	}
	f.Handle = handle
	if d, err = c.defense(ctx); err != nil {
		return f, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	return d.sameFilter(f)
}

// createFilter makes a filter and returns its handle.
func (c *Client) createFilter(ctx context.Context, f *DefenseFilter) (uint32, error) {
	v, err := f.element()
	if err != nil {
		return 0, err
	}
	e := v.Element()
	ref, err := wsman.Create(ctx, c, wsman.ClassURI(v.ClassName()), &e)
	if err != nil {
		return 0, err
	}
	handle, err := strconv.ParseUint(ref.Selectors.Value("InstanceID"), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the machine gave the filter the handle %q, which is no number", ref.Selectors.Value("InstanceID"))
	}
	return uint32(handle), nil
}

// sameFilter finds a filter as it was read again, and compares.
func (d *Defense) sameFilter(want DefenseFilter) (DefenseFilter, error) {
	if want.Action == DefenseLimit {
		want.Count = true
	}
	for _, got := range d.Filters {
		if got.Handle == want.Handle {
			if got.Name != want.Name || got.In != want.In || got.Action != want.Action || got.Rate != want.Rate || got.Count != want.Count || got.Event != want.Event ||
				got.Match() != want.Match() {
				return got, ErrDiffers
			}
			return got, nil
		}
	}
	return want, ErrDiffers
}

// RemoveDefenseFilters removes filters by name or handle, and reads again to see that they are gone. One that a policy
// has stays, and is an error that wraps [ErrNotOffered] before anything is removed.
func (c *Client) RemoveDefenseFilters(ctx context.Context, names ...string) ([]string, error) {
	gone, err := c.removeDefenseFilters(ctx, names)
	if err != nil {
		return gone, fmt.Errorf("remove filters: %w", err)
	}
	return gone, nil
}

func (c *Client) removeDefenseFilters(ctx context.Context, names []string) (gone []string, err error) {
	d, err := c.defense(ctx)
	if err == nil {
		err = d.mayChange()
	}
	if err != nil {
		return nil, err
	}
	var list []*DefenseFilter
	for _, name := range names {
		f, err := d.Filter(name)
		if err != nil {
			return nil, err
		}
		if users := d.UsedBy(f.Handle); users != nil {
			return nil, fmt.Errorf("%w: filter %q is in use by policy %s", ErrNotOffered, f.Name, strings.Join(users, ", "))
		}
		list = append(list, f)
	}
	for _, f := range list {
		if err := c.deleteFilter(ctx, f); err != nil {
			return gone, fmt.Errorf("%s: %w", f.Name, err)
		}
		gone = append(gone, f.Name)
	}
	now, err := c.defense(ctx)
	if err != nil {
		return gone, fmt.Errorf("accepted, but reading them again failed: %w", err)
	}
	for _, f := range list {
		if slices.ContainsFunc(now.Filters, func(other DefenseFilter) bool { return other.Handle == f.Handle }) {
			return gone, ErrDiffers
		}
	}
	return gone, nil
}

func (c *Client) deleteFilter(ctx context.Context, f *DefenseFilter) error {
	name := "AMT_IPHeadersFilter"
	if f.EtherType != 0 {
		name = "AMT_Hdr8021Filter"
	}
	return wsman.Delete(ctx, c, wsman.ClassURI(name), wsman.Selectors{{Name: "CreationClassName", Value: name},
		{Name: "InstanceID", Value: strconv.FormatUint(uint64(f.Handle), 10)}, {Name: "Name", Value: f.Name},
		{Name: "SystemCreationClassName", Value: "CIM_ComputerSystem"}, {Name: "SystemName", Value: "Intel(r) AMT"}})
}
