package firmware

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strconv"
	"sync"
	"time"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// ownCertificate is what a machine shows as long as nobody bound a certificate to TLS. It is made at the first handshake.
type ownCertificate struct {
	mu   sync.Mutex
	cert *tls.Certificate

	maker *tls.Certificate // by the maker of the chip, for setup over TLS
}

// sharedKey is the key of all machines of the process that were given no certificate. Machines have RSA of 2048 bits.
var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// tlsConfig returns the configuration of the TLS ports of the network, or of the local interface.
func (m *Machine) tlsConfig(local bool) (*tls.Config, error) {
	settings := m.tls(local)
	cert, err := m.shown(settings.Certificate)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		Certificates:           []tls.Certificate{*cert},
		MinVersion:             m.profile.MinTLS,
		MaxVersion:             m.profile.MaxTLS,
		CipherSuites:           m.profile.Suites,
		SessionTicketsDisabled: true,
	}
	if local && m.tlsSetup() != nil {
		return m.tlsSetupConfig(config)
	}
	if settings.Mutual {
		config.ClientAuth = tls.RequireAnyClientCert
		config.ClientCAs = m.roots()
		config.VerifyConnection = func(s tls.ConnectionState) error {
			return m.judgeClient(s.PeerCertificates, local, settings.TrustedCN)
		}
	}
	return config, nil
}

// ServerCertificate returns the certificate that TLS shows on the network, DER: the one that is bound to it, or else the
// machine's own, which is made if there is none yet.
func (m *Machine) ServerCertificate() ([]byte, error) {
	cert, err := m.shown(m.tls(false).Certificate)
	if err != nil {
		return nil, err
	}
	return cert.Certificate[0], nil
}

// shown returns the certificate of a handle with its key, or the machine's own.
func (m *Machine) shown(id string) (*tls.Certificate, error) {
	if cert := m.bound(id); cert != nil {
		return cert, nil
	}
	return m.own()
}

// own returns the certificate of a machine that nobody gave one, or the one of its configuration.
func (m *Machine) own() (*tls.Certificate, error) {
	if m.config.Certificate != nil {
		return m.config.Certificate, nil
	}
	o := &m.certificate
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cert == nil {
		var err error
		if o.cert, err = m.selfSigned(); err != nil {
			return nil, err
		}
	}
	return o.cert, nil
}

// selfSigned makes the certificate that a machine has as long as nobody gave it one: it names the machine, and has no
// subject alternative name. The key is shared; the certificate is not, so that a client that pins it can tell machines
// apart. Source: spec wsman.md section 2.
func (m *Machine) selfSigned() (*tls.Certificate, error) {
	key, err := sharedKey()
	if err != nil {
		return nil, err
	}
	id := m.Identity()
	serial := sha256.Sum256(id.UUID[:])
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:8]),
		Subject:      pkix.Name{CommonName: id.FQDN(), Organization: []string{"Virtual AMT machine " + id.UUID.String()}},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, crypto.PublicKey(&key.PublicKey), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// tlsSettings returns the TLS settings of the network interface or of the local one.
func (m *Machine) tlsSettings(local bool) *wsman.Element {
	want := networkTLS
	if local {
		want = localTLS
	}
	ci := m.catalogue.classes["AMT_TLSSettingData"]
	if ci == nil {
		return nil
	}
	for _, v := range m.views(ci) {
		if v.keys.Value("InstanceID") == want {
			return &v.element
		}
	}
	return nil
}

// Instances of AMT_TLSSettingData. Source: spec classes.md section 5.
const (
	networkTLS = "Intel(r) AMT 802.3 TLS Settings"
	localTLS   = "Intel(r) AMT LMS TLS Settings"
)

// registerTLS gives AMT_TLSSettingData and AMT_TLSCredentialContext their rules. What is put takes effect with
// CommitChanges.
func registerTLS(t *table) {
	settings := t.class(tlsClass)
	settings.patch = func(m *Machine, e *wsman.Element) {
		local := e.ChildText("InstanceID") == localTLS
		if m.tlsOnly(local) || m.config.TLS && !local && m.store.untouched(tlsClass) {
			set(e, "Enabled", "true")
			set(e, "AcceptNonSecureConnections", "false")
		}
		if m.profile.Before(16, 0) {
			set(e, "NonSecureConnectionsSupported")
		} else {
			set(e, "NonSecureConnectionsSupported", strconv.FormatBool(!m.tlsOnly(local)))
		}
	}
	settings.onPut = putTLS
	contexts := t.class(tlsContextClass)
	contexts.onCreate = func(_ context.Context, m *Machine, want *wsman.Element) error {
		if len(m.store.of(m.catalogue.classes[tlsContextClass])) > 0 { // one certificate for all endpoints
			return wsman.ErrAlreadyExists
		}
		return m.checkTLSContext(want, "Create")
	}
	contexts.onPut = func(_ context.Context, m *Machine, _, want *wsman.Element) error {
		return m.checkTLSContext(want, "Put")
	}
	contexts.onDelete = func(_ context.Context, m *Machine, _ *wsman.Element) error {
		for _, local := range []bool{false, true} {
			if m.tlsOnly(local) { // it has a certificate of its own to go back to
				continue
			}
			if m.tls(local).Enabled || m.tlsSettings(local).ChildText("Enabled") == "true" {
				return pkiRefusal(tlsContextClass+".Delete", status.NotPermitted)
			}
		}
		return nil
	}
}

// Classes of TLS.
const (
	tlsClass        = "AMT_TLSSettingData"
	tlsContextClass = "AMT_TLSCredentialContext"
)
