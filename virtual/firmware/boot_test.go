package firmware_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/tlv"
	"github.com/outband/outband/wire/wsman"
)

const (
	disk  = "Intel(r) AMT: Force Hard-drive Boot"
	pxe   = "Intel(r) AMT: Force PXE Boot"
	cd    = "Intel(r) AMT: Force CD/DVD Boot"
	https = "Intel(r) AMT: Force OCR UEFI HTTPS Boot"
	pba   = "Intel(r) AMT: Force OCR UEFI Boot Option 2"
)

// order chooses boot sources, none for "".
func (w *world) order(t *testing.T, sources ...string) status.Status {
	t.Helper()
	var in cim.BootConfigSettingChangeBootOrderIn
	for _, s := range sources {
		if s != "" {
			in.Source = append(in.Source, wsman.Ref("CIM_BootSourceSetting", "InstanceID", s))
		}
	}
	_, err := cim.BootConfigSettingChangeBootOrder.Invoke(t.Context(), w, in)
	return code(t, err)
}

func (w *world) role(t *testing.T, role cim.BootServiceSetBootConfigRoleRole) status.Status {
	t.Helper()
	config := wsman.Ref("CIM_BootConfigSetting", "InstanceID", "Intel(r) AMT: Boot Configuration 0")
	_, err := cim.BootServiceSetBootConfigRole.Invoke(t.Context(), w, cim.BootServiceSetBootConfigRoleIn{BootConfigSetting: &config, Role: &role})
	return code(t, err)
}

func (w *world) settings(t *testing.T) *amt.BootSettingData {
	t.Helper()
	d, err := class.Get[amt.BootSettingData](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// put reads, changes and writes AMT_BootSettingData, read-only properties and all.
func (w *world) put(t *testing.T, change func(d *amt.BootSettingData)) error {
	t.Helper()
	d := w.settings(t)
	change(d)
	_, err := class.Put(t.Context(), w, d)
	return err
}

func isNext(t *testing.T, w *world) cim.ElementSettingDataIsNext {
	t.Helper()
	list, err := class.All[cim.ElementSettingData](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.SettingData.Class() == "CIM_BootConfigSetting" {
			return class.Value(s.IsNext)
		}
	}
	t.Fatal("no CIM_ElementSettingData of the boot configuration")
	return 0
}

// The orders of calls that clients make, and what comes of them. Source: spec power-and-boot.md section 4.4.
func TestBootSequences(t *testing.T) {
	setup := func(d *amt.BootSettingData) { d.BIOSSetup = new(true) }
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, w *world)
		want firmware.BootPlan
	}{
		{"nothing set", func(t *testing.T, w *world) { w.role(t, 1) }, firmware.BootPlan{}},
		{"MeshCommander, PXE", func(t *testing.T, w *world) {
			w.order(t)
			w.put(t, func(*amt.BootSettingData) {})
			w.role(t, 1)
			w.order(t, pxe)
		}, firmware.BootPlan{Source: firmware.BootPXE}},
		{"MeshCommander, setup", func(t *testing.T, w *world) {
			w.order(t)
			w.put(t, setup)
			w.role(t, 1)
			w.order(t)
		}, firmware.BootPlan{Setup: true}},
		{"nomis, order first", func(t *testing.T, w *world) {
			w.order(t, cd)
			w.role(t, 1)
		}, firmware.BootPlan{Source: firmware.BootCD}},
		{"iamt", func(t *testing.T, w *world) {
			w.put(t, func(d *amt.BootSettingData) { d.UseSOL = new(true); d.BootMediaIndex = new(uint16(1)) })
			w.role(t, 1)
			w.order(t, disk)
		}, firmware.BootPlan{Source: firmware.BootDisk, Medium: 1, SOL: true}},
		{"fence_amt_ws, no role at all", func(t *testing.T, w *world) { w.order(t, pxe) }, firmware.BootPlan{Source: firmware.BootPXE}},
		{"options without the role", func(t *testing.T, w *world) { w.put(t, setup) }, firmware.BootPlan{}},
		{"role taken back", func(t *testing.T, w *world) {
			w.put(t, setup)
			w.role(t, 1)
			w.order(t, pxe)
			w.role(t, 32768)
		}, firmware.BootPlan{}},
		{"order taken back", func(t *testing.T, w *world) {
			w.role(t, 1)
			w.order(t, pxe)
			w.order(t)
		}, firmware.BootPlan{}},
		{"only the first source counts", func(t *testing.T, w *world) {
			w.role(t, 1)
			w.order(t, cd, pxe)
		}, firmware.BootPlan{Source: firmware.BootCD}},
		{"IDE-R wins over a source", func(t *testing.T, w *world) {
			w.put(t, func(d *amt.BootSettingData) {
				d.UseIDER, d.IDERBootDevice = new(true), new(amt.BootSettingDataIDERBootDevice(1))
			})
			w.role(t, 1)
			w.order(t, pxe)
		}, firmware.BootPlan{Source: firmware.BootIDERCD}},
		{"all the rest", func(t *testing.T, w *world) {
			w.put(t, func(d *amt.BootSettingData) {
				d.UseIDER, d.ReflashBIOS, d.LockKeyboard, d.UserPasswordBypass, d.ForcedProgressEvents = new(true), new(true), new(true), new(true), new(true)
			})
			w.role(t, 1)
		}, firmware.BootPlan{Source: firmware.BootIDERFloppy, Reflash: true, LockKeyboard: true, BypassPassword: true, ProgressEvents: true}},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{}, pc.Options{})
			tt.do(t, w)
			if got := w.request(t, cim.PowerStateOn); got != 0 {
				t.Fatalf("power on: ReturnValue %d", got)
			}
			w.settle()
			if diff := cmp.Diff(tt.want, w.pc.LastBoot().Plan); diff != "" {
				t.Errorf("first boot, want, got:\n%s", diff)
			}
			if tt.name == "role taken back" {
				return // what is kept back is kept
			}
			// It was for one boot.
			w.request(t, cim.PowerStateMasterBusReset)
			w.settle()
			if boot := w.pc.LastBoot(); boot.Number != 2 || boot.Plan.Source != 0 || boot.Plan.Setup || boot.Plan.SOL {
				t.Errorf("second boot: %+v", boot)
			}
		})
	}
}

