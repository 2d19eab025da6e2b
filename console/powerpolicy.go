package console

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/wsman"
)

// A PowerPolicy is one of the firmware's power packages: in which states of the PC the management engine stays on.
// Source: AMT_SystemPowerScheme; spec power-and-boot.md section 7.
type PowerPolicy struct {
	ID      string // InstanceID
	GUID    string // in canonical form; as the machine says it if it is not one
	Name    string // in the firmware's words: "Desktop: ON in S0, ME Wake in S3, S4-5"
	Current bool   // in force; none is if the machine does not tell

	scheme string // SchemeGUID as the machine says it
}

// PowerPolicies is what a machine offers, and how long its engine stays awake.
type PowerPolicies struct {
	List []PowerPolicy

	// IdleTimeout is how long the engine stays awake after the last traffic while the PC sleeps or is off, in whole
	// minutes; 0 if the machine does not tell. Source: AMT_GeneralSettings.IdleWakeTimeout.
	IdleTimeout time.Duration
}

// Current returns the policy in force. ok is false if the machine does not tell.
func (p *PowerPolicies) Current() (policy PowerPolicy, ok bool) {
	for _, p := range p.List {
		if p.Current {
			return p, true
		}
	}
	return PowerPolicy{}, false
}

// PowerPolicies reads the policies that the machine offers, and which is in force.
func (c *Client) PowerPolicies(ctx context.Context) (PowerPolicies, error) {
	all, _, err := c.powerPolicies(ctx)
	if err != nil {
		return PowerPolicies{}, fmt.Errorf("power policies: %w", err)
	}
	return all, nil
}

func (c *Client) powerPolicies(ctx context.Context) (all PowerPolicies, general *amt.GeneralSettings, err error) {
	var schemes []*amt.SystemPowerScheme
	current := map[string]bool{}
	err = together(
		func() (err error) { schemes, err = list[amt.SystemPowerScheme](ctx, c); return err },
		func() (err error) { general, err = ask[amt.GeneralSettings](ctx, c); return err },
		func() error {
			links, err := list[cim.ElementSettingData](ctx, c)
			for _, l := range links {
				if l.SettingData != nil && l.SettingData.Class() == "AMT_SystemPowerScheme" && class.Value(l.IsCurrent) == cim.ElementSettingDataIsCurrentIsCurrent {
					current[l.SettingData.Selectors.Value("InstanceID")] = true
				}
			}
			return lenient(err)
		})
	if err != nil {
		return all, nil, err
	}
	for _, s := range schemes {
		id, scheme := class.Value(s.InstanceID), class.Value(s.SchemeGUID)
		all.List = append(all.List, PowerPolicy{ID: id, GUID: schemeText(scheme), Name: cmp.Or(class.Value(s.Description), class.Value(s.ElementName)),
			Current: current[id], scheme: scheme})
	}
	if general != nil {
		all.IdleTimeout = time.Duration(class.Value(general.IdleWakeTimeout)) * time.Minute
	}
	return all, general, nil
}

// schemeText is the canonical form of a SchemeGUID, which is base64 of 16 bytes.
func schemeText(scheme string) string {
	b, err := base64.StdEncoding.DecodeString(scheme)
	if err != nil {
		return scheme
	}
	g, err := guid.FromBytes(b)
	if err != nil {
		return scheme
	}
	return g.String()
}

// SetPowerPolicy puts a policy in force: one that is named by its number in the list, from 1, its GUID, or a part of its
// name that no other has; "" leaves what is in force. An idle timeout of 0 is left as well; others are whole minutes up to
// 65535. It returns all as the machine has them then. With a policy that says "ON in S0" alone the machine is not to be
// reached while the PC sleeps or is off.
func (c *Client) SetPowerPolicy(ctx context.Context, name string, idle time.Duration) (PowerPolicies, error) {
	now, err := c.setPowerPolicy(ctx, name, idle)
	if err != nil {
		return now, fmt.Errorf("set power policy: %w", err)
	}
	return now, nil
}

func (c *Client) setPowerPolicy(ctx context.Context, name string, idle time.Duration) (PowerPolicies, error) {
	if idle < 0 || idle%time.Minute != 0 || idle/time.Minute > math.MaxUint16 {
		return PowerPolicies{}, fmt.Errorf("%w: an idle timeout of %v is not a number of whole minutes up to %d", ErrUsage, idle, math.MaxUint16)
	}
	all, general, err := c.powerPolicies(ctx)
	if err != nil {
		return all, err
	}
	var want PowerPolicy
	if name != "" {
		if want, err = choosePolicy(all.List, name); err != nil {
			return all, err
		}
	}
	if idle > 0 && general == nil {
		return all, fmt.Errorf("%w: it has no idle timeout", ErrUnsupported)
	}
	if idle > 0 && idle != all.IdleTimeout { // first: under another policy the machine may be gone
		general.IdleWakeTimeout = new(uint32(idle / time.Minute))
		if _, err := class.Put(ctx, c, general); err != nil {
			return all, err
		}
	}
	if want.ID != "" && !want.Current {
		sel := []wsman.Selector{{Name: "InstanceID", Value: want.ID}}
		if want.scheme != "" {
			sel = append(sel, wsman.Selector{Name: "SchemeGUID", Value: want.scheme})
		}
		if _, err := amt.SystemPowerSchemeSetPowerScheme.Invoke(ctx, c, amt.SystemPowerSchemeSetPowerSchemeIn{}, sel...); err != nil {
			return all, err
		}
	}
	if all, _, err = c.powerPolicies(ctx); err != nil {
		return all, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now, told := all.Current()
	if want.ID != "" && told && now.ID != want.ID || idle > 0 && all.IdleTimeout != idle {
		return all, ErrDiffers
	}
	return all, nil
}

func choosePolicy(all []PowerPolicy, name string) (PowerPolicy, error) {
	if len(all) == 0 {
		return PowerPolicy{}, fmt.Errorf("%w: it offers no power policies", ErrUnsupported)
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n < 1 || n > len(all) {
			return PowerPolicy{}, fmt.Errorf("%w: there are policies 1 to %d", ErrUsage, len(all))
		}
		return all[n-1], nil
	}
	var found []PowerPolicy
	for _, p := range all {
		if strings.EqualFold(strings.Trim(name, "{}"), p.GUID) || name == p.scheme || strings.EqualFold(name, p.Name) {
			return p, nil
		}
		if strings.Contains(strings.ToLower(p.Name), strings.ToLower(name)) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return PowerPolicy{}, fmt.Errorf("%w: no policy is called %q", ErrUsage, name)
	}
	return PowerPolicy{}, fmt.Errorf("%w: %d policies are called %q", ErrUsage, len(found), name)
}
