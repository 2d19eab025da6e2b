package wsman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/digest"
)

func TestWrongPassword(t *testing.T) {
	g := newGuard(digest.ServerOptions{})
	m := &machine{answer: g.protect(serve(settings))}
	c := m.client(t, &Client{Password: "wrong"})
	for i := range 2 {
		_, err := Get(t.Context(), c, "CIM_Chip", nil)
		var auth *AuthError
		if !errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrLockedOut) || !errors.As(err, &auth) || auth.Realm != testRealm {
			t.Errorf("got %v", err)
		}
		if challenges, refusals := g.count(); challenges != i+1 || refusals != i+1 {
			t.Errorf("%d challenges, %d refusals after %d calls", challenges, refusals, i+1)
		}
	}
}

// Each refusal brings the account nearer to being locked, so requests that wait share the verdict.
func TestWrongPasswordIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(digest.ServerOptions{})
		answer := g.protect(serve(settings))
		m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
			time.Sleep(time.Millisecond)
			return answer(w, r, body)
		}}
		c := m.client(t, &Client{Password: "wrong"})
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := Get(t.Context(), c, "CIM_Chip", nil); !errors.Is(err, ErrUnauthorized) {
					t.Errorf("got %v", err)
				}
			})
		}
		group.Wait()
		if challenges, refusals := g.count(); challenges != 1 || refusals != 1 {
			t.Errorf("%d challenges, %d refusals", challenges, refusals)
		}
	})
}

func TestLockedOut(t *testing.T) {
	for _, tt := range []struct {
		challenge, refusal time.Duration
		locked             bool
	}{
		{0, 0, false},
		{0, 999 * time.Millisecond, false},
		{0, time.Second, true},
		{3 * time.Second, 3 * time.Second, false}, // the machine is far away
		{3 * time.Second, 5 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuard(digest.ServerOptions{})
			answer := g.protect(serve(settings))
			m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
				if r.Header.Get("Authorization") == "" {
					time.Sleep(tt.challenge)
				} else {
					time.Sleep(tt.refusal)
				}
				return answer(w, r, body)
			}}
			c := m.client(t, &Client{Password: "wrong"})
			_, err := Get(t.Context(), c, "CIM_Chip", nil)
			var auth *AuthError
			if !errors.As(err, &auth) || auth.Delay != tt.refusal || errors.Is(err, ErrLockedOut) != tt.locked {
				t.Errorf("%+v: got %v", tt, err)
			}
		})
	}
}

func TestNonceIsDropped(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options digest.ServerOptions
		drop    func(g *guard)
	}{
		{"and said so", digest.ServerOptions{Lifetime: 10 * time.Second}, func(*guard) { time.Sleep(time.Minute) }},
		{"and not said so", digest.ServerOptions{}, func(g *guard) { g.Reset() }},
		{"auth-int", digest.ServerOptions{QOP: []string{"auth-int"}}, func(g *guard) { g.Reset() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(tt.options)
				m := &machine{answer: g.protect(serve(settings))}
				c := m.client(t, &Client{Password: testPassword})
				for i := range 3 {
					// A 401 means that the machine did nothing, so even a Put is sent again.
					if _, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}}); err != nil {
						t.Fatal(err)
					}
					if challenges, refusals := g.count(); challenges != 1 || refusals != i {
						t.Errorf("%d challenges, %d refusals", challenges, refusals)
					}
					tt.drop(g)
				}
			})
		})
	}
}

func TestManyWhileNonceIsDropped(t *testing.T) {
	g := newGuard(digest.ServerOptions{})
	m := &machine{answer: g.protect(serve(settings))}
	c := m.client(t, &Client{Password: testPassword, MaxConns: 4})
	for range 5 {
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		g.Reset()
	}
	// Only those that have a connection when the nonce is dropped meet it: four, each time.
	if challenges, refusals := g.count(); challenges != 1 || refusals > 4*4 {
		t.Errorf("%d challenges, %d refusals", challenges, refusals)
	}
}

