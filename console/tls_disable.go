package console

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
)

// DisableTLS switches TLS off on the network and, if local, on the side of the operating system, and returns the settings
// as they are read without TLS. Certificates and keys stay. TLS ends only when it is proved that the machine can be
// reached without. Releases that know nothing else (16.1 and later) are refused with [ErrUnsupported].
func (c *Client) DisableTLS(ctx context.Context, o TLSChange, local bool) (TLSStatus, error) {
	s, err := c.disableTLS(ctx, o, local)
	if err != nil {
		return s, fmt.Errorf("disable TLS: %w", err)
	}
	return s, nil
}

func (c *Client) disableTLS(ctx context.Context, o TLSChange, local bool) (TLSStatus, error) {
	if c.over != nil {
		return TLSStatus{}, errOver
	}
	t := &tlsChange{&o, c}
	before, _, err := c.tlsStatus(ctx)
	switch {
	case err != nil:
		return before, err
	case before.Network == nil:
		return before, fmt.Errorf("%w: no TLS settings", ErrUnsupported)
	case !before.Network.PlainSupported:
		return before, fmt.Errorf("%w: this release speaks nothing but TLS", ErrUnsupported)
	}
	if !before.Network.Plain || !t.listens(ctx, PortHTTP) {
		t.progress("connections without TLS on")
		open := *before.Network
		open.Plain = true
		if err = t.put(ctx, c, false, open); err == nil {
			err = t.commit(ctx, c)
		}
	}
	asBefore := func(ctx context.Context, via *Client) error { return t.put(ctx, via, false, *before.Network) }
	var plain *Client
	if err == nil {
		t.progress("reaching the machine without TLS")
		plain, err = t.reach(ctx, HTTP, TLSConfig{})
	}
	if err != nil {
		return before, t.undo(ctx, err, asBefore, func(context.Context) (*Client, error) { return c, nil })
	}
	defer func() { plain.Close() }()
	if err := t.remember(ctx, plain); err != nil {
		return before, err
	}
	if before.Network.Enabled || local || t.listens(ctx, PortHTTPS) {
		t.progress("TLS off")
		off := TLSInterface{Plain: true}
		if local && before.Local != nil {
			err = t.put(ctx, plain, true, TLSInterface{})
		}
		if err == nil {
			err = t.put(ctx, plain, false, off)
		}
		if err == nil {
			err = t.commit(ctx, plain)
		}
		var again *Client
		if err == nil {
			again, err = t.reach(ctx, HTTP, TLSConfig{})
		}
		if err == nil {
			if err = t.closed(ctx, PortHTTPS); err != nil {
				again.Close()
			}
		}
		if err != nil {
			return before, t.undo(ctx, err, asBefore, func(context.Context) (*Client, error) { return plain, nil }, func(context.Context) (*Client, error) { return c, nil })
		}
		plain.Close()
		plain = again
	}
	after, _, err := plain.tlsStatus(ctx)
	if err == nil && (after.Network.Enabled || local && after.Local != nil && after.Local.Enabled) {
		err = ErrDiffers
	}
	return after, err
}

// A MutualTLS says by which clients a machine lets itself be managed.
type MutualTLS struct {
	TLSChange
	Root        *x509.Certificate // authority of the clients; it becomes a trusted root of the machine
	Certificate tls.Certificate   // of this console
	Names       []string          // common names that are trusted; none: any that Root has signed
	KeepPlain   bool              // go on taking connections without TLS
}

// MutualTLS has the machine take only clients that show a certificate, and returns the settings as they are read then.
// TLS must be on. The certificate is held against what firmware looks for before anything is sent, and the machine
// reached with it before and after: where releases can do without TLS it is open meanwhile, so that there is a way back,
// and all is put back if log-in fails. Remember is called before the machine insists on certificates.
func (c *Client) MutualTLS(ctx context.Context, o MutualTLS) (TLSStatus, error) {
	s, err := c.mutualTLS(ctx, o)
	if err != nil {
		return s, fmt.Errorf("mutual TLS: %w", err)
	}
	return s, nil
}

