package console

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A vault is a machine with a certificate store.
type vault struct {
	*fake
	key     *rsa.PrivateKey                               // that it signs with
	forgets bool                                          // takes changes and does not keep them
	spoil   func(request *x509.CertificateRequest) []byte // what it signs instead; nil: what it was asked to
	busy    int                                           // requests refused because keys are being made
	changes []string
}

func newVault(t *testing.T) *vault {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	v := &vault{fake: newFake(), key: key}
	for _, name := range []string{"AMT_PublicKeyCertificate", "AMT_PublicPrivateKeyPair", "AMT_CRL", "CIM_CredentialContext", tlsContext} {
		v.instances[name] = []wsman.Element{}
	}
	v.put(&amt.PublicKeyManagementCapabilities{InstanceID: new("x"), SupportedKeyLengths: []uint32{2048}})
	v.put(&amt.PublicPrivateKeyPair{InstanceID: new("Intel(r) AMT Key: Handle: 3"), DERKey: x509.MarshalPKCS1PublicKey(&key.PublicKey)})
	return v
}

func (v *vault) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	name := wsman.ClassName(req.ResourceURI)
	method, ok := strings.CutPrefix(req.Action, wsman.ClassURI("AMT_PublicKeyManagementService")+"/")
	answer := &wsman.Response{Action: req.Action + wsman.ResponseSuffix, RelatesTo: req.MessageID, ResourceURI: req.ResourceURI}
	switch {
	case ok:
		v.changes = append(v.changes, method)
		out, found, err := vaultMethods.Invoke(ctx, v, name, method, req.Selectors, req.Body)
		if err != nil || !found {
			return nil, cmpError(err, wsman.ErrActionNotSupported)
		}
		answer.Body = &out
		return answer, nil
	case req.Action == wsman.ActionDelete:
		v.changes = append(v.changes, "Delete "+name)
		if !v.forgets {
			v.instances[name] = slices.DeleteFunc(v.instances[name], func(e wsman.Element) bool { return e.ChildText("InstanceID") == req.Selectors.Value("InstanceID") })
		}
		return answer, nil
	}
	return v.fake.RoundTrip(ctx, req)
}

var vaultMethods = func() *class.Mux[*vault] {
	mux := &class.Mux[*vault]{}
	add := func(v *vault, der []byte, root bool) status.Status {
		if !v.forgets {
			v.put(&amt.PublicKeyCertificate{InstanceID: new(fmt.Sprintf("Intel(r) AMT Certificate: Handle: %d", len(v.instances["AMT_PublicKeyCertificate"]))),
				X509Certificate: der, TrustedRootCertficate: &root})
		}
		return 0
	}
	class.Handle(mux, amt.PublicKeyManagementServiceAddCertificate, func(_ context.Context, v *vault, _ wsman.Selectors, in amt.PublicKeyManagementServiceAddCertificateIn) (out amt.PublicKeyManagementServiceAddCertificateOut, code status.Status, err error) {
		return out, add(v, in.CertificateBlob, false), nil
	})
	class.Handle(mux, amt.PublicKeyManagementServiceAddTrustedRootCertificate, func(_ context.Context, v *vault, _ wsman.Selectors, in amt.PublicKeyManagementServiceAddTrustedRootCertificateIn) (out amt.PublicKeyManagementServiceAddTrustedRootCertificateOut, code status.Status, err error) {
		return out, add(v, in.CertificateBlob, true), nil
	})
	class.Handle(mux, amt.PublicKeyManagementServiceGeneratePKCS10RequestEx, func(_ context.Context, v *vault, _ wsman.Selectors, in amt.PublicKeyManagementServiceGeneratePKCS10RequestExIn) (out amt.PublicKeyManagementServiceGeneratePKCS10RequestExOut, code status.Status, err error) {
		if v.busy > 0 {
			v.busy--
			return out, status.PKIGeneratingKeys, nil
		}
		var asked request10
		if _, err := asn1.Unmarshal(in.NullSignedCertificateRequest, &asked); err != nil || strings.Trim(string(asked.Signature.Bytes), "\x00") != "" {
			return out, status.InvalidCert, nil
		}
		request, err := x509.ParseCertificateRequest(in.NullSignedCertificateRequest)
		if err != nil {
			return out, status.InvalidCert, nil
		}
		if v.spoil != nil {
			out.SignedCertificateRequest = v.spoil(request)
			return out, 0, nil
		}
		out.SignedCertificateRequest, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: request.RawSubject, DNSNames: request.DNSNames,
			IPAddresses: request.IPAddresses, SignatureAlgorithm: request.SignatureAlgorithm}, v.key)
		return out, 0, err
	})
	return mux
}()

