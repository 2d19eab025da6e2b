package agent

import (
	"crypto/x509"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// ParsePFX reads certificates and their key from a PKCS #12 file, as authorities sell them and Windows exports them.
// Errors wrap [ErrCertificate].
func ParsePFX(file []byte, password string) (*Certificate, error) {
	key, leaf, others, err := pkcs12.DecodeChain(file, password)
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, fmt.Errorf("%w: the password of the file is another one", ErrCertificate)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if len(others) > maxCertificates {
		return nil, fmt.Errorf("%w: more than %d certificates", ErrCertificate, maxCertificates)
	}
	return NewCertificate(key, append([]*x509.Certificate{leaf}, others...))
}
