package console

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
)

// An EventLog is the log of a machine as it was read.
type EventLog struct {
	Records []eventlog.Record // newest first; slots without an event are left out
	Damaged int               // slots with what is no record
	Most    int               // that fit; 0: not told
	Frozen  bool              // new events are dropped
}

// Events reads the whole event log. A log that grew while it was read in pieces is read again.
func (c *Client) Events(ctx context.Context) (EventLog, error) {
	log, err := c.events(ctx)
	if err != nil {
		return EventLog{}, fmt.Errorf("event log: %w", err)
	}
	return log, nil
}

func (c *Client) events(ctx context.Context) (EventLog, error) {
	about, err := class.Get[amt.MessageLog](ctx, c)
	if err != nil {
		return EventLog{}, err
	}
	log := EventLog{Most: int(class.Value(about.MaxNumberOfRecords)), Frozen: class.Value(about.IsFrozen)}
	for range maxRereads {
		pages := 0
		if log.Records, log.Damaged, pages, err = c.readEvents(ctx, maxEvents); err != nil || pages < 2 {
			return log, err
		}
		newest, _, _, err := c.readEvents(ctx, 1)
		if err != nil || slices.Equal(newest, log.Records[:min(1, len(log.Records))]) {
			return log, err
		}
	}
	return log, fmt.Errorf("it changed each of %d times it was read", maxRereads)
}

const (
	maxEvents  = 4096 // read at most; firmware keeps 390
	maxRereads = 5
)

// newestEvents reads the newest records, at most so many; none if the machine has no log.
func (c *Client) newestEvents(ctx context.Context, most int) ([]eventlog.Record, error) {
	const messageLog = "AMT_MessageLog"
	if !c.knows(messageLog) {
		return nil, nil
	}
	records, _, _, err := c.readEvents(ctx, most)
	if isAbsent(err) {
		c.lacks(messageLog)
		return nil, nil
	}
	return records, err
}

// Return values of AMT_MessageLog where there is nothing to read.
const (
	noFirstRecord status.Status = 2 // PositionToFirstRecord
	noRecordThere status.Status = 2 // GetRecords: the log was cleared since
	noRecordAtAll status.Status = 3 // GetRecords
)

// readEvents reads the newest records, at most so many, and tells how many answers that took. It begins at the first
// record, asks for as many as firmware keeps, and goes on until the machine says that there are no more.
func (c *Client) readEvents(ctx context.Context, most int) (records []eventlog.Record, damaged, pages int, err error) {
	first, err := amt.MessageLogPositionToFirstRecord.Invoke(ctx, c, amt.MessageLogPositionToFirstRecordIn{})
	if answered(err, noFirstRecord) {
		return nil, 0, 0, nil
	}
	if err != nil {
		return nil, 0, 0, err
	}
	at, slots := class.Value(first.IterationIdentifier), 0
	for slots < most {
		in := amt.MessageLogGetRecordsIn{IterationIdentifier: &at, MaxReadRecords: new(uint32(min(most-slots, eventlog.MaxRecords)))}
		out, err := amt.MessageLogGetRecords.Invoke(ctx, c, in)
		if answered(err, noRecordAtAll) || answered(err, noRecordThere) {
			break
		}
		if err != nil {
			return nil, 0, pages, err
		}
		pages++
		for _, text := range out.RecordArray {
			r, err := parseEvent(text)
			switch {
			case err != nil:
				damaged++
			case !r.Empty():
				records = append(records, r)
			}
		}
		slots += len(out.RecordArray)
		next := class.Value(out.IterationIdentifier)
		if class.Value(out.NoMoreRecords) || len(out.RecordArray) == 0 {
			break
		}
		if next == at {
			return nil, 0, pages, errors.New("the log does not go on: the machine gives the same position again")
		}
		at = next
	}
	return records, damaged, pages, nil
}

// answered reports whether a method was refused with that value.
func answered(err error, code status.Status) bool {
	var refusal *status.Error
	return errors.As(err, &refusal) && refusal.Code == code
}

func parseEvent(text string) (eventlog.Record, error) {
	octets, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return eventlog.Record{}, err
	}
	return eventlog.Parse(octets)
}