func testAuthority(t *testing.T) *Authority {
	t.Helper()
	authority, err := NewAuthority("test authority")
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Check(); err != nil {
		t.Fatal(err)
	}
	return authority
}

// A request is signed by the machine, checked, signed by the authority, given to the machine, and belongs to its key.
func TestRequestCertificate(t *testing.T) {
	v := newVault(t)
	v.busy = 1
	c := Over(v, "desk-7")
	der, err := c.RequestCertificate(t.Context(), "key-3", pkix.Name{CommonName: "desk-7"}, []string{"desk-7", "192.0.2.7"}, "")
	if err != nil {
		t.Fatal(err)
	}
	authority := testAuthority(t)
	cert, err := authority.SignRequest(der, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.VerifyHostname("192.0.2.7"); err != nil || !authority.Issued(cert) || cert.NotAfter.After(time.Now().AddDate(0, 0, 11)) {
		t.Errorf("certificate %v for %v until %v: %v", cert.Subject, cert.IPAddresses, cert.NotAfter, err)
	}
	now, added, err := c.AddCertificate(t.Context(), cert)
	if err != nil || !added || now.ID != "cert-0" || now.Key != "key-3" {
		t.Errorf("got %+v, %v, %v", now, added, err)
	}
	if _, added, err := c.AddCertificate(t.Context(), cert); added || err != nil {
		t.Errorf("again: added %v, %v", added, err)
	}
	if n := len(slices.DeleteFunc(slices.Clone(v.changes), func(s string) bool { return s != "AddCertificate" })); n != 1 {
		t.Errorf("AddCertificate was called %d times", n)
	}
}

// What the machine signs is not believed blindly.
func TestRequestIsChecked(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t)
	signed := func(name string, key *rsa.PrivateKey) func(*x509.CertificateRequest) []byte {
		return func(*x509.CertificateRequest) []byte {
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
			if err != nil {
				t.Fatal(err)
			}
			return der
		}
	}
	for name, spoil := range map[string]func(*x509.CertificateRequest) []byte{
		"unsigned":     func(r *x509.CertificateRequest) []byte { return r.Raw },
		"another name": signed("somebody", v.key),
		"another key":  signed("desk-7", other),
		"nonsense":     func(*x509.CertificateRequest) []byte { return []byte("x") },
		"nothing":      func(*x509.CertificateRequest) []byte { return nil },
	} {
		v.spoil = spoil
		if _, err := Over(v, "x").RequestCertificate(t.Context(), "key-3", pkix.Name{CommonName: "desk-7"}, nil, SHA256); !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: got %v, want %v", name, err, ErrDiffers)
		}
	}
}

