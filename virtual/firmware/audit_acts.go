package firmware

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// always is the look of a method that tells all by having been done.
func always(id auditlog.EventID) func(context.Context, *Machine, *wsman.Element) func(status.Status) []act {
	return told(id, func(*wsman.Element) []auditlog.Field { return nil })
}

// told is the look of a method whose inputs tell all.
func told(id auditlog.EventID, fields func(in *wsman.Element) []auditlog.Field) func(context.Context, *Machine, *wsman.Element) func(status.Status) []act {
	return func(_ context.Context, _ *Machine, in *wsman.Element) func(status.Status) []act {
		return func(code status.Status) []act {
			if code != status.Success {
				return nil
			}
			return acted(id, fields(in)...)
		}
	}
}

// auditedMethods are the methods whose calls are audited. Events and data: spec inventory-events-policies.md section 3.2.
var auditedMethods = []auditedMethod{
	{class: "AMT_AuthorizationService", method: "AddUserAclEntryEx", ids: ids(auditlog.UserAdded), look: told(auditlog.UserAdded, func(in *wsman.Element) []auditlog.Field {
		sid, _ := base64.StdEncoding.DecodeString(in.ChildText("KerberosUserSid"))
		return userFields(in.ChildText("DigestUsername"), sid)
	})},
	{class: "AMT_AuthorizationService", method: "UpdateUserAclEntryEx", ids: ids(auditlog.UserModified), look: lookUpdate},
	{class: "AMT_AuthorizationService", method: "RemoveUserAclEntry", ids: ids(auditlog.UserRemoved), look: func(_ context.Context, m *Machine, in *wsman.Element) func(status.Status) []act {
		who := m.userOf(in)
		return func(code status.Status) []act { return done(code, auditlog.UserRemoved, who...) }
	}},
	{class: "AMT_AuthorizationService", method: "SetAclEnabledState", ids: ids(auditlog.UserStateChanged), look: func(_ context.Context, m *Machine, in *wsman.Element) func(status.Status) []act {
		fields := append([]auditlog.Field{auditlog.Num(number(in.ChildText("Enabled")))}, m.userOf(in)...)
		return func(code status.Status) []act { return done(code, auditlog.UserStateChanged, fields...) }
	}},
	{class: "AMT_AuthorizationService", method: "SetAdminAclEntryEx", ids: ids(auditlog.UserModified), look: told(auditlog.UserModified, func(in *wsman.Element) []auditlog.Field {
		return append([]auditlog.Field{auditlog.Num(userNameChanged | userPasswordChanged)}, userFields(in.ChildText("Username"), nil)...)
	})},
	{class: "AMT_SetupAndConfigurationService", method: "CommitChanges", ids: ids(auditlog.TLSChanged), look: lookCommit},
	{class: "AMT_SetupAndConfigurationService", method: "Unprovision", ids: ids(auditlog.UnprovisioningStarted), look: lookUnprovision, refuse: blockUnprovision},
	{class: "AMT_SetupAndConfigurationService", method: "PartialUnprovision", ids: ids(auditlog.UnprovisioningStarted), look: lookUnprovision, refuse: blockUnprovision},
	{class: "CIM_PowerManagementService", method: "RequestPowerStateChange", which: func(in *wsman.Element) []auditlog.EventID { return ids(powerEvents[askedPower(in)]) }, look: lookPower},
	{class: "CIM_BootConfigSetting", method: "ChangeBootOrder", ids: ids(auditlog.BootOptionsSet), look: func(_ context.Context, m *Machine, in *wsman.Element) func(status.Status) []act {
		if in.Child("Source") == nil { // takes an order back
			return nil
		}
		return func(code status.Status) []act {
			if code != status.Success {
				return nil
			}
			return acted(auditlog.BootOptionsSet, m.bootFields()...)
		}
	}},
	{class: "AMT_RedirectionService", method: "RequestStateChange", look: lookRedirection},
	{class: "CIM_KVMRedirectionSAP", method: "RequestStateChange", look: func(_ context.Context, _ *Machine, in *wsman.Element) func(status.Status) []act {
		switch in.ChildText("RequestedState") {
		case "2":
			return func(code status.Status) []act { return done(code, auditlog.KVMEnabled) }
		case "3":
			return func(code status.Status) []act { return done(code, auditlog.KVMDisabled) }
		}
		return nil
	}},
	{class: "AMT_TimeSynchronizationService", method: "SetHighAccuracyTimeSynch", ids: ids(auditlog.TimeSet), look: func(_ context.Context, m *Machine, _ *wsman.Element) func(status.Status) []act {
		return func(code status.Status) []act {
			return done(code, auditlog.TimeSet, auditlog.Num(uint32(m.now().Unix())))
		}
	}},
	{class: "AMT_MessageLog", method: "ClearLog", ids: ids(auditlog.EventLogCleared), look: always(auditlog.EventLogCleared)},
	{class: "AMT_MessageLog", method: "FreezeLog", ids: ids(auditlog.EventLogFrozen), look: told(auditlog.EventLogFrozen, func(in *wsman.Element) []auditlog.Field {
		return []auditlog.Field{auditlog.Num(number(in.ChildText("Freeze")))}
	})},
	{class: "IPS_OptInService", method: "SendOptInCode", look: func(context.Context, *Machine, *wsman.Element) func(status.Status) []act {
		return func(code status.Status) []act {
			switch code {
			case optInDone:
				return acted(auditlog.ConsentCodeSent, auditlog.Num(0))
			case optInBlocked: // wrong three times
				return acted(auditlog.ConsentCodeSent, auditlog.Num(1))
			}
			return nil
		}
	}},
	{class: "AMT_PublicKeyManagementService", method: "AddTrustedRootCertificate", ids: ids(auditlog.RootAdded), look: told(auditlog.RootAdded, func(in *wsman.Element) []auditlog.Field {
		return serialOf(in.ChildText("CertificateBlob"))
	})},
	{class: "AMT_SystemPowerScheme", method: "SetPowerScheme", ids: ids(auditlog.PowerPackageSet), look: always(auditlog.PowerPackageSet)},
	{class: "AMT_EthernetPortSettings", method: "SetLinkPreference", ids: ids(auditlog.WirelessLinkChanged), look: told(auditlog.WirelessLinkChanged, func(in *wsman.Element) []auditlog.Field {
		return []auditlog.Field{auditlog.Num(number(in.ChildText("Timeout"))), auditlog.Num(number(in.ChildText("LinkPreference")))}
	})},
	{class: "AMT_WiFiPortConfigurationService", method: "AddWiFiSettings", ids: ids(auditlog.WirelessProfileAdded), look: toldProfile(auditlog.WirelessProfileAdded)},
	{class: "AMT_WiFiPortConfigurationService", method: "UpdateWiFiSettings", ids: ids(auditlog.WirelessProfileUpdated), look: toldProfile(auditlog.WirelessProfileUpdated)},
	{class: "AMT_WiFiPortConfigurationService", method: "DeleteAllITProfiles", ids: ids(auditlog.WirelessProfileRemoved), look: lookAllProfiles(false)},
	{class: "AMT_WiFiPortConfigurationService", method: "DeleteAllUserProfiles", ids: ids(auditlog.WirelessProfileRemoved), look: lookAllProfiles(true)},
	{class: "IPS_HostBasedSetupService", method: "UpgradeClientToAdmin", ids: ids(auditlog.ClientToAdmin), look: always(auditlog.ClientToAdmin)},
	{class: "AMT_AgentPresenceWatchdog", method: "AddAction", ids: ids(auditlog.AgentActionsSet), look: always(auditlog.AgentActionsSet)},
	{class: "AMT_AgentPresenceWatchdog", method: "DeleteAllActions", ids: ids(auditlog.AgentActionsSet), look: always(auditlog.AgentActionsSet)},
}

