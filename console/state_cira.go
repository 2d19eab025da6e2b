package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/class/amt"
)

// StateCIRA is how the machine calls home. Each list that is there is whole.
type StateCIRA struct {
	Servers   *[]StateServer       `json:"servers,omitempty"`
	Policies  *[]StateRemotePolicy `json:"policies,omitempty"`
	Proxies   *[]StateProxy        `json:"proxies,omitempty"`
	UserCalls string               `json:"user_calls,omitempty"` // from where somebody at the machine may call: "none", "bios", "os", "both"

	// Home are the DNS suffixes of the home network. Outside says that the machine may find itself outside of it, and close its
	// ports: what would cut it off is refused without.
	Home    *[]string `json:"home,omitempty"`
	Outside bool      `json:"outside,omitempty"`
}

// A StateServer is a presence server.
type StateServer struct {
	Address     string `json:"address"`
	Port        uint16 `json:"port"`
	CommonName  string `json:"common_name,omitempty"` // in its certificate, if the address is an IP address
	User        string `json:"user,omitempty"`
	Certificate string `json:"certificate,omitempty"` // instead of a user: "cert-3" of the machine's store

	PasswordFrom string `json:"password_from,omitempty"` // of a new server: "env:NAME" or a file
}

func (s *StateServer) id() string {
	return strings.ToLower(s.Address) + ":" + strconv.Itoa(int(s.Port))
}

func (s *StateServer) words() string {
	text := "as " + s.User
	if s.Certificate != "" {
		text = "with " + s.Certificate
	}
	if s.CommonName != "" {
		text += ", named " + s.CommonName
	}
	return text
}

// A StateRemotePolicy says when the machine calls which servers.
type StateRemotePolicy struct {
	Trigger  string              `json:"trigger"` // "user", "alert", "periodic", "home"
	Every    uint32              `json:"every_seconds,omitempty"`
	Daily    string              `json:"daily,omitempty"`            // "02:30", by the clock of the machine
	Lifetime uint32              `json:"lifetime_seconds,omitempty"` // of the tunnel; 0: without limit
	Servers  []StatePolicyServer `json:"servers"`                    // in the order in which they are tried
}

// A StatePolicyServer is a server by its address, and from where it is called.
type StatePolicyServer struct {
	Address string `json:"address"`
	From    string `json:"from,omitempty"` // "outside" (also ""), "inside", "both"
}

func (p *StateRemotePolicy) words() string {
	var words []string
	switch {
	case p.Every > 0:
		words = append(words, "every "+(time.Duration(p.Every)*time.Second).String())
	case p.Daily != "":
		words = append(words, "daily at "+p.Daily)
	}
	for _, s := range p.Servers {
		from := s.From
		if from == "" {
			from = "outside"
		}
		words = append(words, s.Address+" from "+from)
	}
	if p.Lifetime > 0 {
		words = append(words, "for "+(time.Duration(p.Lifetime)*time.Second).String())
	}
	return strings.Join(words, ", ")
}

// remote makes the policy that a State tells. Errors wrap [ErrUsage].
func (p *StateRemotePolicy) remote() (RemotePolicy, error) {
	trigger, err := ParseRemoteTrigger(p.Trigger)
	if err != nil {
		return RemotePolicy{}, err
	}
	r := RemotePolicy{Trigger: trigger, Lifetime: time.Duration(p.Lifetime) * time.Second}
	if p.Every > 0 {
		r.Period = &amt.Period{Every: time.Duration(p.Every) * time.Second}
	}
	if p.Daily != "" {
		at, err := time.Parse("15:04", p.Daily)
		if err != nil || r.Period != nil {
			return r, fmt.Errorf("%w: daily %q is no time of day such as 02:30, or there is every_seconds as well", ErrUsage, p.Daily)
		}
		r.Period = &amt.Period{Hour: uint32(at.Hour()), Minute: uint32(at.Minute())}
	}
	for _, s := range p.Servers {
		if !slices.Contains([]string{"", "outside", "inside", "both"}, s.From) {
			return r, fmt.Errorf("%w: from %q is none of outside, inside, both", ErrUsage, s.From)
		}
		r.Servers = append(r.Servers, PolicyServer{ID: s.Address, Inside: s.From == "inside" || s.From == "both", Outside: s.From != "inside"})
	}
	return r, r.check()
}

