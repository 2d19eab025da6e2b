package upkeep

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// permanent is the flag of an address without a lifetime: one that no lease limits. Source: linux/if_addr.h
// IFA_F_PERMANENT.
const permanent = 0x80

// HostAddress finds how this PC has set up IPv4 on the card with that hardware address: its first address of global
// scope. One without a lifetime was set by hand.
func HostAddress(mac net.HardwareAddr) (Address, error) {
	all, err := net.Interfaces()
	if err != nil {
		return Address{}, err
	}
	for _, i := range all {
		if !bytes.Equal(i.HardwareAddr, mac) {
			continue
		}
		is, err := addressOf(i.Index)
		if err != nil || is.DHCP {
			return is, err
		}
		if is.Gateway, err = gatewayOf(i.Index); err != nil {
			return is, err
		}
		if conf, err := os.ReadFile("/etc/resolv.conf"); err == nil {
			is.DNS = nameservers(string(conf))
		}
		return is, nil
	}
	return Address{}, ErrNoInterface
}

// addressOf asks the kernel for the address of an interface. Source: rtnetlink(7).
func addressOf(index int) (Address, error) {
	messages, err := ask(syscall.RTM_GETADDR)
	if err != nil {
		return Address{}, err
	}
	for _, m := range messages {
		// ifaddrmsg: family, prefix length, flags, scope, u32 index
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg || m.Data[0] != syscall.AF_INET {
			continue
		}
		bits, flags, scope := m.Data[1], m.Data[2], m.Data[3]
		if binary.NativeEndian.Uint32(m.Data[4:]) != uint32(index) || scope != syscall.RT_SCOPE_UNIVERSE || bits > 32 {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return Address{}, err
		}
		for _, a := range attributes {
			if a.Attr.Type == syscall.IFA_LOCAL && len(a.Value) == 4 {
				return Address{DHCP: flags&permanent == 0, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte(a.Value)), int(bits))}, nil
			}
		}
	}
	return Address{}, ErrNoInterface
}

// gatewayOf asks for the gateway of the default route over an interface.
func gatewayOf(index int) (gateway netip.Addr, err error) {
	messages, err := ask(syscall.RTM_GETROUTE)
	if err != nil {
		return gateway, err
	}
	for _, m := range messages {
		// rtmsg: family, length of the destination, ...
		if m.Header.Type != syscall.RTM_NEWROUTE || len(m.Data) < syscall.SizeofRtMsg || m.Data[0] != syscall.AF_INET || m.Data[1] != 0 {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return gateway, err
		}
		out := -1
		var via netip.Addr
		for _, a := range attributes {
			switch {
			case a.Attr.Type == syscall.RTA_OIF && len(a.Value) == 4:
				out = int(binary.NativeEndian.Uint32(a.Value))
			case a.Attr.Type == syscall.RTA_GATEWAY && len(a.Value) == 4:
				via = netip.AddrFrom4([4]byte(a.Value))
			}
		}
		if out == index && via.IsValid() {
			return via, nil
		}
	}
	return gateway, nil
}

// ask gets a table of the kernel's, of IPv4.
func ask(table int) ([]syscall.NetlinkMessage, error) {
	raw, err := syscall.NetlinkRIB(table, syscall.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", os.NewSyscallError("netlinkrib", err))
	}
	return syscall.ParseNetlinkMessage(raw)
}

// nameservers reads the first two IPv4 servers of resolv.conf(5). One on the PC itself is of no use to AMT.
func nameservers(conf string) (out [2]netip.Addr) {
	n := 0
	for line := range strings.Lines(conf) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || n == len(out) {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil && a.Is4() && !a.IsLoopback() {
			out[n] = a
			n++
		}
	}
	return out
}
