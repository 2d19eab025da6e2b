package firmware

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Return values of AMT_MessageLog that are no PT_STATUS. Source: DSP0004 CIM_MessageLog; the class model.
const (
	logNoRecord     status.Status = 2 // PositionToFirstRecord: the log is empty
	logBadRecord    status.Status = 2 // GetRecord, GetRecords: no such position
	logEmpty        status.Status = 3 // GetRecord, GetRecords
	logBadAbsolute  status.Status = 2 // PositionAtRecord
	logBadRelative  status.Status = 3
	logNothingThere status.Status = 4
)

// events is the event log: a ring of records.
type events struct {
	mu   sync.Mutex // guards what follows
	kept eventState
}

// eventState is what is kept of the log.
type eventState struct {
	Frozen  bool     `json:",omitempty"` // new records are dropped
	Records []logged `json:",omitempty"` // oldest first
}

// A logged is a record; in a file its octets in base64, as GetRecords gives them.
type logged [eventlog.Size]byte

// MarshalText writes base64.
func (r logged) MarshalText() ([]byte, error) { return []byte(r.base64()), nil }

// UnmarshalText reads it.
func (r *logged) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err == nil && len(b) != eventlog.Size {
		err = fmt.Errorf("a record of %d octets", len(b))
	}
	if err == nil {
		copy(r[:], b)
	}
	return err
}

func (r logged) base64() string { return base64.StdEncoding.EncodeToString(r[:]) }

func (l *events) dump() (json.RawMessage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.kept.Frozen && len(l.kept.Records) == 0 {
		return nil, nil
	}
	return json.Marshal(&l.kept)
}

func (l *events) load(text json.RawMessage) error {
	var kept eventState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	if len(kept.Records) > eventlog.MaxRecords {
		return fmt.Errorf("%d records; the log holds %d", len(kept.Records), eventlog.MaxRecords)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = kept
	return nil
}

// add writes a record, in place of the oldest one if the log is full. A frozen log drops it.
func (l *events) add(r eventlog.Record) {
	var octets logged
	r.Append(octets[:0])
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept.Frozen {
		return
	}
	if len(l.kept.Records) >= eventlog.MaxRecords {
		l.kept.Records = slices.Delete(l.kept.Records, 0, len(l.kept.Records)-eventlog.MaxRecords+1)
	}
	l.kept.Records = append(l.kept.Records, octets)
}

// Log writes an event into the machine's event log, as hardware and behaviours do. A zero Time is now, by the machine's
// own clock.
func (m *Machine) Log(r eventlog.Record) {
	if r.Time == 0 {
		r.Time = uint32(m.now().Unix())
	}
	m.events.add(r)
	m.raise(r)
}

// Events returns the event log, the newest record first.
func (m *Machine) Events() []eventlog.Record {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	var out []eventlog.Record
	for _, octets := range slices.Backward(m.events.kept.Records) {
		r, err := eventlog.Parse(octets[:])
		if err == nil {
			out = append(out, r)
		}
	}
	return out
}

// position reads an IterationIdentifier: the number of a record, from 1, the newest first. The caller holds mu.
func (l *events) position(id *string) (int, bool) {
	n, err := strconv.Atoi(class.Value(id))
	return n, err == nil && n >= 1 && n <= len(l.kept.Records)
}

// record returns the record of a position. The caller holds mu.
func (l *events) record(at int) logged { return l.kept.Records[len(l.kept.Records)-at] }

// registerEvents gives AMT_MessageLog its life. Source: spec inventory-events-policies.md section 2.1; a recorded
// GetRecords of three records ends with IterationIdentifier 3.
func registerEvents(t *table) {
	t.class("AMT_MessageLog").patch = func(m *Machine, e *wsman.Element) {
		m.events.mu.Lock()
		defer m.events.mu.Unlock()
		set(e, "CurrentNumberOfRecords", strconv.Itoa(len(m.events.kept.Records)))
		set(e, "MaxNumberOfRecords", strconv.Itoa(eventlog.MaxRecords))
		set(e, "IsFrozen", strconv.FormatBool(m.events.kept.Frozen))
	}
	class.Handle(&t.methods, amt.MessageLogPositionToFirstRecord, positionToFirst)
	class.Handle(&t.methods, amt.MessageLogPositionAtRecord, positionAt)
	class.Handle(&t.methods, amt.MessageLogGetRecords, getRecords)
	class.Handle(&t.methods, amt.MessageLogGetRecord, getRecord)
	class.Handle(&t.methods, amt.MessageLogCancelIteration, cancelIteration)
	class.Handle(&t.methods, amt.MessageLogClearLog, clearLog)
	class.Handle(&t.methods, amt.MessageLogFreezeLog, freezeLog)
}

func positionToFirst(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.MessageLogPositionToFirstRecordIn) (out amt.MessageLogPositionToFirstRecordOut, _ status.Status, _ error) {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	if len(m.events.kept.Records) == 0 {
		return out, logNoRecord, nil
	}
	out.IterationIdentifier = new("1")
	return out, status.Success, nil
}

// positionAt moves to a record: number RecordNumber, or that many on from where the iteration is.
func positionAt(_ context.Context, m *Machine, _ wsman.Selectors, in amt.MessageLogPositionAtRecordIn) (out amt.MessageLogPositionAtRecordOut, _ status.Status, _ error) {
	l := &m.events
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept.Records) == 0 {
		return out, logNothingThere, nil
	}
	to, bad := class.Value(in.RecordNumber), logBadAbsolute
	if !class.Value(in.MoveAbsolute) {
		from, ok := l.position(in.IterationIdentifier)
		if bad = logBadRelative; !ok || to > eventlog.MaxRecords || to < -eventlog.MaxRecords {
			return out, bad, nil
		}
		to += int64(from)
	}
	if to < 1 || to > int64(len(l.kept.Records)) {
		return out, bad, nil
	}
	out.IterationIdentifier, out.RecordNumber = new(strconv.FormatInt(to, 10)), &to
	return out, status.Success, nil
}