// What cannot work is refused before anything is sent, and what was accepted and not kept is no success.
func TestPKIRefusals(t *testing.T) {
	v := newVault(t)
	authority := testAuthority(t)
	pair, err := authority.ConsoleCertificate("console", 1)
	if err != nil {
		t.Fatal(err)
	}
	v.put(&amt.PublicKeyCertificate{InstanceID: new("Intel(r) AMT Certificate: Handle: 0"), X509Certificate: pair.Leaf.Raw, TrustedRootCertficate: new(false)})
	v.put(&amt.TLSCredentialContext{ElementInContext: new(wsman.Ref("AMT_PublicKeyCertificate", "InstanceID", "Intel(r) AMT Certificate: Handle: 0")),
		ElementProvidingContext: new(wsman.Ref("AMT_TLSProtocolEndpointCollection", "ElementName", tlsCollection))})
	c := Over(v, "x")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		do   func() error
		want error
	}{
		"in use":               {func() error { return c.RemovePKI(t.Context(), "cert-0") }, ErrInUse},
		"no such thing":        {func() error { return c.RemovePKI(t.Context(), "cert-9") }, ErrUsage},
		"a leaf as root":       {func() error { _, _, err := c.AddRoot(t.Context(), pair.Leaf); return err }, ErrUsage},
		"a key too short":      {func() error { _, _, err := c.AddKey(t.Context(), short); return err }, ErrUsage},
		"a length not offered": {func() error { _, err := c.GenerateKey(t.Context(), 4096); return err }, ErrUnsupported},
		"no such key":          {func() error { _, err := c.RequestCertificate(t.Context(), "key-9", pkix.Name{}, nil, ""); return err }, ErrUsage},
		"an old hash": {func() error {
			_, err := c.RequestCertificate(t.Context(), "key-3", pkix.Name{}, nil, "sha1")
			return err
		}, ErrUsage},
		"a list without URL":  {func() error { _, err := c.AddCRL(t.Context(), "", []string{"1"}); return err }, ErrUsage},
		"a serial of letters": {func() error { _, err := c.AddCRL(t.Context(), "http://x", []string{"xyz"}); return err }, ErrUsage},
		"no connection":       {func() error { _, err := c.EnableTLS(t.Context(), EnableTLS{Authority: authority}); return err }, ErrUsage},
	} {
		if err := tt.do(); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	if len(v.changes) != 0 {
		t.Errorf("sent: %q", v.changes)
	}
	v.forgets = true
	if _, _, err := c.AddRoot(t.Context(), authority.Cert); !errors.Is(err, ErrDiffers) {
		t.Errorf("a root that is not kept: got %v, want %v", err, ErrDiffers)
	}
	if err := c.RemovePKI(t.Context(), "key-3"); !errors.Is(err, ErrDiffers) {
		t.Errorf("a key that stays: got %v, want %v", err, ErrDiffers)
	}
}

// Who uses a certificate is told in the users' words.
func TestUseOf(t *testing.T) {
	for _, tt := range []struct{ association, to, want string }{
		{"AMT_TLSCredentialContext", "AMT_TLSProtocolEndpointCollection", "TLS"},
		{"IPS_8021xCredentialContext", "IPS_IEEE8021xSettings", "802.1X"},
		{"AMT_8021xCredentialContext", "AMT_8021XProfile", "802.1X"},
		{"CIM_CredentialContext", "CIM_IEEE8021xSettings", "Wi-Fi"},
		{"CIM_CredentialContext", "IPS_IEEE8021xSettings", "802.1X"},
		{"AMT_RemoteAccessCredentialContext", "AMT_ManagementPresenceRemoteSAP", "CIRA"},
		{"XYZ_Context", "", "XYZ_Context"},
	} {
		if got := useOf(tt.association, new(wsman.Ref(tt.to, "InstanceID", "x"))); got != tt.want {
			t.Errorf("%s to %s: got %q, want %q", tt.association, tt.to, got, tt.want)
		}
	}
}

// A client certificate is held against what firmware looks for.
func TestCheckConsoleCertificate(t *testing.T) {
	authority, stranger := testAuthority(t), testAuthority(t)
	good, err := authority.ConsoleCertificate("console.example", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckConsoleCertificate(good, authority.Root(), []string{"other", "Console.example"}); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another root":  CheckConsoleCertificate(good, stranger.Root(), nil),
		"another name":  CheckConsoleCertificate(good, authority.Root(), []string{"other"}),
		"no usage":      CheckConsoleCertificate(serverPair(t, authority), authority.Root(), nil),
		"no authority":  (&Authority{Cert: good.Leaf, Key: authority.Key}).Check(),
		"another's key": (&Authority{Cert: authority.Cert, Key: stranger.Key}).Check(),
	} {
		if !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %v, want %v", name, err, ErrUsage)
		}
	}
}

// serverPair is a certificate for a server, which is not one for a console.
func serverPair(t *testing.T, a *Authority) (pair tls.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "desk-7"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.SignRequest(request, 1)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}
