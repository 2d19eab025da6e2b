// Package auditlog reads and writes the records of AMT's audit log, AMT_AuditLog (since release 4.0): who did what to
// the machine, and from where. It knows the events by name, the data that comes with each, and puts both into words.
//
// ReadRecords gives about ten records per call, each as base64, the oldest first. Integers are big-endian:
//
//	2  application       16 to 33, see App
//	2  event
//	1  initiator type    0 digest user, 1 Kerberos user, 2 local, 3 KVM default port
//	   initiator         digest: length 1, name; Kerberos: user in domain 4, length 1, SID; others: nothing
//	4  time              seconds since 1970; 1 January 2004 if the clock was never set
//	1  location type     0 IPv4, 1 IPv6, 2 none
//	   address           length 1, text: "192.168.1.2", IPv6 in full form
//	   extended data     length 1, octets by event: see Fields
//
// The layouts of extended data are those of Intel's guide. Only that of a firmware update has been checked against a
// record of a real machine; the byte order of all others follows from it. Data that does not fit its layout is shown as
// octets. What ExportAuditLogSignature signs is not known for sure, so nothing here checks it.
//
// Sources: spec inventory-events-policies.md section 3; Ylianst/MeshCentral amt.js; Intel AMT Implementation and
// Reference Guide, "Event Groups and Event IDs"; device-management-toolkit/go-wsman-messages pkg/wsman/amt/auditlog.
package auditlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxSize is the limit of a record, in octets: what its length octets allow.
const MaxSize = 4 + 1 + 5 + 255 + 4 + 2 + 255 + 1 + 255

// Errors that this package wraps.
var (
	ErrShort   = errors.New("record too short")
	ErrTooLong = errors.New("field too long")
	ErrUnknown = errors.New("unknown layout")
	ErrData    = errors.New("extended data does not fit the event")
)

// An InitiatorType is a kind of initiator.
type InitiatorType uint8

// Kinds of initiator.
const (
	Digest   InitiatorType = 0 // a user of AMT's own
	Kerberos InitiatorType = 1
	Local    InitiatorType = 2 // the host
	KVMPort  InitiatorType = 3 // a viewer at KVM's own port, 5900
)

func (t InitiatorType) String() string {
	switch t {
	case Digest:
		return "digest"
	case Kerberos:
		return "Kerberos"
	case Local:
		return "local"
	case KVMPort:
		return "KVM default port"
	}
	return fmt.Sprintf("unknown (%d)", uint8(t))
}

// An Initiator is who did it.
type Initiator struct {
	Type         InitiatorType
	User         string // of Digest
	UserInDomain uint32 // of Kerberos
	SID          []byte // of Kerberos: the domain's, binary, see SIDText
}

func (i Initiator) String() string {
	switch i.Type {
	case Digest:
		return i.User
	case Kerberos:
		return fmt.Sprintf("%s-%d", SIDText(i.SID), i.UserInDomain)
	}
	return i.Type.String()
}

// A LocationType is a kind of address.
type LocationType uint8

// Kinds of address.
const (
	IPv4       LocationType = 0
	IPv6       LocationType = 1
	NoLocation LocationType = 2
)

// A Record is one event.
type Record struct {
	ID        EventID
	Initiator Initiator
	Time      uint32 // seconds since 1970
	Location  LocationType
	Address   string // text, as the machine wrote it
	Data      []byte // extended data; see Fields
}

