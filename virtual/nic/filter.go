package nic

import (
	"fmt"
	"net/netip"
	"slices"
)

// A Direction is which way a frame goes, as the PC sees it. The numbers are those of AMT_FilterDirection.
type Direction uint8

// The directions.
const (
	Transmit Direction = 0
	Receive  Direction = 1
)

func (d Direction) String() string {
	switch d {
	case Transmit:
		return "transmit"
	case Receive:
		return "receive"
	}
	return fmt.Sprintf("unknown (%d)", uint8(d))
}

// An Action is what a filter does with what it matches. The numbers are those of AMT_FilterProfile.
type Action uint8

// The actions.
const (
	PassCount Action = 0
	DropCount Action = 1
	RateLimit Action = 2 // passes and counts up to a number of frames in each second, and drops the others
	Pass      Action = 3
	Drop      Action = 4
)

// A Filter is one filter of a policy.
type Filter struct {
	Handle    uint32
	Direction Direction
	Action    Action
	Rate      uint32 // frames per second of RateLimit
	Event     bool   // tell of the first match
	Match     Match
}

// A Match says which frames are meant: those that agree with all that is set. The zero Match is every frame.
type Match struct {
	Type             *uint16 // EtherType
	SrcMAC, DstMAC   *MACs
	VLAN             *uint16
	Priority         *uint8
	Version          uint8 // 4 or 6: only such IP; 0: anything
	Src, Dst         *Addresses
	Protocol         *uint8
	SrcPort, DstPort *Ports
	DSCP             []uint8 // any of them
	Flow             *uint32
	On, Off          uint8 // flags of TCP that must be set, and those that must not
}

// MACs are hardware addresses that agree with one in the bits of a mask.
type MACs struct{ Address, Mask [6]byte }

// Addresses are IP addresses that agree with one in the bits of a mask, or, if Last is valid, all from First to Last.
type Addresses struct {
	First netip.Addr
	Mask  netip.Addr // of the same size; invalid: all bits
	Last  netip.Addr
}

// Ports is a range of ports.
type Ports struct{ First, Last uint16 }

func (p *Ports) has(port uint16) bool { return p == nil || p.First <= port && port <= p.Last }

func (m *MACs) has(a [6]byte) bool {
	if m == nil {
		return true
	}
	for i := range a {
		if (a[i]^m.Address[i])&m.Mask[i] != 0 {
			return false
		}
	}
	return true
}

func (r *Addresses) has(a netip.Addr) bool {
	switch {
	case r == nil:
		return true
	case a.BitLen() != r.First.BitLen():
		return false
	case r.Last.IsValid():
		return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
	case !r.Mask.IsValid():
		return a == r.First
	}
	x, y, mask := a.As16(), r.First.As16(), r.Mask.As16()
	from := 0
	if a.Is4() {
		from = 12
	}
	for i := from; i < 16; i++ {
		if (x[i]^y[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// Has reports whether a frame is meant.
func (m *Match) Has(f *Frame) bool {
	switch {
	case m.Type != nil && *m.Type != f.Type,
		m.VLAN != nil && (!f.Tagged || *m.VLAN != f.VLAN),
		m.Priority != nil && (!f.Tagged || *m.Priority != f.Priority),
		!m.SrcMAC.has(f.Src), !m.DstMAC.has(f.Dst):
		return false
	}
	ip := f.Type == TypeIPv4 && f.From.Is4() || f.Type == TypeIPv6 && f.From.Is6()
	switch {
	case m.Version == 4 && (f.Type != TypeIPv4 || !ip), m.Version == 6 && (f.Type != TypeIPv6 || !ip):
		return false
	case !ip && (m.Src != nil || m.Dst != nil || m.Protocol != nil || m.DSCP != nil || m.Flow != nil):
		return false
	case !m.Src.has(f.From), !m.Dst.has(f.To),
		m.Protocol != nil && *m.Protocol != f.Protocol,
		m.DSCP != nil && !slices.Contains(m.DSCP, f.DSCP),
		m.Flow != nil && (f.Type != TypeIPv6 || *m.Flow != f.Flow):
		return false
	case !f.Ports && (m.SrcPort != nil || m.DstPort != nil),
		!m.SrcPort.has(f.SrcPort), !m.DstPort.has(f.DstPort):
		return false
	case m.On|m.Off != 0 && (f.Protocol != TCP || !f.Ports || f.Flags&m.On != m.On || f.Flags&m.Off != 0):
		return false
	}
	return true
}
