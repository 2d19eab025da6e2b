package console

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// StateNetwork is how the machine is in the network.
type StateNetwork struct {
	HostName   string     `json:"hostname,omitempty"`
	Domain     string     `json:"domain,omitempty"`
	SharedFQDN *bool      `json:"shared_fqdn,omitempty"`
	Ping       *bool      `json:"ping,omitempty"`
	RMCPPing   *bool      `json:"rmcp_ping,omitempty"`
	Wired      *StatePort `json:"wired,omitempty"`
	Wireless   *StatePort `json:"wireless,omitempty"`
}

// A StatePort is one interface.
type StatePort struct {
	Mode       string   `json:"mode,omitempty"`    // "dhcp", "host", "static"
	Address    string   `json:"address,omitempty"` // with static: "192.0.2.7/24"
	Gateway    string   `json:"gateway,omitempty"` // likewise
	DNS        []string `json:"dns,omitempty"`     // likewise
	IPSync     *bool    `json:"ip_sync,omitempty"` // with dhcp
	VLAN       *uint16  `json:"vlan,omitempty"`
	LinkPolicy []string `json:"link_policy,omitempty"`
	IPv6       *bool    `json:"ipv6,omitempty"`
}

func readStateNetwork(ctx context.Context, c *Client, s *State) error {
	n, err := c.Network(ctx)
	if err != nil {
		return err
	}
	s.Network = &StateNetwork{HostName: n.HostName, Domain: n.Domain, SharedFQDN: n.SharedFQDN, Ping: n.Ping, RMCPPing: n.RMCPPing,
		Wired: statePort(n.Port(Wired)), Wireless: statePort(n.Port(Wireless))}
	return nil
}

func statePort(p *Port) *StatePort {
	if p == nil {
		return nil
	}
	s := &StatePort{Mode: p.Mode, LinkPolicy: p.LinkPolicy}
	if p.Interface == Wired {
		s.VLAN = &p.VLAN
	}
	if p.IPv6 != nil {
		s.IPv6 = p.IPv6.Enabled
	}
	switch p.Mode {
	case "dhcp":
		s.IPSync = p.IPSync
	case "static":
		s.Address, s.Gateway = prefixText(p.Address, p.Mask), p.Gateway
		for _, dns := range []string{p.DNS1, p.DNS2} {
			if dns != "" {
				s.DNS = append(s.DNS, dns)
			}
		}
	}
	return s
}

// prefixText joins address and mask: "192.0.2.7/24".
func prefixText(address, mask string) string {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return address
	}
	bits := 0
	for _, b := range m.As4() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	return fmt.Sprintf("%s/%d", address, bits)
}

func planNetwork(c *Client, now, want *State, _ Secrets) (out []Change, err error) {
	n, w := *now.Network, *want.Network
	ports := []struct {
		at        Interface
		now, want *StatePort
	}{{Wired, n.Wired, w.Wired}, {Wireless, n.Wireless, w.Wireless}}
	n.Wired, n.Wireless, w.Wired, w.Wireless = nil, nil, nil, nil
	general := NetworkChange{SharedFQDN: w.SharedFQDN, Ping: w.Ping, RMCPPing: w.RMCPPing}
	if w.HostName != "" && w.HostName != n.HostName {
		general.HostName = &w.HostName
	}
	if w.Domain != "" && w.Domain != n.Domain {
		general.Domain = &w.Domain
	}
	if change, ok := networkChange("general", n, w); ok {
		change.do = func(ctx context.Context) error {
			_, err := c.SetNetwork(ctx, general)
			return err
		}
		out = append(out, change)
	}
	for _, p := range ports {
		if p.want == nil {
			continue
		}
		if p.now == nil {
			return nil, fmt.Errorf("%w: the machine has no %s interface", ErrUnsupported, p.at)
		}
		set, err := p.want.change(p.at)
		if err != nil {
			return nil, err
		}
		if change, ok := networkChange(string(p.at), *p.now, *p.want); ok {
			change.do = func(ctx context.Context) error {
				_, err := c.SetNetwork(ctx, set)
				return err
			}
			out = append(out, change)
		}
	}
	return out, nil
}

