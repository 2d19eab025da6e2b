package console

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// A NetworkChange says what to change; what is nil or empty stays. The IP settings are those of one interface.
type NetworkChange struct {
	Interface Interface // "": [Wired]

	Mode    string       // "dhcp", "host" (the operating system's static address) or "static"
	Address netip.Prefix // with static: address and mask
	Gateway *netip.Addr  // with static; the zero Addr removes it
	DNS     []netip.Addr // with static: up to two; empty but not nil removes them
	IPSync  *bool        // with dhcp: whether AMT follows the operating system's lease; nil with a new Mode: yes

	SharedMAC       *bool
	VLAN            *uint16  // 0: none
	LinkPolicy      []string // all of them: "s0-ac", "sx-ac", "s0-dc", "sx-dc"
	Retransmissions *uint32  // 5 to 7

	IPv6        *bool
	InterfaceID string      // "random", "mac" or 16 hex digits
	IPv6Address *netip.Addr // beside automatic ones; the zero Addr removes it, and likewise below
	IPv6Router  *netip.Addr
	IPv6DNS     []netip.Addr // up to two

	HostName, Domain *string
	SharedFQDN       *bool
	Ping, RMCPPing   *bool
	DDNS             string  // "on", "off" or "dhcp": the DHCP server is asked to
	DDNSInterval     *uint32 // minutes: 0 is never, else at least 20
	DDNSTTL          *uint32 // seconds
}

// SetNetwork changes settings, looks at them again, and returns them all. What the firmware would refuse is an error that
// wraps [ErrUsage] or [ErrUnsupported], and nothing is sent. Settings that could cut the connection are sent last. If the
// machine gets another address it is looked for there, and Network.Moved names it; the Client stays at the old one. If
// it is not found the error wraps [ErrMoved].
func (c *Client) SetNetwork(ctx context.Context, change NetworkChange) (Network, error) {
	now, err := c.setNetwork(ctx, change)
	if err != nil {
		return now, fmt.Errorf("set network: %w", err)
	}
	return now, nil
}

