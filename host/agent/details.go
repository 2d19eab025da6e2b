package agent

import (
	"context"
	"errors"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/status"
)

// Details are what else AMT tells programs on its PC. What the firmware does not tell, as it is too old or too new for it,
// is nil.
type Details struct {
	Mode          *amthi.ProvisioningMode
	TLSMode       *amthi.TLSMode // how it may be set up remotely
	ZeroTouch     *amthi.Bool
	EHBC          *amthi.Bool // embedded: admin control mode without a certificate
	Server        *amthi.ConfigurationServer
	Audit         *amthi.AuditRecord // how it was set up, if that was over TLS
	Security      *amthi.Security
	Redirection   *amthi.Redirection // what is switched on
	Sessions      *amthi.FeatureState
	KVM           *amthi.FeatureState
	Defense       *amthi.FeatureState
	WebUI         *amthi.FeatureState
	HostReset     *amthi.HostReset
	PowerPolicy   *amthi.Text
	UserInitiated *amthi.UserInitiated // from where a user may call for help
	MACs          *amthi.MACs
	FQDN          *amthi.FQDN
	TCPIP         *amthi.TCPIP
	WiredIPv6     *amthi.IPv6
	WirelessIPv6  *amthi.IPv6
	Suffixes      *amthi.Suffixes // networks that count as inside
	CIRALog       *amthi.CIRALog
	State         *amthi.AMTState
}

// Details asks for all of them. No account is needed.
func (a *Agent) Details(ctx context.Context) (Details, error) {
	d := Details{}
	err := a.ask(ctx, func(c *amthi.Client) error {
		for _, ask := range []func() error{
			told(ctx, c, amthi.GetProvisioningMode, amthi.None{}, &d.Mode),
			told(ctx, c, amthi.GetProvisioningTLSMode, amthi.None{}, &d.TLSMode),
			told(ctx, c, amthi.GetZeroTouchEnabled, amthi.None{}, &d.ZeroTouch),
			told(ctx, c, amthi.GetEHBCState, amthi.None{}, &d.EHBC),
			told(ctx, c, amthi.GetConfigurationServer, amthi.None{}, &d.Server),
			told(ctx, c, amthi.GetAuditRecord, amthi.None{}, &d.Audit),
			told(ctx, c, amthi.GetSecurityParameters, amthi.None{}, &d.Security),
			told(ctx, c, amthi.GetRedirectionState, amthi.None{}, &d.Redirection),
			told(ctx, c, amthi.GetFeaturesState, amthi.FeatureRedirection, &d.Sessions),
			told(ctx, c, amthi.GetFeaturesState, amthi.FeatureKVM, &d.KVM),
			told(ctx, c, amthi.GetFeaturesState, amthi.FeatureSystemDefense, &d.Defense),
			told(ctx, c, amthi.GetFeaturesState, amthi.FeatureWebUI, &d.WebUI),
			told(ctx, c, amthi.GetLastHostReset, amthi.None{}, &d.HostReset),
			told(ctx, c, amthi.GetPowerPolicy, amthi.None{}, &d.PowerPolicy),
			told(ctx, c, amthi.GetUserInitiatedEnabled, amthi.None{}, &d.UserInitiated),
			told(ctx, c, amthi.GetMACAddresses, amthi.None{}, &d.MACs),
			told(ctx, c, amthi.GetFQDN, amthi.None{}, &d.FQDN),
			told(ctx, c, amthi.GetTCPIPParameters, amthi.None{}, &d.TCPIP),
			told(ctx, c, amthi.GetIPv6Status, amthi.Wired, &d.WiredIPv6),
			told(ctx, c, amthi.GetIPv6Status, amthi.Wireless, &d.WirelessIPv6),
			told(ctx, c, amthi.GetDNSSuffixList, amthi.None{}, &d.Suffixes),
			told(ctx, c, amthi.GetCIRALog, amthi.LogVersion(0), &d.CIRALog),
			told(ctx, c, amthi.GetAMTState, amthi.AMTStateID(), &d.State),
		} {
			if err := ask(); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, amthi.ErrDisabled) {
		return Details{}, nil
	}
	return d, err
}

// told returns what asks for one value; a refusal leaves it nil.
func told[In, Out amthi.Data](ctx context.Context, c *amthi.Client, command amthi.Command[In, Out], in In, out **Out) func() error {
	return func() error {
		v, err := amthi.Do(ctx, c, command, in)
		var refused *status.Error
		switch {
		case errors.As(err, &refused):
			return nil
		case err != nil:
			return err
		}
		*out = &v
		return nil
	}
}
