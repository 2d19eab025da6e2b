package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// A BootDevice is what the next boot starts from, once.
type BootDevice string

// The devices. Which of them a machine has its BIOS tells; see [Client.BootStatus].
const (
	BootNone        BootDevice = "none"        // as the BIOS is set up: takes a choice back
	BootPXE         BootDevice = "pxe"         // network
	BootDisk        BootDevice = "disk"        //
	BootSafeDisk    BootDevice = "disk-safe"   // disk, in safe mode
	BootCD          BootDevice = "cd"          // local CD or DVD
	BootBIOS        BootDevice = "bios"        // stop in the setup
	BootDiagnostics BootDevice = "diag"        // until 7.0
	BootIDERCD      BootDevice = "ider-cd"     // redirected CD: the IDE-R session must be open
	BootIDERFloppy  BootDevice = "ider-floppy" // redirected floppy
	BootHTTPS       BootDevice = "https"       // One-Click Recovery from a URL, 15 and newer
	BootWinRE       BootDevice = "winre"       // Windows recovery, 15 and newer
	BootPBA         BootDevice = "pba"         // local boot application, 15 and newer
)

// BootDevices lists all devices.
func BootDevices() []BootDevice {
	return []BootDevice{BootNone, BootPXE, BootDisk, BootSafeDisk, BootCD, BootBIOS, BootDiagnostics, BootIDERCD, BootIDERFloppy, BootHTTPS, BootWinRE, BootPBA}
}

// ParseBootDevice takes a device, in any case, and the words other tools have for it. Errors wrap [ErrUsage].
func ParseBootDevice(word string) (BootDevice, error) {
	word = strings.ToLower(strings.ReplaceAll(word, "_", "-"))
	if d, ok := map[string]BootDevice{
		"hd": BootDisk, "hdd": BootDisk, "hdsafe": BootSafeDisk, "network": BootPXE, "cdrom": BootCD, "dvd": BootCD, "setup": BootBIOS,
		"diagnostics": BootDiagnostics, "ider-cdrom": BootIDERCD, "http": BootHTTPS, "default": BootNone, "clear": BootNone,
	}[word]; ok {
		return d, nil
	}
	if d := BootDevice(word); slices.Contains(BootDevices(), d) {
		return d, nil
	}
	return "", fmt.Errorf("%w: unknown boot device %q", ErrUsage, word)
}

// A BootRequest says how to boot next.
type BootRequest struct {
	Device BootDevice
	Index  uint16 // of several disks or CD drives: 0 default, 1 first, 2 second

	// For BootHTTPS: where the image is, and how to log in there. At most 300 octets of URL.
	URL, User, Password string `json:"-"`

	// More for BootHTTPS, and for BootWinRE and BootPBA which of the BIOS's options.
	Recovery RecoveryOptions `json:"-"`

	Options BootOptions `json:"-"` // what else is special about this boot

	SOL bool // serial console during this boot

	// Also sets further options before they are written: verbosity, locks, pause. May be nil.
	Also func(*amt.BootSettingData) `json:"-"`

	Now  bool          // start it: on if the machine is off, reset if it is on or asleep
	Wait time.Duration // for the start; see [ActOptions]

	Patience time.Duration // with a machine that is not ready for the start; see [ActOptions]
}

// A BootResult is what came of a [BootRequest].
type BootResult struct {
	Device BootDevice
	Status BootStatus   // read back before the start
	Power  *PowerResult // if it was to start now
}

// BootStatus is what a machine tells about its next boot. AMT does not tell which source was chosen by
// ChangeBootOrder; Device is what the options say, and "" if they say nothing.
type BootStatus struct {
	Device     BootDevice
	Armed      *bool                // the options act on the next boot; nil: not told
	Options    *amt.BootSettingData // as read
	Supported  []BootDevice         // what the BIOS says it can
	LastStatus string               // of the boot before, 15 and newer; "" if not told
}

// Names of the instances that boot control has. Source: spec power-and-boot.md section 4.1.
const (
	bootConfig  = "Intel(r) AMT: Boot Configuration 0"
	sourceDisk  = "Intel(r) AMT: Force Hard-drive Boot"
	sourcePXE   = "Intel(r) AMT: Force PXE Boot"
	sourceCD    = "Intel(r) AMT: Force CD/DVD Boot"
	sourceDiag  = "Intel(r) AMT: Force Diagnostic Boot"
	sourceHTTPS = "Intel(r) AMT: Force OCR UEFI HTTPS Boot"
)

