package cli

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/console"
)

type networkSetCmd struct {
	Many
	Interface string `default:"wired" enum:"wired,wireless" placeholder:"wired|wireless" help:"Port that the settings of address, link and IPv6 are of."`

	IP        string   `name:"ip" placeholder:"dhcp|host|ADDRESS/BITS" help:"Address: from DHCP, the operating system's static one, or one of AMT's own."`
	Mask      string   `placeholder:"MASK" help:"Network mask, where --ip has no /BITS."`
	Gateway   string   `placeholder:"ADDRESS" help:"Default gateway of AMT's own address; none removes it."`
	DNS       []string `name:"dns" placeholder:"ADDRESS" help:"One or two DNS servers of AMT's own address; none removes them."`
	IPSync    string   `name:"ip-sync" enum:",on,off" default:"" placeholder:"on|off" help:"With DHCP: follow the operating system's lease."`
	SharedMAC string   `name:"shared-mac" enum:",on,off" default:"" placeholder:"on|off" help:"Use the operating system's MAC address."`
	VLAN      string   `name:"vlan" placeholder:"TAG" help:"VLAN tag, 1 to 4094; off for none."`

	LinkPolicy      []string      `placeholder:"STATE" help:"States in which AMT keeps the link: s0-ac, sx-ac, s0-dc, sx-dc (on or asleep/off, mains or battery)."`
	LinkPreference  string        `enum:",me,host" default:"" placeholder:"me|host" help:"Give the wireless link to AMT for a time, or back to the operating system."`
	For             time.Duration `placeholder:"TIME" help:"How long --link-preference me lasts; default 5m."`
	Retransmissions *uint32       `placeholder:"N" help:"TCP retransmissions on the wireless port, 5 to 7: how long sessions survive a gap."`

	IPv6        string   `name:"ipv6" enum:",on,off" default:"" placeholder:"on|off" help:"Switch IPv6 on or off."`
	IPv6ID      string   `name:"ipv6-id" placeholder:"random|mac|HEX" help:"Interface ID of automatic addresses: random, from the MAC address, or 16 hex digits."`
	IPv6Address string   `name:"ipv6-address" placeholder:"ADDRESS" help:"Further IPv6 address; none removes it."`
	IPv6Router  string   `name:"ipv6-router" placeholder:"ADDRESS" help:"IPv6 router; none removes it."`
	IPv6DNS     []string `name:"ipv6-dns" placeholder:"ADDRESS" help:"One or two IPv6 DNS servers; none removes them."`

	HostName   *string `placeholder:"NAME" help:"Host name of AMT, without domain."`
	Domain     *string `placeholder:"NAME" help:"Domain of AMT."`
	SharedFQDN string  `name:"shared-fqdn" enum:",on,off" default:"" placeholder:"on|off" help:"Go by the operating system's name."`
	Ping       string  `enum:",on,off" default:"" placeholder:"on|off" help:"Answer ICMP echo."`
	RMCPPing   string  `name:"rmcp-ping" enum:",on,off" default:"" placeholder:"on|off" help:"Answer presence pings on UDP port 623, by which discover finds machines."`

	DDNS         string         `name:"ddns" enum:",on,off,dhcp" default:"" placeholder:"on|off|dhcp" help:"Dynamic DNS: AMT updates its name, nobody does, or the DHCP server is asked to."`
	DDNSInterval *time.Duration `name:"ddns-interval" placeholder:"TIME" help:"Time between updates: 20m at least, 0 for never."`
	DDNSTTL      *time.Duration `name:"ddns-ttl" placeholder:"TIME" help:"How long others may keep the name."`
}

func (networkSetCmd) Help() string {
	return "What is not named stays as it is. A new address of the wired port is applied last; then the machine is looked for there, and its settings " +
		"are read again. The wireless port has DHCP only.\n\n" +
		example("outband network set nuc1 --ip 192.0.2.7/24 --gateway 192.0.2.1 --dns 192.0.2.1,192.0.2.2", "outband network set nuc1 --ip dhcp",
			"outband network set @lab --ping off --ddns on --ddns-interval 12h", "outband network set nuc1 --interface wireless --link-preference me --for 10m",
			"outband network set nuc1 --ipv6 on --ipv6-id mac")
}

func (c *networkSetCmd) Run(a *app) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	switch {
	case len(list) > 1 && (change.Mode == "static" || change.IPv6Address != nil || change.HostName != nil):
		return usage("", "an address or a name is for one machine, not for %d", len(list))
	case c.LinkPreference != "" && change.Interface != console.Wireless:
		return usage("add --interface wireless", "--link-preference is of the wireless port")
	case c.For != 0 && c.LinkPreference != "me":
		return usage("", "--for goes with --link-preference me")
	}
	onlyPrefer := c.LinkPreference != "" && c.empty()
	if change.Mode != "" {
		a.note("note: the address may change, and connections to AMT end then")
	}
	return c.network(a, list, func(ctx context.Context, client *console.Client) (console.Network, error) {
		if onlyPrefer {
			if err := c.prefer(ctx, client); err != nil {
				return console.Network{}, err
			}
			return client.Network(ctx)
		}
		now, err := client.SetNetwork(ctx, change)
		if err != nil {
			return now, moved(err)
		}
		if now.Moved != "" {
			a.note("%s has moved to %s; where it is kept under a name, outband host add NAME %s --replace stores it", client.Address(), now.Moved, now.Moved)
		}
		if c.LinkPreference == "" {
			return now, nil
		}
		if err := c.prefer(ctx, client); err != nil {
			return now, err
		}
		return client.Network(ctx)
	})
}

