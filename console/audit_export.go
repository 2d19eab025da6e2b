package console

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
)

// An AuditExport is an audit log as it is kept in a file.
type AuditExport struct {
	Format    string              `json:"format"` // auditFormat
	Host      string              `json:"host"`
	Records   [][]byte            `json:"records"`             // octets, oldest first
	Signature *auditlog.Signature `json:"signature,omitempty"` // nil: the machine has no key to sign with
}

const auditFormat = "outband audit log 1"

// maxAuditFile is how long a file that holds an export may be, in octets.
const maxAuditFile = 64 << 20

// ExportAudit reads the log together with the machine's signature of it. Without a signing key there is none, which is
// no error. The log is read again if it changed before it was signed.
func (c *Client) ExportAudit(ctx context.Context, mechanism auditlog.Mechanism) (*AuditExport, error) {
	out, err := c.exportAudit(ctx, mechanism)
	if err != nil {
		return nil, fmt.Errorf("export audit log: %w", err)
	}
	return out, nil
}

func (c *Client) exportAudit(ctx context.Context, mechanism auditlog.Mechanism) (*AuditExport, error) {
	x := &AuditExport{Format: auditFormat, Host: c.Address()}
	for range maxRereads {
		var err error
		if x.Records, err = c.readAudit(ctx); err != nil {
			return nil, err
		}
		if x.Signature, err = c.signAudit(ctx, mechanism); err != nil {
			return nil, err
		}
		if x.Signature == nil {
			return x, nil
		}
		n := int(x.Signature.Count)
		if n == len(x.Records) {
			return x, nil
		}
		// Something was logged between the two: the signature covers a little more. What it does not cover was logged
		// after it, the record of the export above all.
		if x.Records, err = c.readAudit(ctx); err != nil {
			return nil, err
		}
		if n < len(x.Records) {
			x.Records = x.Records[:n]
			return x, nil
		}
	}
	return nil, fmt.Errorf("it changed each of %d times it was read", maxRereads)
}

// signAudit has the machine sign its log; nil if it has no key.
func (c *Client) signAudit(ctx context.Context, mechanism auditlog.Mechanism) (*auditlog.Signature, error) {
	in := amt.AuditLogExportAuditLogSignatureIn{SigningMechanism: new(amt.AuditLogSigningMechanism(mechanism))}
	out, err := amt.AuditLogExportAuditLogSignature.Invoke(ctx, c, in)
	if answered(err, status.PKIMissingKeys) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &auditlog.Signature{Mechanism: auditlog.Mechanism(class.Value(out.SignatureMechanism)), Count: class.Value(out.TotalRecordCount),
		UUID: octetsOf(class.Value(out.UUID), 16), FQDN: class.Value(out.FQDN), Value: out.Signature}
	if out.StartLogTime != nil {
		s.Start = out.StartLogTime.Time
	}
	if out.EndLogTime != nil {
		s.End = out.EndLogTime.Time
	}
	if out.GenerationTime != nil {
		s.Generated = out.GenerationTime.Time
	}
	s.Certificates, err = auditlog.SplitCertificates(out.Certificates, out.LengthOfCertificates)
	return s, err
}

// Write writes the export as JSON.
func (x *AuditExport) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(x)
}

// ErrNoExport is an error of files that hold no export.
var ErrNoExport = errors.New("not an exported audit log")

// ReadAuditExport reads what [AuditExport.Write] wrote. Errors wrap [ErrNoExport].
func ReadAuditExport(r io.Reader) (*AuditExport, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAuditFile+1))
	if err != nil {
		return nil, err
	}
	var x AuditExport
	if len(text) > maxAuditFile {
		return nil, fmt.Errorf("%w: longer than %d octets", ErrNoExport, maxAuditFile)
	}
	if err := json.Unmarshal(text, &x); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoExport, err)
	}
	if x.Format != auditFormat {
		return nil, fmt.Errorf("%w: its format is %.40q", ErrNoExport, x.Format)
	}
	return &x, nil
}

