package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A fake is a machine in memory: instances, a few methods, and a power state that changes by plan.
type fake struct {
	mu        sync.Mutex
	instances map[string][]wsman.Element // by class
	absent    map[string]bool            // classes that it does not know
	state     Power
	available []Power
	coming    []change
	calls     []string                 // "Get CIM_X", "CIM_Y.Method"
	refuse    map[string]status.Status // by method
	fail      func(req *wsman.Request) error
	reaction  func(f *fake, want Power) // to a power request; nil: the state follows after a second
	order     string                    // boot source, "" none
	role      cim.BootServiceSetBootConfigRoleRole
	records   []string // event log, newest first
	skew      time.Duration
}

type change struct {
	at    time.Time
	state Power
}

func newFake() *fake {
	f := &fake{
		instances: map[string][]wsman.Element{}, absent: map[string]bool{}, refuse: map[string]status.Status{},
		state: PowerOn, available: []Power{PowerReset, PowerOff, PowerCycleSoft, PowerNMI, PowerSleepDeep, PowerHibernate, PowerResetGraceful, PowerOffGraceful},
		role: cim.BootServiceSetBootConfigRoleRoleIsNotNext,
	}
	f.put(&ips.PowerManagementService{Name: new("Intel(r) AMT Power Management Service"), OSPowerSavingState: new(osFullPower)})
	f.put(&ips.HostBootReason{InstanceID: new("Intel(r) AMT:Host Boot Reason"), Reason: new(ips.HostBootReasonReasonOther), PreviousSxState: new(uint32(5))})
	f.put(&amt.BootCapabilities{InstanceID: new("Intel(r) AMT:BootCapabilities 0"), IDER: new(true), SOL: new(true), BIOSSetup: new(true),
		ForcePXEBoot: new(true), ForceHardDriveBoot: new(true), ForceCDorDVDBoot: new(true), ForceUEFIHTTPSBoot: new(true)})
	f.put(&amt.BootSettingData{InstanceID: new("Intel(r) AMT:BootSettingData 0"), ElementName: new("Intel(r) AMT Boot Configuration Settings"),
		UseSOL: new(false), UseSafeMode: new(false), BIOSSetup: new(false), UseIDER: new(false), BootMediaIndex: new(uint16(0)),
		FirmwareVerbosity: new(amt.BootSettingDataFirmwareVerbosity(0)), IDERBootDevice: new(amt.BootSettingDataIDERBootDeviceFloppy),
		OptionsCleared: new(true), BIOSLastStatus: []uint16{2, 0}, UEFIHTTPSBootEnabled: new(true), WinREBootEnabled: new(false),
		BootguardStatus: new(uint32(127)), OwningEntity: new("owner"), UefiBootNumberOfParams: new(uint32(0)), RPEEnabled: new(false)})
	f.put(&cim.BootService{Name: new("Intel(r) AMT Boot Service"), EnabledState: new(cim.BootServiceEnabledStateOCREnabledRPEDisabled)})
	f.put(&ips.OptInService{Name: new("Intel(r) AMT OptIn Service"), OptInRequired: new(ips.OptInServiceOptInRequiredNone),
		OptInState: new(ips.OptInServiceOptInStateNotStarted), CanModifyOptInPolicy: new(ips.OptInServiceCanModifyOptInPolicyYes)})
	f.put(&amt.GeneralSettings{InstanceID: new("Intel(r) AMT: General Settings"), HostName: new("desk-7"), DomainName: new("example.org")})
	for id, version := range map[string]string{"AMT": "16.1.27", "Build Number": "2192", "Sku": "16392", "Flash": "16.1.27"} {
		f.put(&cim.SoftwareIdentity{InstanceID: new(id), VersionString: new(version)})
	}
	f.put(&cim.Chassis{CreationClassName: new("CIM_Chassis"), Tag: new("CIM_Chassis"), Manufacturer: new("Maker"), Model: new("Model 1 "), SerialNumber: new("S123")})
	f.put(&cim.BIOSElement{Name: new("Primary BIOS"), Version: new("M1AKT48A")})
	f.put(&cim.ComputerSystemPackage{PlatformGUID: new("13AEE355D2BFBB6117A088AEDD7037EA")})
	f.put(&amt.SetupAndConfigurationService{Name: new("setup"), ProvisioningState: new(amt.SetupAndConfigurationServiceProvisioningStatePost),
		ProvisioningMode: new(amt.SetupAndConfigurationServiceProvisioningModeAdminControlMode)})
	f.put(&ips.HostBasedSetupService{Name: new("host"), CurrentControlMode: new(ips.ControlModeAdmin)})
	f.put(&amt.RedirectionService{Name: new("redir"), ListenerEnabled: new(true), EnabledState: new(amt.RedirectionServiceEnabledStateIDERAndSOLEnabled)})
	f.put(&cim.KVMRedirectionSAP{Name: new("kvm"), EnabledState: new(cim.EnabledState(2))})
	f.put(&ips.KVMRedirectionSettingData{InstanceID: new("kvm"), Is5900PortEnabled: new(false)})
	f.put(&amt.WebUIService{Name: new("web"), EnabledState: new(cim.EnabledState(3))})
	f.put(&amt.TLSSettingData{InstanceID: new(networkTLS), Enabled: new(true), MutualAuthentication: new(false), AcceptNonSecureConnections: new(true)})
	f.put(&amt.TLSSettingData{InstanceID: new("Intel(r) AMT LMS TLS Settings"), Enabled: new(false), AcceptNonSecureConnections: new(true)})
	f.put(&amt.MessageLog{Name: new("Intel(r) AMT:MessageLog 1"), CurrentNumberOfRecords: new(uint64(3)), MaxNumberOfRecords: new(uint64(390)), OverwritePolicy: new(uint16(2))})
	f.put(&amt.AuditLog{Name: new("Intel(r) AMT:Audit Log"), PercentageFree: new(uint32(92)), AuditState: new(amt.AuditLogAuditStateEnabled)})
	f.put(&amt.EthernetPortSettings{InstanceID: new("Intel(r) AMT Ethernet Port Settings 0"), LinkIsUp: new(true), DHCPEnabled: new(true), IPAddress: new("10.1.2.3")})
	f.records = []string{progress(1)}
	return f
}

