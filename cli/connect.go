package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/console/hosts/oskeyring"
	"github.com/outband/outband/wire/wsman"
)

// Globals are the flags of every command.
type Globals struct {
	Output  string        `short:"o" enum:"table,json,yaml" default:"table" placeholder:"FORM" help:"Form of the results: table, json (one object per line) or yaml."`
	Verbose int           `short:"v" type:"counter" help:"Say more on stderr; twice for more still."`
	Trace   string        `placeholder:"FILE" help:"Write the conversation with the machine to FILE, without secrets."`
	Timeout time.Duration `default:"30s" placeholder:"TIME" help:"Give up on a request after that time."`

	Connection `embed:"" group:"Connection"`
}

// Connection is how to reach a machine and whom to believe, where the host's entry does not say, or says otherwise.
type Connection struct {
	User          string `placeholder:"NAME" help:"Account on the machine; default admin, or AMT_USER."`
	PasswordFile  string `placeholder:"FILE" help:"First line of FILE is the password; default is AMT_PASSWORD, the host's entry, or to ask."`
	PasswordStdin bool   `help:"First line of stdin is the password."`
	Scheme        string `placeholder:"http|https" help:"Plain HTTP or TLS; default is TLS if the machine has it."`
	Port          int    `placeholder:"PORT" help:"Port of WS-Management; default 16993 or 16992."`
	Pin           string `placeholder:"SHA256" help:"Believe the certificate with this fingerprint, and no other."`
	CA            string `name:"ca" placeholder:"FILE" help:"Believe certificates signed by the authorities in FILE (PEM)."`
	TLSMin        string `name:"tls-min" placeholder:"VERSION" help:"Oldest TLS version to accept: 1.0, 1.1, 1.2; default 1.2."`
	LegacyCiphers bool   `help:"Also offer ciphers that only old firmware needs."`
	Cert          string `placeholder:"FILE" help:"Client certificate (PEM), for machines that ask for one."`
	Key           string `placeholder:"FILE" help:"Private key of the client certificate (PEM)."`
}

func (g *Globals) check() error {
	switch {
	case g.Scheme != "" && g.Scheme != console.HTTP && g.Scheme != console.HTTPS:
		return usage("", "--scheme: %q is neither http nor https", g.Scheme)
	case g.Port < 0 || g.Port > 65535:
		return usage("", "--port: %d is not in 1..65535", g.Port)
	case g.TLSMin != "" && tlsVersion(g.TLSMin) == 0:
		return usage("", "--tls-min: %q is not 1.0, 1.1 or 1.2", g.TLSMin)
	case g.PasswordFile != "" && g.PasswordStdin:
		return usage("", "--password-file and --password-stdin exclude each other")
	case (g.Cert == "") != (g.Key == ""):
		return usage("", "--cert and --key need each other")
	case g.Timeout < 0:
		return usage("", "--timeout: %v is negative", g.Timeout)
	}
	if g.Pin != "" {
		if _, err := hosts.ParsePin(g.Pin); err != nil {
			return usage("", "--pin: %w", err)
		}
	}
	return nil
}

func tlsVersion(name string) uint16 {
	switch name {
	case "1.0":
		return tls.VersionTLS10
	case "1.1":
		return tls.VersionTLS11
	case "1.2":
		return tls.VersionTLS12
	}
	return 0
}

// A session holds what the connections of one run share.
type session struct {
	mu       sync.Mutex // guards all below, and the terminal while a question is asked
	db       *hosts.DB
	trace    *os.File
	asked    bool
	password string // typed, or from stdin

	addresses map[string]string // of the entries that the run works on, by name
	machine   string            // that the run works on, if it is one alone

	told atomic.Bool // a record says what failed
}

// only returns the machine that the run works on; "" if there are several, or none.
func (s *session) only() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine
}

// remember notes the addresses of machines that have names of their own, so that records show both.
func (s *session) remember(list []hosts.Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine = ""
	if len(list) == 1 {
		s.machine = list[0].Name
	}
	for _, h := range list {
		if name := entryName(h); name != "" {
			if s.addresses == nil {
				s.addresses = make(map[string]string, len(list))
			}
			s.addresses[name] = h.Address
		}
	}
}

// addressOf returns the address of an entry that the run works on, "" if there is none of that name.
func (s *session) addressOf(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses[name]
}

// entryName returns the name under which the database has a machine; "" for one that is just an address.
func entryName(h hosts.Host) string {
	if h.Name == h.Address {
		return ""
	}
	return h.Name
}

// database opens the user's hosts file. OUTBAND_HOSTS names another one.
func (a *app) database() (*hosts.DB, error) {
	a.session.mu.Lock()
	defer a.session.mu.Unlock()
	if a.session.db == nil {
		db, err := hosts.Open(a.env("OUTBAND_HOSTS"), hosts.Options{Keyring: oskeyring.Ring{}})
		if err != nil {
			return nil, err
		}
		a.session.db = db
	}
	return a.session.db, nil
}

