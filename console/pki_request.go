package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A Hash is what a certificate request is signed with.
type Hash string

// The hashes. Firmware also knows SHA-1, which nobody should use any more.
const (
	SHA256 Hash = "sha256"
	SHA384 Hash = "sha384"
)

// RequestCertificate has the machine sign a certificate request (PKCS #10, DER) with one of its keys, "key-1", for a
// subject and names: DNS names and IP addresses. hash "" is SHA-256. What comes back is checked: its signature, and that
// it asks for what was asked.
func (c *Client) RequestCertificate(ctx context.Context, keyID string, subject pkix.Name, names []string, hash Hash) ([]byte, error) {
	der, err := c.requestCertificate(ctx, keyID, subject, names, hash)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

func (c *Client) requestCertificate(ctx context.Context, keyID string, subject pkix.Name, names []string, hash Hash) ([]byte, error) {
	p, err := c.pkiStore(ctx)
	if err != nil {
		return nil, err
	}
	key := p.Key(keyID)
	if key == nil || key.Public == nil {
		return nil, fmt.Errorf("%w: no key %q", ErrUsage, keyID)
	}
	return c.signedRequest(ctx, key, subject, names, hash)
}

func (c *Client) signedRequest(ctx context.Context, key *KeyPair, subject pkix.Name, names []string, hash Hash) ([]byte, error) {
	template := &x509.CertificateRequest{Subject: subject}
	algorithm := amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithmSHA256
	switch hash {
	case "", SHA256:
	case SHA384:
		algorithm = amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithmSHA384
	default:
		return nil, fmt.Errorf("%w: hash %q is none of sha256, sha384", ErrUsage, hash)
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	unsigned, err := unsignedRequest(template, key.Public, algorithm)
	if err != nil {
		return nil, err
	}
	in := amt.PublicKeyManagementServiceGeneratePKCS10RequestExIn{KeyPair: new(wsman.Ref("AMT_PublicPrivateKeyPair", "InstanceID", key.instance)),
		SigningAlgorithm: &algorithm, NullSignedCertificateRequest: unsigned}
	out, err := c.whenKeysAreMade(ctx, in)
	if err != nil {
		return nil, err
	}
	signed, err := x509.ParseCertificateRequest(out.SignedCertificateRequest)
	if err != nil {
		return nil, fmt.Errorf("%w: what the machine signed is no certificate request: %w", ErrDiffers, err)
	}
	if err := signed.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: the machine's signature does not hold: %w", ErrDiffers, err)
	}
	var asked request10
	if _, err := asn1.Unmarshal(unsigned, &asked); err != nil || string(asked.Info.FullBytes) != string(signed.RawTBSCertificateRequest) {
		return nil, fmt.Errorf("%w: the machine signed another request than was asked", ErrDiffers)
	}
	return signed.Raw, nil
}

// whenKeysAreMade asks for a signature, again while the machine still makes keys.
func (c *Client) whenKeysAreMade(ctx context.Context, in amt.PublicKeyManagementServiceGeneratePKCS10RequestExIn) (amt.PublicKeyManagementServiceGeneratePKCS10RequestExOut, error) {
	ctx, cancel := context.WithTimeout(ctx, keyWait)
	defer cancel()
	for {
		out, err := amt.PublicKeyManagementServiceGeneratePKCS10RequestEx.Invoke(ctx, c, in)
		var refusal *status.Error
		if !errors.As(err, &refusal) || refusal.Code != status.PKIGeneratingKeys {
			return out, err
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return out, err
		}
	}
}

// A request10 is a certificate signing request. RFC 2986 section 4.
type request10 struct {
	Info      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// requestInfo is the part of it that is signed.
type requestInfo struct {
	Version    int
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Attributes []asn1.RawValue `asn1:"tag:0"`
}

// requestSignatures are the algorithms to name. RFC 8017 appendix A.2.4.
var requestSignatures = map[amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithm]asn1.ObjectIdentifier{
	amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithmSHA256: {1, 2, 840, 113549, 1, 1, 11},
	amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithmSHA384: {1, 2, 840, 113549, 1, 1, 12},
}

// unsignedRequest makes a certificate request with zeros where the machine puts its signature. crypto/x509 makes none
// without the private key: it is made for a key that is thrown away, and the machine's is put in its place.
func unsignedRequest(template *x509.CertificateRequest, public *rsa.PublicKey, algorithm amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithm) ([]byte, error) {
	aside, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	model, err := x509.CreateCertificateRequest(rand.Reader, template, aside)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	var request request10
	var info requestInfo
	if _, err := asn1.Unmarshal(model, &request); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(request.Info.FullBytes, &info); err != nil {
		return nil, err
	}
	info.PublicKey = asn1.RawValue{FullBytes: key}
	signed, err := asn1.Marshal(info)
	if err != nil {
		return nil, err
	}
	request.Info = asn1.RawValue{FullBytes: signed}
	request.Algorithm = pkix.AlgorithmIdentifier{Algorithm: requestSignatures[algorithm], Parameters: asn1.NullRawValue}
	request.Signature = asn1.BitString{Bytes: make([]byte, public.Size()), BitLength: 8 * public.Size()}
	return asn1.Marshal(request)
}
