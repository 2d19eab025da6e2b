package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// check holds a profile against what firmware takes. Source: spec wireless.md section 7.3.
func (p *WiFiProfile) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrUsage, fmt.Sprintf(format, args...))
	}
	security, known := wordNumber(wifiSecurity, p.Security)
	_, crypt := wordNumber(wifiEncryption, p.Encryption)
	switch {
	case p.Name == "" || len(p.Name) > 32 || strings.Trim(strings.ToLower(p.Name), "abcdefghijklmnopqrstuvwxyz0123456789 ._-") != "":
		return bad("profile name %q is not 1 to 32 letters, digits, blanks, dots, hyphens and underscores", p.Name)
	case p.SSID == "" || len(p.SSID) > 32:
		return bad("SSID %q does not have 1 to 32 bytes", p.SSID)
	case p.Priority == 0:
		return bad("a priority is 1 to 255")
	case !known || security < cim.WiFiEndpointSettingsAuthenticationMethodWPAPSK:
		return bad("security %q is none of wpa2, wpa3, wpa2-802.1x, wpa, wpa-802.1x, owe; AMT joins no network without", p.Security)
	case !crypt || !slices.Contains(encryptionsOf(p.Security), p.Encryption):
		return bad("encryption %q does not go with %s: %s does", p.Encryption, p.Security, strings.Join(encryptionsOf(p.Security), " or "))
	case withEAP(p.Security) != (p.EAP != nil):
		return bad("802.1X settings go with wpa2-802.1x and wpa-802.1x, which need them")
	}
	if p.EAP != nil {
		return p.EAP.check()
	}
	return nil
}

func encryptionsOf(security string) []string {
	switch security {
	case "wpa3":
		return []string{"aes", "gcmp"}
	case "owe":
		return []string{"aes"}
	}
	return []string{"aes", "tkip"}
}

// CheckWiFiKey tells what a passphrase lacks. Errors wrap [ErrUsage] and do not hold it.
func CheckWiFiKey(key string) error {
	switch {
	case len(key) == 64 && strings.Trim(strings.ToLower(key), "0123456789abcdef") == "":
		return fmt.Errorf("%w: the key is 64 hex digits; AMT wants the passphrase that they are made of", ErrUsage)
	case len(key) < 8 || len(key) > 63:
		return fmt.Errorf("%w: a passphrase has 8 to 63 characters, not %d", ErrUsage, len(key))
	case strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) >= 0:
		return fmt.Errorf("%w: the passphrase has a character that is not printable ASCII", ErrUsage)
	}
	return nil
}

// AddWiFiProfile makes a profile. A zero priority is the lowest that is free, "" for Encryption is "aes". What the
// firmware would refuse is an error that wraps [ErrUsage] or [ErrUnsupported], and nothing is sent. The result is the
// profile as the machine has it then, without its secrets.
func (c *Client) AddWiFiProfile(ctx context.Context, p WiFiProfile) (WiFiProfile, error) {
	now, err := c.addWiFi(ctx, p)
	if err != nil {
		return now, fmt.Errorf("add wireless profile %s: %w", p.Name, err)
	}
	return now, nil
}

func (c *Client) addWiFi(ctx context.Context, p WiFiProfile) (WiFiProfile, error) {
	p.Encryption = or(p.Encryption, "aes")
	byMachine := p.Priority == 0
	if byMachine {
		p.Priority = 1 // checked below
	}
	if err := p.check(); err != nil {
		return WiFiProfile{}, err
	}
	if withKey(p.Security) {
		if err := CheckWiFiKey(p.Key); err != nil {
			return WiFiProfile{}, err
		}
	}
	all, err := c.wifiProfiles(ctx)
	if err != nil {
		return WiFiProfile{}, err
	}
	if err := c.knowsSecurity(ctx, p.Security); err != nil {
		return WiFiProfile{}, err
	}
	for _, other := range all {
		switch {
		case other.Host:
		case other.Name == p.Name:
			return WiFiProfile{}, fmt.Errorf("%w: there is such a profile already", ErrUsage)
		case !byMachine && other.Priority == p.Priority:
			return WiFiProfile{}, fmt.Errorf("%w: profile %s has priority %d", ErrUsage, other.Name, p.Priority)
		}
	}
	if byMachine {
		if p.Priority = freePriority(all); p.Priority == 0 {
			return WiFiProfile{}, fmt.Errorf("%w: all priorities are in use", ErrUsage)
		}
	}
	if p.EAP != nil {
		if err := c.checkCertificates(ctx, p.EAP); err != nil {
			return WiFiProfile{}, err
		}
	}
	p.id = wifiProfileID + p.Name
	settings, eap := p.elements()
	in := amt.WiFiPortConfigurationServiceAddWiFiSettingsIn{WiFiEndpoint: new(wsman.Ref("CIM_WiFiEndpoint", "Name", wifiEndpoint)),
		WiFiEndpointSettingsInput: settings, IEEE8021xSettingsInput: eap}
	if p.EAP != nil {
		in.ClientCredential, in.CACredential = certificateRef(p.EAP.ClientCertificate), certificateRef(p.EAP.CACertificate)
	}
	if _, err := amt.WiFiPortConfigurationServiceAddWiFiSettings.Invoke(ctx, c, in); err != nil {
		var no *status.Error
		if errors.As(err, &no) && no.Code == 2 {
			return WiFiProfile{}, fmt.Errorf("the store of profiles may be full, with %d in it: %w", len(all), err)
		}
		return WiFiProfile{}, err
	}
	return c.readProfile(ctx, p)
}

