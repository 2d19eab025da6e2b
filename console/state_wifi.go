package console

import (
	"cmp"
	"context"
	"fmt"
)

// StateWiFi is the wireless port and its profiles.
type StateWiFi struct {
	State       string              `json:"state,omitempty"` // "off", "s0", "s0-sx"
	Sync        string              `json:"sync,omitempty"`  // "off", "user", "unrestricted"
	UEFISharing *bool               `json:"uefi_sharing,omitempty"`
	Profiles    *[]StateWiFiProfile `json:"profiles,omitempty"` // of administrators, not those of the host
}

// A StateWiFiProfile is one wireless network.
type StateWiFiProfile struct {
	Name       string `json:"name"`
	SSID       string `json:"ssid"`
	Priority   uint8  `json:"priority,omitempty"`
	Security   string `json:"security,omitempty"`
	Encryption string `json:"encryption,omitempty"`
	EAP        *EAP   `json:"eap,omitempty"`

	// KeyFrom says where the passphrase, or the password of 802.1X, of a new profile is: "env:NAME" or the path of a file.
	KeyFrom string `json:"key_from,omitempty"`
}

func (p *StateWiFiProfile) words() string {
	text := fmt.Sprintf("%s, %s, %s, priority %d", p.SSID, p.Security, p.Encryption, p.Priority)
	if p.EAP != nil {
		text += ", " + p.EAP.Protocol + " " + p.EAP.Username
	}
	return text
}

func readStateWiFi(ctx context.Context, c *Client, s *State) error {
	w, err := c.WiFi(ctx)
	if err != nil {
		return err
	}
	profiles, err := c.WiFiProfiles(ctx)
	if err != nil {
		return err
	}
	list := []StateWiFiProfile{}
	for _, p := range profiles {
		if !p.Host {
			list = append(list, StateWiFiProfile{Name: p.Name, SSID: p.SSID, Priority: p.Priority, Security: p.Security, Encryption: p.Encryption, EAP: p.EAP})
		}
	}
	s.WiFi = &StateWiFi{State: w.State, Sync: w.Sync, UEFISharing: w.UEFISharing, Profiles: &list}
	return nil
}

func planWiFi(c *Client, now, want *State, help *StateHelp) (out []Change, err error) {
	n, w := *now.WiFi, *want.WiFi
	if w.Profiles != nil {
		if out, err = planProfiles(c, *n.Profiles, *w.Profiles, help); err != nil {
			return nil, err
		}
	}
	if w.Sync != "" && w.Sync != n.Sync || w.UEFISharing != nil && plainBool(w.UEFISharing) != plainBool(n.UEFISharing) {
		set := WiFiSync{Sync: w.Sync, UEFISharing: w.UEFISharing}
		out = append(out, Change{Subject: "sharing", From: cmp.Or(n.Sync, "unknown"), To: cmp.Or(w.Sync, n.Sync), do: func(ctx context.Context) error {
			_, err := c.SetWiFiSync(ctx, set)
			return err
		}})
	}
	if w.State != "" && w.State != n.State {
		out = append(out, Change{Subject: "state", From: cmp.Or(n.State, "unknown"), To: w.State, do: func(ctx context.Context) error {
			_, err := c.SetWiFiState(ctx, w.State)
			return err
		}})
	}
	return out, nil
}

func plainBool(b *bool) string {
	if b == nil {
		return ""
	}
	return fmt.Sprint(*b)
}

