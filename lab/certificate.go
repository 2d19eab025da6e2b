package lab

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// A Certificate is what a machine shows. The zero value is self-signed and valid.
type Certificate struct {
	Expired bool   `json:"expired"`
	Name    string `json:"name"` // subject; "": the address, which is then an alternative name as well
	PEM     string `json:"pem"`  // certificate and key, instead of one that is made
}

// key is the key of all machines of the process, as making one takes longer than all else.
var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// make returns nil for a nil Certificate: the firmware then makes its own when it is first needed.
func (c *Certificate) make(address string) (*tls.Certificate, error) {
	if c == nil {
		return nil, nil
	}
	if c.PEM != "" {
		pair, err := tls.X509KeyPair([]byte(c.PEM), []byte(c.PEM))
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		return &pair, nil
	}
	key, err := key()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: c.Name},
		NotBefore:    time.Now().Add(-48 * time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:         true, BasicConstraintsValid: true,
	}
	if c.Name == "" {
		template.Subject.CommonName = address
		template.IPAddresses = []net.IP{net.ParseIP(address)}
	} else {
		template.DNSNames = []string{c.Name}
	}
	if c.Expired {
		template.NotAfter = time.Now().Add(-24 * time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// encodePEM writes a certificate with its key.
func encodePEM(c *tls.Certificate) (string, error) {
	switch c.PrivateKey.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return "", errors.New("certificate: unknown kind of key")
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return "", err
	}
	var out []byte
	for _, cert := range c.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	}
	return string(append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)), nil
}

// fingerprint is the SHA-256 of a certificate, 64 hex digits.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// CertificatePEM returns the certificate of a machine in PEM form, without its key; nil if TLS was off at the start.
func (r *Running) CertificatePEM() []byte {
	if r.cert == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.cert.Certificate[0]})
}
