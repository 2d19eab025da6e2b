package console

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// The steps, in the order that all consoles use.
var bootSteps = []string{
	"CIM_BootConfigSetting.ChangeBootOrder", "Put AMT_BootSettingData", "CIM_BootService.SetBootConfigRole",
}

func changes(f *fake) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c string) bool {
		return strings.HasPrefix(c, "Get ") || strings.HasPrefix(c, "Enumerate ") || strings.HasPrefix(c, "Pull ")
	})
}

func TestBoot(t *testing.T) {
	for _, tt := range []struct {
		name  string
		req   BootRequest
		setup func(*testing.T, *fake)
		order string
		put   map[string]string // elements of the Put
		steps []string
	}{
		{"pxe", BootRequest{Device: BootPXE}, nil, sourcePXE, map[string]string{"BIOSSetup": "false", "UseSOL": "false"}, append(slices.Clone(bootSteps), bootSteps[0])},
		{"second disk", BootRequest{Device: BootDisk, Index: 2}, nil, sourceDisk, map[string]string{"BootMediaIndex": "2"}, append(slices.Clone(bootSteps), bootSteps[0])},
		{"bios with a serial console", BootRequest{Device: BootBIOS, SOL: true}, nil, "", map[string]string{"BIOSSetup": "true", "UseSOL": "true"}, bootSteps},
		{"redirected CD", BootRequest{Device: BootIDERCD}, nil, "", map[string]string{"UseIDER": "true", "IDERBootDevice": "1"}, bootSteps},
		{"redirected floppy", BootRequest{Device: BootIDERFloppy}, nil, "", map[string]string{"UseIDER": "true", "IDERBootDevice": "0"}, bootSteps},
		{"what was left before is cleared", BootRequest{Device: BootPXE}, func(t *testing.T, f *fake) {
			edit(t, f, func(v *amt.BootSettingData) { v.BIOSSetup, v.UseIDER, v.LockKeyboard = new(true), new(true), new(true) })
		}, sourcePXE, map[string]string{"BIOSSetup": "false", "UseIDER": "false", "LockKeyboard": "false"}, append(slices.Clone(bootSteps), bootSteps[0])},
		{"taken back", BootRequest{Device: BootNone}, func(t *testing.T, f *fake) { f.order, f.role = sourcePXE, 1 }, "", nil, bootSteps},
		{"more options", BootRequest{Device: BootPXE, Also: func(o *amt.BootSettingData) { o.BIOSPause = new(true) }}, nil, sourcePXE, map[string]string{"BIOSPause": "true"}, append(slices.Clone(bootSteps), bootSteps[0])},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			if tt.setup != nil {
				tt.setup(t, f)
			}
			var put *wsman.Element
			f.fail = func(req *wsman.Request) error {
				if req.Action == wsman.ActionPut {
					put = req.Body
				}
				return nil
			}
			res, err := Over(f, "x").Boot(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if f.order != tt.order {
				t.Errorf("source %q, want %q", f.order, tt.order)
			}
			if got := changes(f); !slices.Equal(got, tt.steps) {
				t.Errorf("steps %v\nwant  %v", got, tt.steps)
			}
			armed := tt.req.Device != BootNone
			if res.Status.Armed == nil || *res.Status.Armed != armed {
				t.Errorf("armed %v, want %v", res.Status.Armed, armed)
			}
			for _, never := range []string{"WinREBootEnabled", "UEFIHTTPSBootEnabled", "OptionsCleared", "BIOSLastStatus", "BootguardStatus", "RPEEnabled", "UefiBootParametersArray"} {
				if put.Child(never) != nil {
					t.Errorf("read-only %s was written", never)
				}
			}
			if put.ChildText("OwningEntity") != "owner" {
				t.Error("OwningEntity must go back as it came")
			}
			for name, want := range tt.put {
				if got := put.ChildText(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestBootRefusedBeforeAnythingChanges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		req   BootRequest
		setup func(*testing.T, *fake)
		want  error
	}{
		{"not in the BIOS", BootRequest{Device: BootDiagnostics}, nil, ErrUnsupported},
		{"unknown device", BootRequest{Device: "tape"}, nil, ErrUsage},
		{"serial console not in the BIOS", BootRequest{Device: BootPXE, SOL: true}, func(t *testing.T, f *fake) {
			edit(t, f, func(v *amt.BootCapabilities) { v.SOL = new(false) })
		}, ErrUnsupported},
		{"consent", BootRequest{Device: BootPXE}, func(t *testing.T, f *fake) {
			edit(t, f, func(v *ips.OptInService) { v.OptInRequired = new(ips.OptInServiceOptInRequiredAll) })
		}, ErrConsent},
		{"recovery switched off", BootRequest{Device: BootHTTPS, URL: "https://images.example/x.efi"}, func(t *testing.T, f *fake) {
			edit(t, f, func(v *cim.BootService) { v.EnabledState = new(cim.BootServiceEnabledStateOCRAndRPEDisabled) })
		}, ErrNotOffered},
		{"asleep, and no way but to wake", BootRequest{Device: BootPXE, Now: true}, func(t *testing.T, f *fake) {
			f.state, f.available = PowerSleepDeep, []Power{PowerOn}
		}, ErrNotOffered},
		{"not https", BootRequest{Device: BootHTTPS, URL: "http://images.example/x.efi"}, nil, ErrUsage},
		{"password in the URL", BootRequest{Device: BootHTTPS, URL: "https://a:b@images.example/x.efi"}, nil, ErrUsage},
		{"long URL", BootRequest{Device: BootHTTPS, URL: "https://images.example/" + strings.Repeat("x", 300)}, nil, ErrUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			if tt.setup != nil {
				tt.setup(t, f)
			}
			_, err := Over(f, "x").Boot(t.Context(), tt.req)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if got := changes(f); len(got) != 0 {
				t.Errorf("changed all the same: %v", got)
			}
		})
	}
}

func TestBootWithConsentGiven(t *testing.T) {
	f := newFake()
	edit(t, f, func(v *ips.OptInService) {
		v.OptInRequired, v.OptInState = new(ips.OptInServiceOptInRequiredAll), new(ips.OptInServiceOptInStateReceived)
	})
	if _, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootPXE}); err != nil {
		t.Error(err)
	}
}

