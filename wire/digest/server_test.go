package digest

import (
	"encoding/base64"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func accounts(user string) ([16]byte, bool) {
	if user != "admin" {
		return [16]byte{}, false
	}
	return HA1("admin", amtRealm, "P@ssw0rd"), true
}

func TestNonceLooksLikeAMT(t *testing.T) {
	s := NewServer(amtRealm, ServerOptions{})
	seen := map[string]bool{}
	for want := range byte(5) {
		n := s.Challenge(false).Nonce
		raw, err := base64.StdEncoding.DecodeString(n)
		if err != nil || len(raw) != 24 || len(n) != 32 || seen[n] {
			t.Fatalf("nonce %q: %v", n, err)
		}
		seen[n] = true
		if raw[4] != want+1 || raw[5]|raw[6]|raw[7]|raw[8]|raw[9]|raw[10]|raw[11] != 0 {
			t.Errorf("counter %x, want %d and zeros", raw[4:12], want+1)
		}
	}
	if got := s.Challenge(true); !got.Stale || got.Realm != amtRealm || len(got.QOP) != 1 || got.QOP[0] != "auth" {
		t.Errorf("%+v", got)
	}
}

func TestCheckNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(amtRealm, ServerOptions{Lifetime: time.Minute})
		forever := NewServer(amtRealm, ServerOptions{})
		time.Sleep(90 * time.Second) // the clock is synctest's
		n, f := s.Challenge(false).Nonce, forever.Challenge(false).Nonce
		check := func(when string, got, want Verdict) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		check("new", s.CheckNonce(n), Known)
		check("of another server", s.CheckNonce(f), Forged)
		time.Sleep(59 * time.Second)
		check("59 s old", s.CheckNonce(n), Known)
		time.Sleep(2 * time.Second)
		check("61 s old", s.CheckNonce(n), Stale)
		time.Sleep(1000 * time.Hour)
		check("old, no lifetime", forever.CheckNonce(f), Known)

		raw, _ := base64.StdEncoding.DecodeString(f)
		for i := range raw {
			raw[i] ^= 1
			check("one bit off", forever.CheckNonce(base64.StdEncoding.EncodeToString(raw)), Forged)
			raw[i] ^= 1
		}
		for _, junk := range []string{"", "x", f[:31], f + "A", f[:31] + "=", f[:30] + "==", f[:31] + "\n", "????????????????????????????????"} {
			check(junk, forever.CheckNonce(junk), Forged)
		}
		forever.Reset()
		check("after reset", forever.CheckNonce(f), Forged)
		check("after reset, new", forever.CheckNonce(forever.Challenge(false).Nonce), Known)
	})
}

func TestAdmit(t *testing.T) {
	const body = "<a/>"
	both := ServerOptions{QOP: []string{"auth", "auth-int"}, Lifetime: time.Minute}
	for _, tt := range []struct {
		name   string
		opts   ServerOptions
		spoil  func(*Credentials) // before signing
		forge  func(*Credentials) // after signing
		wait   time.Duration
		method string
		uri    string
		want   error
	}{
		{name: "good"},
		{name: "auth-int", opts: both, spoil: func(c *Credentials) { c.QOP = "auth-int" }},
		{name: "RFC 2069", spoil: func(c *Credentials) { c.QOP, c.NC, c.CNonce = "", 0, "" }},
		{name: "RFC 2069, no qop offered", opts: ServerOptions{QOP: []string{}}, spoil: func(c *Credentials) { c.QOP, c.NC, c.CNonce = "", 0, "" }},
		{name: "MD5-sess", spoil: func(c *Credentials) { c.Algorithm = "MD5-sess" }},
		{name: "auth-int, not offered", spoil: func(c *Credentials) { c.QOP = "auth-int" }, want: ErrDenied},
		{name: "auth where only auth-int will do", opts: ServerOptions{QOP: []string{"auth-int"}}, want: ErrDenied},
		{name: "RFC 2069 where only auth-int will do", opts: ServerOptions{QOP: []string{"auth-int"}}, spoil: func(c *Credentials) { c.QOP = "" }, want: ErrDenied},
		{name: "stale", opts: both, wait: 2 * time.Minute, want: ErrStale},
		{name: "stale and wrong", opts: both, wait: 2 * time.Minute, forge: func(c *Credentials) { c.Response = "00" }, want: ErrDenied},
		{name: "another's nonce", spoil: func(c *Credentials) { c.Nonce = amtNonce }, want: ErrDenied},
		{name: "another realm", spoil: func(c *Credentials) { c.Realm = "Digest:0" }, want: ErrDenied},
		{name: "unknown user", spoil: func(c *Credentials) { c.Username = "nobody" }, want: ErrDenied},
		{name: "another response", forge: func(c *Credentials) { c.Response = "00112233445566778899aabbccddeeff" }, want: ErrDenied},
		{name: "another target", uri: "/index.htm", want: ErrDenied},
		{name: "another method", method: "GET", want: ErrDenied},
		{name: "SHA-256", forge: func(c *Credentials) { c.Algorithm = "SHA-256" }, want: ErrDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(amtRealm, tt.opts)
				c := Credentials{Username: "admin", Realm: amtRealm, Nonce: s.Challenge(false).Nonce, URI: "/wsman", QOP: "auth", NC: 1, CNonce: "same"}
				if tt.spoil != nil {
					tt.spoil(&c)
				}
				hash, _ := accounts(c.Username)
				c, err := c.Sign(hash, "POST", []byte(body))
				if err != nil {
					t.Fatal(err)
				}
				if tt.forge != nil {
					tt.forge(&c)
				}
				time.Sleep(tt.wait)
				method, uri := tt.method, tt.uri
				if method == "" {
					method = "POST"
				}
				if uri == "" {
					uri = "/wsman"
				}
				for range 2 { // the second time with the same nc and cnonce, as LWP does
					user, err := s.Admit(c.String(), method, uri, []byte(body), accounts)
					if user != c.Username || !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
						t.Errorf("got %q, %v; want %v", user, err, tt.want)
					}
				}
			})
		})
	}
}

