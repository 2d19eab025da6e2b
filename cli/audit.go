package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
)

type auditCmd struct {
	List    auditListCmd    `cmd:"" help:"List the audit log: who did what to AMT, and from where, the oldest first."`
	Status  auditStatusCmd  `cmd:"" help:"Tell whether the log is on, locked or full, and what happens when it is."`
	Policy  auditPolicyCmd  `cmd:"" help:"Show and choose which events are logged."`
	Export  auditExportCmd  `cmd:"" help:"Write the log with the machine's signature to a file."`
	Verify  auditVerifyCmd  `cmd:"" help:"Check the signature of an exported log. No machine is needed."`
	Key     auditKeyCmd     `cmd:"" help:"Show whether a machine can sign its log, or give it the key to."`
	Lock    auditLockCmd    `cmd:"" help:"Keep new records out for a while, or let the machine be unprovisioned."`
	Enable  auditEnableCmd  `cmd:"" help:"Switch the log on."`
	Disable auditDisableCmd `cmd:"" help:"Switch the log off. The gravest events are logged all the same, since 12.0."`
	Clear   auditClearCmd   `cmd:"" help:"Empty the log."`
}

// An auditRecord is one record of the audit log of one machine.
type auditRecord struct {
	Host          string    `json:"host"`
	OK            bool      `json:"ok"`
	Time          time.Time `json:"time,omitzero"` // by the machine's clock
	Initiator     string    `json:"initiator,omitempty"`
	InitiatorType string    `json:"initiator_type,omitempty"` // digest, Kerberos, local, KVM default port
	From          string    `json:"from,omitempty"`           // address
	Application   string    `json:"application,omitempty"`
	Event         string    `json:"event,omitempty"` // with its data
	Name          string    `json:"name,omitempty"`  // as audit policy takes it
	Fields        []named   `json:"fields,omitempty"`
	Raw           []byte    `json:"raw,omitempty"` // the record in base64
	Damaged       bool      `json:"damaged,omitempty"`
	Error         *problem  `json:"error,omitempty"`
}

// named is one part of the extended data of an event.
type named struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func newAuditRecord(host string, octets []byte) auditRecord {
	r, rest, err := auditlog.Parse(octets)
	if err != nil || len(rest) > 0 {
		return auditRecord{Host: host, OK: true, Raw: octets, Damaged: true}
	}
	out := auditRecord{Host: host, OK: true, Time: r.When(), Initiator: r.Initiator.String(), InitiatorType: r.Initiator.Type.String(), From: r.Address,
		Application: r.ID.App().String(), Event: r.Text(), Name: r.ID.Word(), Raw: octets}
	if fields, err := auditlog.Fields(r.ID, r.Data); err == nil {
		for _, f := range fields {
			out.Fields = append(out.Fields, named{f.Name, f.Text})
		}
	}
	return out
}

func (r *auditRecord) cells() []cell {
	if r.Damaged {
		return []cell{plain(r.Host), plain(""), plain(""), plain(""), plain(""), {"not a record", toneBad}}
	}
	return []cell{plain(r.Host), plain(r.Time.Format(time.RFC3339)), plain(r.Initiator), plain(r.From), plain(r.Application), plain(r.Event)}
}

func auditColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"TIME", 20}, {"INITIATOR", 10}, {"FROM", 15}, {"APPLICATION", 23}, {"EVENT", 0}}
}

type auditListCmd struct {
	Many
	Last   int    `placeholder:"N" help:"Only the newest N."`
	Search string `placeholder:"TEXT" help:"Only those with TEXT in event, application, initiator or address, in any case."`
}

func (auditListCmd) Help() string {
	return "Times are those of the machine's clock; outband time show tells whether it is right.\n\n" +
		example("outband audit list nuc1", "outband audit list @lab --search 'user added' -o json")
}

