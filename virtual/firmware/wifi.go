package firmware

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// InstanceIDs of profiles: one of these and the profile's name. Source: spec wireless.md section 7.3.
const (
	itProfile         = "Intel(r) AMT:WiFi Endpoint Settings "
	userProfilePrefix = "Intel(r) AMT:WiFi Endpoint User Settings "
	wifiEAP           = "Intel(r) AMT:IEEE 802.1x Settings "
)

// Values of CIM_WiFiEndpointSettings. Source: spec wireless.md section 7.3.
const (
	authOpen          = "2"
	authShared        = "3"
	authWPA           = "4"
	authWPA8021x      = "5"
	authWPA2          = "6"
	authWPA28021x     = "7"
	authSAE           = "32768"
	authOWE           = "32769"
	cryptWEP          = "2"
	cryptTKIP         = "3"
	cryptCCMP         = "4"
	cryptNone         = "5"
	cryptGCMP         = "32768"
	bssInfrastructure = "3"
)

// Return values of the methods of AMT_WiFiPortConfigurationService. Source: classes.json.
const (
	wifiDone         status.Status = 0
	wifiNotSupported status.Status = 1
	wifiFailed       status.Status = 2 // the store is full
	wifiInvalid      status.Status = 3
	wifiNoReference  status.Status = 4
)

// registerWiFi gives wireless profiles, the port and the service for both their life.
func registerWiFi(t *table) {
	registerWireless(t)
	class.Handle(&t.methods, cim.WiFiPortRequestStateChange,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in cim.WiFiPortRequestStateChangeIn) (out cim.WiFiPortRequestStateChangeOut, _ status.Status, _ error) {
			want := uint16(class.Value(in.RequestedState))
			text := strconv.FormatUint(uint64(want), 10)
			return out, m.switchTo("CIM_WiFiPort", want, in.TimeoutPeriod, m.wireless() != nil && (text == wifiOff || text == wifiS0 || text == wifiSx)), nil
		})
	class.Handle(&t.methods, amt.WiFiPortConfigurationServiceAddWiFiSettings, addWiFi)
	class.Handle(&t.methods, amt.WiFiPortConfigurationServiceUpdateWiFiSettings, updateWiFi)
	class.Handle(&t.methods, amt.WiFiPortConfigurationServiceDeleteAllITProfiles,
		func(ctx context.Context, m *Machine, _ wsman.Selectors, _ amt.WiFiPortConfigurationServiceDeleteAllITProfilesIn) (out amt.WiFiPortConfigurationServiceDeleteAllITProfilesOut, _ status.Status, _ error) {
			if hostOnly(ctx) {
				return out, wifiFailed, nil
			}
			return out, m.deleteProfiles(false), nil
		})
	class.Handle(&t.methods, amt.WiFiPortConfigurationServiceDeleteAllUserProfiles,
		func(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.WiFiPortConfigurationServiceDeleteAllUserProfilesIn) (out amt.WiFiPortConfigurationServiceDeleteAllUserProfilesOut, _ status.Status, _ error) {
			return out, m.deleteProfiles(true), nil
		})
	profiles := t.class("CIM_WiFiEndpointSettings")
	profiles.onPut = putProfile
	profiles.onDelete = func(ctx context.Context, m *Machine, old *wsman.Element) error {
		if hostOnly(ctx) && !userProfile(old) {
			return &status.Error{Op: "CIM_WiFiEndpointSettings.Delete", Code: status.NotPermitted}
		}
		if _, used := m.connection(); used != nil && m.controls() && used.element.ChildText("InstanceID") == old.ChildText("InstanceID") {
			return &status.Error{Op: "CIM_WiFiEndpointSettings.Delete", Code: status.NotPermitted} // AMT is in this network right now
		}
		return nil
	}
	profiles.after = func(_ context.Context, m *Machine, old, now *wsman.Element) {
		if now == nil {
			m.dropEAP(old.ChildText("ElementName"))
		}
	}
	eap := t.class("CIM_IEEE8021xSettings")
	eap.onPut = putWiFiEAP
	eap.onDelete = func(context.Context, *Machine, *wsman.Element) error { // goes with its profile
		return &status.Error{Op: "CIM_IEEE8021xSettings.Delete", Code: status.NotPermitted}
	}
	service := t.class("AMT_WiFiPortConfigurationService")
	service.patch = func(m *Machine, e *wsman.Element) {
		if m.profile.Before(16, 0) {
			set(e, "UEFIWiFiProfileShareEnabled")
		}
		if network, _ := m.connection(); network != nil && m.controls() {
			set(e, "LastConnectedSsidUnderMeControl", network.SSID)
		}
	}
	service.onPut = putWiFiService
	capabilities := t.class("AMT_BootCapabilities")
	before := capabilities.patch
	capabilities.patch = func(m *Machine, e *wsman.Element) {
		if before != nil {
			before(m, e)
		}
		if !m.profile.Before(16, 0) && m.store.untouched("AMT_BootCapabilities") {
			set(e, "UEFIWiFiCoExistenceAndProfileShare", strconv.FormatBool(m.wireless() != nil))
		}
	}
}

// userProfile reports whether a profile is one that the host has written.
func userProfile(e *wsman.Element) bool {
	return strings.HasPrefix(e.ChildText("InstanceID"), userProfilePrefix)
}

