package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/wsman"
)

// A Subscription is a receiver of a machine's alerts. WS-Eventing posts them to a URL; until release 17 there are SNMP
// traps as well, to UDP port 162. Sources: spec wsman.md section 11, inventory-events-policies.md section 4.1.
type Subscription struct {
	ID      string // of the machine, to remove it by
	To      string // URL, or address of a receiver of traps
	Trap    bool   // SNMP traps
	Filter  string // group of events: "All", "Features", "Platform", "User"; "" with traps
	Ack     bool   // events are acknowledged
	Policy  uint8  // with traps: ties the receiver to filters
	Expires time.Duration

	manager wsman.EPR // of WS-Eventing
}

const filterPrefix = "Intel(r) AMT:"

// Subscriptions reads who is told of events.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	all, err := c.subscriptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("subscriptions: %w", err)
	}
	return all, nil
}

func (c *Client) subscriptions(ctx context.Context) ([]Subscription, error) {
	var listeners []*cim.ListenerDestinationWSManagement
	var links []*cim.FilterCollectionSubscription
	err := both(
		func() (err error) {
			listeners, err = class.All[cim.ListenerDestinationWSManagement](ctx, c)
			return err
		},
		func() (err error) { links, err = class.All[cim.FilterCollectionSubscription](ctx, c); return err })
	if err != nil {
		return nil, err
	}
	var out []Subscription
	for i, l := range listeners {
		s := Subscription{ID: strings.TrimPrefix(class.Value(l.Name), filterPrefix), To: class.Value(l.Destination), Ack: class.Value(l.DeliveryMode) == 3}
		// The two lists are in the same order; the reference says so too, where it can be read.
		at := slices.IndexFunc(links, func(k *cim.FilterCollectionSubscription) bool {
			return k.Handler != nil && l.Name != nil && k.Handler.Selectors.Value("Name") == *l.Name
		})
		if at < 0 && len(links) == len(listeners) {
			at = i
		}
		if at >= 0 && links[at].Filter != nil {
			s.Filter = strings.TrimPrefix(links[at].Filter.Selectors.Value("InstanceID"), filterPrefix)
			s.manager = wsman.EPR{ResourceURI: wsman.ClassURI("CIM_FilterCollectionSubscription"), Selectors: links[at].Selectors()}
		}
		out = append(out, s)
	}
	receivers, err := class.All[amt.SNMPEventSubscriber](ctx, c)
	if err != nil && !isAbsent(err) {
		return nil, err
	}
	for _, r := range receivers {
		out = append(out, Subscription{ID: strings.TrimPrefix(class.Value(r.Name), filterPrefix), To: class.Value(r.AccessInfo), Trap: true, Policy: class.Value(r.PolicyID)})
	}
	return out, nil
}

// A Subscribe says whom to tell of which events.
type Subscribe struct {
	To       string        // http or https URL
	Filter   string        // "All" (also ""), "Features", "Platform" or "User"
	NoAck    bool          // do not ask for acknowledgements; an event that is not acknowledged is sent again
	Username string        // that the receiver asks for (HTTP digest); "": it does not
	Password string        //
	Expires  time.Duration // 0: never. Not all firmware heeds it
}

func (s *Subscribe) check() error {
	at, err := url.Parse(s.To)
	switch {
	case err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https":
		return fmt.Errorf("%w: %q is no http or https address", ErrUsage, s.To)
	case len(s.To) > eventing.MaxAddress:
		return fmt.Errorf("%w: the address has %d characters; AMT takes %d", ErrUsage, len(s.To), eventing.MaxAddress)
	case at.User != nil:
		return fmt.Errorf("%w: no name and password in an address", ErrUsage)
	case s.Expires < 0:
		return fmt.Errorf("%w: a subscription cannot have ended before it began", ErrUsage)
	}
	return nil
}

// Subscribe has the machine post events to an address, and reads its subscriptions to see that it will. One that is
// there already, for the same address and events, is replaced, so that events do not come twice. What the machine would
// refuse is an error that wraps [ErrUsage], and nothing is sent.
func (c *Client) Subscribe(ctx context.Context, s Subscribe) (Subscription, error) {
	if s.Filter == "" {
		s.Filter = "All"
	}
	if err := s.check(); err != nil {
		return Subscription{}, fmt.Errorf("subscribe: %w", err)
	}
	made, err := c.subscribe(ctx, s)
	if err != nil {
		return Subscription{}, fmt.Errorf("subscribe: %w", err)
	}
	return made, nil
}

