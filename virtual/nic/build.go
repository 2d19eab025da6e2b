package nic

import "encoding/binary"

// Append appends the frame as octets, padded to the least size of Ethernet, with right check sums of IP, TCP and UDP. It
// is for whoever wants to see what a policy does with a frame; a payload there is none. Of protocols other than TCP, UDP
// and ICMP there is nothing after the IP header.
func (f *Frame) Append(b []byte) []byte {
	start := len(b)
	b = append(append(b, f.Dst[:]...), f.Src[:]...)
	if f.Tagged {
		b = binary.BigEndian.AppendUint16(b, typeVLAN)
		b = binary.BigEndian.AppendUint16(b, uint16(f.Priority&7)<<13|f.VLAN&0xfff)
	}
	b = binary.BigEndian.AppendUint16(b, f.Type)
	switch {
	case f.Type == TypeARP && f.From.Is4() && f.To.Is4():
		b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
		b = append(append(b, f.Src[:]...), f.From.AsSlice()...)
		b = append(append(b, make([]byte, 6)...), f.To.AsSlice()...)
	case f.Type == TypeIPv4 && f.From.Is4() && f.To.Is4():
		body := f.appendTransport(nil)
		at := len(b)
		b = append(b, 0x45, f.DSCP<<2)
		b = binary.BigEndian.AppendUint16(b, uint16(20+len(body)))
		b = append(b, 0, 0, 0, 0, 64, f.Protocol, 0, 0)
		b = append(append(b, f.From.AsSlice()...), f.To.AsSlice()...)
		binary.BigEndian.PutUint16(b[at+10:], checksum(0, b[at:]))
		b = append(b, body...)
	case f.Type == TypeIPv6 && f.From.Is6() && f.To.Is6():
		body := f.appendTransport(nil)
		b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(f.DSCP)<<22|f.Flow&0xfffff)
		b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
		b = append(b, f.Protocol, 64)
		b = append(append(b, f.From.AsSlice()...), f.To.AsSlice()...)
		b = append(b, body...)
	}
	for len(b)-start < 60 {
		b = append(b, 0)
	}
	return b
}

// appendTransport appends the header after IP.
func (f *Frame) appendTransport(b []byte) []byte {
	sum := 0 // where the check sum stands
	switch f.Protocol {
	case TCP:
		b = binary.BigEndian.AppendUint16(b, f.SrcPort)
		b = binary.BigEndian.AppendUint16(b, f.DstPort)
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, f.Flags, 0x20, 0, 0, 0, 0, 0)
		sum = 16
	case UDP:
		b = binary.BigEndian.AppendUint16(b, f.SrcPort)
		b = binary.BigEndian.AppendUint16(b, f.DstPort)
		b = append(b, 0, 8, 0, 0)
		sum = 6
	case ICMP:
		b = append(b, 8, 0, 0, 0, 0, 1, 0, 1) // echo request
		binary.BigEndian.PutUint16(b[2:], checksum(0, b))
		return b
	case ICMPv6:
		b = append(b, 128, 0, 0, 0, 0, 1, 0, 1)
		sum = 2
	default:
		return b
	}
	pseudo := uint32(f.Protocol) + uint32(len(b))
	for _, a := range [][]byte{f.From.AsSlice(), f.To.AsSlice()} {
		for i := 0; i < len(a); i += 2 {
			pseudo += uint32(binary.BigEndian.Uint16(a[i:]))
		}
	}
	binary.BigEndian.PutUint16(b[sum:], checksum(pseudo, b))
	return b
}

// checksum is that of RFC 1071; b has an even length.
func checksum(sum uint32, b []byte) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
