package cli

import (
	"context"
	"crypto/x509"
	"net"
	"strconv"

	"github.com/outband/outband/console"
)

// defaultMPSPort is the port of presence servers, and defaultProxyPort that of HTTP proxies.
const (
	defaultMPSPort   = 4433
	defaultProxyPort = 3128
)

// splitPort splits ADDRESS or ADDRESS:PORT; an IPv6 address with a port stands in brackets.
func splitPort(text string, port uint16) (string, uint16, error) {
	host, number, err := net.SplitHostPort(text)
	if err != nil || net.ParseIP(text) != nil {
		return text, port, nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return "", 0, usage("", "%q is no port", number)
	}
	return host, uint16(n), nil
}

type ciraServerCmd struct {
	Add    ciraServerAddCmd    `cmd:"" help:"Add a presence server, with the authority that its certificate is judged by."`
	Remove ciraServerRemoveCmd `cmd:"" aliases:"delete" help:"Remove a presence server."`
}

type ciraServerAddCmd struct {
	Address string `arg:"" help:"Name or IP address of the server, and its port if that is not 4433: mps.example.org:4433."`
	Many
	CA              string `name:"mps-ca" placeholder:"FILE" help:"Authority that signed the server's certificate (PEM or DER); without it one of those that the machine trusts already."`
	MPSUser         string `placeholder:"NAME" help:"Name that the machine logs in with: 1 to 16 letters and digits."`
	MPSPasswordFile string `placeholder:"FILE" help:"First line of FILE is its password; default is AMT_MPS_PASSWORD, or to ask."`
	MPSCertificate  string `placeholder:"ID" help:"Certificate of the machine that it shows instead, as outband pki list has it: cert-3."`
	CommonName      string `placeholder:"NAME" help:"Name in the server's certificate, if the address is an IP address."`
}

func (ciraServerAddCmd) Help() string {
	return "The authority becomes a trusted root of the machine, if it is none yet. The password has 1 to 16 characters; a machine has one name and " +
		"password for all servers. A server alone is never called: outband cira policy set says when, and outband cira environment set what is outside.\n\n" +
		example("outband cira server add mps.example.org nuc1 --mps-ca mps.pem --mps-user desk7",
			"outband cira server add 192.0.2.7:4433 @field --mps-ca mps.pem --common-name mps.example.org --mps-certificate cert-3")
}

func (c *ciraServerAddCmd) Run(a *app) error {
	s := console.PresenceServer{CommonName: c.CommonName, User: c.MPSUser, Certificate: c.MPSCertificate}
	var err error
	if s.Address, s.Port, err = splitPort(c.Address, defaultMPSPort); err != nil {
		return err
	}
	if (c.MPSUser == "") == (c.MPSCertificate == "") {
		return usage("", "the machine logs in with --mps-user or --mps-certificate, one of them")
	}
	password := ""
	if c.MPSUser != "" {
		if password, err = (secret{file: c.MPSPasswordFile, flag: "--mps-password-file", env: "AMT_MPS_PASSWORD", what: "password for the presence server"}).read(a); err != nil {
			return err
		}
	}
	var roots []*x509.Certificate
	if c.CA != "" {
		if roots, err = readCertificates(c.CA); err != nil {
			return usage("", "--mps-ca: %w", err)
		}
	}
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		now, err := client.AddPresenceServer(ctx, s, password, roots)
		return ciraRecord{Server: new(newCIRAServer(now))}, err
	})
}

type ciraServerRemoveCmd struct {
	Server string `arg:"" help:"Server, as outband cira show has it: mps-0, or its address."`
	Many
	Yes bool `short:"y" help:"Do not ask before it is removed from several machines."`
}

func (ciraServerRemoveCmd) Help() string {
	return "A server that a policy names stays. The authority that it was judged by stays too: outband pki remove takes it away.\n\n" +
		example("outband cira server remove mps-0 nuc1")
}

func (c *ciraServerRemoveCmd) Run(a *app) error {
	if err := c.sure(a); err != nil {
		return err
	}
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		gone, err := client.RemovePresenceServer(ctx, c.Server)
		return ciraRecord{Server: new(newCIRAServer(gone)), Removed: true}, err
	})
}

func (c *ciraServerRemoveCmd) sure(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	return a.sure(c.Yes, len(list), "remove presence server "+c.Server)
}

type ciraProxyCmd struct {
	Add    ciraProxyAddCmd    `cmd:"" help:"Add a proxy that the tunnel may go through, in networks of a DNS suffix."`
	Remove ciraProxyRemoveCmd `cmd:"" aliases:"delete" help:"Remove a proxy."`
}

type ciraProxyAddCmd struct {
	Address string `arg:"" help:"Name or IP address of the proxy, and its port if that is not 3128: proxy.example.org:8080."`
	Many
	Suffix string `required:"" placeholder:"DOMAIN" help:"DNS suffix of the networks in which it is used, as DHCP tells it."`
}

func (ciraProxyAddCmd) Help() string {
	return "AMT 11 and newer know proxies. They are tried in the order in which they were added.\n\n" +
		example("outband cira proxy add proxy.example.org:8080 nuc1 --suffix example.org")
}

func (c *ciraProxyAddCmd) Run(a *app) error {
	p := console.Proxy{Suffix: c.Suffix}
	var err error
	if p.Address, p.Port, err = splitPort(c.Address, defaultProxyPort); err != nil {
		return err
	}
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		now, err := client.AddProxy(ctx, p)
		return ciraRecord{Proxy: new(newCIRAProxy(now))}, err
	})
}

type ciraProxyRemoveCmd struct {
	Proxy string `arg:"" help:"Proxy, as outband cira show has it: proxy-0."`
	Many
}

func (ciraProxyRemoveCmd) Help() string { return example("outband cira proxy remove proxy-0 nuc1") }

func (c *ciraProxyRemoveCmd) Run(a *app) error {
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		gone, err := client.RemoveProxy(ctx, c.Proxy)
		return ciraRecord{Proxy: new(newCIRAProxy(gone)), Removed: true}, err
	})
}
