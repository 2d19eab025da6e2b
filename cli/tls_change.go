package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

// tlsChange are the flags of commands that change how a machine is reached.
type tlsChange struct {
	Wait             time.Duration `default:"30s" placeholder:"TIME" help:"How long the machine may take to answer again."`
	MEBxPasswordFile string        `name:"mebx-password-file" placeholder:"FILE" help:"First line of FILE becomes the password of the BIOS extension (MEBx), where the machine wants one first: releases from 19 on. Default is AMT_MEBX_PASSWORD."`
}

// options makes the part of the console's options that all changes share.
func (c *tlsChange) options(a *app, h hosts.Host, remember func(*hosts.Host, console.TLSProof)) (console.TLSChange, error) {
	o := console.TLSChange{Wait: c.Wait, MEBxPassword: a.env("AMT_MEBX_PASSWORD")}
	if c.Wait <= 0 {
		return o, usage("", "--wait: %v is not a time to wait", c.Wait)
	}
	if c.MEBxPasswordFile != "" {
		var err error
		if o.MEBxPassword, err = readPasswordFile(c.MEBxPasswordFile); err != nil {
			return o, usage("", "--mebx-password-file: %w", err)
		}
	}
	if o.MEBxPassword != "" {
		if err := console.CheckPassword(o.MEBxPassword); err != nil {
			return o, err
		}
	}
	o.Progress = func(step string) { a.note("%s: %s", h.Name, step) }
	o.Remember = func(ctx context.Context, proof console.TLSProof) error { return a.rememberTLS(ctx, h, proof, remember) }
	return o, nil
}

// rememberTLS changes the entry of a machine so that it is reached as it was proved to be.
func (a *app) rememberTLS(ctx context.Context, h hosts.Host, proof console.TLSProof, change func(*hosts.Host, console.TLSProof)) error {
	db, err := a.database()
	if err != nil {
		return err
	}
	entry, err := db.Get(h.Name)
	if errors.Is(err, hosts.ErrNotFound) {
		return nil // told at the end
	}
	if err != nil {
		return err
	}
	if !isLoopback(h.Address) { // this computer is spoken to with anything
		entry.LegacyCiphers = entry.LegacyCiphers || proof.LegacyCiphers
		switch proof.MinVersion {
		case tls.VersionTLS10:
			entry.TLSMin = "1.0"
		case tls.VersionTLS11:
			entry.TLSMin = "1.1"
		}
	}
	change(&entry, proof)
	return db.Put(ctx, entry)
}

// reachBy has an entry reached by TLS or without.
func reachBy(entry *hosts.Host, scheme string) {
	if entry.Scheme != "" {
		entry.Scheme = scheme
	}
	if entry.Port == console.PortHTTP || entry.Port == console.PortHTTPS {
		entry.Port = console.PortHTTPS
		if scheme == console.HTTP {
			entry.Port = console.PortHTTP
		}
	}
}

// unknownEntry tells how to keep what was found out of a machine that is not in the list.
func (a *app) unknownEntry(h hosts.Host, flags ...string) {
	db, err := a.database()
	if err != nil {
		return
	}
	if _, err := db.Get(h.Name); errors.Is(err, hosts.ErrNotFound) {
		a.note("%s is not in your list of machines; to have this remembered: outband host add NAME %s %s", h.Name, h.Address, strings.Join(flags, " "))
	}
}

type tlsEnableCmd struct {
	Many
	Signer
	Name      []string `placeholder:"NAME" help:"Another name or address that the certificate is for; may be repeated."`
	KeyBits   int      `placeholder:"N" help:"Length of the key, if one has to be made: 2048, or 3072 on recent releases."`
	KeepPlain bool     `help:"Go on taking connections without TLS."`
	Local     bool     `help:"Switch it on towards the machine's own operating system too: local tools must know TLS then."`
	tlsChange
}

func (tlsEnableCmd) Help() string {
	return "Sets the clock, has the machine make a key that never leaves it and sign a certificate request, signs the certificate, binds it to TLS, " +
		"reaches the machine over TLS, and only then has it refuse connections without. If it cannot be reached all is put back. What a run that " +
		"was cut off has left is used by the next one. From then on the certificate is checked against the authority, if the machine is in the list.\n\n" +
		signerHelp + example("outband tls enable nuc1", "outband tls enable nuc1 --keep-plain", "outband tls enable @lab --ca-cert issuing.pem --ca-key issuing.key")
}

func (c *tlsEnableCmd) Run(a *app) error {
	authority, file, err := c.authority(a)
	if err != nil {
		return err
	}
	return tlsEach(a, c.Many, nil, func(ctx context.Context, h hosts.Host, client *console.Client) (console.TLSStatus, error) {
		o := console.EnableTLS{Authority: authority, Names: c.Name, KeyBits: c.KeyBits, Days: c.Days, KeepPlain: c.KeepPlain, Local: c.Local}
		o.TLSChange, err = c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) {
			reachBy(entry, console.HTTPS)
			entry.Pin, entry.CAFile = "", file
		})
		if err != nil {
			return console.TLSStatus{}, err
		}
		s, err := client.EnableTLS(ctx, o)
		if err == nil {
			a.unknownEntry(h, "--ca", file)
		}
		return s, err
	})
}