// ClearEvents empties the event log, and reads it again to see that it is. It returns how many records there were. A
// frozen log refuses.
func (c *Client) ClearEvents(ctx context.Context) (int, error) {
	before, _, _, err := c.readEvents(ctx, maxEvents)
	if err == nil {
		_, err = amt.MessageLogClearLog.Invoke(ctx, c, amt.MessageLogClearLogIn{})
	}
	var after []eventlog.Record
	if err == nil {
		after, _, _, err = c.readEvents(ctx, maxEvents)
	}
	if err == nil && len(before) > 0 && len(after) >= len(before) {
		err = ErrDiffers
	}
	if err != nil {
		return 0, fmt.Errorf("clear event log: %w", err)
	}
	return len(before), nil
}

// FreezeEvents has new events dropped, or logged again, and reads the log's state to see that it is so.
func (c *Client) FreezeEvents(ctx context.Context, frozen bool) error {
	_, err := amt.MessageLogFreezeLog.Invoke(ctx, c, amt.MessageLogFreezeLogIn{Freeze: &frozen})
	if err == nil {
		var log *amt.MessageLog
		if log, err = class.Get[amt.MessageLog](ctx, c); err == nil && class.Value(log.IsFrozen) != frozen {
			err = ErrDiffers
		}
	}
	if err != nil {
		return fmt.Errorf("freeze event log: %w", err)
	}
	return nil
}

// WatchOptions say how to watch an event log. The zero value works.
type WatchOptions struct {
	Interval time.Duration // between two looks; 0: 5 s
	Backlog  int           // records of before that come first

	// OnTrouble is told when the machine cannot be reached, once until it can again. nil: nobody is told.
	OnTrouble func(error)
}

// watchWindow is how many of the newest records are looked at. If none of them is known all are read.
const watchWindow = 32

// WatchEvents looks at the event log again and again and yields what is new, oldest first, until the caller stops or ctx
// ends. A machine that cannot be reached for a while is looked at again; any other error is the last thing yielded.
func (c *Client) WatchEvents(ctx context.Context, o WatchOptions) iter.Seq2[eventlog.Record, error] {
	if o.Interval <= 0 {
		o.Interval = 5 * time.Second
	}
	return func(yield func(eventlog.Record, error) bool) {
		var seen []eventlog.Record // newest first
		begun, troubled := false, false
		for ctx.Err() == nil {
			now, fresh, err := c.lookForEvents(ctx, seen, begun, o.Backlog)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				seen, begun, troubled = now, true, false
			case !passes(err):
				yield(eventlog.Record{}, fmt.Errorf("event log: %w", err))
				return
			case !troubled && o.OnTrouble != nil:
				o.OnTrouble(err)
				fallthrough
			default:
				troubled = true
			}
			for _, r := range slices.Backward(fresh) {
				if !yield(r, nil) {
					return
				}
			}
			select {
			case <-time.After(o.Interval):
			case <-ctx.Done():
			}
		}
	}
}

// lookForEvents reads the newest records and tells which of them are not among seen. At the first look those of the
// backlog are.
func (c *Client) lookForEvents(ctx context.Context, seen []eventlog.Record, begun bool, backlog int) (now, fresh []eventlog.Record, err error) {
	window := watchWindow
	if !begun {
		window = max(window, backlog)
	}
	if now, _, _, err = c.readEvents(ctx, window); err != nil {
		return nil, nil, err
	}
	if !begun {
		return now, now[:min(backlog, len(now))], nil
	}
	n := newer(seen, now)
	if n > 0 && n == len(now) { // there may be more
		log, err := c.events(ctx)
		if err != nil {
			return nil, nil, err
		}
		now = log.Records
		n = newer(seen, now)
	}
	return now, now[:n], nil
}

// newer returns how many records of now are not in old: both are newest first, and a log grows at that end only. Records
// may be alike, so whole stretches are compared.
func newer(old, now []eventlog.Record) int {
	if len(old) == 0 {
		return len(now)
	}
	for k := range now {
		if m := min(len(old), len(now)-k); slices.Equal(old[:m], now[k:k+m]) {
			return k
		}
	}
	return len(now)
}
