package firmware

import (
	"context"
	"net/http"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// registerSOAP gives releases up to 8 the services of before WS-Management, as far as amttool and fence_amt use them.
// Power and boot go through the same doors as with WS-Management. Source: spec soap-eoi.md.
func registerSOAP(t *table) {
	for service, realms := range map[soap.Service]RealmSet{
		soap.SecurityAdministration: Realms(RealmGeneralInfo, RealmRemoteControl),
		soap.NetworkAdministration:  Realms(RealmGeneralInfo, RealmRemoteControl),
		soap.RemoteControl:          Realms(RealmRemoteControl),
	} {
		t.route(service.Path(), route{on: (*Machine).speaksSOAP, realms: realms, serve: serveSOAP})
	}
}

// speaksSOAP reports whether the release has the interface and AMT_GeneralSettings.WsmanOnlyMode has not switched it off.
func (m *Machine) speaksSOAP() bool {
	general := m.one("AMT_GeneralSettings")
	return m.profile.SOAP && (general == nil || general.ChildText("WsmanOnlyMode") != "true")
}

// soapMethods are the methods of all services.
var soapMethods = sync.OnceValue(func() *soap.Mux[*Machine] {
	mux := &soap.Mux[*Machine]{}
	handle := func(service soap.Service, method string, h soap.Handler[*Machine]) {
		mux.Handle(service, method, func(ctx context.Context, m *Machine, call *soap.Call) ([]wsman.Element, status.Status, error) {
			if code := m.soapRefusal(service, method); code != status.Success {
				return nil, code, nil
			}
			return h(ctx, m, call)
		})
	}
	text := func(service soap.Service, method, param string, value func(m *Machine) string) {
		handle(service, method, func(_ context.Context, m *Machine, _ *soap.Call) ([]wsman.Element, status.Status, error) {
			return []wsman.Element{wsman.El(service.Space(), param, value(m))}, status.Success, nil
		})
	}
	text(soap.SecurityAdministration, "GetCoreVersion", "Version", func(m *Machine) string { return m.profile.Version })
	text(soap.NetworkAdministration, "GetHostName", "HostName", func(m *Machine) string { return m.Identity().HostName })
	text(soap.NetworkAdministration, "GetDomainName", "DomainName", func(m *Machine) string { return m.Identity().Domain })
	text(soap.RemoteControl, "GetSystemPowerState", "SystemPowerState", func(m *Machine) string { return itoa(m.powerOf()) })
	handle(soap.RemoteControl, "GetRemoteControlCapabilities", soapCapabilities)
	handle(soap.RemoteControl, "RemoteControl", soapRemoteControl)
	handle(soap.NetworkAdministration, "EnumerateInterfaces", soapInterfaces)
	handle(soap.NetworkAdministration, "GetInterfaceSettings", soapInterface)
	handle(soap.NetworkAdministration, "SetInterfaceSettings", soapSetInterface)
	return mux
})

func serveSOAP(ctx context.Context, m *Machine, r *request) reply {
	if r.method != http.MethodPost {
		a := page(http.StatusMethodNotAllowed, "Method Not Allowed", "Only POST is served here.")
		a.close = true
		return a
	}
	code, body := soapMethods().Serve(ctx, m, r.path, r.body)
	return reply{
		status:      code,
		contentType: "text/xml; charset=UTF-8",
		header:      []string{"Cache-Control: no-cache", "Expires: Thu, 26 Oct 1995 00:00:00 GMT"},
		body:        body,
		chunked:     true,
		close:       code != http.StatusOK,
	}
}

// one returns the one instance of a class as it is read now, or nil.
func (m *Machine) one(class string) *wsman.Element {
	ci := m.catalogue.classes[class]
	if ci == nil {
		return nil
	}
	v, err := m.find(ci, nil)
	if err != nil {
		return nil
	}
	return &v.element
}

// bit returns mask if b points to true.
func bit[N ~uint16 | ~uint32](b *bool, mask N) N {
	if class.Value(b) {
		return mask
	}
	return 0
}

func soapCapabilities(_ context.Context, m *Machine, _ *soap.Call) ([]wsman.Element, status.Status, error) {
	c := m.capabilities()
	out := soap.Capabilities{
		IANA:    soap.IANAIntel,
		OEM:     bit[uint32](c.IDER, soap.OEMIDER) | bit[uint32](c.SOL, soap.OEMSOL) | bit[uint32](c.BIOSReflash, soap.OEMReflash) | bit[uint32](c.BIOSSetup, soap.OEMSetup) | bit[uint32](c.BIOSPause, soap.OEMPause),
		Special: bit[uint32](c.ForcePXEBoot, soap.CanPXE) | bit[uint32](c.ForceHardDriveBoot, soap.CanHD) | bit[uint32](c.ForceHardDriveSafeModeBoot, soap.CanHDSafe) | bit[uint32](c.ForceDiagnosticBoot, soap.CanDiag) | bit[uint32](c.ForceCDorDVDBoot, soap.CanCD),
		System:  soap.CanCycle | soap.CanPowerDown | soap.CanPowerUp | soap.CanReset,
		Firmware: bit[uint32](c.PowerButtonLock, soap.OptionLockPower) | bit[uint32](c.ResetButtonLock, soap.OptionLockReset) |
			bit[uint32](c.KeyboardLock, soap.OptionLockKeyboard) | bit[uint32](c.SleepButtonLock, soap.OptionLockSleep) |
			bit[uint32](c.UserPasswordBypass, soap.OptionBypassPassword) | bit[uint32](c.ForcedProgressEvents, soap.OptionProgressEvents) |
			bit[uint32](c.VerbosityQuiet, soap.OptionQuiet) | bit[uint32](c.VerbosityVerbose, soap.OptionVerbose) |
			bit[uint32](c.ConfigurationDataReset, soap.OptionResetConfig),
	}
	return out.Params(), status.Success, nil
}

// soapRemoteControl changes power. Boot parts act on the boot of this command alone; a command without any goes by what
// WS-Management has set.
func soapRemoteControl(ctx context.Context, m *Machine, call *soap.Call) ([]wsman.Element, status.Status, error) {
	r, err := soap.ParseRemoteControl(call)
	if err != nil {
		return nil, 0, err
	}
	plan, code := m.soapPlan(&r)
	if code != status.Success {
		return nil, code, nil
	}
	if r.HasOptions && !m.consent.given(m) {
		return nil, status.UserConsentRequired, nil
	}
	var want cim.PowerState
	switch r.Command {
	case soap.Reset:
		want = cim.PowerStateMasterBusReset
	case soap.PowerUp:
		want = cim.PowerStateOn
	case soap.PowerDown:
		want = cim.PowerStateOffSoft
		if r.HasOptions {
			return nil, status.InvalidParameter, nil
		}
	case soap.PowerCycle:
		want = cim.PowerStateCycleSoft
	case soap.SetBootOptions:
		m.boot.mu.Lock()
		m.boot.once = &plan
		m.boot.mu.Unlock()
		return nil, status.Success, nil
	default:
		return nil, status.InvalidCommand, nil
	}
	how := m.storedPlan
	if r.HasOptions {
		how = func() BootPlan {
			m.storedPlan() // used up as well
			return plan
		}
	}
	switch code := m.requestPower(ctx, want, how); code {
	case powerAccepted:
		return nil, status.Success, nil
	case powerNotNow:
		return nil, status.NotPermitted, nil // which code it is on real machines is not known
	default:
		return nil, code, nil
	}
}

// soapPlan translates the boot parts of a command, and refuses what the machine cannot do.
func (m *Machine) soapPlan(r *soap.RemoteControlRequest) (p BootPlan, code status.Status) {
	intel := r.IANA == soap.IANAIntel
	switch {
	case !intel && r.IANA != soap.IANAASF:
		return p, status.UnsupportedOEMNumber
	case !r.Special.Known():
		return p, status.InvalidSpecialCommand
	case r.Command == soap.SetBootOptions && !intel:
		return p, status.InvalidCommand
	case (r.Special == soap.IntelOEM || r.OEMParameters != 0) && !intel, r.OEMParameters > soap.OEMUseSOL:
		return p, status.InvalidParameter
	}
	c := m.capabilities()
	for _, o := range []struct {
		asked, can bool
		set        *bool
	}{
		{r.BootOptions&soap.OptionLockPower != 0, class.Value(c.PowerButtonLock), &p.LockPower},
		{r.BootOptions&soap.OptionLockReset != 0, class.Value(c.ResetButtonLock), &p.LockReset},
		{r.BootOptions&soap.OptionLockKeyboard != 0, class.Value(c.KeyboardLock), &p.LockKeyboard},
		{r.BootOptions&soap.OptionLockSleep != 0, class.Value(c.SleepButtonLock), &p.LockSleep},
		{r.BootOptions&soap.OptionBypassPassword != 0, class.Value(c.UserPasswordBypass), &p.BypassPassword},
		{r.BootOptions&soap.OptionProgressEvents != 0, class.Value(c.ForcedProgressEvents), &p.ProgressEvents},
		{r.BootOptions&soap.OptionResetConfig != 0, class.Value(c.ConfigurationDataReset), &p.ResetConfig},
		{r.OEMParameters == soap.OEMUseSOL, class.Value(c.SOL), &p.SOL},
		{r.Special == soap.ForceHDSafe, class.Value(c.ForceHardDriveSafeModeBoot), &p.SafeMode},
		{r.Special == soap.IntelOEM && r.SpecialParam&soap.OEMReflash != 0, class.Value(c.BIOSReflash), &p.Reflash},
		{r.Special == soap.IntelOEM && r.SpecialParam&soap.OEMSetup != 0, class.Value(c.BIOSSetup), &p.Setup},
		{r.Special == soap.IntelOEM && r.SpecialParam&soap.OEMPause != 0, class.Value(c.BIOSPause), &p.Pause},
	} {
		if o.asked && !o.can {
			return p, status.UnsupportedBootOption
		}
		*o.set = o.asked
	}
	switch verbosity := uint8(r.BootOptions >> 13 & 3); {
	case verbosity == 1 && !class.Value(c.VerbosityQuiet), verbosity == 2 && !class.Value(c.VerbosityVerbose), verbosity == 3 && !class.Value(c.VerbosityScreenBlank):
		return p, status.UnsupportedBootOption
	default:
		p.Verbosity = verbosity
	}
	switch r.Special {
	case soap.ForcePXE:
		p.Source = BootPXE
	case soap.ForceHD, soap.ForceHDSafe:
		p.Source = BootDisk
	case soap.ForceDiag:
		p.Source = BootDiagnostic
	case soap.ForceCD:
		p.Source = BootCD
	case soap.IntelOEM:
		if r.SpecialParam&soap.OEMIDER == 0 {
			return p, status.Success
		}
		if !class.Value(c.IDER) {
			return p, status.UnsupportedBootOption
		}
		p.Source = BootIDERFloppy
		if r.SpecialParam&soap.OEMIDERCD != 0 {
			p.Source = BootIDERCD
		}
		return p, status.Success
	}
	if p.Source != BootDefault && !canBoot(&c, p.Source, false) {
		return p, status.UnsupportedBootOption
	}
	return p, status.Success
}
