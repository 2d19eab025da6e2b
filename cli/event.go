package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/status"
)

type eventCmd struct {
	List     eventListCmd     `cmd:"" help:"List the event log: what BIOS, sensors and AMT itself have reported, the newest first."`
	Watch    eventWatchCmd    `cmd:"" help:"Print events as they are logged."`
	Export   eventExportCmd   `cmd:"" help:"Write the event log as CSV or JSON."`
	Clear    eventClearCmd    `cmd:"" help:"Empty the event log."`
	Freeze   eventFreezeCmd   `cmd:"" help:"Keep the log as it is: new events are dropped."`
	Unfreeze eventUnfreezeCmd `cmd:"" help:"Log new events again."`
}

// An eventRecord is one event of one machine.
type eventRecord struct {
	Host     string    `json:"host"`
	OK       bool      `json:"ok"`
	Time     time.Time `json:"time,omitzero"` // by the machine's clock
	Severity string    `json:"severity,omitempty"`
	Entity   string    `json:"entity,omitempty"` // part of the machine
	Sensor   string    `json:"sensor,omitempty"`
	Event    string    `json:"event,omitempty"`
	Raw      []byte    `json:"raw,omitempty"` // the record, 21 octets in base64
	Error    *problem  `json:"error,omitempty"`
}

func newEventRecord(host string, r eventlog.Record) eventRecord {
	return eventRecord{Host: host, OK: true, Time: r.When(), Severity: r.Severity.String(), Entity: r.Entity.String(), Sensor: r.Sensor.String(),
		Event: r.Text(), Raw: r.Append(nil)}
}

func eventColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"TIME", 20}, {"SEVERITY", 12}, {"ENTITY", 17}, {"EVENT", 0}}
}

func (r *eventRecord) cells() []cell {
	tone := toneFaint
	switch r.Severity {
	case eventlog.NonCritical.String():
		tone = toneWarn
	case eventlog.Critical.String(), eventlog.NonRecoverable.String():
		tone = toneBad
	}
	return []cell{plain(r.Host), plain(r.Time.Format(time.RFC3339)), {r.Severity, tone}, plain(r.Entity), plain(r.Event)}
}

// EventFilter says which events are wanted.
type EventFilter struct {
	Last   int    `placeholder:"N" help:"Only the newest N."`
	Search string `placeholder:"TEXT" help:"Only those with TEXT in event, entity or severity, in any case."`
}

func (f *EventFilter) check() error {
	if f.Last < 0 {
		return usage("", "--last: %d is not a number of events", f.Last)
	}
	return nil
}

// pick returns the records that are wanted.
func (f *EventFilter) pick(host string, all []eventlog.Record) []eventRecord {
	var out []eventRecord
	for _, r := range all {
		e := newEventRecord(host, r)
		if f.Search != "" && !strings.Contains(strings.ToLower(strings.Join([]string{e.Event, e.Entity, e.Severity, e.Sensor}, "\n")), strings.ToLower(f.Search)) {
			continue
		}
		if out = append(out, e); len(out) == f.Last {
			break
		}
	}
	return out
}

type eventListCmd struct {
	Many
	EventFilter
}

func (eventListCmd) Help() string {
	return "Times are those of the machine's clock; outband time show tells whether it is right.\n\n" +
		example("outband event list nuc1", "outband event list nuc1 --search critical", "outband event list @lab --last 5 -o json")
}

func (c *eventListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return err
	}
	out := a.printer(eventColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.EventLog, error) {
		return client.Events(ctx)
	}, func(h hosts.Host, log console.EventLog, bad *failure) error {
		if bad != nil {
			return out.failed(eventRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		a.remark(h, log)
		for _, e := range c.pick(h.Name, log.Records) {
			if err := out.record(e, e.cells()...); err != nil {
				return err
			}
		}
		return nil
	})
}

// remark tells what is not in the list.
func (a *app) remark(h hosts.Host, log console.EventLog) {
	switch {
	case log.Frozen:
		a.note("%s: the event log is frozen: new events are dropped", h.Name)
	case len(log.Records) == 0:
		a.note("%s: the event log is empty", h.Name)
	}
	if log.Damaged > 0 {
		a.note("%s: %s not read: no records", h.Name, plural(log.Damaged, "slot"))
	}
}

