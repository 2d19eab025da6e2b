package activation_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/outband/outband/internal/setupcert"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
)

func TestMatchDomain(t *testing.T) {
	for _, tt := range []struct {
		name, suffix string
		alternatives []string
		want         bool
	}{
		{"amt.example.com", "example.com", nil, true},
		{"amt.example.com", "corp.example.com", nil, true}, // two labels of com count
		{"AMT.Example.COM", "example.com.", nil, true},
		{"example.com", "example.com", nil, true},
		{"amt.example.com", "example.org", nil, false},
		{"amt.notexample.com", "example.com", nil, false},
		{"amt.example.co.uk", "example.co.uk", nil, true},
		{"amt.other.co.uk", "example.co.uk", nil, false}, // uk registers at the third level
		{"amt.example.de", "corp.example.de", nil, true},
		{"other.org", "example.com", []string{"amt.example.com"}, true},
		{"amt.example.com", "", nil, false},
		{"", "example.com", nil, false},
		{"com", "com", nil, false},
		{"amt.example.com", "com", nil, false},
	} {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: tt.name}, DNSNames: tt.alternatives}
		if got := activation.MatchDomain(c, tt.suffix); got != tt.want {
			t.Errorf("%q %v for %q: %v", tt.name, tt.alternatives, tt.suffix, got)
		}
	}
}

func TestCheck(t *testing.T) {
	good := setupcert.New(t, "amt.example.com", nil)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	all := func(*x509.Certificate) bool { return true }
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		order  []int
		now    time.Time
		root   func(*x509.Certificate) bool
		want   error
	}{
		{"good", nil, []int{0, 1, 2}, now, all, nil},
		{"clock not set", nil, []int{0, 1, 2}, time.Time{}, all, nil},
		{"too early", nil, []int{0, 1, 2}, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), all, activation.ErrChain},
		{"without intermediate", nil, []int{0, 2}, now, all, activation.ErrChain},
		{"without root", nil, []int{0, 1}, now, all, activation.ErrChain},
		{"wrong order", nil, []int{0, 2, 1}, now, all, activation.ErrChain},
		{"alone", nil, []int{0}, now, all, activation.ErrChain},
		{"too long", nil, []int{0, 1, 2, 2, 2}, now, all, activation.ErrChain},
		{"root unknown", nil, []int{0, 1, 2}, now, func(*x509.Certificate) bool { return false }, activation.ErrRoot},
		{"no usage", func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }, []int{0, 1, 2}, now, all, activation.ErrUsage},
		{"no server", func(c *x509.Certificate) { c.ExtKeyUsage = nil }, []int{0, 1, 2}, now, all, activation.ErrUsage},
		{"authority", func(c *x509.Certificate) { c.IsCA = true }, []int{0, 1, 2}, now, all, activation.ErrUsage},
	} {
		chain := good
		if tt.change != nil {
			chain = setupcert.New(t, "amt.example.com", tt.change)
		}
		var certs []*x509.Certificate
		for _, i := range tt.order {
			certs = append(certs, chain.Certs[i])
		}
		if err := activation.Check(certs, tt.now, tt.root); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	shuffled := []*x509.Certificate{good.Certs[2], setupcert.New(t, "x", nil).Certs[1], good.Certs[1]}
	if chain, err := activation.Order(good.Certs[0], shuffled); err != nil || !slices.Equal(chain, good.Certs) {
		t.Errorf("order: %v, %v", chain, err)
	}
	if _, err := activation.Order(good.Certs[0], shuffled[:1]); !errors.Is(err, activation.ErrChain) {
		t.Errorf("order without intermediate: %v", err)
	}
}

