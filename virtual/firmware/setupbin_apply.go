package firmware

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/setupbin"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A keyApplication applies the variables of one record. To add a variable, give it a case in apply; one without is kept,
// and [Machine.Setting] returns it.
type keyApplication struct {
	m        *Machine
	result   *KeySetup
	password string // new
	manual   bool
}

// Limits of certificate hashes that are not the vendor's. Source: spec setupbin.md section 3, activation.md section 6.3.
const (
	oldUserHashes = 3 // before 6.0
	userHashes    = 10
)

// apply applies one variable. An error wraps [ErrRefused].
func (a *keyApplication) apply(v setupbin.Variable) error {
	if err := a.set(v); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	a.m.log.Info("set from the USB key", "variable", v)
	a.result.Applied = append(a.result.Applied, v.Name())
	return nil
}

func (a *keyApplication) set(v setupbin.Variable) error {
	m := a.m
	var first byte
	if len(v.Value) > 0 {
		first = v.Value[0]
	}
	on := strconv.FormatBool(first == 1)
	switch v.ID {
	case setupbin.NewPassword:
		a.password = string(v.Value)
		m.setMEBx(a.password)
	case setupbin.Manageability:
		m.mebx.change(func(s *mebxState) { s.Off = first == 0 })
	case setupbin.PowerPackage:
		a.powerPackage(v.Value)
	case setupbin.PID, setupbin.PPS:
		if !m.profile.Before(11, 0) { // activation.md section 1
			return fmt.Errorf("release %s has no pre-shared keys", m.profile.Version)
		}
		m.mebx.keep(v)
	case setupbin.DNSSuffix:
		m.modify("AMT_SetupAndConfigurationService", nil, func(e *wsman.Element) { set(e, "TrustedDNSSuffix", string(v.Value)) })
	case setupbin.ServerName:
		m.modify("AMT_SetupAndConfigurationService", nil, func(e *wsman.Element) { set(e, "ConfigurationServerFQDN", string(v.Value)) })
	case setupbin.RemoteConfiguration:
		m.modify("AMT_SetupAndConfigurationService", nil, func(e *wsman.Element) { set(e, "ZeroTouchConfigurationEnabled", on) })
	case setupbin.BuiltinHashes:
		a.hashes("true", func(e *wsman.Element) { set(e, "Enabled", on) })
	case setupbin.UserHashes:
		if first == 2 {
			a.deleteHashes()
		} else {
			a.hashes("false", func(e *wsman.Element) { set(e, "Enabled", on) })
		}
	case setupbin.AddHash:
		return a.addHash(v.Value)
	case setupbin.Redirection:
		// The bits stand the other way round on the wire, and the third, who may log in how, is not shown there.
		state := 32768 + uint16(first>>1&1) | uint16(first&1)<<1
		return switched(m.switchTo("AMT_RedirectionService", state, nil, true))
	case setupbin.HostName:
		return a.put("AMT_GeneralSettings", nil, "HostName", string(v.Value))
	case setupbin.Domain:
		return a.put("AMT_GeneralSettings", nil, "DomainName", string(v.Value))
	case setupbin.SharedFQDN:
		return a.put("AMT_GeneralSettings", nil, "SharedFQDN", on)
	case setupbin.DynamicDNS:
		return a.put("AMT_GeneralSettings", nil, "DDNSUpdateEnabled", on)
	case setupbin.DHCP:
		if first == 2 {
			return a.put("AMT_EthernetPortSettings", wired, "DHCPEnabled", "true")
		} // the addresses come with the next variable
	case setupbin.StaticIPv4:
		return a.staticIPv4(v.Value)
	case setupbin.KVM:
		if m.catalogue.classes["CIM_KVMRedirectionSAP"] == nil {
			a.ignore(v)
			return nil
		}
		state := uint16(stateDisabled)
		if first == 1 {
			state = stateEnabled
		}
		return switched(m.switchTo("CIM_KVMRedirectionSAP", state, nil, true))
	case setupbin.UserConsent:
		required := ips.OptInServiceOptInRequired(first)
		if first == 255 {
			required = ips.OptInServiceOptInRequiredAll
		}
		if !m.modify("IPS_OptInService", nil, func(e *wsman.Element) { set(e, "OptInRequired", itoa(required)) }) {
			a.ignore(v)
		}
	case setupbin.RemoteConsentPolicy:
		if !m.modify("IPS_OptInService", nil, func(e *wsman.Element) { set(e, "CanModifyOptInPolicy", itoa(first)) }) {
			a.ignore(v)
		}
	case setupbin.Provisioning:
		m.mebx.change(func(s *mebxState) { s.Started = first == 1 })
	case setupbin.ManualSetup:
		a.manual = first == 1
	default:
		if _, known := setupbin.Lookup(v.ID); !known {
			return fmt.Errorf("unknown variable %v", v.ID)
		}
		m.mebx.keep(v)
	}
	return nil
}

