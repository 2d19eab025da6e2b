package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/auditlog"
)

// StateRedirection is which kinds of redirection are switched on.
type StateRedirection struct {
	Listener *bool `json:"listener,omitempty"` // without it there is neither SOL nor IDE-R
	SOL      *bool `json:"sol,omitempty"`
	IDER     *bool `json:"ider,omitempty"`
	KVM      *bool `json:"kvm,omitempty"`
}

func readStateRedirection(ctx context.Context, c *Client, s *State) error {
	r, err := c.redirectionState(ctx)
	if err != nil {
		return err
	}
	s.Redirection = &StateRedirection{Listener: &r.listener, SOL: new(r.state&redirectionSOL != 0), IDER: new(r.state&redirectionIDER != 0)}
	sap, err := ask[cim.KVMRedirectionSAP](ctx, c)
	if sap != nil {
		s.Redirection.KVM = &r.kvm
	}
	return err
}

func planRedirection(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	w := want.Redirection
	if w.KVM != nil && now.Redirection.KVM == nil {
		return nil, fmt.Errorf("%w: the machine has no KVM", ErrUnsupported)
	}
	subjects, from, to := differing(*now.Redirection, *w)
	for i, name := range subjects {
		change := Change{Subject: name, From: from[i], To: to[i]}
		change.do = func(ctx context.Context) error {
			before, err := c.redirectionState(ctx)
			if err != nil {
				return err
			}
			after := *before
			set := func(bits uint16, on bool) {
				if after.state &^= bits; on {
					after.state |= bits
				}
			}
			switch name {
			case "listener":
				after.listener = *w.Listener
			case "sol":
				set(redirectionSOL, *w.SOL)
			case "ider":
				set(redirectionIDER, *w.IDER)
			case "kvm":
				after.kvm = *w.KVM
			}
			return c.setRedirection(ctx, before, &after)
		}
		out = append(out, change)
	}
	return out, nil
}

// StateAudit is what the audit log keeps.
type StateAudit struct {
	Enabled *bool `json:"enabled,omitempty"`

	// Logged and Critical are the kinds of event that are logged, and those without which an operation fails:
	// "security-administration/user-added". Each list that is there is whole. What firmware logs in any case is not in them.
	Logged   *[]string `json:"logged,omitempty"`
	Critical *[]string `json:"critical,omitempty"`
}

func readStateAudit(ctx context.Context, c *Client, s *State) error {
	state, err := c.AuditState(ctx)
	if err != nil {
		return err
	}
	rules, err := c.AuditPolicy(ctx)
	if err != nil {
		return err
	}
	logged, critical := []string{}, []string{}
	for _, r := range rules {
		switch {
		case r.ID.Fixed() || r.ID.SuperCritical() || !r.Logged:
		case r.Critical:
			critical = append(critical, r.ID.Word())
		default:
			logged = append(logged, r.ID.Word())
		}
	}
	s.Audit = &StateAudit{Enabled: &state.Enabled, Logged: &logged, Critical: &critical}
	return nil
}

func planAudit(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	n, w := now.Audit, want.Audit
	for _, list := range []struct {
		subject   string
		now, want *[]string
		critical  bool
	}{{"logged", n.Logged, w.Logged, false}, {"critical", n.Critical, w.Critical, true}} {
		if list.want == nil {
			continue
		}
		var rules []AuditRule
		var added, removed []string
		wanted := map[auditlog.EventID]bool{}
		for _, word := range *list.want {
			ids, err := auditlog.ParseEvents(word)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrUsage, err)
			}
			for _, id := range ids {
				if wanted[id] || id.Fixed() || id.SuperCritical() {
					continue
				}
				wanted[id] = true
				if !slices.Contains(*list.now, id.Word()) {
					rules = append(rules, AuditRule{ID: id, Logged: true, Critical: list.critical})
					added = append(added, id.Word())
				}
			}
		}
		for _, word := range *list.now {
			ids, err := auditlog.ParseEvents(word)
			if err != nil {
				return nil, err
			}
			if !wanted[ids[0]] && !elsewhere(word, w, list.critical) {
				rules = append(rules, AuditRule{ID: ids[0]})
				removed = append(removed, word)
			}
		}
		if len(rules) > 0 {
			out = append(out, Change{Subject: list.subject, From: cmp.Or(strings.Join(removed, " "), "less"), To: cmp.Or(strings.Join(added, " "), "less"),
				do: func(ctx context.Context) error {
					_, err := c.SetAuditPolicy(ctx, rules...)
					return err
				}})
		}
	}
	if w.Enabled != nil && *w.Enabled != *n.Enabled {
		out = append(out, Change{Subject: "enabled", From: fmt.Sprint(*n.Enabled), To: fmt.Sprint(*w.Enabled),
			do: func(ctx context.Context) error { return c.EnableAudit(ctx, *w.Enabled) }})
	}
	return out, nil
}

// elsewhere tells that an event moves to the other list, which says what becomes of it.
func elsewhere(word string, want *StateAudit, critical bool) bool {
	other := want.Critical
	if critical {
		other = want.Logged
	}
	return other != nil && slices.Contains(*other, word)
}