func priority(e *wsman.Element) int {
	n, _ := strconv.Atoi(e.ChildText("Priority"))
	return n
}

// putWiFiService holds the switches of the service against what the machine can do.
func putWiFiService(ctx context.Context, m *Machine, _, want *wsman.Element) error {
	refuse := func(code status.Status) error {
		return &status.Error{Op: "AMT_WiFiPortConfigurationService.Put", Code: code}
	}
	sync, share := want.ChildText("localProfileSynchronizationEnabled"), want.ChildText("UEFIWiFiProfileShareEnabled") == "true"
	switch {
	case hostOnly(ctx):
		return refuse(status.NotPermitted)
	case m.wireless() == nil && (sync != "0" || share):
		return refuse(status.Unsupported)
	case sync != "0" && sync != "1" && sync != "3":
		return refuse(status.InvalidParameter)
	case want.ChildText("NoHostCsmeSoftwarePolicy") > "1":
		return refuse(status.InvalidParameter)
	case share && !m.sharesWithUEFI():
		return refuse(status.Unsupported)
	}
	return nil
}

// sharesWithUEFI reports whether the BIOS takes profiles.
func (m *Machine) sharesWithUEFI() bool {
	can := m.one("AMT_BootCapabilities")
	return can != nil && can.ChildText("UEFIWiFiCoExistenceAndProfileShare") == "true"
}

// addWiFi makes a profile.
func addWiFi(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.WiFiPortConfigurationServiceAddWiFiSettingsIn) (out amt.WiFiPortConfigurationServiceAddWiFiSettingsOut, _ status.Status, _ error) {
	w := m.wireless()
	if w == nil {
		return out, wifiNotSupported, nil
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	if v, err := m.resolve(in.WiFiEndpoint); err != nil || v.class.Name != "CIM_WiFiEndpoint" {
		return out, wifiNoReference, nil
	}
	want, code := m.newProfile(in.WiFiEndpointSettingsInput)
	if code == wifiDone {
		code = m.checkProfile(ctx, &want, nil)
	}
	var eap *eapInput
	if code == wifiDone {
		eap, code = m.wifiEAPInput(&want, in.IEEE8021xSettingsInput, in.ClientCredential, in.CACredential)
	}
	if code == wifiDone {
		code = m.makeRoom(w, userProfile(&want))
	}
	if code != wifiDone {
		return out, code, nil
	}
	name := want.ChildText("ElementName")
	if _, err := m.add(m.catalogue.classes["CIM_WiFiEndpointSettings"], want); err != nil {
		return out, wifiInvalid, nil
	}
	m.dropEAP(name)
	return out, m.keepEAP(eap), nil
}

// makeRoom reports whether another profile has room. The oldest of the host makes place for a new one of the host.
func (m *Machine) makeRoom(w *Wireless, user bool) status.Status {
	ci := m.catalogue.classes["CIM_WiFiEndpointSettings"]
	list := m.store.of(ci)
	all, users := w.limits(&m.profile)
	byHost := slices.DeleteFunc(slices.Clone(list), func(i *instance) bool { return !userProfile(&i.element) })
	switch {
	case user && len(byHost) > 0 && (len(byHost) >= users || len(list) >= all):
		m.store.update(ci, byHost[0], nil)
	case len(list) >= all:
		return wifiFailed
	}
	return wifiDone
}

// updateWiFi replaces a profile but for its name: what the input leaves out is not taken from before.
func updateWiFi(ctx context.Context, m *Machine, _ wsman.Selectors, in amt.WiFiPortConfigurationServiceUpdateWiFiSettingsIn) (out amt.WiFiPortConfigurationServiceUpdateWiFiSettingsOut, _ status.Status, _ error) {
	if m.wireless() == nil {
		return out, wifiNotSupported, nil
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	v, err := m.resolve(in.WiFiEndpointSettings)
	if err != nil || v.class.Name != "CIM_WiFiEndpointSettings" || v.stored == nil {
		return out, wifiNoReference, nil
	}
	want, code := m.newProfile(in.WiFiEndpointSettingsInput)
	if code == wifiDone && want.ChildText("InstanceID") != v.element.ChildText("InstanceID") {
		code = wifiInvalid // the name is fixed
	}
	if code == wifiDone {
		code = m.checkProfile(ctx, &want, v.stored)
	}
	var eap *eapInput
	if code == wifiDone {
		eap, code = m.wifiEAPInput(&want, in.IEEE8021xSettingsInput, in.ClientCredential, in.CACredential)
	}
	if code != wifiDone {
		return out, code, nil
	}
	now := v.class.instance(want)
	now.hidden = v.class.hide(&now.element, nil)
	m.store.update(v.class, v.stored, now)
	m.dropEAP(want.ChildText("ElementName"))
	return out, m.keepEAP(eap), nil
}

// deleteProfiles removes all profiles of the administrator, or of the host.
func (m *Machine) deleteProfiles(user bool) status.Status {
	if m.wireless() == nil {
		return wifiNotSupported
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes["CIM_WiFiEndpointSettings"]
	for _, i := range m.store.of(ci) {
		if userProfile(&i.element) == user {
			m.store.update(ci, i, nil)
			m.dropEAP(i.element.ChildText("ElementName"))
		}
	}
	return wifiDone
}