// auditedClasses are the classes whose Put, Create and Delete are audited.
var auditedClasses = []auditedClass{
	{"AMT_BootSettingData", ids(auditlog.BootOptionsSet), func(m *Machine, _, now *wsman.Element) []act {
		return acted(auditlog.BootOptionsSet, m.bootFields()...)
	}},
	{"AMT_GeneralSettings", nil, func(_ *Machine, old, now *wsman.Element) (out []act) {
		for _, p := range []struct {
			property string
			id       auditlog.EventID
		}{{"HostName", auditlog.HostNameSet}, {"DomainName", auditlog.DomainNameSet}} {
			if was, is := old.ChildText(p.property), now.ChildText(p.property); was != is {
				out = append(out, act{p.id, []auditlog.Field{auditlog.Str(is)}})
			}
		}
		return out
	}},
	{"AMT_EthernetPortSettings", nil, func(_ *Machine, _, now *wsman.Element) []act {
		port := uint32(0)
		if id := now.ChildText("InstanceID"); id != "" {
			port = number(id[len(id)-1:])
		}
		fields := []auditlog.Field{auditlog.Num(port), auditlog.Num(number(now.ChildText("DHCPEnabled")))}
		for _, p := range []string{"IPAddress", "SubnetMask", "DefaultGateway", "PrimaryDNS", "SecondaryDNS"} {
			fields = append(fields, ip4Field(now.ChildText(p)))
		}
		return acted(auditlog.IPv4Set, fields...)
	}},
	{"IPS_OptInService", ids(auditlog.ConsentPolicyChanged), func(_ *Machine, old, now *wsman.Element) []act {
		was, is := number(old.ChildText("OptInRequired")), number(now.ChildText("OptInRequired"))
		if was == is {
			return nil
		}
		return acted(auditlog.ConsentPolicyChanged, auditlog.Num(was&0xff), auditlog.Num(is&0xff))
	}},
	{"AMT_KerberosSettingData", nil, func(_ *Machine, old, now *wsman.Element) []act {
		tolerance := binary.BigEndian.AppendUint32(nil, number(now.ChildText("MaximumClockTolerance")))
		return acted(auditlog.KerberosSet, auditlog.Bytes(tolerance))
	}},
	{"AMT_PublicKeyCertificate", nil, func(_ *Machine, old, now *wsman.Element) []act {
		if now != nil || old == nil || old.ChildText("TrustedRootCertficate") != "true" {
			return nil
		}
		return acted(auditlog.RootRemoved, serialOf(old.ChildText("X509Certificate"))...)
	}},
	{"AMT_TLSCredentialContext", nil, func(_ *Machine, _, now *wsman.Element) []act {
		if now == nil {
			return acted(auditlog.CertificateRemoved)
		}
		return acted(auditlog.CertificateSet)
	}},
	{"CIM_WiFiEndpointSettings", ids(auditlog.WirelessProfileUpdated, auditlog.WirelessProfileRemoved), profileActs},
	{"AMT_WiFiPortConfigurationService", ids(auditlog.WirelessSyncChanged, auditlog.WirelessSharingChanged), wifiServiceActs},
	{"AMT_SNMPEventSubscriber", nil, func(_ *Machine, old, now *wsman.Element) []act {
		switch {
		case old == nil:
			return acted(auditlog.AlertSubscribed, subscriberFields(now)...)
		case now == nil:
			return acted(auditlog.AlertUnsubscribed, subscriberFields(old)...)
		}
		return nil
	}},
	{"AMT_IPHeadersFilter", nil, filterActs},
	{"AMT_Hdr8021Filter", nil, filterActs},
	{"AMT_SystemDefensePolicy", nil, func(_ *Machine, old, now *wsman.Element) []act {
		switch {
		case old == nil:
			return acted(auditlog.DefensePolicyAdded)
		case now == nil:
			return acted(auditlog.DefensePolicyRemoved, auditlog.Num(lastNumber(old.ChildText("InstanceID"))))
		}
		return nil
	}},
	{"AMT_NetworkPortDefaultSystemDefensePolicy", nil, func(m *Machine, old, now *wsman.Element) []act {
		e := now
		if e == nil {
			e = old
		}
		port, id, _ := m.binding(e)
		if now == nil {
			id = ""
		}
		return acted(auditlog.DefaultPolicySet, auditlog.Num(uint32(port)), auditlog.Num(lastNumber(id)))
	}},
	{"AMT_HeuristicPacketFilterSettings", nil, func(_ *Machine, _, now *wsman.Element) []act {
		return acted(auditlog.HeuristicsSet, auditlog.Num(uint32(Wired)), auditlog.Num(number(now.ChildText("BlockAll"))),
			auditlog.Num(number(now.ChildText("BlockOffensivePort"))), auditlog.Num(0))
	}},
	{"AMT_AgentPresenceWatchdog", nil, func(_ *Machine, old, now *wsman.Element) []act {
		switch {
		case old == nil:
			return acted(auditlog.AgentAdded, agentField(now), auditlog.Num(number(now.ChildText("TimeoutInterval"))&0xffff),
				auditlog.Num(number(now.ChildText("StartupInterval"))&0xffff))
		case now == nil:
			return acted(auditlog.AgentRemoved, agentField(old))
		}
		return nil
	}},
}

