// Package eventlog reads and writes the records of AMT's event log, AMT_MessageLog: 21 octets each, and puts them into
// words. The firmware writes a record for what the BIOS, sensors and AMT itself report; a filter may also send the same
// event as an SNMP trap, whose body is here too ([Trap]).
//
//	 0  4  time, seconds since 1970 of the machine's clock, little-endian
//	 4  1  device address, 255 if none
//	 5  1  sensor type
//	 6  1  event type: 1 threshold, 2 to 12 generic, 6Fh as the sensor type defines
//	 7  1  event offset, bits 0-6; bit 7: the condition is over
//	 8  1  source type; 68h, ASF 1.0, in all events of AMT
//	 9  1  severity
//	10  1  sensor number, 255 if none
//	11  1  entity
//	12  1  entity instance
//	13  8  event data
//
// GetRecords gives up to 390 of them, each as base64, the newest first. Values without a name are kept and printed as
// numbers. The texts are ours; clients of other makers word them otherwise.
//
// Sources: spec inventory-events-policies.md sections 2 and 4; IPMI Platform Event Trap Format 1.0; DMTF DSP0136 (ASF
// 2.0) 3.1.4; IPMI 2.0 tables 42-2, 42-3 and 43-13; Intel AMT Implementation and Reference Guide, "Agent Presence Event"
// and "User Notification Alert"; Ylianst/MeshCentral amt.js.
package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Size of a record, and how many a log holds.
const (
	Size       = 21
	MaxRecords = 390
)

// ErrLength tells that something is not a record because of its length.
var ErrLength = errors.New("wrong length")

// A Record is one event.
type Record struct {
	Time          uint32 // seconds since 1970 of the machine's clock; 0 and FFFFFFFFh are no time, see Empty
	DeviceAddress uint8  // 255 if none
	Sensor        Sensor
	EventType     EventType
	Offset        uint8 // 0 to 127: which of the event type's conditions
	Deasserted    bool  // the condition is over
	Source        Source
	Severity      Severity
	Number        uint8 // of the sensor, 255 if none
	Entity        Entity
	Instance      uint8   // of the entity
	Data          [8]byte // by sensor type; AAh in the first octet marks data of AMT's own
}

// NewRecord returns an event as AMT itself would log it, without address, number and instance.
func NewRecord(at time.Time, sensor Sensor, offset uint8, severity Severity, entity Entity, data ...byte) Record {
	r := Record{Time: uint32(at.Unix()), DeviceAddress: 0xff, Sensor: sensor, EventType: SensorSpecific, Offset: offset & 0x7f,
		Source: ASF, Severity: severity, Number: 0xff, Entity: entity}
	copy(r.Data[:], data)
	return r
}

// Parse reads a record, of exactly 21 octets. The error wraps [ErrLength].
func Parse(b []byte) (Record, error) {
	if len(b) != Size {
		return Record{}, fmt.Errorf("eventlog: record: %w: %d of %d octets", ErrLength, len(b), Size)
	}
	return Record{
		Time:          binary.LittleEndian.Uint32(b),
		DeviceAddress: b[4],
		Sensor:        Sensor(b[5]),
		EventType:     EventType(b[6]),
		Offset:        b[7] & 0x7f,
		Deasserted:    b[7]&0x80 != 0,
		Source:        Source(b[8]),
		Severity:      Severity(b[9]),
		Number:        b[10],
		Entity:        Entity(b[11]),
		Instance:      b[12],
		Data:          [8]byte(b[13:]),
	}, nil
}

// Append appends the record.
func (r Record) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, r.Time)
	b = append(b, r.DeviceAddress, byte(r.Sensor), byte(r.EventType), r.offset(), byte(r.Source), byte(r.Severity),
		r.Number, byte(r.Entity), r.Instance)
	return append(b, r.Data[:]...)
}

// offset returns the octet with offset and deassertion.
func (r Record) offset() byte {
	if r.Deasserted {
		return r.Offset | 0x80
	}
	return r.Offset & 0x7f
}

// Empty tells a slot of the log without an event: its time is zeros or ones. Clients skip them.
func (r Record) Empty() bool { return r.Time == 0 || r.Time == 0xffffffff }

// When returns the time of the event, in UTC; the zero time if the record is empty. The machine's clock may be wrong.
func (r Record) When() time.Time {
	if r.Empty() {
		return time.Time{}
	}
	return time.Unix(int64(r.Time), 0).UTC()
}
