package firmware

import (
	"context"
	"slices"
	"strconv"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// An eapInput is 802.1X settings of a wireless profile with the certificates that they name.
type eapInput struct {
	settings   wsman.Element
	client, ca *view // nil: none
}

// Limits of 802.1X settings. Source: spec wireless.md section 7.3.
const (
	maxEAPName     = 128 // of user, domain, roaming identity and server name
	maxEAPPassword = 32
	maxPACPassword = 256
	maxPxeTimeout  = 86400 // seconds
)

// goodEAP holds 802.1X settings against the rules. last is the highest number of a protocol, tls are those that need a
// certificate of the client.
func goodEAP(e *wsman.Element, last int, tls []string, client bool) bool {
	protocol := e.ChildText("AuthenticationProtocol")
	n, err := strconv.Atoi(protocol)
	if err != nil || n < 0 || n > last || slices.Contains(tls, protocol) && !client {
		return false
	}
	for name, limit := range map[string]int{"Username": maxEAPName, "Domain": maxEAPName, "RoamingIdentity": maxEAPName,
		"ServerCertificateName": maxEAPName, "Password": maxEAPPassword, "PACPassword": maxPACPassword} {
		if len(e.ChildText(name)) > limit {
			return false
		}
	}
	return e.ChildText("Username") != "" || slices.Contains(tls, protocol)
}

// Protocols that need a certificate of the client, by number: EAP-TLS and EAP-FAST/TLS. Source: spec wireless.md
// sections 7.3 and 7.5.
var (
	tlsProtocols    = []string{"0", "10"}
	oldTLSProtocols = []string{"0", "6"} // of AMT_8021XProfile
)

const (
	lastProtocol    = 10
	lastOldProtocol = 6
)

// certificateAt returns the certificate that a reference names, of a root or not; nil for none, and false for one that
// is not there.
func (m *Machine) certificateAt(ref *wsman.EPR, root bool) (*view, bool) {
	if ref == nil {
		return nil, true
	}
	v, err := m.resolve(ref)
	if err != nil || v.class.Name != "AMT_PublicKeyCertificate" || (v.element.ChildText("TrustedRootCertficate") == "true") != root {
		return nil, false
	}
	return &v, true
}

// wifiEAPInput makes 802.1X settings of the inputs of a method, or nil for a profile that has none.
func (m *Machine) wifiEAPInput(profile, input *wsman.Element, client, ca *wsman.EPR) (*eapInput, status.Status) {
	method := profile.ChildText("AuthenticationMethod")
	if method != authWPA8021x && method != authWPA28021x {
		if input != nil || client != nil || ca != nil {
			return nil, wifiInvalid
		}
		return nil, wifiDone
	}
	ci := m.catalogue.classes["CIM_IEEE8021xSettings"]
	settings, code := ci.embedded(input)
	if code != wifiDone {
		return nil, code
	}
	in := &eapInput{settings: settings}
	var ok, rootOK bool
	in.client, ok = m.certificateAt(client, false)
	in.ca, rootOK = m.certificateAt(ca, true)
	if !ok || !rootOK {
		return nil, wifiNoReference
	}
	if !goodEAP(&settings, lastProtocol, tlsProtocols, in.client != nil) {
		return nil, wifiInvalid
	}
	name := profile.ChildText("ElementName")
	set(&in.settings, "ElementName", name)
	set(&in.settings, "InstanceID", wifiEAP+name)
	return in, wifiDone
}

// keepEAP stores settings, and binds their certificates to them. nil is none.
func (m *Machine) keepEAP(in *eapInput) status.Status {
	if in == nil {
		return wifiDone
	}
	made, err := m.add(m.catalogue.classes["CIM_IEEE8021xSettings"], in.settings)
	if err != nil {
		return wifiFailed
	}
	if m.bind("CIM_CredentialContext", made.epr(), in.client, in.ca) != nil {
		return wifiFailed
	}
	return wifiDone
}

// dropEAP removes the 802.1X settings of a profile.
func (m *Machine) dropEAP(profile string) {
	ci := m.catalogue.classes["CIM_IEEE8021xSettings"]
	for _, i := range m.store.of(ci) {
		if i.element.ChildText("InstanceID") == wifiEAP+profile {
			m.unbind("CIM_CredentialContext", i.epr())
			m.store.update(ci, i, nil)
		}
	}
}

// eapOf returns the 802.1X settings of a profile, or nil.
func (m *Machine) eapOf(profile *instance) *instance {
	for _, i := range m.store.of(m.catalogue.classes["CIM_IEEE8021xSettings"]) {
		if i.element.ChildText("InstanceID") == wifiEAP+profile.element.ChildText("ElementName") {
			return i
		}
	}
	return nil
}

// putWiFiEAP holds changed 802.1X settings of a profile against the rules.
func putWiFiEAP(_ context.Context, m *Machine, _, want *wsman.Element) error {
	ref := wsman.Ref("CIM_IEEE8021xSettings", "InstanceID", want.ChildText("InstanceID"))
	if !goodEAP(want, lastProtocol, tlsProtocols, m.boundClient("CIM_CredentialContext", ref)) {
		return &status.Error{Op: "CIM_IEEE8021xSettings.Put", Code: status.InvalidParameter}
	}
	return nil
}

// bind binds certificates to settings by instances of an association; nil ones are left out.
func (m *Machine) bind(association string, settings wsman.EPR, certificates ...*view) error {
	ci := m.catalogue.classes[association]
	if ci == nil {
		return nil
	}
	for _, v := range certificates {
		if v == nil {
			continue
		}
		e := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
		e.Children = append(e.Children, v.epr().Element(ci.uri, "ElementInContext"), settings.Element(ci.uri, "ElementProvidingContext"))
		if _, err := m.add(ci, e); err != nil {
			return err
		}
	}
	return nil
}

// unbind removes what binds certificates to settings.
func (m *Machine) unbind(association string, settings wsman.EPR) {
	ci := m.catalogue.classes[association]
	if ci == nil {
		return
	}
	for _, i := range m.store.of(ci) {
		if at := i.keys.Get("ElementProvidingContext"); at != nil && at.EPR != nil && m.catalogue.sameRef(at.EPR, &settings) {
			m.store.update(ci, i, nil)
		}
	}
}

// boundClient reports whether a certificate of the client is bound to settings.
func (m *Machine) boundClient(association string, settings wsman.EPR) bool {
	ci := m.catalogue.classes[association]
	if ci == nil {
		return false
	}
	for _, i := range m.store.of(ci) {
		at, what := i.keys.Get("ElementProvidingContext"), i.keys.Get("ElementInContext")
		if at == nil || at.EPR == nil || what == nil || !m.catalogue.sameRef(at.EPR, &settings) {
			continue
		}
		if v, ok := m.certificateAt(what.EPR, false); ok && v != nil {
			return true
		}
	}
	return false
}
