package firmware

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/tlv"
	"github.com/outband/outband/wire/wsman"
)

// settings returns the stored AMT_BootSettingData and its typed form, with the password that is never given back.
func (m *Machine) settings() (stored *instance, d amt.BootSettingData) {
	ci := m.catalogue.classes["AMT_BootSettingData"]
	if ci == nil {
		return nil, d
	}
	list := m.store.of(ci)
	if len(list) == 0 || d.Decode(&list[0].element) != nil {
		return nil, amt.BootSettingData{}
	}
	if hidden := firstNamed(list[0].hidden, "RSEPassword"); hidden != nil {
		d.RSEPassword = &hidden.Text
	}
	return list[0], d
}

// changeSettings changes AMT_BootSettingData. Secrets are forgotten.
func (m *Machine) changeSettings(change func(e *wsman.Element)) {
	for {
		stored, _ := m.settings()
		if stored == nil {
			return
		}
		e := stored.element
		e.Children = slices.Clone(e.Children)
		change(&e)
		stored.class.Order(e.Children)
		if m.store.update(stored.class, stored, stored.class.instance(e)) {
			return
		}
	}
}

// planOf translates the options.
func planOf(d *amt.BootSettingData) BootPlan {
	p := BootPlan{
		Medium:         class.Value(d.BootMediaIndex),
		Setup:          class.Value(d.BIOSSetup),
		Pause:          class.Value(d.BIOSPause),
		SafeMode:       class.Value(d.UseSafeMode),
		SOL:            class.Value(d.UseSOL),
		Reflash:        class.Value(d.ReflashBIOS),
		BypassPassword: class.Value(d.UserPasswordBypass),
		ResetConfig:    class.Value(d.ConfigurationDataReset),
		SecureBoot:     class.Value(d.EnforceSecureBoot) || !class.Value(d.SecureBootControlEnabled),
		ProgressEvents: class.Value(d.ForcedProgressEvents),
		Verbosity:      uint8(class.Value(d.FirmwareVerbosity)),
		LockPower:      class.Value(d.LockPowerButton),
		LockReset:      class.Value(d.LockResetButton),
		LockKeyboard:   class.Value(d.LockKeyboard),
		LockSleep:      class.Value(d.LockSleepButton),
		SecureErase:    class.Value(d.SecureErase),
		PlatformErase:  class.Value(d.PlatformErase) && class.Value(d.RPEEnabled),
	}
	if p.SecureErase {
		p.ErasePassword = Secret(class.Value(d.RSEPassword))
	}
	p.Params, _ = tlv.Parse(d.UefiBootParametersArray) // checked when it was put
	if class.Value(d.UseIDER) {
		p.Source = BootIDERFloppy
		if class.Value(d.IDERBootDevice) == 1 {
			p.Source = BootIDERCD
		}
	}
	return p
}

