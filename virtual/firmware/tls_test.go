package firmware

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// secured makes a machine show a certificate of ca, for which it made the key, and takes its TLS settings from change.
func secured(t testing.TB, m *Machine, ca *testCA, change func(*amt.TLSSettingData)) *x509.Certificate {
	t.Helper()
	c := client(t, m)
	leaf := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "desk-7"}, DNSNames: []string{"desk-7"}}, readKey(t, c, generate(t, c, 2048)))
	added, err := amt.PublicKeyManagementServiceAddCertificate.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddCertificateIn{CertificateBlob: leaf.Raw})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := amt.PublicKeyManagementServiceAddTrustedRootCertificate.Invoke(t.Context(), c, amt.PublicKeyManagementServiceAddTrustedRootCertificateIn{CertificateBlob: ca.Raw}); err != nil {
		t.Fatal(err)
	}
	if _, err := class.Create[amt.TLSCredentialContext](t.Context(), c, &amt.TLSCredentialContext{ElementInContext: added.CreatedCertificate,
		ElementProvidingContext: new(wsman.Ref("AMT_TLSProtocolEndpointCollection", "ElementName", tlsCollection))}); err != nil {
		t.Fatal(err)
	}
	settings, err := class.Get[amt.TLSSettingData](t.Context(), c, wsman.Selector{Name: "InstanceID", Value: networkTLS})
	if err != nil {
		t.Fatal(err)
	}
	settings.Enabled = new(true)
	change(settings)
	if _, err := class.Put[amt.TLSSettingData](t.Context(), c, settings); err != nil {
		t.Fatal(err)
	}
	if !m.profile.Before(19, 0) {
		if _, err := amt.SetupAndConfigurationServiceSetMEBxPassword.Invoke(t.Context(), c, amt.SetupAndConfigurationServiceSetMEBxPasswordIn{Password: new("P@ssw0rd1")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := amt.SetupAndConfigurationServiceCommitChanges.Invoke(t.Context(), c, amt.SetupAndConfigurationServiceCommitChangesIn{}); err != nil {
		t.Fatal(err)
	}
	return leaf
}

// greet shakes hands with a machine and asks it for a page. The error is that of either.
func greet(t testing.TB, m *Machine, config *tls.Config) (*tls.ConnectionState, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a pipe would hang: either side writes without reading
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	here, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.ServeConn(ctx, there, PortHTTPS)
	}()
	defer func() { here.Close(); cancel(); <-done }()
	config.MinVersion = tls.VersionTLS10
	config.CipherSuites = rsaSuites
	conn := tls.Client(here, config)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return nil, err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // TLS 1.3 refuses clients only now
		return nil, err
	}
	state := conn.ConnectionState()
	return &state, nil
}

// TestBoundCertificate: what is bound is shown once it is committed, on each generation, and by a machine that was saved.
func TestBoundCertificate(t *testing.T) {
	for _, generation := range []int{8, 11, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			m := newMachine(t, Config{Generation: generation})
			ca := newCA(t, "root")
			leaf := secured(t, m, ca, func(*amt.TLSSettingData) {})
			pool := x509.NewCertPool()
			pool.AddCert(ca.Certificate)
			state, err := m.State()
			if err != nil {
				t.Fatal(err)
			}
			for name, m := range map[string]*Machine{"itself": m, "loaded": newMachine(t, Config{State: state})} {
				got, err := greet(t, m, &tls.Config{RootCAs: pool, ServerName: "desk-7"})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !got.PeerCertificates[0].Equal(leaf) {
					t.Errorf("%s: shows %v", name, got.PeerCertificates[0].Subject)
				}
			}
		})
	}
}