// Boot sets what the next boot starts from, once, and starts it if asked to. What the BIOS does not support, and
// missing consent, are refused before anything is changed. The order is that of all consoles: clear the source, write
// the options, give the role, choose the source; then the options are read back and compared. If a step fails after
// the options were written the role is taken back, as far as the machine lets it, so that nothing half set is left for
// the next boot.
//
// AMT keeps no lasting choice: after one boot all is cleared. Options act only on a boot that AMT starts. If the start
// fails the choice stays, for the next one.
func (c *Client) Boot(ctx context.Context, req BootRequest) (BootResult, error) {
	res := BootResult{Device: req.Device}
	fail := func(err error) (BootResult, error) { return res, fmt.Errorf("boot %s: %w", req.Device, err) }
	view, err := c.bootView(ctx)
	if err != nil {
		return fail(err)
	}
	if err := view.offers(req.Device); err != nil {
		return fail(err)
	}
	if req.SOL && !class.Value(view.caps.SOL) {
		return fail(fmt.Errorf("%w: the BIOS does not support serial redirection (AMT_BootCapabilities.SOL)", ErrUnsupported))
	}
	if err := req.Options.check(view); err != nil {
		return fail(err)
	}
	if err := view.consented(); err != nil && req.Device != BootNone {
		return fail(err)
	}
	verb := On
	if req.Now {
		if verb, err = c.bootVerb(ctx); err != nil {
			return fail(err)
		}
	}
	source, params, err := c.bootSource(ctx, req)
	if err != nil {
		return fail(err)
	}
	options := req.options(view.options, params)
	if res.Status, err = c.applyBoot(ctx, view, options, source, req.Device != BootNone); err != nil {
		return fail(err)
	}
	if !req.Now {
		return res, nil
	}
	power, err := c.Act(ctx, verb, &ActOptions{Wait: req.Wait, Patience: req.Patience})
	res.Power = &power
	if err != nil {
		return fail(err)
	}
	return res, nil
}

// consented reports missing user consent: in client control mode, or where the policy says all.
func (v *bootView) consented() error {
	if v.consent == nil || class.Value(v.consent.OptInRequired) != ips.OptInServiceOptInRequiredAll {
		return nil
	}
	switch class.Value(v.consent.OptInState) {
	case ips.OptInServiceOptInStateReceived, ips.OptInServiceOptInStateInSession:
		return nil
	}
	return fmt.Errorf("%w for boot options: the machine is in client control mode or its policy asks for consent", ErrConsent)
}

// bootVerb returns how a boot is started from the state of the machine, if it offers that. A machine that is merely
// asleep would go on where it was when switched on.
func (c *Client) bootVerb(ctx context.Context) (Verb, error) {
	now, err := c.powerState(ctx)
	if err != nil {
		return "", err
	}
	verb := On
	if now.State == PowerOn || now.State == PowerSleepLight || now.State == PowerSleepDeep {
		verb = Reset
	}
	p, _ := verb.plan()
	_, err = p.choose(verb, now, false)
	return verb, err
}

// bootSource returns the source to choose, nil for none, and the parameters of a recovery boot.
func (c *Client) bootSource(ctx context.Context, req BootRequest) (source *wsman.EPR, params *recoveryParams, err error) {
	ref := func(id string) *wsman.EPR { return new(wsman.Ref("CIM_BootSourceSetting", "InstanceID", id)) }
	switch req.Device {
	case BootPXE:
		return ref(sourcePXE), nil, nil
	case BootDisk, BootSafeDisk:
		return ref(sourceDisk), nil, nil
	case BootCD:
		return ref(sourceCD), nil, nil
	case BootDiagnostics:
		return ref(sourceDiag), nil, nil
	case BootHTTPS:
		params, err = c.httpsParams(ctx, req)
		return ref(sourceHTTPS), params, err
	case BootWinRE, BootPBA:
		id, params, err := c.localRecovery(ctx, req.Device, req.Recovery.Number)
		return ref(id), params, err
	}
	return nil, nil, nil
}

