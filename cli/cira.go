package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type ciraCmd struct {
	Show        ciraShowCmd        `cmd:"" help:"Show presence servers, policies, home network and proxies, and whether the tunnel is open."`
	Server      ciraServerCmd      `cmd:"" help:"Say which presence servers a machine may call."`
	Policy      ciraPolicyCmd      `cmd:"" help:"Say when a machine calls which presence server."`
	Environment ciraEnvironmentCmd `cmd:"" help:"Say by what a machine knows its home network."`
	Proxy       ciraProxyCmd       `cmd:"" help:"Say through which HTTP proxies a machine may call."`
	Connect     ciraConnectCmd     `cmd:"" help:"Say from where somebody at a machine may have it call."`
	Disconnect  ciraDisconnectCmd  `cmd:"" help:"Close the tunnel that a machine has open."`
}

// A ciraRecord is one thing of a machine's remote access: the whole, a server, a policy or a proxy.
type ciraRecord struct {
	Host      string        `json:"host"`
	OK        bool          `json:"ok"`
	Connected *bool         `json:"connected,omitempty"`
	Outside   *bool         `json:"outside,omitempty"`   // of the home network, as far as the machine tells
	Suffix    string        `json:"suffix,omitempty"`    // of the network that it is in
	Home      *[]string     `json:"home,omitempty"`      // suffixes of the home network; none: every network is home
	UserFrom  string        `json:"user_from,omitempty"` // none, bios, os, both
	Servers   *[]ciraServer `json:"servers,omitempty"`
	Policies  *[]ciraPolicy `json:"policies,omitempty"`
	Proxies   *[]ciraProxy  `json:"proxies,omitempty"`
	Server    *ciraServer   `json:"server,omitempty"`
	Policy    *ciraPolicy   `json:"policy,omitempty"`
	Proxy     *ciraProxy    `json:"proxy,omitempty"`
	Reachable *bool         `json:"reachable,omitempty"` // false: it could not be read again
	Removed   bool          `json:"removed,omitempty"`
	Error     *problem      `json:"error,omitempty"`
}

type ciraServer struct {
	ID          string `json:"id"`
	Address     string `json:"address"`
	Port        uint16 `json:"port"`
	CommonName  string `json:"common_name,omitempty"`
	User        string `json:"user,omitempty"`
	Certificate string `json:"certificate,omitempty"`
}

func newCIRAServer(s console.PresenceServer) ciraServer {
	return ciraServer{s.ID, s.Address, s.Port, s.CommonName, s.User, s.Certificate}
}

func (s *ciraServer) String() string {
	text := net.JoinHostPort(s.Address, strconv.Itoa(int(s.Port)))
	if s.CommonName != "" && s.CommonName != s.Address {
		text += " (" + s.CommonName + ")"
	}
	switch {
	case s.User != "":
		text += " as user " + s.User
	case s.Certificate != "":
		text += " with " + s.Certificate
	}
	return text
}

type ciraPolicy struct {
	Trigger         string   `json:"trigger"`
	LifetimeSeconds uint64   `json:"lifetime_seconds"`        // 0: without limit
	EverySeconds    uint64   `json:"every_seconds,omitempty"` // of the trigger periodic
	At              string   `json:"at,omitempty"`            // time of day: "02:30"
	Outside         []string `json:"outside,omitempty"`       // servers that are called from outside of the home network
	Inside          []string `json:"inside,omitempty"`
}

func newCIRAPolicy(p console.RemotePolicy) ciraPolicy {
	r := ciraPolicy{Trigger: string(p.Trigger), LifetimeSeconds: uint64(p.Lifetime.Seconds())}
	if p.Period != nil {
		if r.EverySeconds = uint64(p.Period.Every.Seconds()); r.EverySeconds == 0 {
			r.At = fmt.Sprintf("%02d:%02d", p.Period.Hour, p.Period.Minute)
		}
	}
	for _, s := range p.Servers {
		if s.Outside {
			r.Outside = append(r.Outside, s.ID)
		}
		if s.Inside {
			r.Inside = append(r.Inside, s.ID)
		}
	}
	return r
}

func (p *ciraPolicy) String() string {
	var text []string
	switch {
	case p.EverySeconds > 0:
		text = append(text, "every "+secondsText(p.EverySeconds))
	case p.At != "":
		text = append(text, "daily at "+p.At)
	}
	if p.Outside != nil {
		text = append(text, "from outside "+strings.Join(p.Outside, ", then "))
	}
	if p.Inside != nil {
		text = append(text, "from inside "+strings.Join(p.Inside, ", then "))
	}
	if p.LifetimeSeconds > 0 {
		text = append(text, "for at most "+secondsText(p.LifetimeSeconds))
	}
	return strings.Join(text, ", ")
}

func secondsText(n uint64) string { return daysText(time.Duration(n) * time.Second) }

type ciraProxy struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Port    uint16 `json:"port"`
	Suffix  string `json:"suffix"` // DNS suffix of the networks in which it is used
}

func newCIRAProxy(p console.Proxy) ciraProxy { return ciraProxy{p.ID, p.Address, p.Port, p.Suffix} }

func (p *ciraProxy) String() string {
	return net.JoinHostPort(p.Address, strconv.Itoa(int(p.Port))) + " in networks of " + p.Suffix
}

