package rmcp

import (
	"encoding/binary"
	"fmt"
)

// A State is how far a machine's setup has come.
type State uint8

// The states.
const (
	Pre  State = 0 // not set up
	In   State = 1 // being set up
	Post State = 2 // set up
)

func (s State) String() string {
	switch s {
	case Pre:
		return "pre"
	case In:
		return "in"
	case Post:
		return "post"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// AMT is what Intel AMT tells in its pong.
type AMT struct {
	Port         uint16 // TCP port for WS-Man: 16992 plain, 16993 TLS; 0 before setup (6.1 and newer) and before 6.0
	DualPorts    bool   // both ports are open; one source, MeshCentral
	Major, Minor uint8  // version; 0.0 before release 6.0
	State        State  // since release 6.0
	DASH         bool
}

// The data of AMT's pong, offsets in the data (add 12 for the datagram):
//
//	 0  4  343
//	 4  2  port
//	 6  1  version, major*16+minor; 0 if that does not fit, then see 10 and 11
//	 7  1  bits 0-1 state, bit 2 both ports open (the vendor's guide names the state only, for the whole byte)
//	 8  1  entities; bit 5 DASH in releases 4.x and 5.0
//	 9  1  interactions; bit 5 DASH since release 5.1
//	10  1  major version, if byte 6 is 0. From which release on is not documented; it must be by 16, where byte 6 overflows
//	11  1  minor version, likewise
//	12  4  0
const (
	entityASF    = 0x01 // ASF 1.0. Whether AMT sets it is unknown; we do, as DSP0136 reserves 0
	dashBit      = 0x20
	stateMask    = 0x03
	dualPortsBit = 0x04
)

// AMT reads the pong of an Intel machine. ok is false if another enterprise wrote it.
func (m Pong) AMT() (a AMT, ok bool) {
	if m.Enterprise != EnterpriseIntel {
		return AMT{}, false
	}
	a = AMT{
		Port:      binary.BigEndian.Uint16(m.OEM[:]),
		DualPorts: m.OEM[3]&dualPortsBit != 0,
		Major:     m.OEM[2] >> 4,
		Minor:     m.OEM[2] & 0x0f,
		State:     State(m.OEM[3] & stateMask),
		DASH:      (m.Entities|m.Interactions)&dashBit != 0,
	}
	if m.OEM[2] == 0 {
		a.Major, a.Minor = m.Reserved[0], m.Reserved[1]
	}
	return a, true
}

// Pong returns the answer of such a machine to a ping. Versions that fit into byte 6 go there, as MeshCentral reads no
// other.
func (a AMT) Pong(ping PresencePing) Pong {
	m := Pong{Sequence: NoAck, Tag: ping.Tag, Enterprise: EnterpriseIntel, Entities: entityASF}
	binary.BigEndian.PutUint16(m.OEM[:], a.Port)
	if a.Major < 16 && a.Minor < 16 {
		m.OEM[2] = a.Major<<4 | a.Minor
	} else {
		m.Reserved[0], m.Reserved[1] = a.Major, a.Minor
	}
	m.OEM[3] = byte(a.State) & stateMask
	if a.DualPorts {
		m.OEM[3] |= dualPortsBit
	}
	if a.DASH {
		m.Interactions = dashBit
	}
	return m
}