// The options are there until a boot that was asked for remotely has begun; then they are cleared.
func TestBootOptionsAreForOneBoot(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		if got := isNext(t, w); got != 2 {
			t.Errorf("IsNext at first %v, want 2", got)
		}
		if err := w.put(t, func(d *amt.BootSettingData) { d.UseSOL = new(true) }); err != nil {
			t.Fatal(err)
		}
		w.role(t, 1)
		w.order(t, pxe)
		if d := w.settings(t); *d.OptionsCleared || !*d.UseSOL || !slices.Equal(d.BIOSLastStatus, []uint16{2, 0}) || isNext(t, w) != 3 {
			t.Errorf("set: cleared %v, UseSOL %v, status %d, IsNext %v", *d.OptionsCleared, *d.UseSOL, d.BIOSLastStatus, isNext(t, w))
		}
		w.pc.Person().Press() // not asked for remotely: nothing of it counts
		w.settle()
		if d, boot := w.settings(t), w.pc.LastBoot(); *d.OptionsCleared || !*d.UseSOL || boot.From != firmware.BootDisk || boot.Plan.SOL {
			t.Errorf("after a boot by hand: cleared %v, UseSOL %v, booted %+v", *d.OptionsCleared, *d.UseSOL, boot)
		}
		if got := w.request(t, cim.PowerStateCycleSoft); got != 0 {
			t.Fatalf("cycle: ReturnValue %d", got)
		}
		w.settle()
		d, boot := w.settings(t), w.pc.LastBoot()
		if boot.From != firmware.BootPXE || !boot.Plan.SOL {
			t.Errorf("booted %+v", boot)
		}
		if !*d.OptionsCleared || *d.UseSOL || !slices.Equal(d.BIOSLastStatus, []uint16{0, 0}) || isNext(t, w) != 2 {
			t.Errorf("afterwards: cleared %v, UseSOL %v, status %d, IsNext %v", *d.OptionsCleared, *d.UseSOL, d.BIOSLastStatus, isNext(t, w))
		}
	})
}

