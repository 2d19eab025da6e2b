package agent

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
)

// A Certificate is a setup certificate with its key and the authorities above it, the root last. It prints without the
// key.
type Certificate struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
}

func (c *Certificate) String() string   { return c.Chain[0].Subject.String() }
func (c *Certificate) GoString() string { return "agent.Certificate{" + c.String() + "}" }

func (c *Certificate) tls() tls.Certificate {
	out := tls.Certificate{PrivateKey: c.Key, Leaf: c.Chain[0]}
	for _, one := range c.Chain {
		out.Certificate = append(out.Certificate, one.Raw)
	}
	return out
}

// NewCertificate puts a key and certificates together: the leaf is that of the key, the others come in any order.
// Errors wrap [ErrCertificate].
func NewCertificate(key any, certs []*x509.Certificate) (*Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a key of type %T cannot sign", ErrCertificate, key)
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, fmt.Errorf("%w: a key of type %T cannot be compared", ErrCertificate, key)
	}
	for _, c := range certs {
		if public.Equal(c.PublicKey) {
			chain, err := activation.Order(c, certs)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
			}
			return &Certificate{chain, signer}, nil
		}
	}
	return nil, fmt.Errorf("%w: none of %d certificates belongs to the key", ErrCertificate, len(certs))
}

// ParsePEM reads certificates and their key from PEM, one text or two. Keys must not be encrypted. Errors wrap
// [ErrCertificate].
func ParsePEM(texts ...[]byte) (*Certificate, error) {
	var certs []*x509.Certificate
	var key any
	for _, rest := range texts {
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			var err error
			switch block.Type {
			case "CERTIFICATE":
				var c *x509.Certificate
				if c, err = x509.ParseCertificate(block.Bytes); err == nil {
					certs = append(certs, c)
				}
			case "PRIVATE KEY":
				key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			case "RSA PRIVATE KEY":
				key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
			case "ENCRYPTED PRIVATE KEY":
				err = errors.New("the key is encrypted")
			}
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
			}
			if len(certs) > maxCertificates {
				return nil, fmt.Errorf("%w: more than %d certificates", ErrCertificate, maxCertificates)
			}
		}
	}
	if key == nil {
		return nil, fmt.Errorf("%w: no private key found", ErrCertificate)
	}
	return NewCertificate(key, certs)
}

// maxCertificates is how many certificates a file may hold.
const maxCertificates = 64

// check holds the certificate against what AMT trusts, before AMT is asked. suffix is AMT's; "" if it is not known.
func (c *Certificate) check(hashes []amthi.CertificateHash, suffix string) error {
	err := activation.Check(c.Chain, time.Now(), func(root *x509.Certificate) bool {
		for _, h := range hashes {
			if h.Active && len(h.Hash) > 0 && string(activation.Hash(root, h.Algorithm)) == string(h.Hash) {
				return true
			}
		}
		return false
	})
	if err == nil && suffix != "" && !activation.MatchDomain(c.Chain[0], suffix) {
		err = fmt.Errorf("%w: it is for %s, AMT is in %s", activation.ErrDomain, c.Chain[0].Subject.CommonName, suffix)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return nil
}