func freePriority(all []WiFiProfile) uint8 {
	for n := 1; n <= 255; n++ {
		if !slices.ContainsFunc(all, func(p WiFiProfile) bool { return !p.Host && int(p.Priority) == n }) {
			return uint8(n)
		}
	}
	return 0
}

// knowsSecurity refuses WPA3 where neither the machine names it nor its release has it. Source: spec wireless.md
// section 9.
func (c *Client) knowsSecurity(ctx context.Context, security string) error {
	if security != "wpa3" && security != "owe" {
		return nil
	}
	abler, err := list[cim.WiFiEndpointCapabilities](ctx, c)
	if err := lenient(err); err != nil {
		return err
	}
	number, _ := wordNumber(wifiSecurity, security)
	for _, a := range abler {
		if slices.Contains(a.SupportedAuthenticationMethods, cim.WiFiEndpointAuthenticationMethod(number)) {
			return nil
		}
	}
	var info Info
	if err := c.infoIdentity(ctx, &info); err != nil {
		return err
	}
	major := 0
	if _, err := fmt.Sscanf(info.Version, "%d.", &major); err == nil && major < 15 {
		return fmt.Errorf("%w: %s came with AMT 15, and this is %s", ErrUnsupported, security, info.Version)
	}
	return nil
}

// elements makes the instances that the methods want.
func (p *WiFiProfile) elements() (settings, eap *wsman.Element) {
	security, _ := wordNumber(wifiSecurity, p.Security)
	crypt, _ := wordNumber(wifiEncryption, p.Encryption)
	v := &cim.WiFiEndpointSettings{ElementName: &p.Name, InstanceID: &p.id, SSID: &p.SSID, Priority: &p.Priority,
		BSSType: new(cim.WiFiEndpointSettingsBSSTypeInfrastructure), AuthenticationMethod: &security, EncryptionMethod: &crypt}
	if withKey(p.Security) {
		v.PSKPassPhrase = &p.Key
	}
	e := v.Element()
	if p.EAP == nil {
		return &e, nil
	}
	protocol, _ := eapNumber(p.EAP.Protocol)
	x := &cim.IEEE8021xSettings{ElementName: &p.Name, InstanceID: new(wifiEAPID + p.Name), AuthenticationProtocol: new(cim.IEEE8021xAuthenticationProtocol(protocol.n)),
		Username: optional(p.EAP.Username), Domain: optional(p.EAP.Domain), RoamingIdentity: optional(p.EAP.RoamingIdentity),
		ServerCertificateName: optional(p.EAP.ServerName), Password: optional(p.EAP.Password)}
	if p.EAP.ServerName != "" {
		if x.ServerCertificateNameComparison = new(wifiServerName); p.EAP.ServerSuffix {
			x.ServerCertificateNameComparison = new(wifiServerSuffix)
		}
	}
	ex := x.Element()
	return &e, &ex
}

