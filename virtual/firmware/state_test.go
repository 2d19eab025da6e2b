package firmware

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// TestStateRoundTrip changes a machine in many ways, writes it, and makes another of it, which must write the same.
func TestStateRoundTrip(t *testing.T) {
	m := newMachine(t, Config{Generation: 12, Seed: "one", Password: "Other1$password"})
	c := client(t, m)
	c.Password = "Other1$password"
	if _, err := wsmanPut(t, c, "IPS_KVMRedirectionSettingData", "RFBPassword", "Qwer123$"); err != nil {
		t.Fatal(err)
	}
	if _, err := wsmanPut(t, c, "AMT_GeneralSettings", "HostName", "renamed"); err != nil {
		t.Fatal(err)
	}
	uri := wsman.ClassURI("AMT_WebUIService")
	if _, err := wsman.Invoke(t.Context(), c, uri, "RequestStateChange", nil, wsman.El(uri, "RequestedState", "3")); err != nil {
		t.Fatal(err)
	}
	uri = wsman.ClassURI("AMT_TimeSynchronizationService")
	if _, err := wsman.Invoke(t.Context(), c, uri, "EnableLocalTimeSync", nil, wsman.El(uri, "Enable", "false")); err != nil {
		t.Fatal(err)
	}
	if _, err := wsman.Invoke(t.Context(), c, wsman.ClassURI("AMT_SetupAndConfigurationService"), "CommitChanges", nil); err != nil {
		t.Fatal(err)
	}
	uri = wsman.ClassURI("AMT_IPHeadersFilter")
	filter := wsman.Group(uri, "AMT_IPHeadersFilter", wsman.El(uri, "Name", "f"),
		wsman.El(uri, "ActionEventOnMatch", "false"), wsman.El(uri, "FilterProfile", "0"), wsman.El(uri, "FilterDirection", "0"), wsman.El(uri, "HdrIPVersion", "4"))
	if _, err := wsman.Create(t.Context(), c, uri, &filter); err != nil {
		t.Fatal(err)
	}
	m.SetFaults(&Faults{Delay: 150 * time.Millisecond, Only: []string{"CIM_Chip"}, Refuse: map[string]status.Status{"RequestPowerStateChange": 2}})
	var first bytes.Buffer
	if err := m.Dump(&first); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(first.String(), "Other1$password") {
		t.Error("the password is in the file")
	}
	s, err := ReadState(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, first.Bytes())
	}
	again, err := New(Config{State: s})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	var second bytes.Buffer
	if err := again.Dump(&second); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first.String(), second.String()); d != "" {
		t.Errorf("the copy differs:\n%s", d)
	}
	again.SetFaults(nil)
	c = client(t, again)
	c.Password = "Other1$password"
	e, err := wsman.Get(t.Context(), c, wsman.ClassURI("AMT_GeneralSettings"), nil)
	if err != nil || e.ChildText("HostName") != "renamed" {
		t.Errorf("the copy: %+v, %v", e, err)
	}
	if got := again.secret("IPS_KVMRedirectionSettingData", "RFBPassword"); got != "Qwer123$" {
		t.Errorf("RFBPassword is %q", got)
	}
	if got := again.one("AMT_TimeSynchronizationService").ChildText("LocalTimeSyncEnabled"); got != "2" {
		t.Errorf("LocalTimeSyncEnabled is %s", got)
	}
	if again.setup.kept.Network == nil {
		t.Error("what was committed is lost")
	}
	if again.webOn() {
		t.Error("the web pages are on")
	}
}

