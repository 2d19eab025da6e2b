package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// StateKerberos is how the machine knows users of a realm. Names that are left out are those of its host name, so that
// one State does for many machines.
type StateKerberos struct {
	Enabled    *bool    `json:"enabled,omitempty"`
	Realm      string   `json:"realm,omitempty"`
	KeyVersion *uint32  `json:"key_version,omitempty"`
	Encryption string   `json:"encryption,omitempty"`              // "rc4-hmac", "aes128", "aes256"
	Tolerance  *uint32  `json:"clock_tolerance_minutes,omitempty"` // how far clocks may be apart
	Principals []string `json:"principals,omitempty"`              // "HTTP/desk-7.example.org:16992=http"
	Cache      *bool    `json:"keep_tickets,omitempty"`            // for the next log-in
	KeyFrom    string   `json:"key_from,omitempty"`                // where the master key is, in hex digits: "env:NAME" or a file
}

func (p Principal) words() string {
	if p.Protocol == "" {
		return p.Name
	}
	return p.Name + "=" + p.Protocol
}

func readStateKerberos(ctx context.Context, c *Client, s *State) error {
	k, _, err := c.kerberos(ctx)
	if err != nil {
		return err
	}
	s.Kerberos = &StateKerberos{Enabled: &k.Enabled, Cache: k.Cache}
	if !k.Enabled {
		return nil
	}
	v := s.Kerberos
	v.Realm, v.Encryption = k.Realm, k.Encryption
	if k.KeyVersion != 0 {
		v.KeyVersion = &k.KeyVersion
	}
	if k.Tolerance != nil {
		v.Tolerance = new(uint32(*k.Tolerance / time.Minute))
	}
	for _, p := range k.Principals {
		v.Principals = append(v.Principals, p.words())
	}
	return nil
}

func planKerberos(c *Client, now, want *State, help *StateHelp) (out []Change, err error) {
	n, w := *now.Kerberos, *want.Kerberos
	w.KeyFrom = ""
	enabled := w.Enabled != nil && *w.Enabled || w.Enabled == nil && *n.Enabled
	if !enabled { // realm and key stay at the machine, which does not tell them
		w = StateKerberos{Enabled: w.Enabled, Cache: w.Cache}
	} else if *n.Enabled { // what the machine keeps to itself cannot be compared
		if n.Realm == "" {
			w.Realm = ""
		}
		if n.Encryption == "" {
			w.Encryption = ""
		}
		if n.KeyVersion == nil {
			w.KeyVersion = nil
		}
		if n.Tolerance == nil {
			w.Tolerance = nil
		}
		if n.Principals == nil {
			w.Principals = nil
		}
	}
	if cache := w.Cache; cache != nil && !same(cache, n.Cache) {
		was := "not told"
		if n.Cache != nil {
			was = fmt.Sprint(*n.Cache)
		}
		out = append(out, Change{Subject: "keep_tickets", From: was, To: fmt.Sprint(*cache), do: func(ctx context.Context) error {
			if err := c.cacheTickets(ctx, *cache); err != nil {
				return err
			}
			if k, _, err := c.kerberos(ctx); err != nil {
				return fmt.Errorf("accepted, but reading it again failed: %w", err)
			} else if !same(cache, k.Cache) {
				return ErrDiffers
			}
			return nil
		}})
	}
	w.Cache, n.Cache = nil, nil
	change, ok := changeOf("realm", n, w)
	switch {
	case !ok:
		return out, nil
	case !enabled:
		change.do = func(ctx context.Context) error {
			_, err := c.DisableKerberos(ctx)
			return err
		}
		return append(out, change), nil
	}
	text, err := help.named("key_from", want.Kerberos.KeyFrom, "the realm of the machine")
	if err != nil {
		return nil, err
	}
	key, err := ParseKerberosKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: key_from: %w", ErrUsage, err)
	}
	set, err := want.Kerberos.settings(&n)
	if err != nil {
		return nil, err
	}
	change.do = func(ctx context.Context) error {
		if set.Principals == nil {
			if set.Principals, err = c.DefaultPrincipals(ctx); err != nil {
				return err
			}
		}
		_, err := c.SetKerberos(ctx, set, key)
		return err
	}
	return append([]Change{change}, out...), nil
}

// settings are what is to be sent: of what a State leaves out, what there is.
func (k *StateKerberos) settings(now *StateKerberos) (Kerberos, error) {
	set := Kerberos{Realm: k.Realm, Encryption: k.Encryption, KeyVersion: 1}
	if set.Realm == "" {
		if set.Realm = now.Realm; set.Realm == "" {
			return set, fmt.Errorf("%w: the realm is missing", ErrUsage)
		}
	}
	if set.Encryption == "" {
		set.Encryption = now.Encryption
	}
	for _, version := range []*uint32{now.KeyVersion, k.KeyVersion} {
		if version != nil {
			set.KeyVersion = *version
		}
	}
	for _, minutes := range []*uint32{now.Tolerance, k.Tolerance} {
		if minutes != nil {
			set.Tolerance = new(time.Duration(*minutes) * time.Minute)
		}
	}
	names := k.Principals
	if names == nil {
		names = now.Principals
	}
	for _, text := range names {
		p, err := ParsePrincipal(text)
		if err != nil {
			return set, err
		}
		set.Principals = append(set.Principals, p)
	}
	if set.Principals == nil { // those of the host name: checked when they are known
		return set, nil
	}
	return set, set.check()
}

// ParsePrincipal takes a name and what it is for: "HTTP/desk-7.example.org:16992=http". Errors wrap [ErrUsage].
func ParsePrincipal(text string) (Principal, error) {
	name, protocol, found := strings.Cut(text, "=")
	if !found {
		return Principal{}, fmt.Errorf("%w: %s does not say what for, as in HTTP/nuc1.example.org:16992=http", ErrUsage, text)
	}
	return Principal{Name: name, Protocol: protocol}, nil
}

var errNoHostName = errors.New("the machine has no host name")

// DefaultPrincipals are the names that consoles ask tickets for: those of the machine's host name. A machine without one is
// an error that wraps [ErrUsage]. Sources: spec wsman.md section 3.3, redirection.md section 4.3.
func (c *Client) DefaultPrincipals(ctx context.Context) ([]Principal, error) {
	network, err := c.Network(ctx)
	if err != nil {
		return nil, err
	}
	if network.HostName == "" {
		return nil, fmt.Errorf("%w: %w", ErrUsage, errNoHostName)
	}
	host := strings.ToLower(strings.TrimSuffix(network.HostName+"."+network.Domain, "."))
	var out []Principal
	for i, protocol := range kerberosProtocols {
		service := []string{"HTTP", "HTTPS"}[i%2]
		out = append(out, Principal{Name: fmt.Sprintf("%s/%s:%d", service, host, PortHTTP+i), Protocol: protocol})
	}
	return out, nil
}
