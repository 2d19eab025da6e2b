package console

import (
	"context"
	"fmt"
	"slices"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// SetWiFiPriority gives a profile a priority, and moves those that are in its way to the next one. It returns all
// profiles as the machine has them then. If it fails midway the priorities are those of the profiles returned.
func (c *Client) SetWiFiPriority(ctx context.Context, name string, priority uint8) ([]WiFiProfile, error) {
	all, err := c.setPriority(ctx, name, priority)
	if err != nil {
		return all, fmt.Errorf("priority of wireless profile %s: %w", name, err)
	}
	return all, nil
}

func (c *Client) setPriority(ctx context.Context, name string, priority uint8) ([]WiFiProfile, error) {
	if priority == 0 {
		return nil, fmt.Errorf("%w: a priority is 1 to 255", ErrUsage)
	}
	p, all, err := c.findProfile(ctx, name)
	if err != nil || p.Priority == priority {
		return all, err
	}
	moves, err := reorder(all, p, priority)
	if err != nil {
		return all, err
	}
	want := slices.Clone(all)
	for _, m := range moves {
		if err = c.putProfile(ctx, m); err != nil {
			break
		}
		want[slices.IndexFunc(want, func(w WiFiProfile) bool { return w.id == m.id })].Priority = m.Priority
	}
	now, again := c.wifiProfiles(ctx)
	if err != nil {
		return now, err
	}
	if again != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", again)
	}
	for _, w := range want {
		if !slices.ContainsFunc(now, func(n WiFiProfile) bool { return n.id == w.id && n.Priority == w.Priority }) {
			return now, ErrDiffers
		}
	}
	return now, nil
}

// reorder returns the writes that give p a priority. No two profiles have the same one at any time, as firmware refuses
// that: p goes out of the way first, those in its way move up from the last on, then p takes its place.
func reorder(all []WiFiProfile, p WiFiProfile, priority uint8) ([]WiFiProfile, error) {
	at := map[int]WiFiProfile{}
	for _, other := range all {
		if !other.Host && other.id != p.id {
			at[int(other.Priority)] = other
		}
	}
	var way []WiFiProfile
	n := int(priority)
	for ; ; n++ {
		other, taken := at[n]
		if !taken {
			break
		}
		way = append(way, other)
	}
	if n > 255 {
		return nil, fmt.Errorf("%w: no priority is free from %d on", ErrUsage, priority)
	}
	var moves []WiFiProfile
	if n == int(p.Priority) { // its own place is needed before it has left
		spare := p
		if spare.Priority = freePriority(all); spare.Priority == 0 {
			return nil, fmt.Errorf("%w: all priorities are in use", ErrUsage)
		}
		moves = append(moves, spare)
	}
	for _, other := range slices.Backward(way) {
		other.Priority++
		moves = append(moves, other)
	}
	p.Priority = priority
	return append(moves, p), nil
}

// RemoveWiFiProfile removes a profile of an administrator and sees that it is gone.
func (c *Client) RemoveWiFiProfile(ctx context.Context, name string) error {
	p, _, err := c.findProfile(ctx, name)
	if err == nil {
		err = class.Delete[cim.WiFiEndpointSettings](ctx, c, wsman.Selector{Name: "InstanceID", Value: p.id})
	}
	if err == nil {
		err = c.gone(ctx, func(other WiFiProfile) bool { return other.id == p.id })
	}
	if err != nil {
		return fmt.Errorf("remove wireless profile %s: %w", name, err)
	}
	return nil
}

// gone reads the profiles again and reports by [ErrDiffers] that one of these is still there.
func (c *Client) gone(ctx context.Context, which func(WiFiProfile) bool) error {
	all, err := c.wifiProfiles(ctx)
	if err == nil && slices.ContainsFunc(all, which) {
		err = ErrDiffers
	}
	return err
}

// ClearWiFiProfiles removes all profiles of administrators, or all of the host, and returns how many there were.
func (c *Client) ClearWiFiProfiles(ctx context.Context, host bool) (int, error) {
	n, err := c.clearWiFi(ctx, host)
	if err != nil {
		return n, fmt.Errorf("remove wireless profiles: %w", err)
	}
	return n, nil
}

func (c *Client) clearWiFi(ctx context.Context, host bool) (int, error) {
	all, err := c.wifiProfiles(ctx)
	if err != nil {
		return 0, err
	}
	which := func(p WiFiProfile) bool { return p.Host == host }
	n := 0
	for _, p := range all {
		if which(p) {
			n++
		}
	}
	if host {
		_, err = amt.WiFiPortConfigurationServiceDeleteAllUserProfiles.Invoke(ctx, c, amt.WiFiPortConfigurationServiceDeleteAllUserProfilesIn{})
	} else {
		_, err = amt.WiFiPortConfigurationServiceDeleteAllITProfiles.Invoke(ctx, c, amt.WiFiPortConfigurationServiceDeleteAllITProfilesIn{})
	}
	if err != nil {
		return 0, err
	}
	return n, c.gone(ctx, which)
}

