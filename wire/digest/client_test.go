package digest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func newClient(t *testing.T, headers ...string) *Client {
	t.Helper()
	c := &Client{Username: "admin", Password: "P@ssw0rd"}
	if _, err := c.Challenged(headers); err != nil {
		t.Fatal(err)
	}
	return c
}

func authorize(t *testing.T, c *Client, method, uri, body string) Credentials {
	t.Helper()
	header, ok := c.Authorize(method, uri, []byte(body))
	if !ok {
		t.Fatal("no session")
	}
	creds, err := ParseCredentials(header)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

func TestClient(t *testing.T) {
	c := &Client{Username: "admin", Password: "P@ssw0rd"}
	if header, ok := c.Authorize("POST", "/wsman", nil); ok || header != "" || c.Realm() != "" {
		t.Fatalf("before any challenge: %q, %t, realm %q", header, ok, c.Realm())
	}
	stale, err := c.Challenged([]string{"Negotiate", recordedChallenge})
	if stale || err != nil || c.Realm() != recorded.Realm {
		t.Fatalf("Challenged: %t, %v; realm %q", stale, err, c.Realm())
	}
	ha1 := HA1("admin", recorded.Realm, "P@ssw0rd")
	for want := uint32(1); want <= 3; want++ {
		got := authorize(t, c, "POST", "/wsman", "")
		if got.NC != want || got.QOP != "auth" || got.URI != "/wsman" || got.Nonce != recorded.Nonce || got.CNonce == "" || got.Algorithm != "" {
			t.Errorf("request %d: %+v", want, got)
		}
		if !got.Verify(ha1, "POST", nil) {
			t.Errorf("request %d: not verified", want)
		}
	}

	// The same nonce again goes on counting; another one starts from 1, and its realm is believed.
	if _, err := c.Challenged([]string{recordedChallenge}); err != nil {
		t.Fatal(err)
	}
	if got := authorize(t, c, "POST", "/wsman", ""); got.NC != 4 {
		t.Errorf("same nonce: nc %d, want 4", got.NC)
	}
	stale, err = c.Challenged([]string{`Digest realm="Digest:NEW", nonce="n2",stale="true",qop="auth"`})
	if !stale || err != nil || c.Realm() != "Digest:NEW" {
		t.Errorf("Challenged: %t, %v; realm %q", stale, err, c.Realm())
	}
	got := authorize(t, c, "GET", "/index.htm", "")
	if got.NC != 1 || got.Nonce != "n2" || !got.Verify(HA1("admin", "Digest:NEW", "P@ssw0rd"), "GET", nil) {
		t.Errorf("new nonce: %+v", got)
	}
}

func TestClientChoosesQOP(t *testing.T) {
	for _, tt := range []struct {
		name, qop, want string
		nc              uint32
	}{
		{"auth before auth-int", `,qop="auth-int,auth"`, "auth", 1},
		{"auth-int alone", `,qop="auth-int"`, "auth-int", 1},
		{"known among unknown", `,qop="auth-conf,auth-int"`, "auth-int", 1},
		{"none is RFC 2069", ``, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, `Digest realm="r",nonce="n"`+tt.qop)
			got := authorize(t, c, "POST", "/wsman", "<a/>")
			if got.QOP != tt.want || got.NC != tt.nc || (got.CNonce == "") != (tt.want == "") {
				t.Errorf("%+v", got)
			}
			if !got.Verify(HA1("admin", "r", "P@ssw0rd"), "POST", []byte("<a/>")) {
				t.Error("not verified")
			}
		})
	}
}

// The published responses, by way of a client whose random text is put in place of its own.
func TestClientVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			ch := Challenge{Realm: tt.c.Realm, Nonce: tt.c.Nonce, Opaque: tt.c.Opaque, Algorithm: tt.c.Algorithm}
			if tt.c.QOP != "" {
				ch.QOP = []string{tt.c.QOP}
			}
			c := &Client{Username: tt.c.Username, Password: tt.password}
			if _, err := c.Challenged([]string{ch.String()}); err != nil {
				t.Fatal(err)
			}
			s := c.session
			s.creds.CNonce = tt.c.CNonce
			s.key = s.alg.appendKey(nil, s.alg.appendHex(nil, appendA1(nil, tt.c.Username, tt.c.Realm, tt.password)), tt.c.Nonce, tt.c.CNonce)
			c.nc = max(tt.c.NC, 1) - 1
			header, ok := c.Authorize(tt.method, tt.c.URI, []byte(tt.body))
			if !ok || header != tt.c.String() {
				t.Errorf("got  %s\nwant %s", header, tt.c)
			}
		})
	}
}

