package console

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
)

// profile returns the vendor's number for action and counting.
func (f *DefenseFilter) profile() amt.FilterProfile {
	switch {
	case f.Action == DefenseLimit:
		return amt.FilterProfileRateLimit
	case f.Action == DefenseDrop && f.Count:
		return amt.FilterProfileDropAndCount
	case f.Action == DefenseDrop:
		return amt.FilterProfileDrop
	case f.Count:
		return amt.FilterProfilePassAndCount
	}
	return amt.FilterProfilePass
}

// setProfile is the way back.
func (f *DefenseFilter) setProfile(profile *amt.FilterProfile, direction *amt.FilterDirection, rate *uint32, event *bool) {
	f.In, f.Event = class.Value(direction) == amt.FilterDirectionReceive, class.Value(event)
	switch class.Value(profile) {
	case amt.FilterProfileRateLimit:
		f.Action, f.Rate, f.Count = DefenseLimit, class.Value(rate), true
	case amt.FilterProfileDropAndCount:
		f.Action, f.Count = DefenseDrop, true
	case amt.FilterProfileDrop:
		f.Action = DefenseDrop
	case amt.FilterProfilePassAndCount:
		f.Action, f.Count = DefensePass, true
	default:
		f.Action = DefensePass
	}
}

func readIPFilter(v *amt.IPHeadersFilter) DefenseFilter {
	n, _ := strconv.ParseUint(class.Value(v.InstanceID), 10, 32)
	f := DefenseFilter{Handle: uint32(n), Name: class.Value(v.Name), Version: 4, Protocol: v.HdrProtocolID, DSCP: v.HdrDSCP}
	f.setProfile(v.FilterProfile, v.FilterDirection, v.FilterProfileData, v.ActionEventOnMatch)
	if v.HdrIPVersion != nil {
		f.Version = int(*v.HdrIPVersion)
	}
	f.Source = readAddresses(v.HdrSrcAddress, v.HdrSrcMask, v.HdrSrcAddressEndOfRange)
	f.Dest = readAddresses(v.HdrDestAddress, v.HdrDestMask, v.HdrDestAddressEndOfRange)
	if v.HdrSrcPortStart != nil && v.HdrSrcPortEnd != nil {
		f.SrcPorts = &[2]uint16{*v.HdrSrcPortStart, *v.HdrSrcPortEnd}
	}
	if v.HdrDestPortStart != nil && v.HdrDestPortEnd != nil {
		f.DstPorts = &[2]uint16{*v.HdrDestPortStart, *v.HdrDestPortEnd}
	}
	for _, x := range v.TCPFlagsOn {
		f.FlagsOn |= uint8(x)
	}
	for _, x := range v.TCPFlagsOff {
		f.FlagsOff |= uint8(x)
	}
	return f
}

func readAddresses(address, mask, last *string) (a DefenseAddresses) {
	read := func(text *string) (out netip.Addr) {
		if text != nil {
			b, err := hex.DecodeString(*text)
			if err == nil {
				out, _ = netip.AddrFromSlice(b)
			}
		}
		return out
	}
	return DefenseAddresses{First: read(address), Mask: read(mask), Last: read(last)}
}

func readMACFilter(v *amt.Hdr8021Filter) DefenseFilter {
	n, _ := strconv.ParseUint(class.Value(v.InstanceID), 10, 32)
	f := DefenseFilter{Handle: uint32(n), Name: class.Value(v.Name), EtherType: uint16(class.Value(v.HdrProtocolID8021)),
		SrcMAC: macText(v.HdrSrcMACAddr8021, v.HdrSrcMACMask8021), DstMAC: macText(v.HdrDestMACAddr8021, v.HdrDestMACMask8021)}
	f.setProfile(v.FilterProfile, v.FilterDirection, v.FilterProfileData, v.ActionEventOnMatch)
	if v.HdrVLANID8021 != nil {
		f.VLAN = new(uint16(*v.HdrVLANID8021))
	}
	if v.HdrPriorityValue8021 != nil {
		f.VLANPriority = new(uint16(*v.HdrPriorityValue8021))
	}
	return f
}