// Requests that wait for a connection are signed when they get it, with the nonce of then.
func TestWaitingIsNotSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(digest.ServerOptions{})
		answer, hold := g.protect(serve(settings)), make(chan struct{})
		close(hold)
		m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
			<-hold
			return answer(w, r, body)
		}}
		c := m.client(t, &Client{Password: testPassword, MaxConns: 1})
		get := func() {
			if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
				t.Error(err)
			}
		}
		get()
		hold = make(chan struct{})
		var group sync.WaitGroup
		for range 8 {
			group.Go(get)
		}
		synctest.Wait() // one is with the machine, seven wait
		g.Reset()
		close(hold)
		group.Wait()
		if challenges, refusals := g.count(); challenges != 1 || refusals != 1 {
			t.Errorf("%d challenges, %d refusals; want 1, 1", challenges, refusals)
		}
	})
}

// A machine that says nothing to the first password, after it was quick to ask for one, may be delaying a refusal.
func TestSlowLogin(t *testing.T) {
	for _, tt := range []struct {
		name            string
		challenge, sign time.Duration
		maybe           bool
	}{
		{"slow to refuse", 0, time.Hour, true},
		{"slow to ask", time.Hour, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(digest.ServerOptions{})
				answer := g.protect(serve(settings))
				m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
					if r.Header.Get("Authorization") == "" {
						time.Sleep(tt.challenge)
					} else {
						time.Sleep(tt.sign)
					}
					return answer(w, r, body)
				}}
				c := m.client(t, &Client{Password: testPassword, Timeout: 10 * time.Second})
				begin := time.Now()
				_, err := Get(t.Context(), c, "CIM_Chip", nil)
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrSlowLogin) != tt.maybe || time.Since(begin) != 10*time.Second {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
				if strings.Contains(err.Error(), "context") {
					t.Errorf("%q is not in plain words", err)
				}
			})
		})
	}
}

// A machine that says 401 for ever, in each way it can, is not asked for ever.
func TestChallengedForEver(t *testing.T) {
	for _, tt := range []struct {
		name, challenge string
		requests        int
		want            error
	}{
		{"fresh", `Digest realm="r", nonce="n%d",stale="false",qop="auth"`, 2, ErrUnauthorized},
		{"stale", `Digest realm="r", nonce="n%d",stale="true",qop="auth"`, 3, ErrUnauthorized},
		{"no realm to speak of", `Digest realm="", nonce="n%d",qop="auth"`, 2, ErrUnauthorized},
		{"Kerberos", `Negotiate%.0d`, 1, digest.ErrNotDigest},
		{"unknown algorithm", `Digest realm="r",nonce="%d",algorithm=SHA-512-256`, 1, digest.ErrUnsupported},
		{"bad challenge", `Digest %d`, 1, digest.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := 0
			m := &machine{answer: func(w io.Writer, r *http.Request, _ []byte) bool {
				n++
				page(w, 401, "no", "WWW-Authenticate: "+fmt.Sprintf(tt.challenge, n), "Connection: close")
				return false
			}}
			c := m.client(t, &Client{Password: testPassword})
			_, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}})
			if !errors.Is(err, tt.want) || !errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrIndeterminate) {
				t.Errorf("got %v", err)
			}
			if _, requests, _ := m.count(); requests != tt.requests {
				t.Errorf("%d requests, want %d", requests, tt.requests)
			}
		})
	}
	m := &machine{answer: raw(false, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")}
	c := m.client(t, &Client{Password: testPassword})
	if _, err := Get(t.Context(), c, "CIM_Chip", nil); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("no challenge: got %v", err)
	}
}

// Negotiate beside Digest is what a machine with Kerberos sends.
func TestTwoChallenges(t *testing.T) {
	g := newGuard(digest.ServerOptions{})
	answer := g.protect(serve(settings))
	m := &machine{answer: func(w io.Writer, r *http.Request, body []byte) bool {
		if r.Header.Get("Authorization") == "" {
			page(w, 401, "no", "WWW-Authenticate: Negotiate", "WWW-Authenticate: "+g.Challenge(false).String(), "Connection: close")
			return false
		}
		return answer(w, r, body)
	}}
	c := m.client(t, &Client{Password: testPassword})
	if _, err := Get(t.Context(), c, "CIM_Chip", nil); err != nil {
		t.Error(err)
	}
}

func TestPasswordStaysInside(t *testing.T) {
	c := &Client{Username: "admin", Password: "hunter2"}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("password in %s", text)
		}
	}
}
