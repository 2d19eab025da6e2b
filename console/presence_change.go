package console

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
)

// Limits of watchdogs. Source: spec watchdog.md section 7.
const (
	maxWatchdogName     = 16
	maxWatchdogInterval = 65535 * time.Second
)

func (w *Watchdog) check() error {
	bad := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("<>&\"", r) }
	switch {
	case w.ID.IsZero():
		return fmt.Errorf("%w: an agent cannot have a GUID of zeros", ErrUsage)
	case w.Name == "" || utf8.RuneCountInString(w.Name) > maxWatchdogName || strings.IndexFunc(w.Name, bad) >= 0:
		return fmt.Errorf("%w: name %q of the watchdog does not have 1 to %d printable characters, none of <, >, &, quote", ErrUsage, w.Name, maxWatchdogName)
	}
	for what, d := range map[string]time.Duration{"startup": w.Startup, "heartbeat": w.Timeout} {
		if d < time.Second || d > maxWatchdogInterval || d%time.Second != 0 {
			return fmt.Errorf("%w: %s interval %v is not of whole seconds, from 1s to %v", ErrUsage, what, d, maxWatchdogInterval)
		}
	}
	return nil
}

// AddWatchdog has a program watched, and returns the watchdog as the machine has it then. State and Actions do not count.
// What the firmware would refuse (an identity that is there already, a watchdog too many) is an error that wraps
// [ErrUsage] or [ErrNotOffered], and nothing is sent.
func (c *Client) AddWatchdog(ctx context.Context, w Watchdog) (Watchdog, error) {
	now, err := c.addWatchdog(ctx, w)
	if err != nil {
		return now, fmt.Errorf("add watchdog %s: %w", w.Name, err)
	}
	return now, nil
}