// options are the properties of AMT_BootSettingData that act on one boot, and what each needs of the BIOS.
var options = []struct {
	name  string
	needs func(*amt.BootCapabilities) bool // nil for nothing
}{
	{"BIOSPause", func(c *amt.BootCapabilities) bool { return class.Value(c.BIOSPause) }},
	{"BIOSSetup", func(c *amt.BootCapabilities) bool { return class.Value(c.BIOSSetup) }},
	{"ConfigurationDataReset", func(c *amt.BootCapabilities) bool { return class.Value(c.ConfigurationDataReset) }},
	{"EnforceSecureBoot", func(c *amt.BootCapabilities) bool { return class.Value(c.BIOSSecureBoot) }},
	{"ForcedProgressEvents", func(c *amt.BootCapabilities) bool { return class.Value(c.ForcedProgressEvents) }},
	{"LockKeyboard", func(c *amt.BootCapabilities) bool { return class.Value(c.KeyboardLock) }},
	{"LockPowerButton", func(c *amt.BootCapabilities) bool { return class.Value(c.PowerButtonLock) }},
	{"LockResetButton", func(c *amt.BootCapabilities) bool { return class.Value(c.ResetButtonLock) }},
	{"LockSleepButton", func(c *amt.BootCapabilities) bool { return class.Value(c.SleepButtonLock) }},
	{"PlatformErase", func(c *amt.BootCapabilities) bool { return class.Value(c.PlatformErase)&1 != 0 }},
	{"ReflashBIOS", func(c *amt.BootCapabilities) bool { return class.Value(c.BIOSReflash) }},
	{"SecureErase", func(c *amt.BootCapabilities) bool { return class.Value(c.SecureErase) }},
	{"UseIDER", func(c *amt.BootCapabilities) bool { return class.Value(c.IDER) }},
	{"UseSOL", func(c *amt.BootCapabilities) bool { return class.Value(c.SOL) }},
	{"UseSafeMode", func(c *amt.BootCapabilities) bool { return class.Value(c.ForceHardDriveSafeModeBoot) }},
	{"UserPasswordBypass", func(c *amt.BootCapabilities) bool { return class.Value(c.UserPasswordBypass) }},
	{"FirmwareVerbosity", nil},
	{"BootMediaIndex", nil},
	{"IDERBootDevice", nil},
	{"UefiBootNumberOfParams", nil},
}

// clearOptions resets what acts on one boot, once the BIOS has it.
func (m *Machine) clearOptions() {
	m.changeSettings(func(e *wsman.Element) {
		clearOptionElements(e)
		if e.Child("BIOSLastStatus") != nil {
			set(e, "BIOSLastStatus", "1", "0") // in progress
		}
	})
}

func clearOptionElements(e *wsman.Element) {
	for _, o := range options {
		if child := e.Child(o.name); child != nil {
			zero := "0"
			if text := child.TrimText(); text == "true" || text == "false" {
				zero = "false"
			}
			set(e, o.name, zero)
		}
	}
	set(e, "UefiBootParametersArray")
	set(e, "OptionsCleared", "true")
}

// booted notes what the BIOS says at the end of a boot.
func (b *boot) booted(m *Machine, r BootResult) {
	m.changeSettings(func(e *wsman.Element) {
		if word := e.Child("BIOSLastStatus"); word != nil && word.TrimText() == "1" {
			set(e, "BIOSLastStatus", itoa(r.Status), itoa(r.Error))
		}
	})
	b.mu.Lock()
	wipe := b.wipe
	b.wipe = nil
	b.mu.Unlock()
	if wipe != nil {
		m.erased(*wipe, r)
	}
}

// badValue is the fault for a Put of what the machine cannot do. Source: DSP0226 14.6, wxf:InvalidRepresentation.
func badValue() error { return wsman.ErrInvalidRepresentation.With(faultDetail + "InvalidValues") }

// putBootSettings judges a Put of AMT_BootSettingData. An option that the release does not have may be sent as off, as
// MeshCommander sends EnforceSecureBoot to every release, and is not kept; asked for, it is refused.
func putBootSettings(_ context.Context, m *Machine, old, want *wsman.Element) error {
	var d amt.BootSettingData
	if err := d.Decode(want); err != nil {
		return wsman.ErrInvalidRepresentation.With(err.Error())
	}
	c := m.capabilities()
	asked := false
	for _, o := range options {
		text := want.ChildText(o.name)
		on := text != "" && text != "false" && text != "0"
		asked = asked || on
		has := old.Child(o.name) != nil
		if on && (!has || o.needs != nil && !o.needs(&c)) {
			return badValue()
		}
		if !has {
			set(want, o.name)
		}
	}
	if v := uint8(class.Value(d.FirmwareVerbosity)); v > 3 || v == 1 && !class.Value(c.VerbosityQuiet) ||
		v == 2 && !class.Value(c.VerbosityVerbose) || v == 3 && !class.Value(c.VerbosityScreenBlank) {
		return badValue()
	}
	if class.Value(d.IDERBootDevice) > 1 {
		return badValue()
	}
	if _, err := tlv.Parse(d.UefiBootParametersArray); err != nil {
		return wsman.ErrInvalidRepresentation.With(err.Error())
	}
	if !goodErase(&d, &c) {
		return badValue()
	}
	if password := class.Value(d.RSEPassword); len(password) > 32 || strings.IndexFunc(password, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return badValue()
	}
	asked = asked || d.UefiBootParametersArray != nil
	if asked && !m.consent.given(m) {
		return &status.Error{Op: "AMT_BootSettingData.Put", Code: status.UserConsentRequired}
	}
	set(want, "OptionsCleared", strconv.FormatBool(!asked))
	return nil
}

