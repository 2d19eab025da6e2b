package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type timeCmd struct {
	Show timeShowCmd `cmd:"" help:"Tell what AMT's clock says, and how far it is off."`
	Sync timeSyncCmd `cmd:"" help:"Set AMT's clock by this computer's."`
}

// A timeRecord is the clock of one machine.
type timeRecord struct {
	Host        string     `json:"host"`
	OK          bool       `json:"ok"`
	Time        *time.Time `json:"time,omitempty"`
	SkewSeconds *float64   `json:"skew_seconds,omitempty"` // how far it is ahead of ours
	Source      string     `json:"source,omitempty"`       // what set it: BIOS, console
	LocalSync   *bool      `json:"local_sync,omitempty"`   // the operating system may set it
	Was         *float64   `json:"skew_seconds_before,omitempty"`
	Set         *bool      `json:"set,omitempty"` // false: it was right already
	Error       *problem   `json:"error,omitempty"`
}

func newTimeRecord(host string, c console.Clock) timeRecord {
	return timeRecord{Host: host, OK: true, Time: &c.Time, SkewSeconds: new(c.Skew.Seconds()), Source: c.Source, LocalSync: c.LocalSync}
}

// skewCell says how far a clock is off.
func skewCell(skew time.Duration) cell {
	switch {
	case skew.Abs() <= time.Second:
		return cell{"right", toneGood}
	case skew > 0:
		return cell{skew.String() + " ahead", toneWarn}
	}
	return cell{skew.Abs().String() + " behind", toneWarn}
}

type timeShowCmd struct{ Many }

func (timeShowCmd) Help() string {
	return example("outband time show nuc1", "outband time show @lab -o json")
}

func (c *timeShowCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"TIME", 20}, column{"AGAINST HERE", 16}, column{"SET BY", 8}, column{"OS MAY SET IT", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Clock, error) {
		return client.Time(ctx)
	}, func(h hosts.Host, clock console.Clock, bad *failure) error {
		if bad != nil {
			return out.failed(timeRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(newTimeRecord(h.Name, clock), plain(h.Name), plain(clock.Time.Format(time.RFC3339)), skewCell(clock.Skew),
			plain(clock.Source), plain(yesNo(clock.LocalSync)))
	})
}

type timeSyncCmd struct {
	Many
	Tolerance time.Duration `default:"1s" placeholder:"TIME" help:"Leave clocks alone that are off by no more; default 1s."`
}

func (timeSyncCmd) Help() string {
	return "It is read again afterwards. This computer's clock should be right: AMT judges certificates by what it gets.\n\n" +
		example("outband time sync nuc1", "outband time sync @lab --tolerance 10s")
}

// synced is what became of a clock.
type synced struct {
	before, after console.Clock
	set           bool
}

func (c *timeSyncCmd) Run(a *app) error {
	if c.Tolerance < 0 {
		return usage("", "--tolerance: %v is negative", c.Tolerance)
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"TIME", 20}, column{"AGAINST HERE", 16}, column{"WAS", 16}, column{"DONE", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (s synced, err error) {
		s.before, s.after, s.set, err = client.SyncTime(ctx, c.Tolerance)
		return s, err
	}, func(h hosts.Host, s synced, bad *failure) error {
		if bad != nil {
			return out.failed(timeRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newTimeRecord(h.Name, s.after)
		r.Was, r.Set = new(s.before.Skew.Seconds()), &s.set
		word := "set, and read again"
		if !s.set {
			word = fmt.Sprintf("left alone: off by no more than %v", c.Tolerance)
		}
		return out.record(r, plain(h.Name), plain(s.after.Time.Format(time.RFC3339)), skewCell(s.after.Skew), skewCell(s.before.Skew), plain(word))
	})
}
