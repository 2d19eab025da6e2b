package firmware_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/internal/setupcert"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

const setupClass = "IPS_HostBasedSetupService"

// call calls a method and returns its return value.
func call(t *testing.T, rt wsman.RoundTripper, class, method string, params ...string) string {
	t.Helper()
	uri := wsman.ClassURI(class)
	var in []wsman.Element
	for i := 0; i < len(params); i += 2 {
		in = append(in, wsman.El(uri, params[i], params[i+1]))
	}
	out, err := wsman.Invoke(t.Context(), rt, uri, method, nil, in...)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return out.ChildText("ReturnValue")
}

func property(t *testing.T, rt wsman.RoundTripper, class, name string) string {
	t.Helper()
	e, err := wsman.Get(t.Context(), rt, wsman.ClassURI(class), nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.ChildText(name)
}

func adminHash(m *firmware.Machine, password string) string {
	h := digest.HA1("admin", m.Identity().Realm, password)
	return hex.EncodeToString(h[:])
}

// TestHostSetupClient: what is refused changes nothing; what is done counts at once, from the network too.
func TestHostSetupClient(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 12, Factory: true})
	user, password := h.osAdmin(t)
	c := h.local(t, h.lme(t), user, password)
	nonce := property(t, c, setupClass, "ConfigurationNonce")
	if b, err := base64.StdEncoding.DecodeString(nonce); err != nil || len(b) != activation.NonceSize {
		t.Errorf("nonce %q", nonce)
	}
	good := adminHash(h.Machine, "N3w$ecret")
	for _, tt := range []struct{ kind, hash, want string }{
		{"1", good, "3"}, {"2", good[2:], "3"}, {"2", strings.Repeat("z", 32), "3"}, {"2", good, "0"},
	} {
		got := ""
		uri := wsman.ClassURI(setupClass)
		out, err := wsman.Invoke(t.Context(), c, uri, "Setup", nil, wsman.El(uri, "NetAdminPassEncryptionType", tt.kind), wsman.El(uri, "NetworkAdminPassword", tt.hash))
		if err == nil {
			got = out.ChildText("ReturnValue")
		} else if tt.want != "0" { // the schema may refuse it before
			got = tt.want
		}
		if got != tt.want {
			t.Errorf("Setup(%s, %s): %s, %v; want %s", tt.kind, tt.hash, got, err, tt.want)
		}
		if set := h.ControlMode() == firmware.ModeClient; set != (tt.want == "0") {
			t.Errorf("Setup(%s, %s): machine in %v", tt.kind, tt.hash, h.ControlMode())
		}
	}
	w := &world{Machine: h.Machine}
	remote := w.login(t, "admin", "N3w$ecret")
	if got := property(t, remote, setupClass, "CurrentControlMode"); got != "1" {
		t.Errorf("from the network: mode %s", got)
	}
	if property(t, remote, setupClass, "ConfigurationNonce") == nonce {
		t.Error("the nonce is the same after setup")
	}
	if got := call(t, remote, setupClass, "Setup", "NetAdminPassEncryptionType", "2", "NetworkAdminPassword", good); got != "2" {
		t.Errorf("Setup again: %s", got)
	}
	e := enumerateOne(t, remote, "IPS_ClientProvisioningRecord")
	if e.Child("CreationTimeStamp") == nil {
		t.Errorf("record %+v", e)
	}
	if err := h.amthi(t).Unprovision(t.Context()); err != nil || h.ControlMode() != firmware.ModeNone {
		t.Errorf("unprovision by AMTHI: %v, %v", err, h.ControlMode())
	}
}

func enumerateOne(t *testing.T, rt wsman.RoundTripper, class string) *wsman.Element {
	t.Helper()
	var all []*wsman.Element
	for e, err := range wsman.Enumerate(t.Context(), rt, wsman.ClassURI(class), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) != 1 {
		t.Fatalf("%d instances of %s", len(all), class)
	}
	return all[0]
}

// show gives a chain and returns the return value of each certificate.
func show(t *testing.T, rt wsman.RoundTripper, certs ...*x509.Certificate) (codes []string) {
	for i, c := range certs {
		codes = append(codes, call(t, rt, setupClass, "AddNextCertInChain", "NextCertificate", base64.StdEncoding.EncodeToString(c.Raw),
			"IsLeafCertificate", text(i == 0), "IsRootCertificate", text(i > 0 && bytes.Equal(c.RawSubject, c.RawIssuer))))
	}
	return codes
}

