package cli

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type kerberosCmd struct {
	Show    kerberosShowCmd    `cmd:"" help:"Show whether users of a domain may log in, and by which settings."`
	Set     kerberosSetCmd     `cmd:"" help:"Let users of a domain log in."`
	Disable kerberosDisableCmd `cmd:"" help:"Let nobody log in by Kerberos any more."`
}

// A kerberosRecord is the settings of one machine.
type kerberosRecord struct {
	Host       string              `json:"host"`
	OK         bool                `json:"ok"`
	Enabled    *bool               `json:"enabled,omitempty"`
	Realm      string              `json:"realm,omitempty"`
	Principals []kerberosPrincipal `json:"principals,omitempty"`
	KeyVersion uint32              `json:"key_version,omitempty"`
	Encryption string              `json:"encryption,omitempty"`
	Supported  []string            `json:"supported,omitempty"`
	Tolerance  *float64            `json:"clock_tolerance_seconds,omitempty"`
	Cache      *bool               `json:"cache,omitempty"` // tickets are kept for the next log-in
	Error      *problem            `json:"error,omitempty"`
}

type kerberosPrincipal struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol,omitempty"`
}

func newKerberosRecord(host string, k console.Kerberos) kerberosRecord {
	r := kerberosRecord{Host: host, OK: true, Enabled: &k.Enabled, Realm: k.Realm, KeyVersion: k.KeyVersion, Encryption: k.Encryption, Supported: k.Supported, Cache: k.Cache}
	for _, p := range k.Principals {
		r.Principals = append(r.Principals, kerberosPrincipal(p))
	}
	if k.Tolerance != nil {
		r.Tolerance = new(k.Tolerance.Seconds())
	}
	return r
}

func (r *kerberosRecord) lines() [][2]string {
	state := "off"
	if *r.Enabled {
		state = "on"
	}
	lines := [][2]string{{"kerberos", state}, {"realm", r.Realm}}
	for _, p := range r.Principals {
		lines = append(lines, [2]string{"name there", strings.TrimSpace(p.Name + " " + p.Protocol)})
	}
	if r.KeyVersion != 0 {
		lines = append(lines, [2]string{"key version", strconv.Itoa(int(r.KeyVersion))})
	}
	encryption := r.Encryption
	if r.Supported != nil {
		encryption = strings.TrimSpace(encryption + " (knows " + strings.Join(r.Supported, ", ") + ")")
	}
	lines = append(lines, [2]string{"encryption", encryption})
	if r.Tolerance != nil {
		lines = append(lines, [2]string{"clocks", "at most " + daysText(time.Duration(*r.Tolerance)*time.Second) + " apart"})
	}
	if r.Cache != nil {
		lines = append(lines, [2]string{"keeps tickets", yesNo(r.Cache)})
	}
	return lines
}

// kerberosEach does something that ends with the settings of every machine, and shows them.
func kerberosEach(a *app, m Many, do func(context.Context, *console.Client) (console.Kerberos, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, m, do, func(h hosts.Host, k console.Kerberos, bad *failure) error {
		if bad != nil {
			return out.failedObject(kerberosRecord{Host: h.Name, Error: problemOf(bad)}, h.Name, bad, len(list) > 1)
		}
		r := newKerberosRecord(h.Name, k)
		return out.object(r, h.Name, r.lines()...)
	})
}

type kerberosShowCmd struct{ Many }

func (kerberosShowCmd) Help() string {
	return "The key is never shown: no machine gives it away.\n\n" + example("outband kerberos show nuc1", "outband kerberos show @lab -o json")
}

func (c *kerberosShowCmd) Run(a *app) error {
	return kerberosEach(a, c.Many, func(ctx context.Context, client *console.Client) (console.Kerberos, error) {
		return client.Kerberos(ctx)
	})
}

type kerberosSetCmd struct {
	Host       string   `arg:"" help:"The machine: a name of the hosts database or an address; each has a key of its own."`
	Realm      string   `required:"" placeholder:"NAME" help:"The realm, mostly in capitals: EXAMPLE.ORG."`
	KeyFile    string   `required:"" placeholder:"FILE" help:"FILE is the master key that the realm keeps for the machine: 16 or 32 octets, or as many hex digits twice."`
	KeyVersion uint32   `default:"1" placeholder:"N" help:"Version of the key, as the realm counts it (kvno)."`
	Principal  []string `placeholder:"NAME" help:"Name of the machine in the realm, and what for: HTTP/nuc1.example.org:16992=http; also https, redirection, redirection-tls. Default are those of its host name."`
	Encryption string   `placeholder:"KIND" help:"rc4-hmac, aes128 or aes256; default is the best that the machine knows for a key of that length."`
	Tolerance  string   `default:"5m" placeholder:"TIME" help:"How far the clocks of machine and user may be apart; default is 5m."`
	Cache      string   `enum:"on,off,keep" default:"keep" placeholder:"on|off" help:"Have the machine keep tickets for the next log-in."`
}

func (kerberosSetCmd) Help() string {
	return "Who of the domain may do what is told by accounts: outband user add S-1-5-21-... The machine's clock must be right: outband time sync.\n\n" +
		example("outband kerberos set nuc1 --realm EXAMPLE.ORG --key-file nuc1.key --key-version 3",
			"outband kerberos set nuc1 --realm EXAMPLE.ORG --key-file nuc1.key --principal HTTP/nuc1.example.org:16992=http --principal HTTPS/nuc1.example.org:16993=https")
}

func (c *kerberosSetCmd) Run(a *app) error {
	want := console.Kerberos{Realm: c.Realm, KeyVersion: c.KeyVersion, Encryption: c.Encryption}
	tolerance, err := parseDays(c.Tolerance)
	if err != nil {
		return usage("", "--tolerance: %w", err)
	}
	want.Tolerance = &tolerance
	if c.Cache != "keep" {
		want.Cache = new(c.Cache == "on")
	}
	for _, text := range c.Principal {
		name, protocol, found := strings.Cut(text, "=")
		if !found {
			return usage("as in HTTP/nuc1.example.org:16992=http", "--principal: %s does not say what for", text)
		}
		want.Principals = append(want.Principals, console.Principal{Name: name, Protocol: protocol})
	}
	key, err := readKerberosKey(c.KeyFile)
	if err != nil {
		return usage("", "--key-file: %w", err)
	}
	return kerberosEach(a, Many{Hosts: []string{c.Host}, Fanout: 1}, func(ctx context.Context, client *console.Client) (console.Kerberos, error) {
		if want.Principals == nil {
			names, err := client.DefaultPrincipals(ctx)
			if err != nil {
				return console.Kerberos{}, err
			}
			want.Principals = names
		}
		return client.SetKerberos(ctx, want, key)
	})
}

// maxKerberosFile is the largest file of a key, in bytes.
const maxKerberosFile = 1024

func readKerberosKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readLimited(f, maxKerberosFile)
	if err != nil {
		return nil, err
	}
	return console.ParseKerberosKey(text)
}

type kerberosDisableCmd struct{ Many }

func (kerberosDisableCmd) Help() string {
	return "Realm and key stay at the machine.\n\n" + example("outband kerberos disable nuc1")
}

func (c *kerberosDisableCmd) Run(a *app) error {
	return kerberosEach(a, c.Many, func(ctx context.Context, client *console.Client) (console.Kerberos, error) {
		return client.DisableKerberos(ctx)
	})
}
