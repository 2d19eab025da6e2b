package firmware

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Return values of ChangeBootOrder and SetBootConfigRole. A PT_STATUS is sent as 32768 and its number.
const (
	bootDone         status.Status = 0
	bootNotSupported status.Status = 1
	bootBadReference status.Status = 4
	bootBadParameter status.Status = 5
	bootVendorBase   status.Status = 32768
)

// Roles of the boot configuration.
const (
	roleUnset   uint16 = 0     // nobody has said; ours, never sent
	roleOnce    uint16 = 1     // is next, for a single use
	roleNotNext uint16 = 32768 // is not next
)

// boot is how the next boots are to go. The order (a source), the role and the options (AMT_BootSettingData, in the
// store) are set one by one, in any order, and looked at together when a boot begins.
type boot struct {
	mu   sync.Mutex // guards what follows
	kept bootState
	once *BootPlan // for the next boot, instead of everything: the old SOAP interface's
	wipe *EraseSet // what the boot that is under way erases; nil for nothing
}

// bootState is what outlives a restart.
type bootState struct {
	Source string `json:",omitempty"` // InstanceID of the CIM_BootSourceSetting chosen
	Role   uint16 `json:",omitempty"`
	OCR    uint16 `json:",omitempty"` // bits of CIM_BootService.EnabledState: 1 recovery boot, 2 platform erase
}

func (b *boot) dump() (json.RawMessage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == (bootState{}) {
		return nil, nil
	}
	return json.Marshal(b.kept)
}

func (b *boot) load(text json.RawMessage) error {
	var kept bootState
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = kept
	return nil
}

// Boot sources. Source: spec power-and-boot.md section 4.1.
const (
	sourcePrefix = "Intel(r) AMT: Force "
	sourceDisk   = sourcePrefix + "Hard-drive Boot"
	sourcePXE    = sourcePrefix + "PXE Boot"
	sourceCD     = sourcePrefix + "CD/DVD Boot"
	sourceDiag   = sourcePrefix + "Diagnostic Boot"
	sourceHTTPS  = sourcePrefix + "OCR UEFI HTTPS Boot"
	sourceOption = sourcePrefix + "OCR UEFI Boot Option " // and a number from 1 to 10
)

// sourceOf reads the InstanceID of a boot source.
func sourceOf(id string) (source BootSource, option uint8, ok bool) {
	switch id {
	case sourceDisk:
		return BootDisk, 0, true
	case sourcePXE:
		return BootPXE, 0, true
	case sourceCD:
		return BootCD, 0, true
	case sourceDiag:
		return BootDiagnostic, 0, true
	case sourceHTTPS:
		return BootHTTPS, 0, true
	}
	if number, found := strings.CutPrefix(id, sourceOption); found {
		n, err := strconv.ParseUint(number, 10, 8)
		return BootLocalApp, uint8(n), err == nil && n >= 1 && n <= 10
	}
	return 0, 0, false
}

// storedPlan is the Plan of a boot that WS-Management asked for: it puts order, role and options together, and clears
// them, as they are for one boot.
func (m *Machine) storedPlan() BootPlan {
	m.noteRemote()
	m.boot.mu.Lock()
	kept, once := m.boot.kept, m.boot.once
	m.boot.once = nil
	if kept.Role != roleNotNext {
		m.boot.kept.Source, m.boot.kept.Role = "", roleUnset
	}
	m.boot.mu.Unlock()
	if once != nil {
		return *once
	}
	if kept.Role == roleNotNext {
		return BootPlan{}
	}
	_, d := m.settings()
	m.clearOptions()
	var p BootPlan
	if kept.Role == roleOnce { // without it the options have no effect; the order has, as fence_amt_ws relies on
		p = planOf(&d)
		p.PlatformErase = p.PlatformErase && kept.OCR&2 != 0
		if p.PlatformErase {
			m.boot.mu.Lock()
			m.boot.wipe = new(p.EraseSet())
			m.boot.mu.Unlock()
		}
	}
	if source, option, ok := sourceOf(kept.Source); ok && p.Source == BootDefault {
		p.Source, p.Option = source, option
	}
	return p
}

// registerBoot gives the classes around booting their life.
func registerBoot(t *table) {
	t.class("AMT_BootSettingData").onPut = putBootSettings
	t.class("AMT_BootCapabilities").patch = patchCapabilities
	t.class("CIM_BootSourceSetting").instances = bootSources
	t.class("CIM_BootService").patch = func(m *Machine, e *wsman.Element) {
		if m.hasOCR() {
			m.boot.mu.Lock()
			defer m.boot.mu.Unlock()
			set(e, "EnabledState", itoa(roleNotNext|m.boot.kept.OCR)) // 32768 and two bits
		}
	}
	class.Handle(&t.methods, cim.BootConfigSettingChangeBootOrder, changeBootOrder)
	class.Handle(&t.methods, cim.BootServiceSetBootConfigRole, setBootConfigRole)
	class.Handle(&t.methods, cim.BootServiceRequestStateChange, changeBootService)
}