// A StateProxy is a proxy that the tunnel may go through.
type StateProxy struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
	Suffix  string `json:"suffix"` // of the networks that it is in
}

func (p *StateProxy) id() string {
	return strings.ToLower(fmt.Sprintf("%s:%d in %s", p.Address, p.Port, p.Suffix))
}

func readStateCIRA(ctx context.Context, c *Client, s *State) error {
	r, err := c.CIRA(ctx)
	if err != nil {
		return err
	}
	servers, policies, home := []StateServer{}, []StateRemotePolicy{}, slices.Clone(r.Home)
	if home == nil {
		home = []string{}
	}
	for _, v := range r.Servers {
		servers = append(servers, StateServer{Address: v.Address, Port: v.Port, CommonName: v.CommonName, User: v.User, Certificate: v.Certificate})
	}
	for _, v := range r.Policies {
		p := StateRemotePolicy{Trigger: string(v.Trigger), Lifetime: uint32(v.Lifetime / time.Second)}
		switch {
		case v.Period == nil:
		case v.Period.Every > 0:
			p.Every = uint32(v.Period.Every / time.Second)
		default:
			p.Daily = fmt.Sprintf("%02d:%02d", v.Period.Hour, v.Period.Minute)
		}
		for _, ps := range v.Servers {
			one := StatePolicyServer{Address: ps.ID, From: "outside"}
			if server := r.Server(ps.ID); server != nil {
				one.Address = server.Address
			}
			switch {
			case ps.Inside && ps.Outside:
				one.From = "both"
			case ps.Inside:
				one.From = "inside"
			}
			p.Servers = append(p.Servers, one)
		}
		policies = append(policies, p)
	}
	s.CIRA = &StateCIRA{Servers: &servers, Policies: &policies, UserCalls: r.UserFrom, Home: &home}
	if r.MaxProxies > 0 || len(r.Proxies) > 0 {
		proxies := []StateProxy{}
		for _, p := range r.Proxies {
			proxies = append(proxies, StateProxy{Address: p.Address, Port: p.Port, Suffix: p.Suffix})
		}
		s.CIRA.Proxies = &proxies
	}
	return nil
}

// A ciraPlan sorts changes: policies that are to go let go of their servers, which make room for others, which new policies
// call.
type ciraPlan struct {
	c                           *Client
	off, gone, added, on, after []Change
	changed                     map[string]bool // addresses of servers that are replaced or removed
}

func planCIRA(c *Client, now, want *State, help *StateHelp) ([]Change, error) {
	n, w := now.CIRA, want.CIRA
	p := &ciraPlan{c: c, changed: map[string]bool{}}
	if w.Servers != nil {
		if err := p.servers(*n.Servers, *w.Servers, help); err != nil {
			return nil, err
		}
	}
	switch i := slices.IndexFunc(*n.Policies, p.loose); {
	case w.Policies != nil:
		if err := p.policies(*n.Policies, *w.Policies); err != nil {
			return nil, err
		}
	case i >= 0: // it would be lost if the link broke while it is away
		return nil, fmt.Errorf("%w: the policy %s calls a server that is to change: the state must tell the policies too", ErrUsage, (*n.Policies)[i].Trigger)
	}
	if w.Proxies != nil {
		if n.Proxies == nil && len(*w.Proxies) > 0 {
			return nil, fmt.Errorf("%w: its firmware knows no proxies (11.0 and newer do)", ErrUnsupported)
		}
		if n.Proxies != nil {
			if err := p.proxies(*n.Proxies, *w.Proxies); err != nil {
				return nil, err
			}
		}
	}
	if calls := w.UserCalls; calls != "" && calls != n.UserCalls {
		if n.UserCalls == "" {
			return nil, fmt.Errorf("%w: nobody at the machine can call", ErrUnsupported)
		}
		p.after = append(p.after, Change{Subject: "user_calls", From: n.UserCalls, To: calls, do: func(ctx context.Context) error { return c.AllowUserCalls(ctx, calls) }})
	}
	return slices.Concat(p.off, p.gone, p.added, p.on, p.after), nil
}

// loose reports whether a policy calls a server that is replaced or removed.
func (p *ciraPlan) loose(r StateRemotePolicy) bool {
	return slices.ContainsFunc(r.Servers, func(s StatePolicyServer) bool { return p.changed[strings.ToLower(s.Address)] })
}