func (c *auditListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err == nil && c.Last < 0 {
		err = usage("", "--last: %d is not a number of records", c.Last)
	}
	if err != nil {
		return err
	}
	out := a.printer(auditColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.AuditLog, error) {
		return client.Audit(ctx)
	}, func(h hosts.Host, log console.AuditLog, bad *failure) error {
		if bad != nil {
			return out.failed(auditRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		a.remarkAudit(h, log.State, len(log.Records))
		for _, r := range c.pick(h.Name, log.Records) {
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *auditListCmd) pick(host string, all [][]byte) []auditRecord {
	var out []auditRecord
	for _, octets := range all {
		r := newAuditRecord(host, octets)
		if hay := strings.Join([]string{r.Event, r.Application, r.Initiator, r.From}, "\n"); strings.Contains(strings.ToLower(hay), strings.ToLower(c.Search)) {
			out = append(out, r)
		}
	}
	if c.Last > 0 && len(out) > c.Last {
		out = out[len(out)-c.Last:]
	}
	return out
}

// remarkAudit tells what is not in the list.
func (a *app) remarkAudit(h hosts.Host, s console.AuditState, records int) {
	switch {
	case !s.Enabled:
		a.note("%s: the audit log is switched off; outband audit enable switches it on", h.Name)
	case s.Locked:
		a.note("%s: the audit log is locked: nothing is logged now", h.Name)
	case s.Full:
		a.note("%s: the audit log is full: what is critical is refused until it is cleared", h.Name)
	case records == 0:
		a.note("%s: the audit log is empty", h.Name)
	case s.AlmostFull:
		a.note("%s: the audit log is almost full: %d %% free", h.Name, s.Free)
	}
}

// An auditStateRecord is the state of an audit log, or what became of it.
type auditStateRecord struct {
	Host       string    `json:"host"`
	OK         bool      `json:"ok"`
	Log        string    `json:"log,omitempty"` // enabled, disabled, cleared, locked, unlocked ...
	Locked     *bool     `json:"locked,omitempty"`
	Full       *bool     `json:"full,omitempty"`
	AlmostFull *bool     `json:"almost_full,omitempty"`
	Signing    *bool     `json:"signing_key,omitempty"`
	Records    *int      `json:"records,omitempty"`
	Free       *int      `json:"percent_free,omitempty"`
	Storage    string    `json:"when_full,omitempty"`
	Last       time.Time `json:"last,omitzero"`
	Removed    *int      `json:"removed,omitempty"`
	Handle     uint32    `json:"handle,omitempty"` // of the lock
	Error      *problem  `json:"error,omitempty"`
}

func newAuditStateRecord(host string, s console.AuditState) auditStateRecord {
	r := auditStateRecord{Host: host, OK: true, Log: "enabled", Locked: &s.Locked, Full: &s.Full, AlmostFull: &s.AlmostFull, Signing: &s.Signing,
		Records: &s.Records, Free: &s.Free, Storage: "what is critical is refused", Last: s.Last}
	if !s.Enabled {
		r.Log = "disabled"
	}
	if s.StorageKnown {
		switch s.Storage {
		case amt.AuditLogStoragePolicyRollOver:
			r.Storage = "the oldest records go"
		case amt.AuditLogStoragePolicyRestrictedRollOver:
			r.Storage = fmt.Sprintf("records older than %s go", plural(s.MinDays, "day"))
		}
	}
	return r
}

type auditStatusCmd struct {
	Many
	WhenFull string `name:"when-full" placeholder:"HOW" help:"What is to happen when the log is full: refuse, roll-over, or a number of days after which records may go."`
}

func (auditStatusCmd) Help() string {
	return example("outband audit status nuc1", "outband audit status @lab --when-full roll-over", "outband audit status nuc1 --when-full 30")
}

func (c *auditStatusCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	policy, days, err := c.storage()
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.AuditState, error) {
		if c.WhenFull != "" {
			if err := client.SetAuditStorage(ctx, policy, days); err != nil {
				return console.AuditState{}, err
			}
		}
		return client.AuditState(ctx)
	}, func(h hosts.Host, s console.AuditState, bad *failure) error {
		if bad != nil {
			return out.failed(auditStateRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newAuditStateRecord(h.Name, s)
		yes := map[bool]string{true: "yes", false: "no"}
		last := ""
		if !r.Last.IsZero() {
			last = r.Last.Format(time.RFC3339)
		}
		return out.object(r, h.Name, [2]string{"log", r.Log}, [2]string{"locked", yes[s.Locked]}, [2]string{"records", fmt.Sprint(s.Records)},
			[2]string{"free", fmt.Sprintf("%d %%", s.Free)}, [2]string{"full", yes[s.Full]}, [2]string{"when full", r.Storage},
			[2]string{"can sign", yes[s.Signing]}, [2]string{"last record", last})
	})
}

func (c *auditStatusCmd) storage() (policy amt.AuditLogStoragePolicy, days uint8, err error) {
	switch c.WhenFull {
	case "", "refuse":
		return amt.AuditLogStoragePolicyNoRollOver, 0, nil
	case "roll-over":
		return amt.AuditLogStoragePolicyRollOver, 0, nil
	}
	if _, err := fmt.Sscanf(c.WhenFull+"\n", "%d\n", &days); err != nil || days == 0 {
		return 0, 0, usage("", "--when-full: %q is none of refuse, roll-over, a number of days up to 255", c.WhenFull)
	}
	return amt.AuditLogStoragePolicyRestrictedRollOver, days, nil
}

type (
	auditEnableCmd  struct{ Many }
	auditDisableCmd struct{ Many }
)

func (auditEnableCmd) Help() string  { return example("outband audit enable nuc1") }
func (auditDisableCmd) Help() string { return example("outband audit disable nuc1") }

func (c *auditEnableCmd) Run(a *app) error {
	return auditTo(a, c.Many, "enabled", func(ctx context.Context, client *console.Client, r *auditStateRecord) error {
		return client.EnableAudit(ctx, true)
	})
}

func (c *auditDisableCmd) Run(a *app) error {
	return auditTo(a, c.Many, "disabled", func(ctx context.Context, client *console.Client, r *auditStateRecord) error {
		return client.EnableAudit(ctx, false)
	})
}

// auditTo does something to the audit logs of machines, and prints the word for it.
func auditTo(a *app, m Many, word string, do func(context.Context, *console.Client, *auditStateRecord) error) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"AUDIT LOG", 0})
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) (auditStateRecord, error) {
		r := auditStateRecord{OK: true, Log: word}
		return r, auditHint(do(ctx, client, &r))
	}, func(h hosts.Host, r auditStateRecord, bad *failure) error {
		if bad != nil {
			return out.failed(auditStateRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r.Host = h.Name
		text := word
		if r.Removed != nil {
			text += " of " + plural(*r.Removed, "record")
		}
		if r.Handle != 0 {
			text += fmt.Sprintf(", handle %d", r.Handle)
		}
		return out.record(r, plain(h.Name), plain(text))
	})
}

// auditHint says what helps against refusals that only this noun has.
func auditHint(err error) error {
	var refusal *status.Error
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Code {
	case status.NotPermitted:
		return &failure{exitRefused, err, "an auditor owns the log: an account with the realm audit-log, as soon as there is one; use it with --user"}
	case status.PKIMissingKeys:
		return &failure{exitRefused, err, "outband audit key gives the machine a key to sign with, which this release wants first"}
	case status.InvalidHandle:
		return &failure{exitRefused, err, "somebody else has locked the log; it is free again after five minutes at most"}
	}
	return err
}

type auditClearCmd struct {
	Many
	Yes bool `short:"y" help:"Do not ask before clearing the logs of several machines."`
}

func (auditClearCmd) Help() string {
	return "What was logged is gone for good; outband audit export keeps it. Since 12.0 the last five of the gravest events stay.\n\n" +
		example("outband audit clear nuc1")
}

func (c *auditClearCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err == nil {
		err = a.sure(c.Yes, len(list), "clear the audit log")
	}
	if err != nil {
		return err
	}
	return auditTo(a, c.Many, "cleared", func(ctx context.Context, client *console.Client, r *auditStateRecord) error {
		n, err := client.ClearAudit(ctx)
		r.Removed = &n
		return err
	})
}

type auditLockCmd struct {
	Many
	For    time.Duration `default:"1m" placeholder:"TIME" help:"How long, at most 5m; default 1m."`
	Handle uint32        `placeholder:"N" help:"Of an earlier lock, to prolong or end it."`
	Unlock bool          `help:"End the lock of --handle."`

	AllowUnprovision bool `help:"Do not lock, but agree that the machine is unprovisioned within that time: without the auditor it cannot be."`
}

func (auditLockCmd) Help() string {
	return "A locked log takes no records, and the machine refuses what it would have to log as critical. Lock, export, clear and unlock is how " +
		"nothing is lost in between.\n\n" +
		example("outband audit lock nuc1 --for 2m", "outband audit lock nuc1 --unlock --handle 1234", "outband audit lock nuc1 --allow-unprovision")
}

func (c *auditLockCmd) Run(a *app) error {
	if c.Unlock && c.AllowUnprovision || c.Unlock && c.Handle == 0 {
		return usage("audit lock has printed the handle", "--unlock goes with --handle")
	}
	word := "locked"
	switch {
	case c.Unlock:
		word = "unlocked"
	case c.AllowUnprovision:
		word = "unprovisioning allowed"
	}
	return auditTo(a, c.Many, word, func(ctx context.Context, client *console.Client, r *auditStateRecord) (err error) {
		switch {
		case c.Unlock:
			return client.UnlockAudit(ctx, c.Handle)
		case c.AllowUnprovision:
			return client.AllowUnprovision(ctx, c.For)
		}
		r.Handle, err = client.LockAudit(ctx, c.For, c.Handle)
		return err
	})
}