func planProfiles(c *Client, now, want []StateWiFiProfile, help *StateHelp) (out []Change, err error) {
	err = compared(now, want, func(p *StateWiFiProfile) string { return p.Name }, func(n, w *StateWiFiProfile) error {
		if w == nil {
			out = append(out, Change{Subject: n.Name, From: n.words(), do: func(ctx context.Context) error { return c.RemoveWiFiProfile(ctx, n.Name) }})
			return nil
		}
		whole := *w
		whole.Security, whole.Encryption = cmp.Or(w.Security, "wpa2"), cmp.Or(w.Encryption, "aes")
		if n != nil {
			if whole.Priority = cmp.Or(w.Priority, n.Priority); n.words() == whole.words() {
				return nil
			}
			out = append(out, Change{Subject: w.Name, From: n.words(), To: whole.words(), do: func(ctx context.Context) error {
				set := WiFiChange{SSID: whole.SSID}
				if whole.Security != n.Security || whole.Encryption != n.Encryption {
					set.Security, set.Encryption = whole.Security, whole.Encryption
				}
				if whole.SSID != n.SSID || set.Security != "" {
					if _, err := c.ChangeWiFiProfile(ctx, w.Name, set); err != nil {
						return err
					}
				}
				if whole.Priority != n.Priority {
					_, err := c.SetWiFiPriority(ctx, w.Name, whole.Priority)
					return err
				}
				return nil
			}})
			return nil
		}
		if w.KeyFrom == "" {
			return fmt.Errorf("%w: profile %s is new, and key_from does not say where its key is", ErrUsage, w.Name)
		}
		key, err := help.secret(w.KeyFrom)
		if err != nil {
			return fmt.Errorf("%w: key of %s: %w", ErrUsage, w.Name, err)
		}
		p := WiFiProfile{Name: whole.Name, SSID: whole.SSID, Priority: whole.Priority, Security: whole.Security, Encryption: whole.Encryption, Key: key}
		if whole.EAP != nil {
			eap := *whole.EAP
			eap.Password, p.Key, p.EAP = key, "", &eap
		}
		out = append(out, Change{Subject: w.Name, To: whole.words(), do: func(ctx context.Context) error {
			_, err := c.AddWiFiProfile(ctx, p)
			return err
		}})
		return nil
	})
	return out, err
}

// StateWired8021x is port authentication on the wired interface.
type StateWired8021x struct {
	Enabled    *bool   `json:"enabled,omitempty"`
	EAP        *EAP    `json:"eap,omitempty"` // of one that is on
	ActiveInS0 *bool   `json:"active_in_s0,omitempty"`
	PXETimeout *uint32 `json:"pxe_timeout_seconds,omitempty"`

	// KeyFrom says where the password is, if the protocol has one: "env:NAME" or the path of a file. It is needed for every
	// change but that to off.
	KeyFrom string `json:"key_from,omitempty"`
}

func readStateWired8021x(ctx context.Context, c *Client, s *State) error {
	w, err := c.Wired8021x(ctx)
	if err != nil {
		return err
	}
	s.Wired8021x = &StateWired8021x{Enabled: &w.Enabled, ActiveInS0: w.ActiveInS0, PXETimeout: w.PXETimeout}
	if w.Enabled {
		s.Wired8021x.EAP = w.EAP
	}
	return nil
}

func planWired8021x(c *Client, now, want *State, help *StateHelp) ([]Change, error) {
	n, w := *now.Wired8021x, *want.Wired8021x
	w.KeyFrom = ""
	enabled := w.Enabled != nil && *w.Enabled || w.Enabled == nil && *n.Enabled
	if !enabled { // its other settings count when it is on
		w = StateWired8021x{Enabled: w.Enabled}
	}
	if w.EAP != nil {
		eap := *w.EAP
		eap.ClientCertificate, eap.CACertificate = certificateID(eap.ClientCertificate), certificateID(eap.CACertificate)
		w.EAP = &eap
	}
	change, ok := changeOf("802.1X", n, w)
	switch {
	case !ok:
		return nil, nil
	case !enabled:
		change.do = func(ctx context.Context) error {
			_, err := c.DisableWired8021x(ctx)
			return err
		}
		return []Change{change}, nil
	}
	set := Wired8021x{Enabled: true, EAP: w.EAP, ActiveInS0: w.ActiveInS0, PXETimeout: w.PXETimeout}
	if set.EAP == nil {
		set.EAP = n.EAP
	}
	if set.EAP == nil {
		return nil, fmt.Errorf("%w: eap does not say how the machine shows who it is", ErrUsage)
	}
	eap := *set.EAP
	set.EAP = &eap
	if !eap.wantsClient() {
		var err error
		if eap.Password, err = help.named("key_from", want.Wired8021x.KeyFrom, "802.1X"); err != nil {
			return nil, err
		}
	}
	if err := eap.check(); err != nil {
		return nil, err
	}
	change.do = func(ctx context.Context) error {
		_, err := c.SetWired8021x(ctx, set)
		return err
	}
	return []Change{change}, nil
}