// hasOCR reports whether the release knows recovery boot.
func (m *Machine) hasOCR() bool { return !m.profile.Before(15, 0) }

// consentNeeded is the return value where the user must agree first.
const consentNeeded = bootVendorBase + status.UserConsentRequired

// changeBootOrder chooses a source for the next boot, or none. Only the first of several counts.
func changeBootOrder(_ context.Context, m *Machine, _ wsman.Selectors, in cim.BootConfigSettingChangeBootOrderIn) (out cim.BootConfigSettingChangeBootOrderOut, _ status.Status, _ error) {
	id := ""
	if len(in.Source) > 0 {
		ref := in.Source[0]
		if ref.Class() != "CIM_BootSourceSetting" {
			return out, bootBadReference, nil
		}
		v, err := m.resolve(&ref)
		if err != nil {
			return out, bootBadReference, nil
		}
		id = v.keys.Value("InstanceID")
		m.boot.mu.Lock()
		ocr := m.boot.kept.OCR&1 != 0
		m.boot.mu.Unlock()
		c := m.capabilities()
		if source, _, ok := sourceOf(id); !ok || !canBoot(&c, source, ocr) {
			return out, bootNotSupported, nil
		}
		if !m.consent.given(m) {
			return out, consentNeeded, nil
		}
	}
	m.boot.mu.Lock()
	defer m.boot.mu.Unlock()
	m.boot.kept.Source = id
	return out, bootDone, nil
}

// setBootConfigRole says whether the boot configuration is for the next boot.
func setBootConfigRole(_ context.Context, m *Machine, _ wsman.Selectors, in cim.BootServiceSetBootConfigRoleIn) (out cim.BootServiceSetBootConfigRoleOut, _ status.Status, _ error) {
	if in.BootConfigSetting == nil || in.Role == nil {
		return out, bootBadParameter, nil
	}
	if _, err := m.resolve(in.BootConfigSetting); err != nil || in.BootConfigSetting.Class() != "CIM_BootConfigSetting" {
		return out, bootBadReference, nil
	}
	role := uint16(*in.Role)
	switch {
	case role != roleOnce && role != roleNotNext:
		return out, bootNotSupported, nil
	case role == roleOnce && !m.consent.given(m):
		return out, consentNeeded, nil
	}
	m.boot.mu.Lock()
	defer m.boot.mu.Unlock()
	m.boot.kept.Role = role
	return out, bootDone, nil
}

// changeBootService switches recovery boot and platform erase on and off.
func changeBootService(_ context.Context, m *Machine, _ wsman.Selectors, in cim.BootServiceRequestStateChangeIn) (out cim.BootServiceRequestStateChangeOut, _ status.Status, _ error) {
	state := uint16(class.Value(in.RequestedState))
	if state < roleNotNext || state > roleNotNext+3 {
		return out, bootBadParameter, nil
	}
	bits, c := state&3, m.capabilities()
	if bits != 0 && !m.hasOCR() || bits&2 != 0 && class.Value(c.PlatformErase)&1 == 0 {
		return out, bootNotSupported, nil
	}
	m.boot.mu.Lock()
	defer m.boot.mu.Unlock()
	m.boot.kept.OCR = bits
	return out, bootDone, nil
}

// patchBootRole shows the role in CIM_ElementSettingData.IsNext.
func patchBootRole(m *Machine, e *wsman.Element) {
	if _, ok := settingOf(e, "CIM_BootConfigSetting"); !ok {
		return
	}
	m.boot.mu.Lock()
	defer m.boot.mu.Unlock()
	next := cim.ElementSettingDataIsNextIsNotNext
	if m.boot.kept.Role == roleOnce {
		next = cim.ElementSettingDataIsNextIsNextForSingleUse
	}
	set(e, "IsNext", itoa(next))
}

// forgetBoot drops what was chosen for the next boot, as happens when the user's consent ends.
func (m *Machine) forgetBoot() {
	m.boot.mu.Lock()
	m.boot.kept.Source, m.boot.kept.Role, m.boot.once = "", roleUnset, nil
	m.boot.mu.Unlock()
	m.changeSettings(clearOptionElements)
}