func getRecords(_ context.Context, m *Machine, _ wsman.Selectors, in amt.MessageLogGetRecordsIn) (out amt.MessageLogGetRecordsOut, _ status.Status, _ error) {
	l := &m.events
	l.mu.Lock()
	defer l.mu.Unlock()
	all := len(l.kept.Records)
	if all == 0 {
		return out, logEmpty, nil
	}
	at, ok := l.position(in.IterationIdentifier)
	if !ok {
		return out, logBadRecord, nil
	}
	most := class.Value(in.MaxReadRecords)
	if most == 0 || most > eventlog.MaxRecords {
		most = eventlog.MaxRecords
	}
	for ; at <= all && len(out.RecordArray) < int(most); at++ {
		out.RecordArray = append(out.RecordArray, l.record(at).base64())
	}
	out.IterationIdentifier, out.NoMoreRecords = new(strconv.Itoa(min(at, all))), new(at > all)
	return out, status.Success, nil
}

func getRecord(_ context.Context, m *Machine, _ wsman.Selectors, in amt.MessageLogGetRecordIn) (out amt.MessageLogGetRecordOut, _ status.Status, _ error) {
	l := &m.events
	l.mu.Lock()
	defer l.mu.Unlock()
	all := len(l.kept.Records)
	if all == 0 {
		return out, logEmpty, nil
	}
	at, ok := l.position(in.IterationIdentifier)
	if !ok {
		return out, logBadRecord, nil
	}
	octets := l.record(at)
	out.RecordNumber, out.RecordData = new(uint64(at)), octets[:]
	if class.Value(in.PositionToNext) {
		at = min(at+1, all)
	}
	out.IterationIdentifier = new(strconv.Itoa(at))
	return out, status.Success, nil
}

// cancelIteration has nothing to let go of: an iteration is no more than a number.
func cancelIteration(context.Context, *Machine, wsman.Selectors, amt.MessageLogCancelIterationIn) (out amt.MessageLogCancelIterationOut, _ status.Status, _ error) {
	return out, status.Success, nil
}

// managesEvents reports whether who asks may change the log. Realm event log reader lets read it only.
func managesEvents(ctx context.Context) bool {
	c, ok := ctx.Value(callerKey{}).(caller)
	return !ok || c.realms.Allows(Realms(RealmEventManager))
}

func clearLog(ctx context.Context, m *Machine, _ wsman.Selectors, _ amt.MessageLogClearLogIn) (out amt.MessageLogClearLogOut, _ status.Status, _ error) {
	if !managesEvents(ctx) {
		return out, status.NotPermitted, nil
	}
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	if m.events.kept.Frozen {
		return out, status.EventLogFrozen, nil
	}
	m.events.kept.Records = nil
	return out, status.Success, nil
}

func freezeLog(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.MessageLogFreezeLogIn) (out amt.MessageLogFreezeLogOut, _ status.Status, _ error) {
	if !managesEvents(ctx) {
		return out, status.NotPermitted, nil
	}
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	m.events.kept.Frozen = class.Value(in.Freeze)
	return out, status.Success, nil
}
