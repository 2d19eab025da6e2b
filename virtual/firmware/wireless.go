package firmware

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// A Wireless is the Wi-Fi adapter of a PC, with the access points around it. Source: spec wireless.md section 7.
type Wireless struct {
	MAC      string        `json:"mac,omitempty"` // 12 hex digits; "": the one after the wired port's
	Networks []AccessPoint `json:"networks,omitempty"`

	// Limits of the store. Sources disagree about them: 16 profiles, 8 of them by the host, is what guides of before
	// AMT 15 say; later host software counts on 16 of its own.
	MaxProfiles     int `json:"max_profiles,omitempty"`      // 0: 16; from AMT 15 on 32
	MaxUserProfiles int `json:"max_user_profiles,omitempty"` // 0: 8; from AMT 15 on 16
}

// An AccessPoint is a network in reach of the adapter. AMT joins it with a profile that fits.
type AccessPoint struct {
	SSID     string `json:"ssid"`
	BSSID    string `json:"bssid,omitempty"`    // 12 hex digits
	Security string `json:"security,omitempty"` // "open", "wpa", "wpa2", "wpa3", "owe", "802.1x"; "": wpa2
	Key      string `json:"key,omitempty"`      // passphrase; with 802.1x the user's password, "" for any
}

// limits returns how many profiles there may be, and how many of them by the host.
func (w *Wireless) limits(p *Profile) (all, user int) {
	if p.Before(15, 0) {
		return cmp.Or(w.MaxProfiles, 16), cmp.Or(w.MaxUserProfiles, 8)
	}
	return cmp.Or(w.MaxProfiles, 32), cmp.Or(w.MaxUserProfiles, 16)
}

// wireless returns the adapter, or nil. The dump of a real machine has one if it has a CIM_WiFiPort.
func (m *Machine) wireless() *Wireless {
	m.network.mu.Lock()
	adapter := m.network.adapter
	m.network.mu.Unlock()
	if adapter != nil || m.store.untouched("CIM_WiFiPort") {
		return adapter
	}
	list := m.store.of(m.catalogue.classes["CIM_WiFiPort"])
	if len(list) == 0 {
		return nil
	}
	return &Wireless{MAC: strings.ToLower(list[0].element.ChildText("PermanentAddress"))}
}

// wirelessMAC returns the adapter's address.
func (m *Machine) wirelessMAC(w *Wireless) string {
	if w.MAC != "" {
		return strings.ToLower(w.MAC)
	}
	id := m.Identity()
	n, _ := strconv.ParseUint(id.MAC, 16, 64)
	mac := strconv.FormatUint(n+1, 16)
	return strings.Repeat("0", max(0, 12-len(mac))) + mac
}

// States of CIM_WiFiPort. Source: spec wireless.md section 7.2.
const (
	wifiOff = "3"
	wifiS0  = "32768"
	wifiSx  = "32769" // in S0, and in Sx on AC
)

// wifiState returns the state of the port.
func (m *Machine) wifiState() string {
	ci := m.catalogue.classes["CIM_WiFiPort"]
	if ci == nil {
		return wifiOff
	}
	for _, i := range m.store.of(ci) {
		return i.element.ChildText("EnabledState")
	}
	return wifiOff
}

// controls reports whether AMT has the wireless link, rather than the host: when a console prefers it, and when no
// operating system runs.
func (m *Machine) controls() bool {
	return m.wifiState() != wifiOff && (m.prefersME() || m.powerOf() != S0)
}

// connection returns the network that the machine is in, and the profile that it uses; nil for none. Profiles of the
// administrator go before those of the host, and each kind by priority.
func (m *Machine) connection() (*AccessPoint, *instance) {
	w, state, sx := m.wireless(), m.wifiState(), m.powerOf()
	if w == nil || sx == G3 || state != wifiSx && (state != wifiS0 || sx != S0) {
		return nil, nil
	}
	ci := m.catalogue.classes["CIM_WiFiEndpointSettings"]
	profiles := slices.Clone(m.store.of(ci))
	slices.SortStableFunc(profiles, func(a, b *instance) int {
		return cmp.Or(cmp.Compare(itob(userProfile(&a.element)), itob(userProfile(&b.element))), cmp.Compare(priority(&a.element), priority(&b.element)))
	})
	for _, p := range profiles {
		for i := range w.Networks {
			if m.fits(p, &w.Networks[i]) {
				return &w.Networks[i], p
			}
		}
	}
	return nil, nil
}

