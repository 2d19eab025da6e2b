package console

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// StateTime says that the clock is to be right. It is not saved, as every machine has its own.
type StateTime struct {
	Within string `json:"within"` // "10s": set if it is off by more

	clock Clock
}

func readStateTime(ctx context.Context, c *Client, s *State) error {
	clock, err := c.time(ctx)
	s.Time = &StateTime{clock: clock}
	return err
}

func planTime(c *Client, now, want *State, _ *StateHelp) ([]Change, error) {
	within, err := time.ParseDuration(want.Time.Within)
	if err != nil || within < maxSkewLeft {
		return nil, fmt.Errorf("%w: within %q is no time such as 10s, of %v at least", ErrUsage, want.Time.Within, maxSkewLeft)
	}
	if now.Time.clock.Skew.Abs() <= within {
		return nil, nil
	}
	return []Change{{Subject: "clock", From: fmt.Sprintf("off by %v", now.Time.clock.Skew), To: "set", do: func(ctx context.Context) error {
		_, _, _, err := c.SyncTime(ctx, within)
		return err
	}}}, nil
}

// StateFeatures is which features are switched on, of those beside redirection that the machine has.
type StateFeatures struct {
	Web      *bool `json:"web,omitempty"`      // the machine's own page
	Recovery *bool `json:"recovery,omitempty"` // One-Click Recovery
	Erase    *bool `json:"erase,omitempty"`    // remote platform erase
}

func (f *StateFeatures) each(do func(name Feature, on **bool)) {
	do(FeatureWeb, &f.Web)
	do(FeatureRecovery, &f.Recovery)
	do(FeatureErase, &f.Erase)
}

func readStateFeatures(ctx context.Context, c *Client, s *State) error {
	all, err := c.Features(ctx)
	if err != nil {
		return err
	}
	f := &StateFeatures{}
	f.each(func(name Feature, on **bool) {
		for _, one := range all {
			if one.Feature == name && one.Has {
				*on = new(one.On)
			}
		}
	})
	if *f != (StateFeatures{}) {
		s.Features = f
	}
	return nil
}

func planFeatures(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	n, w := *now.Features, *want.Features
	is := map[Feature]*bool{}
	n.each(func(name Feature, on **bool) { is[name] = *on })
	w.each(func(name Feature, on **bool) {
		switch before := is[name]; {
		case *on == nil:
		case before == nil && **on:
			err = fmt.Errorf("%w: it has no %s", ErrUnsupported, name)
		case before != nil && *before != **on:
			switched := **on
			out = append(out, Change{Subject: string(name), From: fmt.Sprint(*before), To: fmt.Sprint(switched), do: func(ctx context.Context) error {
				_, err := c.SetFeatures(ctx, switched, name)
				return err
			}})
		}
	})
	return out, err
}

// StateKVM is the settings of KVM.
type StateKVM struct {
	KVMSettings

	// PasswordFrom says where the password of port 5900 is, if it is to be opened: "env:NAME" or the path of a file.
	PasswordFrom string `json:"password_from,omitempty"`
}

func readStateKVM(ctx context.Context, c *Client, s *State) error {
	k, err := c.KVMSettings(ctx)
	if err == nil {
		s.KVM = &StateKVM{KVMSettings: k}
	}
	return err
}

func planKVM(c *Client, now, want *State, help *StateHelp) ([]Change, error) {
	n, w := now.KVM.KVMSettings, want.KVM.KVMSettings
	if w.VNCPort != nil && !*w.VNCPort && n.VNCPort == nil { // gone with 16.1
		w.VNCPort = nil
	}
	change, ok := changeOf("settings", n, w)
	if !ok {
		return nil, nil
	}
	if w.VNCPort != nil && *w.VNCPort == (n.VNCPort != nil && *n.VNCPort) {
		w.VNCPort = nil // so already
	}
	if w.VNCPort != nil && *w.VNCPort {
		var err error
		if w.Password, err = help.named("password_from", want.KVM.PasswordFrom, "port 5900"); err != nil {
			return nil, err
		}
		if err := checkRFBPassword(w.Password); err != nil {
			return nil, err
		}
	}
	change.do = func(ctx context.Context) error {
		_, err := c.SetKVMSettings(ctx, w)
		return err
	}
	return []Change{change}, nil
}

