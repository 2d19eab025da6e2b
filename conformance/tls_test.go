package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	peer "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/client"

	peertls "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/tls"

	"github.com/outband/outband/lab"
)

const (
	networkTLS = "Intel(r) AMT 802.3 TLS Settings"
	mebx       = "M3bx$pass1"
)

// commander returns a function that runs our command with a list of machines of its own, and the folder of that list.
func commander(t testing.TB) (func(args ...string) result, string) {
	dir := t.TempDir()
	env := []string{"AMT_PASSWORD=" + password, "OUTBAND_HOSTS=" + filepath.Join(dir, "hosts.json"), "AMT_MEBX_PASSWORD=" + mebx}
	return func(args ...string) result {
		t.Helper()
		r := run(t, env, "", outband(t), args...)
		if r.code != 0 {
			t.Fatalf("outband %s: exit code %d: %s", strings.Join(args, " "), r.code, r.err)
		}
		return r
	}, dir
}

// handshake has openssl shake hands with a machine, and returns whether it verified the chain and the name and got an
// answer to a request.
func handshake(t testing.TB, w *world, ca string, more ...string) result {
	t.Helper()
	args := []string{"s_client", "-connect", net.JoinHostPort(w.Address, "16993"), "-CAfile", ca, "-verify_return_error", "-verify_ip", w.Address, "-ign_eof",
		"-cipher", "ALL:@SECLEVEL=0", "-legacy_renegotiation"}
	return run(t, nil, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", tool(t, "openssl", "openssl"), append(args, more...)...)
}

// TestOpensslTLS: openssl believes the certificate of a machine on which TLS was switched on, and one that wants client
// certificates talks only to it with ours.
func TestOpensslTLS(t *testing.T) {
	for _, generation := range []int{8, 11, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation})
			do, dir := commander(t)
			ca := filepath.Join(dir, "ca.pem")
			do("host", "add", "--trust", "nuc1", w.Address)
			do("tls", "enable", "nuc1")
			version := []string{}
			if generation == 8 {
				version = []string{"-tls1"}
			}
			got := handshake(t, w, ca, version...)
			if !strings.Contains(got.out, "Verify return code: 0 (ok)") || !strings.Contains(got.out, "HTTP/1.1 ") {
				t.Errorf("openssl does not believe it: %s%s", got.out, got.err)
			}
			other := filepath.Join(dir, "other.pem")
			if err := os.WriteFile(other, otherRoot(t), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := handshake(t, w, other, version...); strings.Contains(got.out, "HTTP/1.1 ") {
				t.Errorf("openssl believes it without its authority: %s", got.out)
			}
			if slices.Contains(w.Ports(), 16992) {
				t.Errorf("ports %v: the plain one is open", w.Ports())
			}

			do("tls", "mutual", "nuc1")
			if got := handshake(t, w, ca, version...); strings.Contains(got.out, "HTTP/1.1 ") {
				t.Errorf("without a client certificate: %s", got.out)
			}
			mine := append([]string{"-cert", filepath.Join(dir, "console.pem"), "-key", filepath.Join(dir, "console-key.pem")}, version...)
			if got := handshake(t, w, ca, mine...); !strings.Contains(got.out, "Verify return code: 0 (ok)") || !strings.Contains(got.out, "HTTP/1.1 ") {
				t.Errorf("with a client certificate: %s%s", got.out, got.err)
			}
		})
	}
}

// otherRoot returns a certificate that has nothing to do with the machine, in PEM.
func otherRoot(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "root.pem")
	r := run(t, nil, "", tool(t, "openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=somebody else",
		"-keyout", filepath.Join(dir, "root.key"), "-out", file)
	if r.code != 0 {
		t.Fatal(r.err)
	}
	text, err := os.ReadFile(file)
	check(t, err)
	return text
}