func (p *ciraPlan) servers(now, want []StateServer, help *StateHelp) error {
	user := ""
	for _, s := range want {
		if s.User != "" && user != "" && s.User != user {
			return fmt.Errorf("%w: a machine has one user for all its servers, and not both %s and %s", ErrUsage, user, s.User)
		}
		user = cmp.Or(user, s.User)
	}
	return compared(now, want, (*StateServer).id, func(n, w *StateServer) error {
		if n != nil && w != nil && n.words() == w.words() {
			return nil
		}
		if n != nil {
			p.changed[strings.ToLower(n.Address)] = true
			p.gone = append(p.gone, Change{Subject: "server " + n.id(), From: n.words(), do: func(ctx context.Context) error {
				_, err := p.c.RemovePresenceServer(ctx, n.Address)
				return err
			}})
		}
		if w == nil {
			return nil
		}
		server, password := PresenceServer{Address: w.Address, Port: w.Port, CommonName: w.CommonName, User: w.User, Certificate: w.Certificate}, ""
		if w.Certificate == "" {
			var err error
			if password, err = help.named("password_from", w.PasswordFrom, "server "+w.id()); err != nil {
				return err
			}
		}
		if err := server.check(password); err != nil {
			return err
		}
		p.added = append(p.added, Change{Subject: "server " + w.id(), To: w.words(), do: func(ctx context.Context) error {
			_, err := p.c.AddPresenceServer(ctx, server, password, nil)
			return err
		}})
		return nil
	})
}

func (p *ciraPlan) policies(now, want []StateRemotePolicy) error {
	return compared(now, want, func(r *StateRemotePolicy) string { return r.Trigger }, func(n, w *StateRemotePolicy) error {
		loose := n != nil && p.loose(*n)
		if n != nil && w != nil && n.words() == w.words() && !loose {
			return nil
		}
		if n != nil && (w == nil || loose) {
			p.off = append(p.off, Change{Subject: "policy " + n.Trigger, From: n.words(), do: func(ctx context.Context) error {
				_, err := p.c.RemoveRemotePolicy(ctx, RemoteTrigger(n.Trigger))
				return err
			}})
		}
		if w == nil {
			return nil
		}
		r, err := w.remote()
		if err != nil {
			return err
		}
		change := Change{Subject: "policy " + w.Trigger, To: w.words(), do: func(ctx context.Context) error {
			_, err := p.c.SetRemotePolicy(ctx, r)
			return err
		}}
		if n != nil && !loose {
			change.From = n.words()
		}
		p.on = append(p.on, change)
		return nil
	})
}

func (p *ciraPlan) proxies(now, want []StateProxy) error {
	return compared(now, want, (*StateProxy).id, func(n, w *StateProxy) error {
		switch {
		case n != nil && w == nil:
			p.gone = append(p.gone, Change{Subject: "proxy", From: n.id(), do: func(ctx context.Context) error {
				r, err := p.c.cira(ctx)
				if err != nil {
					return err
				}
				for _, proxy := range r.Proxies {
					if one := (&StateProxy{proxy.Address, proxy.Port, proxy.Suffix}); one.id() == n.id() {
						_, err := p.c.RemoveProxy(ctx, proxy.ID)
						return err
					}
				}
				return nil
			}})
		case n == nil:
			p.added = append(p.added, Change{Subject: "proxy", To: w.id(), do: func(ctx context.Context) error {
				_, err := p.c.AddProxy(ctx, Proxy{Address: w.Address, Port: w.Port, Suffix: w.Suffix})
				return err
			}})
		}
		return nil
	})
}

// planHome is of its own: elsewhere than at home AMT closes its ports.
func planHome(c *Client, now, want *State, _ *StateHelp) ([]Change, error) {
	n, w := *now.CIRA.Home, *want.CIRA.Home
	if slices.EqualFunc(n, w, strings.EqualFold) {
		return nil, nil
	}
	none := func(list []string) string {
		if len(list) == 0 {
			return "every network"
		}
		return strings.Join(list, " ")
	}
	return []Change{{Subject: "home", From: none(n), To: none(w), do: func(ctx context.Context) error {
		_, _, err := c.SetHome(ctx, w, want.CIRA.Outside)
		return err
	}}}, nil
}
