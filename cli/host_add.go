package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type hostAddCmd struct {
	Name    string   `arg:"" help:"What to call the machine."`
	Address string   `arg:"" optional:"" help:"DNS name or IP address, with :PORT if it is unusual; default is the name."`
	Trust   bool     `help:"Believe the certificate that the machine shows now, without asking."`
	Replace bool     `help:"Replace an entry of that name; what is not said anew stays: tags, note, account, client certificate, and the password if the address stays."`
	Blind   bool     `help:"Do not look at the machine, which may be off or unplugged."`
	Tag     []string `placeholder:"TAG" help:"Put the machine in a group: @TAG means all of it; may be repeated."`
	Note    string   `placeholder:"TEXT" help:"Something for people."`
	NoStore bool     `help:"Do not store the password."`
}

func (hostAddCmd) Help() string {
	return "The certificate is shown and, if believed, pinned: a machine that shows another one later is refused. The password is stored " +
		"encrypted; it comes from AMT_PASSWORD, --password-file, --password-stdin, or is asked for.\n\n" +
		example("outband host add nuc1 192.168.1.40", "AMT_PASSWORD=... outband host add nuc1 192.168.1.40 --trust --tag lab")
}

func (c *hostAddCmd) Run(a *app) error {
	db, err := a.database()
	if err != nil {
		return err
	}
	h, err := c.entry(a, db)
	if err != nil {
		return err
	}
	var info *console.Info
	if c.Blind {
		if password, err := a.givenPassword(); err != nil {
			return err
		} else if password != "" && !c.NoStore {
			h.SetPassword(password)
		}
	} else {
		if info, err = c.probe(a, &h); err != nil {
			return fmt.Errorf("nothing was added: %w", err)
		}
	}
	if err := db.Put(a.ctx, h); err != nil {
		return err
	}
	out := a.printer()
	lines := recordOf(h).lines()
	record := struct {
		hostRecord
		Info *infoRecord `json:"info,omitempty"`
	}{hostRecord: recordOf(h)}
	if info != nil {
		record.Info = newInfoRecord(h.Name, *info)
		lines = append(lines, record.Info.summary()...)
	}
	return out.object(record, "", lines...)
}

// entry makes the entry of what was typed.
func (c *hostAddCmd) entry(a *app, db *hosts.DB) (hosts.Host, error) {
	var h hosts.Host
	old, err := db.Get(c.Name)
	if err == nil && !c.Replace {
		return h, usage("--replace replaces it", "there is a host %q already", c.Name)
	}
	var none *hosts.DB
	typed, err := none.Expand(first(c.Address, c.Name))
	if err != nil || len(typed) != 1 {
		return h, usage("such as 192.168.1.40", "%q is not one address", first(c.Address, c.Name))
	}
	h = typed[0]
	h.Name, h.Tags, h.Note = c.Name, c.Tag, c.Note
	h.User, h.CAFile, h.CertFile, h.KeyFile = a.User, a.CA, a.Cert, a.Key
	h.TLSMin, h.LegacyCiphers = a.TLSMin, a.LegacyCiphers
	h.Scheme = first(a.Scheme, h.Scheme)
	if a.Port != 0 {
		h.Port = a.Port
	}
	if a.Pin != "" {
		h.Pin, _ = hosts.ParsePin(a.Pin) // checked before
	}
	h = c.keep(h, old)
	if err := h.Validate(); err != nil {
		return h, usage("", "%w", err)
	}
	return h, nil
}

// keep fills what was not said anew from the entry that is replaced, if there is one. How the machine is reached and
// believed is found out again.
func (c *hostAddCmd) keep(h, old hosts.Host) hosts.Host {
	if h.Tags == nil {
		h.Tags = old.Tags
	}
	h.Note, h.User = first(h.Note, old.Note), first(h.User, old.User)
	if h.CertFile == "" {
		h.CertFile, h.KeyFile = old.CertFile, old.KeyFile
	}
	if !c.NoStore && h.Address == old.Address && h.Username() == old.Username() {
		h.TakePassword(old)
	}
	return h
}

