package console

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// maxMPSUser is the length of user name and password towards a presence server. Source: spec
// inventory-events-policies.md section 12.
const maxMPSUser = 16

// maxDNSName is the longest name that is taken. Source: RFC 1035 2.3.4.
const maxDNSName = 253

// hostForm tells whether an address is an IP address or a name.
func hostForm(address string) (ip netip.Addr, isName bool, err error) {
	if ip, err := netip.ParseAddr(address); err == nil && ip.Zone() == "" {
		return ip.Unmap(), false, nil
	}
	return ip, true, checkDNSName(address)
}

func checkDNSName(name string) error {
	bad := func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if name == "" || len(name) > maxDNSName || strings.IndexFunc(name, bad) >= 0 || strings.Contains("."+name+".", "..") {
		return fmt.Errorf("%w: %q is no DNS name", ErrUsage, name)
	}
	return nil
}

// check holds a server against what firmware takes.
func (s *PresenceServer) check(password string) error {
	alphanumeric := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	_, isName, err := hostForm(s.Address)
	switch {
	case err != nil:
		return err
	case s.Port == 0:
		return fmt.Errorf("%w: port 0", ErrUsage)
	case !isName && s.CommonName == "":
		return fmt.Errorf("%w: a server given by its IP address needs the name in its certificate as well", ErrUsage)
	case (s.User == "") == (s.Certificate == ""):
		return fmt.Errorf("%w: a machine shows a presence server either user and password or a certificate", ErrUsage)
	case s.Certificate != "":
		return nil
	case len(s.User) > maxMPSUser || strings.IndexFunc(s.User, alphanumeric) >= 0:
		return fmt.Errorf("%w: user %q does not have 1 to %d letters and digits", ErrUsage, s.User, maxMPSUser)
	case password == "" || len(password) > maxMPSUser:
		return fmt.Errorf("%w: the password for the presence server does not have 1 to %d characters", ErrUsage, maxMPSUser)
	}
	return nil
}

// AddPresenceServer adds a server that the machine may call, with the password of s.User, or "" if it shows a certificate,
// and returns it as the machine has it then. roots are the authorities that the server's certificate is judged by: those
// that the machine does not trust yet are added first, and taken away again if the server is refused. A machine that
// trusts nobody in the end could call nobody: that is refused, and so is what the machine says it has no room for. A
// machine has one user and password for all its servers: those of another server change with it.
func (c *Client) AddPresenceServer(ctx context.Context, s PresenceServer, password string, roots []*x509.Certificate) (PresenceServer, error) {
	now, err := c.addPresenceServer(ctx, s, password, roots)
	if err != nil {
		return now, fmt.Errorf("add presence server %s: %w", s.Address, err)
	}
	return now, nil
}

