package firmware

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// testCA signs certificates in tests.
type testCA struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func newCA(t testing.TB, name string) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &testCA{key: key}
	ca.Certificate = ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, &key.PublicKey)
	return ca
}

// serials makes every certificate of a test differ.
func (ca *testCA) issue(t testing.TB, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.BasicConstraintsValid = serial, true
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent := ca.Certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func code(err error) status.Status {
	var refusal *status.Error
	var fault *wsman.Fault
	switch {
	case err == nil:
		return status.Success
	case errors.As(err, &refusal):
		return refusal.Code
	case errors.As(err, &fault):
		var n uint32
		if _, err := fmt.Sscanf(fault.Detail, "AMT-STATUS %d", &n); err == nil {
			return status.Status(n)
		}
	}
	return ^status.Status(0)
}

func generate(t testing.TB, c wsman.RoundTripper, bits uint32) *wsman.EPR {
	t.Helper()
	out, err := amt.PublicKeyManagementServiceGenerateKeyPair.Invoke(t.Context(), c, amt.PublicKeyManagementServiceGenerateKeyPairIn{
		KeyAlgorithm: new(amt.PublicKeyManagementServiceGenerateKeyPairKeyAlgorithmRSA), KeyLength: &bits})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyPair
}

func readKey(t testing.TB, c wsman.RoundTripper, ref *wsman.EPR) *rsa.PublicKey {
	t.Helper()
	pair, err := class.Get[amt.PublicPrivateKeyPair](t.Context(), c, ref.Selectors...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS1PublicKey(pair.DERKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// unsigned makes a request as consoles do before the device signs: with a signature of zeros.
func unsigned(t testing.TB, key *rsa.PublicKey) []byte {
	t.Helper()
	aside, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "desk-7"}, DNSNames: []string{"desk-7.example.org"}}, aside)
	if err != nil {
		t.Fatal(err)
	}
	var request request10
	var info requestInfo
	if _, err := asn1.Unmarshal(der, &request); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(request.Info.FullBytes, &info); err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	info.Raw, info.PublicKey = nil, publicKeyInfo{Raw: public}
	if request.Info.FullBytes, err = asn1.Marshal(info); err != nil {
		t.Fatal(err)
	}
	request.Info = asn1.RawValue{FullBytes: request.Info.FullBytes}
	request.Algorithm = pkix.AlgorithmIdentifier{Algorithm: requestHashes[1].oid, Parameters: asn1.NullRawValue}
	request.Signature = asn1.BitString{Bytes: make([]byte, key.Size()), BitLength: 8 * key.Size()}
	if der, err = asn1.Marshal(request); err != nil {
		t.Fatal(err)
	}
	return der
}

func sign(t testing.TB, c wsman.RoundTripper, ref *wsman.EPR, algorithm uint32, request []byte) ([]byte, error) {
	t.Helper()
	out, err := amt.PublicKeyManagementServiceGeneratePKCS10RequestEx.Invoke(t.Context(), c, amt.PublicKeyManagementServiceGeneratePKCS10RequestExIn{
		KeyPair: ref, SigningAlgorithm: new(amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithm(algorithm)), NullSignedCertificateRequest: request})
	return out.SignedCertificateRequest, err
}

// TestSignRequest: the device signs with the key that it made, as it was asked to; a request for another key it does not.
func TestSignRequest(t *testing.T) {
	c := client(t, newMachine(t, Config{Generation: 16}))
	for _, bits := range []uint32{2048, 3072} {
		ref := generate(t, c, bits)
		key := readKey(t, c, ref)
		if got := uint32(key.N.BitLen()); got != bits {
			t.Errorf("key of %d bits, want %d", got, bits)
		}
		request := unsigned(t, key)
		for algorithm, want := range map[uint32]x509.SignatureAlgorithm{1: x509.SHA256WithRSA, 2: x509.SHA384WithRSA} {
			der, err := sign(t, c, ref, algorithm, request)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := signed.CheckSignature(); err != nil || signed.SignatureAlgorithm != want || signed.DNSNames[0] != "desk-7.example.org" {
				t.Errorf("%d: got %v for %v, %v", algorithm, signed.SignatureAlgorithm, signed.DNSNames, err)
			}
		}
		if der, err := sign(t, c, ref, 0, request); err != nil {
			t.Errorf("SHA-1: %v", err)
		} else if signed, err := x509.ParseCertificateRequest(der); err != nil || signed.SignatureAlgorithm != x509.SHA1WithRSA {
			t.Errorf("SHA-1: %v", err)
		}
		other := generate(t, c, 2048)
		nowhere := wsman.Ref(keyClass, "InstanceID", keyID+"99")
		for name, tt := range map[string]struct {
			key       *wsman.EPR
			algorithm uint32
			request   []byte
			want      status.Status
		}{
			"another key":     {other, 1, request, status.InvalidKey},
			"no such key":     {&nowhere, 1, request, status.InvalidHandle},
			"unknown hash":    {ref, 3, request, status.InvalidParameter},
			"cut":             {ref, 1, request[:len(request)-1], status.InvalidCert},
			"something after": {ref, 1, append(bytes.Clone(request), 0), status.InvalidCert},
			"no request":      {ref, 1, []byte("x"), status.InvalidCert},
		} {
			if _, err := sign(t, c, tt.key, tt.algorithm, tt.request); code(err) != tt.want {
				t.Errorf("%s: got %v, want %v", name, err, tt.want)
			}
		}
	}
}

// TestPKILimits: what firmware does not take, it says so.
func TestPKILimits(t *testing.T) {
	m := newMachine(t, Config{})
	c := client(t, m)
	ca := newCA(t, "root")
	add := func(der []byte, root bool) status.Status {
		var err error
		if root {
			_, err = amt.PublicKeyManagementServiceAddTrustedRootCertificate.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddTrustedRootCertificateIn{CertificateBlob: der})
		} else {
			_, err = amt.PublicKeyManagementServiceAddCertificate.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddCertificateIn{CertificateBlob: der})
		}
		return code(err)
	}
	leaf := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, &ca.key.PublicKey)
	large := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("x", 5000)}}, &ca.key.PublicKey)
	for _, tt := range []struct {
		name string
		der  []byte
		root bool
		want status.Status
	}{
		{"root", ca.Raw, true, status.Success},
		{"the same root", ca.Raw, true, status.Duplicate},
		{"a leaf as root", leaf.Raw, true, status.InvalidCert},
		{"leaf", leaf.Raw, false, status.Success},
		{"the same leaf", leaf.Raw, false, status.Duplicate},
		{"too large", large.Raw, false, status.InvalidCert},
		{"no certificate", []byte("x"), false, status.InvalidCert},
		{"cut", leaf.Raw[:100], false, status.InvalidCert},
	} {
		if got := add(tt.der, tt.root); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for n := 1; n < maxRoots; n++ {
		if got := add(newCA(t, fmt.Sprint("root ", n)).Raw, true); got != status.Success {
			t.Fatalf("root %d: %v", n, got)
		}
	}
	if got := add(newCA(t, "one too many").Raw, true); got != status.MaxLimitReached {
		t.Errorf("root %d: got %v, want %v", maxRoots+1, got, status.MaxLimitReached)
	}
	root, err := class.Get[amt.PublicKeyCertificate](t.Context(), c, wsman.Selector{Name: "InstanceID", Value: certificateID + "0"})
	if err != nil || *root.Subject != "CN=root" || !*root.TrustedRootCertficate || !bytes.Equal(root.X509Certificate, ca.Raw) {
		t.Errorf("the first root reads %+v, %v", root, err)
	}

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	addKey := func(blob []byte) status.Status {
		out, err := amt.PublicKeyManagementServiceAddKey.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddKeyIn{KeyBlob: blob})
		if err == nil && wsman.ClassName(out.CreatedKey.ResourceURI) != certificateClass { // recorded so
			t.Errorf("AddKey names class %s", out.CreatedKey.ResourceURI)
		}
		return code(err)
	}
	for _, tt := range []struct {
		name string
		blob []byte
		want status.Status
	}{
		{"key", x509.MarshalPKCS1PrivateKey(key), status.Success},
		{"the same key", x509.MarshalPKCS1PrivateKey(key), status.Duplicate},
		{"short key", x509.MarshalPKCS1PrivateKey(short), status.InvalidKey},
		{"public key", x509.MarshalPKCS1PublicKey(&key.PublicKey), status.InvalidKey},
	} {
		if got := addKey(tt.blob); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, bits := range []uint32{0, 1024, 3072, 1 << 31} { // 3072 came with 16
		_, err := amt.PublicKeyManagementServiceGenerateKeyPair.Invoke(t.Context(), c, amt.PublicKeyManagementServiceGenerateKeyPairIn{
			KeyAlgorithm: new(amt.PublicKeyManagementServiceGenerateKeyPairKeyAlgorithmRSA), KeyLength: &bits})
		if code(err) != status.InvalidParameter {
			t.Errorf("%d bits: got %v, want %v", bits, err, status.InvalidParameter)
		}
	}
}

