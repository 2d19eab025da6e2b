package firmware

import (
	"context"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Return values of RequestStateChange. Source: DMTF, CIM_EnabledLogicalElement.
const (
	stateDone         status.Status = 0
	stateNotSupported status.Status = 1
	stateInvalid      status.Status = 5
	stateNoTimeout    status.Status = 4098
)

// CIM_EnabledLogicalElement states.
const (
	stateEnabled  = 2
	stateDisabled = 3
	stateOffline  = 6 // enabled, and nobody is there: what KVM says without a session
)

// registerSwitches gives the services that clients switch on and off their RequestStateChange. Source: spec
// redirection.md section 2, wsman.md section 4, inventory-events-policies.md section 12.
func registerSwitches(t *table) {
	class.Handle(&t.methods, amt.RedirectionServiceRequestStateChange,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in amt.RedirectionServiceRequestStateChangeIn) (out amt.RedirectionServiceRequestStateChangeOut, _ status.Status, _ error) {
			want := uint16(class.Value(in.RequestedState))
			return out, m.switchTo("AMT_RedirectionService", want, in.TimeoutPeriod, 32768 <= want && want <= 32771), nil
		})
	class.Handle(&t.methods, amt.UserInitiatedConnectionServiceRequestStateChange,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in amt.UserInitiatedConnectionServiceRequestStateChangeIn) (out amt.UserInitiatedConnectionServiceRequestStateChangeOut, _ status.Status, _ error) {
			want := uint16(class.Value(in.RequestedState))
			return out, m.switchTo("AMT_UserInitiatedConnectionService", want, in.TimeoutPeriod, 32768 <= want && want <= 32771), nil
		})
	class.Handle(&t.methods, amt.WebUIServiceRequestStateChange,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in amt.WebUIServiceRequestStateChangeIn) (out amt.WebUIServiceRequestStateChangeOut, _ status.Status, _ error) {
			want := uint16(class.Value(in.RequestedState))
			return out, m.switchTo("AMT_WebUIService", want, in.TimeoutPeriod, want == stateEnabled && m.profile.Web || want == stateDisabled), nil
		})
	t.class("AMT_WebUIService").patch = func(m *Machine, e *wsman.Element) {
		if !m.profile.Web { // whether new releases have the class at all is not known
			set(e, "EnabledState", strconv.Itoa(stateDisabled))
			set(e, "RequestedState", strconv.Itoa(stateDisabled))
		}
	}
	class.Handle(&t.methods, cim.KVMRedirectionSAPRequestStateChange,
		func(_ context.Context, m *Machine, _ wsman.Selectors, in cim.KVMRedirectionSAPRequestStateChangeIn) (out cim.KVMRedirectionSAPRequestStateChangeOut, _ status.Status, _ error) {
			want := uint16(class.Value(in.RequestedState))
			return out, m.switchTo("CIM_KVMRedirectionSAP", want, in.TimeoutPeriod, want == stateEnabled && m.kvmAllowed() || want == stateDisabled), nil
		})
	t.class("AMT_RedirectionService").after = func(_ context.Context, m *Machine, _, _ *wsman.Element) { m.portsChanged() }
	kvm := t.class("IPS_KVMRedirectionSettingData")
	kvm.onPut = putKVMSettings
	kvm.after = func(_ context.Context, m *Machine, _, _ *wsman.Element) {
		m.portsChanged()
		m.redirection.view.turn(m.defaultScreen())
	}
	kvm.patch = func(m *Machine, e *wsman.Element) {
		if !m.profile.Port5900 {
			set(e, "Is5900PortEnabled", "false")
		}
		if m.clientMode() {
			set(e, "OptInPolicy", "true")
		}
	}
}

// switchTo carries out a RequestStateChange of the one instance of a class. supported tells whether the state is one
// that it can have.
func (m *Machine) switchTo(class string, want uint16, timeout *wsman.Datetime, supported bool) status.Status {
	switch {
	case want == 0:
		return stateInvalid
	case timeout != nil && (timeout.Interval != 0 || !timeout.Time.IsZero()):
		return stateNoTimeout
	case !supported:
		return stateNotSupported
	}
	text := strconv.FormatUint(uint64(want), 10)
	m.modify(class, nil, func(e *wsman.Element) {
		set(e, "RequestedState", text)
		if class == "CIM_KVMRedirectionSAP" && want == stateEnabled {
			set(e, "EnabledState", strconv.Itoa(stateOffline))
		} else {
			set(e, "EnabledState", text)
		}
		if class == "AMT_RedirectionService" { // it shows no RequestedState
			set(e, "RequestedState")
		}
	})
	m.portsChanged()
	return stateDone
}

// modify changes the stored instance that the selectors name, without any of the checks that a Put meets. It reports
// whether there is one.
func (m *Machine) modify(class string, sel wsman.Selectors, change func(e *wsman.Element)) bool {
	ci := m.catalogue.classes[class]
	if ci == nil {
		return false
	}
	for {
		v, err := m.find(ci, sel)
		if err != nil || v.stored == nil {
			return false
		}
		e := v.stored.element
		e.Children = append([]wsman.Element(nil), e.Children...)
		change(&e)
		ci.Order(e.Children)
		now := v.class.instance(e)
		now.hidden = v.stored.hidden
		if m.store.update(v.class, v.stored, now) {
			return true
		}
	}
}

// putKVMSettings holds new KVM settings against the rules. Sources: spec kvm.md sections 1 and 6.
func putKVMSettings(_ context.Context, m *Machine, old, want *wsman.Element) error {
	if !m.profile.Port5900 && want.ChildText("Is5900PortEnabled") == "true" {
		return wsman.ErrInvalidRepresentation.With("Is5900PortEnabled")
	}
	if password := want.Child("RFBPassword"); password != nil && password.Text != "" {
		switch {
		case !m.profile.Port5900:
			return wsman.ErrInvalidRepresentation.With("RFBPassword")
		case !goodRFBPassword(password.Text):
			return &status.Error{Op: "IPS_KVMRedirectionSettingData.Put", Code: status.InvalidPassword}
		}
	}
	if m.clientMode() && want.ChildText("OptInPolicy") == "false" {
		return &status.Error{Op: "IPS_KVMRedirectionSettingData.Put", Code: status.NotPermitted}
	}
	if !goodScreen(want.ChildText("DefaultScreen")) {
		return wsman.ErrInvalidRepresentation.With("DefaultScreen")
	}
	return nil
}

// goodRFBPassword reports whether firmware takes a password for port 5900: exactly 8 characters, one at least of each
// kind, none of three. Source: spec kvm.md section 1.
func goodRFBPassword(p string) bool {
	var upper, lower, digit, special bool
	for _, c := range []byte(p) {
		switch {
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= '0' && c <= '9':
			digit = true
		case c <= ' ' || c > '~':
			return false
		default:
			special = true
		}
	}
	return len(p) == 8 && upper && lower && digit && special && !strings.ContainsAny(p, `",:`)
}

// secret returns the value of a write-only property of the one instance of a class, or "".
func (m *Machine) secret(class, property string) string {
	ci := m.catalogue.classes[class]
	if ci == nil {
		return ""
	}
	v, err := m.find(ci, nil)
	if err != nil {
		return ""
	}
	if e := firstNamed(v.hidden, property); e != nil {
		return e.Text
	}
	return ""
}
