package firmware

import (
	"context"
	"strconv"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Values of IPS_IEEE8021xSettings.Enabled. Source: spec wireless.md section 7.5.
const (
	wired8021xWithCertificates    = "2"
	wired8021xOff                 = "3"
	wired8021xWithoutCertificates = "6"
)

const (
	wired8021xID = "Intel(r) AMT: 8021X Settings"
	old8021xID   = "Intel(r) AMT 802.1x Profile 0"
)

// defaultPxeTimeout is what firmware takes when a profile is set without one, in seconds. Source: spec wireless.md
// section 7.5.
const defaultPxeTimeout = "120"

// registerWired8021x gives 802.1X of the wired port its life: AMT_8021XProfile on releases before 8.0, and
// IPS_IEEE8021xSettings from then on, where the old class is still shown and cannot be switched on.
func registerWired8021x(t *table) {
	t.class("IPS_IEEE8021xSettings").onPut = putWired8021x
	class.Handle(&t.methods, ips.IEEE8021xSettingsSetCertificates, setWiredCertificates)
	t.class("AMT_8021XProfile").onPut = putOld8021x
}

func wired8021xRef() wsman.EPR { return wsman.Ref("IPS_IEEE8021xSettings", "InstanceID", wired8021xID) }

// pxeTimeout puts the default in and reports whether the timeout is one.
func pxeTimeout(want *wsman.Element) bool {
	text := want.ChildText("PxeTimeout")
	if text == "" {
		text = defaultPxeTimeout
		set(want, "PxeTimeout", text)
	}
	n, err := strconv.Atoi(text)
	return err == nil && n <= maxPxeTimeout
}

func putWired8021x(_ context.Context, _ *Machine, _, want *wsman.Element) error {
	refuse := &status.Error{Op: "IPS_IEEE8021xSettings.Put", Code: status.InvalidParameter}
	if !pxeTimeout(want) {
		return refuse
	}
	switch enabled := want.ChildText("Enabled"); enabled {
	case wired8021xOff:
		return nil
	case wired8021xWithCertificates, wired8021xWithoutCertificates: // the certificates come afterwards
		if goodEAP(want, lastProtocol, tlsProtocols, enabled == wired8021xWithCertificates) {
			return nil
		}
	}
	return refuse
}

// setWiredCertificates names the certificates of the settings; what is left out is none.
func setWiredCertificates(_ context.Context, m *Machine, _ wsman.Selectors, in ips.IEEE8021xSettingsSetCertificatesIn) (out ips.IEEE8021xSettingsSetCertificatesOut, _ status.Status, _ error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	root, rootOK := m.certificateAt(in.ServerCertificateIssuer, true)
	client, ok := m.certificateAt(in.ClientCertificate, false)
	settings := m.one("IPS_IEEE8021xSettings")
	if !ok || !rootOK || settings == nil || settings.ChildText("Enabled") != wired8021xWithCertificates {
		return out, status.InternalError, nil
	}
	m.unbind("IPS_8021xCredentialContext", wired8021xRef())
	if m.bind("IPS_8021xCredentialContext", wired8021xRef(), root, client) != nil {
		return out, status.InternalError, nil
	}
	return out, status.Success, nil
}

// putOld8021x is putWired8021x for the class of before. References to certificates are taken and not given back:
// AMT_8021xCredentialContext shows them.
func putOld8021x(_ context.Context, m *Machine, _, want *wsman.Element) error {
	refuse := func(code status.Status) error { return &status.Error{Op: "AMT_8021XProfile.Put", Code: code} }
	refs := make(map[string]*wsman.EPR)
	for _, name := range []string{"ClientCertificate", "ServerCertificateIssuer"} {
		if e := want.Child(name); e != nil {
			ref, err := wsman.ParseEPR(e)
			if err != nil {
				return refuse(status.InvalidParameter)
			}
			refs[name] = &ref
			set(want, name)
		}
	}
	if !pxeTimeout(want) {
		return refuse(status.InvalidParameter)
	}
	if want.ChildText("Enabled") != "true" {
		return nil
	}
	if !m.profile.Before(8, 0) {
		return refuse(status.Unsupported) // superseded
	}
	const association = "AMT_8021xCredentialContext"
	settings := wsman.Ref("AMT_8021XProfile", "InstanceID", old8021xID)
	client, ok := m.certificateAt(refs["ClientCertificate"], false)
	root, rootOK := m.certificateAt(refs["ServerCertificateIssuer"], true)
	if !ok || !rootOK || !goodEAP(want, lastOldProtocol, oldTLSProtocols, client != nil || m.boundClient(association, settings)) {
		return refuse(status.InvalidParameter)
	}
	if len(refs) > 0 {
		m.unbind(association, settings)
		if m.bind(association, settings, client, root) != nil {
			return refuse(status.InternalError)
		}
	}
	return nil
}
