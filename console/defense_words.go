package console

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// DefenseAddresses are the addresses that agree with First in the bits of Mask, or all from First to Last.
type DefenseAddresses struct {
	First netip.Addr
	Mask  netip.Addr // of the same size; not with Last
	Last  netip.Addr
}

// ParseDefenseAddresses reads "192.0.2.1", "192.0.2.0/24", "192.0.2.0/255.255.255.0" or "192.0.2.1-192.0.2.9", and the
// same of IPv6. Errors wrap [ErrUsage].
func ParseDefenseAddresses(text string) (a DefenseAddresses, err error) {
	bad := fmt.Errorf("%w: %q is no address, network (192.0.2.0/24) or range (192.0.2.1-192.0.2.9)", ErrUsage, text)
	first, rest, network := strings.Cut(text, "/")
	if !network {
		var ranged bool
		if first, rest, ranged = strings.Cut(text, "-"); ranged {
			if a.Last, err = netip.ParseAddr(rest); err != nil {
				return DefenseAddresses{}, bad
			}
		}
	}
	if a.First, err = netip.ParseAddr(first); err != nil || a.First.Zone() != "" || a.First.Is4In6() {
		return DefenseAddresses{}, bad
	}
	bits := a.First.BitLen()
	switch {
	case a.Last.IsValid():
		if a.Last.BitLen() != bits || a.Last.Less(a.First) || a.Last.Zone() != "" {
			return DefenseAddresses{}, bad
		}
		return a, nil
	case network:
		if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n <= bits {
			bits = n
		} else if a.Mask, err = netip.ParseAddr(rest); err != nil || a.Mask.BitLen() != bits {
			return DefenseAddresses{}, bad
		} else {
			return a, nil
		}
	}
	mask := net.CIDRMask(bits, a.First.BitLen())
	a.Mask, _ = netip.AddrFromSlice(mask)
	return a, nil
}

// String writes what [ParseDefenseAddresses] reads; "" for any address.
func (a DefenseAddresses) String() string {
	switch {
	case !a.First.IsValid():
		return ""
	case a.Last.IsValid():
		return a.First.String() + "-" + a.Last.String()
	case !a.Mask.IsValid():
		return a.First.String()
	}
	ones, bits := net.IPMask(a.Mask.AsSlice()).Size()
	switch {
	case bits == 0: // not contiguous
		return a.First.String() + "/" + a.Mask.String()
	case ones == bits:
		return a.First.String()
	}
	return a.First.String() + "/" + strconv.Itoa(ones)
}

// tcpFlagNames are the flags of TCP from bit 0 on.
var tcpFlagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg"}

// ParseDefenseFlags reads flags of TCP: "syn,!ack" is SYN set and ACK not. Errors wrap [ErrUsage].
func ParseDefenseFlags(text string) (on, off uint8, err error) {
	for _, word := range strings.Split(text, ",") {
		name, not := strings.CutPrefix(strings.ToLower(strings.TrimSpace(word)), "!")
		i := slices.Index(tcpFlagNames, name)
		if i < 0 {
			return 0, 0, fmt.Errorf("%w: flag %q is none of %s, with ! for those that are not set", ErrUsage, word, strings.Join(tcpFlagNames, ", "))
		}
		if not {
			off |= 1 << i
		} else {
			on |= 1 << i
		}
	}
	if on&off != 0 {
		return 0, 0, fmt.Errorf("%w: a flag cannot be set and not set: %q", ErrUsage, text)
	}
	return on, off, nil
}

// flagNames writes what [ParseDefenseFlags] reads, one by one.
func flagNames(on, off uint8) (flags []string) {
	for i, name := range tcpFlagNames {
		if on>>i&1 != 0 {
			flags = append(flags, name)
		}
		if off>>i&1 != 0 {
			flags = append(flags, "!"+name)
		}
	}
	return flags
}

// Protocols by name.
var protocolNames = map[string]uint8{"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ospf": 89, "sctp": 132}

// ParseDefenseProtocol reads "tcp", "udp", "icmp" ... or a number. Errors wrap [ErrUsage].
func ParseDefenseProtocol(text string) (uint8, error) {
	if n, ok := protocolNames[strings.ToLower(text)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%w: protocol %q is neither a number nor a name such as tcp, udp, icmp", ErrUsage, text)
	}
	return uint8(n), nil
}

// protocolName writes what [ParseDefenseProtocol] reads.
func protocolName(n uint8) string {
	for name, p := range protocolNames {
		if p == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

// ParseDefensePorts reads "80" or "8000-8099". Errors wrap [ErrUsage].
func ParseDefensePorts(text string) (*[2]uint16, error) {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil || a > b {
		return nil, fmt.Errorf("%w: %q is no port or range of ports (8000-8099)", ErrUsage, text)
	}
	return &[2]uint16{uint16(a), uint16(b)}, nil
}

// Match tells in words which frames are meant: "tcp to 192.0.2.0/24 port 80".
func (f *DefenseFilter) Match() string {
	var words []string
	if f.EtherType != 0 {
		switch f.EtherType {
		case 0x0800:
			words = append(words, "all IPv4")
		case 0x0806:
			words = append(words, "ARP")
		case 0x86dd:
			words = append(words, "all IPv6")
		default:
			words = append(words, fmt.Sprintf("EtherType 0x%04x", f.EtherType))
		}
		for _, x := range [][2]string{{"from", f.SrcMAC}, {"to", f.DstMAC}} {
			if x[1] != "" {
				words = append(words, x[0], x[1])
			}
		}
		if f.VLAN != nil {
			words = append(words, fmt.Sprintf("VLAN %d", *f.VLAN))
		}
		if f.VLANPriority != nil {
			words = append(words, fmt.Sprintf("priority %d", *f.VLANPriority))
		}
		return strings.Join(words, " ")
	}
	words = append(words, "IPv"+strconv.Itoa(f.Version))
	if f.Protocol != nil {
		name := protocolName(*f.Protocol)
		if _, unknown := strconv.Atoi(name); unknown == nil {
			name = "protocol " + name
		}
		words = append(words, name)
	}
	for _, side := range []struct {
		word  string
		at    DefenseAddresses
		ports *[2]uint16
	}{{"from", f.Source, f.SrcPorts}, {"to", f.Dest, f.DstPorts}} {
		if side.at.First.IsValid() || side.ports != nil {
			words = append(words, side.word)
		}
		if side.at.First.IsValid() {
			words = append(words, side.at.String())
		}
		if p := side.ports; p != nil && p[0] == p[1] {
			words = append(words, fmt.Sprintf("port %d", p[0]))
		} else if p != nil {
			words = append(words, fmt.Sprintf("ports %d-%d", p[0], p[1]))
		}
	}
	if flags := flagNames(f.FlagsOn, f.FlagsOff); flags != nil {
		words = append(words, "flags "+strings.Join(flags, ","))
	}
	if f.DSCP != nil {
		words = append(words, fmt.Sprintf("DSCP %d", f.DSCP))
	}
	return strings.Join(words, " ")
}