func ids(all ...auditlog.EventID) []auditlog.EventID { return all }

// done is the act of a method that has no more to tell, if it was carried out.
func done(code status.Status, id auditlog.EventID, fields ...auditlog.Field) []act {
	if code != status.Success {
		return nil
	}
	return acted(id, fields...)
}

// number reads a number, or a boolean as 0 and 1; what is none is 0.
func number(text string) uint32 {
	if text == "true" {
		return 1
	}
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}

// Bits of the event "user modified".
const (
	userNameChanged     = 1
	userPasswordChanged = 2
	userLocalRealms     = 4
	userRemoteRealms    = 8
	userSIDChanged      = 32
)

// userFields names an account: 0 and its name, or 1, no name, the last part of the SID and no domain.
func userFields(name string, sid []byte) []auditlog.Field {
	if len(sid) < 12 {
		return []auditlog.Field{auditlog.Num(0), auditlog.Str(name)}
	}
	return []auditlog.Field{auditlog.Num(1), auditlog.Str(""), auditlog.Num(binary.LittleEndian.Uint32(sid[len(sid)-4:])), auditlog.Str("")}
}

// userOf names the account of the parameter Handle.
func (m *Machine) userOf(in *wsman.Element) []auditlog.Field {
	handle := number(in.ChildText("Handle"))
	a, _ := m.users.get(&handle)
	return userFields(a.Name, a.SID)
}

