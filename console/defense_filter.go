package console

import (
	"context"
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
	"github.com/outband/outband/wire/wsman"
)

// A DefenseFilter says what is done with frames that agree with all that is set.
type DefenseFilter struct {
	Handle uint32 // number that the machine has given it
	Name   string
	In     bool // for frames that the PC receives; else for those that it sends
	Action DefenseAction
	Rate   uint32 // frames per second that Limit lets through
	Count  bool   // with Limit always
	Event  bool   // log the first match

	// Of an Ethernet filter.
	EtherType          uint16 // 0: it is an IP filter
	SrcMAC, DstMAC     string // "aa:bb:cc:dd:ee:ff", or with "/" and a mask of the same form
	VLAN, VLANPriority *uint16

	// Of an IP filter.
	Version            int              // 4 or 6
	Source, Dest       DefenseAddresses // zero: any
	Protocol           *uint8           // nil: any
	SrcPorts, DstPorts *[2]uint16       // first and last; nil: any
	FlagsOn, FlagsOff  uint8            // of TCP: bits FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32
	DSCP               []uint8          // any of them; nil: any
}

// A DefenseAction is what a filter does.
type DefenseAction string

// The actions.
const (
	DefensePass  DefenseAction = "pass"
	DefenseDrop  DefenseAction = "drop"
	DefenseLimit DefenseAction = "limit" // passes up to a number of frames per second, drops the others
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
		name := "protocol " + strconv.Itoa(int(*f.Protocol))
		for n, p := range protocolNames {
			if p == *f.Protocol {
				name = n
			}
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
	var flags []string
	for i, name := range tcpFlagNames {
		if f.FlagsOn>>i&1 != 0 {
			flags = append(flags, name)
		}
		if f.FlagsOff>>i&1 != 0 {
			flags = append(flags, "!"+name)
		}
	}
	if flags != nil {
		words = append(words, "flags "+strings.Join(flags, ","))
	}
	if f.DSCP != nil {
		words = append(words, fmt.Sprintf("DSCP %d", f.DSCP))
	}
	return strings.Join(words, " ")
}

// check holds a filter against what firmware takes.
func (f *DefenseFilter) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrUsage}, args...)...)
	}
	if err := checkDefenseName("filter", f.Name); err != nil {
		return err
	}
	protocol := -1
	if f.Protocol != nil {
		protocol = int(*f.Protocol)
	}
	one := func(p *[2]uint16) bool { return p[0] == p[1] }
	switch {
	case f.Action != DefensePass && f.Action != DefenseDrop && f.Action != DefenseLimit:
		return bad("action %q is none of pass, drop, limit", f.Action)
	case (f.Action == DefenseLimit) != (f.Rate > 0):
		return bad("a rate of frames per second goes with the action limit, and only with it")
	case f.EtherType != 0 && (f.Version != 0 || f.Protocol != nil || f.Source.First.IsValid() || f.Dest.First.IsValid() || f.SrcPorts != nil || f.DstPorts != nil ||
		f.FlagsOn|f.FlagsOff != 0 || f.DSCP != nil):
		return bad("a filter is for Ethernet frames of a type, or for IP packets; not for both")
	case f.EtherType != 0 && f.EtherType < 0x600:
		return bad("EtherType 0x%x is none: they begin with 0x0600", f.EtherType)
	case f.EtherType != 0:
		return nil
	case f.Version != 4 && f.Version != 6:
		return bad("IP version %d is neither 4 nor 6", f.Version)
	case (f.SrcPorts != nil || f.DstPorts != nil) && protocol != 6 && protocol != 17:
		return bad("ports need the protocol tcp or udp")
	case f.SrcPorts != nil && f.DstPorts != nil && !(one(f.SrcPorts) && one(f.DstPorts)):
		return bad("AMT takes one port on each side, or a range on one side")
	case f.FlagsOn|f.FlagsOff != 0 && protocol != 6:
		return bad("flags need the protocol tcp")
	}
	for _, a := range []DefenseAddresses{f.Source, f.Dest} {
		if a.First.IsValid() && a.First.Is4() != (f.Version == 4) {
			return bad("%s is no address of IPv%d", a, f.Version)
		}
	}
	for _, d := range f.DSCP {
		if d > 63 {
			return bad("DSCP %d is above 63", d)
		}
	}
	return nil
}

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

// AddDefenseFilter makes a filter and returns it as the machine has it then. It does nothing until a policy has it. What
// the firmware would refuse is an error that wraps [ErrUsage] or [ErrNotOffered], and nothing is sent.
func (c *Client) AddDefenseFilter(ctx context.Context, f DefenseFilter) (DefenseFilter, error) {
	now, err := c.addDefenseFilter(ctx, f)
	if err != nil {
		return now, fmt.Errorf("add filter %s: %w", f.Name, err)
	}
	return now, nil
}

