package auditlog

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // mechanism 0
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Limits of the signing key material. Source: AMT_AuditLog.SetSigningKeyMaterial.
const (
	MaxCertificates    = 5
	MaxCertificateSize = 4100 // octets, all together
	SigningKeyBits     = 2048
)

// Errors of signatures that this package wraps.
var (
	ErrSignature = errors.New("signature does not fit the records")
	ErrChain     = errors.New("certificate not trusted")
)

// A Mechanism is how a log is signed: PKCS #1 1.5 with one of three hashes.
type Mechanism uint32

// The mechanisms, numbered as in AMT_AuditLog.
const (
	RSASHA1   Mechanism = 0
	RSASHA256 Mechanism = 1
	RSASHA384 Mechanism = 2
)

func (m Mechanism) String() string {
	switch m {
	case RSASHA1:
		return "RSA-SHA1"
	case RSASHA256:
		return "RSA-SHA256"
	case RSASHA384:
		return "RSA-SHA384"
	}
	return fmt.Sprintf("unknown (%d)", uint32(m))
}

func (m Mechanism) hash() (crypto.Hash, error) {
	switch m {
	case RSASHA1:
		return crypto.SHA1, nil
	case RSASHA256:
		return crypto.SHA256, nil
	case RSASHA384:
		return crypto.SHA384, nil
	}
	return 0, fmt.Errorf("auditlog: signing mechanism %v: %w", m, ErrUnknown)
}

// A Signature is what ExportAuditLogSignature tells of a log, to be kept with its records.
//
// What a real machine hashes is not published. Here it is the records as ReadRecords gives them, the oldest first,
// followed by the fields that are exported with the signature: count, times (seconds since 1970) and mechanism as 4
// octets each, big-endian, the UUID and the FQDN. Verify also takes a signature of the records alone.
type Signature struct {
	Mechanism    Mechanism `json:"mechanism"`
	Count        uint32    `json:"count"`
	Start        time.Time `json:"start,omitzero"` // of the first record
	End          time.Time `json:"end,omitzero"`   // of the last record
	Generated    time.Time `json:"generated"`
	UUID         []byte    `json:"uuid"`
	FQDN         string    `json:"fqdn"`
	Value        []byte    `json:"value"`
	Certificates [][]byte  `json:"certificates"` // DER, the signer's first
}

// octets returns what is signed, with and without the fields.
func (s *Signature) octets(records [][]byte) (whole, bare []byte) {
	for _, r := range records {
		bare = append(bare, r...)
	}
	whole = bare[:len(bare):len(bare)]
	for _, n := range []uint32{s.Count, seconds32(s.Start), seconds32(s.End), seconds32(s.Generated), uint32(s.Mechanism)} {
		whole = binary.BigEndian.AppendUint32(whole, n)
	}
	whole = append(whole, s.UUID...)
	return append(whole, s.FQDN...), bare
}

func seconds32(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	return uint32(t.Unix())
}

// Sign puts the signature of the records into Value. All other fields must be set.
func (s *Signature) Sign(key *rsa.PrivateKey, records [][]byte) error {
	hash, err := s.Mechanism.hash()
	if err != nil {
		return err
	}
	whole, _ := s.octets(records)
	s.Value, err = rsa.SignPKCS1v15(rand.Reader, key, hash, sum(hash, whole))
	return err
}

func sum(hash crypto.Hash, octets []byte) []byte {
	h := hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

// Verify checks that the records are those that were signed, by the holder of the first certificate, and that the
// certificates lead to one of roots; nil roots: to a certificate among them that signed itself. It returns the chain.
// Errors wrap [ErrSignature] or [ErrChain].
func (s *Signature) Verify(records [][]byte, roots *x509.CertPool) ([]*x509.Certificate, error) {
	if len(s.Certificates) == 0 || len(s.Certificates) > MaxCertificates {
		return nil, fmt.Errorf("auditlog: %w: %d certificates, want 1 to %d", ErrChain, len(s.Certificates), MaxCertificates)
	}
	var all []*x509.Certificate
	for i, der := range s.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("auditlog: %w: certificate %d: %v", ErrChain, i+1, err)
		}
		all = append(all, c)
	}
	if int(s.Count) != len(records) {
		return all, fmt.Errorf("auditlog: %w: %d were signed, here are %d", ErrSignature, s.Count, len(records))
	}
	if err := s.check(all[0], records); err != nil {
		return all, err
	}
	between, own := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range all {
		if c.CheckSignatureFrom(c) == nil || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil {
			own.AddCert(c)
		} else {
			between.AddCert(c)
		}
	}
	if roots == nil {
		roots = own
	}
	// A chain counts by the time of the signature: a log is looked at years later.
	_, err := all[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: s.Generated, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return all, fmt.Errorf("auditlog: %w: %v", ErrChain, err)
	}
	return all, nil
}

// check holds the value against the signer's key.
func (s *Signature) check(signer *x509.Certificate, records [][]byte) error {
	key, ok := signer.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("auditlog: %w: the signer's key is not RSA", ErrChain)
	}
	hash, err := s.Mechanism.hash()
	if err != nil {
		return err
	}
	whole, bare := s.octets(records)
	for _, octets := range [][]byte{whole, bare} {
		if rsa.VerifyPKCS1v15(key, hash, sum(hash, octets), s.Value) == nil {
			return nil
		}
	}
	return fmt.Errorf("auditlog: %w", ErrSignature)
}

// SplitCertificates cuts certificates that stand one behind the other apart. Errors wrap [ErrChain].
func SplitCertificates(all []byte, lengths []uint16) ([][]byte, error) {
	if len(lengths) > MaxCertificates || len(all) > MaxCertificateSize {
		return nil, fmt.Errorf("auditlog: %w: %d certificates in %d octets, at most %d in %d", ErrChain, len(lengths), len(all), MaxCertificates, MaxCertificateSize)
	}
	var out [][]byte
	for _, n := range lengths {
		if int(n) > len(all) || n == 0 {
			return nil, fmt.Errorf("auditlog: %w: a certificate of %d octets, %d are left", ErrChain, n, len(all))
		}
		out, all = append(out, all[:n:n]), all[n:]
	}
	if len(all) > 0 {
		return nil, fmt.Errorf("auditlog: %w: %d octets behind the last certificate", ErrChain, len(all))
	}
	return out, nil
}

// Describe fills count and times from the records. A record that cannot be read leaves its time out.
func (s *Signature) Describe(records [][]byte) {
	s.Count, s.Start, s.End = uint32(len(records)), time.Time{}, time.Time{}
	if len(records) == 0 {
		return
	}
	if r, _, err := Parse(records[0]); err == nil {
		s.Start = r.When()
	}
	if r, _, err := Parse(records[len(records)-1]); err == nil {
		s.End = r.When()
	}
}