func text(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// TestCertificateChain: leaf first, each signed by the next; an error begins anew.
func TestCertificateChain(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 12, Factory: true})
	user, password := h.osAdmin(t)
	c := h.local(t, h.lme(t), user, password)
	chain, other := setupcert.New(t, "amt.lab.example", nil), setupcert.New(t, "amt.lab.example", nil)
	leaf, middle, root := chain.Certs[0], chain.Certs[1], chain.Certs[2]
	for _, tt := range []struct {
		name   string
		certs  []*x509.Certificate
		want   string
		status string
	}{
		{"whole", chain.Certs, "0 0 0", "2"},
		{"another signer", []*x509.Certificate{leaf, other.Certs[1]}, "3 3", "0"}, // the whole one before is in the way once
		{"another signer, anew", []*x509.Certificate{leaf, other.Certs[1]}, "0 4", "0"},
		{"half", []*x509.Certificate{leaf, middle}, "0 0", "1"},
		{"leaf again", []*x509.Certificate{leaf, middle, root}, "3 3 3", "0"},
	} {
		if got := strings.Join(show(t, c, tt.certs...), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := property(t, c, setupClass, "CertChainStatus"); got != tt.status {
			t.Errorf("%s: status %s, want %s", tt.name, got, tt.status)
		}
	}
	long := []*x509.Certificate{leaf, middle, root, root, root}
	for i, certificate := range long {
		last := call(t, c, setupClass, "AddNextCertInChain", "NextCertificate", base64.StdEncoding.EncodeToString(certificate.Raw),
			"IsLeafCertificate", text(i == 0), "IsRootCertificate", "false")
		if want := map[bool]string{true: "5", false: "0"}[i == activation.MaxChain]; last != want {
			t.Errorf("certificate %d: %s, want %s", i+1, last, want)
		}
	}
}

// TestHostSetupAdmin: each check on its own refuses with 5, and leaves the machine as it was.
func TestHostSetupAdmin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*x509.Certificate)
		trust   bool
		forge   func(signature []byte)
		want    string
		suffix  string // of the BIOS extension; "": that of DHCP counts, lab.example
		upgrade bool
	}{
		{name: "good", trust: true, want: "0"},
		{name: "by unit", trust: true, want: "0", change: func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = nil
			c.Subject.OrganizationalUnit = []string{"Intel(R) Client Setup Certificate"}
		}},
		{name: "upgrade", trust: true, want: "0", upgrade: true},
		{name: "root not trusted", want: "5"},
		{name: "not for setup", trust: true, want: "5", change: func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }},
		{name: "no server", trust: true, want: "5", change: func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{name: "other domain", trust: true, want: "5", suffix: "example.org"},
		{name: "suffix of the BIOS extension", trust: true, want: "0", suffix: "deep.lab.example"},
		{name: "expired", trust: true, want: "5", change: func(c *x509.Certificate) { c.NotAfter = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{name: "signature", trust: true, want: "5", forge: func(s []byte) { s[0] ^= 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, firmware.Config{Generation: 12, Factory: !tt.upgrade, Client: tt.upgrade})
			a := h.amthi(t)
			if tt.suffix != "" {
				if _, err := amthi.Do(t.Context(), a, amthi.SetDNSSuffix, amthi.Text(tt.suffix)); err != nil {
					t.Fatal(err)
				}
				if got, err := a.DNSSuffix(t.Context()); err != nil || got != tt.suffix {
					t.Errorf("suffix %q, %v", got, err)
				}
			}
			chain := setupcert.New(t, "amt.lab.example", tt.change)
			if tt.trust {
				if err := h.TrustRoot(chain.Root()); err != nil {
					t.Fatal(err)
				}
				all, err := a.CertificateHashes(t.Context())
				if err != nil || !slices.ContainsFunc(all, func(x amthi.CertificateHash) bool {
					return !x.Default && x.Active && bytes.Equal(x.Hash, activation.Hash(chain.Root(), x.Algorithm))
				}) {
					t.Errorf("hashes %+v, %v", all, err)
				}
			}
			user, password := h.osAdmin(t)
			was := h.ControlMode()
			if tt.upgrade {
				user, password = "admin", firmware.DefaultPassword
			}
			c := h.local(t, h.lme(t), user, password)
			nonce, err := base64.StdEncoding.DecodeString(property(t, c, setupClass, "ConfigurationNonce"))
			if err != nil {
				t.Fatal(err)
			}
			params := []string{"SigningAlgorithm", "2"}
			method := "UpgradeClientToAdmin"
			if !tt.upgrade {
				method = "AdminSetup"
				params = append(params, "NetAdminPassEncryptionType", "2", "NetworkAdminPassword", adminHash(h.Machine, "N3w$ecret"))
			}
			if got := call(t, c, setupClass, method, params...); got != "2" {
				t.Errorf("without a chain: %s", got)
			}
			if codes := show(t, c, chain.Certs...); !slices.Equal(codes, []string{"0", "0", "0"}) {
				t.Fatalf("chain %v", codes)
			}
			own := bytes.Repeat([]byte{7}, activation.NonceSize)
			signature, err := activation.Sign(chain.Key, nonce, own)
			if err != nil {
				t.Fatal(err)
			}
			if tt.forge != nil {
				tt.forge(signature)
			}
			params = append(params, "McNonce", base64.StdEncoding.EncodeToString(own), "DigitalSignature", base64.StdEncoding.EncodeToString(signature))
			if got := call(t, c, setupClass, method, params...); got != tt.want {
				t.Fatalf("%s: %s, want %s", method, got, tt.want)
			}
			if tt.want != "0" {
				if h.ControlMode() != was {
					t.Errorf("machine in %v", h.ControlMode())
				}
				if got := property(t, c, setupClass, "ConfigurationNonce"); got == base64.StdEncoding.EncodeToString(nonce) {
					t.Error("the nonce is the same after a failure")
				}
				return
			}
			if h.ControlMode() != firmware.ModeAdmin {
				t.Errorf("machine in %v", h.ControlMode())
			}
			if !tt.upgrade {
				password = "N3w$ecret"
			}
			w := &world{Machine: h.Machine}
			record := enumerateOne(t, w.login(t, "admin", password), "IPS_AdminProvisioningRecord")
			root := activation.Hash(chain.Root(), amthi.SHA256)
			if record.ChildText("CertificateCN") != "amt.lab.example" || record.ChildText("SelectedHashData") != base64.StdEncoding.EncodeToString(root) {
				t.Errorf("record %+v", record)
			}
			if err := a.Unprovision(t.Context()); !refusedWith(err, status.InvalidPTMode) {
				t.Errorf("unprovision by AMTHI: %v", err)
			}
			again := restored(t, h.Machine)
			if again.ControlMode() != firmware.ModeAdmin {
				t.Errorf("restored in %v", again.ControlMode())
			}
			enumerateOne(t, (&world{Machine: again}).login(t, "admin", password), "IPS_AdminProvisioningRecord")
		})
	}
}