// What is set between the request and the boot counts for this boot: all is looked at when it begins.
func TestBootOptionsDuringCycle(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true})
		w.request(t, cim.PowerStateCycleSoft)
		w.order(t, pxe)
		w.settle()
		if boot := w.pc.LastBoot(); boot.From != firmware.BootPXE {
			t.Errorf("booted %+v, want PXE", boot)
		}
	})
}

func TestGracefulResetThatNeverComesKeepsOptions(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{On: true, Deaf: true})
		w.put(t, func(d *amt.BootSettingData) { d.BIOSSetup = new(true) })
		w.role(t, 1)
		w.request(t, cim.PowerStateMasterBusResetGraceful)
		w.settle()
		if d := w.settings(t); !*d.BIOSSetup {
			t.Error("the options are gone and no boot was")
		}
	})
}

func TestPutBootSettings(t *testing.T) {
	for _, tt := range []struct {
		name       string
		generation int
		change     func(d *amt.BootSettingData)
		want       error
	}{
		{"as it was read", 0, func(*amt.BootSettingData) {}, nil},
		{"something it can do", 0, func(d *amt.BootSettingData) { d.BIOSSetup = new(true) }, nil},
		{"something it cannot do", 0, func(d *amt.BootSettingData) { d.BIOSPause = new(true) }, wsman.ErrInvalidRepresentation},
		{"power button lock", 0, func(d *amt.BootSettingData) { d.LockPowerButton = new(true) }, wsman.ErrInvalidRepresentation},
		{"safe mode", 0, func(d *amt.BootSettingData) { d.UseSafeMode = new(true) }, wsman.ErrInvalidRepresentation},
		{"verbosity", 0, func(d *amt.BootSettingData) { d.FirmwareVerbosity = new(amt.BootSettingDataFirmwareVerbosity(2)) }, wsman.ErrInvalidRepresentation},
		{"secure erase", 0, func(d *amt.BootSettingData) { d.SecureErase = new(true) }, wsman.ErrInvalidRepresentation},
		{"platform erase", 16, func(d *amt.BootSettingData) { d.PlatformErase = new(true) }, nil},
		{"secure boot", 16, func(d *amt.BootSettingData) { d.EnforceSecureBoot = new(true) }, nil},
		{"secure boot before release 15", 12, func(d *amt.BootSettingData) { d.EnforceSecureBoot = new(true) }, wsman.ErrInvalidRepresentation},
		{"platform erase before release 16", 12, func(d *amt.BootSettingData) { d.PlatformErase = new(true) }, wsman.ErrInvalidRepresentation},
		{"drive of IDE-R", 0, func(d *amt.BootSettingData) { d.IDERBootDevice = new(amt.BootSettingDataIDERBootDevice(2)) }, wsman.ErrInvalidRepresentation},
		{"long password", 0, func(d *amt.BootSettingData) { d.RSEPassword = new(strings.Repeat("x", 33)) }, wsman.ErrSchemaValidation},
		{"parameters", 16, func(d *amt.BootSettingData) {
			d.UefiBootParametersArray = tlv.Text(tlv.NetworkPath, "https://x/").Append(nil)
		}, nil},
		{"broken parameters", 16, func(d *amt.BootSettingData) { d.UefiBootParametersArray = []byte{1, 2, 3} }, wsman.ErrInvalidRepresentation},
	} {
		inBubble(t, tt.name, func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: tt.generation}, pc.Options{})
			before := w.settings(t)
			err := w.put(t, tt.change)
			if (err == nil) != (tt.want == nil) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if tt.want == nil {
				return
			}
			if diff := cmp.Diff(before, w.settings(t)); diff != "" {
				t.Errorf("refused, and yet changed:\n%s", diff)
			}
		})
	}
	inBubble(t, "off what the release does not have", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 12}, pc.Options{})
		err := w.put(t, func(d *amt.BootSettingData) { d.EnforceSecureBoot, d.BIOSSetup = new(false), new(true) })
		if d := w.settings(t); err != nil || d.EnforceSecureBoot != nil || !*d.BIOSSetup {
			t.Errorf("%v; EnforceSecureBoot %v, BIOSSetup %v", err, d.EnforceSecureBoot, *d.BIOSSetup)
		}
	})
	inBubble(t, "read-only properties", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		err := w.put(t, func(d *amt.BootSettingData) {
			d.BIOSLastStatus, d.OwningEntity, d.RPEEnabled = []uint16{7, 7}, new("me"), new(false)
		})
		if d := w.settings(t); err != nil || !slices.Equal(d.BIOSLastStatus, []uint16{2, 0}) || *d.OwningEntity != "Intel(r) AMT" || !*d.RPEEnabled {
			t.Errorf("%v; status %d, owner %q, RPEEnabled %v", err, d.BIOSLastStatus, *d.OwningEntity, *d.RPEEnabled)
		}
	})
}