// TestPKIUse: what is bound to TLS cannot be removed, and a certificate without its key cannot be bound.
func TestPKIUse(t *testing.T) {
	m := newMachine(t, Config{})
	c := client(t, m)
	ca := newCA(t, "root")
	ref := generate(t, c, 2048)
	key := readKey(t, c, ref)
	add := func(cert *x509.Certificate) wsman.EPR {
		out, err := amt.PublicKeyManagementServiceAddCertificate.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddCertificateIn{CertificateBlob: cert.Raw})
		if err != nil {
			t.Fatal(err)
		}
		return *out.CreatedCertificate
	}
	good := add(ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "good"}}, key))
	newer := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "newer"}}, key)
	stray := add(ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "stray"}}, &ca.key.PublicKey))
	bind := func(cert wsman.EPR) *amt.TLSCredentialContext {
		return &amt.TLSCredentialContext{ElementInContext: &cert, ElementProvidingContext: new(wsman.Ref("AMT_TLSProtocolEndpointCollection", "ElementName", tlsCollection))}
	}
	remove := func(class string, sel wsman.Selectors) status.Status {
		return code(wsman.Delete(t.Context(), c, wsman.ClassURI(class), sel))
	}
	if _, err := class.Create[amt.TLSCredentialContext](t.Context(), c, bind(stray)); code(err) != status.CertKeyNotMatch {
		t.Errorf("binding without a key: got %v, want %v", err, status.CertKeyNotMatch)
	}
	if _, err := class.Create[amt.TLSCredentialContext](t.Context(), c, bind(good)); err != nil {
		t.Fatal(err)
	}
	if _, err := class.Create[amt.TLSCredentialContext](t.Context(), c, bind(good)); !errors.Is(err, wsman.ErrAlreadyExists) {
		t.Errorf("binding twice: got %v, want %v", err, wsman.ErrAlreadyExists)
	}
	if got := remove(certificateClass, good.Selectors); got != status.NotPermitted {
		t.Errorf("removing the certificate: got %v, want %v", got, status.NotPermitted)
	}
	if got := remove(keyClass, ref.Selectors); got != status.NotPermitted {
		t.Errorf("removing its key: got %v, want %v", got, status.NotPermitted)
	}

	// The old instance by its selectors, the new one in the body: the binding moves.
	next := add(newer)
	body := bind(next).Element()
	uri := wsman.ClassURI(tlsContextClass)
	got, err := wsman.Put(t.Context(), c, uri, bind(good).Selectors(), &body)
	if err != nil {
		t.Fatal(err)
	}
	if epr, err := wsman.ParseEPR(got.Child("ElementInContext")); err != nil || epr.Selectors.Value("InstanceID") != next.Selectors.Value("InstanceID") {
		t.Errorf("after Put: %+v, %v", epr, err)
	}
	for _, step := range []struct {
		class string
		sel   wsman.Selectors
	}{{certificateClass, good.Selectors}, {tlsContextClass, bind(next).Selectors()}, {certificateClass, next.Selectors}, {keyClass, ref.Selectors}, {certificateClass, stray.Selectors}} {
		if got := remove(step.class, step.sel); got != status.Success {
			t.Errorf("removing %s %v: %v", step.class, step.sel, got)
		}
	}
	for _, name := range []string{certificateClass, keyClass, tlsContextClass} {
		if left := m.store.of(m.catalogue.classes[name]); len(left) != 0 {
			t.Errorf("%d of %s are left", len(left), name)
		}
	}
}

