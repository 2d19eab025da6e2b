package amthi

import (
	"net"
	"net/netip"
	"strconv"
)

// The network as the firmware sees it: commands 06, 25, 36, 3E, 48, 4E, 52, 56.

const addressLen = 46 // an address as text

// TCPIP are the wired interface's parameters. Addresses mean something only if DHCP is off; 0.0.0.0 is unset.
type TCPIP struct {
	DHCP    uint32 // 0 none, 1 disabled, 2 enabled
	Address netip.Addr
	Mask    netip.Addr
	Gateway netip.Addr
	DNS     [2]netip.Addr
	Domain  string
}

func (v TCPIP) Append(b []byte) []byte {
	b = u32(b, v.DHCP)
	for _, a := range []netip.Addr{v.Address, v.Mask, v.Gateway, v.DNS[0], v.DNS[1]} {
		b = appendIPv4(b, a)
	}
	return appendText(b, v.Domain)
}

func tcpip(r *reader) TCPIP {
	return TCPIP{DHCP: r.u32(), Address: r.ipv4(), Mask: r.ipv4(), Gateway: r.ipv4(),
		DNS: [2]netip.Addr{r.ipv4(), r.ipv4()}, Domain: r.text()}
}

// A MAC is a hardware address.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MACs are the firmware's own address and the host's. 12 bytes.
type MACs struct{ Dedicated, Host MAC }

func (v MACs) Append(b []byte) []byte { return append(append(b, v.Dedicated[:]...), v.Host[:]...) }
func macs(r *reader) MACs             { return MACs{MAC(r.take(6)), MAC(r.take(6))} }

// LAN are an interface's settings. 20 bytes. A machine without wireless hardware refuses, or answers a MAC of zeros.
type LAN struct {
	Enabled bool
	Address netip.Addr
	DHCP    bool
	Mode    DHCPMode
	LinkUp  bool
	MAC     MAC
}

// A DHCPMode is who talks to the DHCP server.
type DHCPMode uint8

// The modes.
const (
	DHCPActive  DHCPMode = 1 // the firmware
	DHCPPassive DHCPMode = 2 // the host; the firmware shares its lease
)

func (m DHCPMode) String() string {
	switch m {
	case DHCPActive:
		return "active"
	case DHCPPassive:
		return "passive"
	}
	return "unknown (" + strconv.Itoa(int(m)) + ")"
}

func (v LAN) Append(b []byte) []byte {
	b = appendIPv4(appendBool(b, v.Enabled), v.Address)
	b = append(appendBool(b, v.DHCP), byte(v.Mode), flag(v.LinkUp))
	return append(b, v.MAC[:]...)
}

func lan(r *reader) LAN {
	return LAN{Enabled: r.bool(), Address: r.ipv4(), DHCP: r.bool(), Mode: DHCPMode(r.u8()), LinkUp: r.flag(), MAC: MAC(r.take(6))}
}

// IPv6 is an interface's state; addresses are text, "" if unset.
type IPv6 struct {
	Router    string
	DNS       [2]string
	Addresses []IPv6Address
}

// An IPv6Address is one address. 54 bytes.
type IPv6Address struct {
	Address string
	Type    IPv6Type
	State   IPv6State
}

// An IPv6Type is where an address comes from.
type IPv6Type uint32

func (v IPv6Type) String() string {
	return named(uint32(v), "link local", "router", "DHCPv6", "manual", "unknown")
}

// An IPv6State is whether an address can be used.
type IPv6State uint32

func (v IPv6State) String() string {
	return named(uint32(v), "tentative", "preferred", "deprecated", "valid", "invalid", "collision", "unknown")
}

const maxIPv6 = 64 // addresses; firmware has 6

func (v IPv6) Append(b []byte) []byte {
	for _, s := range []string{v.Router, v.DNS[0], v.DNS[1]} {
		b = appendPadded(b, s, addressLen)
	}
	all := v.Addresses[:min(len(v.Addresses), maxIPv6)]
	b = u32(b, uint32(len(all)))
	for _, a := range all {
		b = u32(u32(appendPadded(b, a.Address, addressLen), uint32(a.Type)), uint32(a.State))
	}
	return b
}

func ipv6(r *reader) IPv6 {
	v := IPv6{Router: r.padded(addressLen), DNS: [2]string{r.padded(addressLen), r.padded(addressLen)}}
	n := r.u32()
	if n > maxIPv6 {
		r.fail("%d addresses", n)
		return v
	}
	for range n {
		if r.err != nil {
			break
		}
		v.Addresses = append(v.Addresses, IPv6Address{r.padded(addressLen), IPv6Type(r.u32()), IPv6State(r.u32())})
	}
	return v
}

// Suffixes are the DNS suffixes by which the firmware knows its home network.
type Suffixes []string

func (v Suffixes) Append(b []byte) []byte { return appendText(b, string(appendNames(nil, v))) }
func suffixes(r *reader) Suffixes         { return names(r.blob()) }

// FQDN is the machine's name.
type FQDN struct {
	Shared      bool // with the host
	DDNS        bool // dynamic DNS updates
	DDNSMinutes uint32
	DDNSTTL     uint32 // seconds
	HostLen     uint32 // characters of Name before the domain
	Name        string
}

func (v FQDN) Append(b []byte) []byte {
	b = appendBool(appendBool(b, v.Shared), v.DDNS)
	return appendText(u32(u32(u32(b, v.DDNSMinutes), v.DDNSTTL), v.HostLen), v.Name)
}

func fqdn(r *reader) FQDN {
	return FQDN{r.bool(), r.bool(), r.u32(), r.u32(), r.u32(), r.text()}
}

// ConfigurationServer is where the firmware looks for setup.
type ConfigurationServer struct {
	Port    uint16
	Address string
	FQDN    string
}

func (v ConfigurationServer) Append(b []byte) []byte {
	return appendText(appendPadded(u16(b, v.Port), v.Address, addressLen), v.FQDN)
}

func configurationServer(r *reader) ConfigurationServer {
	return ConfigurationServer{r.u16(), r.padded(addressLen), r.text()}
}