// probe looks at the machine and completes the entry.
func (c *hostAddCmd) probe(a *app, h *hosts.Host) (*console.Info, error) {
	password := ""
	ask := func(ctx context.Context) (string, error) {
		var err error
		password, err = a.passwordOf(ctx, *h)
		return password, err
	}
	for {
		cfg, err := a.config(*h)
		if err != nil {
			return nil, err
		}
		cfg.AskPassword = ask
		cfg.TLS.MinVersion, cfg.TLS.LegacyCiphers = tlsVersion(h.TLSMin), h.LegacyCiphers
		cfg.TLS.OnUnknown = func(_ context.Context, cert *x509.Certificate, reason error) bool { return c.believes(a, cert, reason) }
		client, err := console.New(cfg)
		if err != nil {
			return nil, err
		}
		info, err := c.look(a, client, h)
		client.Close()
		if err == nil {
			if !c.NoStore {
				h.SetPassword(password)
			}
			return info, nil
		}
		var bad *console.TrustError
		switch {
		case a.relax(h, err):
		case errors.As(err, &bad) && bad.Reason != console.PinMismatch && a.CA == "":
			return nil, &failure{exitTrust, err, "compare the fingerprint at the machine; --trust then believes it, --pin FINGERPRINT believes no other"}
		default:
			return nil, err
		}
	}
}

// look reads what the machine is, and puts into the entry how it was reached.
func (c *hostAddCmd) look(a *app, client *console.Client, h *hosts.Host) (*console.Info, error) {
	at, err := client.Endpoint(a.ctx)
	if err != nil {
		return nil, err
	}
	info, err := client.Info(a.ctx)
	if err != nil {
		return nil, err
	}
	h.Scheme, h.Port, h.UUID = at.Scheme, at.Port, strings.ToLower(info.UUID)
	if at.TLS != nil && h.CAFile == "" && len(at.TLS.PeerCertificates) > 0 {
		h.Pin = console.Fingerprint(at.TLS.PeerCertificates[0])
	}
	return &info, nil
}

// believes shows a certificate that nobody vouches for, and decides.
func (c *hostAddCmd) believes(a *app, cert *x509.Certificate, reason error) bool {
	if a.CA != "" {
		return false
	}
	a.note("%v", reason)
	a.note("certificate: subject %s, issuer %s, valid %s to %s", cert.Subject, cert.Issuer,
		cert.NotBefore.UTC().Format("2006-01-02"), cert.NotAfter.UTC().Format("2006-01-02"))
	a.note("fingerprint: SHA-256 %s", colons(console.Fingerprint(cert)))
	if c.Trust {
		return true
	}
	yes, err := a.confirm("trust?", true)
	return err == nil && yes
}

// colons writes a fingerprint the way firmware and browsers show it.
func colons(hex string) string {
	var out bytes.Buffer
	for i := 0; i+2 <= len(hex); i += 2 {
		if i > 0 {
			out.WriteByte(':')
		}
		out.WriteString(strings.ToUpper(hex[i : i+2]))
	}
	return out.String()
}

// relax changes an entry so that the TLS of an old firmware is accepted, for this machine alone. It reports whether it
// has changed anything.
func (a *app) relax(h *hosts.Host, err error) bool {
	var shake *console.HandshakeError
	if !errors.As(err, &shake) || shake.Version == 0 {
		return false
	}
	changed := ""
	for name, version := range map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11} {
		if shake.Version == version && h.TLSMin != name {
			h.TLSMin, changed = name, "TLS "+name
		}
	}
	if strings.Contains(shake.Remedy(), "legacy") && !h.LegacyCiphers {
		h.LegacyCiphers = true
		changed = strings.TrimPrefix(changed+" and ciphers without forward secrecy", " and ")
	}
	if changed == "" {
		return false
	}
	a.note("%s is old: for it alone, %s will be accepted", h.Address, changed)
	return true
}
