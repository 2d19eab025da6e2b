package firmware

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Sizes of the audit log. Source: recorded, 161 records leave 92 % free, so it holds some 2000 of 40 octets; spec
// inventory-events-policies.md section 3.
const (
	auditCapacity   = 80 << 10 // octets
	auditPerCall    = 10       // records that ReadRecords gives
	auditAlmostFull = 85       // per cent
	auditLasting    = 5        // super-critical records that outlive ClearLog, since 12.0
	maxAuditLock    = 300      // seconds
)

// audit is the security audit log and its policy.
type audit struct {
	mu   sync.Mutex // guards what follows
	kept auditState
	used int // octets of the records

	lock        uint32    // handle of whoever has locked the log; 0: nobody
	lockedUntil time.Time // by the host's clock
	release     time.Time // until then the auditor lets the machine be unprovisioned
}

// auditState is what outlives a restart.
type auditState struct {
	Enabled  *bool                                `json:",omitempty"` // nil: as the release has it
	Records  []auditOctets                        `json:",omitempty"` // oldest first
	Policy   map[auditlog.EventID]auditlog.Policy `json:",omitempty"` // what is logged; nil: as the release has it
	Key      []byte                               `json:",omitempty"` // PKCS #1, for signatures
	Signer   [][]byte                             `json:",omitempty"` // its certificates, DER
	Rollover bool                                 `json:",omitempty"` // switched on by an unprovision that found the log full
}

// auditOctets is one record; in a file in base64, as ReadRecords gives it.
type auditOctets []byte

func (a *audit) dump() (json.RawMessage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := &a.kept
	if k.Enabled == nil && k.Records == nil && k.Policy == nil && k.Key == nil && !k.Rollover {
		return nil, nil
	}
	return json.Marshal(k)
}