func (c *Client) mutualTLS(ctx context.Context, o MutualTLS) (TLSStatus, error) {
	if c.over != nil {
		return TLSStatus{}, errOver
	}
	if o.Root == nil {
		return TLSStatus{}, fmt.Errorf("%w: no authority of the clients", ErrUsage)
	}
	if err := CheckConsoleCertificate(o.Certificate, o.Root, o.Names); err != nil {
		return TLSStatus{}, err
	}
	t := &tlsChange{&o.TLSChange, c}
	before, err := t.withTLS(ctx)
	if err != nil {
		return before, err
	}
	how := c.cfg.TLS
	how.Certificates = []tls.Certificate{o.Certificate}
	if before.Network.Mutual && slices.Equal(before.Network.TrustedNames, o.Names) && before.Network.Plain == (o.KeepPlain && before.Network.PlainSupported) {
		insists, err := t.insists(ctx, how)
		if err == nil && insists && (o.KeepPlain || !t.listens(ctx, PortHTTP)) {
			t.progress("the machine insists on certificates already")
			return t.proved(ctx, how, true)
		}
	}
	if err := t.setClock(ctx); err != nil {
		return before, err
	}
	t.progress("trusted root %s", o.Root.Subject.CommonName)
	if _, _, err := c.AddRoot(ctx, o.Root); err != nil {
		return before, err
	}
	ready, err := t.reach(ctx, HTTPS, how)
	if err != nil {
		return before, err
	}
	defer ready.Close()
	if err := t.remember(ctx, ready); err != nil {
		return before, err
	}
	t.progress("client certificates on")
	want := *before.Network
	want.Mutual, want.TrustedNames, want.Plain = true, o.Names, before.Network.PlainSupported
	restore := func(ctx context.Context, via *Client) error { return t.put(ctx, via, false, *before.Network) }
	if err = t.put(ctx, c, false, want); err == nil {
		err = t.commit(ctx, c)
	}
	var via *Client
	if err == nil {
		t.progress("logging in with the certificate")
		via, err = t.reach(ctx, HTTPS, how)
	}
	if err != nil {
		ways := []func(context.Context) (*Client, error){func(context.Context) (*Client, error) { return ready, nil }, func(context.Context) (*Client, error) { return c, nil }}
		if want.Plain {
			ways = append([]func(context.Context) (*Client, error){func(ctx context.Context) (*Client, error) { return t.again(ctx, HTTP, TLSConfig{}) }}, ways...)
		}
		return before, t.undo(ctx, err, restore, ways...)
	}
	if !o.KeepPlain {
		if via, err = t.closePlain(ctx, via, how); err != nil {
			via.Close()
			return before, err
		}
	}
	via.Close()
	return t.proved(ctx, how, true)
}

// SingleTLS has the machine take clients without a certificate again. c must have one while the machine asks for it.
func (c *Client) SingleTLS(ctx context.Context, o TLSChange) (TLSStatus, error) {
	s, err := c.singleTLS(ctx, o)
	if err != nil {
		return s, fmt.Errorf("mutual TLS off: %w", err)
	}
	return s, nil
}

func (c *Client) singleTLS(ctx context.Context, o TLSChange) (TLSStatus, error) {
	if c.over != nil {
		return TLSStatus{}, errOver
	}
	t := &tlsChange{&o, c}
	before, err := t.withTLS(ctx)
	if err != nil {
		return before, err
	}
	how := c.cfg.TLS
	insists, err := t.insists(ctx, how)
	if err != nil {
		return before, err
	}
	if before.Network.Mutual || insists {
		t.progress("client certificates off")
		off := *before.Network
		off.Mutual, off.TrustedNames = false, nil
		if err = t.put(ctx, c, false, off); err == nil {
			err = t.commit(ctx, c)
		}
	}
	how.Certificates = nil
	var via *Client
	if err == nil {
		via, err = t.reach(ctx, HTTPS, how)
	}
	if err != nil {
		return before, t.undo(ctx, err, func(ctx context.Context, via *Client) error { return t.put(ctx, via, false, *before.Network) },
			func(context.Context) (*Client, error) { return c, nil })
	}
	err = t.remember(ctx, via)
	via.Close()
	if err != nil {
		return before, err
	}
	return t.proved(ctx, how, false)
}

// withTLS reads the settings of a machine that must have TLS on, and be reached by it.
func (t *tlsChange) withTLS(ctx context.Context) (TLSStatus, error) {
	s, _, err := t.c.tlsStatus(ctx)
	switch {
	case err != nil:
	case s.Network == nil:
		err = fmt.Errorf("%w: no TLS settings", ErrUnsupported)
	case !s.Network.Enabled || s.Shown == nil:
		err = fmt.Errorf("%w: the machine is not reached over TLS; switch it on first", ErrUsage)
	}
	return s, err
}

// proved reads the settings over a new connection made so, and holds them against what they should be.
func (t *tlsChange) proved(ctx context.Context, how TLSConfig, mutual bool) (TLSStatus, error) {
	via, err := t.reach(ctx, HTTPS, how)
	if err != nil {
		return TLSStatus{}, err
	}
	defer via.Close()
	s, _, err := via.tlsStatus(ctx)
	if err == nil && (s.Network == nil || s.Network.Mutual != mutual) {
		err = ErrDiffers
	}
	if err == nil {
		var insists bool
		if insists, err = t.insists(ctx, how); err == nil && insists != mutual {
			err = fmt.Errorf("%w: in force is something else", ErrDiffers)
		}
	}
	return s, err
}