func (c *Client) addDefenseFilter(ctx context.Context, f DefenseFilter) (DefenseFilter, error) {
	if err := f.check(); err != nil {
		return f, err
	}
	d, err := c.defense(ctx)
	if err != nil {
		return f, err
	}
	switch {
	case d.mayChange() != nil:
		return f, d.mayChange()
	case slices.ContainsFunc(d.Filters, func(other DefenseFilter) bool { return other.Name == f.Name }):
		return f, fmt.Errorf("%w: there is a filter %q", ErrUsage, f.Name)
	case d.Limits.Filters > 0 && len(d.Filters) >= d.Limits.Filters:
		return f, fmt.Errorf("%w: the machine has %d filters, and holds no more", ErrNotOffered, len(d.Filters))
	}
	handle, err := c.createFilter(ctx, &f)
	if err != nil {
		return f, err
	}
	f.Handle = handle
	if d, err = c.defense(ctx); err != nil {
		return f, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	return d.sameFilter(f)
}

// createFilter makes a filter and returns its handle.
func (c *Client) createFilter(ctx context.Context, f *DefenseFilter) (uint32, error) {
	v, err := f.element()
	if err != nil {
		return 0, err
	}
	e := v.Element()
	ref, err := wsman.Create(ctx, c, wsman.ClassURI(v.ClassName()), &e)
	if err != nil {
		return 0, err
	}
	handle, err := strconv.ParseUint(ref.Selectors.Value("InstanceID"), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the machine gave the filter the handle %q, which is no number", ref.Selectors.Value("InstanceID"))
	}
	return uint32(handle), nil
}

// sameFilter finds a filter as it was read again, and compares.
func (d *Defense) sameFilter(want DefenseFilter) (DefenseFilter, error) {
	if want.Action == DefenseLimit {
		want.Count = true
	}
	for _, got := range d.Filters {
		if got.Handle == want.Handle {
			if got.Name != want.Name || got.In != want.In || got.Action != want.Action || got.Rate != want.Rate || got.Count != want.Count || got.Event != want.Event ||
				got.Match() != want.Match() {
				return got, ErrDiffers
			}
			return got, nil
		}
	}
	return want, ErrDiffers
}

// RemoveDefenseFilters removes filters by name or handle, and reads again to see that they are gone. One that a policy
// has stays, and is an error that wraps [ErrNotOffered] before anything is removed.
func (c *Client) RemoveDefenseFilters(ctx context.Context, names ...string) ([]string, error) {
	gone, err := c.removeDefenseFilters(ctx, names)
	if err != nil {
		return gone, fmt.Errorf("remove filters: %w", err)
	}
	return gone, nil
}

func (c *Client) removeDefenseFilters(ctx context.Context, names []string) (gone []string, err error) {
	d, err := c.defense(ctx)
	if err == nil {
		err = d.mayChange()
	}
	if err != nil {
		return nil, err
	}
	var list []*DefenseFilter
	for _, name := range names {
		f, err := d.Filter(name)
		if err != nil {
			return nil, err
		}
		if users := d.UsedBy(f.Handle); users != nil {
			return nil, fmt.Errorf("%w: filter %q is in use by policy %s", ErrNotOffered, f.Name, strings.Join(users, ", "))
		}
		list = append(list, f)
	}
	for _, f := range list {
		if err := c.deleteFilter(ctx, f); err != nil {
			return gone, fmt.Errorf("%s: %w", f.Name, err)
		}
		gone = append(gone, f.Name)
	}
	now, err := c.defense(ctx)
	if err != nil {
		return gone, fmt.Errorf("accepted, but reading them again failed: %w", err)
	}
	for _, f := range list {
		if slices.ContainsFunc(now.Filters, func(other DefenseFilter) bool { return other.Handle == f.Handle }) {
			return gone, ErrDiffers
		}
	}
	return gone, nil
}

func (c *Client) deleteFilter(ctx context.Context, f *DefenseFilter) error {
	name := "AMT_IPHeadersFilter"
	if f.EtherType != 0 {
		name = "AMT_Hdr8021Filter"
	}
	return wsman.Delete(ctx, c, wsman.ClassURI(name), wsman.Selectors{{Name: "CreationClassName", Value: name},
		{Name: "InstanceID", Value: strconv.FormatUint(uint64(f.Handle), 10)}, {Name: "Name", Value: f.Name},
		{Name: "SystemCreationClassName", Value: "CIM_ComputerSystem"}, {Name: "SystemName", Value: "Intel(r) AMT"}})
}
