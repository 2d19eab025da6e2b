package console

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// An EnableTLS says how to switch TLS on. Only Authority is needed.
type EnableTLS struct {
	TLSChange
	Authority *Authority // signs the machine's certificate
	Names     []string   // for the certificate, beside the address
	KeyBits   int        // of a key that has to be made; 0: 2048
	Days      int        // that the certificate is good for; 0: [DefaultDays]
	KeepPlain bool       // go on taking connections without TLS
	Local     bool       // protect the side of the operating system too
}

// clockTolerance is by how much the machine's clock may be off: certificates are judged by it.
const clockTolerance = 10 * time.Second

// EnableTLS switches TLS on, with a certificate that the authority signs for a key that never leaves the machine, and
// returns the settings as they are read over TLS, the certificate checked against the authority. What an earlier run
// has left is used again: key pairs without a certificate, certificates that are good still. Connections without TLS are
// refused only when it is proved that the machine can be reached with it. If it cannot, all is put back.
//
// The Client itself goes on as it was made: after EnableTLS has closed the ports without TLS it is of no use.
func (c *Client) EnableTLS(ctx context.Context, o EnableTLS) (TLSStatus, error) {
	s, err := c.enableTLS(ctx, o)
	if err != nil {
		return s, fmt.Errorf("enable TLS: %w", err)
	}
	return s, nil
}

func (c *Client) enableTLS(ctx context.Context, o EnableTLS) (TLSStatus, error) {
	if c.over != nil {
		return TLSStatus{}, errOver
	}
	if o.Authority == nil {
		return TLSStatus{}, fmt.Errorf("%w: %w", ErrUsage, errNoAuthority)
	}
	if err := o.Authority.Check(); err != nil {
		return TLSStatus{}, err
	}
	t := &tlsChange{&o.TLSChange, c}
	before, p, err := c.tlsStatus(ctx)
	if err == nil && before.Network == nil {
		err = fmt.Errorf("%w: no TLS settings", ErrUnsupported)
	}
	if err != nil {
		return before, err
	}
	if err := t.setClock(ctx); err != nil {
		return before, err
	}
	names := certificateNames(c.cfg.Address, o.Names)
	cert, err := t.certificate(ctx, o, p, before.Bound, names)
	if err != nil {
		return before, err
	}
	how := c.cfg.TLS
	how.Pin, how.CAFile, how.RootCAs = "", "", o.Authority.Pool()
	via, err := t.switchOn(ctx, o, before, cert, how)
	if err != nil {
		return before, err
	}
	defer func() { via.Close() }()
	if err := t.remember(ctx, via); err != nil {
		return before, err
	}
	if !o.KeepPlain && before.Network.PlainSupported {
		if via, err = t.closePlain(ctx, via, how); err != nil {
			return before, err
		}
	}
	t.forget(ctx, via, o.Authority, before.Bound, cert)
	after, _, err := via.tlsStatus(ctx)
	if err == nil && (!after.Network.Enabled || after.Bound == nil || after.Bound.ID != cert.ID || after.Network.Plain != (o.KeepPlain && after.Network.PlainSupported) ||
		o.Local && after.Local != nil && !after.Local.Enabled) {
		err = ErrDiffers
	}
	return after, err
}

// setClock sets the machine's clock, as far as it has one that can be set.
func (t *tlsChange) setClock(ctx context.Context) error {
	t.progress("clock")
	before, _, set, err := t.c.syncTime(ctx, clockTolerance)
	if err := lenient(err); err != nil {
		return err
	}
	if err == nil && set {
		t.progress("clock set, it was off by %v", before.Skew)
	}
	return nil
}

