package firmware

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// putCertificate replaces a certificate by a newer one of the same kind: that of a key stays with its key.
func putCertificate(_ context.Context, m *Machine, old, want *wsman.Element) error {
	const op = certificateClass + ".Put"
	der, err := base64.StdEncoding.DecodeString(want.ChildText("X509Certificate"))
	if err != nil {
		return pkiRefusal(op, status.InvalidCert)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || len(der) > maxRootSize {
		return pkiRefusal(op, status.InvalidCert)
	}
	for _, other := range m.certificates() {
		same := other.id == old.ChildText("InstanceID")
		switch {
		case !same && other.root == (old.ChildText("TrustedRootCertficate") == "true") && other.Equal(cert):
			return pkiRefusal(op, status.Duplicate)
		case same && m.keys.of(other.Certificate) != nil && m.keys.of(cert) != m.keys.of(other.Certificate):
			return pkiRefusal(op, status.CertKeyNotMatch)
		}
	}
	set(want, "Issuer", distinguishedName(cert.RawIssuer))
	set(want, "Subject", distinguishedName(cert.RawSubject))
	return nil
}

// inUse reports whether anything refers to a certificate: an association that binds it, or the TLS settings in force.
func (m *Machine) inUse(id string) bool {
	for _, local := range []bool{false, true} {
		if m.tls(local).Certificate == id {
			return true
		}
	}
	family := m.catalogue.classes["CIM_CredentialContext"]
	if family == nil {
		return false
	}
	for _, ci := range family.family {
		for _, i := range m.store.of(ci) {
			if k := i.keys.Get("ElementInContext"); k != nil && k.EPR != nil && k.EPR.Selectors.Value("InstanceID") == id {
				return true
			}
		}
	}
	return false
}

// deleteCertificate refuses to take away what is in use, and the last root while clients are judged by roots. Source:
// spec inventory-events-policies.md section 10, wsman.md section 7.4; the status is a guess.
func deleteCertificate(_ context.Context, m *Machine, old *wsman.Element) error {
	id := old.ChildText("InstanceID")
	if m.inUse(id) {
		return pkiRefusal(certificateClass+".Delete", status.NotPermitted)
	}
	if old.ChildText("TrustedRootCertficate") != "true" || !m.tls(false).Mutual && !m.tls(true).Mutual {
		return nil
	}
	for _, other := range m.certificates() {
		if other.root && other.id != id {
			return nil
		}
	}
	return pkiRefusal(certificateClass+".Delete", status.NotPermitted)
}

// deleteKey refuses to take away the key of a certificate that is in use.
func deleteKey(_ context.Context, m *Machine, old *wsman.Element) error {
	public := old.ChildText("DERKey")
	for _, cert := range m.certificates() {
		key, ok := cert.PublicKey.(*rsa.PublicKey)
		if ok && base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(key)) == public && m.inUse(cert.id) {
			return pkiRefusal(keyClass+".Delete", status.NotPermitted)
		}
	}
	return nil
}

// A request10 is a certificate signing request. RFC 2986 section 4.
type request10 struct {
	Info      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// requestInfo is the part of it that is signed.
type requestInfo struct {
	Raw        asn1.RawContent
	Version    int
	Subject    asn1.RawValue
	PublicKey  publicKeyInfo
	Attributes []asn1.RawValue `asn1:"tag:0"`
}

type publicKeyInfo struct {
	Raw       asn1.RawContent
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

// requestHash is one of the ways to sign. RFC 8017 appendix A.2.4.
type requestHash struct {
	hash crypto.Hash
	oid  asn1.ObjectIdentifier
	sum  func(b []byte) []byte
}

// requestHashes are in the order of SigningAlgorithm.
var requestHashes = []requestHash{
	{crypto.SHA1, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, func(b []byte) []byte { s := sha1.Sum(b); return s[:] }},
	{crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
	{crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }},
}

// signRequest signs a certificate request with a key of the store, as it came; only algorithm and signature are made
// anew. The public key in it must be that of the key pair.
func signRequest(_ context.Context, m *Machine, _ wsman.Selectors, in amt.PublicKeyManagementServiceGeneratePKCS10RequestExIn) (out amt.PublicKeyManagementServiceGeneratePKCS10RequestExOut, _ status.Status, _ error) {
	pair, err := m.resolve(in.KeyPair)
	if err != nil || pair.class.Name != keyClass {
		return out, status.InvalidHandle, nil
	}
	algorithm := uint32(class.Value(in.SigningAlgorithm))
	if algorithm >= uint32(len(requestHashes)) || len(in.NullSignedCertificateRequest) > maxChainSize {
		return out, status.InvalidParameter, nil
	}
	key := m.keys.get(pair.element.ChildText("InstanceID"))
	if key == nil { // of a dump
		return out, status.InvalidKey, nil
	}
	var request request10
	var info requestInfo
	if rest, err := asn1.Unmarshal(in.NullSignedCertificateRequest, &request); err != nil || len(rest) > 0 {
		return out, status.InvalidCert, nil
	}
	if rest, err := asn1.Unmarshal(request.Info.FullBytes, &info); err != nil || len(rest) > 0 {
		return out, status.InvalidCert, nil
	}
	public, err := x509.ParsePKIXPublicKey(info.PublicKey.Raw)
	if err != nil {
		return out, status.InvalidCert, nil
	}
	if !key.PublicKey.Equal(public) {
		return out, status.InvalidKey, nil
	}
	h := requestHashes[algorithm]
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, h.hash, h.sum(request.Info.FullBytes))
	if err != nil {
		return out, status.InternalError, nil
	}
	request.Algorithm = pkix.AlgorithmIdentifier{Algorithm: h.oid, Parameters: asn1.NullRawValue}
	request.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	if out.SignedCertificateRequest, err = asn1.Marshal(request); err != nil {
		return out, status.InternalError, nil
	}
	return out, status.Success, nil
}
