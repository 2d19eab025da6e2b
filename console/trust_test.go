package console

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	now := time.Now()
	_, good := selfSigned(t, "desk-7", now.Add(-time.Hour), now.Add(time.Hour))
	_, expired := selfSigned(t, "desk-7", now.Add(-2*time.Hour), now.Add(-time.Hour))
	_, early := selfSigned(t, "desk-7", now.Add(time.Hour), now.Add(2*time.Hour))
	_, other := selfSigned(t, "desk-8", now.Add(-time.Hour), now.Add(time.Hour))
	roots := x509.NewCertPool()
	for _, cert := range []*x509.Certificate{good, expired, early, other} {
		roots.AddCert(cert)
	}
	colons := ""
	for i, r := range Fingerprint(expired) {
		if i > 0 && i%2 == 0 {
			colons += ":"
		}
		colons += strings.ToUpper(string(r))
	}
	for _, tt := range []struct {
		name string
		cfg  TLSConfig
		cert *x509.Certificate
		want TrustReason
	}{
		{"authority", TLSConfig{RootCAs: roots}, good, ""},
		{"nobody", TLSConfig{RootCAs: x509.NewCertPool()}, good, UnknownAuthority},
		{"pin", TLSConfig{Pin: Fingerprint(good)}, good, ""},
		{"pin of another", TLSConfig{Pin: Fingerprint(other)}, good, PinMismatch},
		{"pin counts even if an authority would do", TLSConfig{Pin: Fingerprint(other), RootCAs: roots}, good, PinMismatch},
		{"pinned and expired is good", TLSConfig{Pin: colons}, expired, ""},
		{"expired", TLSConfig{RootCAs: roots}, expired, Expired},
		{"expired and unknown", TLSConfig{RootCAs: x509.NewCertPool()}, expired, Expired},
		{"not yet valid", TLSConfig{RootCAs: roots}, early, NotYetValid},
		{"another name", TLSConfig{RootCAs: roots}, other, WrongName},
		{"name given", TLSConfig{RootCAs: roots, ServerName: "desk-8"}, other, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Name = "seven"
			tr, err := newTrust(tt.cfg, "desk-7")
			if err != nil {
				t.Fatal(err)
			}
			err = tr.judge([]*x509.Certificate{tt.cert})
			var bad *TrustError
			if errors.As(err, &bad); (bad == nil) != (tt.want == "") || bad != nil && bad.Reason != tt.want {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if bad == nil {
				return
			}
			if bad.Name != "seven" || bad.Address != "desk-7" {
				t.Errorf("it is of %q at %q", bad.Name, bad.Address)
			}
			if !errors.Is(err, ErrTrust) || bad.Fingerprint != Fingerprint(tt.cert) || !strings.Contains(err.Error(), bad.Fingerprint) {
				t.Errorf("got %v", err)
			}
			if kind, hint := Explain(err); kind != KindTrust || hint == "" {
				t.Errorf("kind %v, hint %q", kind, hint)
			}
		})
	}
}

