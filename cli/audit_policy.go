package cli

import (
	"context"
	"errors"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/auditlog"
)

type auditPolicyCmd struct {
	Many
	Log      []string `placeholder:"EVENT" help:"Log these events."`
	Critical []string `placeholder:"EVENT" help:"Log these events, and refuse what cannot be logged."`
	Ignore   []string `placeholder:"EVENT" help:"Do not log these events any more."`
	Logged   bool     `help:"Show only events that are logged."`
}

func (auditPolicyCmd) Help() string {
	return "EVENT is one of the names that are shown (remote-control/reset), an application (remote-control) for all of its events, or all; " +
		"numbers do too (17/3). Without --log, --critical and --ignore nothing is changed.\n\n" +
		example("outband audit policy nuc1 --logged", "outband audit policy nuc1 --log event-manager --ignore 21/0",
			"outband audit policy @lab --critical security-administration/user-added")
}

// An auditRuleRecord is what becomes of one kind of event.
type auditRuleRecord struct {
	Host        string   `json:"host"`
	OK          bool     `json:"ok"`
	Application string   `json:"application,omitempty"`
	Event       string   `json:"event,omitempty"` // name, as the command takes it
	ID          uint32   `json:"id,omitempty"`    // application*65536 + number
	Policy      string   `json:"policy,omitempty"`
	Error       *problem `json:"error,omitempty"`
}

func (c *auditPolicyCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	rules, err := c.rules()
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"EVENT", 55}, column{"POLICY", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.AuditRule, error) {
		if len(rules) == 0 {
			return client.AuditPolicy(ctx)
		}
		now, err := client.SetAuditPolicy(ctx, rules...)
		return now, auditHint(err)
	}, func(h hosts.Host, rules []console.AuditRule, bad *failure) error {
		if bad != nil {
			return out.failed(auditRuleRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, r := range rules {
			policy := cell{"not logged", toneFaint}
			switch {
			case r.Critical:
				policy = cell{"critical", toneWarn}
			case r.Logged:
				policy = plain("logged")
			case c.Logged:
				continue
			}
			record := auditRuleRecord{Host: h.Name, OK: true, Application: r.ID.App().String(), Event: r.ID.Word(), ID: uint32(r.ID), Policy: policy.text}
			if err := out.record(record, plain(h.Name), plain(record.Event), policy); err != nil {
				return err
			}
		}
		return nil
	})
}

// rules puts the flags together. All of an application cannot be made critical blindly: the log's own events are left as
// merely logged then.
func (c *auditPolicyCmd) rules() ([]console.AuditRule, error) {
	var out []console.AuditRule
	seen := map[auditlog.EventID]bool{}
	add := func(words []string, rule console.AuditRule) error {
		for _, word := range words {
			ids, err := auditlog.ParseEvents(word)
			if errors.Is(err, auditlog.ErrUnknown) {
				return usage("outband audit policy HOST shows the names", "there is no one event %q", word)
			}
			for _, id := range ids {
				if seen[id] {
					return usage("", "%s is named twice", id.Word())
				}
				seen[id] = true
				r := rule
				r.ID = id
				r.Critical = rule.Critical && !(id.Fixed() && len(ids) > 1)
				out = append(out, r)
			}
		}
		return nil
	}
	err := add(c.Log, console.AuditRule{Logged: true})
	if err == nil {
		err = add(c.Critical, console.AuditRule{Logged: true, Critical: true})
	}
	if err == nil {
		err = add(c.Ignore, console.AuditRule{})
	}
	return out, err
}