func lookUpdate(_ context.Context, m *Machine, in *wsman.Element) func(status.Status) []act {
	handle := number(in.ChildText("Handle"))
	old, _ := m.users.get(&handle)
	return func(code status.Status) []act {
		now, found := m.users.get(&handle)
		if code != status.Success || found != status.Success {
			return nil
		}
		var changed uint32
		if now.Name != old.Name {
			changed |= userNameChanged
		}
		if now.HA1 != old.HA1 {
			changed |= userPasswordChanged
		}
		if now.Realms != old.Realms || now.Access != old.Access {
			changed |= userLocalRealms | userRemoteRealms
		}
		if string(now.SID) != string(old.SID) {
			changed |= userSIDChanged
		}
		return acted(auditlog.UserModified, append([]auditlog.Field{auditlog.Num(changed)}, userFields(now.Name, now.SID)...)...)
	}
}

// lookCommit tells what became of TLS. Source: spec inventory-events-policies.md section 3.2, event 16/7.
func lookCommit(_ context.Context, m *Machine, _ *wsman.Element) func(status.Status) []act {
	remote, local := m.tlsWord(false), m.tlsWord(true)
	return func(code status.Status) []act {
		r, l := m.tlsWord(false), m.tlsWord(true)
		if code != status.Success || r == remote && l == local {
			return nil
		}
		return acted(auditlog.TLSChanged, auditlog.Num(r), auditlog.Num(l))
	}
}

