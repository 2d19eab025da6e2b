package console

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
)

// A StateRoot is an authority that the machine trusts. Those that are built in are not among them.
type StateRoot struct {
	Name        string `json:"name,omitempty"` // for readers
	Certificate string `json:"certificate"`    // PEM

	der  []byte
	id   string
	ours bool // the machine takes our certificate by it
}

func readStateRoots(ctx context.Context, c *Client, s *State) error {
	store, err := c.pkiStore(ctx)
	if err != nil {
		return err
	}
	list := []StateRoot{}
	for i := range store.Certificates {
		cert := &store.Certificates[i]
		if !cert.Root || cert.ReadOnly {
			continue
		}
		ours, err := c.judges(ctx, cert)
		if err != nil {
			return err
		}
		list = append(list, StateRoot{Name: cert.Subject, Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.DER})), der: cert.DER, id: cert.ID, ours: ours})
	}
	s.TrustedRoots = &list
	return nil
}

// parse reads the certificate. Errors wrap [ErrUsage].
func (r *StateRoot) parse() (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(r.Certificate))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: root %q is not one certificate in PEM", ErrUsage, r.Name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: root %q: %w", ErrUsage, r.Name, err)
	}
	return cert, nil
}

// planNewRoots adds roots: before what needs them.
func planNewRoots(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	for i := range *want.TrustedRoots {
		cert, err := (*want.TrustedRoots)[i].parse()
		if err != nil {
			return nil, err
		}
		same := func(r StateRoot) bool { return bytes.Equal(r.der, cert.Raw) }
		if slices.ContainsFunc(*now.TrustedRoots, same) {
			continue
		}
		out = append(out, Change{Subject: distinct(cert), To: "trusted until " + cert.NotAfter.UTC().Format("2006-01-02"), do: func(ctx context.Context) error {
			_, _, err := c.AddRoot(ctx, cert)
			return err
		}})
	}
	return out, nil
}

// planOldRoots removes roots: after what needed them. One by which the machine takes our certificate can go only where it
// is to want certificates no more, and goes when it does not: see planOurRoots.
func planOldRoots(c *Client, now, want *State, _ *StateHelp) (out []Change, err error) {
	err = eachOldRoot(now, want, func(old StateRoot) error {
		switch {
		case !old.ours:
			out = append(out, Change{Subject: old.Name, From: "trusted", do: func(ctx context.Context) error { return c.RemovePKI(ctx, old.id) }})
		case want.TLS == nil || want.TLS.Mutual == nil || *want.TLS.Mutual:
			return &InUseError{old.Name, []string{usedByUs}}
		}
		return nil
	})
	return out, err
}

// planOurRoots removes those by which the machine has taken our certificate, once it asks for none. It is reached
// otherwise then.
func planOurRoots(c *Client, now, want *State, help *StateHelp) (out []Change, err error) {
	err = eachOldRoot(now, want, func(old StateRoot) error {
		if !old.ours {
			return nil
		}
		if help == nil || help.Again == nil {
			return fmt.Errorf("%w: TLS is switched by hand here", ErrNotOffered)
		}
		out = append(out, Change{Subject: old.Name, From: "trusted", do: func(ctx context.Context) error {
			via, err := help.Again(ctx, c)
			if err != nil {
				return err
			}
			defer via.Close()
			return via.RemovePKI(ctx, old.id)
		}})
		return nil
	})
	return out, err
}

// eachOldRoot calls f for each root that now has and want has not.
func eachOldRoot(now, want *State, f func(old StateRoot) error) error {
	var keep [][]byte
	for i := range *want.TrustedRoots {
		cert, err := (*want.TrustedRoots)[i].parse()
		if err != nil {
			return err
		}
		keep = append(keep, cert.Raw)
	}
	for _, old := range *now.TrustedRoots {
		if slices.ContainsFunc(keep, func(der []byte) bool { return bytes.Equal(der, old.der) }) {
			continue
		}
		if err := f(old); err != nil {
			return err
		}
	}
	return nil
}

