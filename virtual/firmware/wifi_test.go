package firmware_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const profileID = "Intel(r) AMT:WiFi Endpoint Settings "

// profile is a good one, with WPA2.
func profile(name string, priority uint8) *cim.WiFiEndpointSettings {
	return &cim.WiFiEndpointSettings{ElementName: &name, InstanceID: new(profileID + name), SSID: &name, Priority: &priority,
		AuthenticationMethod: new(cim.WiFiEndpointSettingsAuthenticationMethod(6)), EncryptionMethod: new(cim.WiFiEndpointSettingsEncryptionMethod(4)),
		PSKPassPhrase: new("correct horse")}
}

var endpoint = wsman.Ref("CIM_WiFiEndpoint", "Name", "WiFi Endpoint 0")

func (w *world) addWiFi(t *testing.T, p *cim.WiFiEndpointSettings) status.Status {
	t.Helper()
	return w.addEAP(t, p, nil, "", "")
}

// addEAP adds a profile with 802.1X and certificates.
func (w *world) addEAP(t *testing.T, p *cim.WiFiEndpointSettings, eap *cim.IEEE8021xSettings, client, ca string) status.Status {
	t.Helper()
	in := amt.WiFiPortConfigurationServiceAddWiFiSettingsIn{WiFiEndpoint: &endpoint, WiFiEndpointSettingsInput: new(p.Element()),
		ClientCredential: certificate(client), CACredential: certificate(ca)}
	if eap != nil {
		in.IEEE8021xSettingsInput = new(eap.Element())
	}
	_, err := amt.WiFiPortConfigurationServiceAddWiFiSettings.Invoke(t.Context(), w, in)
	return code(t, err)
}

func certificate(id string) *wsman.EPR {
	if id == "" {
		return nil
	}
	return new(wsman.Ref("AMT_PublicKeyCertificate", "InstanceID", id))
}

func (w *world) profiles(t *testing.T) []string {
	t.Helper()
	all, err := class.All[cim.WiFiEndpointSettings](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all {
		names = append(names, *p.ElementName)
		if p.PSKPassPhrase != nil || p.PSKValue != nil {
			t.Errorf("profile %s gives its key away", *p.ElementName)
		}
	}
	return names
}

func TestAddWiFi(t *testing.T) {
	w := newWorld(t, firmware.Config{Wireless: &firmware.Wireless{}}, pc.Options{})
	if got := w.addWiFi(t, profile("first", 1)); got != 0 {
		t.Fatal(got)
	}
	type settings = cim.WiFiEndpointSettings
	method := func(p *settings, auth, crypt int) {
		p.AuthenticationMethod, p.EncryptionMethod = new(cim.WiFiEndpointSettingsAuthenticationMethod(auth)), new(cim.WiFiEndpointSettingsEncryptionMethod(crypt))
	}
	for _, tt := range []struct {
		name   string
		change func(p *settings)
		want   status.Status
	}{
		{"the name is in use", func(p *settings) { p.ElementName, p.InstanceID = new("first"), new(profileID+"first") }, 3},
		{"the priority is in use", func(p *settings) { p.Priority = new(uint8(1)) }, 3},
		{"priority 0", func(p *settings) { p.Priority = new(uint8(0)) }, 3},
		{"no name", func(p *settings) { p.ElementName, p.InstanceID = nil, nil }, 3},
		{"a name of 33 characters", func(p *settings) { p.ElementName, p.InstanceID = new(strings.Repeat("x", 33)), nil }, 3},
		{"another name in the InstanceID", func(p *settings) { p.InstanceID = new(profileID + "other") }, 3},
		{"a profile of the host, from the network", func(p *settings) {
			p.InstanceID = new("Intel(r) AMT:WiFi Endpoint User Settings " + *p.ElementName)
		}, 3},
		{"no SSID", func(p *settings) { p.SSID = nil }, 3},
		{"an SSID of 33 bytes", func(p *settings) { p.SSID = new(strings.Repeat("x", 33)) }, 3},
		{"7 characters", func(p *settings) { p.PSKPassPhrase = new("1234567") }, 3},
		{"64 characters", func(p *settings) { p.PSKPassPhrase = new(strings.Repeat("x", 64)) }, 3},
		{"no key", func(p *settings) { p.PSKPassPhrase = nil }, 3},
		{"two keys", func(p *settings) { p.PSKValue = make([]byte, 32) }, 3},
		{"open", func(p *settings) { method(p, 2, 5); p.PSKPassPhrase = nil }, 3},
		{"WPA2 with WEP", func(p *settings) { method(p, 6, 2) }, 3},
		{"a cell without an access point", func(p *settings) { p.BSSType = new(cim.WiFiEndpointSettingsBSSTypeIndependent) }, 3},
		{"802.1X without settings", func(p *settings) { method(p, 7, 4); p.PSKPassPhrase = nil }, 3},
		{"WPA3 on AMT 12", func(p *settings) { method(p, 32768, 4) }, 1},
		{"63 characters", func(p *settings) { p.PSKPassPhrase = new(strings.Repeat("x", 63)) }, 0},
		{"a binary key", func(p *settings) { p.PSKPassPhrase, p.PSKValue = nil, make([]byte, 32) }, 0},
		{"WPA with TKIP", func(p *settings) { method(p, 4, 3) }, 0},
	} {
		name := strings.ReplaceAll(tt.name, " ", "")
		p := profile(name[:min(20, len(name))], uint8(10+len(w.profiles(t))))
		tt.change(p)
		before := w.profiles(t)
		got := w.addWiFi(t, p)
		if after := w.profiles(t); got != tt.want || slices.Equal(before, after) != (tt.want != 0) {
			t.Errorf("%s: %v, profiles %q; want %v", tt.name, got, after, tt.want)
		}
	}
	_, err := amt.WiFiPortConfigurationServiceAddWiFiSettings.Invoke(t.Context(), w, amt.WiFiPortConfigurationServiceAddWiFiSettingsIn{
		WiFiEndpoint: new(wsman.Ref("CIM_WiFiEndpoint", "Name", "WiFi Endpoint 1")), WiFiEndpointSettingsInput: new(profile("elsewhere", 99).Element())})
	if got := code(t, err); got != 4 {
		t.Errorf("another endpoint: %v, want 4", got)
	}
}

func TestWPA3(t *testing.T) {
	w := newWorld(t, firmware.Config{Generation: 16, Wireless: &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "new", Security: "wpa3", Key: "correct horse"}}}}, pc.Options{On: true})
	p := profile("new", 1)
	p.AuthenticationMethod = new(cim.WiFiEndpointSettingsAuthenticationMethod(32768))
	if got := w.addWiFi(t, p); got != 0 {
		t.Fatal(got)
	}
	able, err := class.Get[cim.WiFiEndpointCapabilities](t.Context(), w)
	if err != nil || !slices.Contains(able.SupportedAuthenticationMethods, 32768) {
		t.Errorf("capabilities %v, %v: no WPA3", able.SupportedAuthenticationMethods, err)
	}
	w.switchWiFi(t, 32769)
	if e := w.endpoint(t); *e.EnabledState != 2 || *e.LANID != "new" || *e.AuthenticationMethod != 32768 {
		t.Errorf("endpoint %d, network %s, method %d", *e.EnabledState, *e.LANID, *e.AuthenticationMethod)
	}
}

