package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/wsman"
)

// Info is what a machine is. Pointers are nil, and texts empty, where the machine does not tell.
type Info struct {
	Address      string `json:"address"`
	Version      string `json:"version"`            // of AMT: "16.1.27"
	Build        string `json:"build,omitempty"`    // of the firmware
	SKU          string `json:"sku,omitempty"`      // what the firmware is licensed for: "AMT Pro, Corporate"
	UUID         string `json:"uuid,omitempty"`     // of the PC, as SMBIOS and operating systems show it
	HostName     string `json:"hostName,omitempty"` // as AMT knows it
	Domain       string `json:"domain,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	BIOS         string `json:"bios,omitempty"` // version

	ControlMode  string    `json:"controlMode,omitempty"`  // "admin", "client"
	Provisioning string    `json:"provisioning,omitempty"` // "pre", "in", "post"
	Power        PowerInfo `json:"power"`
	Features     Features  `json:"features"`
	TLS          TLSInfo   `json:"tls"`

	Time *time.Time    `json:"time,omitempty"` // of AMT's clock, when it was asked
	Skew time.Duration `json:"-"`              // how far AMT's clock is ahead of ours
}

// Features are the switches of a machine.
type Features struct {
	SOL            *bool  `json:"sol,omitempty"`
	IDER           *bool  `json:"ider,omitempty"`
	KVM            *bool  `json:"kvm,omitempty"` // nil also where the firmware has no KVM
	Listener       *bool  `json:"redirectionListener,omitempty"`
	WebUI          *bool  `json:"webUI,omitempty"`
	VNCPort        *bool  `json:"vncPort,omitempty"`        // port 5900, gone with 16.1
	Consent        string `json:"consent,omitempty"`        // who must agree: "none", "kvm", "all"
	ConsentState   string `json:"consentState,omitempty"`   // of a request under way
	ConsentIsFixed *bool  `json:"consentIsFixed,omitempty"` // client control mode
}

// TLSInfo tells how WS-Man is protected.
type TLSInfo struct {
	Used        bool   `json:"used"`              // by this connection
	Version     string `json:"version,omitempty"` // "TLS 1.2"
	Suite       string `json:"suite,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of the certificate

	Enabled   *bool `json:"enabled,omitempty"`   // on the network side of the machine
	Mutual    *bool `json:"mutual,omitempty"`    // it asks for client certificates
	Plaintext *bool `json:"plaintext,omitempty"` // it takes connections without TLS too
}

// Info asks the machine what it is: some fifteen classes, as many at once as [Config.MaxConns] lets. Classes that
// the firmware lacks, or that the account may not read, are left out; any other error fails.
func (c *Client) Info(ctx context.Context) (Info, error) {
	info := Info{Address: c.cfg.Address}
	var err error
	// The power state comes first: where it fails, such as with a wrong password, nothing else is worth asking.
	if info.Power, err = c.Power(ctx); err != nil {
		return info, fmt.Errorf("info: %w", err)
	}
	err = together(
		func() error { return c.infoIdentity(ctx, &info) },
		func() error { return c.infoHardware(ctx, &info) },
		func() error { return c.infoSetup(ctx, &info) },
		func() error { return c.infoFeatures(ctx, &info.Features) },
		func() error { return c.infoTLS(ctx, &info.TLS) },
		func() (err error) {
			info.Time, info.Skew, err = c.clock(ctx)
			return lenient(err)
		})
	if err != nil {
		return info, fmt.Errorf("info: %w", err)
	}
	return info, nil
}

// lenient drops the errors that leave a part of a report out: a class that is absent or closed to the account, a
// refusal. An enumeration that the machine has forgotten half way is not one of them: what it brought is not all.
func lenient(err error) error {
	if errors.Is(err, wsman.ErrInvalidEnumerationContext) {
		return err
	}
	if err == nil || isAbsent(err) || refused(err) {
		return nil
	}
	return err
}