// TestMutualTLS: who may speak to a machine that wants client certificates.
func TestMutualTLS(t *testing.T) {
	ca, stranger := newCA(t, "root"), newCA(t, "stranger")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	console := []asn1.ObjectIdentifier{usageRemoteConsole}
	pair := func(by *testCA, name string, usage []asn1.ObjectIdentifier, end time.Time) (tls.Certificate, *x509.Certificate) {
		cert := by.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, UnknownExtKeyUsage: usage, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end}, &key.PublicKey)
		return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, cert
	}
	later := time.Now().Add(time.Hour)
	good, _ := pair(ca, "console.example", console, later)
	foreign, _ := pair(stranger, "console.example", console, later)
	expired, _ := pair(ca, "console.example", console, time.Now().Add(-time.Hour))
	useless, _ := pair(ca, "console.example", nil, later)
	local, _ := pair(ca, "console.example", []asn1.ObjectIdentifier{usageLocalConsole}, later)
	misnamed, _ := pair(ca, "other.example", console, later)
	revoked, revokedCert := pair(ca, "console.example", console, later)
	for _, generation := range []int{8, 12, 16} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			m := newMachine(t, Config{Generation: generation})
			secured(t, m, ca, func(s *amt.TLSSettingData) {
				s.MutualAuthentication, s.TrustedCN = new(true), []string{"Console.example", "second.example"}
			})
			if code := addRevocation(t, m, revokedCert); code != status.Success {
				t.Fatal(code)
			}
			for name, tt := range map[string]struct {
				shown *tls.Certificate
				good  bool
			}{
				"good": {&good, true}, "none": {nil, false}, "of an unknown authority": {&foreign, false}, "expired": {&expired, false}, "without the usage": {&useless, false},
				"for the local side": {&local, false}, "of an unknown name": {&misnamed, false}, "revoked": {&revoked, false},
			} {
				config := &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if tt.shown == nil {
						return &tls.Certificate{}, nil
					}
					return tt.shown, nil
				}}
				if _, err := greet(t, m, config); (err == nil) != tt.good {
					t.Errorf("%s: got %v", name, err)
				}
			}
		})
	}
}

func addRevocation(t testing.TB, m *Machine, cert *x509.Certificate) status.Status {
	t.Helper()
	_, result, err := addCRL(t.Context(), m, nil, amt.PublicKeyManagementServiceAddCRLIn{Url: new("http://ca.example/"), SerialNumbers: []string{fmt.Sprintf("%X", cert.SerialNumber)}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestTLSRules: settings that firmware refuses.
func TestTLSRules(t *testing.T) {
	m := newMachine(t, Config{})
	c := client(t, m)
	put := func(id string, change func(*amt.TLSSettingData)) (*amt.TLSSettingData, error) {
		t.Helper()
		v, err := class.Get[amt.TLSSettingData](t.Context(), c, wsman.Selector{Name: "InstanceID", Value: id})
		if err != nil {
			t.Fatal(err)
		}
		change(v)
		return class.Put[amt.TLSSettingData](t.Context(), c, v)
	}
	if _, err := put(networkTLS, func(v *amt.TLSSettingData) { v.Enabled, v.MutualAuthentication = new(true), new(true) }); code(err) != status.DataMissing {
		t.Errorf("mutual without a root: got %v, want %v", err, status.DataMissing)
	}
	for _, names := range [][]string{{"a b"}, {"a..b"}, {""}, {"a", "b", "c", "d", "e"}} {
		if _, err := put(networkTLS, func(v *amt.TLSSettingData) { v.TrustedCN = names }); code(err) != status.InvalidParameter {
			t.Errorf("names %q: got %v, want %v", names, err, status.InvalidParameter)
		}
	}
	if v, err := put(localTLS, func(v *amt.TLSSettingData) { v.AcceptNonSecureConnections = new(false) }); err != nil || !*v.AcceptNonSecureConnections {
		t.Errorf("read-only on the local side: got %+v, %v", v, err)
	}

	ca := newCA(t, "root")
	secured(t, m, ca, func(v *amt.TLSSettingData) {
		v.MutualAuthentication, v.AcceptNonSecureConnections = new(true), new(true)
	})
	var root *amt.PublicKeyCertificate
	for v, err := range class.Enumerate[amt.PublicKeyCertificate](t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		if *v.TrustedRootCertficate {
			root = v
		}
	}
	if err := class.Delete[amt.PublicKeyCertificate](t.Context(), c, root.Selectors()...); code(err) != status.NotPermitted {
		t.Errorf("the last root of clients: got %v, want %v", err, status.NotPermitted)
	}
	for v, err := range class.Enumerate[amt.TLSCredentialContext](t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		if err := class.Delete[amt.TLSCredentialContext](t.Context(), c, v.Selectors()...); code(err) != status.NotPermitted {
			t.Errorf("unbinding while TLS is on: got %v, want %v", err, status.NotPermitted)
		}
	}
}