func (w *world) switchWiFi(t *testing.T, state uint16) {
	t.Helper()
	if _, err := cim.WiFiPortRequestStateChange.Invoke(t.Context(), w, cim.WiFiPortRequestStateChangeIn{RequestedState: new(cim.RequestedState(state))}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) endpoint(t *testing.T) *cim.WiFiEndpoint {
	t.Helper()
	e, err := class.Get[cim.WiFiEndpoint](t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The store takes 16 profiles, or as many as the adapter is said to have.
func TestWiFiLimit(t *testing.T) {
	for _, tt := range []struct{ max, want int }{{0, 16}, {3, 3}} {
		w := newWorld(t, firmware.Config{Wireless: &firmware.Wireless{MaxProfiles: tt.max}}, pc.Options{})
		for i := range tt.want {
			if got := w.addWiFi(t, profile(fmt.Sprint("p", i), uint8(i+1))); got != 0 {
				t.Fatalf("profile %d: %v", i, got)
			}
		}
		if got := w.addWiFi(t, profile("more", 99)); got != 2 {
			t.Errorf("one too many: %v, want 2 (failed)", got)
		}
		if _, err := amt.WiFiPortConfigurationServiceDeleteAllITProfiles.Invoke(t.Context(), w, amt.WiFiPortConfigurationServiceDeleteAllITProfilesIn{}); err != nil || len(w.profiles(t)) != 0 {
			t.Errorf("DeleteAllITProfiles leaves %q, %v", w.profiles(t), err)
		}
	}
}

// Which network AMT is in follows from the state of port and PC, and from priorities, names and keys.
func TestWiFiConnection(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		air := &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "b", Key: "correct horse", BSSID: "0011223344bb"}, {SSID: "a", Key: "correct horse"}, {SSID: "c", Key: "other key"}}}
		w := newWorld(t, firmware.Config{Wireless: air}, pc.Options{On: true})
		for i, name := range []string{"c", "a", "b"} {
			if got := w.addWiFi(t, profile(name, uint8(i+1))); got != 0 {
				t.Fatal(got)
			}
		}
		now := func() string {
			e := w.endpoint(t)
			if *e.EnabledState != 2 {
				return fmt.Sprint(*e.EnabledState)
			}
			return *e.LANID
		}
		change := func(name string, how func(p *cim.WiFiEndpointSettings)) error {
			p, err := class.Get[cim.WiFiEndpointSettings](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: profileID + name})
			if err != nil {
				return err
			}
			how(p)
			_, err = class.Put(t.Context(), w, p)
			return err
		}
		for _, step := range []struct {
			what string
			do   func() error
			want string
		}{
			{"off", func() error { return nil }, "3"},
			{"on: c has another key", func() error { w.switchWiFi(t, 32768); return nil }, "a"},
			{"b first", func() error { return change("b", func(p *cim.WiFiEndpointSettings) { p.Priority = new(uint8(9)) }) }, "a"},
			{"a last, its key kept", func() error { return change("a", func(p *cim.WiFiEndpointSettings) { p.Priority = new(uint8(99)) }) }, "b"},
			{"the PC off, and the port on in S0 only", func() error { w.pc.Person().Hold(); w.settle(); return nil }, "6"},
			{"on in Sx too", func() error { w.switchWiFi(t, 32769); return nil }, "b"},
		} {
			if err := step.do(); err != nil || now() != step.want {
				t.Errorf("%s: %s, %v; want %s", step.what, now(), err, step.want)
			}
		}
		if change("a", func(p *cim.WiFiEndpointSettings) { p.Priority = new(uint8(9)) }) == nil {
			t.Error("a priority that is in use is taken")
		}
		if change("a", func(p *cim.WiFiEndpointSettings) { p.ElementName = new("z") }) == nil {
			t.Error("a new name is taken")
		}
		// AMT is in network b on its own, as the PC is off: the profile is needed.
		remove := func(name string) error {
			return class.Delete[cim.WiFiEndpointSettings](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: profileID + name})
		}
		if remove("b") == nil || remove("a") != nil {
			t.Error("the profile in use goes, or another stays")
		}
		service, err := class.Get[amt.WiFiPortConfigurationService](t.Context(), w)
		if err != nil || *service.LastConnectedSsidUnderMeControl != "b" {
			t.Errorf("last network %q, %v", class.Value(service.LastConnectedSsidUnderMeControl), err)
		}
	})
}