// SetWiFiState switches the wireless port: "off", "s0" (on while the PC is on) or "s0-sx" (asleep and off as well, on
// AC). It returns the state as the machine has it then.
func (c *Client) SetWiFiState(ctx context.Context, state string) (WiFi, error) {
	w, err := c.setWiFiState(ctx, state)
	if err != nil {
		return w, fmt.Errorf("wireless port: %w", err)
	}
	return w, nil
}

func (c *Client) setWiFiState(ctx context.Context, state string) (WiFi, error) {
	number, ok := wordNumber(wifiStates, state)
	if !ok {
		return WiFi{}, fmt.Errorf("%w: state %q is none of off, s0, s0-sx", ErrUsage, state)
	}
	if err := c.hasWiFi(ctx); err != nil {
		return WiFi{}, err
	}
	in := cim.WiFiPortRequestStateChangeIn{RequestedState: new(cim.RequestedState(number))}
	if _, err := cim.WiFiPortRequestStateChange.Invoke(ctx, c, in); err != nil {
		return WiFi{}, err
	}
	w, err := c.wifi(ctx)
	if err == nil && w.State != state {
		err = ErrDiffers
	}
	return w, err
}

// A WiFiSync says what to change about the sharing of profiles; what is "" or nil stays.
type WiFiSync struct {
	Sync        string // profiles that the host may write: "off", "user" or "unrestricted"
	UEFISharing *bool
	NoHost      string // "relaxed" or "aggressive"
}

// SetWiFiSync changes who shares profiles, and returns the state as the machine has it then.
func (c *Client) SetWiFiSync(ctx context.Context, change WiFiSync) (WiFi, error) {
	w, err := c.setWiFiSync(ctx, change)
	if err != nil {
		return w, fmt.Errorf("sharing of wireless profiles: %w", err)
	}
	return w, nil
}

func (c *Client) setWiFiSync(ctx context.Context, change WiFiSync) (WiFi, error) {
	number, ok := wordNumber(wifiSync, change.Sync)
	switch {
	case change == (WiFiSync{}):
		return WiFi{}, fmt.Errorf("%w: nothing to change", ErrUsage)
	case change.Sync != "" && !ok:
		return WiFi{}, fmt.Errorf("%w: synchronization %q is none of off, user, unrestricted", ErrUsage, change.Sync)
	case change.NoHost != "" && change.NoHost != "relaxed" && change.NoHost != "aggressive":
		return WiFi{}, fmt.Errorf("%w: policy %q is neither relaxed nor aggressive", ErrUsage, change.NoHost)
	}
	if err := c.hasWiFi(ctx); err != nil {
		return WiFi{}, err
	}
	service, err := class.Get[amt.WiFiPortConfigurationService](ctx, c)
	if err != nil {
		return WiFi{}, err
	}
	if change.UEFISharing != nil {
		if service.UEFIWiFiProfileShareEnabled == nil {
			return WiFi{}, fmt.Errorf("%w: profiles are shared with the BIOS from AMT 16 on", ErrUnsupported)
		}
		if can, err := got[amt.BootCapabilities](ctx, c); err != nil {
			return WiFi{}, err
		} else if *change.UEFISharing && !class.Value(can.UEFIWiFiCoExistenceAndProfileShare) {
			return WiFi{}, fmt.Errorf("%w: its BIOS does not take wireless profiles", ErrUnsupported)
		}
		service.UEFIWiFiProfileShareEnabled = change.UEFISharing
	}
	if change.Sync != "" {
		service.LocalProfileSynchronizationEnabled = &number
	}
	if change.NoHost != "" {
		if service.NoHostCsmeSoftwarePolicy == nil {
			return WiFi{}, fmt.Errorf("%w: it has no policy for hosts without software", ErrUnsupported)
		}
		service.NoHostCsmeSoftwarePolicy = new(amt.WiFiPortConfigurationServiceNoHostCsmeSoftwarePolicyRelaxed)
		if change.NoHost == "aggressive" {
			service.NoHostCsmeSoftwarePolicy = new(amt.WiFiPortConfigurationServiceNoHostCsmeSoftwarePolicyAggressive)
		}
	}
	if _, err := class.Put(ctx, c, service); err != nil {
		return WiFi{}, err
	}
	w, err := c.wifi(ctx)
	if err == nil && (change.Sync != "" && w.Sync != change.Sync || !same(change.UEFISharing, w.UEFISharing) || change.NoHost != "" && w.NoHost != change.NoHost) {
		err = ErrDiffers
	}
	return w, err
}