// targets finds the machines that the user named: names and patterns of the database, or addresses.
func (a *app) targets(words []string) ([]hosts.Host, error) {
	if len(words) == 0 {
		if word := a.env("AMT_HOST"); word != "" {
			words = []string{word}
		} else {
			return nil, usage("name a machine of \"outband host list\", or an address", "no machine named")
		}
	}
	db, err := a.database()
	if err != nil {
		return nil, err
	}
	list, err := db.Expand(words...)
	if errors.Is(err, hosts.ErrPattern) || errors.Is(err, hosts.ErrInvalid) || errors.Is(err, hosts.ErrNotFound) {
		return nil, usage("outband host list shows the names that are known", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, usage("outband host add adds one", "no machine matches %q", words)
	}
	a.session.remember(list)
	return list, nil
}

// target is targets for commands that work on one machine.
func (a *app) target(word string) (hosts.Host, error) {
	var words []string
	if word != "" {
		words = []string{word}
	}
	list, err := a.targets(words)
	if err != nil {
		return hosts.Host{}, err
	}
	if len(list) > 1 {
		return hosts.Host{}, usage("", "%s means %d machines; this command works on one", word, len(list))
	}
	return list[0], nil
}

// connect makes the client of a machine. Nothing is sent yet.
func (a *app) connect(h hosts.Host) (*console.Client, error) {
	cfg, err := a.config(h)
	if err != nil {
		return nil, err
	}
	return console.New(cfg)
}

// config merges the host's entry, the environment and the flags; flags win.
func (a *app) config(h hosts.Host) (console.Config, error) {
	cfg := console.Config{
		Address:  h.Address,
		Username: first(a.User, h.User, a.env("AMT_USER"), hosts.DefaultUser),
		Scheme:   first(a.Scheme, h.Scheme),
		Port:     h.Port,
		Timeout:  a.Timeout,
		TLS: console.TLSConfig{
			Name:          entryName(h),
			Pin:           first(a.Pin, h.Pin),
			CAFile:        first(a.CA, h.CAFile),
			MinVersion:    tlsVersion(first(a.TLSMin, h.TLSMin)),
			LegacyCiphers: a.LegacyCiphers || h.LegacyCiphers,
			OnUnknown: func(ctx context.Context, cert *x509.Certificate, reason error) bool {
				return a.trusts(ctx, h, cert, reason)
			},
		},
		AskPassword: func(ctx context.Context) (string, error) { return a.passwordOf(ctx, h) },
		OnPlaintext: func(_ context.Context, address string) error {
			a.note("warning: %s is spoken to over plain HTTP: everybody on the way can read along and use what they read", address)
			return nil
		},
	}
	// What old firmware speaks is no worse than the plain HTTP that this computer is spoken to with anyway.
	if isLoopback(h.Address) {
		cfg.TLS.LegacyCiphers = true
		if cfg.TLS.MinVersion == 0 {
			cfg.TLS.MinVersion = tls.VersionTLS10
		}
	}
	if a.Pin != "" {
		cfg.TLS.Pin, _ = hosts.ParsePin(a.Pin) // checked before
	}
	if a.Port != 0 {
		cfg.Port = a.Port
	}
	if certFile, keyFile := first(a.Cert, h.CertFile), first(a.Key, h.KeyFile); certFile != "" {
		pair, err := clientCertificate(certFile, keyFile)
		if err != nil {
			return cfg, err
		}
		cfg.TLS.Certificates = pair
	}
	if a.Verbose > 1 {
		cfg.Log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	cfg.Trace, err = a.tracer(h.Address)
	return cfg, err
}

func clientCertificate(certFile, keyFile string) ([]tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, usage("", "client certificate: %w", err)
	}
	return []tls.Certificate{pair}, nil
}

// first returns the first choice that says something.
func first(choices ...string) string {
	for _, c := range choices {
		if c != "" {
			return c
		}
	}
	return ""
}

// isLoopback reports whether an address is this computer, without asking a name server.
func isLoopback(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Unmap().IsLoopback() || address == "localhost"
}

// trusts decides about a certificate that nobody vouches for. This computer itself is believed, as it is without TLS;
// a user is asked; a script is not believed to know. What is accepted for an entry of the database is pinned there.
func (a *app) trusts(ctx context.Context, h hosts.Host, cert *x509.Certificate, reason error) bool {
	if h.CAFile != "" || a.CA != "" {
		return false
	}
	var bad *console.TrustError
	if errors.As(reason, &bad) && bad.Reason == console.UnknownAuthority && isLoopback(h.Address) {
		a.detail("%s: accepting an unknown certificate, as it is this computer that answers", h.Address)
		return true
	}
	a.session.mu.Lock()
	defer a.session.mu.Unlock()
	if !a.interactive() {
		return false
	}
	a.note("%v", reason)
	yes, err := a.confirm("trust this certificate?", false)
	if err != nil || !yes {
		return false
	}
	if a.session.db != nil {
		if _, err := a.session.db.Get(h.Name); err == nil {
			if err := a.session.db.SetPin(ctx, h.Name, console.Fingerprint(cert)); err != nil {
				a.note("warning: the pin was not stored: %v", err)
			}
		}
	}
	return true
}

// tracer returns what writes the conversation to --trace, or nil.
func (a *app) tracer(address string) (func(wsman.TraceEvent), error) {
	if a.Trace == "" {
		return nil, nil
	}
	a.session.mu.Lock()
	defer a.session.mu.Unlock()
	if a.session.trace == nil {
		f, err := os.OpenFile(a.Trace, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, usage("", "--trace: %w", err)
		}
		a.session.trace = f
	}
	return func(e wsman.TraceEvent) {
		a.session.mu.Lock()
		defer a.session.mu.Unlock()
		writeTrace(a.session.trace, address, e)
	}, nil
}

// close ends what the run opened. A trace that is not all written is no reason to fail what was done.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trace != nil {
		s.trace.Close()
		s.trace = nil
	}
}
