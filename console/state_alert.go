package console

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A StateAlert is a receiver of events: a URL, or the address of a receiver of SNMP traps.
type StateAlert struct {
	To     string `json:"to"`
	Traps  bool   `json:"traps,omitempty"`
	Filter string `json:"filter,omitempty"` // "All" (also ""), "Features", "Platform", "User"; not of traps
	NoAck  bool   `json:"no_ack,omitempty"` // do not ask for acknowledgements

	// Of a new receiver: who the machine is there, and where its password is, or where the community of traps is; "env:NAME" or
	// a file. They are not read back.
	Username      string `json:"username,omitempty"`
	PasswordFrom  string `json:"password_from,omitempty"`
	CommunityFrom string `json:"community_from,omitempty"`
}

func (a *StateAlert) id() string {
	if a.Traps {
		return "traps " + a.To
	}
	return strings.ToLower(a.Filter) + " " + a.To
}

func (a *StateAlert) words() string {
	switch {
	case a.Traps:
		return "traps"
	case a.NoAck:
		return a.Filter + ", not acknowledged"
	}
	return a.Filter
}

func readStateAlerts(ctx context.Context, c *Client, s *State) error {
	all, err := c.Subscriptions(ctx)
	if err != nil {
		return err
	}
	list := []StateAlert{}
	for _, v := range all {
		a := StateAlert{To: v.To, Traps: v.Trap, Filter: v.Filter, NoAck: !v.Ack && !v.Trap}
		if !slices.ContainsFunc(list, func(o StateAlert) bool { return o.id() == a.id() }) {
			list = append(list, a)
		}
	}
	s.Alerts = &list
	return nil
}

func planAlerts(c *Client, now, want *State, help *StateHelp) (out []Change, err error) {
	list := slices.Clone(*want.Alerts)
	for i := range list {
		if !list[i].Traps && list[i].Filter == "" {
			list[i].Filter = "All"
		}
	}
	err = compared(*now.Alerts, list, (*StateAlert).id, func(n, w *StateAlert) error {
		switch {
		case w == nil:
			out = append(out, Change{Subject: n.To, From: n.words(), do: func(ctx context.Context) error { return c.endAlert(ctx, n) }})
			return nil
		case n != nil && n.words() == w.words():
			return nil
		}
		change := Change{Subject: w.To, To: w.words()}
		if n != nil {
			change.From = n.words()
		}
		if w.Traps {
			if _, err := netip.ParseAddr(w.To); err != nil {
				return fmt.Errorf("%w: %q is no IP address", ErrUsage, w.To)
			}
			community := ""
			if w.CommunityFrom != "" {
				if community, err = help.named("community_from", w.CommunityFrom, "receiver "+w.To); err != nil {
					return err
				}
			}
			change.do = func(ctx context.Context) error {
				_, err := c.SubscribeTraps(ctx, w.To, community)
				return err
			}
			out = append(out, change)
			return nil
		}
		s := Subscribe{To: w.To, Filter: w.Filter, NoAck: w.NoAck, Username: w.Username}
		if err := s.check(); err != nil {
			return err
		}
		if w.Username != "" {
			if s.Password, err = help.named("password_from", w.PasswordFrom, "receiver "+w.To); err != nil {
				return err
			}
		}
		change.do = func(ctx context.Context) error {
			_, err := c.Subscribe(ctx, s)
			return err
		}
		out = append(out, change)
		return nil
	})
	return out, err
}

// endAlert removes the subscriptions of one kind for a receiver, and reads again that they are gone.
func (c *Client) endAlert(ctx context.Context, a *StateAlert) error {
	all, err := c.subscriptions(ctx)
	if err != nil {
		return err
	}
	is := func(s Subscription) bool { return s.To == a.To && s.Trap == a.Traps && s.Filter == a.Filter }
	for _, s := range all {
		if is(s) {
			if err := c.unsubscribe(ctx, s); err != nil {
				return err
			}
		}
	}
	if all, err = c.subscriptions(ctx); err != nil {
		return fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if slices.ContainsFunc(all, is) {
		return ErrDiffers
	}
	return nil
}
