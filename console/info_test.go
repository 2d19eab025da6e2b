package console

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/wsman"
)

func TestInfo(t *testing.T) {
	s := newSite(t)
	s.fake.skew = -90 * time.Second
	c := s.client(t, nil)
	got, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Time == nil || time.Since(*got.Time) < 80*time.Second || (got.Skew+90*time.Second).Abs() > 45*time.Second {
		t.Errorf("clock %v, skew %v", got.Time, got.Skew)
	}
	got.Time, got.Skew = nil, 0
	if got.TLS.Version == "" || got.TLS.Suite == "" {
		t.Errorf("TLS %+v", got.TLS)
	}
	got.TLS.Version, got.TLS.Suite = "", ""
	want := Info{
		Address: "desk-7", Version: "16.1.27", Build: "2192", SKU: "AMT Pro, Corporate", UUID: "55e3ae13-bfd2-61bb-17a0-88aedd7037ea",
		HostName: "desk-7", Domain: "example.org", Manufacturer: "Maker", Model: "Model 1", Serial: "S123", BIOS: "M1AKT48A",
		ControlMode: "admin", Provisioning: "post",
		Power: PowerInfo{State: PowerOn, Available: s.fake.available, OSPowerSaving: osFullPower},
		Features: Features{SOL: new(true), IDER: new(true), KVM: new(true), Listener: new(true), WebUI: new(false), VNCPort: new(false),
			Consent: "none", ConsentState: "not started", ConsentIsFixed: new(false)},
		TLS: TLSInfo{Used: true, Fingerprint: Fingerprint(s.cert), Enabled: new(true), Mutual: new(false), Plaintext: new(true)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := c.RoundTrips(); n > 26 {
		t.Errorf("%d exchanges; a new class should be worth one", n)
	}
	if n := s.dials.Load(); n > 3 {
		t.Errorf("%d connections; firmware has few", n)
	}
}

// Old firmware lacks most classes: what is there is told, nothing fails.
func TestInfoOfOldFirmware(t *testing.T) {
	f := newFake()
	for name := range f.instances {
		if name != "AMT_GeneralSettings" && name != "CIM_SoftwareIdentity" {
			f.absent[name] = true
		}
	}
	got, err := Over(f, "old").Info(t.Context())
	if err != nil || got.HostName != "desk-7" || got.Version != "16.1.27" || got.Power.State != PowerOn || got.Features.KVM != nil || got.ControlMode != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A class that is closed to the account is left out; a lost connection is an error.
func TestInfoErrors(t *testing.T) {
	f := newFake()
	f.fail = func(req *wsman.Request) error {
		if wsman.ClassName(req.ResourceURI) == "CIM_Chassis" {
			return wsman.ErrAccessDenied
		}
		return nil
	}
	if got, err := Over(f, "x").Info(t.Context()); err != nil || got.Model != "" || got.BIOS == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	f.fail = func(req *wsman.Request) error {
		if wsman.ClassName(req.ResourceURI) == "CIM_Chassis" {
			return ErrCut
		}
		return nil
	}
	if _, err := Over(f, "x").Info(t.Context()); !errors.Is(err, ErrCut) {
		t.Errorf("got %v", err)
	}
}

func TestClientControlMode(t *testing.T) {
	f := newFake()
	edit(t, f, func(v *ips.HostBasedSetupService) { v.CurrentControlMode = new(ips.ControlModeClient) })
	if got, err := Over(f, "x").Info(t.Context()); err != nil || got.ControlMode != "client" {
		t.Errorf("got %q, %v", got.ControlMode, err)
	}
}

func TestSKUText(t *testing.T) {
	for _, tt := range []struct {
		mask    uint32
		version string
		want    string
	}{
		{16392, "16.1.27", "AMT Pro, Corporate"},
		{0x4010, "12.0.67", "Standard Manageability, Corporate"},
		{0x0c, "5.0.1", "ASF, AMT Pro"},
		{0x04, "9.0.1", "4"},
	} {
		if got := skuText(tt.mask, tt.version); got != tt.want {
			t.Errorf("%#x on %s: got %q, want %q", tt.mask, tt.version, got, tt.want)
		}
	}
}

func TestLegacy(t *testing.T) {
	s := newSite(t)
	c := s.client(t, nil)
	if _, err := c.Legacy().GetCoreVersion(t.Context()); !errors.Is(err, soap.ErrNoService) {
		t.Errorf("a machine without SOAP: got %v", err)
	}
	s.soap = func(path, soapAction string, body []byte) (int, []byte) {
		if path != "/SecurityAdministrationService" || soapAction != `"http://schemas.intel.com/platform/client/SecurityAdministration/2004/01#GetCoreVersion"` {
			return 404, nil
		}
		reply := soap.Reply{Service: soap.SecurityAdministration, Method: "GetCoreVersion", Params: []wsman.Element{wsman.El(soap.SecurityAdministration.Space(), "Version", "7.1.91")}}
		return 200, reply.Append(nil)
	}
	if got, err := c.Legacy().GetCoreVersion(t.Context()); got != "7.1.91" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Over(newFake(), "x").Legacy().GetCoreVersion(t.Context()); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
}
