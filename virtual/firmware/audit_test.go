package firmware_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// audited returns what the log holds, in words.
func (w *world) audited() []string {
	var out []string
	for _, r := range w.AuditLog() {
		out = append(out, r.Initiator.String()+": "+r.Text())
	}
	return out
}

// addUser adds an account with the password P@ssw0rd.
func (w *world) addUser(t *testing.T, name string, realms ...amt.Realm) status.Status {
	t.Helper()
	hash := digest.HA1(name, w.Identity().Realm, firmware.DefaultPassword)
	_, err := amt.AuthorizationServiceAddUserAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceAddUserAclEntryExIn{
		DigestUsername: &name, DigestPassword: hash[:], AccessPermission: new(amt.AccessPermissionAny), Realms: realms})
	return code(t, err)
}

// policy sets what is to become of one event.
func (w *world) policy(t *testing.T, id auditlog.EventID, enable bool, kind amt.AuditPolicyRulePolicyType) status.Status {
	t.Helper()
	_, err := amt.AuditPolicyRuleSetAuditPolicy.Invoke(t.Context(), w, amt.AuditPolicyRuleSetAuditPolicyIn{
		Enable: &enable, AuditedAppID: new(uint16(id.App())), EventID: new(id.Number()), PolicyType: &kind})
	return code(t, err)
}