func TestUpdateWiFi(t *testing.T) {
	w := newWorld(t, firmware.Config{Wireless: &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "home", Key: "another key"}}}}, pc.Options{On: true})
	w.switchWiFi(t, 32769)
	if got := w.addWiFi(t, profile("home", 1)); got != 0 {
		t.Fatal(got)
	}
	update := func(id string, p *cim.WiFiEndpointSettings) status.Status {
		_, err := amt.WiFiPortConfigurationServiceUpdateWiFiSettings.Invoke(t.Context(), w, amt.WiFiPortConfigurationServiceUpdateWiFiSettingsIn{
			WiFiEndpointSettings: new(wsman.Ref("CIM_WiFiEndpointSettings", "InstanceID", profileID+id)), WiFiEndpointSettingsInput: new(p.Element())})
		return code(t, err)
	}
	if *w.endpoint(t).EnabledState != 6 {
		t.Error("the wrong key gets in")
	}
	p := profile("home", 1)
	p.PSKPassPhrase = nil
	if got := update("home", p); got != 3 {
		t.Errorf("without a key: %v, want 3", got)
	}
	if got := update("gone", profile("gone", 1)); got != 4 {
		t.Errorf("a profile that is not there: %v, want 4", got)
	}
	if got := update("home", profile("other", 1)); got != 3 {
		t.Errorf("another name: %v, want 3", got)
	}
	p.PSKPassPhrase = new("another key")
	if got := update("home", p); got != 0 {
		t.Errorf("a new key: %v", got)
	}
	if *w.endpoint(t).EnabledState != 2 {
		t.Error("the new key does not get in")
	}
}