// options returns the options to write: those of the request on top of what must be sent back. Elements that the
// firmware does not want to see in a Put are left out. Source: spec power-and-boot.md section 4.3.
func (req BootRequest) options(read *amt.BootSettingData, params *recoveryParams) *amt.BootSettingData {
	out := *read
	out.OptionsCleared, out.BIOSLastStatus, out.BootguardStatus, out.RPEEnabled = nil, nil, nil, nil
	out.WinREBootEnabled, out.UEFILocalPBABootEnabled, out.UEFIHTTPSBootEnabled, out.SecureBootControlEnabled = nil, nil, nil, nil
	out.UefiBootParametersArray, out.RSEPassword = nil, nil
	for _, flag := range []**bool{&out.UseSOL, &out.UseSafeMode, &out.ReflashBIOS, &out.BIOSSetup, &out.BIOSPause, &out.LockPowerButton,
		&out.LockResetButton, &out.LockKeyboard, &out.LockSleepButton, &out.UserPasswordBypass, &out.ForcedProgressEvents,
		&out.ConfigurationDataReset, &out.UseIDER, &out.SecureErase, &out.PlatformErase} {
		if *flag != nil {
			*flag = new(false)
		}
	}
	if out.UefiBootNumberOfParams != nil {
		out.UefiBootNumberOfParams = new(uint32(0))
	}
	out.BootMediaIndex = new(req.Index)
	out.FirmwareVerbosity = new(amt.BootSettingDataFirmwareVerbosity(0))
	out.UseSOL, out.UseIDER, out.BIOSSetup, out.UseSafeMode = new(req.SOL), new(false), new(req.Device == BootBIOS), new(req.Device == BootSafeDisk)
	out.IDERBootDevice = new(amt.BootSettingDataIDERBootDeviceFloppy)
	switch req.Device {
	case BootIDERCD:
		out.UseIDER, out.IDERBootDevice = new(true), new(amt.BootSettingDataIDERBootDeviceCD)
	case BootIDERFloppy:
		out.UseIDER = new(true)
	}
	if params != nil {
		out.UefiBootNumberOfParams, out.UefiBootParametersArray = new(params.count), params.array
		out.BootMediaIndex = new(uint16(0))
	}
	req.Options.apply(&out)
	if req.Also != nil {
		req.Also(&out)
	}
	return &out
}

// applyBoot writes, in the order that works, and reads back.
func (c *Client) applyBoot(ctx context.Context, before *bootView, options *amt.BootSettingData, source *wsman.EPR, arm bool) (status BootStatus, err error) {
	if err := c.bootOrder(ctx, nil); err != nil {
		return status, err
	}
	if _, err := class.Put(ctx, c, options); err != nil {
		return status, err
	}
	defer func() {
		if err != nil && arm && !errors.Is(err, ErrIndeterminate) && ctx.Err() == nil {
			c.bootRole(ctx, cim.BootServiceSetBootConfigRoleRoleIsNotNext) // its failure adds nothing to err
		}
	}()
	role := cim.BootServiceSetBootConfigRoleRoleIsNextSingleUse
	if !arm {
		role = cim.BootServiceSetBootConfigRoleRoleIsNotNext
	}
	if err := c.bootRole(ctx, role); err != nil && (arm || !refused(err)) { // before 7.0 the role cannot be taken back
		return status, err
	}
	if source != nil {
		if err := c.bootOrder(ctx, source); err != nil {
			return status, err
		}
	}
	now := *before
	err = together(
		func() (err error) { now.options, err = class.Get[amt.BootSettingData](ctx, c); return err },
		func() (err error) { now.armed, err = c.bootArmed(ctx); return err })
	if err != nil {
		return status, fmt.Errorf("read back: %w", err)
	}
	if lost := differ(options, now.options); lost != "" {
		return status, fmt.Errorf("%w: the machine did not keep the option %s", ErrNotReached, lost)
	}
	return now.status(), nil
}

// bootOrder chooses the source; nil clears it: the parameter is left out then, as an empty one is refused.
func (c *Client) bootOrder(ctx context.Context, source *wsman.EPR) error {
	var in cim.BootConfigSettingChangeBootOrderIn
	if source != nil {
		in.Source = []wsman.EPR{*source}
	}
	_, err := cim.BootConfigSettingChangeBootOrder.Invoke(ctx, c, in, wsman.Selector{Name: "InstanceID", Value: bootConfig})
	return err
}

func (c *Client) bootRole(ctx context.Context, role cim.BootServiceSetBootConfigRoleRole) error {
	in := cim.BootServiceSetBootConfigRoleIn{BootConfigSetting: new(wsman.Ref("CIM_BootConfigSetting", "InstanceID", bootConfig)), Role: new(role)}
	_, err := cim.BootServiceSetBootConfigRole.Invoke(ctx, c, in)
	return err
}

// differ returns the first option that was written and reads otherwise, "" if none does. Parameters of a recovery
// boot and passwords are not given back, and not compared.
func differ(written, read *amt.BootSettingData) string {
	got := read.Element()
	want := written.Element()
	for i := range want.Children {
		w := &want.Children[i]
		switch w.Local {
		case "UefiBootNumberOfParams", "UefiBootParametersArray", "RSEPassword", "EnforceSecureBoot", "OwningEntity", "ElementName", "InstanceID":
			continue
		}
		if g := got.Child(w.Local); g != nil && g.TrimText() != w.TrimText() {
			return w.Local
		}
	}
	return ""
}