// A step that fails half way leaves nothing armed.
func TestBootDisarmsAfterFailure(t *testing.T) {
	f := newFake()
	f.refuse["ChangeBootOrder"] = 5
	_, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootPXE})
	if kind, _ := Explain(err); err == nil || kind != KindRefused {
		t.Fatalf("got %v", err)
	}
	if f.role != cim.BootServiceSetBootConfigRoleRoleIsNotNext {
		t.Errorf("role is %v", f.role)
	}
}

func TestBootReadsBack(t *testing.T) {
	f := newFake()
	f.fail = func(req *wsman.Request) error {
		if req.Action == wsman.ActionPut { // a machine that says yes and keeps nothing
			req.Body = &f.instances["AMT_BootSettingData"][0]
		}
		return nil
	}
	_, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootBIOS})
	if err == nil || !strings.Contains(err.Error(), "BIOSSetup") {
		t.Errorf("got %v", err)
	}
}

func TestBootNow(t *testing.T) {
	for _, tt := range []struct {
		state Power
		want  Verb
	}{{PowerOn, Reset}, {PowerOff, On}, {PowerHibernate, On}, {PowerSleepDeep, Reset}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			if f.state = tt.state; tt.state != PowerOn {
				f.available = []Power{PowerOn}
			}
			if tt.state == PowerSleepDeep {
				f.available = []Power{PowerOn, PowerReset}
			}
			f.reaction = func(f *fake, want Power) {
				f.in(0, PowerOn)
				f.records = []string{progress(9)}
			}
			res, err := Over(f, "x").Boot(context.Background(), BootRequest{Device: BootPXE, Now: true})
			if err != nil || res.Power == nil || res.Power.Verb != tt.want {
				t.Errorf("from %v: got %+v, %v", tt.state, res.Power, err)
			}
		})
	}
}

