package firmware

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// What AMTHI answers, from the machine's state. A command that changes something stands in the file of what it changes.
// Source: spec amthi.md.

// answer handles a command that cannot fail and has no input.
func answer[Out amthi.Data](m *Machine, command amthi.Command[amthi.None, Out], value func() Out) {
	amthi.Handle(&m.me.mux, command, func(context.Context, amthi.None) (Out, status.Status) { return value(), status.Success })
}

// carryOut handles a command that has no output.
func carryOut[In amthi.Data](m *Machine, command amthi.Command[In, amthi.None], do func(In) status.Status) {
	amthi.Handle(&m.me.mux, command, func(_ context.Context, in In) (amthi.None, status.Status) { return amthi.None{}, do(in) })
}

// handleAMTHI fills the table of commands.
func (m *Machine) handleAMTHI() {
	m.me.mux.Disabled = m.amtOff
	m.handleIdentity()
	m.handleSetup()
	m.handleNetwork()
	m.handleFeatures()
}

// handleIdentity answers what the firmware and the machine are.
func (m *Machine) handleIdentity() {
	answer(m, amthi.GetCodeVersions, m.codeVersions)
	answer(m, amthi.GetUUID, func() amthi.UUID { return amthi.UUID(m.Identity().UUID) })
	answer(m, amthi.GetMACAddresses, func() amthi.MACs {
		mac := macOf(m.Identity().MAC)
		return amthi.MACs{Dedicated: mac, Host: mac} // the wired port is shared
	})
	answer(m, amthi.GetFQDN, func() amthi.FQDN {
		id, e := m.Identity(), m.one("AMT_GeneralSettings")
		return amthi.FQDN{Shared: e.ChildText("SharedFQDN") == "true", DDNS: e.ChildText("DDNSUpdateEnabled") == "true",
			DDNSMinutes: number(e.ChildText("DDNSPeriodicUpdateInterval")), DDNSTTL: number(e.ChildText("DDNSTTL")),
			HostLen: uint32(len(id.HostName)), Name: id.FQDN()}
	})
	carryOut(m, amthi.SetHostFQDN, func(name amthi.Text) status.Status {
		if len(name) > maxHostName+1+maxDomain || strings.ContainsAny(string(name), "<>&\"") {
			return status.InvalidName
		}
		m.me.change(func(s *meState) { s.HostFQDN = string(name) })
		return status.Success
	})
	amthi.Handle(&m.me.mux, amthi.GetAMTState, func(_ context.Context, id amthi.StateID) (out amthi.AMTState, _ status.Status) {
		if id != amthi.AMTStateID() {
			return out, status.InvalidParameter
		}
		return amthi.AMTState{ID: id, LinkUp: m.linkUp(wiredPort), CryptoFuse: 1, FlashProtection: 1}, status.Success
	})
}

// codeVersions are the modules that CIM_SoftwareIdentity has too, in the order of real firmware. Source: spec amthi.md
// section 3.5.
func (m *Machine) codeVersions() amthi.CodeVersions {
	known := map[string]string{
		"Flash": m.profile.Version, "Netstack": m.profile.Version, "AMTApps": m.profile.Version, amthi.VersionAMT: m.profile.Version,
		amthi.VersionSKU: strconv.Itoa(int(skuVPro)), "VendorID": "8086", amthi.VersionBuild: m.profile.Build,
		"Recovery Version": m.profile.Version, "Recovery Build Num": m.profile.Build, "Legacy Mode": "False",
	}
	if ci := m.catalogue.classes["CIM_SoftwareIdentity"]; ci != nil { // what a dump brought counts
		for _, v := range m.views(ci) {
			if name := v.element.ChildText("InstanceID"); known[name] != "" {
				known[name] = v.element.ChildText("VersionString")
			}
		}
	}
	out := amthi.CodeVersions{}
	if e := m.one("CIM_BIOSElement"); e != nil {
		out.BIOS = e.ChildText("Version")
	}
	for _, name := range []string{"Flash", "Netstack", "AMTApps", amthi.VersionAMT, amthi.VersionSKU, "VendorID", amthi.VersionBuild, "Recovery Version", "Recovery Build Num", "Legacy Mode"} {
		out.Versions = append(out.Versions, amthi.CodeVersion{Name: name, Value: known[name]})
	}
	return out
}

// skuVPro is AMT, for companies: 16392, as most machines with vPro say.
const skuVPro = amthi.SKUAMT | 0x4000

func macOf(text string) (mac amthi.MAC) {
	b, err := hex.DecodeString(strings.NewReplacer("-", "", ":", "").Replace(text))
	if err == nil && len(b) == len(mac) {
		mac = amthi.MAC(b)
	}
	return mac
}