func TestBootMethodRefusals(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{}, pc.Options{})
		if got := w.order(t, "Intel(r) AMT: Force Nothing Boot"); got != 4 {
			t.Errorf("unknown source: %d, want 4", got)
		}
		if got := w.order(t, https); got != 4 {
			t.Errorf("HTTPS source on release 12: %d, want 4", got)
		}
		if got := w.role(t, 2); got != 1 {
			t.Errorf("role default: %d, want 1", got)
		}
		other := wsman.Ref("CIM_BootConfigSetting", "InstanceID", "Intel(r) AMT: Boot Configuration 7")
		_, err := cim.BootServiceSetBootConfigRole.Invoke(t.Context(), w, cim.BootServiceSetBootConfigRoleIn{BootConfigSetting: &other, Role: new(cim.BootServiceSetBootConfigRoleRole(1))})
		if got := code(t, err); got != 4 {
			t.Errorf("unknown configuration: %d, want 4", got)
		}
		_, err = cim.BootServiceRequestStateChange.Invoke(t.Context(), w, cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(32769))})
		if got := code(t, err); got != 1 {
			t.Errorf("recovery boot on release 12: %d, want 1", got)
		}
	})
}

// Before release 15 there is nothing to switch on, but off is what it is.
func TestBootServiceSwitch(t *testing.T) {
	for _, tt := range []struct {
		generation int
		state      cim.BootServiceRequestedState
		want       status.Status
		enabled    cim.BootServiceEnabledState // 0: as before
	}{
		{12, 32768, 0, 0}, {12, 32769, 1, 0}, {12, 32770, 1, 0}, {12, 32771, 1, 0}, {12, 2, 5, 0}, {12, 32772, 5, 0},
		{16, 32769, 0, 32769}, {16, 32768, 0, 32768}, {16, 2, 5, 0},
	} {
		inBubble(t, fmt.Sprintf("%d on %d", tt.state, tt.generation), func(t *testing.T) {
			w := newWorld(t, firmware.Config{Generation: tt.generation}, pc.Options{})
			enabled := func() cim.BootServiceEnabledState {
				s, err := class.Get[cim.BootService](t.Context(), w)
				if err != nil {
					t.Fatal(err)
				}
				return class.Value(s.EnabledState)
			}
			want := enabled()
			if tt.enabled != 0 {
				want = tt.enabled
			}
			_, err := cim.BootServiceRequestStateChange.Invoke(t.Context(), w, cim.BootServiceRequestStateChangeIn{RequestedState: new(tt.state)})
			if got := code(t, err); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if got := enabled(); got != want {
				t.Errorf("EnabledState %v, want %v", got, want)
			}
		})
	}
}

