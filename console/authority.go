package console

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// An Authority signs certificates: those by which machines are known, and those by which machines know their consoles.
type Authority struct {
	Cert  *x509.Certificate
	Chain []*x509.Certificate // above Cert, its own issuer first, the root last; none if Cert is the root
	Key   crypto.Signer       `json:"-"`
}

// usageConsole is what makes a certificate good for managing machines over the network. Source: spec wsman.md section
// 3.4.
var usageConsole = asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 1}

// How long certificates are good when nobody says otherwise, and how much of that must be left for one to be used again.
const (
	authorityYears = 10
	DefaultDays    = 1095
	daysLeft       = 30
)

// authorityBits is the length of keys made here. Every firmware can check signatures of that length.
const authorityBits = 2048

// NewAuthority makes an authority of its own, with an RSA key, for ten years.
func NewAuthority(name string) (*Authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, authorityBits)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(authorityYears, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, SignatureAlgorithm: x509.SHA256WithRSA}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{Cert: cert, Key: key}, err
}

// newSerial returns a serial number that nobody can guess. RFC 5280 section 4.1.2.2: at most 20 octets, positive.
func newSerial() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 120)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

// Check says why the authority cannot sign, or nil. Errors wrap [ErrUsage].
func (a *Authority) Check() error {
	now := time.Now()
	public, ok := a.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !a.Cert.IsCA || !a.Cert.BasicConstraintsValid:
		return fmt.Errorf("%w: %s is no certificate of an authority", ErrUsage, a.Cert.Subject)
	case a.Cert.KeyUsage != 0 && a.Cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%w: %s may not sign certificates", ErrUsage, a.Cert.Subject)
	case now.After(a.Cert.NotAfter) || now.Before(a.Cert.NotBefore):
		return fmt.Errorf("%w: the certificate of %s is good from %s to %s", ErrUsage, a.Cert.Subject, a.Cert.NotBefore.Format(time.DateOnly), a.Cert.NotAfter.Format(time.DateOnly))
	case !ok || !public.Equal(a.Cert.PublicKey):
		return fmt.Errorf("%w: the key is not that of %s", ErrUsage, a.Cert.Subject)
	}
	return nil
}

// Pool returns what a client needs to believe what the authority signs: its root.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Root())
	return pool
}

// Root returns the certificate at the top.
func (a *Authority) Root() *x509.Certificate {
	if len(a.Chain) > 0 {
		return a.Chain[len(a.Chain)-1]
	}
	return a.Cert
}

// between returns the certificates between a leaf and the root.
func (a *Authority) between() []*x509.Certificate {
	if len(a.Chain) == 0 {
		return nil
	}
	return append([]*x509.Certificate{a.Cert}, a.Chain[:len(a.Chain)-1]...)
}

// sign fills in what all certificates have in common.
func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey, days int) (*x509.Certificate, error) {
	var err error
	if template.SerialNumber, err = newSerial(); err != nil {
		return nil, err
	}
	if days == 0 {
		days = DefaultDays
	}
	now := time.Now()
	template.NotBefore, template.NotAfter = now.AddDate(0, 0, -1), now.AddDate(0, 0, days)
	if template.NotBefore.Before(a.Cert.NotBefore) {
		template.NotBefore = a.Cert.NotBefore
	}
	if template.NotAfter.After(a.Cert.NotAfter) {
		template.NotAfter = a.Cert.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, public, a.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// SignRequest makes a certificate of a request (PKCS #10, DER) that its key has signed, for a server and the names that
// it asks for. days 0 is [DefaultDays].
func (a *Authority) SignRequest(der []byte, days int) (*x509.Certificate, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: certificate request: %w", ErrUsage, err)
	}
	return a.sign(&x509.Certificate{RawSubject: request.RawSubject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, request.PublicKey, days)
}

// ConsoleCertificate makes key and certificate by which machines with mutual authentication know a console of that name.
func (a *Authority) ConsoleCertificate(name string, days int) (tls.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, authorityBits)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{usageConsole}}, &key.PublicKey, days)
	if err != nil {
		return tls.Certificate{}, err
	}
	out := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for _, cert := range a.between() {
		out.Certificate = append(out.Certificate, cert.Raw)
	}
	return out, nil
}

// Issued reports whether the authority has signed a certificate.
func (a *Authority) Issued(cert *x509.Certificate) bool {
	return cert != nil && !cert.Equal(a.Cert) && cert.CheckSignatureFrom(a.Cert) == nil
}

// good reports whether a certificate of the authority serves for a machine of these names, for some time still.
func (a *Authority) good(cert *x509.Certificate, names []string) bool {
	now := time.Now()
	return a.Issued(cert) && !now.Before(cert.NotBefore) && now.AddDate(0, 0, daysLeft).Before(cert.NotAfter) &&
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
		!slices.ContainsFunc(names, func(name string) bool { return cert.VerifyHostname(name) != nil })
}

// CheckConsoleCertificate says why machines that trust root, and these names if there are any, would not take a client
// certificate; nil if they would. Errors wrap [ErrUsage].
func CheckConsoleCertificate(pair tls.Certificate, root *x509.Certificate, names []string) error {
	if len(pair.Certificate) == 0 {
		return fmt.Errorf("%w: no client certificate", ErrUsage)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("%w: client certificate: %w", ErrUsage, err)
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	options.Roots.AddCert(root)
	for _, der := range pair.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			options.Intermediates.AddCert(cert)
		}
	}
	_, err = leaf.Verify(options)
	switch {
	case err != nil:
		return fmt.Errorf("%w: client certificate of %s: %w", ErrUsage, leaf.Subject.CommonName, err)
	case !slices.ContainsFunc(leaf.UnknownExtKeyUsage, usageConsole.Equal):
		return fmt.Errorf("%w: the client certificate lacks the extended key usage %v, which AMT looks for", ErrUsage, usageConsole)
	case len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, leaf.Subject.CommonName) }):
		return fmt.Errorf("%w: the client certificate is for %q, which is none of the names to be trusted", ErrUsage, leaf.Subject.CommonName)
	}
	return nil
}

// certificateNames returns the names that a machine's certificate is for: the address, and what else is given.
func certificateNames(address string, more []string) []string {
	names := []string{address}
	for _, name := range more {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// commonName returns the first name that is no address, else the first.
func commonName(names []string) string {
	for _, name := range names {
		if net.ParseIP(name) == nil {
			return name
		}
	}
	return names[0]
}

var errNoAuthority = errors.New("no authority to sign the certificate")
