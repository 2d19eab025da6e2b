package firmware

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Classes of the certificate store, and how their instances are called: a number from 0 follows. Source: spec classes.md
// section 5, recorded.
const (
	certificateClass = "AMT_PublicKeyCertificate"
	keyClass         = "AMT_PublicPrivateKeyPair"
	crlClass         = "AMT_CRL"

	certificateID = "Intel(r) AMT Certificate: Handle: "
	keyID         = "Intel(r) AMT Key: Handle: "
	crlID         = "Intel(r) AMT CRL: Handle: "
)

// Limits of the certificate store. Those of roots and chains are told by AMT_PublicKeyManagementCapabilities; how many
// keys and other certificates there may be is not known, and taken to be the same. Source: spec
// inventory-events-policies.md section 10.
const (
	maxRoots        = 8
	maxRootSize     = 4096 // octets of DER
	maxCertificates = 8    // that are no roots
	maxChainSize    = 4100 // octets of DER
	maxKeys         = 8
	maxCRLs         = 4
	maxCRLSize      = 4096 // octets of URL and serial numbers
)

// keyLengths are the sizes in bits of RSA keys that a release takes. 2048 is recorded; that longer ones came with 16 is
// likely. No release has keys that are not RSA.
func (m *Machine) keyLengths() []int {
	if m.profile.Before(16, 0) {
		return []int{2048}
	}
	return []int{2048, 3072}
}

// registerPKI gives the certificate store its methods and rules.
func registerPKI(t *table) {
	class.Handle(&t.methods, amt.PublicKeyManagementServiceAddCertificate, addCertificate)
	class.Handle(&t.methods, amt.PublicKeyManagementServiceAddTrustedRootCertificate, addTrustedRoot)
	class.Handle(&t.methods, amt.PublicKeyManagementServiceAddKey, addKey)
	class.Handle(&t.methods, amt.PublicKeyManagementServiceGenerateKeyPair, generateKeyPair)
	class.Handle(&t.methods, amt.PublicKeyManagementServiceGeneratePKCS10RequestEx, signRequest)
	class.Handle(&t.methods, amt.PublicKeyManagementServiceAddCRL, addCRL)
	class.Handle(&t.methods, amt.PublicKeyManagementServiceResetCRLList, resetCRLs)
	t.class("AMT_PublicKeyManagementCapabilities").patch = func(m *Machine, e *wsman.Element) {
		var lengths []string
		for _, bits := range m.keyLengths() {
			lengths = append(lengths, strconv.Itoa(bits))
		}
		set(e, "SupportedKeyLengths", lengths...)
		for name, limit := range map[string]int{"RootCertMaxCount": maxRoots, "RootCertMaxSize": maxRootSize, "CertChainMaxSize": maxChainSize,
			"CommonNameMaxCount": maxTrustedNames, "CommonNameMaxSize": maxTrustedName, "MaximumCRLSize": maxCRLSize} {
			set(e, name, strconv.Itoa(limit))
		}
	}
	certificates := t.class(certificateClass)
	certificates.onPut = putCertificate
	certificates.onDelete = deleteCertificate
	keys := t.class(keyClass)
	keys.onDelete = deleteKey
	keys.after = func(_ context.Context, m *Machine, old, now *wsman.Element) {
		if now == nil {
			m.keys.remove(old.ChildText("InstanceID"))
		}
	}
}

// pkiRefusal is how a Put or Delete of the certificate store is refused.
func pkiRefusal(op string, code status.Status) error { return &status.Error{Op: op, Code: code} }

// addNumbered adds an instance under the next number. m.writing is held.
func (m *Machine) addNumbered(class, prefix, elementName string, values map[string]string) (*wsman.EPR, status.Status) {
	ci := m.catalogue.classes[class]
	if ci == nil {
		return nil, status.InternalError
	}
	e := wsman.Element{Name: wsman.Name{Space: ci.uri, Local: ci.Name}}
	set(&e, "ElementName", elementName)
	for name, value := range values {
		set(&e, name, value)
	}
	for range maxInstances { // numbers of a loaded dump are not counted
		set(&e, "InstanceID", prefix+strconv.FormatUint(uint64(m.store.handle(class)-1), 10))
		made, err := m.add(ci, e)
		if errors.Is(err, wsman.ErrAlreadyExists) {
			continue
		}
		if err != nil {
			return nil, status.MaxLimitReached
		}
		return new(made.epr()), status.Success
	}
	return nil, status.MaxLimitReached
}