func distinct(cert *x509.Certificate) string {
	if cert.Subject.CommonName != "" {
		return cert.Subject.CommonName
	}
	return cert.Subject.String()
}

// StateTLS is how the machine is protected on the network.
type StateTLS struct {
	Enabled      *bool     `json:"enabled,omitempty"`
	Plain        *bool     `json:"plain,omitempty"`         // connections without TLS are taken too
	Mutual       *bool     `json:"mutual,omitempty"`        // clients must show a certificate
	TrustedNames *[]string `json:"trusted_names,omitempty"` // that these may bear; none: any
}

func readStateTLS(ctx context.Context, c *Client, s *State) error {
	now, err := c.TLS(ctx)
	if err != nil || now.Network == nil {
		return err
	}
	n := now.Network
	s.TLS = &StateTLS{Enabled: &n.Enabled, Plain: &n.Plain, Mutual: &n.Mutual}
	if n.Mutual {
		names := slices.Clone(n.TrustedNames)
		if names == nil {
			names = []string{}
		}
		s.TLS.TrustedNames = &names
	}
	return nil
}

func planTLS(c *Client, now, want *State, help *StateHelp) ([]Change, error) {
	n, w := *now.TLS, *want.TLS
	on := func(now, want *bool) bool { return want != nil && *want || want == nil && now != nil && *now }
	switch enabled := on(n.Enabled, w.Enabled); {
	case !enabled && on(nil, w.Mutual):
		return nil, fmt.Errorf("%w: clients can show certificates over TLS only", ErrUsage)
	case !enabled && w.Plain != nil && !*w.Plain:
		return nil, fmt.Errorf("%w: neither with TLS nor without it", ErrUsage)
	}
	if w.TrustedNames != nil && !on(n.Mutual, w.Mutual) {
		if len(*w.TrustedNames) > 0 {
			return nil, fmt.Errorf("%w: trusted_names are of certificates that clients must show", ErrUsage)
		}
		w.TrustedNames = nil
	}
	whole := StateTLS{Enabled: new(on(n.Enabled, w.Enabled)), Plain: new(on(n.Plain, w.Plain)), Mutual: new(on(n.Mutual, w.Mutual)), TrustedNames: w.TrustedNames}
	switch {
	case *whole.Enabled && !*n.Enabled && w.Plain == nil:
		whole.Plain = new(false) // it was on for want of TLS
	case !*whole.Enabled:
		whole.Plain = new(true)
	}
	change, ok := changeOf("network", n, whole)
	if !ok {
		return nil, nil
	}
	if help == nil || help.TLS == nil {
		return nil, fmt.Errorf("%w: TLS is switched by hand here", ErrNotOffered)
	}
	if whole.TrustedNames == nil {
		whole.TrustedNames = n.TrustedNames
	}
	change.do = func(ctx context.Context) error { return help.TLS(ctx, c, whole) }
	return []Change{change}, nil
}

const usedByUs = "TLS, to take the certificate of this console by"

// judges reports whether a machine that wants certificates of its clients takes ours by that root: without it we could not
// log in again.
func (c *Client) judges(ctx context.Context, root *Certificate) (bool, error) {
	if root.X509 == nil || len(c.cfg.TLS.Certificates) == 0 {
		return false, nil
	}
	s, _, err := c.tlsStatus(ctx)
	if err != nil || s.Network == nil || !s.Network.Mutual {
		return false, lenient(err)
	}
	for _, pair := range c.cfg.TLS.Certificates {
		for _, der := range pair.Certificate {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return false, err
			}
			if bytes.Equal(cert.RawIssuer, root.X509.RawSubject) && cert.CheckSignatureFrom(root.X509) == nil {
				return true, nil
			}
		}
	}
	return false, nil
}