func TestAdmitBodyCounts(t *testing.T) {
	s := NewServer(amtRealm, ServerOptions{QOP: []string{"auth-int"}})
	c := newClient(t, s.Challenge(false).String())
	header, _ := c.Authorize("POST", "/wsman", []byte("<on/>"))
	if _, err := s.Admit(header, "POST", "/wsman", []byte("<on/>"), accounts); err != nil {
		t.Error(err)
	}
	if _, err := s.Admit(header, "POST", "/wsman", []byte("<off/>"), accounts); !errors.Is(err, ErrDenied) {
		t.Errorf("another body: %v", err)
	}
}

func TestAdmitWithoutCredentials(t *testing.T) {
	s := NewServer(amtRealm, ServerOptions{})
	for header, want := range map[string]error{
		"":                  ErrNoCredentials,
		"Negotiate YII=":    ErrNoCredentials,
		"Basic YTpi":        ErrNoCredentials,
		"Digest username=a": ErrMalformed,
	} {
		if user, err := s.Admit(header, "POST", "/wsman", nil, accounts); user != "" || !errors.Is(err, want) {
			t.Errorf("%q: %q, %v; want %v", header, user, err, want)
		}
	}
}

// A client that lost its nonce to a reset comes back with one more round.
func TestClientAndServerAcrossReset(t *testing.T) {
	s := NewServer(amtRealm, ServerOptions{QOP: []string{"auth", "auth-int"}})
	c := &Client{Username: "admin", Password: "P@ssw0rd"}
	rounds := func() (n int) {
		for n = 1; n <= 2; n++ {
			header, _ := c.Authorize("POST", "/wsman", nil)
			_, err := s.Admit(header, "POST", "/wsman", nil, accounts)
			if err == nil {
				return n
			}
			if _, err := c.Challenged([]string{s.Challenge(errors.Is(err, ErrStale)).String()}); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	for i, want := range []int{2, 1, 1} {
		if got := rounds(); got != want {
			t.Errorf("request %d: %d rounds, want %d", i, got, want)
		}
	}
	s.Reset()
	if got := rounds(); got != 2 {
		t.Errorf("after reset: %d rounds, want 2", got)
	}
	c.Password = "wrong"
	s.Reset()
	if got := rounds(); got != 3 {
		t.Errorf("wrong password let in after %d rounds", got)
	}
}

func TestServerFromManySides(t *testing.T) {
	s := NewServer(amtRealm, ServerOptions{Lifetime: time.Hour})
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				n := s.Challenge(false).Nonce
				if got := s.CheckNonce(n); got != Known {
					t.Errorf("own nonce is %v", got)
				}
				mu.Lock()
				if seen[n] {
					t.Error("nonce given twice")
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	s.Reset()
}

func FuzzCheckNonce(f *testing.F) {
	s := NewServer(amtRealm, ServerOptions{})
	f.Add(amtNonce)
	f.Add("")
	f.Fuzz(func(t *testing.T, nonce string) {
		if got := s.CheckNonce(nonce); got != Forged {
			t.Errorf("%q is %v", nonce, got)
		}
	})
}

func BenchmarkServerChallenge(b *testing.B) {
	s := NewServer(amtRealm, ServerOptions{})
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Challenge(false).String()
	}
}

func BenchmarkAdmit(b *testing.B) {
	s := NewServer(amtRealm, ServerOptions{})
	c := &Client{Username: "admin", Password: "P@ssw0rd"}
	if _, err := c.Challenged([]string{s.Challenge(false).String()}); err != nil {
		b.Fatal(err)
	}
	header, _ := c.Authorize("POST", "/wsman", nil)
	ha1, _ := accounts("admin")
	find := func(string) ([16]byte, bool) { return ha1, true }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Admit(header, "POST", "/wsman", nil, find); err != nil {
			b.Fatal(err)
		}
	}
}