// ErrUnsigned is an error of exports without a signature.
var ErrUnsigned = errors.New("not signed")

// Verify holds the records against the signature and the signer's certificate against authorities, in PEM; none: the
// export's own. It returns the signer's name. Errors wrap [ErrUnsigned], [auditlog.ErrSignature] or [auditlog.ErrChain].
func (x *AuditExport) Verify(authorities []byte) (signer string, err error) {
	if x.Signature == nil {
		return "", ErrUnsigned
	}
	var roots *x509.CertPool
	if authorities != nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(authorities) {
			return "", fmt.Errorf("%w: no certificate in the file of authorities", ErrUsage)
		}
	}
	chain, err := x.Signature.Verify(x.Records, roots)
	if len(chain) > 0 {
		signer = chain[0].Subject.String()
	}
	return signer, err
}

// SetAuditKey gives the machine a key to sign its log with, and the chain of certificates of the key, its own first: both
// in PEM. The machine's state is read to see that it has it. What the machine would refuse (a key that is not RSA of
// 2048 bits, more than five certificates or 4100 octets of them, a certificate of another key) is an error that wraps
// [ErrUsage], and nothing is sent.
func (c *Client) SetAuditKey(ctx context.Context, keyPEM, chainPEM []byte) error {
	in, err := signingMaterial(keyPEM, chainPEM)
	if err == nil {
		_, err = amt.AuditLogSetSigningKeyMaterial.Invoke(ctx, c, in)
	}
	if err == nil {
		var now AuditState
		if now, err = c.auditState(ctx); err == nil && !now.Signing {
			err = ErrDiffers
		}
	}
	if err != nil {
		return fmt.Errorf("set signing key of audit log: %w", err)
	}
	return nil
}

func signingMaterial(keyPEM, chainPEM []byte) (in amt.AuditLogSetSigningKeyMaterialIn, err error) {
	key, err := rsaKey(keyPEM)
	if err != nil {
		return in, err
	}
	var first *x509.Certificate
	for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return in, fmt.Errorf("%w: %v", ErrUsage, err)
		}
		if first == nil {
			first = c
		}
		in.LengthOfCertificates = append(in.LengthOfCertificates, uint16(len(c.Raw)))
		in.Certificates = append(in.Certificates, c.Raw...)
	}
	switch {
	case first == nil:
		return in, fmt.Errorf("%w: no certificate in the file", ErrUsage)
	case len(in.LengthOfCertificates) > auditlog.MaxCertificates || len(in.Certificates) > auditlog.MaxCertificateSize:
		return in, fmt.Errorf("%w: %d certificates in %d octets; AMT takes %d in %d", ErrUsage, len(in.LengthOfCertificates), len(in.Certificates),
			auditlog.MaxCertificates, auditlog.MaxCertificateSize)
	case !key.PublicKey.Equal(first.PublicKey):
		return in, fmt.Errorf("%w: the first certificate is of another key", ErrUsage)
	}
	in.SigningMechanismType = new(amt.AuditLogSigningMechanismRSASHA256) // firmware takes any, and ignores it
	in.SigningKey = x509.MarshalPKCS1PrivateKey(key)
	return in, nil
}

// rsaKey reads an RSA key of 2048 bits in PEM.
func rsaKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(bytes.TrimSpace(text))
	if block == nil {
		return nil, fmt.Errorf("%w: no key in PEM", ErrUsage)
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: no RSA key that is not encrypted", ErrUsage)
		}
		var ok bool
		if key, ok = any.(*rsa.PrivateKey); !ok {
			return nil, fmt.Errorf("%w: the key is not RSA", ErrUsage)
		}
	}
	if key.N.BitLen() != auditlog.SigningKeyBits {
		return nil, fmt.Errorf("%w: the key has %d bits; AMT wants %d", ErrUsage, key.N.BitLen(), auditlog.SigningKeyBits)
	}
	return key, nil
}