func (c *Client) subscribe(ctx context.Context, s Subscribe) (Subscription, error) {
	var before []Subscription
	var groups []*cim.FilterCollection
	err := both(
		func() (err error) { before, err = c.subscriptions(ctx); return err },
		func() (err error) { groups, err = class.All[cim.FilterCollection](ctx, c); return err })
	if err != nil {
		return Subscription{}, err
	}
	var names []string
	for _, g := range groups {
		names = append(names, strings.TrimPrefix(class.Value(g.InstanceID), filterPrefix))
	}
	at := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, s.Filter) })
	if at < 0 {
		return Subscription{}, fmt.Errorf("%w: the machine has no events %q, but %s", ErrUsage, s.Filter, strings.Join(names, ", "))
	}
	s.Filter = names[at]
	ask := eventing.Subscription{Mode: eventing.PushWithAck, Address: s.To, Username: s.Username, Password: s.Password, Expires: s.Expires}
	if s.NoAck {
		ask.Mode = eventing.Push
	}
	resp, err := c.RoundTrip(ctx, &wsman.Request{Action: wsman.ActionSubscribe, ResourceURI: wsman.ClassURI("CIM_FilterCollection"), Header: ask.Header(),
		Selectors: wsman.Selectors{{Name: "InstanceID", Value: class.Value(groups[at].InstanceID)}}, Body: ask.Body()})
	if err != nil {
		return Subscription{}, subscribeError(err)
	}
	_, expires, err := eventing.ParseAnswer(resp.Body)
	if err != nil {
		return Subscription{}, err
	}
	for _, old := range before {
		if old.To == s.To && old.Filter == s.Filter && !old.Trap {
			if err := c.unsubscribe(ctx, old); err != nil {
				return Subscription{}, fmt.Errorf("subscribed, but the earlier subscription cannot be removed: %w", err)
			}
		}
	}
	now, err := c.subscriptions(ctx)
	if err != nil {
		return Subscription{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, made := range now {
		if made.To == s.To && made.Filter == s.Filter && made.Ack != s.NoAck && !made.Trap {
			made.Expires = expires
			return made, nil
		}
	}
	return Subscription{}, ErrDiffers
}

// subscribeError explains the faults of eventing.
func subscribeError(err error) error {
	var f *wsman.Fault
	if errors.As(err, &f) && f.Subcode.Local == "DeliveryModeRequestedUnavailable" {
		return fmt.Errorf("%w: this way of delivery: %w", ErrUnsupported, err)
	}
	return err
}

// SubscribeTraps has the machine send SNMP traps to an address, UDP port 162: of all events, by a filter of its own if
// there is none for all yet. Firmware since 18.0 has no traps: the error wraps [ErrUnsupported].
func (c *Client) SubscribeTraps(ctx context.Context, address, community string) (Subscription, error) {
	made, err := c.subscribeTraps(ctx, address, community)
	if err != nil {
		return Subscription{}, fmt.Errorf("subscribe to traps: %w", err)
	}
	return made, nil
}

func (c *Client) subscribeTraps(ctx context.Context, address, community string) (Subscription, error) {
	to, err := netip.ParseAddr(address)
	if err != nil {
		return Subscription{}, fmt.Errorf("%w: %q is no IP address", ErrUsage, address)
	}
	before, err := class.All[amt.SNMPEventSubscriber](ctx, c)
	if isAbsent(err) {
		return Subscription{}, fmt.Errorf("%w: firmware since 18.0 sends no traps", ErrUnsupported)
	}
	if err != nil {
		return Subscription{}, err
	}
	policy, filter, err := c.trapPolicy(ctx)
	if err != nil {
		return Subscription{}, err
	}
	for _, s := range before {
		if class.Value(s.AccessInfo) == address && class.Value(s.PolicyID) == policy && class.Value(s.CommunityString) == community {
			return Subscription{ID: strings.TrimPrefix(class.Value(s.Name), filterPrefix), To: address, Trap: true, Policy: policy}, nil
		}
	}
	format := uint16(3) // IPv4
	if !to.Is4() {
		format = 4
	}
	want := &amt.SNMPEventSubscriber{PolicyID: &policy, AccessInfo: &address, InfoFormat: &format}
	if community != "" {
		want.CommunityString = &community
	}
	if _, err := class.Create(ctx, c, want); err != nil {
		if filter != nil { // made for nothing
			err = errors.Join(err, class.Delete[amt.PETFilterSetting](ctx, c, filter...))
		}
		return Subscription{}, err
	}
	all, err := c.subscriptions(ctx)
	if err != nil {
		return Subscription{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, s := range all {
		if s.Trap && s.To == address && s.Policy == policy {
			return s, nil
		}
	}
	return Subscription{}, ErrDiffers
}

// presetPolicy is the policy of a filter that firmware has from the start, for the PC itself.
const presetPolicy = 134

// trapPolicy returns the policy of a filter that lets every event pass, which is made if there is none: then its keys
// come as well.
func (c *Client) trapPolicy(ctx context.Context) (policy uint8, made wsman.Selectors, err error) {
	filters, err := class.All[amt.PETFilterSetting](ctx, c)
	if err != nil {
		return 0, nil, err
	}
	const any = 255
	used := map[uint8]bool{presetPolicy: true, 0: true}
	for _, f := range filters {
		used[class.Value(f.PolicyID)] = true
		open := class.Value(f.EnableFilter) && class.Value(f.SendAlert)
		for _, v := range []*uint8{f.DeviceAddress, f.EventSensorType, f.EventType, f.EventOffset, f.EventSourceType, f.EventSeverity, f.SensorNumber, f.Entity, f.EntityInstance} {
			open = open && class.Value(v) == any
		}
		if open {
			return class.Value(f.PolicyID), nil, nil
		}
	}
	for policy = 1; used[policy]; policy++ {
		if policy == 255 {
			return 0, nil, fmt.Errorf("%w: all policies of event filters are in use", ErrNotOffered)
		}
	}
	all := new(uint8(any))
	ref, err := class.Create(ctx, c, &amt.PETFilterSetting{EnableFilter: new(true), OEMFilter: new(false), LogOnEvent: new(true), SendAlert: new(true), PolicyID: &policy,
		DeviceAddress: all, EventSensorType: all, EventType: all, EventOffset: all, EventSourceType: all, EventSeverity: all, SensorNumber: all, Entity: all, EntityInstance: all})
	return policy, ref.Selectors, err
}

// Unsubscribe removes the subscriptions of an ID or an address; "" removes all. It returns those that were removed, and
// reads the list again to see that they are gone. An ID that there is not is an error that wraps [ErrUsage].
func (c *Client) Unsubscribe(ctx context.Context, id string) ([]Subscription, error) {
	gone, err := c.unsubscribeAll(ctx, id)
	if err != nil {
		return gone, fmt.Errorf("remove subscription: %w", err)
	}
	return gone, nil
}

func (c *Client) unsubscribeAll(ctx context.Context, id string) (gone []Subscription, err error) {
	all, err := c.subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if id == "" || s.ID == id || s.To == id {
			if err := c.unsubscribe(ctx, s); err != nil {
				return gone, err
			}
			gone = append(gone, s)
		}
	}
	if len(gone) == 0 {
		if id == "" {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: no subscription %q", ErrUsage, id)
	}
	now, err := c.subscriptions(ctx)
	if err != nil {
		return gone, err
	}
	for _, s := range now {
		if slices.ContainsFunc(gone, func(g Subscription) bool { return g.ID == s.ID && g.Trap == s.Trap }) {
			return gone, ErrDiffers
		}
	}
	return gone, nil
}

func (c *Client) unsubscribe(ctx context.Context, s Subscription) error {
	if s.Trap {
		return class.Delete[amt.SNMPEventSubscriber](ctx, c, wsman.Selector{Name: "Name", Value: filterPrefix + s.ID})
	}
	if len(s.manager.Selectors) == 0 {
		return fmt.Errorf("%s: the machine does not show to which events it belongs", s.ID)
	}
	body := wsman.Group(wsman.NSEventing, "Unsubscribe")
	_, err := c.RoundTrip(ctx, &wsman.Request{Action: wsman.ActionUnsubscribe, ResourceURI: s.manager.ResourceURI, Selectors: s.manager.Selectors, Body: &body})
	return err
}

// RenewSubscription has the subscription of an ID or address go on for that long. Not all firmware knows it.
func (c *Client) RenewSubscription(ctx context.Context, id string, d time.Duration) error {
	err := func() error {
		if d <= 0 {
			return fmt.Errorf("%w: for how long?", ErrUsage)
		}
		all, err := c.subscriptions(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(s Subscription) bool { return !s.Trap && (s.ID == id || s.To == id) })
		if at < 0 {
			return fmt.Errorf("%w: no subscription %q", ErrUsage, id)
		}
		body := wsman.Group(wsman.NSEventing, "Renew", wsman.El(wsman.NSEventing, "Expires", wsman.Every(d).String()))
		_, err = c.RoundTrip(ctx, &wsman.Request{Action: wsman.ActionRenew, ResourceURI: all[at].manager.ResourceURI, Selectors: all[at].manager.Selectors, Body: &body})
		return err
	}()
	if err != nil {
		return fmt.Errorf("renew subscription: %w", err)
	}
	return nil
}

// OwnAddress returns the address of this computer that the machine can reach it by, as far as can be told from here.
func (c *Client) OwnAddress(ctx context.Context) (netip.Addr, error) {
	at, err := c.Endpoint(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	var d net.Dialer // UDP: nothing is sent
	conn, err := d.DialContext(ctx, "udp", net.JoinHostPort(c.Address(), fmt.Sprint(at.Port)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	own, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return own.Addr().Unmap(), err
}
