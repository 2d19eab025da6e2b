package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
)

// InstanceIDs of wireless settings: one of these and the name of the profile. Source: spec wireless.md section 7.3.
const (
	wifiProfileID = "Intel(r) AMT:WiFi Endpoint Settings "
	wifiUserID    = "Intel(r) AMT:WiFi Endpoint User Settings"
	wifiEAPID     = "Intel(r) AMT:IEEE 802.1x Settings "
	wifiEndpoint  = "WiFi Endpoint 0"
)

// A WiFiProfile is a wireless network that AMT may join. Source: CIM_WiFiEndpointSettings; spec wireless.md section 7.3.
type WiFiProfile struct {
	Name       string `json:"name"`
	SSID       string `json:"ssid"`
	Priority   uint8  `json:"priority"`       // 1 is tried first; each is given once
	Security   string `json:"security"`       // "wpa2", "wpa3", "wpa2-802.1x", "wpa", "wpa-802.1x", "owe"; "open" and "shared" of the host
	Encryption string `json:"encryption"`     // "aes", "tkip", "gcmp", "wep", "none"
	EAP        *EAP   `json:"eap,omitempty"`  // with 802.1X
	Host       bool   `json:"host,omitempty"` // written by the operating system, not by an administrator

	Key string `json:"-"` // passphrase, never read back

	id string // InstanceID
}

// Words for the numbers of CIM_WiFiEndpointSettings. Source: spec wireless.md section 7.3.
var (
	wifiSecurity   = map[cim.WiFiEndpointSettingsAuthenticationMethod]string{2: "open", 3: "shared", 4: "wpa", 5: "wpa-802.1x", 6: "wpa2", 7: "wpa2-802.1x", 32768: "wpa3", 32769: "owe"}
	wifiEncryption = map[cim.WiFiEndpointSettingsEncryptionMethod]string{2: "wep", 3: "tkip", 4: "aes", 5: "none", 32768: "gcmp"}
)

// wordNumber returns the number that a word stands for.
func wordNumber[N comparable](words map[N]string, word string) (N, bool) {
	for n, w := range words {
		if w == word {
			return n, true
		}
	}
	var none N
	return none, false
}

// withKey and withEAP tell what a kind of security needs.
func withKey(security string) bool {
	return security == "wpa" || security == "wpa2" || security == "wpa3"
}
func withEAP(security string) bool { return strings.HasSuffix(security, "802.1x") }

// WiFiProfiles reads all profiles: those of administrators by priority, then those of the host.
func (c *Client) WiFiProfiles(ctx context.Context) ([]WiFiProfile, error) {
	all, err := c.wifiProfiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("wireless profiles: %w", err)
	}
	return all, nil
}

func (c *Client) wifiProfiles(ctx context.Context) ([]WiFiProfile, error) {
	var raw []*cim.WiFiEndpointSettings
	err := together(
		func() error { return c.hasWiFi(ctx) },
		func() (err error) {
			raw, err = list[cim.WiFiEndpointSettings](ctx, c)
			return err
		})
	if err != nil {
		return nil, err
	}
	var all []WiFiProfile
	for _, v := range raw {
		p := WiFiProfile{Name: class.Value(v.ElementName), SSID: class.Value(v.SSID), Priority: class.Value(v.Priority), id: class.Value(v.InstanceID)}
		p.Host = strings.HasPrefix(p.id, wifiUserID)
		p.Security, p.Encryption = wifiSecurity[class.Value(v.AuthenticationMethod)], wifiEncryption[class.Value(v.EncryptionMethod)]
		if p.Security == "" {
			p.Security = class.Value(v.AuthenticationMethod).String()
		}
		if p.Encryption == "" {
			p.Encryption = class.Value(v.EncryptionMethod).String()
		}
		all = append(all, p)
	}
	if slices.ContainsFunc(all, func(p WiFiProfile) bool { return withEAP(p.Security) }) {
		if err := c.readEAP(ctx, all); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b WiFiProfile) int {
		if a.Host != b.Host {
			if a.Host {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Priority, b.Priority)
	})
	return all, nil
}

// hasWiFi reports by an error that wraps [ErrUnsupported] that the machine has no wireless port.
func (c *Client) hasWiFi(ctx context.Context) error {
	ports, err := list[cim.WiFiPort](ctx, c)
	if err == nil && len(ports) == 0 {
		err = errNoWireless
	}
	return err
}

// readEAP adds the 802.1X settings to profiles that have them.
func (c *Client) readEAP(ctx context.Context, all []WiFiProfile) error {
	var raw []*cim.IEEE8021xSettings
	var bound map[string]EAP
	err := together(
		func() (err error) {
			raw, err = list[cim.IEEE8021xSettings](ctx, c)
			return lenient(err)
		},
		func() (err error) {
			bound, err = c.boundCertificates(ctx)
			return err
		})
	if err != nil {
		return err
	}
	for _, v := range raw {
		id := class.Value(v.InstanceID)
		i := slices.IndexFunc(all, func(p WiFiProfile) bool { return withEAP(p.Security) && id == wifiEAPID+p.Name })
		if i < 0 {
			continue // of the wired port, which has the same class
		}
		all[i].EAP = &EAP{Protocol: eapWord(uint16(class.Value(v.AuthenticationProtocol)), false), Username: class.Value(v.Username),
			Domain: class.Value(v.Domain), RoamingIdentity: class.Value(v.RoamingIdentity), ServerName: class.Value(v.ServerCertificateName),
			ServerSuffix:      class.Value(v.ServerCertificateNameComparison) == wifiServerSuffix && class.Value(v.ServerCertificateName) != "",
			ClientCertificate: bound[id].ClientCertificate, CACertificate: bound[id].CACertificate}
	}
	return nil
}