// TestOpensslRequest: openssl verifies the requests that the machine signs, and an authority made by openssl signs for
// machines and is believed by openssl.
func TestOpensslRequest(t *testing.T) {
	openssl := tool(t, "openssl", "openssl")
	w := machine(t, lab.Machine{Profile: 16})
	do, dir := commander(t)
	do("pki", "generate", w.Address)
	do("pki", "generate", w.Address, "--bits", "3072")
	for _, tt := range []struct{ key, hash, want string }{{"key-0", "sha256", "sha256WithRSAEncryption"}, {"key-1", "sha384", "sha384WithRSAEncryption"}} {
		file := filepath.Join(dir, tt.key+".csr")
		do("pki", "request", tt.key, w.Address, "--hash", tt.hash, "--cn", "desk-7", "--name", "desk-7.example.org", "-f", file)
		r := run(t, nil, "", openssl, "req", "-verify", "-noout", "-text", "-in", file)
		if all := r.out + r.err; r.code != 0 || !strings.Contains(strings.ToLower(all), "verify ok") || !strings.Contains(all, tt.want) ||
			!strings.Contains(all, "DNS:desk-7.example.org") || !strings.Contains(all, "IP Address:"+w.Address) {
			t.Errorf("%s: exit code %d: %s", tt.key, r.code, all)
		}
	}

	root, key := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
	if r := run(t, nil, "", openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=openssl root", "-addext", "keyUsage=critical,keyCertSign",
		"-keyout", key, "-out", root); r.code != 0 {
		t.Fatal(r.err)
	}
	do("host", "add", "--trust", "nuc1", w.Address)
	do("tls", "enable", "nuc1", "--ca-cert", root, "--ca-key", key)
	if got := handshake(t, w, root); !strings.Contains(got.out, "Verify return code: 0 (ok)") {
		t.Errorf("signed by an authority of openssl: %s%s", got.out, got.err)
	}
	r := run(t, nil, "", openssl, "verify", "-CAfile", root, "-purpose", "sslserver", leafFile(t, w, dir))
	if r.code != 0 {
		t.Errorf("openssl verify: %s%s", r.out, r.err)
	}
}

// leafFile writes what a machine shows to a file.
func leafFile(t testing.TB, w *world, dir string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", net.JoinHostPort(w.Address, "16993"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := filepath.Join(dir, "leaf.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGoWsmanReadsTLS: what our command did, go-wsman-messages reads: certificates, keys, settings, contexts.
func TestGoWsmanReadsTLS(t *testing.T) {
	for _, generation := range []int{12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation})
			do, dir := commander(t)
			do("host", "add", "--trust", "nuc1", w.Address)
			args := []string{"tls", "enable", "nuc1"}
			if generation == 12 {
				args = append(args, "--keep-plain")
			}
			do(args...)
			do("pki", "add", "nuc1", "--root", filepath.Join(dir, "ca.pem"))
			m := gowsman(t, w)

			opened, err := m.AMT.PublicKeyCertificate.Enumerate()
			check(t, err)
			certificates, err := m.AMT.PublicKeyCertificate.Pull(opened.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			list := certificates.Body.RefinedPullResponse.PublicKeyCertificateItems
			if len(list) != 2 {
				t.Fatalf("%d certificates, want 2", len(list))
			}
			equal(t, "leaf is a root", list[0].TrustedRootCertificate, false)
			equal(t, "leaf", list[0].InstanceID, "Intel(r) AMT Certificate: Handle: 0")
			equal(t, "subject", list[0].Subject, "CN="+w.Address)
			equal(t, "root is a root", list[1].TrustedRootCertificate, true)
			der, err := base64.StdEncoding.DecodeString(list[0].X509Certificate)
			check(t, err)
			leaf, err := x509.ParseCertificate(der)
			check(t, err)
			one, err := m.AMT.PublicKeyCertificate.Get(list[0].InstanceID)
			check(t, err)
			equal(t, "certificate by its name", one.Body.PublicKeyCertificateGetAndPutResponse.X509Certificate, list[0].X509Certificate)

			openedKeys, err := m.AMT.PublicPrivateKeyPair.Enumerate()
			check(t, err)
			keys, err := m.AMT.PublicPrivateKeyPair.Pull(openedKeys.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			pairs := keys.Body.RefinedPullResponse.PublicPrivateKeyPairItems
			if len(pairs) != 1 {
				t.Fatalf("%d key pairs, want 1", len(pairs))
			}
			public, err := base64.StdEncoding.DecodeString(pairs[0].DERKey)
			check(t, err)
			key, err := x509.ParsePKCS1PublicKey(public)
			check(t, err)
			equal(t, "the certificate is that of the key", key.Equal(leaf.PublicKey), true)

			settings, err := m.AMT.TLSSettingData.Get(networkTLS)
			check(t, err)
			equal(t, "TLS", settings.Body.SettingDataGetAndPutResponse.Enabled, true)
			equal(t, "plain", settings.Body.SettingDataGetAndPutResponse.AcceptNonSecureConnections, generation == 12)

			openedContexts, err := m.AMT.TLSCredentialContext.Enumerate()
			check(t, err)
			contexts, err := m.AMT.TLSCredentialContext.Pull(openedContexts.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			if n := len(contexts.Body.PullResponse.CredentialContextItems); n != 1 {
				t.Fatalf("%d contexts, want 1", n)
			}
			equal(t, "bound certificate", contexts.Body.PullResponse.CredentialContextItems[0].ElementInContext.ReferenceParameters.SelectorSet.Selectors[0].Text, list[0].InstanceID)
		})
	}
}