// ignore notes that the machine has no use for a variable.
func (a *keyApplication) ignore(v setupbin.Variable) {
	a.result.Ignored = append(a.result.Ignored, v.Name())
}

func switched(code status.Status) error {
	if code != stateDone {
		return fmt.Errorf("state not possible: %d", code)
	}
	return nil
}

// wired names the wired port.
var wired = wsman.Selectors{{Name: "InstanceID", Value: wiredPort}}

// put changes properties of an instance, given as name and value, under the rules that a Put of a client meets.
func (a *keyApplication) put(class string, sel wsman.Selectors, pairs ...string) error {
	ci := a.m.catalogue.classes[class]
	if ci == nil {
		return fmt.Errorf("%s: not in this release", class)
	}
	v, err := a.m.find(ci, sel)
	if err != nil {
		return err
	}
	body := v.element
	body.Children = append([]wsman.Element(nil), body.Children...)
	for i := 0; i+1 < len(pairs); i += 2 {
		set(&body, pairs[i], pairs[i+1])
	}
	_, err = a.m.put(context.Background(), ci, v.keys, &body)
	return err
}

// staticIPv4 reads address, mask, gateway and two DNS servers, of 4 octets each, the last part of an address first as in
// the other addresses of the file. Nobody has seen such a variable; spec setupbin.md section 2.2 calls the layout likely.
func (a *keyApplication) staticIPv4(b []byte) error {
	if len(b) != 20 {
		return fmt.Errorf("%d octets, want 20", len(b))
	}
	var text [5]string
	for i := range text {
		o := b[4*i:]
		if addr := netip.AddrFrom4([4]byte{o[3], o[2], o[1], o[0]}); !addr.IsUnspecified() {
			text[i] = addr.String()
		}
	}
	return a.put("AMT_EthernetPortSettings", wired, "DHCPEnabled", "false", "IpSyncEnabled", "false", "SharedStaticIp", "false",
		"IPAddress", text[0], "SubnetMask", text[1], "DefaultGateway", text[2], "PrimaryDNS", text[3], "SecondaryDNS", text[4])
}

// powerPackage puts a power scheme in force if the machine has it.
func (a *keyApplication) powerPackage(guid []byte) {
	m := a.m
	if ci := m.catalogue.classes["AMT_SystemPowerScheme"]; ci != nil {
		for _, v := range m.views(ci) {
			have, err := base64.StdEncoding.DecodeString(v.element.ChildText("SchemeGUID"))
			if err == nil && bytes.Equal(have, guid) {
				m.power.mu.Lock()
				m.power.kept.Scheme = v.keys.Value("InstanceID")
				m.power.mu.Unlock()
				return
			}
		}
	}
	a.ignore(setupbin.Variable{ID: setupbin.PowerPackage}) // a desktop's scheme on a mobile machine, mostly
}

// hashes changes all root certificate hashes that are built in, or all others.
func (a *keyApplication) hashes(builtIn string, change func(e *wsman.Element)) {
	const class = "AMT_ProvisioningCertificateHash"
	for _, i := range a.stored(class) {
		if i.element.ChildText("IsDefault") == builtIn {
			a.m.modify(class, i.keys, change)
		}
	}
}

func (a *keyApplication) stored(class string) []*instance {
	ci := a.m.catalogue.classes[class]
	if ci == nil {
		return nil
	}
	return a.m.store.of(ci)
}

func (a *keyApplication) deleteHashes() {
	a.m.writing.Lock()
	defer a.m.writing.Unlock()
	for _, i := range a.stored("AMT_ProvisioningCertificateHash") {
		if i.element.ChildText("IsDefault") != "true" {
			a.m.store.update(i.class, i, nil)
		}
	}
}

// addHash adds a root certificate that a provisioning server may come with.
func (a *keyApplication) addHash(value []byte) error {
	h, err := setupbin.ParseHash(value)
	if err != nil {
		return err
	}
	return a.m.addRootHash(h)
}
