package console

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/wsman"
)

// catchPut returns what the next Put of the fake carries.
func catchPut(f *fake) **wsman.Element {
	caught := new(*wsman.Element)
	f.fail = func(req *wsman.Request) error {
		if req.Action == wsman.ActionPut {
			*caught = req.Body
		}
		return nil
	}
	return caught
}

func allCapabilities(t *testing.T, f *fake) {
	edit(t, f, func(v *amt.BootCapabilities) {
		for _, can := range []**bool{&v.BIOSPause, &v.BIOSReflash, &v.ConfigurationDataReset, &v.UserPasswordBypass, &v.ForcedProgressEvents, &v.PowerButtonLock,
			&v.ResetButtonLock, &v.SleepButtonLock, &v.KeyboardLock, &v.VerbosityQuiet, &v.VerbosityVerbose, &v.VerbosityScreenBlank, &v.BIOSSecureBoot, &v.SecureErase} {
			*can = new(true)
		}
	})
}

func TestBootOptions(t *testing.T) {
	for _, tt := range []struct {
		o    BootOptions
		want map[string]string
	}{
		{BootOptions{Pause: true, Reflash: true, ResetBIOS: true}, map[string]string{"BIOSPause": "true", "ReflashBIOS": "true", "ConfigurationDataReset": "true"}},
		{BootOptions{BypassPassword: true, ProgressEvents: true}, map[string]string{"UserPasswordBypass": "true", "ForcedProgressEvents": "true"}},
		{BootOptions{LockPower: true, LockReset: true}, map[string]string{"LockPowerButton": "true", "LockResetButton": "true"}},
		{BootOptions{LockSleep: true, LockKeyboard: true}, map[string]string{"LockSleepButton": "true", "LockKeyboard": "true"}},
		{BootOptions{Verbosity: VerbosityQuiet}, map[string]string{"FirmwareVerbosity": "1"}},
		{BootOptions{Verbosity: VerbosityVerbose}, map[string]string{"FirmwareVerbosity": "2"}},
		{BootOptions{Verbosity: VerbosityBlank}, map[string]string{"FirmwareVerbosity": "3"}},
		{BootOptions{SecureBoot: new(true)}, map[string]string{"EnforceSecureBoot": "true"}},
	} {
		f := newFake()
		allCapabilities(t, f)
		edit(t, f, func(v *amt.BootSettingData) { v.EnforceSecureBoot = new(false) })
		put := catchPut(f)
		if _, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootAsSetUp, Options: tt.o}); err != nil {
			t.Fatalf("%+v: %v", tt.o, err)
		}
		for name, want := range tt.want {
			if got := (*put).ChildText(name); got != want {
				t.Errorf("%+v: %s is %q, want %q", tt.o, name, got, want)
			}
		}
		if f.order != "" || f.role != 1 {
			t.Errorf("%+v: source %q, role %v", tt.o, f.order, f.role)
		}
		// And what the BIOS cannot do is refused, with nothing sent.
		f = newFake()
		edit(t, f, func(v *amt.BootCapabilities) { *v = amt.BootCapabilities{InstanceID: v.InstanceID} })
		if _, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootAsSetUp, Options: tt.o}); !errors.Is(err, ErrUnsupported) || len(changes(f)) != 0 {
			t.Errorf("%+v without capabilities: %v, %v", tt.o, err, changes(f))
		}
	}
}

func TestSecureBootIsNotLeftWithoutControl(t *testing.T) {
	f := newFake()
	allCapabilities(t, f)
	edit(t, f, func(v *amt.BootSettingData) { v.EnforceSecureBoot, v.SecureBootControlEnabled = new(true), new(false) })
	_, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootIDERCD, Options: BootOptions{SecureBoot: new(false)}})
	if !errors.Is(err, ErrNotOffered) || len(changes(f)) != 0 {
		t.Errorf("got %v, %v", err, changes(f))
	}
}

// A BIOS may have it and the release no way to ask for it.
func TestSecureBootBeforeRelease15(t *testing.T) {
	for _, want := range []bool{true, false} {
		f := newFake()
		allCapabilities(t, f)
		_, err := Over(f, "x").Boot(t.Context(), BootRequest{Device: BootIDERCD, Options: BootOptions{SecureBoot: new(want)}})
		if !errors.Is(err, ErrUnsupported) || len(changes(f)) != 0 {
			t.Errorf("%v: got %v, %v", want, err, changes(f))
		}
	}
}

// Records of a recovery boot with all checks, by hand from spec power-and-boot.md section 5.
func TestRecoveryParams(t *testing.T) {
	f := newFake()
	put := catchPut(f)
	req := BootRequest{Device: BootHTTPS, URL: "https://a/b", Recovery: RecoveryOptions{KeepRoots: true, ServerName: "a", ServerHash: make([]byte, 48),
		ImageHash: make([]byte, 64), Timeout: 258 * time.Second}}
	if _, err := Over(f, "x").Boot(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString((*put).ChildText("UefiBootParametersArray"))
	want := "86800100" + "0b000000" + hex.EncodeToString([]byte("https://a/b")) + "86800600" + "40000000" + strings.Repeat("00", 64) +
		"86801400" + "01000000" + "00" + "86801500" + "01000000" + "61" + "86801600" + "02000000" + "0100" +
		"86801800" + "30000000" + strings.Repeat("00", 48) + "86801e00" + "02000000" + "0201"
	if hex.EncodeToString(raw) != want || err != nil {
		t.Errorf("got  %x, %v\nwant %s", raw, err, want)
	}
	for _, bad := range []RecoveryOptions{{ServerHash: make([]byte, 20)}, {ImageHash: make([]byte, 1)}, {Timeout: -time.Second}, {Timeout: time.Millisecond}, {ServerName: "a b"}} {
		req.Recovery = bad
		if _, err := Over(newFake(), "x").Boot(t.Context(), req); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestBootSettings(t *testing.T) {
	f := newFake()
	edit(t, f, func(v *cim.BootService) { v.EnabledState = new(cim.BootServiceEnabledState(32769)) })
	f.put(&cim.BootSourceSetting{InstanceID: new("Intel(r) AMT: Force OCR UEFI Boot Option 2"), BIOSBootString: new("WinRe"), BootString: new("path")})
	f.put(&cim.BootSourceSetting{InstanceID: new(sourcePXE)})
	s, err := Over(f, "x").BootSettings(t.Context())
	if err != nil || s.Recovery == nil || !*s.Recovery || s.Erase == nil || *s.Erase {
		t.Fatalf("got %+v, %v", s, err)
	}
	if want := []LocalSource{{2, "WinRe", true, "path"}}; !slices.Equal(s.Sources, want) {
		t.Errorf("sources %+v", s.Sources)
	}
	options, _ := s.Values()
	if !slices.Contains(options, [2]string{"BIOSSetup", "false"}) {
		t.Errorf("options %v", options)
	}
}

func TestParseLocks(t *testing.T) {
	var o BootOptions
	if err := o.ParseLocks([]string{"Power", "keyboard"}); err != nil || !o.LockPower || !o.LockKeyboard || o.LockSleep {
		t.Errorf("got %+v, %v", o, err)
	}
	if err := o.ParseLocks([]string{"door"}); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
}
