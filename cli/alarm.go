package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type alarmCmd struct {
	List   alarmListCmd   `cmd:"" help:"List the alarms of a machine, the next one first."`
	Add    alarmAddCmd    `cmd:"" help:"Have a machine switch itself on at a time, once or again and again."`
	Remove alarmRemoveCmd `cmd:"" aliases:"delete" help:"Remove an alarm."`
	Clear  alarmClearCmd  `cmd:"" help:"Remove all alarms."`
}

// An alarmRecord is one alarm of one machine, or what was removed.
type alarmRecord struct {
	Host         string     `json:"host"`
	OK           bool       `json:"ok"`
	ID           string     `json:"id,omitempty"`
	Name         string     `json:"name,omitempty"`
	Start        *time.Time `json:"start,omitempty"`         // when it rings next, UTC
	EverySeconds *float64   `json:"every_seconds,omitempty"` // 0: once
	DeleteAfter  *bool      `json:"delete_after,omitempty"`
	Rung         bool       `json:"rung,omitempty"` // it is over, and was kept
	Removed      []string   `json:"removed,omitempty"`
	Error        *problem   `json:"error,omitempty"`
}

func newAlarmRecord(host string, a console.Alarm) alarmRecord {
	return alarmRecord{Host: host, OK: true, ID: a.ID, Name: a.Name, Start: &a.Start, EverySeconds: new(a.Every.Seconds()), DeleteAfter: &a.Once,
		Rung: a.Every == 0 && !a.Start.After(time.Now())}
}

func alarmColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"ALARM", 16}, {"RINGS", 20}, {"AGAIN", 12}, {"THEN", 0}}
}

func (r *alarmRecord) cells(local *time.Location) []cell {
	again, then := "once", "kept"
	if *r.EverySeconds > 0 {
		again, then = "every "+daysText(time.Duration(*r.EverySeconds)*time.Second), ""
	} else if *r.DeleteAfter {
		then = "deleted"
	}
	rings := plain(r.Start.In(local).Format(time.RFC3339))
	if r.Rung {
		rings.tone, then = toneFaint, "has rung"
	}
	return []cell{plain(r.Host), plain(r.Name), rings, plain(again), plain(then)}
}

// daysText is a Duration with days, without what is zero: "1d12h".
func daysText(d time.Duration) string {
	text := ""
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			text += strconv.FormatInt(int64(n), 10) + u.name
			d -= n * u.unit
		}
	}
	return text
}

// parseDays is [time.ParseDuration] that also knows days, in front: "1d", "1d12h".
func parseDays(text string) (time.Duration, error) {
	var days time.Duration
	if number, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is no time such as 30m, 12h, 1d or 1d12h", text)
		}
		if days, text = time.Duration(n)*24*time.Hour, rest; text == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time such as 30m, 12h, 1d or 1d12h", text)
	}
	return days + d, nil
}