// tlsWord returns 0 for no TLS, 1 for TLS, 2 if clients need a certificate as well.
func (m *Machine) tlsWord(local bool) uint32 {
	e := m.tlsSettings(local)
	switch {
	case !m.tls(local).Enabled && !m.tlsOnly(local):
		return 0
	case e != nil && e.ChildText("MutualAuthentication") == "true":
		return 2
	}
	return 1
}

// powerEvents are the events of requests for power states.
var powerEvents = map[cim.PowerState]auditlog.EventID{
	cim.PowerStateOn: auditlog.PoweredUp, cim.PowerStateOffSoft: auditlog.PoweredDown, cim.PowerStateCycleSoft: auditlog.PowerCycled,
	cim.PowerStateCycleHard: auditlog.PowerCycled, cim.PowerStateMasterBusReset: auditlog.WasReset,
	cim.PowerStateOffSoftGraceful: auditlog.GracefulPowerDown, cim.PowerStateMasterBusResetGraceful: auditlog.GracefulReset,
	cim.PowerStateSleepDeep: auditlog.Standby, cim.PowerStateHibernate: auditlog.Hibernated, cim.PowerStateNMI: auditlog.NMIRaised,
}

func askedPower(in *wsman.Element) cim.PowerState {
	return cim.PowerState(number(in.ChildText("PowerState")))
}

// lookPower tells how the power was changed, with the boot options as they were before the boot used them up.
func lookPower(_ context.Context, m *Machine, in *wsman.Element) func(status.Status) []act {
	id, ok := powerEvents[askedPower(in)]
	if !ok {
		return nil
	}
	var fields []auditlog.Field
	switch id {
	case auditlog.PoweredUp, auditlog.PowerCycled, auditlog.WasReset, auditlog.GracefulReset:
		fields = m.bootFields()
	}
	return func(code status.Status) []act { return done(code, id, fields...) }
}

// blockUnprovision refuses as long as there is an auditor who has not agreed, by SetAuditLock. In client control mode
// nobody is asked. Source: spec activation.md sections 1 and 8.
func blockUnprovision(_ context.Context, m *Machine) status.Status {
	m.audit.mu.Lock()
	agreed := m.hostTime().Before(m.audit.release)
	m.audit.mu.Unlock()
	if m.hasAuditor() && !agreed && !m.clientMode() {
		return status.BlockingComponent
	}
	return status.Success
}

// lookUnprovision tells from where it was done. The records stay; what the auditor has set and
// subscriptions go.
func lookUnprovision(ctx context.Context, m *Machine, _ *wsman.Element) func(status.Status) []act {
	by := uint32(4) // remote WS-Man
	if p, _ := ctx.Value(peerKey{}).(peer); p.local {
		by = 3
	}
	return func(code status.Status) []act {
		if code != status.Success {
			return nil
		}
		a := &m.audit
		a.mu.Lock()
		a.kept = auditState{Records: a.kept.Records, Rollover: a.kept.Rollover}
		a.lock, a.release = 0, time.Time{}
		a.mu.Unlock()
		m.alerts.mu.Lock()
		m.alerts.kept.Subscriptions = nil
		m.alerts.mu.Unlock()
		return acted(auditlog.UnprovisioningStarted, auditlog.Num(by))
	}
}