func (c *Client) addPresenceServer(ctx context.Context, s PresenceServer, password string, roots []*x509.Certificate) (none PresenceServer, err error) {
	if err := s.check(password); err != nil {
		return none, err
	}
	var before CIRA
	var store PKI
	err = together(
		func() (err error) { before, err = c.cira(ctx); return err },
		func() (err error) { store, err = c.pkiStore(ctx); return err })
	if err != nil {
		return none, err
	}
	same := func(o PresenceServer) bool { return strings.EqualFold(o.Address, s.Address) && o.Port == s.Port }
	form, err := accessForm(s.Address)
	if err != nil {
		return none, err
	}
	in := amt.RemoteAccessServiceAddMpServerIn{AccessInfo: &s.Address, InfoFormat: &form, Port: &s.Port,
		AuthMethod: new(amt.RemoteAccessServiceAddMpServerAuthMethodUsernamePasswordAuthentication), CN: optional(s.CommonName)}
	switch {
	case slices.ContainsFunc(before.Servers, same):
		return none, fmt.Errorf("%w: the machine has this server", ErrUsage)
	case before.MaxServers > 0 && len(before.Servers) >= before.MaxServers:
		return none, fmt.Errorf("%w: the machine has %d servers, and holds no more", ErrNotOffered, len(before.Servers))
	case len(roots) == 0 && !slices.ContainsFunc(store.Certificates, func(c Certificate) bool { return c.Root }):
		return none, fmt.Errorf("%w: the machine trusts no authority, so that it would believe no server; give it that of the server", ErrUsage)
	case s.Certificate != "":
		cert := store.Certificate(s.Certificate)
		if cert == nil || cert.Root {
			return none, fmt.Errorf("%w: the machine has no certificate %s of its own", ErrUsage, s.Certificate)
		}
		ref := wsman.Ref("AMT_PublicKeyCertificate", "InstanceID", cert.instance)
		in.AuthMethod, in.Certificate = new(amt.RemoteAccessServiceAddMpServerAuthMethodMutualAuthentication), &ref
	default:
		in.Username, in.Password = &s.User, &password
	}
	var mine []string // roots that were not there before
	defer func() {
		if err == nil || errors.Is(err, ErrIndeterminate) || errors.Is(err, ErrDiffers) {
			return
		}
		for _, id := range mine {
			if e := c.removePKI(ctx, id); e != nil {
				err = fmt.Errorf("%w; and %s, which was added for it, stays: %w", err, id, e)
			}
		}
	}()
	for _, root := range roots {
		cert, added, err := c.addCertificate(ctx, root, true)
		if err != nil {
			return none, err
		}
		if added {
			mine = append(mine, cert.ID)
		}
	}
	if _, err := amt.RemoteAccessServiceAddMpServer.Invoke(ctx, c, in); err != nil {
		return none, err
	}
	mine = nil // it may use them
	after, err := c.cira(ctx)
	if err != nil {
		return none, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	i := slices.IndexFunc(after.Servers, same)
	if i < 0 {
		return none, ErrDiffers
	}
	if now := after.Servers[i]; s.CommonName != "" && now.CommonName != s.CommonName || now.User != s.User || now.Certificate != s.Certificate {
		return now, ErrDiffers
	}
	return after.Servers[i], nil
}

// RemovePresenceServer removes the server of an ID or an address, and reads the list again. One that a policy names stays:
// the error is an [*InUseError]. The authorities that it was judged by stay as well.
func (c *Client) RemovePresenceServer(ctx context.Context, id string) (PresenceServer, error) {
	gone, err := c.removePresenceServer(ctx, id)
	if err != nil {
		return gone, fmt.Errorf("remove presence server %s: %w", id, err)
	}
	return gone, nil
}

func (c *Client) removePresenceServer(ctx context.Context, id string) (PresenceServer, error) {
	before, err := c.cira(ctx)
	if err != nil {
		return PresenceServer{}, err
	}
	s := before.Server(id)
	if s == nil {
		return PresenceServer{}, fmt.Errorf("%w: the machine has no such server", ErrUsage)
	}
	var uses []string
	for _, p := range before.Policies {
		if slices.ContainsFunc(p.Servers, func(ps PolicyServer) bool { return ps.ID == s.ID }) {
			uses = append(uses, "the policy "+string(p.Trigger))
		}
	}
	if uses != nil {
		return *s, &InUseError{s.ID, uses}
	}
	if err := class.Delete[amt.ManagementPresenceRemoteSAP](ctx, c, s.ref.Selectors...); err != nil {
		return *s, err
	}
	after, err := c.cira(ctx)
	if err != nil {
		return *s, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if o := after.Server(s.ID); o != nil && o.Address == s.Address {
		return *s, ErrDiffers
	}
	return *s, nil
}

// AddProxy adds a proxy that the tunnel may go through in networks of a DNS suffix, and returns it as the machine has it
// then: 11.0 and newer.
func (c *Client) AddProxy(ctx context.Context, p Proxy) (Proxy, error) {
	now, err := c.addProxy(ctx, p)
	if err != nil {
		return now, fmt.Errorf("add proxy %s: %w", p.Address, err)
	}
	return now, nil
}

func (c *Client) addProxy(ctx context.Context, p Proxy) (Proxy, error) {
	form, err := accessForm(p.Address)
	if err != nil {
		return Proxy{}, err
	}
	if p.Port == 0 {
		return Proxy{}, fmt.Errorf("%w: port 0", ErrUsage)
	}
	if err := checkDNSName(p.Suffix); err != nil {
		return Proxy{}, fmt.Errorf("suffix of the network: %w", err)
	}
	var service *ips.HTTPProxyService
	var before CIRA
	err = together(
		func() (err error) { service, err = ask[ips.HTTPProxyService](ctx, c); return err },
		func() (err error) { before, err = c.cira(ctx); return err })
	same := func(o Proxy) bool {
		return strings.EqualFold(o.Address, p.Address) && o.Port == p.Port && strings.EqualFold(o.Suffix, p.Suffix)
	}
	switch {
	case err != nil:
		return Proxy{}, err
	case service == nil:
		return Proxy{}, fmt.Errorf("%w: its firmware knows no proxies (11.0 and newer do)", ErrUnsupported)
	case slices.ContainsFunc(before.Proxies, same):
		return Proxy{}, fmt.Errorf("%w: the machine has this proxy", ErrUsage)
	case before.MaxProxies > 0 && len(before.Proxies) >= before.MaxProxies:
		return Proxy{}, fmt.Errorf("%w: the machine has %d proxies, and holds no more", ErrNotOffered, len(before.Proxies))
	}
	in := ips.HTTPProxyServiceAddProxyAccessPointIn{AccessInfo: &p.Address, InfoFormat: new(ips.HTTPProxyAccessPointInfoFormat(form)), Port: &p.Port, NetworkDnsSuffix: &p.Suffix}
	if _, err := ips.HTTPProxyServiceAddProxyAccessPoint.Invoke(ctx, c, in); err != nil {
		return Proxy{}, err
	}
	after, err := c.cira(ctx)
	if err != nil {
		return Proxy{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	i := slices.IndexFunc(after.Proxies, same)
	if i < 0 {
		return Proxy{}, ErrDiffers
	}
	return after.Proxies[i], nil
}

// RemoveProxy removes the proxy of an ID, and reads the list again.
func (c *Client) RemoveProxy(ctx context.Context, id string) (Proxy, error) {
	gone, err := c.removeProxy(ctx, id)
	if err != nil {
		return gone, fmt.Errorf("remove proxy %s: %w", id, err)
	}
	return gone, nil
}

func (c *Client) removeProxy(ctx context.Context, id string) (Proxy, error) {
	before, err := c.cira(ctx)
	if err != nil {
		return Proxy{}, err
	}
	i := slices.IndexFunc(before.Proxies, func(p Proxy) bool { return p.ID == id })
	if i < 0 {
		return Proxy{}, fmt.Errorf("%w: the machine has no such proxy", ErrUsage)
	}
	p := before.Proxies[i]
	if err := class.Delete[ips.HTTPProxyAccessPoint](ctx, c, wsman.Selector{Name: "Name", Value: p.name}); err != nil {
		return p, err
	}
	after, err := c.cira(ctx)
	if err != nil {
		return p, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if slices.ContainsFunc(after.Proxies, func(o Proxy) bool { return o.ID == p.ID && o.Address == p.Address }) {
		return p, ErrDiffers
	}
	return p, nil
}