// TestStateByHand: what a person writes into a test.
func TestStateByHand(t *testing.T) {
	s, err := ReadState(strings.NewReader(`{"generation": 12, "seed": "desk-7", "power": "off", "password": "Hand1$written",
		"refuse": {"RequestStateChange": 2}, "faults": {"delay": "5ms"},
		"identity": {"hostname": "desk-7"},
		"instances": {"CIM_Chip": [{"Tag": "CPU 0", "Version": "Virtual(TM) CPU", "CreationClassName": "CIM_Chip"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Power != "off" {
		t.Errorf("power %q", s.Power)
	}
	m := newMachine(t, Config{State: s, Generation: 12})
	c := client(t, m)
	c.Password = "Hand1$written"
	e, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_Chip"), nil)
	if err != nil || e.ChildText("Version") != "Virtual(TM) CPU" {
		t.Errorf("chip: %+v, %v", e, err)
	}
	uri := wsman.ClassURI("AMT_WebUIService")
	out, err := wsman.Invoke(t.Context(), c, uri, "RequestStateChange", nil, wsman.El(uri, "RequestedState", "3"))
	if err != nil || out.ChildText("ReturnValue") != "2" {
		t.Errorf("refused method: %+v, %v", out, err)
	}
	if id := m.Identity(); id.HostName != "desk-7" || id.UUID != newIdentity("desk-7").UUID {
		t.Errorf("identity %+v", id)
	}
}

// TestDumpOfAMachine makes a machine of what enumerations of another one say, as `outband dump` would, and compares what
// both answer.
func TestDumpOfAMachine(t *testing.T) {
	real := newMachine(t, Config{Generation: 11, Seed: "the real one", HostName: "ACCT-7", Domain: "corp.example"})
	f := &dump.File{Host: "192.0.2.7", Absent: []string{"CIM_Fan"}}
	for _, ci := range real.catalogue.sorted() {
		for _, v := range real.views(ci) {
			if ci.Name != "CIM_Fan" {
				f.Add(v.element)
			}
		}
	}
	f.Add(wsman.Group(wsman.NSAMT+"AMT_Unheard", "AMT_Unheard", wsman.El(wsman.NSAMT+"AMT_Unheard", "A", "1")))
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	s, err := ReadState(&b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Config{State: s})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.profile.Version != real.profile.Version || m.profile.Build != real.profile.Build {
		t.Errorf("release %s.%s", m.profile.Version, m.profile.Build)
	}
	want, got := real.Identity(), m.Identity()
	want.AssetTag, got.AssetTag = "", "" // nowhere in a dump
	if got != want {
		t.Errorf("identity\ngot  %+v\nwant %+v", got, want)
	}
	for _, ci := range real.catalogue.sorted() {
		theirs, ours := real.views(ci), m.views(m.catalogue.classes[ci.Name])
		if ci.Name == "CIM_Fan" {
			continue
		}
		if len(theirs) != len(ours) {
			t.Errorf("%s: %d instances, want %d", ci.Name, len(ours), len(theirs))
			continue
		}
		for i := range theirs {
			a, b := wsman.Append(nil, &theirs[i].element), wsman.Append(nil, &ours[i].element)
			if !bytes.Equal(a, b) {
				t.Errorf("got  %s\nwant %s", b, a)
			}
		}
	}
	if _, err := as(m).ServeWSMan(t.Context(), &wsman.Request{Action: wsman.ActionGet, ResourceURI: wsman.ClassURI("CIM_Fan")}); !errors.Is(err, wsman.ErrDestinationUnreachable) {
		t.Errorf("absent class: %v", err)
	}
	if _, err := wsman.Identify(t.Context(), client(t, m)); err != nil {
		t.Errorf("log on with the default password: %v", err)
	}
}

func TestLoadWhileRunning(t *testing.T) {
	m := newMachine(t, Config{})
	if err := m.Load(strings.NewReader(`{"generation": 12, "instances": {"CIM_Fan": []}}`)); err != nil {
		t.Fatal(err)
	}
	if n := len(m.views(m.catalogue.classes["CIM_Fan"])); n != 0 {
		t.Errorf("%d fans", n)
	}
	if n := len(m.views(m.catalogue.classes["CIM_Chip"])); n != 1 {
		t.Errorf("%d chips: what the state does not name must stay", n)
	}
	for _, bad := range []string{`{"generation": 11}`, `{"version": "x"}`, `{"generation": 99}`, `{"parts": {"nonsense": {}}}`, `{"parts": {"users": 3}}`, `{"powr": "off"}`, `{"faults": {"dealy": "1s"}}`, `{"secrets": {"CIM_Chip": 1}, "instances": {"CIM_Chip": []}}`} {
		if err := m.Load(strings.NewReader(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestConfigBeforeState: what the configuration says goes before what the state says, the password too.
func TestConfigBeforeState(t *testing.T) {
	m := newMachine(t, Config{Password: "First1$password", HostName: "first"})
	s, err := m.State()
	if err != nil {
		t.Fatal(err)
	}
	again := newMachine(t, Config{Generation: 12, State: s, Password: "Second1$password", HostName: "second"})
	c := client(t, again)
	c.Password = "Second1$password"
	e, err := wsman.Get(t.Context(), c, wsman.ClassURI("AMT_GeneralSettings"), nil)
	if err != nil || e.ChildText("HostName") != "second" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []Config{{Generation: 9}, {Version: "x"}, {Version: "3.2.1"}, {Version: "16"}, {Version: "1.2.3.4.5"}, {MAC: "zz"}, {Generation: -1}} {
		if m, err := New(c); err == nil && c.Version != "16" {
			t.Errorf("%+v made a machine of %s", c, m.profile.Version)
		}
	}
}

// TestTwins: the seed makes the machine, all of it.
func TestTwins(t *testing.T) {
	a, b, c := newMachine(t, Config{Seed: "a"}).Identity(), newMachine(t, Config{Seed: "a"}).Identity(), newMachine(t, Config{Seed: "c"}).Identity()
	if a != b {
		t.Errorf("%+v and %+v", a, b)
	}
	if a.UUID == c.UUID || a.Realm == c.Realm || a.MAC == c.MAC || a.Serial == c.Serial || a.HostName == c.HostName {
		t.Errorf("%+v and %+v", a, c)
	}
	if digest.HA1("admin", a.Realm, "x") == digest.HA1("admin", c.Realm, "x") {
		t.Error("same hash")
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"generation": 12, "seed": "desk-7", "refuse": {"RequestStateChange": 2}, "faults": {"delay": "5ms"}, "identity": {"hostname": "desk-7"},
		"instances": {"CIM_Chip": [{"Tag": "CPU 0"}]}, "secrets": {"CIM_Chip": [{"X": "y"}]}, "handles": {"CIM_Chip": 3}, "parts": {"clock": {"Ahead": "1s"}}}`))
	f.Add([]byte(`{"version": "11.8.50.1", "absent": ["CIM_Fan"], "instances": {"AMT_GeneralSettings": [{"HostName": "a", "DigestRealm": "Digest:X"}]}}`))
	f.Add([]byte(`{"version": "10.0"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ReadState(bytes.NewReader(text))
		if err != nil {
			return
		}
		m, err := New(Config{State: s})
		if err != nil {
			return
		}
		defer m.Close()
		var first, second bytes.Buffer
		if err := m.Dump(&first); err != nil {
			t.Fatal(err)
		}
		s, err = ReadState(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, first.Bytes())
		}
		again, err := New(Config{State: s})
		if err != nil {
			t.Fatalf("%v\n%s", err, first.Bytes())
		}
		defer again.Close()
		if err := again.Dump(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("not stable: %v\n%s", err, cmp.Diff(first.String(), second.String()))
		}
		for _, ci := range m.catalogue.sorted() {
			m.views(ci)
		}
	})
}

func TestFaultsJSON(t *testing.T) {
	f := Faults{Delay: time.Second, Drop: true, Cut: -1, Garbage: "x", Malformed: true, Endless: true, HTTPStatus: 503, Close: true, Refuse: map[string]status.Status{"A.B": 2}, Only: []string{"C"}, Count: 3}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var got Faults
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, f) {
		t.Errorf("%s: %v\n%s", text, err, cmp.Diff(f, got))
	}
}
