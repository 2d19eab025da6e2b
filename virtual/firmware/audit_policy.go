package firmware

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"maps"
	"slices"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// auditedFromFactory are the applications whose events are logged from 8.0 on without anybody asking. Source: Intel AMT
// Implementation and Reference Guide for security administration and the log's own events; the others are likely, as
// the recorded policy of a real machine was not at hand.
var auditedFromFactory = []auditlog.App{auditlog.SecurityAdmin, auditlog.RemoteControl, auditlog.RedirectionApp, auditlog.FirmwareUpdate, auditlog.AuditLog,
	auditlog.NetworkTime, auditlog.NetworkAdmin, auditlog.Wireless, auditlog.KVM, auditlog.UserConsent}

// factoryPolicy returns what a release logs before anybody has set a policy.
func (m *Machine) factoryPolicy() map[auditlog.EventID]auditlog.Policy {
	out := make(map[auditlog.EventID]auditlog.Policy)
	if m.profile.Before(8, 0) {
		return out
	}
	for _, id := range auditlog.Events() {
		if slices.Contains(auditedFromFactory, id.App()) && id != auditlog.FlashCountersReset && id != auditlog.PowerPackageSet {
			out[id] = auditlog.PolicyNone
		}
	}
	return out
}

// policyOf returns the policy in force: what is in it is logged. It must not be changed. The caller holds mu.
func (a *audit) policyOf(m *Machine) map[auditlog.EventID]auditlog.Policy {
	if a.kept.Policy != nil {
		return a.kept.Policy
	}
	return m.factoryPolicy()
}

// registerAuditPolicy gives AMT_AuditPolicyRule its life.
func registerAuditPolicy(t *table) {
	t.class("AMT_AuditPolicyRule").patch = func(m *Machine, e *wsman.Element) {
		m.audit.mu.Lock()
		policy := maps.Clone(m.audit.policyOf(m))
		m.audit.mu.Unlock()
		for _, id := range auditlog.Events() {
			if m.superCritical(id) {
				policy[id] = auditlog.PolicyCritical
			}
		}
		var ids, kinds []string
		for _, id := range slices.Sorted(maps.Keys(policy)) {
			ids, kinds = append(ids, itoa(id)), append(kinds, itoa(policy[id]))
		}
		set(e, "AuditApplicationEventID", ids...)
		set(e, "PolicyType", kinds...)
	}
	class.Handle(&t.methods, amt.AuditPolicyRuleSetAuditPolicy, setAuditPolicy)
	class.Handle(&t.methods, amt.AuditPolicyRuleSetAuditPolicyBulk, setAuditPolicies)
}

func setAuditPolicy(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuditPolicyRuleSetAuditPolicyIn) (out amt.AuditPolicyRuleSetAuditPolicyOut, _ status.Status, _ error) {
	change := auditChange{auditlog.ID(auditlog.App(class.Value(in.AuditedAppID)), class.Value(in.EventID)), class.Value(in.Enable), class.Value(in.PolicyType)}
	return out, m.changeAuditPolicy(ctx, change), nil
}

// maxAuditChanges is how many events one SetAuditPolicyBulk may name.
const maxAuditChanges = 256

func setAuditPolicies(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuditPolicyRuleSetAuditPolicyBulkIn) (out amt.AuditPolicyRuleSetAuditPolicyBulkOut, _ status.Status, _ error) {
	n := len(in.Enable)
	if n == 0 || n > maxAuditChanges || len(in.AuditedAppID) != n || len(in.EventID) != n || len(in.PolicyType) != n {
		return out, status.InvalidParameter, nil
	}
	changes := make([]auditChange, n)
	for i := range changes {
		changes[i] = auditChange{auditlog.ID(auditlog.App(in.AuditedAppID[i]), in.EventID[i]), in.Enable[i], in.PolicyType[i]}
	}
	return out, m.changeAuditPolicy(ctx, changes...), nil
}

// An auditChange is what is to become of one event.
type auditChange struct {
	id     auditlog.EventID
	enable bool
	kind   amt.AuditPolicyRulePolicyType
}

// changeAuditPolicy carries out all of the changes or none. The attempt is logged whatever comes of it.
func (m *Machine) changeAuditPolicy(ctx context.Context, changes ...auditChange) status.Status {
	defer m.note(ctx, auditlog.PolicyChanged)
	if !m.auditor(ctx) {
		return status.NotPermitted
	}
	for _, c := range changes {
		critical := c.kind == amt.AuditPolicyRulePolicyTypeCritical
		if !c.id.Known() || c.kind > amt.AuditPolicyRulePolicyTypeCritical || critical && c.id.Fixed() {
			return status.InvalidParameter
		}
	}
	m.audit.mu.Lock()
	defer m.audit.mu.Unlock()
	policy := maps.Clone(m.audit.policyOf(m))
	for _, c := range changes {
		if c.enable {
			policy[c.id] = auditlog.Policy(c.kind)
		} else {
			delete(policy, c.id)
		}
	}
	m.audit.kept.Policy = policy
	return status.Success
}

var errSigningKey = errors.New("not an RSA key of 2048 bits")

// parseSigningKey reads a key as SetSigningKeyMaterial takes it.
func parseSigningKey(der []byte) (*rsa.PrivateKey, error) {
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil || key.N.BitLen() != auditlog.SigningKeyBits {
		return nil, errSigningKey
	}
	return key, nil
}

// signs tells whether the certificates are a chain whose first one is of the key.
func signs(key *rsa.PrivateKey, chain [][]byte) status.Status {
	var above *x509.Certificate
	for _, der := range slices.Backward(chain) {
		c, err := x509.ParseCertificate(der)
		if err != nil || above != nil && !bytes.Equal(c.RawIssuer, above.RawSubject) {
			return status.InvalidCert
		}
		above = c
	}
	if !key.PublicKey.Equal(above.PublicKey) {
		return status.CertKeyNotMatch
	}
	return status.Success
}