func (w *world) auditState(t *testing.T) *amt.AuditLog {
	t.Helper()
	log, err := class.Get[amt.AuditLog](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestAuditLogIsFilledByActions(t *testing.T) {
	inBubble(t, "all", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		if c := w.addUser(t, "ops", amt.RealmRemoteControl); c != status.Success {
			t.Fatal(c)
		}
		handle := new(uint32(2))
		if _, err := amt.AuthorizationServiceSetAclEnabledState.Invoke(t.Context(), w, amt.AuthorizationServiceSetAclEnabledStateIn{Handle: handle, Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		if _, err := amt.AuthorizationServiceUpdateUserAclEntryEx.Invoke(t.Context(), w, amt.AuthorizationServiceUpdateUserAclEntryExIn{
			Handle: handle, DigestUsername: new("ops"), AccessPermission: new(amt.AccessPermissionAny), Realms: []amt.Realm{amt.RealmStorage}}); err != nil {
			t.Fatal(err)
		}
		if _, err := amt.AuthorizationServiceRemoveUserAclEntry.Invoke(t.Context(), w, amt.AuthorizationServiceRemoveUserAclEntryIn{Handle: handle}); err != nil {
			t.Fatal(err)
		}
		if _, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(t.Context(), w, cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(cim.PowerStateOn)}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if _, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(t.Context(), w, cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(cim.PowerStateOn)}); err == nil {
			t.Error("switched on twice")
		}
		if _, err := cim.KVMRedirectionSAPRequestStateChange.Invoke(t.Context(), w, cim.KVMRedirectionSAPRequestStateChangeIn{RequestedState: new(cim.RequestedStateEnabled)}); err != nil {
			t.Fatal(err)
		}
		if _, err := amt.MessageLogClearLog.Invoke(t.Context(), w, amt.MessageLogClearLogIn{}); err != nil { // not audited by default
			t.Fatal(err)
		}
		general, err := class.Get[amt.GeneralSettings](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		general.HostName = new("renamed")
		if _, err := class.Put(t.Context(), w, general); err != nil {
			t.Fatal(err)
		}
		boot, err := class.Get[amt.BootSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		boot.BIOSSetup = new(true)
		if _, err := class.Put(t.Context(), w, boot); err != nil {
			t.Fatal(err)
		}
		stranger := w.login(t, "admin", "wrong")
		if _, err := wsman.Identify(t.Context(), stranger); err == nil {
			t.Error("logged on with a wrong password")
		}
		want := []string{
			`admin: user added: type 0, name "ops"`,
			`admin: user switched: state off, type 0, name "ops"`,
			`admin: user modified: changed local realms+remote realms, type 0, name "ops"`,
			`admin: user removed: type 0, name "ops"`,
			`admin: power up: command none, device 0, options none, boot option mask 0, OEM parameter 0`,
			`admin: KVM enabled`,
			`admin: host name set: to "renamed"`,
			`admin: boot options set: command vendor's, device CD, options setup, boot option mask 0, OEM parameter 0`,
			`admin: access with wrong credentials: to AMT`,
		}
		if got := w.audited(); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestAuditLogPages(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	out, err := amt.AuditLogReadRecords.Invoke(t.Context(), w, amt.AuditLogReadRecordsIn{StartIndex: new(uint32(1))})
	if err != nil || class.Value(out.TotalRecordCount) != 0 || len(out.EventRecords) != 0 {
		t.Errorf("empty log: got %+v, %v", out, err)
	}
	for range 23 {
		w.policy(t, auditlog.FilterAdded, true, amt.AuditPolicyRulePolicyTypeNone)
	}
	var all []string
	for len(all) < 23 {
		out, err := amt.AuditLogReadRecords.Invoke(t.Context(), w, amt.AuditLogReadRecordsIn{StartIndex: new(uint32(len(all) + 1))})
		if err != nil || class.Value(out.TotalRecordCount) != 23 || int(class.Value(out.RecordsReturned)) != len(out.EventRecords) {
			t.Fatalf("got %+v, %v", out, err)
		}
		all = append(all, out.EventRecords...)
	}
	if octets, err := base64.StdEncoding.DecodeString(all[22]); err != nil || !bytes.HasPrefix(octets, []byte{0, 20, 0, 1, 0, 5, 'a', 'd', 'm', 'i', 'n'}) {
		t.Errorf("got %x, %v", octets, err)
	}
	for _, index := range []uint32{0, 24, 4_000_000_000} {
		if _, err := amt.AuditLogReadRecords.Invoke(t.Context(), w, amt.AuditLogReadRecordsIn{StartIndex: &index}); code(t, err) != status.InvalidIndex {
			t.Errorf("index %d: got %v, want invalid index", index, err)
		}
	}
}

// What is critical is refused when it cannot be logged; what is not goes on unlogged.
func TestAuditLock(t *testing.T) {
	inBubble(t, "lock", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 11}, pc.Options{})
		if c := w.policy(t, auditlog.UserAdded, true, amt.AuditPolicyRulePolicyTypeCritical); c != status.Success {
			t.Fatal(c)
		}
		lock := func(flag amt.AuditLogSetAuditLockFlag, seconds, handle uint32) (uint32, status.Status) {
			out, err := amt.AuditLogSetAuditLock.Invoke(t.Context(), w, amt.AuditLogSetAuditLockIn{Flag: &flag, LockTimeoutInSeconds: &seconds, Handle: &handle})
			return class.Value(out.Handle), code(t, err)
		}
		if _, c := lock(amt.AuditLogSetAuditLockFlagLock, 301, 0); c != status.InvalidParameter {
			t.Errorf("a lock of 301 s: got %v", c)
		}
		handle, c := lock(amt.AuditLogSetAuditLockFlagLock, 60, 0)
		if c != status.Success || handle == 0 {
			t.Fatal(handle, c)
		}
		if _, c := lock(amt.AuditLogSetAuditLockFlagLock, 60, handle+1); c != status.InvalidHandle {
			t.Errorf("another handle: got %v", c)
		}
		if again, c := lock(amt.AuditLogSetAuditLockFlagLock, 60, handle); c != status.Success || again != handle {
			t.Errorf("renewed: got %d, %v", again, c)
		}
		if s := *w.auditState(t).AuditState; s&amt.AuditLogAuditStateLocked == 0 {
			t.Errorf("state %v, want locked", s)
		}
		before := len(w.AuditLog())
		if c := w.addUser(t, "ops", amt.RealmStorage); c != status.AuditFail {
			t.Errorf("critical, locked: got %v", c)
		}
		if _, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(t.Context(), w, cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(cim.PowerStateOn)}); err != nil {
			t.Errorf("not critical, locked: %v", err)
		}
		if n := len(w.AuditLog()); n != before {
			t.Errorf("%d records were logged in spite of the lock", n-before)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if c := w.addUser(t, "ops", amt.RealmStorage); c != status.Success {
			t.Errorf("after the lock: got %v", c)
		}
		handle, _ = lock(amt.AuditLogSetAuditLockFlagLock, 60, 0)
		if _, c := lock(amt.AuditLogSetAuditLockFlagUnlock, 0, handle); c != status.Success {
			t.Errorf("unlock: got %v", c)
		}
		if s := *w.auditState(t).AuditState; s != amt.AuditLogAuditStateNoSigningKey {
			t.Errorf("state %v after unlock", s)
		}
	})
}

// Each storage policy does what it says when the log is full.
func TestAuditStorage(t *testing.T) {
	for _, tt := range []struct {
		policy amt.AuditLogStoragePolicy
		days   uint8
		full   bool
	}{{amt.AuditLogStoragePolicyNoRollOver, 0, true}, {amt.AuditLogStoragePolicyRollOver, 0, false},
		{amt.AuditLogStoragePolicyRestrictedRollOver, 1, true}, {amt.AuditLogStoragePolicyRestrictedRollOver, 0, false}} {
		w := newWorld(t, firmware.Config{Generation: 11}, pc.Options{})
		w.policy(t, auditlog.UserAdded, true, amt.AuditPolicyRulePolicyTypeCritical)
		log := w.auditState(t)
		log.StoragePolicy, log.MinDaysToKeep = &tt.policy, &tt.days
		if _, err := class.Put(t.Context(), w, log); err != nil {
			t.Fatal(err)
		}
		w.FillAudit()
		state := w.auditState(t)
		if got := *state.AuditState&amt.AuditLogAuditStateFull != 0; got != tt.full {
			t.Errorf("policy %v, %d days: full %v, want %v", tt.policy, tt.days, got, tt.full)
		}
		if free := *state.PercentageFree; free > 1 || *state.AuditState&amt.AuditLogAuditStateAlmostFull == 0 {
			t.Errorf("policy %v: %d %% free, state %v", tt.policy, free, *state.AuditState)
		}
		want := status.Success
		if tt.full {
			want = status.AuditFail
		}
		if c := w.addUser(t, "ops", amt.RealmStorage); c != want {
			t.Errorf("policy %v, %d days: got %v, want %v", tt.policy, tt.days, c, want)
		}
		if _, err := amt.AuditLogClearLog.Invoke(t.Context(), w, amt.AuditLogClearLogIn{}); err != nil {
			t.Fatal(err)
		}
		if got := w.audited(); !slices.Equal(got, []string{"admin: audit log cleared"}) {
			t.Errorf("after clearing: got %q", got)
		}
	}
}

// From 12.0 on some events are logged whatever happens.
func TestSuperCritical(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
	if _, err := amt.AuditLogRequestStateChange.Invoke(t.Context(), w, amt.AuditLogRequestStateChangeIn{RequestedState: new(cim.RequestedStateDisabled)}); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		boot, err := class.Get[amt.BootSettingData](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := class.Put(t.Context(), w, boot); err != nil {
			t.Fatal(err)
		}
	}
	w.addUser(t, "ops", amt.RealmStorage) // not logged
	if n := len(w.AuditLog()); n != 8 {
		t.Errorf("%d records, want 8: %q", n, w.audited())
	}
	if _, err := amt.AuditLogClearLog.Invoke(t.Context(), w, amt.AuditLogClearLogIn{}); err != nil {
		t.Fatal(err)
	}
	if got := w.AuditLog(); len(got) != 6 || got[0].ID != auditlog.BootOptionsSet || got[5].ID != auditlog.LogCleared {
		t.Errorf("after clearing: got %q", w.audited())
	}
	rule, err := class.Get[amt.AuditPolicyRule](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(rule.AuditApplicationEventID, uint32(auditlog.BootOptionsSet)); i < 0 || rule.PolicyType[i] != amt.AuditPolicyRulePolicyTypeCritical {
		t.Errorf("the policy shows boot options not as critical: %v", rule.AuditApplicationEventID)
	}
}

// Once there is an auditor the log is theirs, and the machine cannot be unprovisioned without them.
func TestAuditorOwnsTheLog(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	if c := w.addUser(t, "auditor", amt.RealmAuditLog); c != status.Success {
		t.Fatal(c)
	}
	if c := w.policy(t, auditlog.FilterAdded, true, 0); c != status.NotPermitted {
		t.Errorf("policy by the administrator: got %v", c)
	}
	if _, err := amt.AuditLogClearLog.Invoke(t.Context(), w, amt.AuditLogClearLogIn{}); code(t, err) != status.NotPermitted {
		t.Errorf("cleared by the administrator: got %v", err)
	}
	if _, err := amt.AuditLogReadRecords.Invoke(t.Context(), w, amt.AuditLogReadRecordsIn{StartIndex: new(uint32(1))}); err != nil {
		t.Errorf("read by the administrator: %v", err)
	}
	if _, err := amt.SetupAndConfigurationServiceUnprovision.Invoke(t.Context(), w, amt.SetupAndConfigurationServiceUnprovisionIn{ProvisioningMode: new(amt.SetupAndConfigurationServiceUnprovisionProvisioningMode(1))}); code(t, err) != status.BlockingComponent {
		t.Errorf("unprovisioned without the auditor: %v", err)
	}
	auditor := w.login(t, "auditor", firmware.DefaultPassword)
	if _, err := amt.AuditLogClearLog.Invoke(t.Context(), auditor, amt.AuditLogClearLogIn{}); err != nil {
		t.Errorf("cleared by the auditor: %v", err)
	}
	if _, err := amt.AuditLogSetAuditLock.Invoke(t.Context(), auditor, amt.AuditLogSetAuditLockIn{Flag: new(amt.AuditLogSetAuditLockFlagUnprovisioningLock), LockTimeoutInSeconds: new(uint32(60))}); err != nil {
		t.Errorf("agreed: %v", err)
	}
	if _, err := amt.SetupAndConfigurationServiceUnprovision.Invoke(t.Context(), w, amt.SetupAndConfigurationServiceUnprovisionIn{ProvisioningMode: new(amt.SetupAndConfigurationServiceUnprovisionProvisioningMode(1))}); err != nil {
		t.Errorf("unprovisioned: %v", err)
	}
	got := w.audited()
	if want := []string{"auditor: audit log cleared", "admin: unprovisioning started: by remote WS-Man"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// signer is a key and a certificate of its own; made once.
var signer = sync.OnceValues(func() (*rsa.PrivateKey, []byte) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "signer"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(4e9, 0)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return key, der
})

func TestAuditSignature(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.addUser(t, "ops", amt.RealmStorage)
	export := amt.AuditLogExportAuditLogSignatureIn{SigningMechanism: new(amt.AuditLogSigningMechanismRSASHA256)}
	if _, err := amt.AuditLogExportAuditLogSignature.Invoke(t.Context(), w, export); code(t, err) != status.PKIMissingKeys {
		t.Errorf("without a key: got %v", err)
	}
	key, der := signer()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key, certificates []byte
		lengths           []uint16
		want              status.Status
	}{
		{[]byte("key"), der, []uint16{uint16(len(der))}, status.InvalidKey},
		{x509.MarshalPKCS1PrivateKey(key), der, []uint16{uint16(len(der)) - 1}, status.InvalidCert},
		{x509.MarshalPKCS1PrivateKey(key), []byte("cert"), []uint16{4}, status.InvalidCert},
		{x509.MarshalPKCS1PrivateKey(other), der, []uint16{uint16(len(der))}, status.CertKeyNotMatch},
		{x509.MarshalPKCS1PrivateKey(key), der, []uint16{uint16(len(der))}, status.Success},
	} {
		_, err := amt.AuditLogSetSigningKeyMaterial.Invoke(t.Context(), w, amt.AuditLogSetSigningKeyMaterialIn{SigningMechanismType: new(amt.AuditLogSigningMechanismRSASHA256),
			SigningKey: tt.key, Certificates: tt.certificates, LengthOfCertificates: tt.lengths})
		if c := code(t, err); c != tt.want {
			t.Errorf("got %v, want %v", c, tt.want)
		}
	}
	var records [][]byte
	for _, r := range w.AuditLog() {
		octets, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, octets)
	}
	out, err := amt.AuditLogExportAuditLogSignature.Invoke(t.Context(), w, export)
	if err != nil {
		t.Fatal(err)
	}
	uuid, err := hex.DecodeString(class.Value(out.UUID))
	if err != nil {
		t.Fatal(err)
	}
	s := auditlog.Signature{Mechanism: auditlog.RSASHA256, Count: *out.TotalRecordCount, Start: out.StartLogTime.Time, End: out.EndLogTime.Time,
		Generated: out.GenerationTime.Time, UUID: uuid, FQDN: *out.FQDN, Value: out.Signature, Certificates: [][]byte{out.Certificates}}
	if _, err := s.Verify(records, nil); err != nil {
		t.Error(err)
	}
	if got := w.audited(); got[len(got)-1] != "admin: audit log exported" {
		t.Errorf("got %q", got)
	}
}

// Log, policy and key are in the state of the machine.
func TestAuditIsKept(t *testing.T) {
	w := newWorld(t, firmware.Config{}, pc.Options{})
	w.policy(t, auditlog.UserAdded, false, 0)
	w.addUser(t, "ops", amt.RealmStorage)
	var file bytes.Buffer
	if err := w.Dump(&file); err != nil {
		t.Fatal(err)
	}
	state, err := firmware.ReadState(&file)
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, firmware.Config{State: state, Password: firmware.DefaultPassword}, pc.Options{})
	if got, want := again.audited(), w.audited(); !slices.Equal(got, want) || len(got) != 1 {
		t.Errorf("got %q, want %q", got, want)
	}
	again.addUser(t, "ops2", amt.RealmStorage)
	if n := len(again.AuditLog()); n != 1 {
		t.Errorf("the policy was forgotten: %q", again.audited())
	}
}