func (c *Client) addWatchdog(ctx context.Context, w Watchdog) (Watchdog, error) {
	if err := w.check(); err != nil {
		return Watchdog{}, err
	}
	p, err := c.presence(ctx)
	if err != nil {
		return Watchdog{}, err
	}
	for _, other := range p.Watchdogs {
		switch {
		case other.ID == w.ID:
			return Watchdog{}, fmt.Errorf("%w: agent %v has a watchdog, %s", ErrUsage, w.ID, other.Name)
		case other.Name == w.Name:
			return Watchdog{}, fmt.Errorf("%w: there is a watchdog %q", ErrUsage, w.Name)
		}
	}
	if p.MaxWatchdogs > 0 && len(p.Watchdogs) >= p.MaxWatchdogs {
		return Watchdog{}, fmt.Errorf("%w: the machine has %d watchdogs, and holds no more", ErrNotOffered, len(p.Watchdogs))
	}
	// Firmware gives the keys their values itself, whatever is sent, but for DeviceID.
	v := amt.AgentPresenceWatchdog{CreationClassName: new("AMT_AgentPresenceWatchdog"), DeviceID: new(base64.StdEncoding.EncodeToString(w.ID[:])),
		SystemCreationClassName: new("CIM_ComputerSystem"), SystemName: new("Intel(r) AMT"), MonitoredEntityDescription: &w.Name,
		StartupInterval: new(uint16(w.Startup / time.Second)), TimeoutInterval: new(uint32(w.Timeout / time.Second))}
	if _, err := class.Create(ctx, c, &v); err != nil {
		return Watchdog{}, err
	}
	if p, err = c.presence(ctx); err != nil {
		return w, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now, err := p.find(w.ID.String())
	if err != nil {
		return w, ErrDiffers
	}
	if now.Name != w.Name || now.Startup != w.Startup || now.Timeout != w.Timeout {
		return *now, ErrDiffers
	}
	return *now, nil
}

// RemoveWatchdogs removes the watchdogs of these GUIDs or names with their actions, and reads the list again to see that
// they are gone. It returns those it has removed. A name that none has is an error that wraps [ErrUsage], before
// anything is removed.
func (c *Client) RemoveWatchdogs(ctx context.Context, agents ...string) ([]Watchdog, error) {
	gone, err := c.removeWatchdogs(ctx, agents)
	if err != nil {
		return gone, fmt.Errorf("remove watchdogs: %w", err)
	}
	return gone, nil
}

func (c *Client) removeWatchdogs(ctx context.Context, agents []string) (gone []Watchdog, err error) {
	p, err := c.presence(ctx)
	if err != nil {
		return nil, err
	}
	var all []*Watchdog
	for _, agent := range agents {
		w, err := p.find(agent)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	for _, w := range all {
		if err := class.Delete[amt.AgentPresenceWatchdog](ctx, c, p.selectors(w)...); err != nil {
			return gone, fmt.Errorf("%s: %w", w.Name, err)
		}
		gone = append(gone, *w)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	if p, err = c.presence(ctx); err != nil {
		return gone, fmt.Errorf("accepted, but reading them again failed: %w", err)
	}
	for _, w := range gone {
		if _, found := p.devices[w.ID]; found {
			return gone, ErrDiffers
		}
	}
	return gone, nil
}

func (a *WatchdogAction) check() error {
	switch {
	case a.From == 0 || a.To == 0 || (a.From|a.To)&^AnyAgentState != 0:
		return fmt.Errorf("%w: an action needs states to come from, and states to lead to", ErrUsage)
	case a.From == a.To && a.From&(a.From-1) == 0:
		return fmt.Errorf("%w: from %[2]s to %[2]s is no change of state", ErrUsage, AgentStateNames(a.From)[0])
	case !slices.Contains([]PolicySwitch{"", PolicyOn, PolicyOff}, a.Policy):
		return fmt.Errorf("%w: policy %q is neither on nor off", ErrUsage, a.Policy)
	case !a.Event && a.Policy == "" && !class.Value(a.EAC):
		return fmt.Errorf("%w: the action would do nothing: neither an event, nor the network policy, nor endpoint access control", ErrUsage)
	}
	return nil
}

// same compares actions but for EAC.
func (a WatchdogAction) same(b WatchdogAction) bool {
	a.EAC, b.EAC = nil, nil
	return a == b
}

// AddWatchdogAction has AMT do something when the state of the watchdog of that GUID or name changes, and returns the
// watchdog as the machine has it then. What the firmware would refuse, and what is there already, is an error that wraps
// [ErrUsage] or [ErrNotOffered], and nothing is sent.
func (c *Client) AddWatchdogAction(ctx context.Context, agent string, a WatchdogAction) (Watchdog, error) {
	now, err := c.addWatchdogAction(ctx, agent, a)
	if err != nil {
		return now, fmt.Errorf("add action to watchdog %s: %w", agent, err)
	}
	return now, nil
}

func (c *Client) addWatchdogAction(ctx context.Context, agent string, a WatchdogAction) (Watchdog, error) {
	if err := a.check(); err != nil {
		return Watchdog{}, err
	}
	p, err := c.presence(ctx)
	if err != nil {
		return Watchdog{}, err
	}
	w, err := p.find(agent)
	if err != nil {
		return Watchdog{}, err
	}
	before, total := len(w.Actions), 0
	for _, other := range p.Watchdogs {
		total += len(other.Actions)
	}
	switch {
	case slices.ContainsFunc(w.Actions, a.same):
		return *w, fmt.Errorf("%w: the watchdog has this action already", ErrUsage)
	case p.MaxActions > 0 && total >= p.MaxActions:
		return *w, fmt.Errorf("%w: the machine has %d actions, and holds no more", ErrNotOffered, total)
	}
	in := amt.AgentPresenceWatchdogAddActionIn{OldState: new(uint16(a.From)), NewState: new(uint16(a.To)), EventOnTransition: &a.Event, ActionEac: a.EAC}
	switch a.Policy {
	case PolicyOn:
		in.ActionSd = new(amt.AgentPresenceWatchdogAddActionActionSdActivatePolicy)
	case PolicyOff:
		in.ActionSd = new(amt.AgentPresenceWatchdogAddActionActionSdDeactivatePolicy)
	}
	_, err = amt.AgentPresenceWatchdogAddAction.Invoke(ctx, c, in, p.selectors(w)...)
	var no *status.Error
	switch {
	case errors.As(err, &no) && no.Code == status.MaxLimitReached:
		return *w, fmt.Errorf("the machine holds no more actions of this watchdog, as it keeps some for the others: %w", err)
	case err != nil:
		return *w, err
	}
	if p, err = c.presence(ctx); err != nil {
		return *w, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now, err := p.find(w.ID.String())
	if err != nil {
		return *w, ErrDiffers
	}
	if len(now.Actions) != before+1 || !slices.ContainsFunc(now.Actions, a.same) {
		return *now, ErrDiffers
	}
	return *now, nil
}

// RemoveWatchdogActions removes all actions of the watchdog of that GUID or name: AMT cannot remove one alone. The
// result is the watchdog as it was before, with the actions that are gone.
func (c *Client) RemoveWatchdogActions(ctx context.Context, agent string) (Watchdog, error) {
	was, err := c.removeWatchdogActions(ctx, agent)
	if err != nil {
		return was, fmt.Errorf("remove actions of watchdog %s: %w", agent, err)
	}
	return was, nil
}

func (c *Client) removeWatchdogActions(ctx context.Context, agent string) (Watchdog, error) {
	p, err := c.presence(ctx)
	if err != nil {
		return Watchdog{}, err
	}
	w, err := p.find(agent)
	if err != nil || len(w.Actions) == 0 {
		return pointed(w), err
	}
	if _, err := amt.AgentPresenceWatchdogDeleteAllActions.Invoke(ctx, c, amt.AgentPresenceWatchdogDeleteAllActionsIn{}, p.selectors(w)...); err != nil {
		return *w, err
	}
	if p, err = c.presence(ctx); err != nil {
		return *w, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if now, err := p.find(w.ID.String()); err != nil || len(now.Actions) > 0 {
		return *w, ErrDiffers
	}
	return *w, nil
}

// pointed is what w points to, if anything.
func pointed(w *Watchdog) Watchdog { return class.Value(w) }