// A machine that is not ready for the start is asked again, if told to, and the choice stays.
func TestBootNowPatience(t *testing.T) {
	for _, tt := range []struct {
		patience time.Duration
		want     error
	}{{0, status.ErrNotReady}, {20 * time.Second, nil}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.state, f.available = PowerOff, []Power{PowerOn}
			busy := time.Now().Add(8 * time.Second)
			f.fail = func(*wsman.Request) error {
				delete(f.refuse, "RequestPowerStateChange")
				if time.Now().Before(busy) {
					f.refuse["RequestPowerStateChange"] = 2
				}
				return nil
			}
			res, err := Over(f, "x").Boot(context.Background(), BootRequest{Device: BootPXE, Now: true, Patience: tt.patience})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("patience %v: got %+v, %v; want %v", tt.patience, res.Power, err, tt.want)
			}
			if f.order != sourcePXE {
				t.Errorf("patience %v: source %q", tt.patience, f.order)
			}
		})
	}
}

// The records of a recovery boot, written by hand from the table in spec power-and-boot.md section 5.
func TestHTTPSParams(t *testing.T) {
	f := newFake()
	var put *wsman.Element
	f.fail = func(req *wsman.Request) error {
		if req.Action == wsman.ActionPut {
			put = req.Body
		}
		return nil
	}
	_, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootHTTPS, URL: "https://a/b", User: "u", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(put.ChildText("UefiBootParametersArray"))
	want := "86800100" + "0b000000" + hex.EncodeToString([]byte("https://a/b")) +
		"86801400" + "01000000" + "01" + "86801e00" + "02000000" + "0000" +
		"86802800" + "01000000" + "75" + "86802900" + "02000000" + "7077"
	if hex.EncodeToString(raw) != want || err != nil {
		t.Errorf("got  %x, %v\nwant %s", raw, err, want)
	}
	if n := put.ChildText("UefiBootNumberOfParams"); n != "5" || f.order != sourceHTTPS {
		t.Errorf("%s parameters, source %q", n, f.order)
	}
}

func TestBootLocalRecovery(t *testing.T) {
	f := newFake()
	edit(t, f, func(v *amt.BootCapabilities) { v.ForceWinREBoot = new(true) })
	edit(t, f, func(v *amt.BootSettingData) { v.WinREBootEnabled = new(true) })
	f.put(&cim.BootSourceSetting{InstanceID: new(sourcePXE)})
	f.put(&cim.BootSourceSetting{InstanceID: new("Intel(r) AMT: Force OCR UEFI Boot Option 1"), BIOSBootString: new("Some PBA"), BootString: new("pba-path")})
	f.put(&cim.BootSourceSetting{InstanceID: new("Intel(r) AMT: Force OCR UEFI Boot Option 2"), BIOSBootString: new("OEM WinRe image"), BootString: new("re-path")})
	if _, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootWinRE}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(f.order, "Option 2") {
		t.Errorf("source %q", f.order)
	}
}

func TestBootStatus(t *testing.T) {
	f := newFake()
	edit(t, f, func(v *amt.BootSettingData) { v.BIOSSetup, v.BIOSLastStatus = new(true), []uint16{0xffff, 1} })
	f.role = 1
	s, err := Over(f, "x").BootStatus(t.Context())
	if err != nil || s.Device != BootBIOS || !class.Value(s.Armed) || s.LastStatus != "failed, drive failure" {
		t.Errorf("got %+v, %v", s, err)
	}
	if want := []BootDevice{BootNone, BootPXE, BootDisk, BootCD, BootBIOS, BootIDERCD, BootIDERFloppy, BootHTTPS}; !slices.Equal(s.Supported, want) {
		t.Errorf("supported %v\nwant      %v", s.Supported, want)
	}
}

func TestParseBootDevice(t *testing.T) {
	for word, want := range map[string]BootDevice{"PXE": BootPXE, "hdsafe": BootSafeDisk, "ider_cd": BootIDERCD, "none": BootNone} {
		if got, err := ParseBootDevice(word); got != want || err != nil {
			t.Errorf("%s: got %q, %v", word, got, err)
		}
	}
	if _, err := ParseBootDevice("tape"); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
}