// readProfile reads a profile again and compares it with what it should be.
func (c *Client) readProfile(ctx context.Context, want WiFiProfile) (WiFiProfile, error) {
	all, err := c.wifiProfiles(ctx)
	if err != nil {
		return WiFiProfile{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, now := range all {
		if now.id != want.id {
			continue
		}
		if now.SSID != want.SSID || now.Priority != want.Priority || now.Security != want.Security || now.Encryption != want.Encryption ||
			(now.EAP == nil) != (want.EAP == nil) || now.EAP != nil && !now.EAP.same(*want.EAP) {
			return now, ErrDiffers
		}
		return now, nil
	}
	return WiFiProfile{}, ErrDiffers
}

// findProfile returns a profile of an administrator by its name.
func (c *Client) findProfile(ctx context.Context, name string) (WiFiProfile, []WiFiProfile, error) {
	all, err := c.wifiProfiles(ctx)
	if err != nil {
		return WiFiProfile{}, nil, err
	}
	for _, p := range all {
		if p.Name == name && !p.Host {
			return p, all, nil
		}
	}
	if slices.ContainsFunc(all, func(p WiFiProfile) bool { return p.Name == name }) {
		return WiFiProfile{}, nil, fmt.Errorf("%w: profile %q is the host's, which alone may change it", ErrUsage, name)
	}
	return WiFiProfile{}, nil, fmt.Errorf("%w: no profile %q", ErrUsage, name)
}

// A WiFiChange says what to change about a profile; what is "" or nil stays. The name is fixed.
type WiFiChange struct {
	SSID, Security, Encryption string

	Key string // new passphrase
	EAP *EAP   // all of the 802.1X settings, with the password
}

// ChangeWiFiProfile changes a profile and returns it as the machine has it then. Another kind of security needs what
// that kind needs: a key, or 802.1X settings.
func (c *Client) ChangeWiFiProfile(ctx context.Context, name string, change WiFiChange) (WiFiProfile, error) {
	now, err := c.changeWiFi(ctx, name, change)
	if err != nil {
		return now, fmt.Errorf("change wireless profile %s: %w", name, err)
	}
	return now, nil
}

func (c *Client) changeWiFi(ctx context.Context, name string, change WiFiChange) (WiFiProfile, error) {
	if change == (WiFiChange{}) {
		return WiFiProfile{}, fmt.Errorf("%w: nothing to change", ErrUsage)
	}
	if change.Key != "" {
		if err := CheckWiFiKey(change.Key); err != nil {
			return WiFiProfile{}, err
		}
	}
	old, _, err := c.findProfile(ctx, name)
	if err != nil {
		return WiFiProfile{}, err
	}
	want := old
	want.SSID, want.Security, want.Encryption = or(change.SSID, old.SSID), or(change.Security, old.Security), or(change.Encryption, old.Encryption)
	if change.EAP != nil {
		want.EAP = change.EAP
	}
	switch {
	case !withEAP(want.Security) && change.EAP == nil:
		want.EAP = nil
	case withKey(want.Security) && !withKey(old.Security) && change.Key == "":
		return old, fmt.Errorf("%w: %s needs a key", ErrUsage, want.Security)
	case !withKey(want.Security) && change.Key != "":
		return old, fmt.Errorf("%w: %s has no key", ErrUsage, want.Security)
	}
	if err := want.check(); err != nil {
		return old, err
	}
	if err := c.knowsSecurity(ctx, want.Security); err != nil {
		return old, err
	}
	if change.EAP != nil {
		if err := c.checkCertificates(ctx, want.EAP); err != nil {
			return old, err
		}
	}
	want.Key = change.Key
	if change.Key == "" && change.EAP == nil && (withKey(old.Security) == withKey(want.Security)) && withEAP(old.Security) == withEAP(want.Security) {
		err = c.putProfile(ctx, want) // keeps the secrets, which the method would want repeated
	} else {
		err = c.updateWiFi(ctx, want)
	}
	if err != nil {
		return old, err
	}
	return c.readProfile(ctx, want)
}

func (c *Client) updateWiFi(ctx context.Context, want WiFiProfile) error {
	settings, eap := want.elements()
	in := amt.WiFiPortConfigurationServiceUpdateWiFiSettingsIn{WiFiEndpointSettings: new(wsman.Ref("CIM_WiFiEndpointSettings", "InstanceID", want.id)),
		WiFiEndpointSettingsInput: settings, IEEE8021xSettingsInput: eap}
	if want.EAP != nil {
		in.ClientCredential, in.CACredential = certificateRef(want.EAP.ClientCertificate), certificateRef(want.EAP.CACertificate)
	}
	_, err := amt.WiFiPortConfigurationServiceUpdateWiFiSettings.Invoke(ctx, c, in)
	return err
}

// putProfile writes a profile without its secrets, which stay.
func (c *Client) putProfile(ctx context.Context, want WiFiProfile) error {
	v, err := class.Get[cim.WiFiEndpointSettings](ctx, c, wsman.Selector{Name: "InstanceID", Value: want.id})
	if err != nil {
		return err
	}
	security, _ := wordNumber(wifiSecurity, want.Security)
	crypt, _ := wordNumber(wifiEncryption, want.Encryption)
	v.SSID, v.Priority, v.AuthenticationMethod, v.EncryptionMethod = &want.SSID, &want.Priority, &security, &crypt
	_, err = class.Put(ctx, c, v)
	return err
}