// certificate returns the certificate to show: one that is there and good still, or a new one for a key that is there or
// made.
func (t *tlsChange) certificate(ctx context.Context, o EnableTLS, p PKI, bound *Certificate, names []string) (*Certificate, error) {
	candidates := p.Certificates
	if bound != nil {
		candidates = append([]Certificate{*bound}, candidates...)
	}
	for i := range candidates {
		if v := &candidates[i]; !v.Root && v.Key != "" && o.Authority.good(v.X509, names) && (o.KeyBits == 0 || p.Key(v.Key).Bits() == o.KeyBits) {
			t.progress("certificate %s is good until %s", v.ID, v.X509.NotAfter.UTC().Format(time.DateOnly))
			return v, nil
		}
	}
	request, err := t.request(ctx, o, p, names)
	if err != nil {
		return nil, err
	}
	leaf, err := o.Authority.SignRequest(request, o.Days)
	if err != nil {
		return nil, err
	}
	for _, cert := range o.Authority.between() {
		if _, _, err := t.c.AddCertificate(ctx, cert); err != nil {
			return nil, err
		}
	}
	t.progress("certificate for %s, signed by %s", leaf.Subject.CommonName, o.Authority.Cert.Subject.CommonName)
	now, _, err := t.c.AddCertificate(ctx, leaf)
	if err == nil && now.Key == "" {
		err = fmt.Errorf("%w: the certificate does not belong to a key of the machine", ErrDiffers)
	}
	return &now, err
}

// request has a key sign a certificate request: one that has no certificate yet, or else a new one.
func (t *tlsChange) request(ctx context.Context, o EnableTLS, p PKI, names []string) ([]byte, error) {
	subject := pkix.Name{CommonName: commonName(names)}
	for i := range p.Keys {
		key := &p.Keys[i]
		if len(key.Certificates) > 0 || key.Public == nil || key.Bits() < defaultKeyBits || o.KeyBits != 0 && key.Bits() != o.KeyBits {
			continue
		}
		t.progress("key %s is there and has no certificate", key.ID)
		der, err := t.c.signedRequest(ctx, key, subject, names, SHA256)
		var refusal *status.Error
		if errors.As(err, &refusal) && refusal.Code == status.InvalidKey { // the machine knows only its public half
			continue
		}
		return der, err
	}
	t.progress("key pair: the machine makes one, which may take a minute")
	key, err := t.c.GenerateKey(ctx, o.KeyBits)
	if err != nil {
		return nil, err
	}
	t.progress("certificate request, signed by %s", key.ID)
	return t.c.signedRequest(ctx, &key, subject, names, SHA256)
}

// switchOn binds the certificate and switches TLS on, with the ports without TLS as open as they can be, and returns a
// client that reached the machine over TLS.
func (t *tlsChange) switchOn(ctx context.Context, o EnableTLS, before TLSStatus, cert *Certificate, how TLSConfig) (*Client, error) {
	c := t.c
	inForce := before.Network.Enabled && before.Bound != nil && before.Bound.ID == cert.ID && !o.Local // of the local side nothing shows here
	if inForce && before.Shown != nil && before.Shown.Equal(cert.X509) {
		t.progress("TLS is on already")
		return t.reach(ctx, HTTPS, how)
	}
	restore := func(ctx context.Context, via *Client) error {
		if before.Bound != nil {
			if err := via.bindTLS(ctx, before.Bound); err != nil {
				return err
			}
		} else if before.Network.Enabled {
			if err := via.unbindTLS(ctx); err != nil {
				return err
			}
		}
		if before.Local != nil && o.Local {
			if err := t.put(ctx, via, true, *before.Local); err != nil {
				return err
			}
		}
		return t.put(ctx, via, false, *before.Network)
	}
	asBefore := func(context.Context) (*Client, error) { return c, nil }
	pinned := func(ctx context.Context) (*Client, error) {
		exact := how
		exact.RootCAs, exact.Pin = nil, Fingerprint(cert.X509)
		return t.again(ctx, HTTPS, exact)
	}
	t.progress("TLS on, with certificate %s", cert.ID)
	want := *before.Network
	want.Enabled, want.Plain = true, before.Network.PlainSupported
	if before.Network.Enabled && !before.Network.Plain { // it does without already: then it stays so
		want.Plain = false
	}
	err := c.bindTLS(ctx, cert)
	if err == nil && o.Local && before.Local != nil {
		local := *before.Local
		local.Enabled = true
		err = t.put(ctx, c, true, local)
	}
	if err == nil {
		err = t.put(ctx, c, false, want)
	}
	if err == nil {
		err = t.commit(ctx, c)
	}
	if err != nil {
		return nil, t.undo(ctx, err, restore, asBefore)
	}
	t.progress("reaching the machine over TLS, its certificate checked against %s", o.Authority.Root().Subject.CommonName)
	via, err := t.reach(ctx, HTTPS, how)
	if err != nil {
		return nil, t.undo(ctx, fmt.Errorf("the machine cannot be reached over TLS: %w", err), restore, asBefore, pinned)
	}
	return via, nil
}

