package firmware

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Limits of TrustedCN. Source: AMT_PublicKeyManagementCapabilities, spec inventory-events-policies.md section 10.
const (
	maxTrustedNames = 4
	maxTrustedName  = 64 // characters
)

// What a certificate must be good for, so that whoever shows it may manage the machine from the network or from the PC
// itself. Source: spec wsman.md section 3.4.
var (
	usageRemoteConsole = asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 1}
	usageLocalConsole  = asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 2}
)

// putTLS holds new TLS settings against the rules. Releases without plain ports do not let TLS be switched off;
// AcceptNonSecureConnections of the local interface is read-only; clients can only be judged by trusted roots.
func putTLS(_ context.Context, m *Machine, old, want *wsman.Element) error {
	local := old.ChildText("InstanceID") == localTLS
	enabled := want.ChildText("Enabled") == "true"
	if local {
		set(want, "AcceptNonSecureConnections", old.ChildText("AcceptNonSecureConnections"))
	}
	if m.tlsOnly(local) && (!enabled || want.ChildText("AcceptNonSecureConnections") == "true") {
		return wsman.ErrInvalidRepresentation.With("this release does not speak without TLS")
	}
	names := 0
	for i := range want.Children {
		if e := &want.Children[i]; e.Local == "TrustedCN" {
			if names++; names > maxTrustedNames || !goodTrustedName(e.Text) {
				return pkiRefusal(tlsClass+".Put", status.InvalidParameter)
			}
		}
	}
	if enabled && want.ChildText("MutualAuthentication") == "true" &&
		!slices.ContainsFunc(m.certificates(), func(c stored) bool { return c.root }) {
		return pkiRefusal(tlsClass+".Put", status.DataMissing)
	}
	return nil
}

// goodTrustedName reports whether a text has the form of RFC 1035: labels of letters, digits and hyphens.
func goodTrustedName(name string) bool {
	if len(name) > maxTrustedName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return false
		}
	}
	return true
}

// checkTLSContext holds what binds a certificate to TLS against the rules: it binds a certificate that has its key here
// to all endpoints.
func (m *Machine) checkTLSContext(want *wsman.Element, op string) error {
	ref := func(name string) (view, bool) {
		e := want.Child(name)
		if e == nil {
			return view{}, false
		}
		epr, err := wsman.ParseEPR(e)
		if err != nil {
			return view{}, false
		}
		v, err := m.resolve(&epr)
		return v, err == nil
	}
	cert, ok := ref("ElementInContext")
	endpoints, okToo := ref("ElementProvidingContext")
	if !ok || !okToo || cert.class.Name != certificateClass || endpoints.class.Name != "AMT_TLSProtocolEndpointCollection" {
		return pkiRefusal(tlsContextClass+"."+op, status.InvalidHandle)
	}
	if cert.element.ChildText("TrustedRootCertficate") == "true" {
		return pkiRefusal(tlsContextClass+"."+op, status.InvalidCert)
	}
	if m.bound(cert.element.ChildText("InstanceID")) == nil {
		return pkiRefusal(tlsContextClass+"."+op, status.CertKeyNotMatch)
	}
	ci := m.catalogue.classes[tlsContextClass]
	setElements(want, "ElementInContext", cert.epr().Element(ci.uri, "ElementInContext"))
	setElements(want, "ElementProvidingContext", endpoints.epr().Element(ci.uri, "ElementProvidingContext"))
	return nil
}

// boundID returns the InstanceID of the certificate that is bound to TLS, or "".
func (m *Machine) boundID() string {
	ci := m.catalogue.classes[tlsContextClass]
	if ci == nil {
		return ""
	}
	for _, i := range m.store.of(ci) {
		if k := i.keys.Get("ElementInContext"); k != nil && k.EPR != nil {
			return k.EPR.Selectors.Value("InstanceID")
		}
	}
	return ""
}

// maxChain is how many certificates a machine shows.
const maxChain = 4

// bound returns a certificate of the store with its key and the authorities between it and its root, as far as the store
// has them; nil if the key is not there.
func (m *Machine) bound(id string) *tls.Certificate {
	all := m.certificates()
	at := slices.IndexFunc(all, func(c stored) bool { return c.id == id && !c.root })
	if at < 0 {
		return nil
	}
	leaf := all[at].Certificate
	key := m.keys.of(leaf)
	if key == nil {
		return nil
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: leaf}
	for last := leaf; last != nil && len(out.Certificate) < maxChain; {
		out.Certificate = append(out.Certificate, last.Raw)
		next := slices.IndexFunc(all, func(c stored) bool {
			return !c.root && string(c.RawSubject) == string(last.RawIssuer) && string(c.RawIssuer) != string(c.RawSubject) && last.CheckSignatureFrom(c.Certificate) == nil
		})
		if last = nil; next >= 0 {
			last = all[next].Certificate
		}
	}
	return out
}

// committed returns the settings of an interface as they take effect.
func (m *Machine) committed(local bool) *committedTLS {
	e := m.tlsSettings(local)
	c := &committedTLS{Enabled: e.ChildText("Enabled") == "true", Plain: e.ChildText("AcceptNonSecureConnections") == "true"}
	if !c.Enabled {
		return c
	}
	c.Certificate = m.boundID()
	c.Mutual = e.ChildText("MutualAuthentication") == "true"
	for i := range e.Children {
		if e.Children[i].Local == "TrustedCN" {
			c.TrustedCN = append(c.TrustedCN, e.Children[i].Text)
		}
	}
	return c
}

// judgeClient says whether a client may speak to a machine with mutual authentication: a trusted root vouches for it now,
// by the machine's clock, no list revokes it, it is good for managing machines from there, and it bears one of the names.
// Source: spec wsman.md section 3.4.
func (m *Machine) judgeClient(chain []*x509.Certificate, local bool, names []string) error {
	if len(chain) == 0 {
		return errors.New("no client certificate")
	}
	leaf, usage := chain[0], usageRemoteConsole
	if local {
		usage = usageLocalConsole
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	options := x509.VerifyOptions{Roots: m.roots(), Intermediates: between, CurrentTime: m.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	switch {
	case m.revoked(leaf):
		return errors.New("client certificate: revoked")
	case !slices.ContainsFunc(leaf.UnknownExtKeyUsage, usage.Equal):
		return errors.New("client certificate: not for managing this machine")
	case len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, leaf.Subject.CommonName) }):
		return errors.New("client certificate: its name is not trusted")
	}
	return nil
}