// TestPKIState: a machine that was saved signs with the same key; one filled from a dump has no private half and says so.
func TestPKIState(t *testing.T) {
	m := newMachine(t, Config{})
	ref := generate(t, client(t, m), 2048)
	var text bytes.Buffer
	if err := m.Dump(&text); err != nil {
		t.Fatal(err)
	}
	state, err := ReadState(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, newMachine(t, Config{State: state}))
	request := unsigned(t, readKey(t, c, ref))
	if _, err := sign(t, c, ref, 1, request); err != nil {
		t.Errorf("after loading: %v", err)
	}
	if next := generate(t, c, 2048); next.Selectors.Value("InstanceID") != keyID+"1" {
		t.Errorf("the next key is %v", next.Selectors)
	}
	delete(state.Parts, "keys")
	c = client(t, newMachine(t, Config{State: state}))
	if _, err := sign(t, c, ref, 1, request); code(err) != status.InvalidKey {
		t.Errorf("from a dump: got %v, want %v", err, status.InvalidKey)
	}
	if err := new(privateKeys).load([]byte(`{"x":"AAAA"}`)); err == nil {
		t.Error("a damaged key was loaded")
	}

	m.Unprovision()
	if m.keys.get(ref.Selectors.Value("InstanceID")) != nil || len(m.store.of(m.catalogue.classes[keyClass])) != 0 {
		t.Error("a key survives unprovisioning")
	}
}