// A stored is a certificate of the store.
type stored struct {
	*x509.Certificate
	id   string
	root bool
}

// certificates returns the certificates of the store that can be read: a dump may hold them cut.
func (m *Machine) certificates() []stored {
	ci := m.catalogue.classes[certificateClass]
	if ci == nil {
		return nil
	}
	var out []stored
	for _, v := range m.views(ci) {
		der, err := base64.StdEncoding.DecodeString(v.element.ChildText("X509Certificate"))
		if err != nil {
			continue
		}
		if cert, err := x509.ParseCertificate(der); err == nil {
			out = append(out, stored{cert, v.element.ChildText("InstanceID"), v.element.ChildText("TrustedRootCertficate") == "true"})
		}
	}
	return out
}

// roots returns the trusted roots.
func (m *Machine) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range m.certificates() {
		if cert.root {
			pool.AddCert(cert.Certificate)
		}
	}
	return pool
}

// distinguishedName writes a name as devices do: "C=unknown,O=unknown,CN=MPSRoot-0af1d5", recorded.
func distinguishedName(raw []byte) string {
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &name); err != nil {
		return ""
	}
	return name.String()
}

// keepCertificate adds a certificate to the store.
func (m *Machine) keepCertificate(der []byte, root bool) (*wsman.EPR, status.Status) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, status.InvalidCert
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	count, limit, size := 0, maxCertificates, maxChainSize
	if root {
		limit, size = maxRoots, maxRootSize
	}
	for _, other := range m.certificates() {
		if other.root != root {
			continue
		}
		if other.Equal(cert) {
			return nil, status.Duplicate
		}
		count++
	}
	switch {
	case len(der) > size:
		return nil, status.InvalidCert
	case root && !(cert.IsCA && cert.BasicConstraintsValid) && cert.Version >= 3:
		return nil, status.InvalidCert
	case count >= limit:
		return nil, status.MaxLimitReached
	}
	return m.addNumbered(certificateClass, certificateID, "Intel(r) AMT Certificate", map[string]string{
		"X509Certificate": base64.StdEncoding.EncodeToString(der), "TrustedRootCertficate": strconv.FormatBool(root),
		"Issuer": distinguishedName(cert.RawIssuer), "Subject": distinguishedName(cert.RawSubject)})
}

func addCertificate(_ context.Context, m *Machine, _ wsman.Selectors, in amt.PublicKeyManagementServiceAddCertificateIn) (out amt.PublicKeyManagementServiceAddCertificateOut, code status.Status, _ error) {
	out.CreatedCertificate, code = m.keepCertificate(in.CertificateBlob, false)
	return out, code, nil
}

func addTrustedRoot(_ context.Context, m *Machine, _ wsman.Selectors, in amt.PublicKeyManagementServiceAddTrustedRootCertificateIn) (out amt.PublicKeyManagementServiceAddTrustedRootCertificateOut, code status.Status, _ error) {
	out.CreatedCertificate, code = m.keepCertificate(in.CertificateBlob, true)
	return out, code, nil
}

// keepKey adds a key pair to the store. The reference names the class of certificates when the key came from outside,
// as recorded.
func (m *Machine) keepKey(key *rsa.PrivateKey) (*wsman.EPR, status.Status) {
	m.writing.Lock()
	defer m.writing.Unlock()
	public := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	have := m.store.of(m.catalogue.classes[keyClass])
	for _, other := range have {
		if other.element.ChildText("DERKey") == public {
			return nil, status.Duplicate
		}
	}
	if len(have) >= maxKeys {
		return nil, status.MaxLimitReached
	}
	ref, code := m.addNumbered(keyClass, keyID, "Intel(r) AMT Key", map[string]string{"DERKey": public})
	if code == status.Success {
		m.keys.set(ref.Selectors.Value("InstanceID"), key)
	}
	return ref, code
}

