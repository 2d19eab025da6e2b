// Package setupcert makes certificates for the setup of AMT, with an authority of their own, for tests.
package setupcert

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// A Chain is a certificate for setup, an intermediate and a root, in this order.
type Chain struct {
	Certs []*x509.Certificate
	Key   *rsa.PrivateKey // of the first
}

// Usage is what a certificate for the setup of AMT bears.
var Usage = asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 3}

// New makes a chain for a name. change, if not nil, may make the leaf another one before it is signed.
func New(t testing.TB, name string, change func(*x509.Certificate)) *Chain {
	t.Helper()
	c, err := Make(name, change)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Make is New for those that have no test.
func Make(name string, change func(*x509.Certificate)) (*Chain, error) {
	names := []string{name, "Test Setup Intermediate", "Test Setup Root"}
	var keys [3]*rsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	out := &Chain{Certs: make([]*x509.Certificate, 3), Key: keys[0]}
	for i := 2; i >= 0; i-- {
		template := &x509.Certificate{
			SerialNumber:          big.NewInt(int64(100 + i)),
			Subject:               pkix.Name{CommonName: names[i]},
			NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), // tests with a clock of their own live then
			NotAfter:              time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
			BasicConstraintsValid: true,
			IsCA:                  i > 0,
			KeyUsage:              x509.KeyUsageCertSign,
		}
		if i == 0 {
			template.KeyUsage = x509.KeyUsageDigitalSignature
			template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			template.UnknownExtKeyUsage = []asn1.ObjectIdentifier{Usage}
			if change != nil {
				change(template)
			}
		}
		above := min(i+1, 2)
		parent := out.Certs[above]
		if i == 2 {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &keys[i].PublicKey, keys[above])
		if err != nil {
			return nil, err
		}
		if out.Certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Root returns the last certificate.
func (c *Chain) Root() *x509.Certificate { return c.Certs[len(c.Certs)-1] }

// PEM returns certificates and key in PEM.
func (c *Chain) PEM() ([]byte, error) {
	var out bytes.Buffer
	for _, one := range c.Certs {
		pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: one.Raw})
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, err
	}
	pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return out.Bytes(), nil
}

// RootPEM returns the root in PEM.
func (c *Chain) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Root().Raw})
}
