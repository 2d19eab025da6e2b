// Package pet reads and writes SNMPv1 traps, as far as platform event traps (PET) need them: what AMT sends to receivers
// of AMT_SNMPEventSubscriber until release 17, and any other SNMPv1 trap that ends up on the same port.
//
// A trap is one UDP datagram to port 162, in BER with definite lengths:
//
//	SEQUENCE
//	  INTEGER           version, 0
//	  OCTET STRING      community
//	  [4] SEQUENCE      trap
//	    OBJECT ID       enterprise; of PET 1.3.6.1.4.1.3183.1.1
//	    [APPLICATION 0] agent, an IPv4 address
//	    INTEGER         generic trap; 6 is enterprise specific
//	    INTEGER         specific trap: of PET sensor type, event type and offset, an octet each
//	    [APPLICATION 3] time stamp, hundredths of a second since the agent began
//	    SEQUENCE OF     variables: OBJECT ID and value; of PET one OCTET STRING, see [eventlog.Trap]
//
// The package opens no sockets. Sources: RFC 1157 section 4.1.6; IPMI Platform Event Trap Format 1.0; spec
// inventory-events-policies.md section 4.1. No recorded trap of AMT was at hand.
package pet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/outband/outband/wire/eventlog"
)

// Port is where receivers of traps listen, UDP.
const Port = 162

// Limits of a trap.
const (
	MaxDatagram  = 1472 // octets; what fits into one Ethernet frame
	MaxVariables = 64
	maxArcs      = 128 // of an object identifier
)

// EnterpriseSpecific is the generic trap of PET.
const EnterpriseSpecific = 6

// Errors that this package wraps.
var (
	ErrFormat = errors.New("not an SNMPv1 trap")
	ErrNotPET = errors.New("not a platform event trap")
)

// A Trap is one SNMPv1 trap.
type Trap struct {
	Community  string
	Enterprise string     // dotted
	Agent      netip.Addr // IPv4; 0.0.0.0 if the agent has none
	Generic    uint8
	Specific   uint32
	Uptime     uint32 // hundredths of a second
	Variables  []Variable
}

// A Variable is a value that a trap tells.
type Variable struct {
	Name  string // dotted
	Type  byte   // tag of BER: 4 is an OCTET STRING
	Value []byte // content octets
}

const octetString = 0x04

// New returns the trap of an event.
func New(community string, agent netip.Addr, uptime uint32, event eventlog.Trap) Trap {
	return Trap{Community: community, Enterprise: eventlog.TrapEnterprise, Agent: agent, Generic: EnterpriseSpecific, Specific: event.Specific(), Uptime: uptime,
		Variables: []Variable{{eventlog.TrapEnterprise + ".1", octetString, event.Append(nil)}}}
}

// Event returns the event that a platform event trap carries. Errors wrap [ErrNotPET], or [eventlog.ErrLength] for a
// variable of wrong length.
func (t Trap) Event() (eventlog.Trap, error) {
	if t.Enterprise != eventlog.TrapEnterprise || t.Generic != EnterpriseSpecific {
		return eventlog.Trap{}, fmt.Errorf("pet: %w: enterprise %s, generic trap %d", ErrNotPET, t.Enterprise, t.Generic)
	}
	for _, v := range t.Variables {
		if v.Type == octetString {
			return eventlog.ParseTrap(t.Specific, v.Value)
		}
	}
	return eventlog.Trap{}, fmt.Errorf("pet: %w: it tells no event", ErrNotPET)
}
