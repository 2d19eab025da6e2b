package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// EtherTypes.
const (
	TypeIPv4 uint16 = 0x0800
	TypeARP  uint16 = 0x0806
	TypeIPv6 uint16 = 0x86dd

	typeVLAN    uint16 = 0x8100 // IEEE 802.1Q
	typeService uint16 = 0x88a8 // IEEE 802.1ad
	minType     uint16 = 0x0600 // below it is a length
)

// IP protocols.
const (
	ICMP   uint8 = 1
	TCP    uint8 = 6
	UDP    uint8 = 17
	ICMPv6 uint8 = 58
)

// Bits of the TCP header, as in its 14th octet.
const (
	FIN uint8 = 0x01
	SYN uint8 = 0x02
	RST uint8 = 0x04
	PSH uint8 = 0x08
	ACK uint8 = 0x10
	URG uint8 = 0x20
)

// Limits on what is looked at.
const (
	MaxFrame      = 16 << 10 // octets; jumbo frames have 9 KiB
	macHeader     = 14
	maxTags       = 2 // VLAN tags
	maxExtensions = 8 // headers of IPv6 before the protocol
)

// What is wrong with a frame.
var (
	ErrShort = errors.New("frame too short")
	ErrLong  = errors.New("frame too long")
)

// A Frame is what a filter can see of an Ethernet frame. What the frame does not have is zero.
type Frame struct {
	Dst, Src [6]byte
	Tagged   bool
	VLAN     uint16 // 12 bits
	Priority uint8  // 3 bits, of the tag
	Type     uint16 // EtherType; 0 for a frame of IEEE 802.2

	From, To netip.Addr // IP, or, of ARP for IPv4, sender and target
	Protocol uint8      // of IP, the last header
	DSCP     uint8
	Flow     uint32 // label of IPv6

	Ports   bool // From and To have ports: not in a later fragment, nor in one that is cut
	SrcPort uint16
	DstPort uint16
	Flags   uint8 // of TCP
}

// ParseFrame reads an Ethernet frame without its check sum. What is cut off, or broken, behind the Ethernet header is
// no error: the frame is seen as far as it makes sense. The error wraps [ErrShort] or [ErrLong].
func ParseFrame(b []byte) (f Frame, err error) {
	if len(b) < macHeader {
		return f, fmt.Errorf("nic: %w: %d of %d octets", ErrShort, len(b), macHeader)
	}
	if len(b) > MaxFrame {
		return f, fmt.Errorf("nic: %w: %d octets", ErrLong, len(b))
	}
	copy(f.Dst[:], b)
	copy(f.Src[:], b[6:])
	f.Type = binary.BigEndian.Uint16(b[12:])
	b = b[macHeader:]
	for range maxTags {
		if f.Type != typeVLAN && f.Type != typeService {
			break
		}
		if len(b) < 4 {
			return f, fmt.Errorf("nic: %w: inside a VLAN tag", ErrShort)
		}
		if tag := binary.BigEndian.Uint16(b); !f.Tagged {
			f.Tagged, f.VLAN, f.Priority = true, tag&0xfff, uint8(tag>>13)
		}
		f.Type = binary.BigEndian.Uint16(b[2:])
		b = b[4:]
	}
	switch {
	case f.Type == TypeIPv4:
		f.ipv4(b)
	case f.Type == TypeIPv6:
		f.ipv6(b)
	case f.Type == TypeARP:
		f.arp(b)
	case f.Type < minType:
		f.Type = 0
	}
	return f, nil
}

// arp reads addresses of IPv4 over Ethernet. RFC 826.
func (f *Frame) arp(b []byte) {
	if len(b) < 28 || binary.BigEndian.Uint16(b[2:]) != TypeIPv4 || b[4] != 6 || b[5] != 4 {
		return
	}
	f.From, f.To = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
}

func (f *Frame) ipv4(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return
	}
	head := int(b[0]&0xf) * 4
	if head < 20 || head > len(b) {
		return
	}
	f.From, f.To = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	f.Protocol, f.DSCP = b[9], b[1]>>2
	if binary.BigEndian.Uint16(b[6:])&0x1fff == 0 { // the first fragment
		f.transport(b[head:])
	}
}

// ipv6 skips extension headers. RFC 8200 4.
func (f *Frame) ipv6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	first := binary.BigEndian.Uint32(b)
	f.DSCP, f.Flow = uint8(first>>22)&0x3f, first&0xfffff
	f.From, f.To = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	f.Protocol = b[6]
	b = b[40:]
	for range maxExtensions {
		var size int
		switch f.Protocol {
		case 0, 43, 60, 135: // hop-by-hop, routing, destination, mobility
			if len(b) < 2 {
				return
			}
			size = (int(b[1]) + 1) * 8
		case 51: // authentication
			if len(b) < 2 {
				return
			}
			size = (int(b[1]) + 2) * 4
		case 44: // fragment
			if len(b) < 8 {
				return
			}
			size = 8
			if binary.BigEndian.Uint16(b[2:])&^7 != 0 { // a later one
				f.Protocol = b[0]
				return
			}
		default:
			f.transport(b)
			return
		}
		if size > len(b) {
			return
		}
		f.Protocol, b = b[0], b[size:]
	}
}

func (f *Frame) transport(b []byte) {
	switch {
	case f.Protocol == TCP && len(b) >= 14:
		f.Flags = b[13] & (FIN | SYN | RST | PSH | ACK | URG)
	case f.Protocol == UDP && len(b) >= 4:
	default:
		return
	}
	f.Ports, f.SrcPort, f.DstPort = true, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
}