// handleSetup answers how far setup has come, and moves it.
func (m *Machine) handleSetup() {
	answer(m, amthi.GetProvisioningMode, func() amthi.ProvisioningMode { return amthi.ProvisioningMode{Mode: 1} }) // enterprise, always
	answer(m, amthi.GetProvisioningState, m.provisioningState)
	answer(m, amthi.GetControlMode, func() amthi.ControlMode { return amthi.ControlMode(m.ControlMode()) })
	answer(m, amthi.GetProvisioningTLSMode, func() amthi.TLSMode { return amthi.TLSPKI })
	answer(m, amthi.GetRNGSeedStatus, func() amthi.RNGStatus { return amthi.RNGExists })
	carryOut(m, amthi.GenerateRNGSeed, func(amthi.None) status.Status { return status.Success })
	answer(m, amthi.GetZeroTouchEnabled, func() amthi.Bool {
		return m.one("AMT_SetupAndConfigurationService").ChildText("ZeroTouchConfigurationEnabled") == "true"
	})
	amthi.Handle(&m.me.mux, amthi.GetLocalSystemAccount, func(context.Context, amthi.Reserved40) (amthi.LocalAccount, status.Status) {
		return amthi.LocalAccount{User: LocalUser, Password: m.localPassword()}, status.Success
	})
	carryOut(m, amthi.Unprovision, func(amthi.Word) status.Status {
		if !m.clientMode() {
			return status.InvalidPTMode
		}
		m.unprovisionByPC()
		return status.Success
	})
	carryOut(m, amthi.StartConfiguration, func(amthi.None) status.Status { return m.startSetup() })
	carryOut(m, amthi.StartConfigurationEx, func(v6 amthi.Bool) status.Status {
		if bool(v6) && !m.ipv6Enabled() {
			return status.NotReady
		}
		return m.startSetup()
	})
	carryOut(m, amthi.StopConfiguration, func(amthi.None) status.Status { return m.stopSetup() })
	amthi.Handle(&m.me.mux, amthi.StartConfigurationHBased, func(_ context.Context, in amthi.HostBased) (amthi.HostBasedReply, status.Status) {
		return m.beginTLSSetup(in)
	})
	carryOut(m, amthi.SetServerOTP, m.setServerOTP)
	answer(m, amthi.EnumerateHashHandles, func() (out amthi.Handles) {
		for _, h := range m.rootHashes() {
			out = append(out, h.handle)
		}
		return out
	})
	amthi.Handle(&m.me.mux, amthi.GetCertificateHash, func(_ context.Context, handle amthi.Word) (out amthi.CertificateHash, _ status.Status) {
		for _, h := range m.rootHashes() {
			if h.handle == uint32(handle) {
				return h.CertificateHash, status.Success
			}
		}
		return out, status.InvalidHandle
	})
	answer(m, amthi.GetEHBCState, func() amthi.Bool { return amthi.Bool(m.me.state().EHBC) })
	carryOut(m, amthi.SetEHBCState, func(on amthi.Bool) status.Status {
		if m.ControlMode() != ModeNone {
			return status.InvalidPTMode
		}
		m.me.change(func(s *meState) { s.EHBC = bool(on) })
		return status.Success
	})
	carryOut(m, amthi.DisableAndClear, func(amthi.None) status.Status {
		switch {
		case m.profile.Before(12, 0):
			return status.Unsupported
		case m.provisioningState() != amthi.PreProvisioning:
			return status.InvalidPTMode
		}
		m.Unprovision()
		m.mebx.change(func(s *mebxState) { s.Off = true })
		m.portsChanged()
		return status.Success
	})
	amthi.Handle(&m.me.mux, amthi.GetAuditRecord, func(context.Context, amthi.None) (amthi.AuditRecord, status.Status) { return m.setupAudit() })
}

// startSetup has the machine wait for its setup server.
func (m *Machine) startSetup() status.Status {
	switch m.provisioningState() {
	case amthi.PostProvisioning:
		return status.InvalidPTMode
	case amthi.InProvisioning:
		return status.NotPermitted // the window is open
	}
	if m.one("AMT_SetupAndConfigurationService").ChildText("ConfigurationServerFQDN") == "" && m.dhcpSuffix() == "" {
		return status.NotReady // nowhere to look for the server
	}
	m.mebx.change(func(s *mebxState) { s.Started = true })
	m.note(withCaller(context.Background(), caller{user: LocalUser}), auditlog.ProvisioningStarted)
	m.portsChanged()
	return status.Success
}

