package console

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
)

// A Wired8021x is how AMT gets into a wired network that wants 802.1X. Sources: IPS_IEEE8021xSettings, before AMT 8
// AMT_8021XProfile; spec wireless.md section 7.5.
type Wired8021x struct {
	Enabled bool `json:"enabled"`
	EAP     *EAP `json:"eap,omitempty"` // nil: the machine tells nothing

	ActiveInS0 *bool   `json:"active_in_s0,omitempty"`        // also while the operating system runs, which mostly does it itself
	PXETimeout *uint32 `json:"pxe_timeout_seconds,omitempty"` // how long AMT stays signed in for a PXE boot; 0: not at all
}

// maxPXETimeout is a day, in seconds. Source: spec wireless.md section 7.5.
const maxPXETimeout = 86400

const (
	wired8021xID    = "Intel(r) AMT: 8021X Settings"
	oldWired8021xID = "Intel(r) AMT 802.1x Profile 0"
)

// Wired8021x reads the 802.1X settings of the wired port.
func (c *Client) Wired8021x(ctx context.Context) (Wired8021x, error) {
	w, err := c.wired8021x(ctx)
	if err != nil {
		return w, fmt.Errorf("wired 802.1X: %w", err)
	}
	return w, nil
}

func (c *Client) wired8021x(ctx context.Context) (Wired8021x, error) {
	v, old, err := c.raw8021x(ctx)
	if err != nil {
		return Wired8021x{}, err
	}
	bound, err := c.boundCertificates(ctx)
	if err != nil {
		return Wired8021x{}, err
	}
	if old != nil {
		w := Wired8021x{Enabled: class.Value(old.Enabled), ActiveInS0: old.ActiveInS0, PXETimeout: old.PxeTimeout}
		if old.AuthenticationProtocol != nil {
			w.EAP = &EAP{Protocol: eapWord(uint16(*old.AuthenticationProtocol), true), Username: class.Value(old.Username), Domain: class.Value(old.Domain),
				RoamingIdentity: class.Value(old.RoamingIdentity), ServerName: class.Value(old.ServerCertificateName),
				ServerSuffix:      class.Value(old.ServerCertificateNameComparison) == amt.IEEE8021XProfileServerCertificateNameComparisonDomainSuffix,
				ClientCertificate: bound[oldWired8021xID].ClientCertificate, CACertificate: bound[oldWired8021xID].CACertificate}
		}
		return w, nil
	}
	w := Wired8021x{ActiveInS0: v.AvailableInS0, PXETimeout: v.PxeTimeout}
	switch class.Value(v.Enabled) {
	case ips.IEEE8021xSettingsEnabledEnabledWithCertificates, ips.IEEE8021xSettingsEnabledEnabledWithoutCertificates:
		w.Enabled = true
	}
	if v.AuthenticationProtocol != nil {
		w.EAP = &EAP{Protocol: eapWord(*v.AuthenticationProtocol, false), Username: class.Value(v.Username), Domain: class.Value(v.Domain),
			RoamingIdentity: class.Value(v.RoamingIdentity), ServerName: class.Value(v.ServerCertificateName),
			ServerSuffix:      class.Value(v.ServerCertificateNameComparison) == wiredServerSuffix,
			ClientCertificate: bound[wired8021xID].ClientCertificate, CACertificate: bound[wired8021xID].CACertificate}
	}
	return w, nil
}

// How the name of the server is compared on the wired port. Source: spec wireless.md section 7.3.
const (
	wiredServerName   = 0
	wiredServerSuffix = 1
)

// raw8021x reads the class that the release has: exactly one result is not nil. Errors wrap [ErrUnsupported] if it has
// none.
func (c *Client) raw8021x(ctx context.Context) (*ips.IEEE8021xSettings, *amt.IEEE8021XProfile, error) {
	v, err := ask[ips.IEEE8021xSettings](ctx, c)
	if v != nil || err != nil {
		return v, nil, err
	}
	old, err := ask[amt.IEEE8021XProfile](ctx, c)
	if old == nil && err == nil {
		err = fmt.Errorf("%w: it has no 802.1X on its wired port", ErrUnsupported)
	}
	return nil, old, err
}

// SetWired8021x switches 802.1X on with these settings; nil for ActiveInS0 and PXETimeout keeps them. It returns the
// settings as the machine has them then. If its certificates are refused 802.1X is switched off again.
func (c *Client) SetWired8021x(ctx context.Context, want Wired8021x) (Wired8021x, error) {
	now, err := c.setWired8021x(ctx, want)
	if err != nil {
		return now, fmt.Errorf("set wired 802.1X: %w", err)
	}
	return now, nil
}