// progress is an event record of the BIOS (sensor type 15).
func progress(at byte) string {
	return base64.StdEncoding.EncodeToString([]byte{at, 1, 1, 1, 255, 15, 0x6f, 2, 0x68, 1, 255, 34, 0, 0x40, 0x13, 0, 0, 0, 0, 0, 0})
}

func (f *fake) put(v class.Instance) {
	f.instances[v.ClassName()] = append(f.instances[v.ClassName()], v.Element())
}

// change edits the only instance of a class.
func edit[T any, P class.Pointer[T]](t *testing.T, f *fake, how func(*T)) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	v := new(T)
	name := P(nil).ClassName()
	if err := P(v).Decode(&f.instances[name][0]); err != nil {
		t.Fatal(err)
	}
	how(v)
	f.instances[name][0] = P(v).Element()
}

func (f *fake) called(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// power returns the state by now. The caller holds mu.
func (f *fake) power() Power {
	for len(f.coming) > 0 && !time.Now().Before(f.coming[0].at) {
		f.state = f.coming[0].state
		f.coming = f.coming[1:]
	}
	return f.state
}

func (f *fake) in(after time.Duration, state Power) {
	f.coming = append(f.coming, change{time.Now().Add(after), state})
}

// RoundTrip answers as a machine would, without XML in between for the envelope.
func (f *fake) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := wsman.ClassName(req.ResourceURI)
	verb := wsman.ClassName(req.Action)
	if strings.HasPrefix(req.Action, req.ResourceURI) {
		f.calls = append(f.calls, name+"."+verb)
	} else {
		f.calls = append(f.calls, verb+" "+name)
	}
	if f.fail != nil {
		if err := f.fail(req); err != nil {
			return nil, err
		}
	}
	body, err := f.answer(ctx, req, name, verb)
	if err != nil {
		return nil, err
	}
	return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, RelatesTo: req.MessageID, ResourceURI: req.ResourceURI, Body: body}, nil
}

// ServeWSMan makes the fake a server too.
func (f *fake) ServeWSMan(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	return f.RoundTrip(ctx, req)
}

