package console

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// An eraser is a fake with a BIOS that erases.
type eraser struct {
	*fake
	result []uint16 // what the BIOS tells in the end
	put    *wsman.Element
}

func newEraser(t *testing.T, result ...uint16) *eraser {
	f := &eraser{fake: newFake(), result: result}
	edit(t, f.fake, func(v *amt.BootCapabilities) {
		v.PlatformErase, v.SecureErase = new(amt.BootCapabilitiesPlatformErase(1|1<<1|1<<2|1<<6|1<<31)), new(true)
	})
	edit(t, f.fake, func(v *amt.BootSettingData) { v.RPEEnabled = new(true) })
	edit(t, f.fake, func(v *cim.BootService) { v.EnabledState = new(cim.BootServiceEnabledState(32769)) })
	f.state, f.available = PowerOff, []Power{PowerOn}
	f.reaction = func(f2 *fake, want Power) {
		f2.in(time.Second, PowerOn)
		var d amt.BootSettingData
		d.Decode(&f2.instances["AMT_BootSettingData"][0])
		d.OptionsCleared, d.BIOSLastStatus, d.PlatformErase, d.SecureErase = new(true), f.result, new(false), new(false)
		f2.instances["AMT_BootSettingData"][0] = d.Element()
	}
	return f
}

func (f *eraser) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	if req.Action == wsman.ActionPut && wsman.ClassName(req.ResourceURI) == "AMT_BootSettingData" {
		f.put = req.Body
	}
	if strings.HasSuffix(req.Action, "CIM_BootService/RequestStateChange") {
		var in cim.BootServiceRequestStateChangeIn
		if err := in.Decode(req.Body); err != nil {
			return nil, err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		code := f.refuse["RequestStateChange"]
		if code == 0 {
			var s cim.BootService
			s.Decode(&f.instances["CIM_BootService"][0])
			s.EnabledState = new(cim.BootServiceEnabledState(class.Value(in.RequestedState)))
			f.instances["CIM_BootService"][0] = s.Element()
		}
		uri := req.ResourceURI
		return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, ResourceURI: uri,
			Body: new(wsman.Group(uri, "RequestStateChange_OUTPUT", wsman.El(uri, "ReturnValue", strconv.Itoa(int(code)))))}, nil
	}
	return f.fake.RoundTrip(ctx, req)
}

// The parameters, by hand from spec power-and-boot.md section 6.2.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newEraser(t, 0, 0)
		var news []string
		res, err := Over(f, "x").Erase(context.Background(), EraseRequest{Parts: []ErasePart{ErasePyrite, EraseSSD, EraseTPM}, PSID: "PS", DrivePassword: "pw",
			Told: func(text string) { news = append(news, text) }})
		if err != nil || res.Status != "success" || res.Proof != ProofBIOS {
			t.Fatalf("got %+v, %v", res, err)
		}
		raw, err := base64.StdEncoding.DecodeString(f.put.ChildText("UefiBootParametersArray"))
		want := "86800100" + "04000000" + "46000000" + "86800a00" + "02000000" + "5053" + "86801400" + "02000000" + "7077"
		if hex.EncodeToString(raw) != want || err != nil || f.put.ChildText("UefiBootNumberOfParams") != "3" || f.put.ChildText("PlatformErase") != "true" {
			t.Errorf("sent %x, %v\nwant %s", raw, err, want)
		}
		if len(news) == 0 || news[0] != "remote platform erase was switched on" || strings.Contains(strings.Join(news, " "), "pw") {
			t.Errorf("told %q", news)
		}
		s, err := Over(f, "x").BootSettings(context.Background())
		if err != nil || s.Recovery == nil || !*s.Recovery || !*s.Erase {
			t.Errorf("recovery boot must stay on: %+v, %v", s.Recovery, err)
		}
	})
}

func TestEraseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, err := Over(newEraser(t, 0xffff, 2), "x").Erase(context.Background(), EraseRequest{Parts: []ErasePart{EraseSSD}})
		if !errors.Is(err, ErrErase) || res.Status != "failed, wrong password" {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// A BIOS that never comes to an end is no success.
func TestEraseTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Over(newEraser(t, 1, 0), "x").Erase(context.Background(), EraseRequest{Parts: []ErasePart{EraseSSD}, Wait: time.Hour})
		if !errors.Is(err, ErrNotReached) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEraseRefusedBefore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		req   EraseRequest
		setup func(*testing.T, *eraser)
		want  error
	}{
		{"nothing", EraseRequest{}, nil, ErrUsage},
		{"pyrite without a PSID", EraseRequest{Parts: []ErasePart{ErasePyrite}}, nil, ErrUsage},
		{"what the BIOS cannot", EraseRequest{Parts: []ErasePart{EraseNVM}}, nil, ErrUnsupported},
		{"a long password", EraseRequest{Parts: []ErasePart{EraseSSD}, DrivePassword: strings.Repeat("x", 33)}, nil, ErrUsage},
		{"an old machine", EraseRequest{Parts: []ErasePart{EraseTPM}}, func(t *testing.T, f *eraser) {
			edit(t, f.fake, func(v *amt.BootCapabilities) { v.PlatformErase = nil })
		}, ErrUnsupported},
		{"switched off in the BIOS", EraseRequest{Parts: []ErasePart{EraseTPM}}, func(t *testing.T, f *eraser) {
			edit(t, f.fake, func(v *amt.BootSettingData) { v.RPEEnabled = new(false) })
		}, ErrNotOffered},
		{"forbidden by the BIOS", EraseRequest{Parts: []ErasePart{EraseTPM}}, func(t *testing.T, f *eraser) { f.refuse["RequestStateChange"] = 1 }, nil},
	} {
		f := newEraser(t, 0, 0)
		if tt.setup != nil {
			tt.setup(t, f)
		}
		_, err := Over(f, "x").Erase(t.Context(), tt.req)
		if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && !errors.As(err, new(*status.Error)) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if f.put != nil || f.called("CIM_PowerManagementService") != 0 {
			t.Errorf("%s: sent all the same", tt.name)
		}
	}
}

func TestSecureErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newEraser(t) // a release that does not tell the result
		res, err := Over(f, "x").SecureErase(context.Background(), EraseRequest{DrivePassword: "pw"})
		if err != nil || res.Proof != ProofAccepted || f.put.ChildText("RSEPassword") != "pw" || f.put.ChildText("SecureErase") != "true" {
			t.Errorf("got %+v, %v", res, err)
		}
		f = newEraser(t)
		edit(t, f.fake, func(v *amt.BootCapabilities) { v.SecureErase = new(false) })
		if _, err := Over(f, "x").SecureErase(context.Background(), EraseRequest{}); !errors.Is(err, ErrUnsupported) || f.put != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestParseErasePart(t *testing.T) {
	if got, err := ParseErasePart("TPM"); got != EraseTPM || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ParseErasePart("all"); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
	if b, err := ParseOEMData(" 0a0B\n"); err != nil || string(b) != "\n\x0b" {
		t.Errorf("got %x, %v", b, err)
	}
	if _, err := ParseOEMData("xyz"); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
}