// How the name of the server is compared. Source: class model, CIM_IEEE8021xSettings.
const (
	wifiServerName   = cim.IEEE8021xSettingsServerCertificateNameComparisonFullName
	wifiServerSuffix = cim.IEEE8021xSettingsServerCertificateNameComparisonDomainSuffix
)

// A WiFi is the wireless side of AMT but for its profiles. Source: spec wireless.md sections 7.1, 7.2 and 7.3.
type WiFi struct {
	State     string `json:"state"`               // "off", "s0": on while the PC is, "s0-sx": asleep and off as well, on AC
	Connected *bool  `json:"connected,omitempty"` // AMT is in a network
	SSID      string `json:"ssid,omitempty"`      // that one
	BSSID     string `json:"bssid,omitempty"`     // its access point
	Security  string `json:"security,omitempty"`
	MAC       string `json:"mac,omitempty"`
	Control   string `json:"link_control,omitempty"` // who has the adapter: "me" (AMT) or "host"
	LastSSID  string `json:"last_ssid,omitempty"`    // network that AMT was in last on its own

	Sync        string   `json:"sync"`                       // profiles that the host may write: "off", "user" (its own), "unrestricted"
	UEFISharing *bool    `json:"uefi_sharing,omitempty"`     // the BIOS gets the profiles too; from AMT 16 on
	NoHost      string   `json:"without_software,omitempty"` // policy where the host lacks the vendor's software: "relaxed", "aggressive"
	Supported   []string `json:"supported,omitempty"`        // kinds of security that the machine names
}

// WiFi reads the state of the wireless port, its connection and its switches.
func (c *Client) WiFi(ctx context.Context) (WiFi, error) {
	w, err := c.wifi(ctx)
	if err != nil {
		return w, fmt.Errorf("wireless: %w", err)
	}
	return w, nil
}

func (c *Client) wifi(ctx context.Context) (WiFi, error) {
	w := WiFi{State: "off", Sync: "off"}
	var (
		ports   []*cim.WiFiPort
		ends    []*cim.WiFiEndpoint
		abler   []*cim.WiFiEndpointCapabilities
		service *amt.WiFiPortConfigurationService
		link    Port
	)
	err := together(
		func() (err error) {
			if ports, err = list[cim.WiFiPort](ctx, c); err == nil && len(ports) == 0 {
				err = errNoWireless
			}
			return err
		},
		func() (err error) {
			ends, err = list[cim.WiFiEndpoint](ctx, c)
			return lenient(err)
		},
		func() (err error) {
			abler, err = list[cim.WiFiEndpointCapabilities](ctx, c)
			return lenient(err)
		},
		func() (err error) {
			service, err = got[amt.WiFiPortConfigurationService](ctx, c)
			return err
		},
		func() (err error) {
			if link, err = c.wirelessPort(ctx); errors.Is(err, ErrUnsupported) {
				err = nil
			}
			return lenient(err)
		})
	if err != nil {
		return w, err
	}
	w.State, w.MAC, w.Control = wifiStateWord(ports[0]), link.MAC, link.LinkControl
	for _, e := range ends {
		if e.EnabledState == nil {
			continue
		}
		if w.Connected = new(*e.EnabledState == uint16(cim.EnabledStateEnabled)); *w.Connected {
			w.SSID, w.BSSID = class.Value(e.LANID), class.Value(e.AccessPointAddress)
			w.Security = wifiSecurity[cim.WiFiEndpointSettingsAuthenticationMethod(class.Value(e.AuthenticationMethod))]
		}
	}
	for _, a := range abler {
		for _, method := range a.SupportedAuthenticationMethods {
			if word := wifiSecurity[cim.WiFiEndpointSettingsAuthenticationMethod(method)]; word != "" {
				w.Supported = append(w.Supported, word)
			}
		}
	}
	w.readService(service)
	return w, nil
}

func (w *WiFi) readService(s *amt.WiFiPortConfigurationService) {
	w.LastSSID, w.UEFISharing = class.Value(s.LastConnectedSsidUnderMeControl), s.UEFIWiFiProfileShareEnabled
	if v := s.LocalProfileSynchronizationEnabled; v != nil {
		if w.Sync = wifiSync[*v]; w.Sync == "" {
			w.Sync = v.String()
		}
	}
	if v := s.NoHostCsmeSoftwarePolicy; v != nil {
		w.NoHost = strings.ToLower(v.String())
	}
}

var wifiSync = map[amt.WiFiPortConfigurationServiceLocalProfileSynchronizationEnabled]string{0: "off", 1: "user", 3: "unrestricted"}

// wifiStates are the words for states of the port. Source: spec wireless.md section 7.2.
var wifiStates = map[cim.WiFiPortEnabledState]string{cim.WiFiPortEnabledStateDisabled: "off", cim.WiFiPortEnabledStateEnabledInS0: "s0",
	cim.WiFiPortEnabledStateEnabledInS0AndSxAC: "s0-sx"}

func wifiStateWord(p *cim.WiFiPort) string {
	if word := wifiStates[class.Value(p.EnabledState)]; word != "" {
		return word
	}
	return class.Value(p.EnabledState).String()
}
