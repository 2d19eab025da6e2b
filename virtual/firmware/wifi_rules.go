package firmware

import (
	"context"
	"slices"
	"strings"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Limits of a profile. Source: spec wireless.md section 7.3.
const (
	maxProfileName = 32 // characters
	maxSSID        = 32 // octets
	minPassphrase  = 8  // characters
	maxPassphrase  = 63
	pskOctets      = 32 // of PSKValue
)

// newProfile makes an instance of an input, with its InstanceID and with the BSS type if there is none.
func (m *Machine) newProfile(input *wsman.Element) (wsman.Element, status.Status) {
	ci := m.catalogue.classes["CIM_WiFiEndpointSettings"]
	want, code := ci.embedded(input)
	if code != wifiDone {
		return want, code
	}
	name, id := want.ChildText("ElementName"), want.ChildText("InstanceID")
	if id == "" {
		id = itProfile + name
	}
	bad := func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("<>&\"", r) }
	if name == "" || len(name) > maxProfileName || strings.IndexFunc(name, bad) >= 0 || id != itProfile+name && id != userProfilePrefix+name {
		return want, wifiInvalid
	}
	set(&want, "InstanceID", id)
	if want.Child("BSSType") == nil {
		set(&want, "BSSType", bssInfrastructure)
	}
	ci.Order(want.Children)
	return want, wifiDone
}

// embedded makes an instance of the class of a parameter that holds one.
func (ci *classInfo) embedded(input *wsman.Element) (wsman.Element, status.Status) {
	if input == nil {
		return wsman.Element{}, wifiInvalid
	}
	body := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}, Children: input.Children}
	want, err := ci.merge(&wsman.Element{}, &body, true)
	if err != nil {
		return want, wifiInvalid
	}
	return want, wifiDone
}

// checkProfile holds a profile against the rules and against the other profiles. old is the one that it replaces; with
// old, a key that is missing is the old one only for a Put, whose want has none where the old one stays.
func (m *Machine) checkProfile(ctx context.Context, want *wsman.Element, old *instance) status.Status {
	method, crypt := want.ChildText("AuthenticationMethod"), want.ChildText("EncryptionMethod")
	ssid, p := want.ChildText("SSID"), priority(want)
	user := userProfile(want)
	switch {
	case ssid == "" || len(ssid) > maxSSID || want.ChildText("BSSType") != bssInfrastructure || !user && p < 1:
		return wifiInvalid
	case (method == authSAE || method == authOWE || crypt == cryptGCMP) && m.profile.Before(15, 0):
		return wifiNotSupported // WPA3 came later
	case !goodSecurity(method, crypt, user):
		return wifiInvalid
	case user && !m.hostMayWrite(ctx), !user && hostOnly(ctx):
		return wifiInvalid
	}
	for _, other := range m.store.of(m.catalogue.classes["CIM_WiFiEndpointSettings"]) {
		same := other.element.ChildText("InstanceID") == want.ChildText("InstanceID")
		if same && old == nil || !same && !user && !userProfile(&other.element) && priority(&other.element) == p {
			return wifiInvalid // the name or the priority is in use
		}
	}
	return goodKey(want, method)
}

// goodSecurity reports whether authentication and encryption fit each other, and whoever writes the profile. Source:
// spec wireless.md section 7.3.
func goodSecurity(method, crypt string, user bool) bool {
	switch method {
	case authOpen, authShared:
		return user && (crypt == cryptWEP || crypt == cryptNone)
	case authWPA, authWPA2:
		return crypt == cryptTKIP || crypt == cryptCCMP
	case authWPA8021x, authWPA28021x:
		return !user && (crypt == cryptTKIP || crypt == cryptCCMP)
	case authSAE:
		return crypt == cryptCCMP || crypt == cryptGCMP
	case authOWE:
		return crypt == cryptCCMP
	}
	return false
}

// goodKey holds the pre-shared key against the method.
func goodKey(want *wsman.Element, method string) status.Status {
	phrase, value := want.Child("PSKPassPhrase"), want.Child("PSKValue")
	if !hasKey(method) {
		if phrase != nil || value != nil {
			return wifiInvalid
		}
		return wifiDone
	}
	switch {
	case (phrase != nil) == (value != nil): // exactly one
		return wifiInvalid
	case value != nil && len(strings.TrimRight(value.Text, "=")) != (pskOctets*8+5)/6:
		return wifiInvalid
	case phrase != nil && (len(phrase.Text) < minPassphrase || len(phrase.Text) > maxPassphrase):
		return wifiInvalid
	}
	return wifiDone
}

func hasKey(method string) bool { return method == authWPA || method == authWPA2 || method == authSAE }

// hostMayWrite reports whether who asks is the host's own service, and may write profiles: only it writes those of the
// host, and only when synchronization is on.
func (m *Machine) hostMayWrite(ctx context.Context) bool {
	c, _ := ctx.Value(callerKey{}).(caller)
	service := m.one("AMT_WiFiPortConfigurationService")
	return c.realms.Has(RealmLocalSystem) && service != nil && service.ChildText("localProfileSynchronizationEnabled") != "0"
}

// hostOnly reports whether who asks is the host's own service and no administrator: the host's profiles alone are for it.
func hostOnly(ctx context.Context) bool {
	c, ok := ctx.Value(callerKey{}).(caller)
	return ok && !c.realms.Has(RealmAdministration)
}

// putProfile holds a changed profile against the rules. The key may stay away: it is the one of before then, if there
// was one.
func putProfile(ctx context.Context, m *Machine, old, want *wsman.Element) error {
	refuse := &status.Error{Op: "CIM_WiFiEndpointSettings.Put", Code: status.InvalidParameter}
	method, before := want.ChildText("AuthenticationMethod"), old.ChildText("AuthenticationMethod")
	eap := func(method string) bool { return method == authWPA8021x || method == authWPA28021x }
	if want.ChildText("ElementName") != old.ChildText("ElementName") || eap(method) != eap(before) || hasKey(method) != hasKey(before) {
		return refuse
	}
	probe := *want
	probe.Children = slices.Clone(want.Children)
	if hasKey(method) && want.Child("PSKPassPhrase") == nil && want.Child("PSKValue") == nil {
		set(&probe, "PSKPassPhrase", strings.Repeat("x", minPassphrase)) // the old one stays
	}
	if m.checkProfile(ctx, &probe, &instance{}) != wifiDone {
		return refuse
	}
	return nil
}