func TestParsePin(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	if got, err := ParsePin(strings.ToUpper(sum[:2]) + ":" + sum[2:]); got != sum || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "abcd", strings.Repeat("ab", 33), strings.Repeat("zz", 32)} {
		if _, err := ParsePin(bad); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, err := New(Config{Address: "x", TLS: TLSConfig{Pin: "nonsense"}}); !errors.Is(err, ErrUsage) {
		t.Errorf("got %v", err)
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add(strings.Repeat("ab", 32))
	f.Add("AA:BB:cc dd")
	f.Fuzz(func(t *testing.T, text string) {
		pin, err := ParsePin(text)
		if err != nil {
			return
		}
		if again, err := ParsePin(pin); again != pin || err != nil || len(pin) != 64 {
			t.Errorf("%q became %q, then %q, %v", text, pin, again, err)
		}
	})
}

func TestTrustAtFirstUse(t *testing.T) {
	s := newSite(t)
	asked := 0
	c := s.client(t, func(cfg *Config) {
		cfg.TLS.Pin = ""
		cfg.TLS.OnUnknown = func(_ context.Context, cert *x509.Certificate, reason error) bool {
			asked++
			var bad *TrustError
			if !errors.As(reason, &bad) || bad.Reason != UnknownAuthority || Fingerprint(cert) != Fingerprint(s.cert) {
				t.Errorf("asked with %v", reason)
			}
			return true
		}
	})
	for range 3 {
		if _, err := c.Power(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := c.DialRedirection(t.Context()) // a second connection is checked against what was accepted
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	at, err := c.Endpoint(t.Context())
	if err != nil || at.Scheme != HTTPS || at.Port != PortHTTPS || at.TLS == nil {
		t.Errorf("got %+v, %v", at, err)
	}
}

func TestTrustRefusedNeverFallsBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		tls  func(s *site) TLSConfig
		want TrustReason
	}{
		{"nobody to ask", func(*site) TLSConfig { return TLSConfig{} }, UnknownAuthority},
		{"said no", func(*site) TLSConfig {
			return TLSConfig{OnUnknown: func(context.Context, *x509.Certificate, error) bool { return false }}
		}, UnknownAuthority},
		{"another certificate", func(*site) TLSConfig {
			return TLSConfig{Pin: strings.Repeat("00", 32), OnUnknown: func(context.Context, *x509.Certificate, error) bool {
				panic("a pin that does not match is never asked about")
			}}
		}, PinMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			c := s.client(t, func(cfg *Config) {
				cfg.TLS = tt.tls(s)
				cfg.AskPassword = func(context.Context) (string, error) { panic("no password for who is not trusted") }
				cfg.Password = ""
			})
			_, err := c.Power(t.Context())
			var bad *TrustError
			if !errors.As(err, &bad) || bad.Reason != tt.want {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if n := s.fake.called(""); n != 0 {
				t.Errorf("%d requests reached the machine", n)
			}
		})
	}
}

// A machine that only speaks what the settings forbid: the error says what to set, and setting it helps.
func TestOldTLSIsExplained(t *testing.T) {
	key, cert := selfSignedRSA(t, "desk-7")
	for _, tt := range []struct {
		name   string
		server *tls.Config
		remedy string
		then   func(*TLSConfig)
	}{
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, "minimum TLS version 1.0",
			func(c *TLSConfig) { c.MinVersion = tls.VersionTLS10 }},
		{"RSA key exchange", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, "legacy ciphers",
			func(c *TLSConfig) { c.LegacyCiphers = true }},
		{"both", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}, "minimum TLS version 1.0 and legacy ciphers",
			func(c *TLSConfig) { c.MinVersion, c.LegacyCiphers = tls.VersionTLS10, true }},
		{"client certificate", &tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}, "a client certificate",
			func(c *TLSConfig) {
				c.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := tt.server.Clone()
			server.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					tls.Server(conn, server).HandshakeContext(t.Context())
					conn.Close()
				}
			}()
			defer func() { listener.Close(); <-done }()
			cfg := Config{Address: "desk-7", Scheme: HTTPS, TLS: TLSConfig{Pin: Fingerprint(cert)},
				Dial: func(ctx context.Context, _ int) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
				}}
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Endpoint(t.Context())
			var shake *HandshakeError
			if !errors.As(err, &shake) || shake.Remedy() != tt.remedy {
				t.Fatalf("got %v, want remedy %q", err, tt.remedy)
			}
			if kind, hint := Explain(err); kind != KindTrust || !strings.Contains(hint, tt.remedy) {
				t.Errorf("got %v, %q", kind, hint)
			}
			tt.then(&cfg.TLS)
			again, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if _, err := again.Endpoint(t.Context()); err != nil {
				t.Errorf("with the remedy: %v", err)
			}
		})
	}
}

func TestTLSToPlainPort(t *testing.T) {
	s := newSite(t)
	c := s.client(t, func(cfg *Config) { cfg.Scheme, cfg.Port = HTTPS, PortHTTP })
	_, err := c.Endpoint(t.Context())
	if !errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), "plain HTTP") {
		t.Errorf("got %v", err)
	}
}
