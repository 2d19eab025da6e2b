// Package activation holds the rules of host-based setup that both ends keep: which certificate may set AMT up in admin
// control mode, how its name is matched against AMT's DNS suffix, and what is signed. Programs on the PC look before
// they ask; the firmware looks because it must.
//
// A chain is the setup program's certificate, then what issued each, the root last. The firmware knows roots by the hash
// of their DER.
//
// Sources: Intel AMT Implementation and Reference Guide, "Acquiring an Intel vPro Certificate", "Perform Local Setup
// Directly to Admin Control Mode", "Root Certificate Hashes"; Ylianst/MeshCentral certoperations.js; spec activation.md
// sections 4 and 6.
//
// The package sends nothing.
package activation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/wire/amthi"
)

// What a certificate for setup bears beside serverAuth: the usage, or the organizational unit.
var usageSetup = asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 3}

const unitSetup = "Intel(R) Client Setup Certificate"

const (
	// MaxChain is how many certificates the firmware takes, the root among them. One source.
	MaxChain = 4
	// NonceSize is the size of the nonces of both ends, in bytes.
	NonceSize = 20

	minRSA = 2048 // bits
)

// Errors that [Check] and [Order] wrap.
var (
	ErrChain  = errors.New("broken certificate chain")
	ErrUsage  = errors.New("certificate not for setup of AMT")
	ErrDomain = errors.New("certificate not for the DNS suffix of AMT")
	ErrRoot   = errors.New("root certificate not among those that AMT trusts")
)

// Check holds a chain against the rules: links, dates if now is not zero, key and usage of the leaf, and whether root
// accepts the last certificate. Errors wrap ErrChain, ErrUsage or ErrRoot.
func Check(chain []*x509.Certificate, now time.Time, root func(*x509.Certificate) bool) error {
	if len(chain) < 2 || len(chain) > MaxChain {
		return fmt.Errorf("%w: %d certificates; 2 to %d are needed, the root among them", ErrChain, len(chain), MaxChain)
	}
	for i, c := range chain {
		issuer := chain[min(i+1, len(chain)-1)]
		if err := Link(c, issuer); err != nil {
			return err
		}
		if !now.IsZero() && (now.Before(c.NotBefore) || now.After(c.NotAfter)) {
			return fmt.Errorf("%w: %s is valid from %s to %s", ErrChain, c.Subject, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
		}
	}
	if err := CheckLeaf(chain[0]); err != nil {
		return err
	}
	if last := chain[len(chain)-1]; !root(last) {
		return fmt.Errorf("%w: %s", ErrRoot, last.Subject)
	}
	return nil
}

// Link tells whether issuer has signed c; a root has signed itself. Errors wrap ErrChain.
func Link(c, issuer *x509.Certificate) error {
	err := issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s has not signed %s: %v", ErrChain, issuer.Subject, c.Subject, err)
	case !bytes.Equal(c.RawIssuer, issuer.RawSubject):
		return fmt.Errorf("%w: %s names another issuer than %s", ErrChain, c.Subject, issuer.Subject)
	case c != issuer && !issuer.IsCA && issuer.Version >= 3:
		return fmt.Errorf("%w: %s is no authority", ErrChain, issuer.Subject)
	}
	return nil
}

// CheckLeaf tells whether a certificate is good for setup. Errors wrap ErrUsage.
func CheckLeaf(c *x509.Certificate) error {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	isUsage := slices.ContainsFunc(c.UnknownExtKeyUsage, usageSetup.Equal)
	switch {
	case !ok || key.N.BitLen() < minRSA:
		return fmt.Errorf("%w: %s: its key is not RSA of %d bits or more", ErrUsage, c.Subject, minRSA)
	case c.IsCA:
		return fmt.Errorf("%w: %s is an authority", ErrUsage, c.Subject)
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth):
		return fmt.Errorf("%w: %s has not the usage serverAuth", ErrUsage, c.Subject)
	case !isUsage && !slices.Contains(c.Subject.OrganizationalUnit, unitSetup):
		return fmt.Errorf("%w: %s has neither the usage %v nor the unit %q", ErrUsage, c.Subject, usageSetup, unitSetup)
	}
	return nil
}