// got is ask for reports: closed classes count as absent.
func got[T any, P class.Pointer[T]](ctx context.Context, c *Client) (*T, error) {
	v, err := ask[T, P](ctx, c)
	if v == nil {
		v = new(T)
	}
	return v, lenient(err)
}

func (c *Client) infoIdentity(ctx context.Context, info *Info) error {
	general, err := got[amt.GeneralSettings](ctx, c)
	if err != nil {
		return err
	}
	info.HostName, info.Domain = class.Value(general.HostName), class.Value(general.DomainName)
	modules, err := list[cim.SoftwareIdentity](ctx, c)
	for _, m := range modules {
		switch version := class.Value(m.VersionString); class.Value(m.InstanceID) {
		case "AMT":
			info.Version = version
		case "Build Number":
			info.Build = version
		case "Sku":
			info.SKU = version // made readable below, when the version is known
		}
	}
	if n, err := strconv.ParseUint(info.SKU, 10, 32); err == nil {
		info.SKU = skuText(uint32(n), info.Version)
	}
	return lenient(err)
}

// skuText reads the SKU bit mask. Source: rpc-go amtinfo; spec inventory-events-policies.md section 1.
func skuText(mask uint32, version string) string {
	var major int
	fmt.Sscanf(version, "%d", &major)
	var words []string
	for _, bit := range []struct {
		mask  uint32
		until int // major release in which the bit lost its meaning; 0: never
		text  string
	}{
		{0x02, 7, "iQST"}, {0x04, 6, "ASF"}, {0x08, 0, "AMT Pro"}, {0x10, 0, "Standard Manageability"}, {0x20, 6, "TPM"},
		{0x100, 6, "Home IT"}, {0x400, 6, "WOX"}, {0x2000, 0, "AT-p"}, {0x4000, 0, "Corporate"}, {0x8000, 8, "L3 Mgt Upgrade"},
	} {
		if mask&bit.mask != 0 && (bit.until == 0 || major < bit.until) {
			words = append(words, bit.text)
		}
	}
	if len(words) == 0 {
		return strconv.FormatUint(uint64(mask), 10)
	}
	return strings.Join(words, ", ")
}

func (c *Client) infoHardware(ctx context.Context, info *Info) error {
	chassis, err := got[cim.Chassis](ctx, c)
	if err != nil {
		return err
	}
	info.Manufacturer = strings.TrimSpace(class.Value(chassis.Manufacturer))
	info.Model = strings.TrimSpace(class.Value(chassis.Model))
	info.Serial = strings.TrimSpace(class.Value(chassis.SerialNumber))
	bios, err := got[cim.BIOSElement](ctx, c)
	if err != nil {
		return err
	}
	info.BIOS = strings.TrimSpace(class.Value(bios.Version))
	system, err := got[cim.ComputerSystemPackage](ctx, c)
	if err != nil {
		return err
	}
	if id, err := guid.ParseSMBIOSHex(class.Value(system.PlatformGUID)); err == nil {
		info.UUID = id.String()
	}
	return nil
}

func (c *Client) infoSetup(ctx context.Context, info *Info) error {
	setup, err := got[amt.SetupAndConfigurationService](ctx, c)
	if err != nil {
		return err
	}
	if setup.ProvisioningState != nil {
		info.Provisioning = setup.ProvisioningState.String()
	}
	host, err := got[ips.HostBasedSetupService](ctx, c)
	if err != nil {
		return err
	}
	switch {
	case host.CurrentControlMode != nil:
		info.ControlMode = host.CurrentControlMode.String()
	case setup.ProvisioningMode != nil: // before 6.2 there was no choice
		if info.ControlMode = "admin"; *setup.ProvisioningMode == amt.SetupAndConfigurationServiceProvisioningModeClientControlMode {
			info.ControlMode = "client"
		}
	}
	return nil
}