// Recovery boot: sources, the switch, and parameters whose count is wrong.
func TestRecoveryBoot(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		sources, err := class.All[cim.BootSourceSetting](t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range sources {
			ids = append(ids, *s.InstanceID)
		}
		if !slices.Equal(ids, []string{disk, pxe, cd, https, "Intel(r) AMT: Force OCR UEFI Boot Option 1", pba}) {
			t.Errorf("sources %q", ids)
		}
		if got := w.order(t, https); got != 1 {
			t.Errorf("HTTPS before it is switched on: %d, want 1", got)
		}
		_, err = cim.BootServiceRequestStateChange.Invoke(t.Context(), w, cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(32771))})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := class.Get[cim.BootService](t.Context(), w); err != nil || class.Value(s.EnabledState) != 32771 {
			t.Errorf("EnabledState %v, %v; want 32771", class.Value(s.EnabledState), err)
		}
		params := tlv.Text(tlv.NetworkPath, "https://x/boot.efi").Append(nil)
		params = tlv.Octet(tlv.SyncRootCA, 1).Append(params)
		if err := w.put(t, func(d *amt.BootSettingData) {
			d.UefiBootNumberOfParams, d.UefiBootParametersArray, d.EnforceSecureBoot = new(uint32(3)), params, new(false)
		}); err != nil {
			t.Fatal(err)
		}
		w.role(t, 1)
		if got := w.order(t, https); got != 0 {
			t.Fatalf("HTTPS: %d", got)
		}
		w.request(t, cim.PowerStateOn)
		w.settle()
		want := firmware.BootPlan{Source: firmware.BootHTTPS, Params: []tlv.Param{
			{Vendor: 0x8086, Type: 1, Value: []byte("https://x/boot.efi")}, {Vendor: 0x8086, Type: 20, Value: []byte{1}}}}
		if diff := cmp.Diff(want, w.pc.LastBoot().Plan); diff != "" {
			t.Errorf("want, got:\n%s", diff)
		}
		if d := w.settings(t); d.UefiBootParametersArray != nil || class.Value(d.UefiBootNumberOfParams) != 0 {
			t.Errorf("parameters are still there: %x, %d", d.UefiBootParametersArray, *d.UefiBootNumberOfParams)
		}
		if got := w.order(t, pba); got != 0 {
			t.Errorf("local option: %d", got)
		}
		w.request(t, cim.PowerStateMasterBusReset)
		w.settle()
		if boot := w.pc.LastBoot(); boot.From != firmware.BootLocalApp || boot.Plan.Option != 2 {
			t.Errorf("local option: booted %+v", boot)
		}
	})
}

// An erase takes a password that is never shown, and tells how it went.
func TestPlatformErase(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w := newWorld(t, firmware.Config{Generation: 16}, pc.Options{})
		erase := func() bool {
			if err := w.put(t, func(d *amt.BootSettingData) { d.PlatformErase = new(true) }); err != nil {
				t.Fatal(err)
			}
			w.role(t, 1)
			if w.pc.Power() == firmware.S0 {
				w.request(t, cim.PowerStateMasterBusReset)
			} else {
				w.request(t, cim.PowerStateOn)
			}
			w.settle()
			return w.pc.LastBoot().Plan.PlatformErase
		}
		if erase() {
			t.Error("erased though it was not switched on")
		}
		if _, err := cim.BootServiceRequestStateChange.Invoke(t.Context(), w, cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(32770))}); err != nil {
			t.Fatal(err)
		}
		if !erase() || w.pc.LastBoot().From != firmware.BootCD {
			t.Errorf("not erased: %+v", w.pc.LastBoot())
		}
		if !erase() {
			t.Error("second time not planned")
		}
		if d := w.settings(t); !slices.Equal(d.BIOSLastStatus, []uint16{0xFFFF, 3}) {
			t.Errorf("no disk any more: status %x, want ffff 3", d.BIOSLastStatus)
		}
	})
}

func TestBootStateIsKept(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		w, other := newWorld(t, firmware.Config{}, pc.Options{}), newWorld(t, firmware.Config{}, pc.Options{})
		w.role(t, 1)
		w.order(t, cd)
		if err := w.Parts(other.Machine); err != nil {
			t.Fatal(err)
		}
		other.request(t, cim.PowerStateOn)
		other.settle()
		if boot := other.pc.LastBoot(); boot.From != firmware.BootCD {
			t.Errorf("booted %+v, want CD", boot)
		}
	})
}