func addKey(_ context.Context, m *Machine, _ wsman.Selectors, in amt.PublicKeyManagementServiceAddKeyIn) (out amt.PublicKeyManagementServiceAddKeyOut, code status.Status, _ error) {
	key, err := x509.ParsePKCS1PrivateKey(in.KeyBlob)
	if err != nil || !slices.Contains(m.keyLengths(), key.N.BitLen()) {
		return out, status.InvalidKey, nil
	}
	if out.CreatedKey, code = m.keepKey(key); code == status.Success {
		out.CreatedKey.ResourceURI = wsman.ClassURI(certificateClass)
	}
	return out, code, nil
}

func generateKeyPair(_ context.Context, m *Machine, _ wsman.Selectors, in amt.PublicKeyManagementServiceGenerateKeyPairIn) (out amt.PublicKeyManagementServiceGenerateKeyPairOut, code status.Status, _ error) {
	bits := int(class.Value(in.KeyLength))
	if class.Value(in.KeyAlgorithm) != amt.PublicKeyManagementServiceGenerateKeyPairKeyAlgorithmRSA || !slices.Contains(m.keyLengths(), bits) {
		return out, status.InvalidParameter, nil
	}
	if len(m.store.of(m.catalogue.classes[keyClass])) >= maxKeys {
		return out, status.MaxLimitReached, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return out, status.InternalError, nil
	}
	out.KeyPair, code = m.keepKey(key)
	return out, code, nil
}

// addCRL keeps the list of an address: a second one for the same address is a duplicate. Serial numbers are hex digits.
func addCRL(_ context.Context, m *Machine, _ wsman.Selectors, in amt.PublicKeyManagementServiceAddCRLIn) (out amt.PublicKeyManagementServiceAddCRLOut, code status.Status, _ error) {
	url := class.Value(in.Url)
	size := len(url)
	for _, serial := range in.SerialNumbers {
		if serialDigits(serial) == "" {
			return out, status.InvalidParameter, nil
		}
		size += len(serial)
	}
	if url == "" || len(in.SerialNumbers) == 0 || size > maxCRLSize {
		return out, status.InvalidParameter, nil
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes[crlClass]
	have := m.store.of(ci)
	for _, other := range have {
		if other.element.ChildText("Url") == url {
			return out, status.Duplicate, nil
		}
	}
	if len(have) >= maxCRLs {
		return out, status.MaxLimitReached, nil
	}
	if out.CRL, code = m.addNumbered(crlClass, crlID, "Intel(r) AMT CRL", map[string]string{"Url": url}); code != status.Success {
		return out, code, nil
	}
	m.modify(crlClass, out.CRL.Selectors, func(e *wsman.Element) { set(e, "SerialNumbers", in.SerialNumbers...) })
	return out, code, nil
}

func resetCRLs(_ context.Context, m *Machine, _ wsman.Selectors, _ amt.PublicKeyManagementServiceResetCRLListIn) (out amt.PublicKeyManagementServiceResetCRLListOut, _ status.Status, _ error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	ci := m.catalogue.classes[crlClass]
	for _, i := range m.store.of(ci) {
		m.store.update(ci, i, nil)
	}
	return out, status.Success, nil
}

// serialDigits brings a serial number into one form: hex digits in lower case, without zeros in front; "" if it is none.
func serialDigits(text string) string {
	digits := strings.ToLower(strings.NewReplacer(":", "", " ", "", "-", "").Replace(text))
	if digits == "" || !isHex(digits) {
		return ""
	}
	return cmp.Or(strings.TrimLeft(digits, "0"), "0")
}

// revoked reports whether a list of the store names a certificate.
func (m *Machine) revoked(cert *x509.Certificate) bool {
	serial := fmt.Sprintf("%x", cert.SerialNumber)
	for _, i := range m.store.of(m.catalogue.classes[crlClass]) {
		for k := range i.element.Children {
			if e := &i.element.Children[k]; e.Local == "SerialNumbers" && serialDigits(e.Text) == serial {
				return true
			}
		}
	}
	return false
}
