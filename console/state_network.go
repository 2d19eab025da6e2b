package console

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// StateNetwork is how the machine is in the network.
type StateNetwork struct {
	HostName   string     `json:"hostname,omitempty"`
	Domain     string     `json:"domain,omitempty"`
	SharedFQDN *bool      `json:"shared_fqdn,omitempty"`
	Ping       *bool      `json:"ping,omitempty"`
	RMCPPing   *bool      `json:"rmcp_ping,omitempty"`
	DDNS       string     `json:"ddns,omitempty"` // "on", "off", "dhcp": the DHCP server is asked to
	Interval   *uint32    `json:"ddns_interval_minutes,omitempty"`
	TTL        *uint32    `json:"ddns_ttl_seconds,omitempty"`
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
	SharedMAC  *bool    `json:"shared_mac,omitempty"`
	VLAN       *uint16  `json:"vlan,omitempty"`
	LinkPolicy []string `json:"link_policy,omitempty"`

	Retransmissions *uint32 `json:"tcp_retransmissions,omitempty"` // of the wireless interface

	IPv6        *bool    `json:"ipv6,omitempty"`
	IPv6ID      string   `json:"ipv6_interface_id,omitempty"` // "random", "mac" or 16 hex digits
	IPv6Address string   `json:"ipv6_address,omitempty"`      // beside automatic ones, and likewise below
	IPv6Router  string   `json:"ipv6_router,omitempty"`
	IPv6DNS     []string `json:"ipv6_dns,omitempty"`
}

func readStateNetwork(ctx context.Context, c *Client, s *State) error {
	n, err := c.Network(ctx)
	if err != nil {
		return err
	}
	s.Network = &StateNetwork{HostName: n.HostName, Domain: n.Domain, SharedFQDN: n.SharedFQDN, Ping: n.Ping, RMCPPing: n.RMCPPing,
		Wired: statePort(n.Port(Wired)), Wireless: statePort(n.Port(Wireless))}
	switch d := n.DDNS; {
	case d.Enabled == nil:
	case *d.Enabled:
		s.Network.DDNS = "on"
	case d.ByDHCP != nil && *d.ByDHCP:
		s.Network.DDNS = "dhcp"
	default:
		s.Network.DDNS = "off"
	}
	if s.Network.DDNS == "on" {
		s.Network.Interval, s.Network.TTL = n.DDNS.Interval, n.DDNS.TTL
	}
	return nil
}

func statePort(p *Port) *StatePort {
	if p == nil {
		return nil
	}
	s := &StatePort{Mode: p.Mode, LinkPolicy: p.LinkPolicy, SharedMAC: p.SharedMAC}
	if p.Interface == Wired {
		s.VLAN = &p.VLAN
	} else if p.Retransmissions > 0 {
		s.Retransmissions = &p.Retransmissions
	}
	if six := p.IPv6; six != nil {
		s.IPv6, s.IPv6ID, s.IPv6Address, s.IPv6Router = six.Enabled, six.InterfaceID, six.Address, six.Router
		for _, dns := range []string{six.DNS1, six.DNS2} {
			if dns != "" {
				s.IPv6DNS = append(s.IPv6DNS, dns)
			}
		}
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

func planNetwork(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
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
	if w.DDNS != n.DDNS {
		general.DDNS = w.DDNS
	}
	if (w.Interval != nil || w.TTL != nil) && cmp.Or(w.DDNS, n.DDNS) != "on" {
		return nil, fmt.Errorf("%w: the times of ddns count only if it is on", ErrUsage)
	}
	general.DDNSInterval, general.DDNSTTL = w.Interval, w.TTL
	if change, ok := changeOf("general", n, w); ok {
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
		set, err := p.want.change(p.at, p.now)
		if err != nil {
			return nil, err
		}
		if change, ok := changeOf(string(p.at), *p.now, *p.want); ok {
			change.do = func(ctx context.Context) error {
				_, err := c.SetNetwork(ctx, set)
				return err
			}
			out = append(out, change)
		}
	}
	return out, nil
}

// change is what makes an interface that is as now says as p says.
func (p *StatePort) change(at Interface, now *StatePort) (set NetworkChange, err error) {
	set = NetworkChange{Interface: at, Mode: p.Mode, IPSync: p.IPSync, LinkPolicy: p.LinkPolicy}
	if differs(p.VLAN, now.VLAN) {
		set.VLAN = p.VLAN
	}
	if differs(p.SharedMAC, now.SharedMAC) {
		set.SharedMAC = p.SharedMAC
	}
	if differs(p.Retransmissions, now.Retransmissions) {
		set.Retransmissions = p.Retransmissions
	}
	if differs(p.IPv6, now.IPv6) {
		set.IPv6 = p.IPv6
	}
	if p.IPv6ID != now.IPv6ID {
		set.InterfaceID = p.IPv6ID
	}
	if p.Address != "" {
		if set.Address, err = netip.ParsePrefix(p.Address); err != nil {
			return set, fmt.Errorf("%w: %s: address: %w", ErrUsage, at, err)
		}
	}
	one := func(what, text, is string) *netip.Addr {
		if text == "" || text == is || err != nil {
			return nil
		}
		a, bad := netip.ParseAddr(text)
		if bad != nil {
			err = fmt.Errorf("%w: %s: %s: %w", ErrUsage, at, what, bad)
		}
		return &a
	}
	list := func(what string, words, are []string) (out []netip.Addr) {
		if slices.Equal(words, are) {
			return nil
		}
		for _, text := range words {
			if a := one(what, text, ""); a != nil {
				out = append(out, *a)
			}
		}
		return out
	}
	set.Gateway = one("gateway", p.Gateway, "")
	set.DNS = list("dns", p.DNS, nil)
	set.IPv6Address, set.IPv6Router = one("ipv6_address", p.IPv6Address, now.IPv6Address), one("ipv6_router", p.IPv6Router, now.IPv6Router)
	set.IPv6DNS = list("ipv6_dns", p.IPv6DNS, now.IPv6DNS)
	return set, err
}