// restored makes a machine of the state of another.
func restored(t *testing.T, m *firmware.Machine) *firmware.Machine {
	t.Helper()
	var file bytes.Buffer
	if err := m.Dump(&file); err != nil {
		t.Fatal(err)
	}
	state, err := firmware.ReadState(&file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := firmware.New(firmware.Config{State: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

// TestDisableClientControlMode: it is gone from what is allowed, until an unprovision.
func TestDisableClientControlMode(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 12, Factory: true})
	user, password := h.osAdmin(t)
	c := h.local(t, h.lme(t), user, password)
	if got := call(t, c, setupClass, "DisableClientControlMode"); got != "0" {
		t.Fatal(got)
	}
	if got := property(t, c, setupClass, "AllowedControlModes"); got != "2" {
		t.Errorf("allowed: %s", got)
	}
	if got := call(t, c, setupClass, "Setup", "NetAdminPassEncryptionType", "2", "NetworkAdminPassword", adminHash(h.Machine, "N3w$ecret")); got != "4" {
		t.Errorf("Setup: %s", got)
	}
}

// TestEHBC: an embedded device is set up in admin control mode without a certificate.
func TestEHBC(t *testing.T) {
	h := newHost(t, firmware.Config{Generation: 12, Factory: true})
	if _, err := amthi.Do(t.Context(), h.amthi(t), amthi.SetEHBCState, amthi.Bool(true)); err != nil {
		t.Fatal(err)
	}
	user, password := h.osAdmin(t)
	c := h.local(t, h.lme(t), user, password)
	if got := call(t, c, setupClass, "AdminSetup", "NetAdminPassEncryptionType", "2", "NetworkAdminPassword", adminHash(h.Machine, "N3w$ecret")); got != "0" || h.ControlMode() != firmware.ModeAdmin {
		t.Errorf("AdminSetup: %s, %v", got, h.ControlMode())
	}
}

// TestTLSSetup: on release 19 the way is TLS: with the announced certificate the program is the administrator; nothing
// is committed before both passwords are set; other certificates are refused; a stop needs a rest.
func TestTLSSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, firmware.Config{Generation: 19, Factory: true, Password: "N3w$ecret"}) // which setup gives it again
		chain, other := setupcert.New(t, "amt.lab.example", nil), setupcert.New(t, "amt.lab.example", nil)
		if err := h.TrustRoot(chain.Root()); err != nil {
			t.Fatal(err)
		}
		user, password := h.osAdmin(t)
		s := h.lme(t)
		plain := h.local(t, s, user, password)
		if got := call(t, plain, setupClass, "AdminSetup", "NetAdminPassEncryptionType", "2", "NetworkAdminPassword", adminHash(h.Machine, "N3w$ecret")); got != "4" {
			t.Errorf("AdminSetup: %s", got)
		}
		plain.Close()
		a := h.amthi(t)
		begin := func() (amthi.HostBasedReply, error) {
			algorithm, hash := activation.LeafHash(chain.Certs[0])
			return a.StartConfigurationHBased(t.Context(), amthi.HostBased{Algorithm: algorithm, Hash: hash})
		}
		if _, err := begin(); err != nil {
			t.Fatal(err)
		}
		if got, err := a.ProvisioningState(t.Context()); err != nil || got != amthi.InProvisioning {
			t.Errorf("state %v, %v", got, err)
		}
		if err := a.StopConfiguration(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := begin(); !refusedWith(err, status.NotReady) {
			t.Errorf("at once after a stop: %v", err)
		}
		time.Sleep(20 * time.Second)
		reply, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		with := func(c *setupcert.Chain) *wsman.Client {
			cert := tls.Certificate{PrivateKey: c.Key, Leaf: c.Certs[0]}
			for _, one := range c.Certs {
				cert.Certificate = append(cert.Certificate, one.Raw)
			}
			return h.local(t, s, "admin", "", cert)
		}
		if _, err := wsman.Identify(t.Context(), with(other)); err == nil {
			t.Error("another certificate than the announced one was taken")
		}
		conn, err := s.Dial(t.Context(), firmware.PortHTTPS)
		if err != nil {
			t.Fatal(err)
		}
		tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		if err := tc.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		shown := tc.ConnectionState().PeerCertificates
		tc.Close()
		if len(shown) != 4 || !bytes.Equal(activation.Hash(shown[0], reply.Algorithm), reply.Hash) || shown[0].Subject.CommonName != "AMT RCFG" ||
			!strings.Contains(shown[3].Subject.CommonName, "ROM CA") || !strings.HasPrefix(shown[3].Issuer.OrganizationalUnit[0], "ODCA 2 CSME") {
			t.Errorf("AMT shows %d certificates, first %v", len(shown), shown[0].Subject)
		}
		c := with(chain)
		const service = "AMT_SetupAndConfigurationService"
		if got := call(t, c, service, "CommitChanges"); got != "2057" {
			t.Errorf("commit without a password: %s", got)
		}
		hash := digest.HA1("admin", h.Identity().Realm, "N3w$ecret")
		if got := call(t, c, "AMT_AuthorizationService", "SetAdminAclEntryEx", "Username", "admin", "DigestPassword", base64.StdEncoding.EncodeToString(hash[:])); got != "0" {
			t.Fatalf("password: %s", got)
		}
		if got := call(t, c, service, "CommitChanges"); got != "2057" {
			t.Errorf("commit without a password for the BIOS extension: %s", got)
		}
		if got := call(t, c, service, "SetMEBxPassword", "Password", "N3w$ecret"); got != "0" {
			t.Fatalf("MEBx: %s", got)
		}
		if got := call(t, c, service, "CommitChanges"); got != "0" || h.ControlMode() != firmware.ModeAdmin {
			t.Fatalf("commit: %s, %v", got, h.ControlMode())
		}
		if _, err := wsman.Identify(t.Context(), with(chain)); !errors.Is(err, wsman.ErrUnauthorized) {
			t.Errorf("the certificate after the setup: %v", err)
		}
		record, err := amthi.Do(t.Context(), a, amthi.GetAuditRecord, amthi.None{})
		if err != nil || record.ServerFQDN != "amt.lab.example" || !record.HostInitiated || !bytes.Equal(record.Hash, activation.Hash(chain.Root(), amthi.SHA256)) {
			t.Errorf("audit %+v, %v", record, err)
		}
	})
}
