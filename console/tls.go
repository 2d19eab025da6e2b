package console

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// What TLS settings are called. Source: spec classes.md section 5.
const (
	localTLS      = "Intel(r) AMT LMS TLS Settings"
	tlsContext    = "AMT_TLSCredentialContext"
	tlsCollection = "TLSProtocolEndpoint Instances Collection"
)

// A TLSInterface is how one side of a machine is protected: the network, or what its own operating system sees.
type TLSInterface struct {
	Enabled        bool
	Mutual         bool     // clients must show a certificate
	Plain          bool     // connections without TLS are taken too
	PlainSupported bool     // the release can do without TLS at all
	TrustedNames   []string // that client certificates may bear; none: any
}

// A TLSStatus is how a machine is protected. Source: AMT_TLSSettingData, AMT_TLSCredentialContext; spec
// inventory-events-policies.md section 10.
type TLSStatus struct {
	Network, Local *TLSInterface     // nil: not told
	Bound          *Certificate      // of the machine's store, that it shows; nil: one of its own, or none
	Shown          *x509.Certificate // on this connection; nil: without TLS
	Verified       bool              // Shown was signed by an authority that is believed, rather than pinned or accepted
	Roots          int               // trusted roots
}

// TLS reads how the machine is protected.
func (c *Client) TLS(ctx context.Context) (TLSStatus, error) {
	s, _, err := c.tlsStatus(ctx)
	if err != nil {
		return s, fmt.Errorf("TLS settings: %w", err)
	}
	return s, nil
}

func (c *Client) tlsStatus(ctx context.Context) (s TLSStatus, p PKI, err error) {
	settings, err := class.All[amt.TLSSettingData](ctx, c)
	if err == nil {
		p, err = c.pki(ctx)
	}
	if err != nil {
		return s, p, err
	}
	for _, v := range settings {
		one := &TLSInterface{Enabled: class.Value(v.Enabled), Mutual: class.Value(v.MutualAuthentication), Plain: class.Value(v.AcceptNonSecureConnections),
			PlainSupported: v.NonSecureConnectionsSupported == nil || *v.NonSecureConnectionsSupported, TrustedNames: v.TrustedCN}
		one.Plain = one.PlainSupported && (one.Plain || !one.Enabled)
		switch class.Value(v.InstanceID) {
		case networkTLS:
			s.Network = one
		case localTLS:
			s.Local = one
		}
	}
	for i := range p.Certificates {
		cert := &p.Certificates[i]
		if cert.Root {
			s.Roots++
		}
		for _, use := range cert.Uses {
			if use == "TLS" {
				s.Bound = cert
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil && c.found.TLS != nil && len(c.found.TLS.PeerCertificates) > 0 {
		s.Shown = c.found.TLS.PeerCertificates[0]
		s.Verified = c.trust.pinned() == ""
	}
	return s, p, nil
}

// ErrMEBxPassword says that the machine takes no changes of TLS before it has a password of its BIOS extension: releases
// from 19 on.
var ErrMEBxPassword = errors.New("the password of the BIOS extension (MEBx) must be set first")

// A TLSChange says how to go about changing how a machine is protected. The zero value works.
type TLSChange struct {
	Wait         time.Duration // for the machine to answer again after a change; 0: 30 s
	MEBxPassword string        `json:"-"` // set if the machine wants one; "": that is an error
	Progress     func(step string)

	// Remember is called when the machine was reached in its new way, before the old way is closed, so that the caller
	// can store how. If it fails the old way stays open.
	Remember func(ctx context.Context, proof TLSProof) error
}

// A TLSProof is how a machine was reached: over TLS, or without when Cert is nil.
type TLSProof struct {
	Cert          *x509.Certificate
	MinVersion    uint16 // as in TLSConfig: what had to be accepted for this machine
	LegacyCiphers bool
}

// tlsChange is a TLSChange at work.
type tlsChange struct {
	*TLSChange
	c *Client // as it was before
}

func (t *tlsChange) progress(format string, args ...any) {
	if t.Progress != nil {
		t.Progress(fmt.Sprintf(format, args...))
	}
}

func (t *tlsChange) remember(ctx context.Context, via *Client) error {
	if t.Remember == nil {
		return nil
	}
	var proof TLSProof
	via.mu.Lock()
	if via.found != nil && via.found.TLS != nil && len(via.found.TLS.PeerCertificates) > 0 {
		proof = TLSProof{via.found.TLS.PeerCertificates[0], via.cfg.TLS.MinVersion, via.cfg.TLS.LegacyCiphers}
	}
	via.mu.Unlock()
	if err := t.Remember(ctx, proof); err != nil {
		return fmt.Errorf("how to reach the machine was not stored, so the old way stays open: %w", err)
	}
	return nil
}

// put changes the settings of the network or local interface. What the machine has already is not sent.
func (t *tlsChange) put(ctx context.Context, via *Client, local bool, want TLSInterface) error {
	id := networkTLS
	if local {
		id = localTLS
	}
	v, err := class.Get[amt.TLSSettingData](ctx, via, wsman.Selector{Name: "InstanceID", Value: id})
	if err != nil {
		return err
	}
	supported := v.NonSecureConnectionsSupported == nil || *v.NonSecureConnectionsSupported
	v.NonSecureConnectionsSupported = nil // read-only
	v.Enabled, v.MutualAuthentication, v.TrustedCN = &want.Enabled, &want.Mutual, want.TrustedNames
	switch {
	case local: // read-only there
	case supported:
		v.AcceptNonSecureConnections = &want.Plain
	default:
		v.AcceptNonSecureConnections = new(false)
	}
	now, err := class.Put[amt.TLSSettingData](ctx, via, v)
	if err == nil && (class.Value(now.Enabled) != want.Enabled || class.Value(now.MutualAuthentication) != want.Mutual) {
		err = ErrDiffers
	}
	return err
}

// commit puts settings in force. That the connection is lost over it is how it mostly goes: the caller looks at the
// machine afterwards. Only a refusal is an error.
func (t *tlsChange) commit(ctx context.Context, via *Client) error {
	run := func() error {
		_, err := amt.SetupAndConfigurationServiceCommitChanges.Invoke(ctx, via, amt.SetupAndConfigurationServiceCommitChangesIn{})
		return err
	}
	err := run()
	var refusal *status.Error
	if errors.As(err, &refusal) && refusal.Code == status.DataMissing {
		if t.MEBxPassword == "" {
			return fmt.Errorf("%w: %w", ErrMEBxPassword, err)
		}
		in := amt.SetupAndConfigurationServiceSetMEBxPasswordIn{Password: &t.MEBxPassword}
		if _, err := amt.SetupAndConfigurationServiceSetMEBxPassword.Invoke(ctx, via, in); err != nil {
			return err
		}
		err = run()
	}
	if refused(err) || ctx.Err() != nil {
		return err
	}
	return nil
}

// again returns a client for the same machine and account that reaches it another way. It has not connected yet.
func (t *tlsChange) again(ctx context.Context, scheme string, how TLSConfig) (*Client, error) {
	username, password, err := t.c.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	cfg := t.c.cfg
	if cfg.Scheme != scheme && (cfg.Port == PortHTTP || cfg.Port == PortHTTPS) {
		cfg.Port = 0
	}
	cfg.Scheme, cfg.Username, cfg.Password, cfg.AskPassword, cfg.TLS = scheme, username, password, nil, how
	return New(cfg)
}

// between two attempts to reach a machine whose listener starts anew.
const tlsRetry = 500 * time.Millisecond

// reach connects anew and logs in, until the machine answers or Wait is over. The TLS of old firmware is accepted, as
// its certificate is checked all the same.
func (t *tlsChange) reach(ctx context.Context, scheme string, how TLSConfig) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(t.Wait, 30*time.Second))
	defer cancel()
	how.OnUnknown = nil
	var last error
	for {
		via, err := t.again(ctx, scheme, how)
		if err != nil {
			return nil, err
		}
		_, err = class.Get[amt.GeneralSettings](ctx, via)
		if err == nil {
			return via, nil
		}
		via.Close()
		if last == nil || ctx.Err() == nil {
			last = err
		}
		var shake *HandshakeError
		relaxed := errors.As(err, &shake) && shake.Version != 0 && how.relax(shake)
		if relaxed {
			continue
		}
		if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrUsage) {
			return nil, last
		}
		select {
		case <-time.After(tlsRetry):
		case <-ctx.Done():
			return nil, last
		}
	}
}