// Lengths of the one-time password. Source: spec amthi.md section 3.8.
const (
	minOTP = 8
	maxOTP = 32
)

// setServerOTP sets the password that the setup server compares.
func (m *Machine) setServerOTP(password amthi.Text) status.Status {
	switch {
	case m.ControlMode() != ModeNone:
		return status.InvalidPTMode
	case len(password) < minOTP || len(password) > maxOTP:
		return status.InvalidPassword
	}
	var field [maxOTP]byte
	copy(field[:], password)
	m.changeOne("AMT_SetupAndConfigurationService", func(e *wsman.Element) {
		set(e, "ProvisioningServerOTP", base64.StdEncoding.EncodeToString(field[:]))
	})
	return status.Success
}

// setupAudit is how the machine was set up, if that was by TLS.
func (m *Machine) setupAudit() (out amthi.AuditRecord, _ status.Status) {
	r := m.record()
	if r == nil || r.Kind != recordTLS {
		return out, status.DataMissing
	}
	out = amthi.AuditRecord{TLSMode: uint8(amthi.TLSPKI), HostInitiated: true, Algorithm: r.Algorithm, Hash: r.Hash, DefaultHash: r.DefaultHash,
		MoreSerials: len(r.Serials) > 3, TimeValid: true, ServerFQDN: r.Name}
	for i := range min(len(r.Serials), len(out.Serials)) {
		copy(out.Serials[i][:], r.Serials[i])
	}
	t := r.Time
	for i, n := range []int{t.Year(), int(t.Month()), int(t.Weekday()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		out.Time[i] = uint16(n)
	}
	return out, status.Success
}

// handleNetwork answers what the firmware knows of the network.
func (m *Machine) handleNetwork() {
	answer(m, amthi.GetDNSSuffix, func() amthi.Text { return amthi.Text(m.trustedSuffix()) })
	carryOut(m, amthi.SetDNSSuffix, func(suffix amthi.Text) status.Status {
		switch {
		case m.ControlMode() != ModeNone:
			return status.InvalidPTMode
		case len(suffix) > maxDomain || strings.ContainsAny(string(suffix), "<>&\""):
			return status.InvalidDomainName
		}
		m.changeOne("AMT_SetupAndConfigurationService", func(e *wsman.Element) { set(e, "TrustedDNSSuffix", string(suffix)) })
		return status.Success
	})
	answer(m, amthi.GetDNSSuffixList, func() (out amthi.Suffixes) {
		if e := m.one("AMT_EnvironmentDetectionSettingData"); e != nil {
			for s := range e.All("DetectionStrings") {
				out = append(out, s.TrimText())
			}
		}
		return out
	})
	answer(m, amthi.GetTCPIPParameters, func() (out amthi.TCPIP) {
		e := m.port(wiredPort)
		if e == nil {
			return out
		}
		out.DHCP = 2
		if ownAddress(e) {
			out.DHCP = 1
			out.Address, out.Mask, out.Gateway = ipv4(e.ChildText("IPAddress")), ipv4(e.ChildText("SubnetMask")), ipv4(e.ChildText("DefaultGateway"))
			out.DNS = [2]netip.Addr{ipv4(e.ChildText("PrimaryDNS")), ipv4(e.ChildText("SecondaryDNS"))}
		}
		out.Domain = m.Identity().Domain
		return out
	})
	amthi.Handle(&m.me.mux, amthi.GetLANSettings, func(_ context.Context, i amthi.Interface) (out amthi.LAN, _ status.Status) { return m.lanSettings(i) })
	amthi.Handle(&m.me.mux, amthi.GetIPv6Status, func(_ context.Context, i amthi.Interface) (out amthi.IPv6, _ status.Status) { return m.ipv6Status(i) })
	answer(m, amthi.GetConfigurationServer, func() amthi.ConfigurationServer {
		const helloPort = 9971
		return amthi.ConfigurationServer{Port: helloPort, FQDN: m.one("AMT_SetupAndConfigurationService").ChildText("ConfigurationServerFQDN")}
	})
	amthi.Handle(&m.me.mux, amthi.SetEnterpriseAccess, func(_ context.Context, in amthi.EnterpriseAccess) (amthi.None, status.Status) {
		if m.ControlMode() == ModeNone {
			return amthi.None{}, status.InvalidPTMode
		}
		m.me.change(func(s *meState) { s.VPN = in.Access })
		if !in.Access {
			return amthi.None{}, amthi.AccessNotGranted
		}
		return amthi.None{}, amthi.AccessGranted
	})
	answer(m, amthi.GetRemoteAccessStatus, m.remoteAccess)
	carryOut(m, amthi.OpenUserInitiated, func(amthi.None) status.Status { return m.userInitiated(amthi.UserInitiatedOS) })
	carryOut(m, amthi.CloseUserInitiated, func(amthi.None) status.Status {
		m.cira.mu.Lock()
		end := m.cira.tunnel
		m.cira.tunnel = nil
		m.cira.mu.Unlock()
		if end == nil {
			return m.userInitiated(amthi.UserInitiatedOS)
		}
		end()
		return status.Success
	})
	answer(m, amthi.GetUserInitiatedEnabled, m.userInitiatedFrom)
	amthi.Handle(&m.me.mux, amthi.GetCIRALog, func(_ context.Context, version amthi.LogVersion) (out amthi.CIRALog, _ status.Status) {
		if m.profile.Before(16, 0) {
			return out, status.Unsupported
		}
		return out, status.Success
	})
}

// lanSettings are those of one interface; a machine without wireless hardware refuses.
func (m *Machine) lanSettings(i amthi.Interface) (out amthi.LAN, _ status.Status) {
	id := wiredPort
	if i == amthi.Wireless {
		id = wirelessPort
	}
	e := m.port(id)
	if e == nil || i > amthi.Wireless {
		return out, status.InvalidParameter
	}
	out = amthi.LAN{Enabled: true, Address: ipv4(e.ChildText("IPAddress")), DHCP: e.ChildText("DHCPEnabled") == "true", Mode: amthi.DHCPPassive,
		LinkUp: e.ChildText("LinkIsUp") == "true", MAC: macOf(e.ChildText("MACAddress"))}
	if m.powerOf() != S0 {
		out.Mode = amthi.DHCPActive // the host is not there to do it
	}
	return out, status.Success
}

func (m *Machine) linkUp(port string) bool {
	e := m.port(port)
	return e != nil && e.ChildText("LinkIsUp") == "true"
}

// ipv6Status is the state of one interface: what is set by hand, where IPv6 is on.
func (m *Machine) ipv6Status(i amthi.Interface) (out amthi.IPv6, _ status.Status) {
	if i > amthi.Wireless || i == amthi.Wireless && m.wireless() == nil {
		return out, status.InvalidParameter
	}
	e := m.one("IPS_IPv6PortSettings")
	if e == nil || i == amthi.Wireless || !m.ipv6Enabled() {
		return out, status.Success
	}
	given := func(name string) string {
		if a, err := netip.ParseAddr(e.ChildText(name)); err == nil && !a.IsUnspecified() {
			return a.String()
		}
		return ""
	}
	out.Router, out.DNS = given("DefaultRouter"), [2]string{given("PrimaryDNS"), given("SecondaryDNS")}
	if a := given("IPv6Address"); a != "" {
		const manual, preferred = 3, 1
		out.Addresses = append(out.Addresses, amthi.IPv6Address{Address: a, Type: manual, State: preferred})
	}
	return out, status.Success
}

// Numbers of amthi.RemoteAccess.
const (
	networkDirect  amthi.NetworkStatus = 0
	networkVPN     amthi.NetworkStatus = 1
	networkOutside amthi.NetworkStatus = 2
	networkUnknown amthi.NetworkStatus = 3

	remoteConnected amthi.RemoteStatus = 2
)

// remoteAccess is the state of the tunnel to a gateway.
func (m *Machine) remoteAccess() amthi.RemoteAccess {
	out := amthi.RemoteAccess{Network: networkDirect}
	switch {
	case m.me.state().VPN:
		out.Network = networkVPN
	case m.Outside():
		out.Network = networkOutside
	case m.provisioningState() == amthi.PreProvisioning && !m.linkUp(wiredPort):
		out.Network = networkUnknown
	}
	m.cira.mu.Lock()
	open := m.cira.tunnel != nil
	m.cira.mu.Unlock()
	if open {
		out.Status = remoteConnected
		if ci := m.catalogue.classes[presenceServerClass]; ci != nil {
			for _, v := range m.views(ci) {
				out.MPS = v.element.ChildText("AccessInfo")
				break
			}
		}
	}
	return out
}

// userInitiatedFrom returns from where a user may ask for a tunnel. Source: AMT_UserInitiatedConnectionService, states
// 32768 to 32771.
func (m *Machine) userInitiatedFrom() amthi.UserInitiated {
	e := m.one("AMT_UserInitiatedConnectionService")
	if e == nil {
		return 0
	}
	const none, all = 32768, 32771
	if n := number(e.ChildText("EnabledState")); n >= none && n <= all {
		return amthi.UserInitiated(n - none)
	}
	return 0
}

// userInitiated opens a tunnel on the user's demand, or closes one that is not open. Where that is not allowed it is
// refused; where it is, it fails: this package opens no tunnels, others do.
func (m *Machine) userInitiated(from amthi.UserInitiated) status.Status {
	if m.ControlMode() == ModeNone || m.userInitiatedFrom()&from == 0 || !m.hasGateway() {
		return status.NotPermitted
	}
	return status.InternalError
}

// hasGateway reports whether a gateway is configured.
func (m *Machine) hasGateway() bool {
	ci := m.catalogue.classes[presenceServerClass]
	return ci != nil && len(m.views(ci)) > 0
}

// handleFeatures answers what is switched on, and what is going on.
func (m *Machine) handleFeatures() {
	answer(m, amthi.GetSecurityParameters, func() amthi.Security {
		r := m.redirectionOn()
		return amthi.Security{Enterprise: true, TLS: m.tlsOpen(false), HardwareCrypto: true, State: m.provisioningState(), NetworkInterface: m.ControlMode() != ModeNone,
			SOL: r&amthi.RedirectSOL != 0, IDER: r&amthi.RedirectIDER != 0, KVM: r&amthi.RedirectKVM != 0, FirmwareUpdate: true, LinkUp: m.linkUp(wiredPort)}
	})
	answer(m, amthi.GetRedirectionState, m.redirectionOn)
	answer(m, amthi.GetPowerPolicy, func() amthi.Text { return amthi.Text(m.powerScheme()) })
	answer(m, amthi.GetLastHostReset, func() (out amthi.HostReset) {
		m.power.mu.Lock()
		defer m.power.mu.Unlock()
		if r := m.power.kept.Reason; r != nil && r.Reason == reasonRemote {
			out.Reason = 1
		}
		return out
	})
	amthi.Handle(&m.me.mux, amthi.GetFeaturesState, func(_ context.Context, f amthi.Feature) (amthi.FeatureState, status.Status) { return m.featureState(f) })
}

// redirectionOn returns the kinds of redirection that are switched on.
func (m *Machine) redirectionOn() (out amthi.Redirection) {
	if e := m.one("AMT_RedirectionService"); e != nil {
		const none, all = 32768, 32771 // bit 0 IDE-R, bit 1 SOL
		if n := number(e.ChildText("EnabledState")); n >= none && n <= all {
			if n&1 != 0 {
				out |= amthi.RedirectIDER
			}
			if n&2 != 0 {
				out |= amthi.RedirectSOL
			}
		}
	}
	if e := m.one("CIM_KVMRedirectionSAP"); e != nil {
		if s := e.ChildText("EnabledState"); s == strconv.Itoa(stateEnabled) || s == strconv.Itoa(stateOffline) {
			out |= amthi.RedirectKVM
		}
	}
	return out
}

// featureState answers for one feature.
func (m *Machine) featureState(f amthi.Feature) (out amthi.FeatureState, _ status.Status) {
	out.Feature = f
	switch f {
	case amthi.FeatureRedirection:
		out.IDER, out.SOL = m.redirection.has(redir.IDER), m.redirection.has(redir.SOL)
	case amthi.FeatureSystemDefense, amthi.FeatureEAC:
	case amthi.FeatureWebUI:
		out.Active = m.webOn()
	case amthi.FeatureKVM:
		if m.redirection.has(redir.KVM) {
			out.KVM |= 1
		}
	default:
		return out, status.InvalidParameter
	}
	return out, status.Success
}

// has reports whether a session of a kind is open.
func (r *redirection) has(kind redir.Kind) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[kind] != nil
}

// powerScheme returns what the power scheme in force says of itself.
func (m *Machine) powerScheme() string {
	m.power.mu.Lock()
	id := m.power.kept.Scheme
	m.power.mu.Unlock()
	ci := m.catalogue.classes["AMT_SystemPowerScheme"]
	if ci == nil {
		return ""
	}
	text := ""
	for i, v := range m.views(ci) {
		if i == 0 || v.keys.Value("InstanceID") == id {
			text = v.element.ChildText("Description")
		}
	}
	return text
}

// unprovisionByPC is an unprovision that a program on the PC asks for without an account. Source: spec
// inventory-events-policies.md section 3.2, "unprovisioning started" by 2, the local interface of the engine.
func (m *Machine) unprovisionByPC() {
	then := lookUnprovision(context.Background(), m, nil)
	m.Unprovision()
	then(status.Success)
	const byMEI = 2
	m.note(withCaller(context.Background(), caller{user: LocalUser}), auditlog.UnprovisioningStarted, auditlog.Num(byMEI))
}
