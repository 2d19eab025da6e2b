package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type pkiCmd struct {
	List     pkiListCmd     `cmd:"" aliases:"ls" help:"List certificates, trusted roots, key pairs and revocation lists, and who uses them."`
	Add      pkiAddCmd      `cmd:"" help:"Give a machine a trusted root, a certificate, a key or a revocation list."`
	Remove   pkiRemoveCmd   `cmd:"" aliases:"rm" help:"Remove a certificate or key that nobody uses, or all revocation lists."`
	Generate pkiGenerateCmd `cmd:"" help:"Have a machine make a key pair, of which it keeps the private half."`
	Request  pkiRequestCmd  `cmd:"" help:"Have a machine sign a certificate request (CSR) with one of its keys."`
	Issue    pkiIssueCmd    `cmd:"" help:"Sign a certificate for a key of a machine, and give it to the machine."`
}

// A pkiRecord is one thing of a machine's certificate store.
type pkiRecord struct {
	Host        string     `json:"host"`
	OK          bool       `json:"ok"`
	ID          string     `json:"id,omitempty"`
	Kind        string     `json:"kind,omitempty"` // root, certificate, key, revocation list
	Subject     string     `json:"subject,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	Names       []string   `json:"names,omitempty"`  // that it is for
	Serial      string     `json:"serial,omitempty"` // hex digits
	NotBefore   *time.Time `json:"not_before,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Expired     bool       `json:"expired,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"` // SHA-256
	Key         string     `json:"key,omitempty"`         // of the machine, that a certificate belongs to
	Bits        int        `json:"bits,omitempty"`
	Belongs     []string   `json:"certificates,omitempty"` // to a key
	Uses        []string   `json:"uses,omitempty"`
	URL         string     `json:"url,omitempty"`
	Serials     []string   `json:"serials,omitempty"`
	Added       *bool      `json:"added,omitempty"` // false: it was there already
	Removed     bool       `json:"removed,omitempty"`
	Request     string     `json:"request,omitempty"` // PEM
	File        string     `json:"file,omitempty"`
	Error       *problem   `json:"error,omitempty"`
}

func certificateRecord(c console.Certificate) pkiRecord {
	r := pkiRecord{OK: true, ID: c.ID, Kind: "certificate", Subject: c.Subject, Issuer: c.Issuer, Key: c.Key, Uses: c.Uses}
	if c.Root {
		r.Kind = "root"
	}
	if v := c.X509; v != nil {
		r.Subject, r.Issuer, r.Serial, r.Fingerprint = v.Subject.String(), v.Issuer.String(), fmt.Sprintf("%x", v.SerialNumber), console.Fingerprint(v)
		r.NotBefore, r.Expires, r.Expired = new(v.NotBefore.UTC()), new(v.NotAfter.UTC()), time.Now().After(v.NotAfter)
		r.Names = v.DNSNames
		for _, ip := range v.IPAddresses {
			r.Names = append(r.Names, ip.String())
		}
	}
	return r
}

func keyRecord(k console.KeyPair) pkiRecord {
	return pkiRecord{OK: true, ID: k.ID, Kind: "key", Bits: k.Bits(), Belongs: k.Certificates, Uses: k.Uses}
}

func crlRecord(l console.CRL) pkiRecord {
	return pkiRecord{OK: true, ID: l.ID, Kind: "revocation list", URL: l.URL, Serials: l.Serials}
}

func pkiColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"ID", 7}, {"KIND", 15}, {"EXPIRES", 10}, {"USED BY", 7}, {"WHAT", 0}}
}

func (r *pkiRecord) cells() []cell {
	expires := cell{"-", toneFaint}
	if r.Expires != nil {
		expires = plain(r.Expires.Format(time.DateOnly))
		switch left := time.Until(*r.Expires); {
		case left < 0:
			expires.tone = toneBad
		case left < 30*24*time.Hour:
			expires.tone = toneWarn
		}
	}
	uses := cell{"-", toneFaint}
	if len(r.Uses) > 0 {
		uses = plain(strings.Join(r.Uses, ","))
	}
	what := r.Subject
	switch {
	case r.Kind == "key":
		what = fmt.Sprintf("RSA of %d bits", r.Bits)
		if len(r.Belongs) > 0 {
			what += " of " + strings.Join(r.Belongs, ", ")
		} else {
			what += ", no certificate"
		}
	case r.Kind == "revocation list":
		what = fmt.Sprintf("%s: %s", r.URL, strings.Join(r.Serials, ", "))
	case r.Issuer != "" && r.Issuer != r.Subject:
		what += ", signed by " + r.Issuer
	}
	if r.Expired {
		what += " (expired)"
	}
	if r.Removed {
		what = "removed"
	} else if r.Added != nil && !*r.Added {
		what += " (was there already)"
	}
	return []cell{plain(r.Host), plain(r.ID), plain(r.Kind), expires, uses, plain(what)}
}

// pkiHint adds what to do about errors of the certificate store and of TLS.
func pkiHint(err error) error {
	switch {
	case errors.Is(err, console.ErrInUse):
		return &failure{exitRefused, err, "unbind it first: outband tls status and outband pki list show who uses it"}
	case errors.Is(err, console.ErrMEBxPassword):
		return &failure{exitRefused, err, "--mebx-password-file FILE or AMT_MEBX_PASSWORD sets it; it is the one asked for at the PC's Ctrl-P menu"}
	}
	return err
}

// pkiEach does something to the certificate store of every machine and shows what came of it.
func pkiEach(a *app, m Many, do func(ctx context.Context, client *console.Client) ([]pkiRecord, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(pkiColumns(list)...)
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) ([]pkiRecord, error) {
		records, err := do(ctx, client)
		return records, pkiHint(err)
	}, func(h hosts.Host, records []pkiRecord, bad *failure) error {
		if bad != nil {
			return out.failed(pkiRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, r := range records {
			r.Host = h.Name
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		return nil
	})
}

type pkiListCmd struct{ Many }

func (pkiListCmd) Help() string {
	return example("outband pki list nuc1", "outband pki list @lab -o json")
}

func (c *pkiListCmd) Run(a *app) error {
	return pkiEach(a, c.Many, func(ctx context.Context, client *console.Client) ([]pkiRecord, error) {
		p, err := client.PKI(ctx)
		var out []pkiRecord
		for _, v := range p.Certificates {
			out = append(out, certificateRecord(v))
		}
		for _, v := range p.Keys {
			out = append(out, keyRecord(v))
		}
		for _, v := range p.CRLs {
			out = append(out, crlRecord(v))
		}
		if err == nil && out == nil {
			a.note("%s: no certificates, keys or revocation lists", client.Address())
		}
		return out, err
	})
}
