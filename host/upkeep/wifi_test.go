package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const (
	wpa2 = cim.WiFiEndpointSettingsAuthenticationMethodWPA2PSK
	aes  = cim.WiFiEndpointSettingsEncryptionMethodCCMP
)

// hostsNetworks returns what AMT has from its host, as an administrator sees it.
func hostsNetworks(t *testing.T, admin *wsman.Client) string {
	t.Helper()
	have, err := hostProfiles(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range slices.Sorted(maps.Keys(have)) {
		all = append(all, id+" as "+have[id])
	}
	return strings.Join(all, ", ")
}

func synchronize(t *testing.T, admin *wsman.Client, how amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabled) {
	t.Helper()
	service, err := class.Get[amt.WiFiPortConfigurationService](t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	service.LocalProfileSynchronizationEnabled = &how
	if _, err := class.Put(t.Context(), admin, service); err != nil {
		t.Fatal(err)
	}
}

// AMT has the networks of its PC when it wants them, and the profile of an administrator stays.
func TestTellWiFi(t *testing.T) {
	var writes atomic.Int32
	refuse := ""
	_, local, admin := machine(t, firmware.Config{Wireless: &firmware.Wireless{}, Hooks: firmware.Hooks{OnInvoke: func(_ context.Context, _, method string) status.Status {
		if strings.HasSuffix(method, "WiFiSettings") {
			writes.Add(1)
		}
		return 0
	}}})
	var now []Network
	var failure error
	do := TellWiFi(func(context.Context) ([]Network, error) {
		if refuse != "" {
			t.Error(refuse)
		}
		return now, failure
	})
	step := func(name, want string, wrote int32) {
		t.Helper()
		writes.Store(0)
		if err := do(t.Context(), local); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := hostsNetworks(t, admin); got != want || writes.Load() != wrote {
			t.Errorf("%s: AMT has %q and was told %d times, want %q and %d", name, got, writes.Load(), want, wrote)
		}
	}
	it := &cim.WiFiEndpointSettings{ElementName: new("office"), InstanceID: new("Intel(r) AMT:WiFi Endpoint Settings office"), SSID: new("home"), Priority: new(uint8(1)),
		BSSType: new(cim.WiFiEndpointSettingsBSSTypeInfrastructure), AuthenticationMethod: new(wpa2), EncryptionMethod: new(aes), PSKPassPhrase: new("of the company")}
	e := it.Element()
	if _, err := amt.WiFiPortConfigurationServiceAddWiFiSettings.Invoke(t.Context(), admin, amt.WiFiPortConfigurationServiceAddWiFiSettingsIn{
		WiFiEndpoint: new(wsman.Ref("CIM_WiFiEndpoint", "Name", wifiEndpoint)), WiFiEndpointSettingsInput: &e}); err != nil {
		t.Fatal(err)
	}
	home, work := Network{SSID: "home", Authentication: wpa2, Encryption: aes, Key: "correct horse", Used: 1}, Network{SSID: "work", Authentication: wpa2, Encryption: aes, Key: "battery staple", Used: 2}
	now = []Network{home, work}

	refuse = "the networks are read although AMT does not want them"
	synchronize(t, admin, amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabledDisabled)
	step("not wanted", "", 0)
	refuse = ""
	synchronize(t, admin, amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabledUserProfileSync)
	const both = "6 home as INTEL_SYNC_3, 6 work as INTEL_SYNC_1"
	step("two", both, 2)
	step("again", both, 0)
	now[0].Key = "another horse"
	step("another key", both, 1)
	failure = fmt.Errorf("away: %w", ErrNoNetworks)
	step("nobody keeps networks", both, 0)
	failure = nil
	// WPA3 is refused before release 15, once.
	now = append(now, Network{SSID: "new", Authentication: cim.WiFiEndpointSettingsAuthenticationMethodWPA3SAE, Encryption: aes, Key: "correct horse", Used: 9})
	step("WPA3", both, 1)
	step("WPA3 again", both, 0)
	now = []Network{now[0], {SSID: "open", Authentication: cim.WiFiEndpointSettingsAuthenticationMethodOpenSystem, Encryption: cim.WiFiEndpointSettingsEncryptionMethodNone}}
	step("another", "2 open as INTEL_SYNC_1, 6 home as INTEL_SYNC_3", 2) // work is gone, so all are told anew
	now = nil
	for i := range 12 {
		now = append(now, Network{SSID: fmt.Sprintf("net%02d", i), Authentication: wpa2, Encryption: aes, Key: "correct horse", Used: uint64(i)})
	}
	step("many", "6 net04 as INTEL_SYNC_15, 6 net05 as INTEL_SYNC_13, 6 net06 as INTEL_SYNC_11, 6 net07 as INTEL_SYNC_9, 6 net08 as INTEL_SYNC_7, 6 net09 as INTEL_SYNC_5, 6 net10 as INTEL_SYNC_3, 6 net11 as INTEL_SYNC_1", 8)
	now = nil
	step("none", "", 0)
	all, err := class.All[cim.WiFiEndpointSettings](t.Context(), admin)
	if err != nil || len(all) != 1 || class.Value(all[0].ElementName) != "office" {
		t.Errorf("%d profiles, %v; want the administrator's", len(all), err)
	}
	failure = errors.New("broken")
	if err := do(t.Context(), local); !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
}

// A machine without a wireless port is left alone.
func TestTellWiFiWithout(t *testing.T) {
	_, local, _ := machine(t, firmware.Config{})
	do := TellWiFi(func(context.Context) ([]Network, error) { return nil, errors.New("the networks are read") })
	if err := do(t.Context(), local); err != nil {
		t.Error(err)
	}
}

// What of NetworkManager's profiles is for AMT.
func TestNetworkManagerProfile(t *testing.T) {
	type settings = map[string]any
	wifi := func(security settings, more ...settings) nmProfile {
		p := nmProfile{}
		put := func(setting string, values settings) {
			if p[setting] == nil {
				p[setting] = map[string]dbus.Variant{}
			}
			for k, v := range values {
				p[setting][k] = dbus.MakeVariant(v)
			}
		}
		put(nmCommon, settings{"type": nmWireless, "timestamp": uint64(7)})
		put(nmWireless, settings{"ssid": []byte("home"), "mode": "infrastructure"})
		if security != nil {
			put(nmSecurity, security)
		}
		for i, m := range more {
			put([]string{nmCommon, nmWireless}[i], m)
		}
		return p
	}
	for _, tt := range []struct {
		name    string
		profile nmProfile
		want    string // authentication, encryption, whether a key is needed; "": not for AMT
	}{
		{"open", wifi(nil), "2 5 false"},
		{"WPA2", wifi(settings{"key-mgmt": "wpa-psk"}), "6 4 true"},
		{"WPA", wifi(settings{"key-mgmt": "wpa-psk", "proto": []string{"wpa"}}), "4 4 true"},
		{"TKIP", wifi(settings{"key-mgmt": "wpa-psk", "proto": []string{"wpa"}, "pairwise": []string{"tkip"}}), "4 3 true"},
		{"WPA and WPA2", wifi(settings{"key-mgmt": "wpa-psk", "proto": []string{"wpa", "rsn"}}), "6 4 true"},
		{"WPA3", wifi(settings{"key-mgmt": "sae", "psk-flags": uint32(0)}), "32768 4 true"},
		{"OWE", wifi(settings{"key-mgmt": "owe"}), "32769 4 false"},
		{"key of a user's keyring", wifi(settings{"key-mgmt": "wpa-psk", "psk-flags": uint32(1)}), ""},
		{"WEP", wifi(settings{"key-mgmt": "none", "wep-key0": "12345"}), ""},
		{"802.1X", wifi(settings{"key-mgmt": "wpa-eap"}), ""},
		{"security without a kind", wifi(settings{"auth-alg": "leap"}), ""},
		{"of another kind", wifi(nil, settings{"type": "802-3-ethernet"}), ""},
		{"one user's own", wifi(nil, settings{"permissions": []string{"user:alice:"}}), ""},
		{"hot spot", wifi(nil, nil, settings{"mode": "ap"}), ""},
		{"no SSID", wifi(nil, nil, settings{"ssid": []byte{}}), ""},
		{"SSID that is no text", wifi(nil, nil, settings{"ssid": []byte{0xff, 1}}), ""},
		{"SSID of another type", wifi(nil, nil, settings{"ssid": "home"}), ""},
		{"nothing", nmProfile{}, ""},
	} {
		n, secret, ok := tt.profile.network()
		got := ""
		if ok {
			got = fmt.Sprintf("%d %d %t", n.Authentication, n.Encryption, secret)
		}
		if got != tt.want || ok && (n.SSID != "home" || n.Used != 7) {
			t.Errorf("%s: got %q of %+v, want %q", tt.name, got, n, tt.want)
		}
	}
	for key, want := range map[string]bool{"1234567": false, "12345678": true, strings.Repeat("x", 63): true, strings.Repeat("a", 64): false, "pass\nword": false, "": false} {
		if goodKey(key) != want {
			t.Errorf("key of %d characters: got %t, want %t", len(key), !want, want)
		}
	}
}
