package auditlog

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"
)

// certify returns the certificate of a key by an authority; nil: by itself.
func certify(t testing.TB, name string, key *rsa.PrivateKey, by *x509.Certificate, byKey *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(4e9, 0),
		BasicConstraintsValid: true, IsCA: by == nil}
	if by == nil {
		by, byKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSignature(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, SigningKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := rsa.GenerateKey(rand.Reader, SigningKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	ca := certify(t, "CA", caKey, nil, nil)
	leaf := certify(t, "signer", key, ca, caKey)
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca)
	others.AddCert(certify(t, "other", caKey, nil, nil))
	records := [][]byte{recordedOctets(t), recordedOctets(t)}
	for _, m := range []Mechanism{RSASHA1, RSASHA256, RSASHA384} {
		s := Signature{Mechanism: m, Generated: time.Unix(1_700_000_000, 0).UTC(), UUID: make([]byte, 16), FQDN: "desk-7.example", Certificates: [][]byte{leaf.Raw, ca.Raw}}
		s.Describe(records)
		if err := s.Sign(key, records); err != nil {
			t.Fatal(err)
		}
		if s.Count != 2 || s.Start.Unix() != 0x3ff4cd6e || !s.End.Equal(s.Start) {
			t.Errorf("%v: described as %+v", m, s)
		}
		if chain, err := s.Verify(records, roots); err != nil || chain[0].Subject.CommonName != "signer" {
			t.Errorf("%v: %v", m, err)
		}
		if _, err := s.Verify(records, nil); err != nil {
			t.Errorf("%v, by its own authority: %v", m, err)
		}
		if _, err := s.Verify(records, others); !errors.Is(err, ErrChain) {
			t.Errorf("%v, by another authority: %v", m, err)
		}
		forged := slices.Clone(records[0])
		forged[2]++
		fewer, other := s, s
		fewer.Count = 1
		other.FQDN = "desk-8.example"
		for name, err := range map[string]error{
			"changed":           second(s.Verify([][]byte{forged, records[1]}, roots)),
			"one left out":      second(s.Verify(records[:1], roots)),
			"one left out, too": second(fewer.Verify(records[:1], roots)),
			"another machine":   second(other.Verify(records, roots)),
		} {
			if !errors.Is(err, ErrSignature) {
				t.Errorf("%v, %s: got %v", m, name, err)
			}
		}
	}
	bare := Signature{Mechanism: RSASHA256, Count: 2, Generated: time.Unix(1_700_000_000, 0), Certificates: [][]byte{leaf.Raw, ca.Raw}}
	hash := sha256.Sum256(slices.Concat(records...))
	if bare.Value, err = rsa.SignPKCS1v15(rand.Reader, key, 5, hash[:]); err != nil { // crypto.SHA256
		t.Fatal(err)
	}
	if _, err := bare.Verify(records, roots); err != nil {
		t.Errorf("the records alone: %v", err)
	}
	bare.Mechanism = 3
	if _, err := bare.Verify(records, roots); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown mechanism: %v", err)
	}
	bare.Certificates = nil
	if _, err := bare.Verify(records, roots); !errors.Is(err, ErrChain) {
		t.Errorf("no certificate: %v", err)
	}
}

func second(_ []*x509.Certificate, err error) error { return err }

func TestSplitCertificates(t *testing.T) {
	got, err := SplitCertificates([]byte("aabbb"), []uint16{2, 3})
	if err != nil || len(got) != 2 || string(got[1]) != "bbb" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, lengths := range [][]uint16{{2}, {2, 4}, {0, 5}, {1, 1, 1, 1, 1, 0}} {
		if _, err := SplitCertificates([]byte("aabbb"), lengths); !errors.Is(err, ErrChain) {
			t.Errorf("%v: got %v", lengths, err)
		}
	}
	if _, err := SplitCertificates(make([]byte, MaxCertificateSize+1), []uint16{MaxCertificateSize + 1}); !errors.Is(err, ErrChain) {
		t.Errorf("too long: %v", err)
	}
}

func TestParseEvents(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []EventID
	}{
		{"remote-control/reset", []EventID{WasReset}},
		{"Remote Control/Reset", []EventID{WasReset}},
		{"17/3", []EventID{WasReset}},
		{"17/reset", []EventID{WasReset}},
		{"reset", []EventID{WasReset}},
		{"99/1", []EventID{ID(99, 1)}},
		{"network-time", []EventID{TimeSet}},
		{"21", []EventID{TimeSet}},
		{"all", Events()},
		{"nothing", nil}, {"17/nothing", nil}, {"", nil}, {"/", nil}, {"100000/1", nil},
	} {
		got, err := ParseEvents(tt.text)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) || err != nil && !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: got %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
	for _, id := range append(Events(), ID(99, 1)) { // each has a name of its own
		if got, err := ParseEvents(id.Word()); err != nil || len(got) != 1 || got[0] != id {
			t.Errorf("%s: got %v, %v", id.Word(), got, err)
		}
	}
	if apps := Apps(); len(apps) < 10 || apps[0] != SecurityAdmin {
		t.Errorf("applications: %v", apps)
	}
}

func FuzzParseEvents(f *testing.F) {
	f.Add("remote-control/reset")
	f.Add("17/3")
	f.Add("/")
	f.Fuzz(func(t *testing.T, text string) {
		if ids, err := ParseEvents(text); err == nil && len(ids) == 0 {
			t.Errorf("%q is nothing, without an error", text)
		}
	})
}