func (c *Client) setNetwork(ctx context.Context, change NetworkChange) (Network, error) {
	if err := change.check(); err != nil {
		return Network{}, err
	}
	raw, err := c.readNetwork(ctx)
	if err != nil {
		return Network{}, err
	}
	old := raw.network()
	var port *amt.EthernetPortSettings
	for _, p := range raw.ports {
		if isWireless(p) == (change.Interface == Wireless) {
			port = p
		}
	}
	if port == nil && (change.ofPort() || change.ofIPv6()) {
		if change.Interface == Wireless {
			return old, errNoWireless
		}
		return old, fmt.Errorf("%w: it has no wired port that AMT can use", ErrUnsupported)
	}
	six := &ips.IPv6PortSettings{}
	if change.ofIPv6() {
		at := raw.ipv6(class.Value(port.InstanceID))
		if at == nil || change.IPv6 != nil && at.Enabled == nil {
			return old, fmt.Errorf("%w: its %s port has no IPv6 settings", ErrUnsupported, or(change.Interface, Wired))
		}
		six = raw.v6[slices.IndexFunc(raw.v6, func(v *ips.IPv6PortSettings) bool { return class.Value(v.InstanceID) == at.id })]
	}
	if change.ofPort() {
		if err := change.apply(port); err != nil {
			return old, err
		}
	}
	if change.ofGeneral() {
		change.applyGeneral(raw.general)
		if _, err := class.Put(ctx, c, raw.general); err != nil {
			return old, err
		}
	}
	if change.ofIPv6() {
		if err := c.putIPv6(ctx, change, six, raw.link(class.Value(six.InstanceID))); err != nil {
			return old, err
		}
	}
	at := c
	if change.ofPort() {
		if at, err = c.putPort(ctx, &old, port, change.Mode); err != nil {
			return old, err
		}
		if at != c {
			defer at.Close()
		}
	}
	now, err := at.Network(ctx)
	if err != nil {
		return old, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if at != c {
		now.Moved = at.Address()
	}
	if wrong := change.differs(&now); wrong != "" {
		return now, fmt.Errorf("%s: %w", wrong, ErrDiffers)
	}
	return now, nil
}

func or[T ~string](value, other T) T {
	if value == "" {
		return other
	}
	return value
}

func (n *NetworkChange) ofPort() bool {
	return n.Mode != "" || n.Address.IsValid() || n.Gateway != nil || n.DNS != nil || n.IPSync != nil || n.SharedMAC != nil || n.VLAN != nil ||
		n.LinkPolicy != nil || n.Retransmissions != nil
}

func (n *NetworkChange) ofIPv6() bool {
	return n.IPv6 != nil || n.InterfaceID != "" || n.IPv6Address != nil || n.IPv6Router != nil || n.IPv6DNS != nil
}

func (n *NetworkChange) ofGeneral() bool {
	return n.HostName != nil || n.Domain != nil || n.SharedFQDN != nil || n.Ping != nil || n.RMCPPing != nil || n.DDNS != "" || n.DDNSInterval != nil || n.DDNSTTL != nil
}

// apply writes the change into the settings of a port. Sources: spec wireless.md section 7.4, "wired rules".
func (n *NetworkChange) apply(p *amt.EthernetPortSettings) error {
	mode := n.Mode
	if mode == "" {
		mode = newPort(p).Mode
	}
	if mode != "static" && (n.Address.IsValid() || n.Gateway != nil || n.DNS != nil) {
		return fmt.Errorf("%w: gateway and DNS come with the address; they are set together with an address of AMT's own only", ErrUsage)
	}
	switch {
	case mode == "static":
		if n.IPSync != nil && *n.IPSync {
			return fmt.Errorf("%w: an address of AMT's own does not follow the operating system's", ErrUsage)
		}
		if err := n.applyStatic(p); err != nil {
			return err
		}
	case n.Mode == "" && n.IPSync == nil:
		p.IPAddress, p.SubnetMask, p.DefaultGateway, p.PrimaryDNS, p.SecondaryDNS = nil, nil, nil, nil, nil
	default:
		if mode == "host" && n.IPSync != nil && !*n.IPSync {
			return fmt.Errorf("%w: the operating system's address can only be used by following it", ErrUsage)
		}
		p.DHCPEnabled, p.SharedStaticIp = new(mode == "dhcp"), new(mode == "host")
		if !isWireless(p) {
			p.IpSyncEnabled = new(n.IPSync == nil || *n.IPSync)
		}
		p.IPAddress, p.SubnetMask, p.DefaultGateway, p.PrimaryDNS, p.SecondaryDNS = nil, nil, nil, nil, nil
	}
	if n.SharedMAC != nil {
		p.SharedMAC = n.SharedMAC
	}
	if n.VLAN != nil {
		p.VLANTag = n.VLAN
	}
	if n.LinkPolicy != nil {
		p.LinkPolicy = nil
		for number, word := range policies {
			if slices.Contains(n.LinkPolicy, word) {
				p.LinkPolicy = append(p.LinkPolicy, number)
			}
		}
		slices.Sort(p.LinkPolicy)
	}
	if n.Retransmissions != nil {
		if p.ConsoleTcpMaxRetransmissions == nil {
			return fmt.Errorf("%w: this port does not count retransmissions; the wireless one may", ErrUnsupported)
		}
		p.ConsoleTcpMaxRetransmissions = n.Retransmissions
	}
	return nil
}

// applyStatic gives a port an address of its own, or changes what goes with it.
func (n *NetworkChange) applyStatic(p *amt.EthernetPortSettings) error {
	if n.Mode == "static" {
		p.DHCPEnabled, p.IpSyncEnabled, p.SharedStaticIp = new(false), new(false), new(false)
		p.IPAddress, p.SubnetMask = new(n.Address.Addr().String()), new(maskOf(n.Address))
		if n.Gateway == nil { // what DHCP gave does not belong to the new address
			setAddr(&p.DefaultGateway, netip.Addr{})
		}
		if n.DNS == nil {
			setAddr(&p.PrimaryDNS, netip.Addr{})
			setAddr(&p.SecondaryDNS, netip.Addr{})
		}
	}
	if n.Gateway != nil {
		setAddr(&p.DefaultGateway, *n.Gateway)
	}
	if n.DNS != nil {
		dns := append(slices.Clone(n.DNS), netip.Addr{}, netip.Addr{})
		setAddr(&p.PrimaryDNS, dns[0])
		setAddr(&p.SecondaryDNS, dns[1])
	}
	prefix, ok := prefixOf(class.Value(p.IPAddress), class.Value(p.SubnetMask))
	if gateway, err := netip.ParseAddr(class.Value(p.DefaultGateway)); err == nil && !gateway.IsUnspecified() {
		if !ok || !prefix.Contains(gateway) || gateway == prefix.Addr() {
			return fmt.Errorf("%w: gateway %v is not another address of the network %v", ErrUsage, gateway, prefix.Masked())
		}
	}
	return nil
}

// setAddr writes an address into a property. The zero Addr removes one that is there by 0.0.0.0, as what is left out
// stays.
func setAddr(field **string, a netip.Addr) {
	switch {
	case a.IsValid():
		*field = new(a.String())
	case plainAddr(class.Value(*field)) == "":
		*field = nil
	default:
		*field = new("0.0.0.0")
	}
}

// plainAddr returns an address, or "" for the one that means none.
func plainAddr(a string) string {
	if a == "0.0.0.0" {
		return ""
	}
	return a
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func maskOf(p netip.Prefix) string {
	ones := ^uint32(0) << (32 - p.Bits())
	return netip.AddrFrom4([4]byte{byte(ones >> 24), byte(ones >> 16), byte(ones >> 8), byte(ones)}).String()
}

// prefixOf joins an address and a mask.
func prefixOf(address, mask string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(address)
	m, err2 := netip.ParseAddr(mask)
	if err != nil || err2 != nil || !a.Is4() || !m.Is4() {
		return netip.Prefix{}, false
	}
	bits := 0
	for _, octet := range m.As4() {
		for ; octet&0x80 != 0; octet <<= 1 {
			bits++
		}
	}
	p := netip.PrefixFrom(a, bits)
	return p, maskOf(p) == mask
}

func (n *NetworkChange) applyGeneral(g *amt.GeneralSettings) {
	replace(&g.HostName, n.HostName)
	replace(&g.DomainName, n.Domain)
	replace(&g.SharedFQDN, n.SharedFQDN)
	replace(&g.PingResponseEnabled, n.Ping)
	replace(&g.RmcpPingResponseEnabled, n.RMCPPing)
	replace(&g.DDNSPeriodicUpdateInterval, n.DDNSInterval)
	replace(&g.DDNSTTL, n.DDNSTTL)
	if n.DDNS != "" {
		g.DDNSUpdateEnabled, g.DDNSUpdateByDHCPServerEnabled = new(n.DDNS == "on"), new(n.DDNS == "dhcp")
	}
}

func replace[T any](field **T, value *T) {
	if value != nil {
		*field = value
	}
}

// putIPv6 writes the IPv6 settings of a port, and whether they are on.
func (c *Client) putIPv6(ctx context.Context, n NetworkChange, six *ips.IPv6PortSettings, link *cim.ElementSettingData) error {
	if n.InterfaceID != "" || n.IPv6Address != nil || n.IPv6Router != nil || n.IPv6DNS != nil {
		switch n.InterfaceID {
		case "":
		case "random":
			six.InterfaceIDType = new(ips.IPv6PortSettingsInterfaceIDTypeRandom)
		case "mac":
			six.InterfaceIDType = new(ips.IPv6PortSettingsInterfaceIDTypeIntelMacBased)
		default:
			six.InterfaceIDType, six.ManualInterfaceID = new(ips.IPv6PortSettingsInterfaceIDTypeManual), &n.InterfaceID
		}
		some := func(field **string, a *netip.Addr) {
			if a != nil {
				if *field = new("::"); a.IsValid() {
					*field = new(a.String())
				}
			}
		}
		some(&six.IPv6Address, n.IPv6Address)
		some(&six.DefaultRouter, n.IPv6Router)
		if n.IPv6DNS != nil {
			dns := append(slices.Clone(n.IPv6DNS), netip.Addr{}, netip.Addr{})
			some(&six.PrimaryDNS, &dns[0])
			some(&six.SecondaryDNS, &dns[1])
		}
		if _, err := class.Put(ctx, c, six); err != nil {
			return err
		}
	}
	if n.IPv6 == nil {
		return nil
	}
	if link.IsCurrent = new(cim.ElementSettingDataIsCurrentIsNotCurrent); *n.IPv6 {
		link.IsCurrent = new(cim.ElementSettingDataIsCurrentIsCurrent)
	}
	_, err := class.Put(ctx, c, link)
	return err
}

// putPort writes the settings of a port, and returns the client by which the machine can be asked afterwards: c, or
// another one where the address has changed.
func (c *Client) putPort(ctx context.Context, old *Network, port *amt.EthernetPortSettings, mode string) (*Client, error) {
	was := old.Port(Wired)
	moves := mode != "" && !isWireless(port) && c.over == nil && c.cfg.Dial == nil && was != nil &&
		!(was.Mode == mode && (mode != "static" || was.Address == class.Value(port.IPAddress)))
	to := ""
	if moves && mode == "static" {
		to = class.Value(port.IPAddress)
		if to == was.Address { // it had this address by DHCP, say
			to = ""
		}
	}
	if !moves || mode == "static" && to == "" || !c.reaches(was.Address) {
		_, err := class.Put(ctx, c, port)
		return c, err
	}
	if _, err := class.Put(ctx, c, port); err != nil && !errors.Is(err, wsman.ErrIndeterminate) {
		return c, err // an answer may get lost with the address, a refusal not
	}
	return c.follow(ctx, to, old)
}

// differs returns what of the change is not so, or "".
func (n *NetworkChange) differs(now *Network) string {
	var wrong []string
	check := func(ok bool, what string) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	check(n.HostName == nil || now.HostName == *n.HostName, "host name")
	check(n.Domain == nil || now.Domain == *n.Domain, "domain")
	check(same(n.SharedFQDN, now.SharedFQDN), "shared FQDN")
	check(same(n.Ping, now.Ping), "ping")
	check(same(n.RMCPPing, now.RMCPPing), "RMCP ping")
	check(same(n.DDNSInterval, now.DDNS.Interval), "DDNS interval")
	check(same(n.DDNSTTL, now.DDNS.TTL), "DDNS TTL")
	if n.DDNS != "" {
		check(same(new(n.DDNS == "on"), now.DDNS.Enabled) && same(new(n.DDNS == "dhcp"), now.DDNS.ByDHCP), "DDNS")
	}
	if !n.ofPort() && !n.ofIPv6() {
		return strings.Join(wrong, ", ")
	}
	p := now.Port(or(n.Interface, Wired))
	if p == nil {
		return "port"
	}
	check(n.Mode == "" || p.Mode == n.Mode, "IP mode")
	if n.Address.IsValid() {
		check(p.Address == n.Address.Addr().String() && p.Mask == maskOf(n.Address), "IP address")
	}
	if n.Gateway != nil {
		check(p.Gateway == addrText(*n.Gateway), "gateway")
	}
	if n.DNS != nil {
		dns := append(slices.Clone(n.DNS), netip.Addr{}, netip.Addr{})
		check(p.DNS1 == addrText(dns[0]) && p.DNS2 == addrText(dns[1]), "DNS")
	}
	check(same(n.IPSync, p.IPSync), "IP sync")
	check(same(n.SharedMAC, p.SharedMAC), "shared MAC")
	check(n.VLAN == nil || *n.VLAN == p.VLAN, "VLAN")
	check(n.Retransmissions == nil || *n.Retransmissions == p.Retransmissions, "retransmissions")
	if n.LinkPolicy != nil {
		want, got := slices.Sorted(slices.Values(n.LinkPolicy)), slices.Sorted(slices.Values(p.LinkPolicy))
		check(slices.Equal(slices.Compact(want), got), "link policy")
	}
	if n.ofIPv6() {
		check(p.IPv6 != nil && n.sameIPv6(p.IPv6), "IPv6")
	}
	return strings.Join(wrong, ", ")
}

func (n *NetworkChange) sameIPv6(six *IPv6) bool {
	is := func(want *netip.Addr, got string) bool {
		return want == nil || !want.IsValid() && got == "" || want.IsValid() && sameAddr(want.String(), got)
	}
	ok := same(n.IPv6, six.Enabled) && (n.InterfaceID == "" || strings.EqualFold(n.InterfaceID, six.InterfaceID)) &&
		is(n.IPv6Address, six.Address) && is(n.IPv6Router, six.Router)
	if n.IPv6DNS != nil {
		dns := append(slices.Clone(n.IPv6DNS), netip.Addr{}, netip.Addr{})
		ok = ok && is(&dns[0], six.DNS1) && is(&dns[1], six.DNS2)
	}
	return ok
}

func sameAddr(a, b string) bool {
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err == nil && err2 == nil && x == y
}

// same reports whether a wish is fulfilled; nil is none.
func same[T comparable](want, got *T) bool { return want == nil || got != nil && *got == *want }