func networkChange[T any](subject string, now, want T) (Change, bool) {
	names, from, to := differing(now, want)
	if len(names) == 0 {
		return Change{}, false
	}
	for i, name := range names {
		from[i], to[i] = name+" "+from[i], name+" "+to[i]
	}
	return Change{Subject: subject, From: strings.Join(from, ", "), To: strings.Join(to, ", ")}, true
}

// change is what makes an interface as p says.
func (p *StatePort) change(at Interface) (NetworkChange, error) {
	set := NetworkChange{Interface: at, Mode: p.Mode, IPSync: p.IPSync, VLAN: p.VLAN, LinkPolicy: p.LinkPolicy, IPv6: p.IPv6}
	var err error
	if p.Address != "" {
		if set.Address, err = netip.ParsePrefix(p.Address); err != nil {
			return set, fmt.Errorf("%w: %s: address: %w", ErrUsage, at, err)
		}
	}
	if p.Gateway != "" {
		gateway, err := netip.ParseAddr(p.Gateway)
		if err != nil {
			return set, fmt.Errorf("%w: %s: gateway: %w", ErrUsage, at, err)
		}
		set.Gateway = &gateway
	}
	for _, text := range p.DNS {
		dns, err := netip.ParseAddr(text)
		if err != nil {
			return set, fmt.Errorf("%w: %s: dns: %w", ErrUsage, at, err)
		}
		set.DNS = append(set.DNS, dns)
	}
	return set, nil
}

// StateWiFi is the wireless port and its profiles.
type StateWiFi struct {
	State       string              `json:"state,omitempty"` // "off", "s0", "s0-sx"
	Sync        string              `json:"sync,omitempty"`  // "off", "user", "unrestricted"
	UEFISharing *bool               `json:"uefi_sharing,omitempty"`
	Profiles    *[]StateWiFiProfile `json:"profiles,omitempty"` // of administrators, not those of the host
}

// A StateWiFiProfile is one wireless network.
type StateWiFiProfile struct {
	Name       string `json:"name"`
	SSID       string `json:"ssid"`
	Priority   uint8  `json:"priority,omitempty"`
	Security   string `json:"security,omitempty"`
	Encryption string `json:"encryption,omitempty"`
	EAP        *EAP   `json:"eap,omitempty"`

	// KeyFrom says where the passphrase, or the password of 802.1X, of a new profile is: "env:NAME" or the path of a file.
	KeyFrom string `json:"key_from,omitempty"`
}

func (p *StateWiFiProfile) words() string {
	text := fmt.Sprintf("%s, %s, %s, priority %d", p.SSID, p.Security, p.Encryption, p.Priority)
	if p.EAP != nil {
		text += ", " + p.EAP.Protocol + " " + p.EAP.Username
	}
	return text
}

func readStateWiFi(ctx context.Context, c *Client, s *State) error {
	w, err := c.WiFi(ctx)
	if err != nil {
		return err
	}
	profiles, err := c.WiFiProfiles(ctx)
	if err != nil {
		return err
	}
	list := []StateWiFiProfile{}
	for _, p := range profiles {
		if !p.Host {
			list = append(list, StateWiFiProfile{Name: p.Name, SSID: p.SSID, Priority: p.Priority, Security: p.Security, Encryption: p.Encryption, EAP: p.EAP})
		}
	}
	s.WiFi = &StateWiFi{State: w.State, Sync: w.Sync, UEFISharing: w.UEFISharing, Profiles: &list}
	return nil
}

func planWiFi(c *Client, now, want *State, secret Secrets) (out []Change, err error) {
	n, w := *now.WiFi, *want.WiFi
	if w.Profiles != nil {
		if out, err = planProfiles(c, *n.Profiles, *w.Profiles, secret); err != nil {
			return nil, err
		}
	}
	if w.Sync != "" && w.Sync != n.Sync || w.UEFISharing != nil && plainBool(w.UEFISharing) != plainBool(n.UEFISharing) {
		set := WiFiSync{Sync: w.Sync, UEFISharing: w.UEFISharing}
		out = append(out, Change{Subject: "sharing", From: cmp.Or(n.Sync, "unknown"), To: cmp.Or(w.Sync, n.Sync), do: func(ctx context.Context) error {
			_, err := c.SetWiFiSync(ctx, set)
			return err
		}})
	}
	if w.State != "" && w.State != n.State {
		out = append(out, Change{Subject: "state", From: cmp.Or(n.State, "unknown"), To: w.State, do: func(ctx context.Context) error {
			_, err := c.SetWiFiState(ctx, w.State)
			return err
		}})
	}
	return out, nil
}