// closePlain has the machine refuse connections without TLS, and returns a client that reached it then.
func (t *tlsChange) closePlain(ctx context.Context, via *Client, how TLSConfig) (*Client, error) {
	now, _, err := via.tlsStatus(ctx)
	if err != nil || !now.Network.Plain && !t.listens(ctx, PortHTTP) {
		return via, err
	}
	t.progress("connections without TLS off")
	open, shut := *now.Network, *now.Network
	open.Plain = true
	shut.Plain = false
	if err = t.put(ctx, via, false, shut); err == nil {
		err = t.commit(ctx, via)
	}
	var again *Client
	if err == nil {
		again, err = t.reach(ctx, HTTPS, via.cfg.TLS)
	}
	if err == nil {
		if err = t.closed(ctx, PortHTTP); err != nil {
			again.Close()
		}
	}
	if err != nil {
		return via, t.undo(ctx, err, func(ctx context.Context, c *Client) error { return t.put(ctx, c, false, open) },
			func(context.Context) (*Client, error) { return via, nil }, func(context.Context) (*Client, error) { return t.c, nil })
	}
	via.Close()
	return again, nil
}

// bindTLS has the machine show a certificate on its TLS ports. What is bound already is not sent again.
func (c *Client) bindTLS(ctx context.Context, cert *Certificate) error {
	want := amt.TLSCredentialContext{ElementInContext: new(wsman.Ref("AMT_PublicKeyCertificate", "InstanceID", cert.instance)),
		ElementProvidingContext: new(wsman.Ref("AMT_TLSProtocolEndpointCollection", "ElementName", tlsCollection))}
	bound := func() ([]*amt.TLSCredentialContext, bool, error) {
		all, err := class.All[amt.TLSCredentialContext](ctx, c)
		return all, slices.ContainsFunc(all, func(v *amt.TLSCredentialContext) bool {
			return v.ElementInContext != nil && v.ElementInContext.Selectors.Value("InstanceID") == cert.instance
		}), err
	}
	have, done, err := bound()
	if err != nil || done {
		return err
	}
	if len(have) > 0 { // selectors name the old one, the body the new one
		body := want.Element()
		if _, err = wsman.Put(ctx, c, body.Space, have[0].Selectors(), &body); err != nil {
			err = fmt.Errorf("put %s: %w", tlsContext, err)
		}
	} else {
		_, err = class.Create[amt.TLSCredentialContext](ctx, c, &want)
	}
	if err != nil {
		return err
	}
	if _, done, err = bound(); err == nil && !done {
		err = ErrDiffers
	}
	return err
}

// unbindTLS has the machine show its own certificate again.
func (c *Client) unbindTLS(ctx context.Context) error {
	have, err := class.All[amt.TLSCredentialContext](ctx, c)
	for _, v := range have {
		if err == nil {
			err = class.Delete[amt.TLSCredentialContext](ctx, c, v.Selectors()...)
		}
	}
	return err
}

// forget removes what a renewal leaves: certificates of the authority with a key of the machine that nobody uses and
// that have been replaced or have expired, and then their keys. That it fails is no reason to fail what is done.
func (t *tlsChange) forget(ctx context.Context, via *Client, authority *Authority, old, now *Certificate) {
	p, err := via.pki(ctx)
	if err != nil {
		return
	}
	for i := range p.Certificates {
		cert := &p.Certificates[i]
		replaced := old != nil && cert.ID == old.ID && cert.ID != now.ID
		if cert.Root || cert.Key == "" || cert.ID == now.ID || len(cert.Uses) > 0 || !authority.Issued(cert.X509) ||
			!slices.Contains(cert.X509.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || !replaced && time.Now().Before(cert.X509.NotAfter) {
			continue
		}
		if err := via.RemovePKI(ctx, cert.ID); err != nil {
			t.progress("the old certificate %s stays: %v", cert.ID, err)
			continue
		}
		t.progress("the old certificate %s is removed", cert.ID)
		if key := p.Key(cert.Key); key != nil && len(key.Certificates) == 1 {
			if err := via.RemovePKI(ctx, key.ID); err != nil {
				t.progress("its key %s stays: %v", key.ID, err)
			}
		}
	}
}
