package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type tlsCmd struct {
	Status  tlsStatusCmd  `cmd:"" help:"Tell how machines are protected: TLS, client certificates, connections without TLS."`
	Enable  tlsEnableCmd  `cmd:"" help:"Switch TLS on, with a certificate that is checked from then on."`
	Disable tlsDisableCmd `cmd:"" help:"Switch TLS off, on releases that can do without."`
	Mutual  tlsMutualCmd  `cmd:"" help:"Have a machine take only clients that show a certificate."`
}

// A protectionSide is how one side of a machine is protected.
type protectionSide struct {
	Enabled        bool     `json:"enabled"`
	Mutual         bool     `json:"mutual"`
	Plain          bool     `json:"plain"` // takes connections without TLS
	PlainSupported bool     `json:"plain_supported"`
	TrustedNames   []string `json:"trusted_names,omitempty"`
}

// A protectionRecord is how one machine is protected.
type protectionRecord struct {
	Host        string          `json:"host"`
	OK          bool            `json:"ok"`
	Network     *protectionSide `json:"network,omitempty"`
	Local       *protectionSide `json:"local,omitempty"`       // towards its own operating system
	Certificate *pkiRecord      `json:"certificate,omitempty"` // of its store, that it shows
	Fingerprint string          `json:"fingerprint,omitempty"` // of what it shows on this connection; none without TLS
	Expires     *time.Time      `json:"expires,omitempty"`     // of the same
	Verified    bool            `json:"verified"`              // an authority vouches for it, rather than a pin
	Roots       int             `json:"trusted_roots"`
	Error       *problem        `json:"error,omitempty"`
}

func newProtectionRecord(host string, s console.TLSStatus) protectionRecord {
	side := func(i *console.TLSInterface) *protectionSide {
		if i == nil {
			return nil
		}
		return &protectionSide{i.Enabled, i.Mutual, i.Plain, i.PlainSupported, i.TrustedNames}
	}
	r := protectionRecord{Host: host, OK: true, Network: side(s.Network), Local: side(s.Local), Verified: s.Verified, Roots: s.Roots}
	if s.Bound != nil {
		r.Certificate = new(certificateRecord(*s.Bound))
	}
	if s.Shown != nil {
		r.Fingerprint, r.Expires = console.Fingerprint(s.Shown), new(s.Shown.NotAfter.UTC())
	}
	return r
}

func tlsColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"TLS", 6}, {"WITHOUT TLS", 11}, {"LOCAL", 6}, {"ROOTS", 5}, {"CERTIFICATE", 0}}
}

func (r *protectionRecord) cells() []cell {
	word := func(s *protectionSide) cell {
		switch {
		case s == nil:
			return cell{"-", toneFaint}
		case !s.Enabled:
			return cell{"off", toneWarn}
		case s.Mutual:
			return cell{"mutual", toneGood}
		}
		return cell{"on", toneGood}
	}
	plainly := cell{"refused", toneGood}
	if r.Network != nil && r.Network.Plain {
		plainly = cell{"taken", toneWarn}
	}
	certificate := "the machine's own"
	if r.Certificate != nil {
		certificate = r.Certificate.ID + " " + r.Certificate.Subject
	} else if r.Network != nil && !r.Network.Enabled {
		certificate = "-"
	}
	if r.Expires != nil {
		certificate += ", until " + r.Expires.Format(time.DateOnly)
	}
	if r.Fingerprint != "" && !r.Verified {
		certificate += " (pinned)"
	}
	return []cell{plain(r.Host), word(r.Network), plainly, word(r.Local), plain(itoa(r.Roots)), plain(certificate)}
}

type tlsStatusCmd struct{ Many }

func (tlsStatusCmd) Help() string {
	return example("outband tls status nuc1", "outband tls status @lab -o json")
}

func (c *tlsStatusCmd) Run(a *app) error {
	return tlsEach(a, c.Many, nil, func(ctx context.Context, _ hosts.Host, client *console.Client) (console.TLSStatus, error) {
		return client.TLS(ctx)
	})
}

// tlsEach does something to every machine and shows how it is protected then. pairs are client certificates to show
// where the machine's entry has none.
func tlsEach(a *app, m Many, pairs []tls.Certificate, do func(context.Context, hosts.Host, *console.Client) (console.TLSStatus, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	if m.Fanout < 1 {
		return usage("", "--fanout: %d is not a number of machines", m.Fanout)
	}
	out := a.printer(tlsColumns(list)...)
	work := func(ctx context.Context, h hosts.Host) (s console.TLSStatus, err error) {
		client, err := a.connectKnown(ctx, h, pairs)
		if err != nil {
			return s, err
		}
		defer client.Close()
		return do(ctx, h, client)
	}
	var errs []error
	for done := range console.Each(a.ctx, list, &console.EachOptions{Fanout: m.Fanout, Delay: m.Delay}, work) {
		errs = append(errs, done.Err)
		h := done.Target
		if done.Err == nil {
			r := newProtectionRecord(h.Name, done.Value)
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
			continue
		}
		bad := judge(pkiHint(done.Err))
		if err := out.failed(protectionRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad)); err != nil {
			return err
		}
		name := h.Name
		if len(list) == 1 {
			name = ""
		}
		a.complain(name, bad)
	}
	return a.sum(errs)
}

// connectKnown is connect for commands that change certificates: where an earlier run was cut off, a machine may show a
// certificate that its entry does not know, but that the user's own authority has signed. Such a one is believed.
func (a *app) connectKnown(ctx context.Context, h hosts.Host, pairs []tls.Certificate) (*console.Client, error) {
	cfg, err := a.config(h)
	if err != nil {
		return nil, err
	}
	client, err := console.New(cfg)
	if err != nil {
		return nil, err
	}
	at, err := client.Endpoint(ctx)
	var shake *console.HandshakeError
	if cfg.TLS.Certificates == nil && pairs != nil && (err == nil && at.Scheme == console.HTTPS || errors.As(err, &shake) && shake.AskedForCertificate) {
		client.Close()
		cfg.TLS.Certificates = pairs
		if client, err = console.New(cfg); err != nil {
			return nil, err
		}
		_, err = client.Endpoint(ctx)
	}
	var bad *console.TrustError
	if err == nil || !errors.As(err, &bad) || a.Pin != "" || a.CA != "" {
		return client, nil // what else there is to say is said at the first request
	}
	own, _, ownErr := a.ownCA(false)
	if ownErr != nil || own == nil || !own.Issued(bad.Cert) {
		return client, nil
	}
	client.Close()
	a.detail("%s shows a certificate of your own authority that its entry does not know yet", h.Address)
	cfg.TLS.Pin, cfg.TLS.CAFile, cfg.TLS.RootCAs, cfg.TLS.OnUnknown = "", "", own.Pool(), nil
	return console.New(cfg)
}