// StateConsent is for what somebody at the machine must agree.
type StateConsent struct {
	Policy  string  `json:"policy,omitempty"`                  // "none", "kvm", "all"
	Display *uint16 `json:"display_timeout_seconds,omitempty"` // that the code is shown
	Code    *uint32 `json:"code_timeout_seconds,omitempty"`    // from the right code to the first session

	fixed bool
}

func readStateConsent(ctx context.Context, c *Client, s *State) error {
	v, err := c.Consent(ctx)
	if err == nil {
		s.Consent = &StateConsent{Policy: v.Policy, Display: new(uint16(v.Display / time.Second)), Code: new(uint32(v.Code / time.Second)), fixed: v.Fixed}
	}
	return err
}

func planConsent(c *Client, now, want *State, _ *StateHelp) ([]Change, error) {
	n, w := *now.Consent, *want.Consent
	switch w.Policy {
	case "", "none", "kvm", "all":
	default:
		return nil, fmt.Errorf("%w: policy %q is none of none, kvm, all", ErrUsage, w.Policy)
	}
	if n.fixed && w.Policy != "" && w.Policy != n.Policy {
		return nil, fmt.Errorf("%w: in client control mode consent is always needed for all; admin control mode has the choice", ErrNotOffered)
	}
	if w.Display != nil && *w.Display == 0 || w.Code != nil && *w.Code == 0 {
		return nil, fmt.Errorf("%w: a time of 0 seconds", ErrUsage)
	}
	change, ok := changeOf("consent", n, w)
	if !ok {
		return nil, nil
	}
	change.do = func(ctx context.Context) error {
		var display, code time.Duration
		if w.Display != nil {
			display = time.Duration(*w.Display) * time.Second
		}
		if w.Code != nil {
			code = time.Duration(*w.Code) * time.Second
		}
		_, err := c.SetConsentPolicy(ctx, w.Policy, display, code)
		return err
	}
	return []Change{change}, nil
}

// StatePowerPolicy is in which states of the PC the management engine stays on.
type StatePowerPolicy struct {
	Name        string  `json:"name,omitempty"`                 // in the firmware's words, a part of them, or a GUID
	IdleTimeout *uint16 `json:"idle_timeout_minutes,omitempty"` // from 1

	list []PowerPolicy
}

func readStatePowerPolicy(ctx context.Context, c *Client, s *State) error {
	all, err := c.PowerPolicies(ctx)
	if err != nil {
		return err
	}
	p := &StatePowerPolicy{list: all.List}
	if current, told := all.Current(); told {
		p.Name = current.Name
	}
	if all.IdleTimeout > 0 {
		p.IdleTimeout = new(uint16(all.IdleTimeout / time.Minute))
	}
	if p.Name != "" || p.IdleTimeout != nil || len(p.list) > 0 {
		s.PowerPolicy = p
	}
	return nil
}

func planPowerPolicy(c *Client, now, want *State, _ *StateHelp) ([]Change, error) {
	n, w := *now.PowerPolicy, *want.PowerPolicy
	if w.Name != "" {
		p, err := choosePolicy(n.list, w.Name)
		if err != nil {
			return nil, err
		}
		w.Name = p.Name
	}
	if w.IdleTimeout != nil && *w.IdleTimeout == 0 {
		return nil, fmt.Errorf("%w: an idle timeout of 0 minutes", ErrUsage)
	}
	change, ok := changeOf("policy", n, w)
	if !ok {
		return nil, nil
	}
	change.do = func(ctx context.Context) error {
		var idle time.Duration
		if w.IdleTimeout != nil {
			idle = time.Duration(*w.IdleTimeout) * time.Minute
		}
		_, err := c.SetPowerPolicy(ctx, w.Name, idle)
		return err
	}
	return []Change{change}, nil
}

// changeOf makes one Change of all fields of two structs that differ, of those that want has.
func changeOf[T any](subject string, now, want T) (Change, bool) {
	names, from, to := differing(now, want)
	if len(names) == 0 {
		return Change{}, false
	}
	for i, name := range names {
		from[i], to[i] = name+" "+from[i], name+" "+to[i]
	}
	return Change{Subject: subject, From: strings.Join(from, ", "), To: strings.Join(to, ", ")}, true
}