// listenWait is how long a port has to answer, to count as open.
const listenWait = 3 * time.Second

// listens reports whether the machine takes connections on a port now: settings that were put and not committed read as
// if they were in force.
func (t *tlsChange) listens(ctx context.Context, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, listenWait)
	defer cancel()
	conn, err := t.c.dialTCP(ctx, port)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// closed waits until the machine takes no more connections on a port.
func (t *tlsChange) closed(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(t.Wait, 30*time.Second))
	defer cancel()
	for t.listens(ctx, port) {
		select {
		case <-time.After(tlsRetry):
		case <-ctx.Done():
			return fmt.Errorf("%w: port %d is still open", ErrDiffers, port)
		}
	}
	return nil
}

// insists reports whether the machine refuses clients without a certificate.
func (t *tlsChange) insists(ctx context.Context, how TLSConfig) (bool, error) {
	how.Certificates, how.OnUnknown = nil, nil
	via, err := t.again(ctx, HTTPS, how)
	if err != nil {
		return false, err
	}
	defer via.Close()
	_, err = class.Get[amt.GeneralSettings](ctx, via)
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrUnreachable), errors.Is(err, ErrTrust), ctx.Err() != nil:
		return false, err
	}
	return true, nil // an alert, which comes with the first answer in TLS 1.3
}

// relax has the TLS of an old machine accepted. It reports whether that changes anything.
func (t *TLSConfig) relax(shake *HandshakeError) bool {
	before := *t
	if shake.Version < cmp.Or(t.MinVersion, tls.VersionTLS12) {
		t.MinVersion = shake.Version
	}
	for _, suite := range legacySuites {
		t.LegacyCiphers = t.LegacyCiphers || suite == shake.Suite
	}
	return t.MinVersion != before.MinVersion || t.LegacyCiphers != before.LegacyCiphers
}

// undo puts settings back as they were, by the first way that leads to the machine, even if ctx has ended. It returns
// err with what came of it.
func (t *tlsChange) undo(ctx context.Context, err error, restore func(ctx context.Context, via *Client) error, ways ...func(ctx context.Context) (*Client, error)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(t.Wait, 30*time.Second))
	defer cancel()
	t.progress("that failed (%v); going back to how it was", err)
	last := errors.New("no way leads to the machine")
	for _, way := range ways {
		via, wayErr := way(ctx)
		if wayErr != nil {
			last = wayErr
			continue
		}
		last = restore(ctx, via)
		if last == nil {
			last = t.commit(ctx, via)
		}
		if errors.Is(err, ErrMEBxPassword) && errors.Is(last, ErrMEBxPassword) { // nothing was put in force that had to be taken back
			last = nil
		}
		if via != t.c {
			via.Close()
		}
		if last == nil {
			return fmt.Errorf("%w; the machine is as it was before", err)
		}
	}
	return fmt.Errorf("%w; going back failed too (%v): the same command again goes on from here", err, last)
}