// TestCRL: lists are kept by address, and revoke.
func TestCRL(t *testing.T) {
	m := newMachine(t, Config{})
	c := client(t, m)
	add := func(url string, serials ...string) status.Status {
		_, err := amt.PublicKeyManagementServiceAddCRL.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddCRLIn{Url: &url, SerialNumbers: serials})
		return code(err)
	}
	for _, tt := range []struct {
		url     string
		serials []string
		want    status.Status
	}{
		{"http://ca.example/1", []string{"00:1F:2E", "7"}, status.Success},
		{"http://ca.example/1", []string{"9"}, status.Duplicate},
		{"", []string{"9"}, status.InvalidParameter},
		{"http://ca.example/2", nil, status.InvalidParameter},
		{"http://ca.example/2", []string{"xyz"}, status.InvalidParameter},
	} {
		if got := add(tt.url, tt.serials...); got != tt.want {
			t.Errorf("%q %q: got %v, want %v", tt.url, tt.serials, got, tt.want)
		}
	}
	for serial, want := range map[int64]bool{0x1f2e: true, 7: true, 8: false} {
		if got := m.revoked(&x509.Certificate{SerialNumber: big.NewInt(serial)}); got != want {
			t.Errorf("serial %x: revoked %v, want %v", serial, got, want)
		}
	}
	if _, err := amt.PublicKeyManagementServiceResetCRLList.Invoke(t.Context(), c, amt.PublicKeyManagementServiceResetCRLListIn{}); err != nil {
		t.Fatal(err)
	}
	if left, err := class.All[amt.CRL](t.Context(), c); err != nil || len(left) != 0 {
		t.Errorf("after the reset: %d lists, %v", len(left), err)
	}
}

// FuzzSignRequest: whatever is signed is a request whose signature holds; nothing crashes.
func FuzzSignRequest(f *testing.F) {
	m := newMachine(f, Config{})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	ref, failed := m.keepKey(key)
	if failed != status.Success {
		f.Fatal(failed)
	}
	good := unsigned(f, &key.PublicKey)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, request []byte) {
		out, result, err := signRequest(context.Background(), m, nil, amt.PublicKeyManagementServiceGeneratePKCS10RequestExIn{KeyPair: ref,
			SigningAlgorithm: new(amt.PublicKeyManagementServiceGeneratePKCS10RequestExSigningAlgorithmSHA256), NullSignedCertificateRequest: request})
		if err != nil {
			t.Fatal(err)
		}
		if result != status.Success {
			return
		}
		var signed request10
		if rest, err := asn1.Unmarshal(out.SignedCertificateRequest, &signed); err != nil || len(rest) > 0 {
			t.Fatalf("not a request: %v, %s", err, base64.StdEncoding.EncodeToString(out.SignedCertificateRequest))
		}
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, requestHashes[1].sum(signed.Info.FullBytes), signed.Signature.Bytes); err != nil {
			t.Fatal(err)
		}
	})
}