func TestSign(t *testing.T) {
	c := setupcert.New(t, "amt.example.com", nil)
	a, b := bytes.Repeat([]byte{1}, activation.NonceSize), bytes.Repeat([]byte{2}, activation.NonceSize)
	signature, err := activation.Sign(c.Key, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := activation.Verify(c.Certs[0], a, b, signature); err != nil {
		t.Error(err)
	}
	if err := activation.Verify(c.Certs[0], b, a, signature); err == nil {
		t.Error("the order of the nonces does not count")
	}
	if err := activation.Verify(c.Certs[1], a, b, signature); err == nil {
		t.Error("another key will do")
	}
	// As other programs compute it: the digest is of both nonces joined, AMT's first.
	if err := c.Certs[0].CheckSignature(x509.SHA256WithRSA, slices.Concat(a, b), signature); err != nil {
		t.Error(err)
	}
}

// TestHash: hashes of a root, as openssl x509 -fingerprint shows them.
func TestHash(t *testing.T) {
	block, _ := pem.Decode([]byte(isrg))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for by, want := range map[amthi.HashAlgorithm]string{
		amthi.SHA1:   "cabd2a79a1076a31f21d253635cb039d4329a5e8",
		amthi.SHA256: "96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6",
	} {
		if got := hex.EncodeToString(activation.Hash(c, by)); got != want {
			t.Errorf("%v: %s", by, got)
		}
	}
	if activation.Hash(c, amthi.MD5) != nil {
		t.Error("MD5")
	}
}

func TestCheckPassword(t *testing.T) {
	for password, good := range map[string]bool{
		"P@ssw0rd": true, "Qwer123$": true, "N3w_ecret!": true,
		"Sh0rt!": false, "alllower1!": false, "ALLUPPER1!": false, "NoDigits!!": false, "NoSpecial1": false, "Under_scor3": false,
		`Quote"1aA`: false, "Comma,1aA": false, "Col:on1aA": false, "Ümlaut1!a": false,
		"Abcdefgh1!Abcdefgh1!Abcdefgh1!Ab": true, "Abcdefgh1!Abcdefgh1!Abcdefgh1!Abc": false,
	} {
		if err := activation.CheckPassword(password); (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// isrg is a root that many computers have: ISRG Root X1.
const isrg = `-----BEGIN CERTIFICATE-----
MIIFazCCA1OgAwIBAgIRAIIQz7DSQONZRGPgu2OCiwAwDQYJKoZIhvcNAQELBQAw
TzELMAkGA1UEBhMCVVMxKTAnBgNVBAoTIEludGVybmV0IFNlY3VyaXR5IFJlc2Vh
cmNoIEdyb3VwMRUwEwYDVQQDEwxJU1JHIFJvb3QgWDEwHhcNMTUwNjA0MTEwNDM4
WhcNMzUwNjA0MTEwNDM4WjBPMQswCQYDVQQGEwJVUzEpMCcGA1UEChMgSW50ZXJu
ZXQgU2VjdXJpdHkgUmVzZWFyY2ggR3JvdXAxFTATBgNVBAMTDElTUkcgUm9vdCBY
MTCCAiIwDQYJKoZIhvcNAQEBBQADggIPADCCAgoCggIBAK3oJHP0FDfzm54rVygc
h77ct984kIxuPOZXoHj3dcKi/vVqbvYATyjb3miGbESTtrFj/RQSa78f0uoxmyF+
0TM8ukj13Xnfs7j/EvEhmkvBioZxaUpmZmyPfjxwv60pIgbz5MDmgK7iS4+3mX6U
A5/TR5d8mUgjU+g4rk8Kb4Mu0UlXjIB0ttov0DiNewNwIRt18jA8+o+u3dpjq+sW
T8KOEUt+zwvo/7V3LvSye0rgTBIlDHCNAymg4VMk7BPZ7hm/ELNKjD+Jo2FR3qyH
B5T0Y3HsLuJvW5iB4YlcNHlsdu87kGJ55tukmi8mxdAQ4Q7e2RCOFvu396j3x+UC
B5iPNgiV5+I3lg02dZ77DnKxHZu8A/lJBdiB3QW0KtZB6awBdpUKD9jf1b0SHzUv
KBds0pjBqAlkd25HN7rOrFleaJ1/ctaJxQZBKT5ZPt0m9STJEadao0xAH0ahmbWn
OlFuhjuefXKnEgV4We0+UXgVCwOPjdAvBbI+e0ocS3MFEvzG6uBQE3xDk3SzynTn
jh8BCNAw1FtxNrQHusEwMFxIt4I7mKZ9YIqioymCzLq9gwQbooMDQaHWBfEbwrbw
qHyGO0aoSCqI3Haadr8faqU9GY/rOPNk3sgrDQoo//fb4hVC1CLQJ13hef4Y53CI
rU7m2Ys6xt0nUW7/vGT1M0NPAgMBAAGjQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNV
HRMBAf8EBTADAQH/MB0GA1UdDgQWBBR5tFnme7bl5AFzgAiIyBpY9umbbjANBgkq
hkiG9w0BAQsFAAOCAgEAVR9YqbyyqFDQDLHYGmkgJykIrGF1XIpu+ILlaS/V9lZL
ubhzEFnTIZd+50xx+7LSYK05qAvqFyFWhfFQDlnrzuBZ6brJFe+GnY+EgPbk6ZGQ
3BebYhtF8GaV0nxvwuo77x/Py9auJ/GpsMiu/X1+mvoiBOv/2X/qkSsisRcOj/KK
NFtY2PwByVS5uCbMiogziUwthDyC3+6WVwW6LLv3xLfHTjuCvjHIInNzktHCgKQ5
ORAzI4JMPJ+GslWYHb4phowim57iaztXOoJwTdwJx4nLCgdNbOhdjsnvzqvHu7Ur
TkXWStAmzOVyyghqpZXjFaH3pO3JLF+l+/+sKAIuvtd7u+Nxe5AW0wdeRlN8NwdC
jNPElpzVmbUq4JUagEiuTDkHzsxHpFKVK7q4+63SM1N95R1NbdWhscdCb+ZAJzVc
oyi3B43njTOQ5yOf+1CceWxG1bQVs5ZufpsMljq4Ui0/1lvh+wjChP4kqKOJ2qxq
4RgqsahDYVvTH9w7jXbyLeiNdd8XM2w9U/t7y0Ff/9yi0GE44Za4rF2LN9d11TPA
mRGunUHBcnWEvgJBQl9nJEiU0Zsnvgc/ubhPgXRR4Xq37Z0j4r7g1SgEEzwxA57d
emyPxgcYxn/eR44/KJ4EBs+lVDR3veyJm+kXQ99b21/+jh5Xos1AnX5iItreGCc=
-----END CERTIFICATE-----
`
