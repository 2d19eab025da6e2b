package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/wifiportconfiguration"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim/models"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim/wifi"

	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

const wifiID = "Intel(r) AMT:WiFi Endpoint Settings "

// radio is an adapter with two networks in the air.
func radio() *firmware.Wireless {
	return &firmware.Wireless{Networks: []firmware.AccessPoint{{SSID: "Office", Key: "correct horse"}, {SSID: "corp", Security: "802.1x", Key: "s3cret"}}}
}

// connected returns the network that the machine is in, by its own word.
func connected(t *testing.T, w *world) string {
	t.Helper()
	state, err := manager(t, w).WiFi(t.Context())
	check(t, err)
	return state.SSID
}

// What our console sets, the library reads: never the key.
func TestGoWsmanReadsWiFi(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 16, Power: "on", Wireless: radio()})
	ours, theirs := manager(t, w), gowsman(t, w)
	_, err := ours.AddWiFiProfile(t.Context(), console.WiFiProfile{Name: "office", SSID: "Office", Security: "wpa2", Key: "correct horse"})
	check(t, err)
	_, err = ours.AddWiFiProfile(t.Context(), console.WiFiProfile{Name: "new", SSID: "New", Priority: 7, Security: "wpa3", Key: "battery staple"})
	check(t, err)
	_, err = ours.SetWiFiState(t.Context(), "s0-sx")
	check(t, err)
	_, err = ours.SetWiFiSync(t.Context(), console.WiFiSync{Sync: "unrestricted", UEFISharing: new(true)})
	check(t, err)

	context, err := theirs.CIM.WiFiEndpointSettings.Enumerate()
	check(t, err)
	list, err := theirs.CIM.WiFiEndpointSettings.Pull(context.Body.EnumerateResponse.EnumerationContext)
	check(t, err)
	var got []string
	for _, p := range list.Body.PullResponse.EndpointSettingsItems {
		got = append(got, fmt.Sprint(p.InstanceID, " ", p.SSID, " ", p.Priority, " ", int(p.AuthenticationMethod), " ", int(p.EncryptionMethod), " ", int(p.BSSType)))
	}
	equal(t, "profiles", strings.Join(got, "\n"), wifiID+"office Office 1 6 4 3\n"+wifiID+"new New 7 32768 4 3")
	if strings.Contains(list.XMLOutput, "horse") || strings.Contains(list.XMLOutput, "staple") {
		t.Error("a key is given away")
	}
	port, err := theirs.CIM.WiFiPort.Get()
	check(t, err)
	equal(t, "port state", int(port.Body.WiFiPortGetResponse.EnabledState), 32769)
	service, err := theirs.AMT.WiFiPortConfigurationService.Get()
	check(t, err)
	equal(t, "synchronization", int(service.Body.WiFiPortConfigurationService.LocalProfileSynchronizationEnabled), 3)
	equal(t, "UEFI sharing", service.Body.WiFiPortConfigurationService.UEFIWiFiProfileShareEnabled, true)
	equal(t, "network", connected(t, w), "Office")
	if n := len(w.instances(t, "CIM_WiFiEndpointSettings")); n != 2 {
		t.Errorf("the machine has %d profiles", n)
	}

	check(t, ours.RemoveWiFiProfile(t.Context(), "new"))
	context, err = theirs.CIM.WiFiEndpointSettings.Enumerate()
	check(t, err)
	list, err = theirs.CIM.WiFiEndpointSettings.Pull(context.Body.EnumerateResponse.EnumerationContext)
	check(t, err)
	equal(t, "profiles left", len(list.Body.PullResponse.EndpointSettingsItems), 1)
}