func newCIRARecord(host string, r console.CIRA) ciraRecord {
	out := ciraRecord{Host: host, OK: true, Connected: &r.Connected, Outside: new(r.OutsideHome()), Suffix: r.Suffix, Home: &[]string{}, UserFrom: r.UserFrom,
		Servers: &[]ciraServer{}, Policies: &[]ciraPolicy{}, Proxies: &[]ciraProxy{}}
	*out.Home = append(*out.Home, r.Home...)
	for _, s := range r.Servers {
		*out.Servers = append(*out.Servers, newCIRAServer(s))
	}
	for _, p := range r.Policies {
		*out.Policies = append(*out.Policies, newCIRAPolicy(p))
	}
	for _, p := range r.Proxies {
		*out.Proxies = append(*out.Proxies, newCIRAProxy(p))
	}
	return out
}

// lines is the whole for people.
func (r *ciraRecord) lines() (out [][2]string) {
	add := func(name, value string) { out = append(out, [2]string{name, value}) }
	tunnel := "closed"
	if *r.Connected {
		tunnel = "open"
	}
	add("tunnel", tunnel)
	for _, s := range *r.Servers {
		add("server "+s.ID, s.String())
	}
	if len(*r.Servers) == 0 {
		add("servers", "none")
	}
	for _, p := range *r.Policies {
		add("policy "+p.Trigger, p.String())
	}
	if len(*r.Policies) == 0 {
		add("policies", "none")
	}
	home := "every network"
	if len(*r.Home) > 0 {
		home = strings.Join(*r.Home, ", ")
	}
	add("home network", home)
	where := "at home"
	if *r.Outside {
		where = "outside: the ports are closed to the network"
	}
	if r.Suffix != "" {
		where += " (" + r.Suffix + ")"
	}
	add("is now", where)
	add("user may call", map[string]string{"none": "no", "bios": "from the BIOS", "os": "from the operating system", "both": "from BIOS and operating system"}[r.UserFrom])
	for _, p := range *r.Proxies {
		add(p.ID, p.String())
	}
	return out
}

type ciraShowCmd struct{ Many }

func (ciraShowCmd) Help() string {
	return example("outband cira show nuc1", "outband cira show @field -o json")
}

func (c *ciraShowCmd) Run(a *app) error {
	return ciraWhole(a, c.Many, func(ctx context.Context, client *console.Client) (console.CIRA, error) { return client.CIRA(ctx) })
}

// ciraWhole does something that ends with all of remote access, and shows that.
func ciraWhole(a *app, m Many, do func(context.Context, *console.Client) (console.CIRA, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, m, do, func(h hosts.Host, now console.CIRA, bad *failure) error {
		if bad != nil {
			return out.failedObject(ciraRecord{Host: h.Name, Error: problemOf(bad)}, h.Name, bad, len(list) > 1)
		}
		r := newCIRARecord(h.Name, now)
		return out.object(r, h.Name, r.lines()...)
	})
}

// ciraEach does something to one thing of remote access of every machine, and shows that.
func ciraEach(a *app, m Many, do func(context.Context, *console.Client) (ciraRecord, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"WHAT", 10}, column{"IS", 0})
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		r, err := do(ctx, client)
		return r, ciraHint(err)
	}, func(h hosts.Host, r ciraRecord, bad *failure) error {
		if bad != nil {
			return out.failed(ciraRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r.Host, r.OK = h.Name, true
		return out.record(r, append([]cell{plain(h.Name)}, r.cells()...)...)
	})
}

func (r *ciraRecord) cells() []cell {
	var what, is string
	switch {
	case r.Server != nil:
		what, is = r.Server.ID, r.Server.String()
	case r.Policy != nil:
		what, is = r.Policy.Trigger, r.Policy.String()
	case r.Proxy != nil:
		what, is = r.Proxy.ID, r.Proxy.String()
	case r.UserFrom != "":
		return []cell{plain("user calls"), plain(r.UserFrom)}
	case r.Connected != nil:
		return []cell{plain("tunnel"), {"closed", toneWarn}}
	}
	if r.Removed {
		return []cell{plain(what), {"removed", toneWarn}}
	}
	return []cell{plain(what), plain(is)}
}

// ciraHint adds what to do.
func ciraHint(err error) error {
	if errors.Is(err, console.ErrInUse) {
		return &failure{exitRefused, err, "policies go first: outband cira policy remove TRIGGER HOST"}
	}
	return err
}

type ciraConnectCmd struct {
	Many
	From string `required:"" enum:"none,bios,os,both" placeholder:"FROM" help:"none, bios, os or both."`
}

func (ciraConnectCmd) Help() string {
	return "Nobody can open the tunnel from afar: a machine calls when a policy says so (outband cira policy set), and when somebody at it asks for " +
		"help, in its BIOS or by a program of its operating system, if that is allowed here and there is a policy for the trigger user.\n\n" +
		example("outband cira connect nuc1 --from both", "outband cira connect @lab --from none")
}

func (c *ciraConnectCmd) Run(a *app) error {
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		return ciraRecord{UserFrom: c.From}, client.AllowUserCalls(ctx, c.From)
	})
}

type ciraDisconnectCmd struct{ Many }

func (ciraDisconnectCmd) Help() string { return example("outband cira disconnect nuc1") }

func (c *ciraDisconnectCmd) Run(a *app) error {
	return ciraEach(a, c.Many, func(ctx context.Context, client *console.Client) (ciraRecord, error) {
		return ciraRecord{Connected: new(false)}, client.Disconnect(ctx)
	})
}