func TestWiFiService(t *testing.T) {
	for _, generation := range []int{12, 16} {
		w := newWorld(t, firmware.Config{Generation: generation, Wireless: &firmware.Wireless{}}, pc.Options{})
		put := func(change func(v *amt.WiFiPortConfigurationService)) error {
			v, err := class.Get[amt.WiFiPortConfigurationService](t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if (v.UEFIWiFiProfileShareEnabled != nil) != (generation == 16) {
				t.Errorf("generation %d: UEFI sharing %v", generation, v.UEFIWiFiProfileShareEnabled)
			}
			change(v)
			_, err = class.Put(t.Context(), w, v)
			return err
		}
		for value, ok := range map[int]bool{0: true, 1: true, 2: false, 3: true, 4: false} {
			err := put(func(v *amt.WiFiPortConfigurationService) {
				v.LocalProfileSynchronizationEnabled = new(amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabled(value))
			})
			if (err == nil) != ok {
				t.Errorf("generation %d, synchronization %d: %v", generation, value, err)
			}
		}
		if err := put(func(v *amt.WiFiPortConfigurationService) { v.UEFIWiFiProfileShareEnabled = new(true) }); (err == nil) != (generation == 16) {
			t.Errorf("generation %d, UEFI sharing: %v", generation, err)
		}
	}
}

// store is a state with a root certificate, handle 0, and one of the client, handle 1.
const store = `{"seed":"x","instances":{"AMT_PublicKeyCertificate":[
{"ElementName":"Intel(r) AMT Certificate","InstanceID":"Intel(r) AMT Certificate: Handle: 0","TrustedRootCertficate":"true","X509Certificate":"AAAA"},
{"ElementName":"Intel(r) AMT Certificate","InstanceID":"Intel(r) AMT Certificate: Handle: 1","TrustedRootCertficate":"false","X509Certificate":"AAAA"}]}}`

const rootID, clientID = "Intel(r) AMT Certificate: Handle: 0", "Intel(r) AMT Certificate: Handle: 1"

// withCertificates returns a configuration with both.
func withCertificates(t *testing.T, c firmware.Config) firmware.Config {
	t.Helper()
	s, err := firmware.ReadState(strings.NewReader(store))
	if err != nil {
		t.Fatal(err)
	}
	c.State = s
	return c
}

func TestWiFiEAP(t *testing.T) {
	w := newWorld(t, withCertificates(t, firmware.Config{Generation: 12, Wireless: &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "corp", Security: "802.1x", Key: "s3cret"}}}}), pc.Options{On: true})
	w.switchWiFi(t, 32769)
	corp := func() *cim.WiFiEndpointSettings {
		p := profile("corp", 1)
		p.AuthenticationMethod, p.PSKPassPhrase = new(cim.WiFiEndpointSettingsAuthenticationMethod(7)), nil
		return p
	}
	eap := func(protocol int, user, password string) *cim.IEEE8021xSettings {
		return &cim.IEEE8021xSettings{ElementName: new("corp"), InstanceID: new("Intel(r) AMT:IEEE 802.1x Settings corp"),
			AuthenticationProtocol: new(cim.IEEE8021xAuthenticationProtocol(protocol)), Username: &user, Password: &password}
	}
	for _, tt := range []struct {
		what       string
		eap        *cim.IEEE8021xSettings
		client, ca string
		want       status.Status
	}{
		{"EAP-TLS without certificate", eap(0, "amt", ""), "", rootID, 3},
		{"PEAP without user", eap(2, "", "s3cret"), "", rootID, 3},
		{"protocol 11", eap(11, "amt", "s3cret"), "", "", 3},
		{"a long password", eap(2, "amt", strings.Repeat("x", 33)), "", "", 3},
		{"a certificate that is not there", eap(2, "amt", "s3cret"), "", "Intel(r) AMT Certificate: Handle: 7", 4},
		{"a root as the client's", eap(0, "amt", ""), rootID, "", 4},
		{"a client's as the root", eap(2, "amt", "s3cret"), "", clientID, 4},
		{"PEAP", eap(2, "amt", "s3cret"), clientID, rootID, 0},
	} {
		if got := w.addEAP(t, corp(), tt.eap, tt.client, tt.ca); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
	}
	if *w.endpoint(t).EnabledState != 2 {
		t.Error("AMT is not in the network")
	}
	links, err := class.All[cim.CredentialContext](t.Context(), w)
	if err != nil || len(links) != 2 {
		t.Errorf("%d certificates bound, %v; want 2", len(links), err)
	}
	var file bytes.Buffer
	settings, err := class.All[cim.IEEE8021xSettings](t.Context(), w)
	if err != nil || len(settings) != 2 { // and that of the wired port
		t.Errorf("%d 802.1X settings, %v", len(settings), err)
	}
	for _, s := range settings {
		fmt.Fprintf(&file, "%+v", s.Element())
	}
	if strings.Contains(file.String(), "s3cret") {
		t.Error("the password is given away")
	}
	if err := class.Delete[cim.WiFiEndpointSettings](t.Context(), w, wsman.Selector{Name: "InstanceID", Value: profileID + "corp"}); err != nil {
		t.Fatal(err)
	}
	links, _ = class.All[cim.CredentialContext](t.Context(), w)
	settings, _ = class.All[cim.IEEE8021xSettings](t.Context(), w)
	if len(links) != 0 || len(settings) != 1 {
		t.Errorf("after the profile has gone: %d certificates bound, %d settings", len(links), len(settings))
	}
}