// bootFields are the boot options as the audit log has them.
func (m *Machine) bootFields() []auditlog.Field {
	m.boot.mu.Lock()
	kept := m.boot.kept
	m.boot.mu.Unlock()
	var command, options uint32
	switch source, _, _ := sourceOf(kept.Source); source {
	case BootPXE:
		command = 1
	case BootDisk:
		command = 2
	case BootDiagnostic:
		command = 4
	case BootCD:
		command = 5
	case BootHTTPS:
		command = 194
	case BootLocalApp:
		command = 195
	}
	device := uint32(0)
	if e := m.one("AMT_BootSettingData"); e != nil {
		for _, bit := range []struct {
			property string
			value    uint32
		}{{"UseIDER", 1}, {"EnforceSecureBoot", 2}, {"ReflashBIOS", 4}, {"BIOSSetup", 8}, {"BIOSPause", 16}, {"SecureErase", 64}, {"PlatformErase", 128}} {
			if e.ChildText(bit.property) == "true" {
				options |= bit.value
			}
		}
		if options&1 != 0 && e.ChildText("IDERBootDevice") == "0" {
			device = 1 // floppy
		}
	}
	if command == 0 && options != 0 {
		command = 193
	}
	return []auditlog.Field{auditlog.Num(command), auditlog.Num(device), auditlog.Num(options), auditlog.Num(0), auditlog.Num(0)}
}

// lookRedirection tells what of SOL and IDE-R was switched.
func lookRedirection(_ context.Context, m *Machine, _ *wsman.Element) func(status.Status) []act {
	state := func() (ider, sol bool) {
		e := m.one("AMT_RedirectionService")
		if e == nil {
			return false, false
		}
		n := number(e.ChildText("EnabledState"))
		return n == 32769 || n == 32771, n == 32770 || n == 32771
	}
	ider, sol := state()
	return func(status.Status) (out []act) {
		nowIDER, nowSOL := state()
		for _, s := range []struct {
			was, is bool
			on, off auditlog.EventID
		}{{ider, nowIDER, auditlog.IDEREnabled, auditlog.IDERDisabled}, {sol, nowSOL, auditlog.SOLEnabled, auditlog.SOLDisabled}} {
			switch {
			case s.is && !s.was:
				out = append(out, act{id: s.on})
			case s.was && !s.is:
				out = append(out, act{id: s.off})
			}
		}
		return out
	}
}

// serialOf returns the serial number of a certificate in base64 DER, none if it cannot be read.
func serialOf(text string) []auditlog.Field {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return []auditlog.Field{auditlog.Bytes(c.SerialNumber.Bytes()[:min(len(c.SerialNumber.Bytes()), 20)])}
}

// ip4Field is an address, zeros if it is none.
func ip4Field(text string) auditlog.Field {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		a = netip.IPv4Unspecified()
	}
	return auditlog.Bytes(a.AsSlice())
}

// subscriberFields name a receiver of traps.
func subscriberFields(e *wsman.Element) []auditlog.Field {
	policy := auditlog.Num(number(e.ChildText("PolicyID")))
	a, err := netip.ParseAddr(e.ChildText("AccessInfo"))
	switch {
	case err != nil:
		return []auditlog.Field{policy, auditlog.Num(1)}
	case a.Is4():
		return []auditlog.Field{policy, auditlog.Num(1), auditlog.Num(0), auditlog.Bytes(a.AsSlice())}
	}
	return []auditlog.Field{policy, auditlog.Num(1), auditlog.Num(1), auditlog.Bytes(a.AsSlice())}
}

func filterActs(_ *Machine, old, now *wsman.Element) []act {
	switch {
	case old == nil:
		return acted(auditlog.FilterAdded)
	case now == nil:
		return acted(auditlog.FilterRemoved, auditlog.Num(lastNumber(old.ChildText("InstanceID"))))
	}
	return nil
}

// lastNumber reads the number at the end of an InstanceID.
func lastNumber(id string) uint32 {
	at := len(id)
	for at > 0 && id[at-1] >= '0' && id[at-1] <= '9' {
		at--
	}
	return number(id[at:])
}

// agentField is the GUID of an agent, as DeviceID holds it in base64.
func agentField(e *wsman.Element) auditlog.Field {
	id, err := base64.StdEncoding.DecodeString(e.ChildText("DeviceID"))
	if err != nil || len(id) != 16 {
		id = make([]byte, 16)
	}
	return auditlog.Bytes(id)
}
