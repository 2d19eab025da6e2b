package console

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// TLSConfig says whom to believe. The zero value asks the system's authorities and offers TLS 1.2 and newer.
//
// A certificate is good if it is the pinned one, whatever its dates and names; or, without a pin, if an authority
// vouches for it and it names the machine. Otherwise OnUnknown decides, and without it the connection fails with a
// [*TrustError]. A pin that does not match is never asked about.
type TLSConfig struct {
	Name          string            // what the machine is called where its pin is kept, for errors; "": it is not kept
	Pin           string            // SHA-256 of the certificate, 64 hex digits, colons allowed; "": none
	RootCAs       *x509.CertPool    // nil: those of CAFile, or of the system
	CAFile        string            // PEM file of authorities
	ServerName    string            // name to look for in the certificate; "": Config.Address
	MinVersion    uint16            // 0: tls.VersionTLS12. Firmware before 11 needs tls.VersionTLS10
	LegacyCiphers bool              // also offer RSA key exchange (no forward secrecy), which older firmware needs
	Certificates  []tls.Certificate // to show when the machine asks, for mutual authentication

	// OnUnknown is asked about a certificate that cannot be verified; reason is a [*TrustError]. If it returns true
	// the certificate is pinned as long as the Client lives; storing the pin is the caller's part. The connection is
	// not held open meanwhile.
	OnUnknown func(ctx context.Context, cert *x509.Certificate, reason error) bool

	now func() time.Time // for tests
}

// demanded reports whether the caller counts on TLS, so that plain HTTP must not be tried.
func (t *TLSConfig) demanded() bool {
	return t.Pin != "" || t.RootCAs != nil || t.CAFile != "" || len(t.Certificates) > 0
}

// Fingerprint returns what is pinned: the SHA-256 of the certificate, 64 lower-case hex digits.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// ParsePin brings a pin into the form of [Fingerprint]. It takes upper case, colons and blanks. Errors wrap [ErrUsage].
func ParsePin(text string) (string, error) {
	pin := strings.ToLower(strings.Map(func(r rune) rune {
		if r == ':' || r == ' ' {
			return -1
		}
		return r
	}, text))
	if raw, err := hex.DecodeString(pin); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("%w: a pin is the SHA-256 of a certificate, %d hex digits", ErrUsage, 2*sha256.Size)
	}
	return pin, nil
}

// A TrustReason says why a certificate is not believed.
type TrustReason string

// The reasons.
const (
	UnknownAuthority TrustReason = "unknown authority" // self-signed, or signed by nobody we know
	PinMismatch      TrustReason = "pin mismatch"      // not the certificate that was pinned
	Expired          TrustReason = "expired"
	NotYetValid      TrustReason = "not yet valid"
	WrongName        TrustReason = "wrong name" // an authority vouches for it, but for another machine
)

// A TrustError says that the machine's certificate is not believed. It matches [ErrTrust].
type TrustError struct {
	Name        string // as in [TLSConfig]
	Address     string
	Reason      TrustReason
	Fingerprint string // of the certificate that was shown
	Pin         string // that it should have been, if Reason is PinMismatch
	Cert        *x509.Certificate
	Err         error // of crypto/x509, if there is one
}

func (e *TrustError) Error() string {
	switch e.Reason {
	case PinMismatch:
		return fmt.Sprintf("%s shows a certificate other than the pinned one: SHA-256 %s, pinned is %s", e.Address, e.Fingerprint, e.Pin)
	case Expired:
		return fmt.Sprintf("the certificate of %s expired on %s (SHA-256 %s)", e.Address, e.Cert.NotAfter.UTC().Format(time.DateOnly), e.Fingerprint)
	case NotYetValid:
		return fmt.Sprintf("the certificate of %s is not valid before %s (SHA-256 %s)", e.Address, e.Cert.NotBefore.UTC().Format(time.DateOnly), e.Fingerprint)
	case WrongName:
		return fmt.Sprintf("the certificate of %s is for %s (SHA-256 %s)", e.Address, names(e.Cert), e.Fingerprint)
	}
	return fmt.Sprintf("no known authority vouches for the certificate of %s (SHA-256 %s)", e.Address, e.Fingerprint)
}

// Is matches [ErrTrust].
func (e *TrustError) Is(target error) bool { return target == ErrTrust }

// Unwrap returns Err.
func (e *TrustError) Unwrap() error { return e.Err }

// names returns what a certificate is for.
func names(cert *x509.Certificate) string {
	all := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		all = append(all, cert.Subject.CommonName)
	}
	return strings.Join(all, ", ")
}

// trust is a TLSConfig at work for one machine.
type trust struct {
	TLSConfig
	address string // for messages
	name    string // looked for in the certificate

	mu  sync.Mutex
	pin string // given or accepted
}

// newTrust checks the settings. Errors wrap ErrUsage.
func newTrust(cfg TLSConfig, address string) (*trust, error) {
	t := &trust{TLSConfig: cfg, address: address, name: cfg.ServerName}
	if t.name == "" {
		t.name, _, _ = strings.Cut(address, "%")
	}
	if t.now == nil {
		t.now = time.Now
	}
	if cfg.Pin != "" {
		pin, err := ParsePin(cfg.Pin)
		if err != nil {
			return nil, err
		}
		t.pin = pin
	}
	if cfg.RootCAs == nil && cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%w: authorities: %w", ErrUsage, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: %s holds no certificate in PEM form", ErrUsage, cfg.CAFile)
		}
	}
	return t, nil
}

