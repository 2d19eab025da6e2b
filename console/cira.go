package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// A CIRA is how a machine calls home: client initiated remote access, a tunnel that the machine opens to a presence
// server when it is outside of its home network. Source: AMT_RemoteAccessService; spec inventory-events-policies.md
// sections 7 and 12.
type CIRA struct {
	Connected bool             // the tunnel is open
	UserFrom  string           // from where somebody at the machine may call: "none", "bios", "os", "both"; "": not told
	Servers   []PresenceServer // by number
	Policies  []RemotePolicy   // by trigger
	Proxies   []Proxy          // in the order in which they are tried; 11.0 and newer

	// Home are the DNS suffixes of the home network, where AMT listens and does not call; none: every network is home.
	Home   []string
	Suffix string // of the network that the machine is in, as far as it tells

	MaxServers, MaxPolicies, MaxServersPerPolicy, MaxProxies int // 0: not told
}

// A PresenceServer is one that the machine may call. Source: AMT_ManagementPresenceRemoteSAP.
type PresenceServer struct {
	ID         string // "mps-0"; the machine's number of it
	Address    string // name or IP address
	Port       uint16
	CommonName string // in the server's certificate, if Address is an IP address

	User        string // that the machine logs in as; "" if it shows a certificate
	Certificate string // that it shows: "cert-3"

	ref wsman.EPR
}

// A Proxy is an HTTP proxy that the tunnel may go through, in networks of a DNS suffix. Source: IPS_HTTPProxyAccessPoint.
type Proxy struct {
	ID       string // "proxy-0"; the machine's number of it
	Address  string
	Port     uint16
	Suffix   string
	Priority uint32 // lower ones are tried first

	name string
}

// userFrom are the states of AMT_UserInitiatedConnectionService.
var userFrom = []string{"none", "bios", "os", "both"}

const userFromBase = 32768

// OutsideHome reports whether the machine finds itself outside of its home network, as far as it tells.
func (r *CIRA) OutsideHome() bool { return len(r.Home) > 0 && !r.isHome(r.Suffix) }

func (r *CIRA) isHome(suffix string) bool {
	return slices.ContainsFunc(r.Home, func(s string) bool { return strings.EqualFold(s, suffix) })
}

// Server returns the server of an ID or an address, or nil.
func (r *CIRA) Server(id string) *PresenceServer {
	for i := range r.Servers {
		if s := &r.Servers[i]; s.ID == id || strings.EqualFold(s.Address, id) {
			return s
		}
	}
	return nil
}

// Policy returns the policy of a trigger, or nil.
func (r *CIRA) Policy(t RemoteTrigger) *RemotePolicy {
	for i := range r.Policies {
		if r.Policies[i].Trigger == t {
			return &r.Policies[i]
		}
	}
	return nil
}

// CIRA reads all about remote access: some ten classes, several at once.
func (c *Client) CIRA(ctx context.Context) (CIRA, error) {
	r, err := c.cira(ctx)
	if err != nil {
		return r, fmt.Errorf("remote access: %w", err)
	}
	return r, nil
}

// ciraParts are the instances that remote access is made of.
type ciraParts struct {
	service   *amt.RemoteAccessService
	limits    *amt.RemoteAccessCapabilities
	servers   []*amt.ManagementPresenceRemoteSAP
	contexts  []*amt.RemoteAccessCredentialContext
	account   *amt.MPSUsernamePassword
	rules     []*amt.RemoteAccessPolicyRule
	bindings  []*amt.RemoteAccessPolicyAppliesToMPS
	user      *amt.UserInitiatedConnectionService
	detection *amt.EnvironmentDetectionSettingData
	setup     *amt.SetupAndConfigurationService
	general   *amt.GeneralSettings
	proxies   []*ips.HTTPProxyAccessPoint
}