func (a *audit) load(text json.RawMessage) error {
	var kept auditState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	used := 0
	for i, octets := range kept.Records {
		if _, rest, err := auditlog.Parse(octets); err != nil || len(rest) > 0 {
			return fmt.Errorf("audit record %d is none: %v", i+1, err)
		}
		used += len(octets)
	}
	if used > auditCapacity {
		return fmt.Errorf("audit records of %d octets; the log holds %d", used, auditCapacity)
	}
	if kept.Key != nil {
		if _, err := parseSigningKey(kept.Key); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept, a.used = kept, used
	return nil
}

// AuditLog returns the records of the audit log, the oldest first.
func (m *Machine) AuditLog() []auditlog.Record {
	m.audit.mu.Lock()
	defer m.audit.mu.Unlock()
	var out []auditlog.Record
	for _, octets := range m.audit.kept.Records {
		if r, _, err := auditlog.Parse(octets); err == nil {
			out = append(out, r)
		}
	}
	return out
}

// auditEnabled reports whether the log is on: from 8.0 on it is from the factory. The caller holds mu.
func (m *Machine) auditEnabled() bool {
	if e := m.audit.kept.Enabled; e != nil {
		return *e
	}
	return !m.profile.Before(8, 0)
}

// auditLocked reports whether an auditor has locked the log. The caller holds mu.
func (m *Machine) auditLocked() bool {
	return m.audit.lock != 0 && m.hostTime().Before(m.audit.lockedUntil)
}

// superCritical reports whether an event is logged at any price, since 12.0.
func (m *Machine) superCritical(id auditlog.EventID) bool {
	return id.SuperCritical() && !m.profile.Before(12, 0)
}

// storagePolicy returns what happens when the log is full. The caller may hold mu.
func (m *Machine) storagePolicy() (policy amt.AuditLogStoragePolicy, days int) {
	ci := m.catalogue.classes["AMT_AuditLog"]
	if ci == nil || m.profile.Before(5, 1) {
		return amt.AuditLogStoragePolicyNoRollOver, 0
	}
	list := m.store.of(ci)
	if len(list) == 0 {
		return amt.AuditLogStoragePolicyRollOver, 0
	}
	n, err := strconv.ParseUint(list[0].element.ChildText("StoragePolicy"), 10, 8)
	if err != nil {
		n = uint64(amt.AuditLogStoragePolicyRollOver)
	}
	days, _ = strconv.Atoi(list[0].element.ChildText("MinDaysToKeep"))
	return amt.AuditLogStoragePolicy(n), days
}

// room returns how many of the oldest records must go for so many octets, and false if they may not. The caller holds
// mu.
func (m *Machine) room(octets int) (drop int, ok bool) {
	a := &m.audit
	policy, days := m.storagePolicy()
	free := auditCapacity - a.used
	for ; free < octets && drop < len(a.kept.Records); drop++ {
		if !a.kept.Rollover && policy == amt.AuditLogStoragePolicyNoRollOver {
			return 0, false
		}
		if !a.kept.Rollover && policy == amt.AuditLogStoragePolicyRestrictedRollOver {
			r, _, err := auditlog.Parse(a.kept.Records[drop])
			if err == nil && m.now().Sub(r.When()) < time.Duration(days)*24*time.Hour {
				return 0, false
			}
		}
		free += len(a.kept.Records[drop])
	}
	return drop, free >= octets
}

// mayAct tells whether an action may be carried out that is to be logged as id: not if it is critical and the log takes
// nothing now. Source: spec inventory-events-policies.md section 3.
func (m *Machine) mayAct(id auditlog.EventID) bool {
	a := &m.audit
	a.mu.Lock()
	defer a.mu.Unlock()
	super := m.superCritical(id)
	if !super && (!m.auditEnabled() || a.policyOf(m)[id] != auditlog.PolicyCritical) {
		return true
	}
	if m.auditLocked() {
		return false
	}
	if _, ok := m.room(auditlog.MaxSize); ok {
		return true
	}
	if id == auditlog.UnprovisioningStarted && super { // it must be possible: the log rolls over instead
		a.kept.Rollover = true
		return true
	}
	return false
}

// note writes what was done into the audit log, if the policy wants it. ctx tells who did it and from where; fields are
// those of the event.
func (m *Machine) note(ctx context.Context, id auditlog.EventID, fields ...auditlog.Field) {
	data, err := auditlog.Encode(id, fields...)
	if err != nil {
		m.log.ErrorContext(ctx, "audit record", "event", id.String(), "error", err)
		return
	}
	r := auditlog.Record{ID: id, Time: uint32(m.now().Unix()), Data: data}
	r.Initiator, r.Location, r.Address = initiatorOf(ctx)
	octets, err := r.Append(nil)
	if err != nil {
		m.log.ErrorContext(ctx, "audit record", "event", id.String(), "error", err)
		return
	}
	a := &m.audit
	a.mu.Lock()
	_, wanted := a.policyOf(m)[id]
	always := m.superCritical(id) || id == auditlog.LogCleared || id == auditlog.LogDisabled || id == auditlog.ProvisioningStarted
	if !always && (!m.auditEnabled() || !wanted) || m.auditLocked() && !id.Fixed() {
		a.mu.Unlock()
		return
	}
	drop, ok := m.room(len(octets))
	if !ok {
		a.mu.Unlock()
		return
	}
	before := a.used * 100 / auditCapacity
	for _, gone := range a.kept.Records[:drop] {
		a.used -= len(gone)
	}
	a.kept.Records = append(slices.Delete(a.kept.Records, 0, drop), octets)
	a.used += len(octets)
	after := a.used * 100 / auditCapacity
	a.mu.Unlock()
	m.auditFills(before, after)
}

// auditFills raises the alert of each step that the log has passed on its way to full.
func (m *Machine) auditFills(before, after int) {
	for i, step := range []int{50, 75, auditAlmostFull, 95} {
		if before < step && after >= step {
			m.alert(fmt.Sprintf("iAMT%04d", 29+i), severityWarning)
		}
	}
}

// peerKey is the key under which a context tells where a request comes from.
type peerKey struct{}

// A peer is where a connection comes from.
type peer struct {
	conn  net.Conn // nil: not known
	local bool     // from the PC itself
}

// address returns the other end, invalid if it is not on a network.
func (p peer) address() netip.Addr {
	if p.conn == nil || p.conn.RemoteAddr() == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(p.conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// initiatorOf returns who acts, and from where.
func initiatorOf(ctx context.Context) (who auditlog.Initiator, kind auditlog.LocationType, address string) {
	who.Type = auditlog.Local
	switch c, ok := ctx.Value(callerKey{}).(caller); {
	case ok && c.vnc:
		who.Type = auditlog.KVMPort
	case ok && !strings.HasPrefix(c.user, "$$"):
		who = auditlog.Initiator{Type: auditlog.Digest, User: c.user}
	}
	p, _ := ctx.Value(peerKey{}).(peer)
	at := p.address()
	switch {
	case p.local || !at.IsValid():
		return who, auditlog.NoLocation, ""
	case at.Is4():
		return who, auditlog.IPv4, at.String()
	}
	return who, auditlog.IPv6, at.StringExpanded()
}

// auditor reports whether who asks may manage the log: who has the realm, or, as long as nobody has, the administrator.
// Source: spec inventory-events-policies.md section 3.
func (m *Machine) auditor(ctx context.Context) bool {
	c, ok := ctx.Value(callerKey{}).(caller)
	if !ok || c.realms.Has(RealmAuditLog) {
		return true
	}
	return c.realms.Has(RealmAdministration) && !m.hasAuditor()
}

// hasAuditor reports whether an account has the realm of the audit log.
func (m *Machine) hasAuditor() bool {
	m.users.mu.Lock()
	defer m.users.mu.Unlock()
	return slices.ContainsFunc(m.users.acl.List, func(a account) bool { return a.Realms.Has(RealmAuditLog) && a.Enabled })
}

// registerAudit gives AMT_AuditLog and AMT_AuditPolicyRule their life. What fills the log is in audit_source.go.
func registerAudit(t *table) {
	t.class("AMT_AuditLog").patch = patchAuditLog
	t.class("AMT_AuditLog").onPut = func(ctx context.Context, m *Machine, _, _ *wsman.Element) error {
		if !m.auditor(ctx) {
			return &status.Error{Op: "AMT_AuditLog.Put", Code: status.NotPermitted}
		}
		return nil
	}
	class.Handle(&t.methods, amt.AuditLogReadRecords, readAudit)
	class.Handle(&t.methods, amt.AuditLogClearLog, clearAudit)
	class.Handle(&t.methods, amt.AuditLogRequestStateChange, switchAudit)
	class.Handle(&t.methods, amt.AuditLogSetAuditLock, lockAudit)
	class.Handle(&t.methods, amt.AuditLogSetSigningKeyMaterial, setAuditKey)
	class.Handle(&t.methods, amt.AuditLogExportAuditLogSignature, signAudit)
	registerAuditPolicy(t)
}

func patchAuditLog(m *Machine, e *wsman.Element) {
	a := &m.audit
	a.mu.Lock()
	defer a.mu.Unlock()
	var state amt.AuditLogAuditState
	enabled := "2"
	if !m.auditEnabled() {
		state |= amt.AuditLogAuditStateDisabled
		enabled = "3"
	}
	if m.auditLocked() {
		state |= amt.AuditLogAuditStateLocked
	}
	if a.used*100 >= auditCapacity*auditAlmostFull {
		state |= amt.AuditLogAuditStateAlmostFull
	}
	if _, ok := m.room(auditlog.MaxSize); !ok {
		state |= amt.AuditLogAuditStateFull
	}
	if a.kept.Key == nil {
		state |= amt.AuditLogAuditStateNoSigningKey
	}
	set(e, "AuditState", itoa(state))
	set(e, "EnabledState", enabled)
	set(e, "RequestedState", enabled)
	set(e, "CurrentNumberOfRecords", strconv.Itoa(len(a.kept.Records)))
	set(e, "PercentageFree", strconv.Itoa((auditCapacity-a.used)*100/auditCapacity))
	setElements(e, "TimeOfLastRecord")
	if n := len(a.kept.Records); n > 0 {
		if last, _, err := auditlog.Parse(a.kept.Records[n-1]); err == nil {
			setElements(e, "TimeOfLastRecord", wsman.At(last.When()).Element(e.Space, "TimeOfLastRecord"))
		}
	}
	if m.profile.Before(5, 1) {
		set(e, "StoragePolicy")
	}
}

func readAudit(_ context.Context, m *Machine, _ wsman.Selectors, in amt.AuditLogReadRecordsIn) (out amt.AuditLogReadRecordsOut, _ status.Status, _ error) {
	a := &m.audit
	a.mu.Lock()
	defer a.mu.Unlock()
	all, start := uint64(len(a.kept.Records)), uint64(class.Value(in.StartIndex))
	if start == 0 || start > max(1, all) {
		return out, status.InvalidIndex, nil
	}
	for ; start <= all && len(out.EventRecords) < auditPerCall; start++ {
		out.EventRecords = append(out.EventRecords, base64.StdEncoding.EncodeToString(a.kept.Records[start-1]))
	}
	out.TotalRecordCount, out.RecordsReturned = new(uint32(all)), new(uint32(len(out.EventRecords)))
	return out, status.Success, nil
}

// clearAudit empties the log, but for the last super-critical records, and begins it with a record of that. The auditor
// may have locked it: that is how nothing gets lost between reading and clearing.
func clearAudit(ctx context.Context, m *Machine, _ wsman.Selectors, _ amt.AuditLogClearLogIn) (out amt.AuditLogClearLogOut, _ status.Status, _ error) {
	if !m.auditor(ctx) {
		return out, status.NotPermitted, nil
	}
	a := &m.audit
	a.mu.Lock()
	var lasting []auditOctets
	for _, octets := range slices.Backward(a.kept.Records) {
		id := auditlog.EventID(binary.BigEndian.Uint32(octets))
		if m.superCritical(id) && len(lasting) < auditLasting {
			lasting = append(lasting, octets)
		}
	}
	slices.Reverse(lasting)
	a.kept.Records, a.used, a.kept.Rollover = lasting, 0, false
	for _, octets := range lasting {
		a.used += len(octets)
	}
	a.mu.Unlock()
	m.note(ctx, auditlog.LogCleared)
	return out, status.Success, nil
}

// Return values of RequestStateChange. Source: CIM_EnabledLogicalElement.
const (
	auditStateInvalid status.Status = 5
	auditNoTimeout    status.Status = 4098
)

func switchAudit(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuditLogRequestStateChangeIn) (out amt.AuditLogRequestStateChangeOut, _ status.Status, _ error) {
	want := class.Value(in.RequestedState)
	switch {
	case !m.auditor(ctx):
		return out, status.NotPermitted, nil
	case in.TimeoutPeriod != nil && (in.TimeoutPeriod.Interval != 0 || !in.TimeoutPeriod.Time.IsZero()):
		return out, auditNoTimeout, nil
	case want != cim.RequestedStateEnabled && want != cim.RequestedStateDisabled:
		return out, auditStateInvalid, nil
	}
	on, event := want == cim.RequestedStateEnabled, auditlog.LogEnabled
	if !on {
		event = auditlog.LogDisabled
	}
	a := &m.audit
	a.mu.Lock()
	if on && m.profile.Before(8, 0) && a.kept.Key == nil { // no auditing without signatures, then
		a.mu.Unlock()
		return out, status.PKIMissingKeys, nil
	}
	a.kept.Enabled = &on
	a.mu.Unlock()
	m.note(ctx, event)
	return out, status.Success, nil
}

// lockAudit keeps new records out while the auditor reads and clears the log, or lets the machine be unprovisioned for
// some time. Source: AMT_AuditLog.SetAuditLock.
func lockAudit(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuditLogSetAuditLockIn) (out amt.AuditLogSetAuditLockOut, _ status.Status, _ error) {
	flag, seconds := class.Value(in.Flag), class.Value(in.LockTimeoutInSeconds)
	unlock := flag == amt.AuditLogSetAuditLockFlagUnlock
	switch {
	case !m.auditor(ctx):
		return out, status.NotPermitted, nil
	case flag > amt.AuditLogSetAuditLockFlagUnlock, !unlock && (seconds == 0 || seconds > maxAuditLock):
		return out, status.InvalidParameter, nil
	}
	a := &m.audit
	a.mu.Lock()
	defer a.mu.Unlock()
	locked := m.auditLocked()
	if locked && class.Value(in.Handle) != a.lock {
		return out, status.InvalidHandle, nil
	}
	until := m.hostTime().Add(time.Duration(seconds) * time.Second)
	switch {
	case unlock:
		a.lock = 0
		return out, status.Success, nil
	case flag == amt.AuditLogSetAuditLockFlagUnprovisioningLock:
		a.release = until
		return out, status.Success, nil
	case !locked:
		a.lock = 1 + rand.Uint32N(1<<31-1)
	}
	a.lockedUntil = until
	out.Handle = new(a.lock)
	return out, status.Success, nil
}

// setAuditKey keeps the key for signatures and its certificates.
func setAuditKey(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuditLogSetSigningKeyMaterialIn) (out amt.AuditLogSetSigningKeyMaterialOut, _ status.Status, _ error) {
	if !m.auditor(ctx) {
		return out, status.NotPermitted, nil
	}
	key, err := parseSigningKey(in.SigningKey)
	if err != nil {
		return out, status.InvalidKey, nil
	}
	signer, err := auditlog.SplitCertificates(in.Certificates, in.LengthOfCertificates)
	if err != nil || len(signer) == 0 {
		return out, status.InvalidCert, nil
	}
	if code := signs(key, signer); code != status.Success {
		return out, code, nil
	}
	m.audit.mu.Lock()
	defer m.audit.mu.Unlock()
	m.audit.kept.Key, m.audit.kept.Signer = slices.Clone(in.SigningKey), signer
	return out, status.Success, nil
}

// signAudit signs the log as it is.
func signAudit(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.AuditLogExportAuditLogSignatureIn) (out amt.AuditLogExportAuditLogSignatureOut, _ status.Status, _ error) {
	if !m.auditor(ctx) {
		return out, status.NotPermitted, nil
	}
	if in.SigningMechanism == nil || *in.SigningMechanism > amt.AuditLogSigningMechanismRSASHA384 {
		return out, status.InvalidParameter, nil
	}
	id := m.Identity()
	s := auditlog.Signature{Mechanism: auditlog.Mechanism(*in.SigningMechanism), Generated: m.now().UTC().Truncate(time.Second), UUID: id.UUID[:], FQDN: id.FQDN()}
	m.audit.mu.Lock()
	octets, records := m.audit.kept.Key, make([][]byte, len(m.audit.kept.Records))
	for i, r := range m.audit.kept.Records {
		records[i] = r
	}
	s.Certificates = m.audit.kept.Signer
	m.audit.mu.Unlock()
	if octets == nil {
		return out, status.PKIMissingKeys, nil
	}
	var key *rsa.PrivateKey
	key, err := parseSigningKey(octets)
	if err == nil {
		s.Describe(records)
		err = s.Sign(key, records)
	}
	if err != nil {
		m.log.ErrorContext(ctx, "audit signature", "error", err)
		return out, status.InternalError, nil
	}
	out.TotalRecordCount, out.FQDN, out.Signature = &s.Count, &s.FQDN, s.Value
	if s.Count > 0 {
		out.StartLogTime, out.EndLogTime = new(wsman.At(s.Start)), new(wsman.At(s.End))
	}
	out.GenerationTime, out.UUID = new(wsman.At(s.Generated)), new(fmt.Sprintf("%X", s.UUID))
	out.SignatureMechanism = in.SigningMechanism
	for _, der := range s.Certificates {
		out.LengthOfCertificates = append(out.LengthOfCertificates, uint16(len(der)))
		out.Certificates = append(out.Certificates, der...)
	}
	m.note(ctx, auditlog.LogExported)
	return out, status.Success, nil
}
