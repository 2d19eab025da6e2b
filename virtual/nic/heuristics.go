package nic

import (
	"net/netip"
	"time"
)

// A Trigger is why the heuristics have found a worm.
type Trigger uint8

// The triggers.
const (
	NoTrigger   Trigger = 0
	FastTrigger Trigger = 1 // too many new connections in a short time
	SlowTrigger Trigger = 2 // too many in a longer one
)

// Heuristics look for a PC that opens connections to very many others, as worms do. The zero value is off. Source: spec
// inventory-events-policies.md section 5.
type Heuristics struct {
	Enabled   bool
	FastLimit uint32        // connections; 0: not looked at
	FastClear time.Duration // 10 ms to 1 s: without any connection for so long the count begins anew
	SlowLimit uint32
	SlowClear time.Duration // 1 to 50 s

	BlockAll  bool          // then nothing more is sent
	BlockPort bool          // then nothing more is sent to the port that most was sent to last
	Encounter time.Duration // until it is over; 0: until it is cleared
}

// An Encounter is a worm that was found.
type Encounter struct {
	Trigger  Trigger
	At       time.Time
	Port     uint16 // that the last connection went to, if it was TCP or UDP
	Protocol uint8
}

// maxPeers is how many destinations are remembered; the oldest makes room.
const maxPeers = 256

// peer is a destination: what is sent there again is no new connection.
type peer struct {
	address  netip.Addr
	protocol uint8
	port     uint16
}

// heuristics is the state of looking. The port's lock guards it.
type heuristics struct {
	Heuristics
	peers      [maxPeers]peer
	next       int
	fast, slow uint32
	last       time.Time
	found      Encounter // Trigger 0 for none
}

// Watch says what to look for. An encounter that is on is forgotten.
func (p *Port) Watch(h Heuristics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worm = heuristics{Heuristics: h}
}

// Encounter returns the worm that was found, if the time is not over, and whether there is one.
func (p *Port) Encounter(at time.Time) (Encounter, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.worm.found, p.worm.on(at)
}

// on reports whether there is an encounter.
func (h *heuristics) on(at time.Time) bool {
	return h.found.Trigger != NoTrigger && (h.Encounter == 0 || at.Before(h.found.At.Add(h.Encounter)))
}

// see takes note of a frame that is sent. The caller holds the port's lock.
func (h *heuristics) see(at time.Time, f *Frame) Trigger {
	if !h.Enabled || h.on(at) || !f.opens() {
		return NoTrigger
	}
	if h.found.Trigger != NoTrigger { // over
		*h = heuristics{Heuristics: h.Heuristics}
	}
	to := peer{f.To, f.Protocol, f.DstPort}
	for i := range h.peers {
		if h.peers[i] == to {
			return NoTrigger
		}
	}
	h.peers[h.next] = to
	h.next = (h.next + 1) % maxPeers
	quiet := at.Sub(h.last)
	if quiet >= h.FastClear {
		h.fast = 0
	}
	if quiet >= h.SlowClear {
		h.slow = 0
	}
	h.last = at
	h.fast++
	h.slow++
	trigger := NoTrigger
	switch {
	case h.FastLimit > 0 && h.fast >= h.FastLimit:
		trigger = FastTrigger
	case h.SlowLimit > 0 && h.slow >= h.SlowLimit:
		trigger = SlowTrigger
	default:
		return NoTrigger
	}
	h.found = Encounter{Trigger: trigger, At: at, Port: f.DstPort, Protocol: f.Protocol}
	return trigger
}

// opens reports whether a frame may begin something with another PC.
func (f *Frame) opens() bool {
	switch f.Protocol {
	case TCP:
		return f.Ports && f.Flags&(SYN|ACK) == SYN
	case UDP:
		return f.Ports
	case ICMP, ICMPv6:
		return true
	}
	return false
}

// blocks reports whether a frame may not be sent for now.
func (h *heuristics) blocks(at time.Time, f *Frame) bool {
	if !h.on(at) {
		return false
	}
	return h.BlockAll || h.BlockPort && f.Protocol == h.found.Protocol && f.DstPort == h.found.Port
}