func (f *fake) answer(ctx context.Context, req *wsman.Request, name, verb string) (*wsman.Element, error) {
	have := f.instances[name]
	switch name {
	case "CIM_AssociatedPowerManagementService":
		now := &cim.AssociatedPowerManagementService{PowerState: new(f.power()), AvailableRequestedPowerStates: f.available}
		have = []wsman.Element{now.Element()}
	case "CIM_ElementSettingData":
		next := cim.ElementSettingDataIsNextIsNotNext
		if f.role == cim.BootServiceSetBootConfigRoleRoleIsNextSingleUse {
			next = cim.ElementSettingDataIsNextIsNextForSingleUse
		}
		link := &cim.ElementSettingData{SettingData: new(wsman.Ref("CIM_BootConfigSetting", "InstanceID", bootConfig)),
			ManagedElement: new(managedSystem), IsNext: new(next)}
		have = []wsman.Element{link.Element()}
	}
	method := strings.HasPrefix(req.Action, req.ResourceURI)
	if f.absent[name] || have == nil && !method {
		return nil, wsman.ErrDestinationUnreachable
	}
	switch req.Action {
	case wsman.ActionGet:
		return new(have[0]), nil
	case wsman.ActionPut:
		f.instances[name][0] = *req.Body
		return req.Body, nil
	case wsman.ActionEnumerate:
		return new(wsman.Group(wsman.NSEnumeration, "EnumerateResponse", wsman.El(wsman.NSEnumeration, "EnumerationContext", "1"))), nil
	case wsman.ActionPull:
		items := wsman.Group(wsman.NSEnumeration, "Items", have...)
		return new(wsman.Group(wsman.NSEnumeration, "PullResponse", items, wsman.El(wsman.NSEnumeration, "EndOfSequence", ""))), nil
	}
	out, found, err := methods.Invoke(ctx, f, name, verb, req.Selectors, req.Body)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, wsman.ErrActionNotSupported
	}
	return &out, nil
}

var methods = func() *class.Mux[*fake] {
	mux := &class.Mux[*fake]{}
	class.Handle(mux, cim.PowerManagementServiceRequestPowerStateChange, func(_ context.Context, f *fake, _ wsman.Selectors, in cim.PowerManagementServiceRequestPowerStateChangeIn) (out cim.PowerManagementServiceRequestPowerStateChangeOut, code status.Status, err error) {
		if code := f.refuse["RequestPowerStateChange"]; code != 0 {
			return out, code, nil
		}
		if f.reaction != nil {
			f.reaction(f, *in.PowerState)
			return out, 0, nil
		}
		switch want := *in.PowerState; want {
		case PowerCycleSoft:
			f.in(time.Second, PowerOff)
			f.in(4*time.Second, PowerOn)
		case PowerReset, PowerResetGraceful, PowerNMI:
		case PowerOffGraceful:
			f.in(20*time.Second, PowerOff)
		default:
			f.in(time.Second, want)
		}
		return out, 0, nil
	})
	class.Handle(mux, ips.PowerManagementServiceRequestOSPowerSavingStateChange, func(_ context.Context, f *fake, _ wsman.Selectors, in ips.PowerManagementServiceRequestOSPowerSavingStateChangeIn) (out ips.PowerManagementServiceRequestOSPowerSavingStateChangeOut, code status.Status, err error) {
		v := ips.PowerManagementService{Name: new("x"), OSPowerSavingState: in.OSPowerSavingState}
		f.instances["IPS_PowerManagementService"] = []wsman.Element{v.Element()}
		return out, 0, nil
	})
	class.Handle(mux, cim.BootConfigSettingChangeBootOrder, func(_ context.Context, f *fake, _ wsman.Selectors, in cim.BootConfigSettingChangeBootOrderIn) (out cim.BootConfigSettingChangeBootOrderOut, code status.Status, err error) {
		if f.order = ""; len(in.Source) > 0 {
			if code := f.refuse["ChangeBootOrder"]; code != 0 {
				return out, code, nil
			}
			f.order = in.Source[0].Selectors.Value("InstanceID")
		}
		return out, 0, nil
	})
	class.Handle(mux, cim.BootServiceSetBootConfigRole, func(_ context.Context, f *fake, _ wsman.Selectors, in cim.BootServiceSetBootConfigRoleIn) (out cim.BootServiceSetBootConfigRoleOut, code status.Status, err error) {
		f.role = *in.Role
		return out, f.refuse["SetBootConfigRole"], nil
	})
	class.Handle(mux, amt.MessageLogPositionToFirstRecord, func(_ context.Context, f *fake, _ wsman.Selectors, _ amt.MessageLogPositionToFirstRecordIn) (out amt.MessageLogPositionToFirstRecordOut, code status.Status, err error) {
		out.IterationIdentifier = new("1")
		return out, 0, nil
	})
	class.Handle(mux, amt.MessageLogGetRecords, func(_ context.Context, f *fake, _ wsman.Selectors, _ amt.MessageLogGetRecordsIn) (out amt.MessageLogGetRecordsOut, code status.Status, err error) {
		out.IterationIdentifier, out.NoMoreRecords, out.RecordArray = new("1"), new(true), f.records
		return out, 0, nil
	})
	class.Handle(mux, amt.TimeSynchronizationServiceGetLowAccuracyTimeSynch, func(_ context.Context, f *fake, _ wsman.Selectors, _ amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchIn) (out amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchOut, code status.Status, err error) {
		out.Ta0 = new(uint32(time.Now().Add(f.skew).Unix()))
		return out, 0, nil
	})
	return mux
}()