// empty reports whether nothing is asked for but --link-preference.
func (c *networkSetCmd) empty() bool {
	words := []string{c.IP, c.Mask, c.Gateway, c.IPSync, c.SharedMAC, c.VLAN, c.IPv6, c.IPv6ID, c.IPv6Address, c.IPv6Router, c.SharedFQDN, c.Ping, c.RMCPPing, c.DDNS}
	return strings.Join(words, "") == "" && c.DNS == nil && c.LinkPolicy == nil && c.IPv6DNS == nil && c.Retransmissions == nil && c.HostName == nil &&
		c.Domain == nil && c.DDNSInterval == nil && c.DDNSTTL == nil
}

// change turns the flags into what package console wants.
func (c *networkSetCmd) change() (n console.NetworkChange, err error) {
	n = console.NetworkChange{IPSync: toggle(c.IPSync), SharedMAC: toggle(c.SharedMAC), LinkPolicy: c.LinkPolicy, Retransmissions: c.Retransmissions,
		IPv6: toggle(c.IPv6), InterfaceID: c.IPv6ID, HostName: c.HostName, Domain: c.Domain, SharedFQDN: toggle(c.SharedFQDN), Ping: toggle(c.Ping),
		RMCPPing: toggle(c.RMCPPing), DDNS: c.DDNS}
	if n.Interface, err = console.ParseInterface(c.Interface); err != nil {
		return n, err
	}
	if err := c.address(&n); err != nil {
		return n, err
	}
	if c.VLAN != "" {
		tag, err := parseVLAN(c.VLAN)
		if err != nil {
			return n, err
		}
		n.VLAN = &tag
	}
	if n.Gateway, err = addressOrNone("--gateway", c.Gateway); err != nil {
		return n, err
	}
	if n.IPv6Address, err = addressOrNone("--ipv6-address", c.IPv6Address); err != nil {
		return n, err
	}
	if n.IPv6Router, err = addressOrNone("--ipv6-router", c.IPv6Router); err != nil {
		return n, err
	}
	if n.DNS, err = addressesOrNone("--dns", c.DNS); err != nil {
		return n, err
	}
	if n.IPv6DNS, err = addressesOrNone("--ipv6-dns", c.IPv6DNS); err != nil {
		return n, err
	}
	if d := c.DDNSInterval; d != nil {
		if *d < 0 || *d%time.Minute != 0 {
			return n, usage("", "--ddns-interval: %v is not whole minutes", *d)
		}
		n.DDNSInterval = new(uint32(*d / time.Minute))
	}
	if d := c.DDNSTTL; d != nil {
		if *d < 0 || *d%time.Second != 0 || *d/time.Second > 1<<31-1 {
			return n, usage("", "--ddns-ttl: %v is not whole seconds", *d)
		}
		n.DDNSTTL = new(uint32(*d / time.Second))
	}
	return n, nil
}

// address reads --ip and --mask.
func (c *networkSetCmd) address(n *console.NetworkChange) error {
	switch c.IP {
	case "":
		if c.Mask != "" {
			return usage("", "--mask goes with an address in --ip")
		}
		return nil
	case "dhcp", "host":
		if c.Mask != "" {
			return usage("", "--mask goes with an address in --ip")
		}
		n.Mode = c.IP
		return nil
	}
	n.Mode = "static"
	if p, err := netip.ParsePrefix(c.IP); err == nil {
		if c.Mask != "" {
			return usage("", "--ip has a mask already, in /BITS")
		}
		n.Address = p
		return nil
	}
	a, err := netip.ParseAddr(c.IP)
	if err != nil {
		return usage("such as 192.0.2.7/24", "--ip: %q is none of dhcp, host and an address", c.IP)
	}
	if c.Mask == "" {
		return usage("such as --ip "+c.IP+"/24", "--ip: an address needs a mask")
	}
	bits, ok := maskBits(c.Mask)
	if !ok || !a.Is4() {
		return usage("such as 255.255.255.0", "--mask: %q is no mask for %v", c.Mask, a)
	}
	n.Address = netip.PrefixFrom(a, bits)
	return nil
}

// maskBits counts the ones of a mask such as 255.255.255.0.
func maskBits(mask string) (int, bool) {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return 0, false
	}
	for bits := range 33 {
		p, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits)
		if err == nil && p.Addr() == m {
			return bits, true
		}
	}
	return 0, false
}

// toggle reads on, off or nothing.
func toggle(word string) *bool {
	if word == "" {
		return nil
	}
	return new(word == "on")
}

func parseVLAN(word string) (uint16, error) {
	if word == "off" || word == "none" || word == "0" {
		return 0, nil
	}
	n := 0
	for _, r := range word {
		if r < '0' || r > '9' || n > 4094 {
			return 0, usage("1 to 4094, or off", "--vlan: %q is no VLAN tag", word)
		}
		n = 10*n + int(r-'0')
	}
	if n < 1 || n > 4094 {
		return 0, usage("1 to 4094, or off", "--vlan: %q is no VLAN tag", word)
	}
	return uint16(n), nil
}

// addressOrNone reads an address; none is the zero one, and "" is nil.
func addressOrNone(flag, word string) (*netip.Addr, error) {
	switch word {
	case "":
		return nil, nil
	case "none":
		return &netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(word)
	if err != nil {
		return nil, usage("", "%s: %q is no address", flag, word)
	}
	return &a, nil
}

func addressesOrNone(flag string, words []string) ([]netip.Addr, error) {
	if words == nil {
		return nil, nil
	}
	out := []netip.Addr{}
	if slices.Equal(words, []string{"none"}) {
		return out, nil
	}
	for _, word := range words {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, usage("", "%s: %q is no address", flag, word)
		}
		out = append(out, a)
	}
	return out, nil
}
