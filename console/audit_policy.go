package console

import (
	"context"
	"fmt"
	"slices"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/auditlog"
)

// An AuditRule is what becomes of one kind of event.
type AuditRule struct {
	ID       auditlog.EventID
	Logged   bool
	Critical bool // what cannot be logged is refused
}

// AuditPolicy reads which events are logged: a rule for each event that has a name or that the machine names, by number.
func (c *Client) AuditPolicy(ctx context.Context) ([]AuditRule, error) {
	rules, err := c.auditPolicy(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit policy: %w", err)
	}
	return rules, nil
}

func (c *Client) auditPolicy(ctx context.Context) ([]AuditRule, error) {
	rule, err := class.Get[amt.AuditPolicyRule](ctx, c)
	if err != nil {
		return nil, err
	}
	if len(rule.PolicyType) != len(rule.AuditApplicationEventID) {
		return nil, fmt.Errorf("%d events with %d policies: the machine's list is damaged", len(rule.AuditApplicationEventID), len(rule.PolicyType))
	}
	byID := make(map[auditlog.EventID]AuditRule)
	for _, id := range auditlog.Events() {
		byID[id] = AuditRule{ID: id}
	}
	for i, n := range rule.AuditApplicationEventID {
		id := auditlog.EventID(n)
		byID[id] = AuditRule{ID: id, Logged: true, Critical: rule.PolicyType[i] == amt.AuditPolicyRulePolicyTypeCritical}
	}
	var out []AuditRule
	for _, r := range byID {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b AuditRule) int { return int(a.ID) - int(b.ID) })
	return out, nil
}

// maxAuditRules is how many events one call is told about.
const maxAuditRules = 32

// SetAuditPolicy says what is to become of some kinds of event, and returns the whole policy as the machine has it then.
// The log's own events cannot be critical: such a rule is an error that wraps [ErrUsage], and nothing is sent.
func (c *Client) SetAuditPolicy(ctx context.Context, rules ...AuditRule) ([]AuditRule, error) {
	now, err := c.setAuditPolicy(ctx, rules)
	if err != nil {
		return nil, fmt.Errorf("set audit policy: %w", err)
	}
	return now, nil
}

func (c *Client) setAuditPolicy(ctx context.Context, rules []AuditRule) ([]AuditRule, error) {
	for _, r := range rules {
		if r.Critical && r.ID.Fixed() {
			return nil, fmt.Errorf("%w: %v cannot be critical: the log could not be managed any more", ErrUsage, r.ID)
		}
		if r.Critical && !r.Logged {
			return nil, fmt.Errorf("%w: %v cannot be critical without being logged", ErrUsage, r.ID)
		}
	}
	for part := range slices.Chunk(rules, maxAuditRules) {
		if err := c.sendAuditRules(ctx, part); err != nil {
			return nil, err
		}
	}
	now, err := c.auditPolicy(ctx)
	if err != nil {
		return nil, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, want := range rules {
		// Firmware logs the gravest events whatever it was told.
		i := slices.IndexFunc(now, func(r AuditRule) bool { return r.ID == want.ID })
		if want.ID.SuperCritical() && i >= 0 && now[i].Critical {
			continue
		}
		if i < 0 && want.Logged || i >= 0 && now[i] != want {
			return now, fmt.Errorf("%v: %w", want.ID, ErrDiffers)
		}
	}
	return now, nil
}

// sendAuditRules sends one event by the old method, several by the newer one (since 7.0).
func (c *Client) sendAuditRules(ctx context.Context, rules []AuditRule) error {
	kind := func(r AuditRule) amt.AuditPolicyRulePolicyType {
		if r.Critical {
			return amt.AuditPolicyRulePolicyTypeCritical
		}
		return amt.AuditPolicyRulePolicyTypeNone
	}
	if len(rules) == 1 {
		r := rules[0]
		in := amt.AuditPolicyRuleSetAuditPolicyIn{Enable: &r.Logged, AuditedAppID: new(uint16(r.ID.App())), EventID: new(r.ID.Number()), PolicyType: new(kind(r))}
		_, err := amt.AuditPolicyRuleSetAuditPolicy.Invoke(ctx, c, in)
		return err
	}
	var in amt.AuditPolicyRuleSetAuditPolicyBulkIn
	for _, r := range rules {
		in.Enable = append(in.Enable, r.Logged)
		in.AuditedAppID = append(in.AuditedAppID, uint16(r.ID.App()))
		in.EventID = append(in.EventID, r.ID.Number())
		in.PolicyType = append(in.PolicyType, kind(r))
	}
	_, err := amt.AuditPolicyRuleSetAuditPolicyBulk.Invoke(ctx, c, in)
	return err
}