// A site is a fake behind HTTP with digest, on a plain and a TLS listener. Config.Dial leads AMT's ports there.
type site struct {
	fake   *fake
	server string // header
	plain  *httptest.Server
	secure *httptest.Server
	cert   *x509.Certificate
	soap   func(path, soapAction string, body []byte) (int, []byte)

	mu     sync.Mutex
	closed map[int]error // ports that do not answer
	dials  atomic.Int32
}

const testRealm = "Digest:00112233445566778899AABBCCDDEEFF"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{fake: newFake(), server: "Intel(R) Active Management Technology 16.1.27", closed: map[int]error{}}
	guard := digest.NewServer(testRealm, digest.ServerOptions{})
	ha1 := digest.HA1("admin", testRealm, "secret")
	var ids atomic.Uint64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", s.server)
		if r.URL.Path == "/" {
			w.Header().Set("Location", "/logon.htm")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		_, err := guard.Admit(r.Header.Get("Authorization"), r.Method, r.URL.RequestURI(), body, func(user string) ([16]byte, bool) { return ha1, user == "admin" })
		if err != nil {
			w.Header().Set("WWW-Authenticate", guard.Challenge(false).String())
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/wsman" {
			code, reply := http.StatusNotFound, []byte(nil)
			if s.soap != nil {
				code, reply = s.soap(r.URL.Path, r.Header.Get("SOAPAction"), body)
			}
			w.WriteHeader(code)
			w.Write(reply)
			return
		}
		code, reply := wsman.Serve(r.Context(), s.fake, body, func() string { return wsman.MessageID(ids.Add(1)) })
		w.Header().Set("Content-Type", "application/soap+xml; charset=UTF-8")
		w.WriteHeader(code)
		w.Write(reply)
	})
	s.plain = httptest.NewServer(handler)
	s.secure = httptest.NewUnstartedServer(handler)
	s.secure.Config.ErrorLog = nil
	key, cert := selfSigned(t, "desk-7", time.Now().Add(-time.Hour), time.Now().Add(24*365*time.Hour))
	s.cert = cert
	s.secure.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	s.secure.StartTLS()
	t.Cleanup(func() { s.plain.Close(); s.secure.Close() })
	return s
}

func (s *site) close(port int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed[port] = err
}

// dial is a Config.Dial.
func (s *site) dial(ctx context.Context, port int) (net.Conn, error) {
	s.dials.Add(1)
	s.mu.Lock()
	err := s.closed[port]
	s.mu.Unlock()
	if err == errSilent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	at := s.plain.Listener.Addr().String()
	if port == PortHTTPS || port == PortRedirectionTLS {
		at = s.secure.Listener.Addr().String()
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", at)
}

// acceptAll trusts whoever shows up.
func acceptAll(context.Context, *x509.Certificate, error) bool { return true }

var errSilent = fmt.Errorf("no answer at all")

// client returns a Client of the site, closed at the end of the test.
func (s *site) client(t *testing.T, how func(*Config)) *Client {
	t.Helper()
	cfg := Config{Address: "desk-7", Dial: s.dial, Password: "secret", ConnectTimeout: 10 * time.Second}
	cfg.TLS.Pin = Fingerprint(s.cert)
	if how != nil {
		how(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func selfSigned(t *testing.T, name string, from, until time.Time) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// kinds returns the checks of a doctor by name.
func byName(checks []Check, name string) Check {
	i := slices.IndexFunc(checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		return Check{}
	}
	return checks[i]
}

func selfSignedRSA(t *testing.T, name string) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(365 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}