type eventClearCmd struct {
	Many
	Yes bool `short:"y" help:"Do not ask before clearing the logs of several machines."`
}

func (eventClearCmd) Help() string {
	return "What was logged is gone for good; outband event export keeps it.\n\n" + example("outband event clear nuc1")
}

// A logRecord is what became of a log.
type logRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	Log     string   `json:"log,omitempty"`     // cleared, frozen, unfrozen
	Removed *int     `json:"removed,omitempty"` // records that were in a log that was cleared
	Error   *problem `json:"error,omitempty"`
}

func (c *eventClearCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err == nil {
		err = a.sure(c.Yes, len(list), "clear the event log")
	}
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"EVENT LOG", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (int, error) {
		n, err := client.ClearEvents(ctx)
		var refusal *status.Error
		if errors.As(err, &refusal) && refusal.Code == status.EventLogFrozen {
			err = &failure{exitRefused, err, "outband event unfreeze lets it be cleared"}
		}
		return n, err
	}, func(h hosts.Host, n int, bad *failure) error {
		if bad != nil {
			return out.failed(logRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(logRecord{Host: h.Name, OK: true, Log: "cleared", Removed: &n}, plain(h.Name), plain("cleared of "+plural(n, "event")))
	})
}

type (
	eventFreezeCmd   struct{ Many }
	eventUnfreezeCmd struct{ Many }
)

func (eventFreezeCmd) Help() string   { return example("outband event freeze nuc1") }
func (eventUnfreezeCmd) Help() string { return example("outband event unfreeze nuc1") }

func (c *eventFreezeCmd) Run(a *app) error   { return freeze(a, c.Many, true, "frozen") }
func (c *eventUnfreezeCmd) Run(a *app) error { return freeze(a, c.Many, false, "unfrozen") }

func freeze(a *app, m Many, frozen bool, word string) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"EVENT LOG", 0})
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) (struct{}, error) {
		return struct{}{}, client.FreezeEvents(ctx, frozen)
	}, func(h hosts.Host, _ struct{}, bad *failure) error {
		if bad != nil {
			return out.failed(logRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(logRecord{Host: h.Name, OK: true, Log: word}, plain(h.Name), plain(word))
	})
}

type eventExportCmd struct {
	Many
	EventFilter
	Format string `enum:"csv,json," default:"" placeholder:"FORM" help:"Form of the file: csv or json; default csv."`
	File   string `short:"f" default:"-" placeholder:"FILE" help:"Where to write; default is stdout."`
}

func (eventExportCmd) Help() string {
	return "CSV has a line of titles; JSON is one list. With -o json the form is json.\n\n" +
		example("outband event export nuc1 > nuc1.csv", "outband event export @lab --format json -f events.json")
}

func (c *eventExportCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return err
	}
	all := []eventRecord{}
	told := eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.EventLog, error) {
		return client.Events(ctx)
	}, func(h hosts.Host, log console.EventLog, bad *failure) error {
		if bad == nil {
			a.remark(h, log)
			all = append(all, c.pick(h.Name, log.Records)...)
		}
		return nil
	})
	if told != nil && len(list) == 1 {
		return told
	}
	var out bytes.Buffer
	if c.Format == "json" || c.Format == "" && a.Output == "json" {
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		err = enc.Encode(all)
	} else {
		err = eventCSV(&out, all)
	}
	if err == nil && c.File == "-" {
		_, err = out.WriteTo(a.out)
	} else if err == nil {
		err = writeFile(c.File, out.Bytes())
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return told
}

func eventCSV(w io.Writer, all []eventRecord) error {
	out := csv.NewWriter(w)
	out.Write([]string{"host", "time", "severity", "entity", "sensor", "event", "raw"})
	for _, e := range all {
		out.Write([]string{e.Host, e.Time.Format(time.RFC3339), e.Severity, e.Entity, e.Sensor, e.Event, base64.StdEncoding.EncodeToString(e.Raw)})
	}
	out.Flush()
	return out.Error()
}
