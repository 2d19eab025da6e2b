package eventlog

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// own marks, in the first octet of data, that what follows is of AMT's making.
const own = 0xAA

// Text says what happened, "authentication failed 10 times", in lower case but for names. It tells neither time, entity
// nor severity. What has no wording yet is told as sensor, offset and data. An empty record has the text "empty".
func (r Record) Text() string {
	if r.Empty() {
		return "empty"
	}
	text := r.text()
	if r.Deasserted {
		text += " (over)"
	}
	return text
}

// text has one case per sensor type with wording of its own; to add an event, add a case. Conditions: spec
// inventory-events-policies.md section 2.3, in its order.
func (r Record) text() string {
	d := r.Data
	switch r.Sensor {
	case Intrusion:
		if r.Offset == 0 {
			return "case opened"
		}
	case Authentication:
		return fmt.Sprintf("authentication failed %d times", binary.LittleEndian.Uint16(d[1:]))
	case Firmware:
		return r.firmware()
	case SystemEvent:
		if d[0] == own {
			return "agent " + AgentID(r) + " " + AgentState(d[7]).String()
		}
	case BootError:
		return "no bootable medium"
	case OSStop:
		return "operating system stopped, or power was interrupted"
	case WatchdogReset:
		if d[0] == 64 {
			return "BIOS did not finish its power-on self-test in time"
		}
		return "boot failed"
	case PlatformAlert:
		return r.systemDefense()
	case EntityPresence:
		return "system firmware started, a processor is running"
	case UserNotification:
		return r.notification()
	case AMTNotification:
		switch [4]byte(d[:4]) {
		case [4]byte{own, 0x30, 0, 0}:
			return "user asks for a remote connection"
		case [4]byte{own, 0x20, 3, 1}:
			return "posture requested while network access control is off"
		case [4]byte{own, 0x20, 4, 0}:
			return "hardware assembly error"
		}
	}
	return r.generic()
}

// systemDefense tells which filter matched. The handle is the one big-endian number of the record.
func (r Record) systemDefense() string {
	where := fmt.Sprintf("interface %d", r.Data[0])
	if r.Data[0] == own {
		where = "the wired interface"
	}
	switch handle := binary.BigEndian.Uint32(r.Data[1:]); handle {
	case 0xFFFFFFFD:
		return "System Defense: filter for all that is received matched on " + where
	case 0xFFFFFFFC:
		return "System Defense: filter for all that is sent matched on " + where
	case 0xFFFFFFFA:
		return "System Defense: anti-spoofing filter matched on " + where
	default:
		return fmt.Sprintf("System Defense: filter %d matched on %s", handle, where)
	}
}

// notification tells what a user is to know: the reason in the high half of data 1, its code in data 2.
func (r Record) notification() string {
	d := r.Data
	if d[0] == own {
		switch d[1] {
		case 0x00:
			return fmt.Sprintf("notification %d", d[2])
		case 0x20:
			return fmt.Sprintf("network access control: notification %d", d[2])
		case 0x30:
			switch d[2] {
			case 0:
				return "SOL session opened"
			case 1:
				return "SOL session closed"
			case 2:
				return "IDE-R session opened"
			case 3:
				return "IDE-R session closed"
			}
			return fmt.Sprintf("remote diagnostics: notification %d", d[2])
		case 0x40:
			if d[2] == 2 {
				return "wireless: profiles of host and engine differ, the engine's interface is left out"
			}
			return fmt.Sprintf("wireless: notification %d", d[2])
		}
	}
	switch d[2] {
	case 0:
		return "security policy invoked: traffic to the network stopped"
	case 2:
		return "security policy invoked: traffic from the network stopped"
	}
	return "security policy invoked"
}

// An AgentState is a state of agent presence.
type AgentState uint8

// The states, as they are in data 7 of an event and in the masks of an action.
const (
	NotStarted AgentState = 1
	Stopped    AgentState = 2
	Running    AgentState = 4
	Expired    AgentState = 8
	Suspended  AgentState = 16
)

func (s AgentState) String() string {
	switch s {
	case NotStarted:
		return "not started"
	case Stopped:
		return "stopped"
	case Running:
		return "running"
	case Expired:
		return "expired"
	case Suspended:
		return "suspended"
	}
	return fmt.Sprintf("unknown (%d)", uint8(s))
}

// AgentID returns the part of an agent's GUID that an event of agent presence tells, "24a86501-50a6-...": the record
// has no room for more than its first six octets.
func AgentID(r Record) string {
	d := r.Data
	return hex.EncodeToString([]byte{d[4], d[3], d[2], d[1]}) + "-" + hex.EncodeToString([]byte{d[6], d[5]}) + "-..."
}

// generic tells an event by the tables of IPMI, or else by its numbers.
func (r Record) generic() string {
	if text := genericText(r.EventType, r.Offset); text != "" {
		return fmt.Sprintf("%v: %s", r.Sensor, text)
	}
	return fmt.Sprintf("%v: %v event, offset %d, data %x", r.Sensor, r.EventType, r.Offset, r.Data)
}
