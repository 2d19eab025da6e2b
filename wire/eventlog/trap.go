package eventlog

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/outband/outband/wire/guid"
)

// TrapEnterprise is the enterprise of the SNMPv1 traps that carry events, and of their one variable (with 1 added).
const TrapEnterprise = "1.3.6.1.4.1.3183.1.1"

// Sizes of a trap's variable, in octets.
const (
	trapFixed = 46
	TrapSize  = trapFixed + 1 // as AMT sends it: no OEM fields, but their end mark
	MaxTrap   = trapFixed + 64
)

const noOEM = 0xC1 // marks the end of OEM fields

// A Trap is an event as an SNMP trap carries it (PET), removed from AMT 18: the octets of the trap's variable, and the
// number of its specific trap. Integers are big-endian:
//
//	 0 16  the machine's GUID
//	16  2  sequence number
//	18  4  time, seconds since 1998, local; 0 if not known
//	22  2  UTC offset, minutes; FFFFh if not known
//	24  1  trap source type      28  1  sensor number
//	25  1  event source type     29  1  entity
//	26  1  severity              30  1  entity instance
//	27  1  sensor device         31  8  event data
//	39  1  language, FFh if none
//	40  4  manufacturer, as IANA numbers them; 343 is Intel
//	44  2  system, as the manufacturer numbers them
//	46     OEM fields, ended by C1h
//
// Source: IPMI Platform Event Trap Format 1.0, tables 2 to 4; DSP0136 3.1.4.1. No recorded trap of AMT was at hand.
type Trap struct {
	GUID         guid.GUID // which byte order AMT uses is not known; here it is taken as SMBIOS order
	Sequence     uint16
	Seconds      uint32 // since 1998, local time
	UTCOffset    int16  // minutes east of Greenwich; -1 if not known
	TrapSource   Source
	Event        Record // without its time
	Language     uint8  // 255 if none
	Manufacturer uint32
	System       uint16
	OEM          []byte // with the end mark; nil is the mark alone
}

var trapEpoch = time.Date(1998, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()

// Specific returns the number of the specific trap: sensor type, event type and offset.
func (t Trap) Specific() uint32 {
	return uint32(t.Event.Sensor)<<16 | uint32(t.Event.EventType)<<8 | uint32(t.Event.offset())
}

// ParseTrap reads the variable of a trap with the given specific number. The time of Event is set if the trap tells it,
// and taken as UTC if it tells no offset. The error wraps [ErrLength].
func ParseTrap(specific uint32, b []byte) (Trap, error) {
	if len(b) < trapFixed || len(b) > MaxTrap {
		return Trap{}, fmt.Errorf("eventlog: trap: %w: %d octets, want %d to %d", ErrLength, len(b), trapFixed, MaxTrap)
	}
	t := Trap{
		GUID:       guid.GUID(b[:16]),
		Sequence:   binary.BigEndian.Uint16(b[16:]),
		Seconds:    binary.BigEndian.Uint32(b[18:]),
		UTCOffset:  int16(binary.BigEndian.Uint16(b[22:])),
		TrapSource: Source(b[24]),
		Event: Record{
			Sensor:        Sensor(specific >> 16),
			EventType:     EventType(specific >> 8),
			Offset:        uint8(specific) & 0x7f,
			Deasserted:    specific&0x80 != 0,
			Source:        Source(b[25]),
			Severity:      Severity(b[26]),
			DeviceAddress: b[27],
			Number:        b[28],
			Entity:        Entity(b[29]),
			Instance:      b[30],
			Data:          [8]byte(b[31:]),
		},
		Language:     b[39],
		Manufacturer: binary.BigEndian.Uint32(b[40:]),
		System:       binary.BigEndian.Uint16(b[44:]),
	}
	if oem := b[trapFixed:]; len(oem) != 1 || oem[0] != noOEM {
		t.OEM = append([]byte{}, oem...)
	}
	t.Event.Time = t.time()
	return t, nil
}

// time returns the seconds since 1970, 0 if the trap has none or they do not fit.
func (t Trap) time() uint32 {
	if t.Seconds == 0 {
		return 0
	}
	at := trapEpoch + int64(t.Seconds)
	if t.UTCOffset != -1 {
		at -= 60 * int64(t.UTCOffset)
	}
	if at < 0 || at > 0xffffffff {
		return 0
	}
	return uint32(at)
}

// NewTrap makes the trap of an event, with its time in UTC, as a machine of Intel's would send it.
func NewTrap(id guid.GUID, sequence uint16, event Record) Trap {
	t := Trap{GUID: id, Sequence: sequence, UTCOffset: 0, TrapSource: ManagementCard, Event: event, Language: 0xff, Manufacturer: 343}
	if at := int64(event.Time) - trapEpoch; !event.Empty() && at > 0 {
		t.Seconds = uint32(at)
	} else {
		t.UTCOffset = -1
	}
	return t
}

// Append appends the variable. OEM fields beyond the limit are left out.
func (t Trap) Append(b []byte) []byte {
	b = append(b, t.GUID[:]...)
	b = binary.BigEndian.AppendUint16(b, t.Sequence)
	b = binary.BigEndian.AppendUint32(b, t.Seconds)
	b = binary.BigEndian.AppendUint16(b, uint16(t.UTCOffset))
	e := t.Event
	b = append(b, byte(t.TrapSource), byte(e.Source), byte(e.Severity), e.DeviceAddress, e.Number, byte(e.Entity), e.Instance)
	b = append(b, e.Data[:]...)
	b = append(b, t.Language)
	b = binary.BigEndian.AppendUint32(b, t.Manufacturer)
	b = binary.BigEndian.AppendUint16(b, t.System)
	if t.OEM == nil || len(t.OEM) > MaxTrap-trapFixed {
		return append(b, noOEM)
	}
	return append(b, t.OEM...)
}