// capabilities returns what the BIOS can do.
func (m *Machine) capabilities() (c amt.BootCapabilities) {
	if ci := m.catalogue.classes["AMT_BootCapabilities"]; ci != nil {
		if v, err := m.find(ci, nil); err == nil && c.Decode(&v.element) == nil {
			return c
		}
	}
	return amt.BootCapabilities{}
}

// canBoot reports whether the BIOS boots from a source when asked to.
func canBoot(c *amt.BootCapabilities, source BootSource, ocr bool) bool {
	switch source {
	case BootDisk:
		return class.Value(c.ForceHardDriveBoot)
	case BootPXE:
		return class.Value(c.ForcePXEBoot)
	case BootCD:
		return class.Value(c.ForceCDorDVDBoot)
	case BootDiagnostic:
		return class.Value(c.ForceDiagnosticBoot)
	case BootHTTPS:
		return ocr && class.Value(c.ForceUEFIHTTPSBoot)
	case BootLocalApp:
		return ocr && (class.Value(c.ForceUEFIPBABoot) || class.Value(c.ForceWinREBoot))
	}
	return false
}

// patchCapabilities adds what recent releases can do, unless a dump of a real machine says itself.
func patchCapabilities(m *Machine, e *wsman.Element) {
	add := func(name, value string) {
		if e.Child(name) == nil {
			set(e, name, value)
		}
	}
	if m.hasOCR() {
		for _, name := range []string{"ForceUEFIHTTPSBoot", "ForceUEFIPBABoot", "ForceWinREBoot", "AMTSecureBootControl"} {
			add(name, "true")
		}
	}
	if !m.profile.Before(16, 0) {
		add("PlatformErase", strconv.FormatUint(1|1<<2|1<<6|1<<25|1<<31, 10))
	}
}

// bootSources returns the stored sources and, on recent releases, those of recovery boot.
func bootSources(m *Machine) []wsman.Element {
	ci := m.catalogue.classes["CIM_BootSourceSetting"]
	var out []wsman.Element
	real := false
	for _, i := range m.store.of(ci) {
		e := i.element
		e.Children = slices.Clone(e.Children)
		out = append(out, e)
		real = real || strings.Contains(e.ChildText("InstanceID"), "OCR")
	}
	if real || !m.hasOCR() {
		return out
	}
	add := func(id string, more ...wsman.Element) {
		e := wsman.Group(ci.uri, ci.Name,
			wsman.El(ci.uri, "ElementName", "Intel(r) AMT: Boot Source"),
			wsman.El(ci.uri, "FailThroughSupported", "2"),
			wsman.El(ci.uri, "InstanceID", id))
		e.Children = append(e.Children, more...)
		out = append(out, e)
	}
	add(sourceHTTPS, wsman.El(ci.uri, "StructuredBootString", "CIM:Network:2"))
	for i, kind := range []string{"WinRe", "PBA"} {
		add(sourceOption+strconv.Itoa(i+1),
			wsman.El(ci.uri, "BIOSBootString", kind),
			wsman.El(ci.uri, "BootString", `HD(1,GPT)/\EFI\`+kind+`\boot.efi`))
	}
	return out
}