func (c *Client) setWired8021x(ctx context.Context, want Wired8021x) (Wired8021x, error) {
	if want.EAP == nil {
		return Wired8021x{}, fmt.Errorf("%w: no EAP settings", ErrUsage)
	}
	if err := want.EAP.check(); err != nil {
		return Wired8021x{}, err
	}
	if want.PXETimeout != nil && *want.PXETimeout > maxPXETimeout {
		return Wired8021x{}, fmt.Errorf("%w: a PXE timeout of %d s is more than a day", ErrUsage, *want.PXETimeout)
	}
	v, old, err := c.raw8021x(ctx)
	if err != nil {
		return Wired8021x{}, err
	}
	e := *want.EAP
	want.EAP = &e
	if err := c.checkCertificates(ctx, &e); err != nil {
		return Wired8021x{}, err
	}
	if old != nil {
		err = c.putOld8021x(ctx, old, want)
	} else {
		err = c.put8021x(ctx, v, want)
	}
	if err != nil {
		return Wired8021x{}, err
	}
	now, err := c.wired8021x(ctx)
	if err != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	// Firmware may not give the protocol and the names back; what it gives has to be right.
	if !now.Enabled || !same(want.ActiveInS0, now.ActiveInS0) || !same(want.PXETimeout, now.PXETimeout) || now.EAP != nil && !now.EAP.same(e) {
		return now, ErrDiffers
	}
	return now, nil
}

func (c *Client) put8021x(ctx context.Context, v *ips.IEEE8021xSettings, want Wired8021x) error {
	e := want.EAP
	protocol, _ := eapNumber(e.Protocol)
	certificates := e.ClientCertificate != "" || e.CACertificate != ""
	v.Enabled = new(ips.IEEE8021xSettingsEnabledEnabledWithoutCertificates)
	if certificates {
		v.Enabled = new(ips.IEEE8021xSettingsEnabledEnabledWithCertificates)
	}
	v.AuthenticationProtocol, v.Username, v.Domain, v.RoamingIdentity = &protocol.n, &e.Username, &e.Domain, &e.RoamingIdentity
	v.Password, v.ServerCertificateName, v.ServerCertificateNameComparison = optional(e.Password), &e.ServerName, new(uint16(wiredServerName))
	if e.ServerSuffix {
		v.ServerCertificateNameComparison = new(uint16(wiredServerSuffix))
	}
	replace(&v.AvailableInS0, want.ActiveInS0)
	replace(&v.PxeTimeout, want.PXETimeout)
	if _, err := class.Put(ctx, c, v); err != nil || !certificates {
		return err
	}
	in := ips.IEEE8021xSettingsSetCertificatesIn{ServerCertificateIssuer: certificateRef(e.CACertificate), ClientCertificate: certificateRef(e.ClientCertificate)}
	if _, err := ips.IEEE8021xSettingsSetCertificates.Invoke(ctx, c, in); err != nil {
		v.Enabled = new(ips.IEEE8021xSettingsEnabledDisabled)
		if _, off := class.Put(ctx, c, v); off != nil {
			return fmt.Errorf("switched on, but without its certificates: %w", err)
		}
		return err
	}
	return nil
}

func (c *Client) putOld8021x(ctx context.Context, v *amt.IEEE8021XProfile, want Wired8021x) error {
	e := want.EAP
	protocol, _ := eapNumber(e.Protocol)
	if protocol.old == noOldProtocol {
		return fmt.Errorf("%w: it does not know EAP protocol %s", ErrUnsupported, e.Protocol)
	}
	v.Enabled, v.AuthenticationProtocol = new(true), new(amt.IEEE8021XProfileAuthenticationProtocol(protocol.old))
	v.Username, v.Domain, v.RoamingIdentity, v.Password, v.ServerCertificateName = &e.Username, &e.Domain, &e.RoamingIdentity, optional(e.Password), &e.ServerName
	v.ServerCertificateNameComparison = new(amt.IEEE8021XProfileServerCertificateNameComparisonFullName)
	if e.ServerSuffix {
		v.ServerCertificateNameComparison = new(amt.IEEE8021XProfileServerCertificateNameComparisonDomainSuffix)
	}
	v.ClientCertificate, v.ServerCertificateIssuer = certificateRef(e.ClientCertificate), certificateRef(e.CACertificate)
	replace(&v.ActiveInS0, want.ActiveInS0)
	replace(&v.PxeTimeout, want.PXETimeout)
	_, err := class.Put(ctx, c, v)
	return err
}

// DisableWired8021x switches 802.1X off, keeping its settings, and returns them as the machine has them then.
func (c *Client) DisableWired8021x(ctx context.Context) (Wired8021x, error) {
	now, err := c.disableWired8021x(ctx)
	if err != nil {
		return now, fmt.Errorf("disable wired 802.1X: %w", err)
	}
	return now, nil
}

func (c *Client) disableWired8021x(ctx context.Context) (Wired8021x, error) {
	v, old, err := c.raw8021x(ctx)
	if err != nil {
		return Wired8021x{}, err
	}
	if old != nil {
		old.Enabled = new(false)
		_, err = class.Put(ctx, c, old)
	} else {
		v.Enabled = new(ips.IEEE8021xSettingsEnabledDisabled)
		_, err = class.Put(ctx, c, v)
	}
	if err != nil {
		return Wired8021x{}, err
	}
	now, err := c.wired8021x(ctx)
	if err == nil && now.Enabled {
		err = ErrDiffers
	}
	return now, err
}