// What the library writes is so in the machine: it gets into the network with the key it was given.
func TestGoWsmanWritesWiFi(t *testing.T) {
	w := machine(t, lab.Machine{Dump: []byte(certified), Power: "on", Wireless: radio()})
	theirs := gowsman(t, w)
	profile := func(name, ssid, key string, method wifi.AuthenticationMethod, priority int) wifi.WiFiEndpointSettingsRequest {
		return wifi.WiFiEndpointSettingsRequest{ElementName: name, InstanceID: wifiID + name, SSID: ssid, AuthenticationMethod: method,
			EncryptionMethod: wifi.EncryptionMethodCCMP, Priority: priority, PSKPassPhrase: key}
	}
	_, err := theirs.CIM.WiFiPort.RequestStateChange(32769)
	check(t, err)
	_, err = theirs.AMT.WiFiPortConfigurationService.AddWiFiSettings(profile("office", "Office", "wrong horse", wifi.AuthenticationMethodWPA2PSK, 1), models.IEEE8021xSettings{}, "WiFi Endpoint 0", "", "")
	check(t, err)
	equal(t, "network with the wrong key", connected(t, w), "")
	_, err = theirs.AMT.WiFiPortConfigurationService.UpdateWiFiSettings(profile("office", "Office", "correct horse", wifi.AuthenticationMethodWPA2PSK, 2), models.IEEE8021xSettings{}, "", "")
	check(t, err)
	equal(t, "network", connected(t, w), "Office")
	if !strings.Contains(w.dump(t), "correct horse") || strings.Contains(w.dump(t), "wrong horse") {
		t.Error("the machine does not keep the key")
	}
	for what, bad := range map[string]wifi.WiFiEndpointSettingsRequest{
		"a short key":            profile("bad", "Bad", "short", wifi.AuthenticationMethodWPA2PSK, 9),
		"a name in use":          profile("office", "Office", "correct horse", wifi.AuthenticationMethodWPA2PSK, 9),
		"a priority in use":      profile("bad", "Bad", "correct horse", wifi.AuthenticationMethodWPA2PSK, 2),
		"802.1X without a user":  profile("bad", "Bad", "", wifi.AuthenticationMethodWPA2IEEE8021x, 9),
		"WPA3 on an old machine": profile("bad", "Bad", "correct horse", 32768, 9),
	} {
		if _, err := theirs.AMT.WiFiPortConfigurationService.AddWiFiSettings(bad, models.IEEE8021xSettings{AuthenticationProtocol: 2}, "WiFi Endpoint 0", "", ""); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	// 802.1X with the certificates of the store.
	eap := models.IEEE8021xSettings{ElementName: "corp", InstanceID: "Intel(r) AMT:IEEE 802.1x Settings corp", AuthenticationProtocol: 2, Username: "amt", Password: "s3cret"}
	_, err = theirs.AMT.WiFiPortConfigurationService.AddWiFiSettings(profile("corp", "corp", "", wifi.AuthenticationMethodWPA2IEEE8021x, 1), eap, "WiFi Endpoint 0",
		"Intel(r) AMT Certificate: Handle: 1", "Intel(r) AMT Certificate: Handle: 0")
	check(t, err)
	equal(t, "network with 802.1X", connected(t, w), "corp")
	all, err := manager(t, w).WiFiProfiles(t.Context())
	check(t, err)
	i := slices.IndexFunc(all, func(p console.WiFiProfile) bool { return p.Name == "corp" })
	if i < 0 || all[i].EAP == nil || all[i].EAP.Username != "amt" || all[i].EAP.ClientCertificate != "Intel(r) AMT Certificate: Handle: 1" || all[i].EAP.CACertificate != "Intel(r) AMT Certificate: Handle: 0" {
		t.Errorf("our console reads %+v", all)
	}
	_, err = theirs.CIM.WiFiEndpointSettings.Delete(wifiID + "corp")
	check(t, err)
	equal(t, "network after the removal", connected(t, w), "Office")

	request := wifiportconfiguration.WiFiPortConfigurationServiceRequest{RequestedState: 12, EnabledState: 5, HealthState: 5, ElementName: "Intel(r) AMT WiFiPort Configuration Service",
		SystemCreationClassName: "CIM_ComputerSystem", SystemName: "Intel(r) AMT", CreationClassName: "AMT_WiFiPortConfigurationService", Name: "Intel(r) AMT WiFi Port Configuration Service",
		LocalProfileSynchronizationEnabled: 1}
	_, err = theirs.AMT.WiFiPortConfigurationService.Put(request)
	check(t, err)
	state, err := manager(t, w).WiFi(t.Context())
	check(t, err)
	equal(t, "synchronization", state.Sync, "user")
}