func (t *trust) pinned() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pin
}

func (t *trust) accept(pin string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pin = pin
}

// judge says whether the chain that the machine showed is good.
func (t *trust) judge(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: %s shows no certificate", ErrTrust, t.address)
	}
	leaf := chain[0]
	bad := &TrustError{Name: t.Name, Address: t.address, Fingerprint: Fingerprint(leaf), Cert: leaf}
	if pin := t.pinned(); pin != "" {
		if pin == bad.Fingerprint {
			return nil
		}
		bad.Reason, bad.Pin = PinMismatch, pin
		return bad
	}
	now := t.now()
	switch {
	case now.After(leaf.NotAfter):
		bad.Reason = Expired
		return bad
	case now.Before(leaf.NotBefore):
		bad.Reason = NotYetValid
		return bad
	}
	opts := x509.VerifyOptions{Roots: t.RootCAs, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	if _, bad.Err = leaf.Verify(opts); bad.Err != nil {
		bad.Reason = UnknownAuthority
		return bad
	}
	if bad.Err = t.checkName(leaf); bad.Err != nil {
		bad.Reason = WrongName
		return bad
	}
	return nil
}

// checkName looks at the common name only if there is no alternative name at all, as on certificates of older AMT
// consoles.
func (t *trust) checkName(leaf *x509.Certificate) error {
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && strings.EqualFold(leaf.Subject.CommonName, t.name) && t.name != "" {
		return nil
	}
	return leaf.VerifyHostname(t.name)
}

// legacySuites are the RSA key exchange suites of AMT firmware.
var legacySuites = []uint16{
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

func suites(legacy bool) []uint16 {
	if !legacy {
		return nil // Go's own choice
	}
	var all []uint16
	for _, s := range tls.CipherSuites() {
		all = append(all, s.ID)
	}
	return append(all, legacySuites...)
}

// client starts TLS on a connection. It takes the connection over, and closes it when it fails.
func (t *trust) client(ctx context.Context, raw net.Conn) (*tls.Conn, error) {
	asked := false
	config := &tls.Config{
		ServerName:         t.name,
		MinVersion:         cmp.Or(t.MinVersion, tls.VersionTLS12),
		CipherSuites:       suites(t.LegacyCiphers),
		InsecureSkipVerify: true, // judge does it
		VerifyConnection:   func(s tls.ConnectionState) error { return t.judge(s.PeerCertificates) },
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			for i := range t.Certificates {
				if info.SupportsCertificate(&t.Certificates[i]) == nil {
					return &t.Certificates[i], nil
				}
			}
			if len(t.Certificates) > 0 { // AMT names authorities that the chain need not show
				return &t.Certificates[0], nil
			}
			return &tls.Certificate{}, nil
		},
	}
	conn := tls.Client(raw, config)
	err := conn.HandshakeContext(ctx)
	if err == nil {
		return conn, nil
	}
	raw.Close()
	if ctx.Err() != nil && !errors.Is(err, ErrTrust) {
		err = context.Cause(ctx)
	}
	if errors.Is(err, ErrTrust) || ctx.Err() != nil {
		return nil, err
	}
	return nil, &HandshakeError{Address: t.address, Err: err, AskedForCertificate: asked && len(t.Certificates) == 0}
}

// A HandshakeError says that no TLS connection came about, for a reason other than trust. It matches [ErrHandshake].
type HandshakeError struct {
	Address             string
	Err                 error
	AskedForCertificate bool   // the machine wants a client certificate, and there is none
	Version             uint16 // what the machine takes when everything is offered; 0: nothing either
	Suite               uint16
}

func (e *HandshakeError) Error() string {
	text := fmt.Sprintf("TLS handshake with %s failed: %v", e.Address, e.Err)
	var record tls.RecordHeaderError
	switch {
	case e.AskedForCertificate:
		text += "; the machine asks for a client certificate"
	case errors.As(e.Err, &record) && bytes.HasPrefix(record.RecordHeader[:], []byte("HTTP")):
		text += "; the port speaks plain HTTP"
	case e.Version != 0:
		text += fmt.Sprintf("; the machine takes %s with %s", tls.VersionName(e.Version), tls.CipherSuiteName(e.Suite))
	}
	return text
}

// Is matches [ErrHandshake].
func (e *HandshakeError) Is(target error) bool { return target == ErrHandshake }

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Remedy says which settings would make the handshake work, as far as the machine let it be found out; "" if unknown.
func (e *HandshakeError) Remedy() string {
	var set []string
	if e.AskedForCertificate {
		set = append(set, "a client certificate")
	}
	if e.Version != 0 && e.Version < tls.VersionTLS12 {
		set = append(set, "minimum TLS version "+strings.TrimPrefix(tls.VersionName(e.Version), "TLS "))
	}
	if slices.Contains(legacySuites, e.Suite) {
		set = append(set, "legacy ciphers")
	}
	return strings.Join(set, " and ")
}

// survey offers a machine everything from TLS 1.0 on, to learn what it would have taken, and hangs up. Nothing is
// sent on such a connection.
func survey(ctx context.Context, raw net.Conn) (version, suite uint16, err error) {
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: suites(true), InsecureSkipVerify: true})
	if err := conn.HandshakeContext(ctx); err != nil {
		return 0, 0, err
	}
	state := conn.ConnectionState()
	return state.Version, state.CipherSuite, nil
}
