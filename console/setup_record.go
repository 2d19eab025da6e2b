package console

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// A SetupRecord is how, when and by whom a machine was set up. What it does not tell is zero. Source: the classes of
// IPS_ProvisioningAuditRecord, which the setup keeps until the machine is unprovisioned.
type SetupRecord struct {
	Way         string    // "client control mode", "admin control mode", "setup server over TLS", "by hand", "by an applet"
	Time        time.Time // by the machine's clock
	Certificate string    // common name of the setup certificate, or name of the setup server
	Server      string    // its address
	RootHash    string    // hex: root of the setup certificate; in client control mode the certificate itself
	HashDefault *bool     // the root was built in
}

// SetupDetails is all that a machine tells of its setup.
type SetupDetails struct {
	Setup
	Realm         string // of digest authentication; it changes when the machine is unprovisioned
	DHCPSuffix    string // DNS suffix that DHCP told: setup certificates must match it
	TrustedSuffix string // DNS suffix that was set by hand instead
	Server        string // setup server that the machine looks for; "": ProvisionServer in its own domain
	ZeroTouch     *bool  // it may look for one without anybody at the machine
	Record        *SetupRecord
}

// SetupDetails reads how a machine was set up. Nothing is changed.
func (c *Client) SetupDetails(ctx context.Context) (SetupDetails, error) {
	var d SetupDetails
	var service *amt.SetupAndConfigurationService
	var general *amt.GeneralSettings
	err := together(
		func() (err error) { d.Setup, err = c.setupNow(ctx); return err },
		func() (err error) { service, err = got[amt.SetupAndConfigurationService](ctx, c); return err },
		func() (err error) { general, err = got[amt.GeneralSettings](ctx, c); return err },
		func() (err error) { d.Record, err = c.setupRecord(ctx); return lenient(err) })
	if err != nil {
		return d, fmt.Errorf("setup: %w", err)
	}
	d.Realm = class.Value(general.DigestRealm)
	d.DHCPSuffix, d.TrustedSuffix = class.Value(service.DhcpDNSSuffix), class.Value(service.TrustedDNSSuffix)
	d.Server, d.ZeroTouch = class.Value(service.ConfigurationServerFQDN), service.ZeroTouchConfigurationEnabled
	return d, nil
}

// setupRecord reads the record, of whatever class it is; nil: there is none.
func (c *Client) setupRecord(ctx context.Context) (*SetupRecord, error) {
	admin, err := list[ips.AdminProvisioningRecord](ctx, c)
	if err != nil {
		return nil, err
	}
	for _, r := range admin {
		return &SetupRecord{Way: "admin control mode", Time: timeOf(r.CreationTimeStamp), Certificate: class.Value(r.CertificateCN), RootHash: hashText(r.SelectedHashType, r.SelectedHashData),
			HashDefault: r.HashIsOemDefault}, nil
	}
	tls, err := list[ips.TLSProvisioningRecord](ctx, c)
	if err != nil {
		return nil, err
	}
	for _, r := range tls {
		return &SetupRecord{Way: "setup server over TLS", Time: timeOf(r.CreationTimeStamp), Certificate: class.Value(r.ProvServerFQDN), Server: class.Value(r.ProvServerIP),
			RootHash: hashText(r.SelectedHashType, r.SelectedHashData), HashDefault: r.HashIsOemDefault}, nil
	}
	client, err := list[ips.ClientProvisioningRecord](ctx, c)
	if err != nil {
		return nil, err
	}
	for _, r := range client {
		return &SetupRecord{Way: "client control mode", Time: timeOf(r.CreationTimeStamp), RootHash: hashText(r.HashAlgorithm, r.ProvCertificateHash)}, nil
	}
	manual, err := list[ips.ManualProvisioningRecord](ctx, c)
	if err != nil {
		return nil, err
	}
	for _, r := range manual {
		return &SetupRecord{Way: "by hand", Time: timeOf(r.CreationTimeStamp)}, nil
	}
	applet, err := list[ips.DALProvisioningRecord](ctx, c)
	for _, r := range applet {
		return &SetupRecord{Way: "by an applet", Time: timeOf(r.CreationTimeStamp)}, nil
	}
	return nil, err
}

func timeOf(d *wsman.Datetime) time.Time {
	if d == nil || d.IsInterval() {
		return time.Time{}
	}
	return d.Time
}

// hashText writes a hash of a kind; its field may be longer. Source: spec amthi.md section 3.9.
func hashText(kind *uint8, b []byte) string {
	if n := map[uint8]int{0: 16, 1: 20, 2: 32, 3: 48}[class.Value(kind)]; n > 0 && kind != nil && len(b) > n {
		b = b[:n]
	}
	return hex.EncodeToString(b)
}

// SetMEBxPassword gives the BIOS extension of a machine another password. Whether firmware lets it be changed from afar
// is a setting of that extension; nothing tells afterwards what the password is, so that the firmware's word is all that
// is known. What it would not take is an error that wraps [ErrUsage], and nothing is sent.
func (c *Client) SetMEBxPassword(ctx context.Context, password string) error {
	if err := CheckPassword(password); err != nil {
		return fmt.Errorf("set the password of the BIOS extension: %w", err)
	}
	in := amt.SetupAndConfigurationServiceSetMEBxPasswordIn{Password: &password}
	if _, err := amt.SetupAndConfigurationServiceSetMEBxPassword.Invoke(ctx, c, in); err != nil {
		return fmt.Errorf("set the password of the BIOS extension: %w", err)
	}
	return nil
}