func (c *Client) cira(ctx context.Context) (CIRA, error) {
	var p ciraParts
	err := together(
		func() (err error) { p.service, err = ask[amt.RemoteAccessService](ctx, c); return err },
		func() (err error) { p.servers, err = list[amt.ManagementPresenceRemoteSAP](ctx, c); return err },
		func() (err error) { p.rules, err = list[amt.RemoteAccessPolicyRule](ctx, c); return err },
		func() (err error) { p.bindings, err = list[amt.RemoteAccessPolicyAppliesToMPS](ctx, c); return err },
		func() (err error) { p.detection, err = ask[amt.EnvironmentDetectionSettingData](ctx, c); return err },
		func() (err error) {
			p.contexts, err = list[amt.RemoteAccessCredentialContext](ctx, c)
			return lenient(err)
		},
		func() (err error) { p.account, err = ask[amt.MPSUsernamePassword](ctx, c); return lenient(err) },
		func() (err error) { p.limits, err = ask[amt.RemoteAccessCapabilities](ctx, c); return lenient(err) },
		func() (err error) { p.user, err = ask[amt.UserInitiatedConnectionService](ctx, c); return lenient(err) },
		func() (err error) { p.proxies, err = list[ips.HTTPProxyAccessPoint](ctx, c); return lenient(err) },
		func() (err error) { p.setup, err = ask[amt.SetupAndConfigurationService](ctx, c); return lenient(err) },
		func() (err error) { p.general, err = ask[amt.GeneralSettings](ctx, c); return lenient(err) },
	)
	if err != nil {
		return CIRA{}, err
	}
	if p.service == nil {
		return CIRA{}, fmt.Errorf("%w: no remote access (4.0 and newer have it)", ErrUnsupported)
	}
	return p.join(), nil
}

func (p *ciraParts) join() CIRA {
	r := CIRA{Connected: class.Value(p.service.IsRemoteTunnelConnected)}
	if p.detection != nil {
		r.Home = p.detection.DetectionStrings
	}
	if p.setup != nil {
		r.Suffix = text(p.setup.DhcpDNSSuffix)
	}
	if r.Suffix == "" && p.general != nil {
		r.Suffix = text(p.general.DomainName)
	}
	if l := p.limits; l != nil {
		r.MaxServers, r.MaxPolicies = int(class.Value(l.MaxTotalMpServers)), int(class.Value(l.MaxTotalPolicies))
		r.MaxServersPerPolicy, r.MaxProxies = int(class.Value(l.MaxMpsPerPolicy)), int(class.Value(l.MaxTotalProxyEntryPoints))
	}
	if p.user != nil {
		if n := int(class.Value(p.user.EnabledState)) - userFromBase; n >= 0 && n < len(userFrom) {
			r.UserFrom = userFrom[n]
		}
	}
	for _, v := range p.servers {
		s := PresenceServer{ID: handle("mps", class.Value(v.Name)), Address: text(v.AccessInfo), Port: class.Value(v.Port), CommonName: text(v.CN),
			ref: wsman.Ref("AMT_ManagementPresenceRemoteSAP")}
		s.ref.Selectors = v.Selectors()
		s.User, s.Certificate = p.credential(class.Value(v.Name))
		r.Servers = append(r.Servers, s)
	}
	for _, v := range p.rules {
		r.Policies = append(r.Policies, p.policy(v, r.Servers))
	}
	for _, v := range p.proxies {
		r.Proxies = append(r.Proxies, Proxy{ID: handle("proxy", class.Value(v.Name)), Address: text(v.AccessInfo), Port: class.Value(v.Port),
			Suffix: text(v.NetworkDnsSuffix), Priority: class.Value(v.Priority), name: class.Value(v.Name)})
	}
	slices.SortStableFunc(r.Servers, func(a, b PresenceServer) int { return byNumber(a.ID, b.ID) })
	slices.SortStableFunc(r.Policies, func(a, b RemotePolicy) int { return cmp.Compare(a.Trigger.number(), b.Trigger.number()) })
	slices.SortStableFunc(r.Proxies, func(a, b Proxy) int { return cmp.Compare(a.Priority, b.Priority) })
	return r
}

func byNumber(a, b string) int {
	x, _ := number(a)
	y, _ := number(b)
	return cmp.Compare(x, y)
}