// TestGoWsmanEnablesTLS: go-wsman-messages switches TLS on itself: key pair, certificate, context, settings, commit; and
// our command reads what it did.
func TestGoWsmanEnablesTLS(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 12})
	do, dir := commander(t)
	m := gowsman(t, w)
	made, err := m.AMT.PublicKeyManagementService.GenerateKeyPair(0, 2048)
	check(t, err)
	equal(t, "GenerateKeyPair", int(made.Body.GenerateKeyPair_OUTPUT.ReturnValue), 0)
	do("host", "add", "nuc1", w.Address)
	file := filepath.Join(dir, "leaf.pem")
	do("pki", "issue", "key-0", "nuc1", "-f", file)
	do("pki", "remove", "cert-0", "nuc1") // the library adds it itself
	text, err := os.ReadFile(file)
	check(t, err)
	block, _ := pem.Decode(text)
	added, err := m.AMT.PublicKeyManagementService.AddCertificate(base64.StdEncoding.EncodeToString(block.Bytes))
	check(t, err)
	id := added.Body.AddCertificate_OUTPUT.CreatedCertificate.ReferenceParameters.SelectorSet.Selectors[0].Text
	rootText, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	check(t, err)
	root, _ := pem.Decode(rootText)
	_, err = m.AMT.PublicKeyManagementService.AddTrustedRootCertificate(base64.StdEncoding.EncodeToString(root.Bytes))
	check(t, err)
	if _, err := m.AMT.PublicKeyManagementService.AddTrustedRootCertificate(base64.StdEncoding.EncodeToString(root.Bytes)); err == nil {
		t.Error("the same root twice is no error")
	}
	_, err = m.AMT.TLSCredentialContext.Create(id)
	check(t, err)
	_, err = m.AMT.TLSCredentialContext.Put(id)
	check(t, err)
	put, err := m.AMT.TLSSettingData.Put(networkTLS, peertls.SettingDataRequest{ElementName: networkTLS, InstanceID: networkTLS, Enabled: true, AcceptNonSecureConnections: true})
	check(t, err)
	equal(t, "Put", put.Body.SettingDataGetAndPutResponse.Enabled, true)
	committed, err := m.AMT.SetupAndConfigurationService.CommitChanges()
	check(t, err)
	equal(t, "CommitChanges", int(committed.Body.CommitChanges_OUTPUT.ReturnValue), 0)
	if got := handshake(t, w, filepath.Join(dir, "ca.pem")); !strings.Contains(got.out, "Verify return code: 0 (ok)") {
		t.Errorf("openssl does not believe it: %s%s", got.out, got.err)
	}
	if _, err := m.AMT.PublicKeyCertificate.Delete(id); err == nil {
		t.Error("a certificate in use was removed")
	}
	seen := do("tls", "status", "--scheme", "https", "--port", "16993", "--ca", filepath.Join(dir, "ca.pem"), w.Address, "-o", "json")
	if !strings.Contains(seen.out, `"network":{"enabled":true,"mutual":false,"plain":true`) || !strings.Contains(seen.out, `"id":"cert-`) {
		t.Errorf("our command reads %s", seen.out)
	}

	// Over TLS, with the chain checked by Go's own verifier instead of a pin.
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(rootText)
	secure := peer.NewMessages(client.Parameters{Target: w.Address, Username: "admin", Password: password, UseDigest: true, UseTLS: true, TlsConfig: &tls.Config{RootCAs: pool,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}})
	general, err := secure.AMT.GeneralSettings.Get()
	check(t, err)
	equal(t, "host name", general.Body.GetResponse.HostName, w.Firmware.Identity().HostName)
}