func plainBool(b *bool) string {
	if b == nil {
		return ""
	}
	return fmt.Sprint(*b)
}

func planProfiles(c *Client, now, want []StateWiFiProfile, secret Secrets) (out []Change, err error) {
	err = compared(now, want, func(p *StateWiFiProfile) string { return p.Name }, func(n, w *StateWiFiProfile) error {
		if w == nil {
			out = append(out, Change{Subject: n.Name, From: n.words(), do: func(ctx context.Context) error { return c.RemoveWiFiProfile(ctx, n.Name) }})
			return nil
		}
		whole := *w
		whole.Security, whole.Encryption = cmp.Or(w.Security, "wpa2"), cmp.Or(w.Encryption, "aes")
		if n != nil {
			if whole.Priority = cmp.Or(w.Priority, n.Priority); n.words() == whole.words() {
				return nil
			}
			out = append(out, Change{Subject: w.Name, From: n.words(), To: whole.words(), do: func(ctx context.Context) error {
				set := WiFiChange{SSID: whole.SSID}
				if whole.Security != n.Security || whole.Encryption != n.Encryption {
					set.Security, set.Encryption = whole.Security, whole.Encryption
				}
				if whole.SSID != n.SSID || set.Security != "" {
					if _, err := c.ChangeWiFiProfile(ctx, w.Name, set); err != nil {
						return err
					}
				}
				if whole.Priority != n.Priority {
					_, err := c.SetWiFiPriority(ctx, w.Name, whole.Priority)
					return err
				}
				return nil
			}})
			return nil
		}
		if w.KeyFrom == "" {
			return fmt.Errorf("%w: profile %s is new, and key_from does not say where its key is", ErrUsage, w.Name)
		}
		key, err := secret(w.KeyFrom)
		if err != nil {
			return fmt.Errorf("%w: key of %s: %w", ErrUsage, w.Name, err)
		}
		p := WiFiProfile{Name: whole.Name, SSID: whole.SSID, Priority: whole.Priority, Security: whole.Security, Encryption: whole.Encryption, Key: key}
		if whole.EAP != nil {
			eap := *whole.EAP
			eap.Password, p.Key, p.EAP = key, "", &eap
		}
		out = append(out, Change{Subject: w.Name, To: whole.words(), do: func(ctx context.Context) error {
			_, err := c.AddWiFiProfile(ctx, p)
			return err
		}})
		return nil
	})
	return out, err
}

// StateWired8021x is port authentication on the wired interface. Only whether it is on, and its times, are changed by a
// State: its credentials are set by hand.
type StateWired8021x struct {
	Enabled    *bool   `json:"enabled,omitempty"`
	ActiveInS0 *bool   `json:"active_in_s0,omitempty"`
	PXETimeout *uint32 `json:"pxe_timeout_seconds,omitempty"`
}

func readStateWired8021x(ctx context.Context, c *Client, s *State) error {
	w, err := c.Wired8021x(ctx)
	if err != nil {
		return err
	}
	s.Wired8021x = &StateWired8021x{Enabled: &w.Enabled, ActiveInS0: w.ActiveInS0, PXETimeout: w.PXETimeout}
	return nil
}

func planWired8021x(c *Client, now, want *State, _ Secrets) (out []Change, err error) {
	n, w := *now.Wired8021x, *want.Wired8021x
	if w.Enabled != nil && *w.Enabled && !*n.Enabled {
		return nil, fmt.Errorf("%w: 802.1X is switched on with its credentials, by hand: a state can only switch it off", ErrUsage)
	}
	change, ok := networkChange("802.1X", n, w)
	if !ok {
		return nil, nil
	}
	change.do = func(ctx context.Context) error {
		if w.Enabled != nil && !*w.Enabled {
			_, err := c.DisableWired8021x(ctx)
			return err
		}
		_, err := c.SetWired8021x(ctx, Wired8021x{Enabled: true, ActiveInS0: w.ActiveInS0, PXETimeout: w.PXETimeout})
		return err
	}
	return []Change{change}, nil
}
