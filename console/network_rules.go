package console

import (
	"fmt"
	"net/netip"
	"strings"
)

// check holds a change against what firmware takes, before anything is asked.
func (n *NetworkChange) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrUsage, fmt.Sprintf(format, args...))
	}
	switch {
	case !n.ofPort() && !n.ofIPv6() && !n.ofGeneral():
		return bad("nothing to change")
	case n.Mode != "" && n.Mode != "dhcp" && n.Mode != "host" && n.Mode != "static":
		return bad("IP mode %q is none of dhcp, host, static", n.Mode)
	case n.Mode == "static" && !n.Address.IsValid():
		return bad("an address of AMT's own needs address and mask, as in 192.0.2.7/24")
	case n.Mode != "static" && n.Address.IsValid():
		return bad("an address goes with mode static only")
	case n.Interface == Wireless && (n.Mode == "static" || n.Mode == "host" || n.Gateway != nil || n.DNS != nil || n.IPSync != nil):
		return bad("the wireless port gets its address by DHCP only")
	case n.VLAN != nil && *n.VLAN > 4094:
		return bad("VLAN %d is not in 1..4094, or 0 for none", *n.VLAN)
	case n.Retransmissions != nil && (*n.Retransmissions < 5 || *n.Retransmissions > 7):
		return bad("retransmissions %d are not in 5..7", *n.Retransmissions)
	case n.DDNS != "" && n.DDNS != "on" && n.DDNS != "off" && n.DDNS != "dhcp":
		return bad("dynamic DNS %q is none of on, off, dhcp", n.DDNS)
	case n.DDNSInterval != nil && (*n.DDNSInterval > 0 && *n.DDNSInterval < 20 || *n.DDNSInterval > 65535):
		return bad("an interval of %d minutes is not in 20..65535, or 0 for never", *n.DDNSInterval)
	case len(n.DNS) > 2 || len(n.IPv6DNS) > 2:
		return bad("more than two DNS servers")
	case n.HostName != nil && !goodLabels(*n.HostName, 63):
		return bad("host name %q is not letters, digits and hyphens, 63 characters at most", *n.HostName)
	case n.Domain != nil && !goodLabels(*n.Domain, 191):
		return bad("domain %q is not a DNS name of 191 characters at most", *n.Domain)
	case n.HostName != nil && strings.Contains(*n.HostName, "."):
		return bad("host name %q has a dot; the domain is a setting of its own", *n.HostName)
	}
	for _, word := range n.LinkPolicy {
		if word != "s0-ac" && word != "sx-ac" && word != "s0-dc" && word != "sx-dc" {
			return bad("link policy %q is none of s0-ac, sx-ac, s0-dc, sx-dc", word)
		}
	}
	if err := n.checkAddress(); err != nil {
		return err
	}
	return n.checkIPv6()
}

// checkAddress sees that an address can be one of a machine.
func (n *NetworkChange) checkAddress() error {
	if n.Address.IsValid() {
		a, bits := n.Address.Addr(), n.Address.Bits()
		first := n.Address.Masked().Addr()
		switch {
		case !a.Is4():
			return fmt.Errorf("%w: %v is no IPv4 address", ErrUsage, a)
		case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || bits < 1:
			return fmt.Errorf("%w: %v cannot be the address of a machine", ErrUsage, n.Address)
		case bits < 31 && (a == first || a == lastOf(n.Address)):
			return fmt.Errorf("%w: %v is the first or last address of its network, which no machine can have", ErrUsage, n.Address)
		}
	}
	for _, a := range n.DNS {
		if a.IsValid() && !a.Is4() {
			return fmt.Errorf("%w: DNS server %v is no IPv4 address", ErrUsage, a)
		}
	}
	if n.Gateway != nil && n.Gateway.IsValid() && !n.Gateway.Is4() {
		return fmt.Errorf("%w: gateway %v is no IPv4 address", ErrUsage, *n.Gateway)
	}
	return nil
}

// lastOf returns the broadcast address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	octets := p.Masked().Addr().As4()
	for i := range octets {
		if free := min(8, max(0, 8*(i+1)-p.Bits())); free > 0 {
			octets[i] |= byte(1<<free - 1)
		}
	}
	return netip.AddrFrom4(octets)
}

func (n *NetworkChange) checkIPv6() error {
	if id := n.InterfaceID; id != "" && id != "random" && id != "mac" {
		if len(id) != 16 || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
			return fmt.Errorf("%w: interface ID %q is none of random, mac, or 16 hex digits that are not all 0", ErrUsage, id)
		}
	}
	all := append([]netip.Addr(nil), n.IPv6DNS...)
	for _, a := range []*netip.Addr{n.IPv6Address, n.IPv6Router} {
		if a != nil {
			all = append(all, *a)
		}
	}
	for _, a := range all {
		if a.IsValid() && (!a.Is6() || a.Is4In6() || a.Zone() != "" || a.IsMulticast() || a.IsUnspecified()) {
			return fmt.Errorf("%w: %v is no IPv6 address of a machine", ErrUsage, a)
		}
	}
	return nil
}

// goodLabels reports whether a name is DNS labels joined by dots; "" removes it.
func goodLabels(name string, limit int) bool {
	if name == "" {
		return true
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(name) <= limit
}