func macText(address, mask []byte) string {
	if address == nil {
		return ""
	}
	text := net.HardwareAddr(address).String()
	if mask != nil && slices.ContainsFunc(mask, func(b byte) bool { return b != 255 }) {
		text += "/" + net.HardwareAddr(mask).String()
	}
	return text
}

// element makes the instance to create. Keys are the machine's to give.
func (f *DefenseFilter) element() (class.Instance, error) {
	direction := amt.FilterDirectionTransmit
	if f.In {
		direction = amt.FilterDirectionReceive
	}
	zero := func() *string { return new("0") }
	var rate *uint32
	if f.Action == DefenseLimit {
		rate = &f.Rate
	}
	if f.EtherType != 0 {
		v := &amt.Hdr8021Filter{CreationClassName: zero(), InstanceID: zero(), SystemCreationClassName: zero(), SystemName: zero(), Name: &f.Name,
			FilterProfile: new(f.profile()), FilterDirection: &direction, FilterProfileData: rate, ActionEventOnMatch: &f.Event,
			HdrProtocolID8021: new(amt.Hdr8021FilterHdrProtocolID8021(f.EtherType))}
		if f.VLAN != nil {
			v.HdrVLANID8021 = new(uint32(*f.VLAN))
		}
		if f.VLANPriority != nil {
			v.HdrPriorityValue8021 = new(uint8(*f.VLANPriority))
		}
		var err1, err2 error
		v.HdrSrcMACAddr8021, v.HdrSrcMACMask8021, err1 = parseMAC(f.SrcMAC)
		v.HdrDestMACAddr8021, v.HdrDestMACMask8021, err2 = parseMAC(f.DstMAC)
		return v, errors.Join(err1, err2)
	}
	v := &amt.IPHeadersFilter{CreationClassName: zero(), InstanceID: zero(), SystemCreationClassName: zero(), SystemName: zero(), Name: &f.Name,
		FilterProfile: new(f.profile()), FilterDirection: &direction, FilterProfileData: rate, ActionEventOnMatch: &f.Event,
		HdrIPVersion: new(amt.IPHeadersFilterHdrIPVersion(f.Version)), HdrProtocolID: f.Protocol, HdrDSCP: f.DSCP}
	write := func(a netip.Addr) *string {
		if !a.IsValid() {
			return nil
		}
		return new(strings.ToUpper(hex.EncodeToString(a.AsSlice())))
	}
	v.HdrSrcAddress, v.HdrSrcMask, v.HdrSrcAddressEndOfRange = write(f.Source.First), write(f.Source.Mask), write(f.Source.Last)
	v.HdrDestAddress, v.HdrDestMask, v.HdrDestAddressEndOfRange = write(f.Dest.First), write(f.Dest.Mask), write(f.Dest.Last)
	if p := f.SrcPorts; p != nil {
		v.HdrSrcPortStart, v.HdrSrcPortEnd = &p[0], &p[1]
	}
	if p := f.DstPorts; p != nil {
		v.HdrDestPortStart, v.HdrDestPortEnd = &p[0], &p[1]
	}
	for i := range tcpFlagNames {
		if f.FlagsOn>>i&1 != 0 {
			v.TCPFlagsOn = append(v.TCPFlagsOn, 1<<i)
		}
		if f.FlagsOff>>i&1 != 0 {
			v.TCPFlagsOff = append(v.TCPFlagsOff, 1<<i)
		}
	}
	return v, nil
}

// parseMAC reads an address, with a mask or without.
func parseMAC(text string) (address, mask []byte, err error) {
	if text == "" {
		return nil, nil, nil
	}
	first, rest, masked := strings.Cut(text, "/")
	a, err := net.ParseMAC(first)
	m := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	if err == nil && masked {
		m, err = net.ParseMAC(rest)
	}
	if err != nil || len(a) != 6 || len(m) != 6 {
		return nil, nil, fmt.Errorf("%w: %q is no MAC address such as 02:00:00:00:00:01", ErrUsage, text)
	}
	return a, m, nil
}