type tlsDisableCmd struct {
	Many
	Local bool `help:"Switch it off towards the machine's own operating system too."`
	Yes   bool `short:"y" help:"Do not ask before several machines are changed."`
	tlsChange
}

func (tlsDisableCmd) Help() string {
	return "Certificates and keys stay in the machine. Releases from 16.1 on speak nothing but TLS. Without TLS everybody on the way can read along.\n\n" +
		example("outband tls disable nuc1")
}

func (c *tlsDisableCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(c.Yes, len(list), "switch TLS off"); err != nil {
		return err
	}
	return tlsEach(a, c.Many, nil, func(ctx context.Context, h hosts.Host, client *console.Client) (console.TLSStatus, error) {
		o, err := c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) {
			reachBy(entry, console.HTTP)
			entry.Pin, entry.CAFile, entry.CertFile, entry.KeyFile = "", "", "", ""
		})
		if err != nil {
			return console.TLSStatus{}, err
		}
		return client.DisableTLS(ctx, o, c.Local)
	})
}

type tlsMutualCmd struct {
	Many
	Signer
	Off       bool     `help:"Take clients without a certificate again."`
	TrustedCN []string `name:"trusted-cn" placeholder:"NAME" help:"Common name that client certificates must bear; may be repeated. Default is any name, if the authority has signed."`
	ClientCA  string   `name:"client-ca" placeholder:"FILE" help:"Root of the clients' certificates (PEM), for a certificate given by --cert and --key."`
	KeepPlain bool     `help:"Go on taking connections without TLS."`
	tlsChange
}

func (tlsMutualCmd) Help() string {
	return "TLS must be on. The authority becomes a trusted root of the machine, and this console gets a certificate (console.pem beside the list of " +
		"machines), or the one of --cert and --key is used; it is remembered for the machine. Before the machine refuses others, and after, it is " +
		"proved that it can be logged in to; if not all is put back.\n\n" +
		"The key of that certificate, console-key.pem, is a plain file which nobody but you can read, not encrypted as the passwords are: browsers, " +
		"curl and openssl are to use it as well, and alone, without the password of an account, it opens nothing.\n\n" +
		signerHelp + example("outband tls mutual nuc1", "outband tls mutual nuc1 --off", "outband tls mutual nuc1 --cert me.pem --key me.key --client-ca clients.pem --trusted-cn console.example.org")
}

func (c *tlsMutualCmd) Run(a *app) error {
	if c.Off {
		return c.off(a)
	}
	authority, caFile, err := c.authority(a)
	if err != nil {
		return err
	}
	root := authority.Root()
	var pair tls.Certificate
	certFile, keyFile := a.Cert, a.Key
	if certFile == "" {
		pair, certFile, keyFile, err = a.consolePair(a.ctx, authority, c.Days)
	} else {
		var pairs []tls.Certificate
		if pairs, err = clientCertificate(certFile, keyFile); err == nil {
			pair = pairs[0]
			root, err = c.clientRoot(root)
		}
	}
	if err != nil {
		return err
	}
	certFile, keyFile, err = absolute(certFile, keyFile)
	if err != nil {
		return err
	}
	return tlsEach(a, c.Many, []tls.Certificate{pair}, func(ctx context.Context, h hosts.Host, client *console.Client) (console.TLSStatus, error) {
		o := console.MutualTLS{Root: root, Certificate: pair, Names: c.TrustedCN, KeepPlain: c.KeepPlain}
		var err error
		o.TLSChange, err = c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) {
			reachBy(entry, console.HTTPS)
			entry.CertFile, entry.KeyFile = certFile, keyFile
		})
		if err != nil {
			return console.TLSStatus{}, err
		}
		s, err := client.MutualTLS(ctx, o)
		if err == nil {
			a.unknownEntry(h, "--ca", caFile, "--cert", certFile, "--key", keyFile)
		}
		return s, err
	})
}

// clientRoot returns the authority of a given client certificate.
func (c *tlsMutualCmd) clientRoot(own *x509.Certificate) (*x509.Certificate, error) {
	if c.ClientCA == "" {
		return own, nil
	}
	chain, err := readCertificates(c.ClientCA)
	if err != nil {
		return nil, usage("", "--client-ca: %w", err)
	}
	return chain[len(chain)-1], nil
}

func (c *tlsMutualCmd) off(a *app) error {
	var pairs []tls.Certificate
	if own, _, err := a.ownCA(false); err == nil && own != nil { // after a run that was cut off the entry may not know it yet
		if pair, _, _, err := a.consolePair(a.ctx, own, c.Days); err == nil {
			pairs = []tls.Certificate{pair}
		}
	}
	return tlsEach(a, c.Many, pairs, func(ctx context.Context, h hosts.Host, client *console.Client) (console.TLSStatus, error) {
		o, err := c.options(a, h, func(entry *hosts.Host, _ console.TLSProof) { entry.CertFile, entry.KeyFile = "", "" })
		if err != nil {
			return console.TLSStatus{}, err
		}
		return client.SingleTLS(ctx, o)
	})
}