// Parse reads one record off the front of b and returns the rest. Errors wrap [ErrShort], or [ErrUnknown] if the kind
// of initiator is.
func Parse(b []byte) (r Record, rest []byte, err error) {
	in := b
	take := func(n int, what string) (part []byte) {
		if err == nil && len(in) < n {
			err = fmt.Errorf("auditlog: %s: %w (%d of %d octets)", what, ErrShort, len(in), n)
		}
		if err != nil {
			return make([]byte, min(n, 4)) // read and thrown away
		}
		part, in = in[:n], in[n:]
		return part
	}
	counted := func(what string) []byte {
		n := int(take(1, what)[0])
		if err != nil {
			return nil
		}
		return take(n, what)
	}
	r.ID = EventID(binary.BigEndian.Uint32(take(4, "event")))
	r.Initiator.Type = InitiatorType(take(1, "initiator")[0])
	switch r.Initiator.Type {
	case Digest:
		r.Initiator.User = string(counted("initiator"))
	case Kerberos:
		r.Initiator.UserInDomain = binary.BigEndian.Uint32(take(4, "initiator"))
		r.Initiator.SID = append([]byte(nil), counted("initiator")...)
	case Local, KVMPort:
	default:
		return Record{}, b, fmt.Errorf("auditlog: initiator of type %d: %w", r.Initiator.Type, ErrUnknown)
	}
	r.Time = binary.BigEndian.Uint32(take(4, "time"))
	r.Location = LocationType(take(1, "location")[0])
	r.Address = string(counted("address"))
	r.Data = append([]byte(nil), counted("extended data")...)
	if err != nil {
		return Record{}, b, err
	}
	return r, in, nil
}

// Append appends the record. Errors wrap [ErrTooLong], or [ErrUnknown] if the kind of initiator is.
func (r Record) Append(b []byte) ([]byte, error) {
	if n := max(len(r.Initiator.User), len(r.Initiator.SID), len(r.Address), len(r.Data)); n > 255 {
		return b, fmt.Errorf("auditlog: %w: %d of at most 255 octets", ErrTooLong, n)
	}
	if r.Initiator.Type > KVMPort {
		return b, fmt.Errorf("auditlog: initiator of type %d: %w", r.Initiator.Type, ErrUnknown)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(r.ID))
	b = append(b, byte(r.Initiator.Type))
	switch r.Initiator.Type {
	case Digest:
		b = append(b, byte(len(r.Initiator.User)))
		b = append(b, r.Initiator.User...)
	case Kerberos:
		b = binary.BigEndian.AppendUint32(b, r.Initiator.UserInDomain)
		b = append(b, byte(len(r.Initiator.SID)))
		b = append(b, r.Initiator.SID...)
	}
	b = binary.BigEndian.AppendUint32(b, r.Time)
	b = append(b, byte(r.Location), byte(len(r.Address)))
	b = append(b, r.Address...)
	b = append(b, byte(len(r.Data)))
	return append(b, r.Data...), nil
}

// When returns the time of the event, in UTC. It is in the first days of 2004 if the clock was never set.
func (r Record) When() time.Time { return time.Unix(int64(r.Time), 0).UTC() }

// Text says what happened: the event's name and its data, "firmware updated: old 12.0.40.1433, new 12.0.36.1428". It
// tells neither time, place nor initiator.
func (r Record) Text() string {
	text := r.ID.String()
	fields, err := Fields(r.ID, r.Data)
	switch {
	case err != nil:
		return fmt.Sprintf("%s: data %x", text, r.Data)
	case len(fields) == 0:
		return text
	}
	var words []string
	for _, f := range fields {
		if f.Text != "" {
			words = append(words, f.Name+" "+f.Text)
		}
	}
	return text + ": " + strings.Join(words, ", ")
}

// SIDText returns a binary security identifier as "S-1-5-21-...", or its octets in hex if it is none.
func SIDText(sid []byte) string {
	if len(sid) < 8 || len(sid) != 8+4*int(sid[1]) {
		return fmt.Sprintf("%x", sid)
	}
	authority := binary.BigEndian.Uint64(sid) & 0xffffffffffff // octets 2 to 7
	text := fmt.Sprintf("S-%d-%d", sid[0], authority)
	for sub := sid[8:]; len(sub) > 0; sub = sub[4:] { // little-endian, the one part that is
		text += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sub))
	}
	return text
}