func itob(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fits reports whether a profile gets into a network.
func (m *Machine) fits(p *instance, a *AccessPoint) bool {
	if p.element.ChildText("SSID") != a.SSID {
		return false
	}
	key := ""
	if e := firstNamed(p.hidden, "PSKPassPhrase"); e != nil {
		key = e.Text
	}
	method := p.element.ChildText("AuthenticationMethod")
	switch a.Security {
	case "open":
		return method == authOpen
	case "owe":
		return method == authOWE
	case "wpa":
		return method == authWPA && key == a.Key
	case "", "wpa2":
		return method == authWPA2 && key == a.Key
	case "wpa3":
		return method == authSAE && key == a.Key
	case "802.1x":
		eap := m.eapOf(p)
		if eap == nil || method != authWPA8021x && method != authWPA28021x {
			return false
		}
		password := firstNamed(eap.hidden, "Password")
		return a.Key == "" || password != nil && password.Text == a.Key
	}
	return false
}

// patchWireless shows the link of the wireless port.
func (m *Machine) patchWireless(e *wsman.Element) {
	w := m.wireless()
	if w == nil {
		return
	}
	set(e, "MACAddress", dashed(m.wirelessMAC(w)))
	network, _ := m.connection()
	set(e, "LinkIsUp", strconv.FormatBool(network != nil))
	preference, control := "2", "2"
	if m.prefersME() {
		preference = "1"
	}
	if m.controls() {
		control = "1"
	}
	set(e, "LinkPreference", preference)
	set(e, "LinkControl", control)
}

// registerWireless gives the classes that describe the adapter their values.
func registerWireless(t *table) {
	for _, name := range []string{"CIM_WiFiPort", "CIM_WiFiEndpoint", "CIM_WiFiPortCapabilities", "CIM_WiFiEndpointCapabilities"} {
		t.class(name).has = func(m *Machine, _ *wsman.Element) bool { return m.wireless() != nil }
	}
	t.class("CIM_WiFiPort").patch = func(m *Machine, e *wsman.Element) {
		if w := m.wireless(); w != nil {
			set(e, "PermanentAddress", m.wirelessMAC(w))
		}
	}
	t.class("CIM_WiFiPortCapabilities").patch = func(m *Machine, e *wsman.Element) {
		if m.store.untouched("CIM_WiFiPortCapabilities") {
			set(e, "SupportedPortTypes", "70", "71", "72", "73") // 802.11 a, b, g, n
		}
	}
	t.class("CIM_WiFiEndpointCapabilities").patch = func(m *Machine, e *wsman.Element) {
		if m.store.untouched("CIM_WiFiEndpointCapabilities") && !m.profile.Before(15, 0) {
			set(e, "SupportedAuthenticationMethods", authWPA, authWPA8021x, authWPA2, authWPA28021x, authSAE, authOWE)
		}
	}
	t.class("CIM_WiFiEndpoint").patch = func(m *Machine, e *wsman.Element) {
		network, profile := m.connection()
		switch {
		case network != nil:
			set(e, "EnabledState", "2")
			set(e, "LANID", network.SSID)
			set(e, "Associated", "true")
			set(e, "AuthenticationMethod", profile.element.ChildText("AuthenticationMethod"))
			set(e, "EncryptionMethod", profile.element.ChildText("EncryptionMethod"))
			set(e, "BSSType", bssInfrastructure)
			if network.BSSID != "" {
				set(e, "AccessPointAddress", network.BSSID)
			}
		case m.wifiState() == wifiOff:
			set(e, "EnabledState", strconv.Itoa(stateDisabled))
		default:
			set(e, "EnabledState", strconv.Itoa(stateOffline))
		}
	}
}
