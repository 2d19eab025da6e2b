package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// A PowerPolicy is one of the firmware's power packages: in which states of the PC the management engine stays on.
// Source: AMT_SystemPowerScheme; spec power-and-boot.md.
type PowerPolicy struct {
	ID      string // InstanceID
	GUID    string
	Name    string // in the firmware's words: "Desktop: ON in S0, ME Wake in S3, S4-5"
	Current bool   // in force; none is if the machine does not tell
}

// PowerPolicies reads the policies that the machine offers, and which is in force.
func (c *Client) PowerPolicies(ctx context.Context) ([]PowerPolicy, error) {
	list, err := c.powerPolicies(ctx)
	if err != nil {
		return nil, fmt.Errorf("power policies: %w", err)
	}
	return list, nil
}

func (c *Client) powerPolicies(ctx context.Context) ([]PowerPolicy, error) {
	var schemes []*amt.SystemPowerScheme
	current := map[string]bool{}
	err := together(
		func() (err error) { schemes, err = class.All[amt.SystemPowerScheme](ctx, c); return err },
		func() error {
			links, err := list[cim.ElementSettingData](ctx, c)
			for _, l := range links {
				if l.SettingData == nil || class.Value(l.IsCurrent) != cim.ElementSettingDataIsCurrentIsCurrent {
					continue
				}
				if l.SettingData.Class() == "AMT_SystemPowerScheme" {
					current[l.SettingData.Selectors.Value("InstanceID")] = true
				}
			}
			return lenient(err)
		})
	if err != nil {
		return nil, err
	}
	var out []PowerPolicy
	for _, s := range schemes {
		id := class.Value(s.InstanceID)
		out = append(out, PowerPolicy{ID: id, GUID: class.Value(s.SchemeGUID), Name: first(class.Value(s.Description), class.Value(s.ElementName)), Current: current[id]})
	}
	return out, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// SetPowerPolicy puts a policy in force: one that is named by its number in the list, from 1, its GUID, or a part of its
// name that no other has. It returns all as the machine has them then.
func (c *Client) SetPowerPolicy(ctx context.Context, name string) ([]PowerPolicy, error) {
	now, err := c.setPowerPolicy(ctx, name)
	if err != nil {
		return now, fmt.Errorf("set power policy: %w", err)
	}
	return now, nil
}

func (c *Client) setPowerPolicy(ctx context.Context, name string) ([]PowerPolicy, error) {
	all, err := c.powerPolicies(ctx)
	if err != nil {
		return nil, err
	}
	want, err := choosePolicy(all, name)
	if err != nil || want.Current {
		return all, err
	}
	sel := []wsman.Selector{{Name: "InstanceID", Value: want.ID}}
	if want.GUID != "" {
		sel = append(sel, wsman.Selector{Name: "SchemeGUID", Value: want.GUID})
	}
	if _, err := amt.SystemPowerSchemeSetPowerScheme.Invoke(ctx, c, amt.SystemPowerSchemeSetPowerSchemeIn{}, sel...); err != nil {
		return nil, err
	}
	if all, err = c.powerPolicies(ctx); err != nil {
		return nil, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, p := range all {
		if p.ID == want.ID && !p.Current {
			return all, ErrDiffers
		}
	}
	return all, nil
}

func choosePolicy(all []PowerPolicy, name string) (PowerPolicy, error) {
	var found []PowerPolicy
	for i, p := range all {
		if name == fmt.Sprint(i+1) || strings.EqualFold(name, p.GUID) || strings.EqualFold(name, p.Name) {
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