// credential returns what the machine shows to the server of a name: a user, or the ID of a certificate.
func (p *ciraParts) credential(server string) (user, certificate string) {
	for _, v := range p.contexts {
		if v.ElementInContext == nil || v.ElementProvidingContext == nil || v.ElementProvidingContext.Selectors.Value("Name") != server {
			continue
		}
		if v.ElementInContext.Class() == "AMT_PublicKeyCertificate" {
			return "", handle("cert", v.ElementInContext.Selectors.Value("InstanceID"))
		}
		if p.account != nil {
			return text(p.account.RemoteID), ""
		}
	}
	if p.contexts == nil && p.account != nil { // firmware may keep the association to itself
		return text(p.account.RemoteID), ""
	}
	return "", ""
}

// AllowUserCalls says from where somebody at the machine may have it call: "none", "bios", "os" or "both". It is read
// again.
func (c *Client) AllowUserCalls(ctx context.Context, from string) error {
	if err := c.allowUserCalls(ctx, from); err != nil {
		return fmt.Errorf("calls by the user: %w", err)
	}
	return nil
}

func (c *Client) allowUserCalls(ctx context.Context, from string) error {
	n := slices.Index(userFrom, from)
	if n < 0 {
		return fmt.Errorf("%w: %q is none of %s", ErrUsage, from, strings.Join(userFrom, ", "))
	}
	state := amt.UserInitiatedConnectionServiceRequestedState(userFromBase + n)
	if _, err := amt.UserInitiatedConnectionServiceRequestStateChange.Invoke(ctx, c, amt.UserInitiatedConnectionServiceRequestStateChangeIn{RequestedState: &state}); err != nil {
		return err
	}
	now, err := class.Get[amt.UserInitiatedConnectionService](ctx, c)
	if err != nil {
		return fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if uint16(class.Value(now.EnabledState)) != uint16(state) {
		return ErrDiffers
	}
	return nil
}

// Disconnect closes the tunnel that is open. With none the error wraps [ErrNotOffered]. A Client that speaks through the
// tunnel loses it with the answer.
func (c *Client) Disconnect(ctx context.Context) error {
	if err := c.disconnect(ctx); err != nil {
		return fmt.Errorf("close the tunnel: %w", err)
	}
	return nil
}

func (c *Client) disconnect(ctx context.Context) error {
	open := func() (bool, error) {
		v, err := class.Get[amt.RemoteAccessService](ctx, c)
		if err != nil {
			return false, err
		}
		return class.Value(v.IsRemoteTunnelConnected), nil
	}
	if is, err := open(); err != nil || !is {
		if err == nil {
			err = fmt.Errorf("%w: none is open", ErrNotOffered)
		}
		return err
	}
	if _, err := amt.RemoteAccessServiceCloseRemoteAccessConnection.Invoke(ctx, c, amt.RemoteAccessServiceCloseRemoteAccessConnectionIn{}); err != nil {
		return err
	}
	is, err := open()
	if err != nil {
		return fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if is {
		return ErrDiffers
	}
	return nil
}

// accessForm returns how InfoFormat calls the form of an address.
func accessForm(address string) (amt.ManagementPresenceRemoteSAPInfoFormat, error) {
	switch ip, isName, err := hostForm(address); {
	case err != nil:
		return 0, err
	case isName:
		return amt.ManagementPresenceRemoteSAPInfoFormatFQDN, nil
	case ip.Is4():
		return amt.ManagementPresenceRemoteSAPInfoFormatIPv4, nil
	default:
		return amt.ManagementPresenceRemoteSAPInfoFormatIPv6, nil
	}
}

// lifetimeSeconds is how long a tunnel stays open, as the machine has it.
func lifetimeSeconds(d time.Duration) (uint32, error) {
	if d < 0 || d%time.Second != 0 || d/time.Second > 1<<32-1 {
		return 0, fmt.Errorf("%w: a tunnel is open for whole seconds; %s is not", ErrUsage, d)
	}
	return uint32(d / time.Second), nil
}