// Order puts certificates in the order of a chain that starts with leaf; the others come in any order, and those that
// do not belong are left out. The last one is self-signed, or ErrChain.
func Order(leaf *x509.Certificate, others []*x509.Certificate) ([]*x509.Certificate, error) {
	chain := []*x509.Certificate{leaf}
	for last := leaf; Link(last, last) != nil; {
		next := slices.IndexFunc(others, func(c *x509.Certificate) bool { return Link(last, c) == nil })
		if next < 0 || len(chain) > len(others) {
			return nil, fmt.Errorf("%w: the certificate of %s is missing", ErrChain, last.Issuer)
		}
		last = others[next]
		chain = append(chain, last)
	}
	return chain, nil
}

// thirdLevel are the top-level domains below which names are registered at the third level: there three labels must be
// the same, elsewhere two. One source; what firmware does about top-level domains in neither list is not known.
const thirdLevel = " arpa fr cn nl br mx uk pl tw ca fi be ru se ar es no at in tr ro hu nz pt il gr co ie za th sg hk lt id hr ee bg "

// MatchDomain tells whether a certificate may set up machines with a DNS suffix: the last two or three labels of its
// common name, or of one of its DNS names, are the suffix's. Case does not matter.
func MatchDomain(c *x509.Certificate, suffix string) bool {
	want := labels(suffix)
	return len(want) > 0 && slices.ContainsFunc(append([]string{c.Subject.CommonName}, c.DNSNames...), func(name string) bool {
		got := labels(name)
		n := 2
		if len(got) > 0 && strings.Contains(thirdLevel, " "+got[len(got)-1]+" ") {
			n = 3
		}
		n = max(2, min(n, len(want)))
		return len(got) >= n && len(want) >= n && slices.Equal(got[len(got)-n:], want[len(want)-n:])
	})
}

func labels(name string) []string {
	name = strings.ToLower(strings.Trim(name, "."))
	if name == "" {
		return nil
	}
	return strings.Split(name, ".")
}

// Sign signs the nonces: of AMT (ConfigurationNonce), then of the setup program. SigningAlgorithm 2, RSA PKCS #1 v1.5
// with SHA-256.
func Sign(key crypto.Signer, ofAMT, own []byte) ([]byte, error) {
	sum := sha256.Sum256(slices.Concat(ofAMT, own))
	return key.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// Verify tells whether the holder of a certificate's key has signed the nonces.
func Verify(c *x509.Certificate, ofAMT, ofProgram, signature []byte) error {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("not an RSA key")
	}
	sum := sha256.Sum256(slices.Concat(ofAMT, ofProgram))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
}

// Hash returns the hash of a certificate's DER, nil for an algorithm that is not used for this.
func Hash(c *x509.Certificate, by amthi.HashAlgorithm) []byte {
	switch by {
	case amthi.SHA1:
		sum := sha1.Sum(c.Raw)
		return sum[:]
	case amthi.SHA256:
		sum := sha256.Sum256(c.Raw)
		return sum[:]
	case amthi.SHA384:
		sum := sha512.Sum384(c.Raw)
		return sum[:]
	}
	return nil
}

// LeafHash returns the hash by which setup over TLS names a leaf certificate: SHA-384 if that signed it, else SHA-256.
func LeafHash(c *x509.Certificate) (amthi.HashAlgorithm, []byte) {
	by := amthi.SHA256
	if c.SignatureAlgorithm == x509.SHA384WithRSA || c.SignatureAlgorithm == x509.ECDSAWithSHA384 {
		by = amthi.SHA384
	}
	return by, Hash(c, by)
}

// CheckPassword tells whether AMT would take a password for its administrator. Programs that send only a hash must look,
// as AMT cannot. The text says what is wrong, without the password.
func CheckPassword(p string) error {
	const (
		least   = 8
		most    = 32
		never   = "\",:"
		letters = "_" // counts as one
	)
	if len(p) < least || len(p) > most {
		return fmt.Errorf("%d characters; %d to %d are needed", len(p), least, most)
	}
	var upper, lower, digit, special bool
	for _, c := range []byte(p) {
		switch {
		case c < ' ' || c > '~' || strings.IndexByte(never, c) >= 0:
			return errors.New(`only ASCII may be used, without quotation mark, comma and colon`)
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= '0' && c <= '9':
			digit = true
		case strings.IndexByte(letters, c) < 0:
			special = true
		}
	}
	if !upper || !lower || !digit || !special {
		return errors.New("an upper-case and a lower-case letter, a digit and a special character are needed")
	}
	return nil
}