func TestClientRefusals(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		want    error
		says    string
	}{
		{"no header", nil, ErrNotDigest, "without a challenge"},
		{"Kerberos only", []string{"Negotiate"}, ErrNotDigest, "Negotiate"},
		{"algorithm", []string{`Digest realm="r",nonce="n",algorithm=SHA-512-256`}, ErrUnsupported, "SHA-512-256"},
		{"qop", []string{`Digest realm="r",nonce="n",qop="auth-conf"`}, ErrUnsupported, "auth-conf"},
		{"broken", []string{"Negotiate", `Digest realm="r"`}, ErrMalformed, "nonce"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, recordedChallenge)
			_, err := c.Challenged(tt.headers)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("got %v, want %v that says %q", err, tt.want, tt.says)
			}
			if c.Realm() != recorded.Realm {
				t.Error("the former state is gone")
			}
		})
	}
	// A challenge that does not fit is passed over for one that does.
	c := newClient(t, `Digest realm="r",nonce="n",algorithm=SHA-512-256,qop="auth"`, `Digest realm="r",nonce="m",algorithm=MD5,qop="auth"`)
	if got := authorize(t, c, "POST", "/", ""); got.Nonce != "m" || got.Algorithm != "MD5" {
		t.Errorf("%+v", got)
	}
}

func TestClientCountRunsOut(t *testing.T) {
	c := newClient(t, recordedChallenge)
	c.nc = 1<<32 - 2
	if got := authorize(t, c, "POST", "/wsman", ""); got.NC != 1<<32-1 {
		t.Errorf("nc %x", got.NC)
	}
	if header, ok := c.Authorize("POST", "/wsman", nil); ok {
		t.Errorf("beyond the last count: %s", header)
	}
}

func TestClientKeepsItsSecret(t *testing.T) {
	c := newClient(t, recordedChallenge)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "client", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "client", c)
	_, err := c.Challenged([]string{"Basic"})
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), log.String(), err.Error()} {
		if strings.Contains(text, "P@ssw0rd") {
			t.Errorf("shows the password: %s", text)
		}
	}
}

func TestClientCountsAreDistinct(t *testing.T) {
	const workers, each = 64, 50
	c := newClient(t, recordedChallenge)
	counts := make([][]uint32, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				header, ok := c.Authorize("POST", "/wsman", nil)
				creds, err := ParseCredentials(header)
				if !ok || err != nil {
					t.Error(header, err)
					return
				}
				counts[w] = append(counts[w], creds.NC)
				c.Realm()
			}
		})
	}
	wg.Wait()
	seen := map[uint32]bool{}
	for _, mine := range counts {
		for _, nc := range mine {
			if seen[nc] || nc < 1 || nc > workers*each {
				t.Fatalf("nc %d seen before or out of range", nc)
			}
			seen[nc] = true
		}
	}
	if len(seen) != workers*each {
		t.Errorf("%d counts, want %d", len(seen), workers*each)
	}
}

// While some sign, others are challenged anew: no pair of nonce and count may come twice.
func TestClientChallengedMeanwhile(t *testing.T) {
	c := newClient(t, recordedChallenge)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 50 {
				if i%10 == w%10 {
					if _, err := c.Challenged([]string{fmt.Sprintf(`Digest realm="r",nonce="n%d-%d",qop="auth"`, w, i)}); err != nil {
						t.Error(err)
					}
				}
				header, _ := c.Authorize("POST", "/wsman", nil)
				creds, err := ParseCredentials(header)
				if err != nil {
					t.Error(err)
					return
				}
				key := fmt.Sprintf("%s/%d", creds.Nonce, creds.NC)
				mu.Lock()
				if seen[key] {
					t.Errorf("nonce %s count %d twice", creds.Nonce, creds.NC)
				}
				seen[key] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func BenchmarkAuthorize(b *testing.B) {
	c := &Client{Username: "admin", Password: "P@ssw0rd"}
	if _, err := c.Challenged([]string{recordedChallenge}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Authorize("POST", "/wsman", nil); !ok {
			b.Fatal("no session")
		}
	}
}

func BenchmarkChallenged(b *testing.B) {
	c := &Client{Username: "admin", Password: "P@ssw0rd"}
	headers := []string{recordedChallenge}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Challenged(headers); err != nil {
			b.Fatal(err)
		}
	}
}