// parseMoment reads when an alarm is to ring: a date and time of the location or with an offset of its own, or a time
// of day, which is the next such time after now. Seconds are not told.
func parseMoment(text string, now time.Time, local *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{"2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, local); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", text); err == nil {
		now = now.In(local)
		for day := range 2 {
			if at := time.Date(now.Year(), now.Month(), now.Day()+day, t.Hour(), t.Minute(), 0, 0, local); at.After(now) {
				return at, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is none of \"2026-11-22 06:30\", \"2026-11-22T06:30+01:00\", \"06:30\"", text)
}

type alarmListCmd struct {
	Many
	UTC bool `name:"utc" help:"Show times in UTC, not in the time of this computer."`
}

func (alarmListCmd) Help() string {
	return example("outband alarm list nuc1", "outband alarm list @lab -o json")
}

func (c *alarmListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(alarmColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Alarm, error) {
		return client.Alarms(ctx)
	}, func(h hosts.Host, alarms []console.Alarm, bad *failure) error {
		if bad != nil {
			return out.failed(alarmRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, alarm := range alarms {
			r := newAlarmRecord(h.Name, alarm)
			if err := out.record(r, r.cells(zone(c.UTC))...); err != nil {
				return err
			}
		}
		if len(alarms) == 0 {
			a.note("%s: no alarms", h.Name)
		}
		return nil
	})
}

func zone(utc bool) *time.Location {
	if utc {
		return time.UTC
	}
	return time.Local
}

type alarmAddCmd struct {
	Name string `arg:"" help:"Name of the alarm, at most 32 characters."`
	Many
	At     string `placeholder:"TIME" xor:"when" help:"When: \"2026-11-22 06:30\", \"2026-11-22T06:30+01:00\", or \"06:30\", the next one."`
	In     string `placeholder:"TIME" xor:"when" help:"When, from now on: 30m, 12h, 1d; the next full minute after that."`
	UTC    bool   `name:"utc" help:"--at is in UTC, not in the time of this computer."`
	Every  string `placeholder:"TIME" help:"And again after 12h, 1d, 7d ...; default is once."`
	Delete bool   `help:"Delete it when it has rung."`
}

func (alarmAddCmd) Help() string {
	return "AMT switches the machine on by its own clock (see outband time), if it is asleep, hibernated or off. A machine holds five alarms; " +
		"they ring on the minute, and are kept when they have rung unless --delete is given. Options for the next boot are left for a boot " +
		"that AMT is asked for.\n\n" +
		example("outband alarm add backup nuc1 --at 02:30 --every 1d", `outband alarm add patches @lab --at "2026-11-22 06:30" --delete`, "outband alarm add soon nuc1 --in 10m --delete")
}

// when returns when it is to ring.
func (c *alarmAddCmd) when(now time.Time) (time.Time, error) {
	switch {
	case c.At != "":
		at, err := parseMoment(c.At, now, zone(c.UTC))
		if err != nil {
			return at, usage("", "--at: %w", err)
		}
		return at, nil
	case c.In != "":
		d, err := parseDays(c.In)
		if err != nil {
			return now, usage("", "--in: %w", err)
		}
		return now.Add(d).Truncate(time.Minute).Add(time.Minute), nil
	}
	return now, usage("", "when? --at or --in says it")
}

func (c *alarmAddCmd) Run(a *app) error {
	start, err := c.when(time.Now())
	if err != nil {
		return err
	}
	alarm := console.Alarm{ID: c.Name, Name: c.Name, Start: start, Once: c.Delete}
	if c.Every != "" {
		if alarm.Every, err = parseDays(c.Every); err != nil {
			return usage("", "--every: %w", err)
		}
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(alarmColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Alarm, error) {
		return client.AddAlarm(ctx, alarm)
	}, func(h hosts.Host, now console.Alarm, bad *failure) error {
		if bad != nil {
			return out.failed(alarmRecord{Host: h.Name, Name: c.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newAlarmRecord(h.Name, now)
		return out.record(r, r.cells(zone(c.UTC))...)
	})
}

type alarmRemoveCmd struct {
	Name string `arg:"" help:"Name of the alarm."`
	Many
}

func (alarmRemoveCmd) Help() string { return example("outband alarm remove backup nuc1") }

func (c *alarmRemoveCmd) Run(a *app) error { return removeAlarms(a, c.Many, c.Name) }

type alarmClearCmd struct {
	Many
	Yes bool `short:"y" help:"Do not ask before clearing several machines."`
}

func (alarmClearCmd) Help() string { return example("outband alarm clear nuc1") }

func (c *alarmClearCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "remove all alarms"); err != nil {
		return err
	}
	return removeAlarms(a, c.Many)
}

func removeAlarms(a *app, m Many, names ...string) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"REMOVED", 0})
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) ([]string, error) {
		return client.RemoveAlarms(ctx, names...)
	}, func(h hosts.Host, gone []string, bad *failure) error {
		r := alarmRecord{Host: h.Name, OK: bad == nil, Removed: gone}
		if bad != nil {
			r.Error = problemOf(bad)
			return out.failed(r, len(list) > 1, failedRow(h, bad))
		}
		text := plain("none: there were no alarms")
		if len(gone) > 0 {
			text = cell{strings.Join(gone, ", "), toneWarn}
		}
		return out.record(r, plain(h.Name), text)
	})
}