func (c *Client) infoFeatures(ctx context.Context, f *Features) error {
	redir, err := got[amt.RedirectionService](ctx, c)
	if err != nil {
		return err
	}
	f.Listener = redir.ListenerEnabled
	if redir.EnabledState != nil {
		f.IDER = new(*redir.EnabledState&1 != 0 && *redir.EnabledState >= amt.RedirectionServiceEnabledStateIDERAndSOLDisabled)
		f.SOL = new(*redir.EnabledState&2 != 0 && *redir.EnabledState >= amt.RedirectionServiceEnabledStateIDERAndSOLDisabled)
	}
	kvm, err := got[cim.KVMRedirectionSAP](ctx, c)
	if err != nil {
		return err
	}
	if kvm.EnabledState != nil { // 6 is enabled but offline, and counts
		f.KVM = new(*kvm.EnabledState == 2 || *kvm.EnabledState == 6)
		settings, err := got[ips.KVMRedirectionSettingData](ctx, c)
		if err != nil {
			return err
		}
		f.VNCPort = settings.Is5900PortEnabled
	}
	web, err := got[amt.WebUIService](ctx, c)
	if err != nil {
		return err
	}
	if web.EnabledState != nil {
		f.WebUI = new(*web.EnabledState == cim.EnabledState(2))
	}
	consent, err := got[ips.OptInService](ctx, c)
	if err != nil {
		return err
	}
	if consent.OptInRequired != nil {
		switch *consent.OptInRequired {
		case ips.OptInServiceOptInRequiredNone:
			f.Consent = "none"
		case ips.OptInServiceOptInRequiredKVM:
			f.Consent = "kvm"
		case ips.OptInServiceOptInRequiredAll:
			f.Consent = "all"
		default:
			f.Consent = consent.OptInRequired.String()
		}
	}
	if consent.OptInState != nil {
		f.ConsentState = consent.OptInState.String()
	}
	if consent.CanModifyOptInPolicy != nil {
		f.ConsentIsFixed = new(*consent.CanModifyOptInPolicy == ips.OptInServiceCanModifyOptInPolicyNo)
	}
	return nil
}

// networkTLS is the instance of AMT_TLSSettingData for the network; the other one is for the host.
const networkTLS = "Intel(r) AMT 802.3 TLS Settings"

func (c *Client) infoTLS(ctx context.Context, t *TLSInfo) error {
	c.mu.Lock()
	found := c.found
	c.mu.Unlock()
	if found != nil && found.TLS != nil {
		t.Used = true
		t.Version, t.Suite = tls.VersionName(found.TLS.Version), tls.CipherSuiteName(found.TLS.CipherSuite)
		if certs := found.TLS.PeerCertificates; len(certs) > 0 {
			t.Fingerprint = Fingerprint(certs[0])
		}
	}
	settings, err := list[amt.TLSSettingData](ctx, c)
	for _, s := range settings {
		if class.Value(s.InstanceID) == networkTLS {
			t.Enabled, t.Mutual, t.Plaintext = s.Enabled, s.MutualAuthentication, s.AcceptNonSecureConnections
			if t.Enabled != nil && !*t.Enabled {
				t.Plaintext = new(true)
			}
			if s.NonSecureConnectionsSupported != nil && !*s.NonSecureConnectionsSupported {
				t.Plaintext = new(false)
			}
		}
	}
	return lenient(err)
}

// clock reads AMT's clock and how far it is ahead of ours: to the second, as that is what AMT tells.
func (c *Client) clock(ctx context.Context) (*time.Time, time.Duration, error) {
	sent := time.Now()
	out, err := amt.TimeSynchronizationServiceGetLowAccuracyTimeSynch.Invoke(ctx, c, amt.TimeSynchronizationServiceGetLowAccuracyTimeSynchIn{})
	if err != nil || out.Ta0 == nil {
		return nil, 0, err
	}
	took := time.Since(sent)
	theirs := time.Unix(int64(*out.Ta0), 0).UTC()
	// They tell whole seconds: half a second is what they leave out on average.
	return &theirs, theirs.Add(time.Second / 2).Sub(sent.Add(took / 2)).Round(time.Second), nil
}
