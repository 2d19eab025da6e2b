package digest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// A Client keeps one account's digest state towards one machine. After the first challenge it signs requests without
// being asked again, each with the next count of the nonce, until the machine drops the nonce and says so by another
// 401. Set the fields before first use. Safe for concurrent use; do not copy.
type Client struct {
	Username string
	Password string `json:"-"`

	mu      sync.Mutex
	session *session // guarded by mu; what it points to does not change
	nc      uint32   // guarded by mu: last count used with session's nonce
}

// A session is what follows from one challenge.
type session struct {
	alg   algorithm
	key   []byte      // hex; see algorithm.appendKey
	creds Credentials // all but URI, NC and Response
}

// Authorize returns the Authorization header for one request. uri is the request target; body is read only if the
// machine wants auth-int. ok is false while no challenge has been seen: send the request bare and hand the 401 to
// [Client.Challenged].
func (c *Client) Authorize(method, uri string, body []byte) (header string, ok bool) {
	c.mu.Lock()
	s := c.session
	if s != nil && c.nc == 1<<32-1 { // used up; ask for a new nonce
		c.session, s = nil, nil
	}
	if s == nil {
		c.mu.Unlock()
		return "", false
	}
	creds := s.creds
	if creds.QOP != "" {
		c.nc++
		creds.NC = c.nc
	}
	c.mu.Unlock()

	creds.URI = uri
	var response [64]byte
	creds.Response = string(s.alg.appendResponse(response[:0], s.key, &creds, method, body))
	return creds.String(), true
}

// Challenged takes the WWW-Authenticate values of a 401, and of those the first that it can answer. Realm, nonce and
// the rest are read anew each time, as all of them can change under a running client; a new nonce is counted from 1.
// stale tells that the machine took the password for good and only wants this new nonce.
//
// The error wraps [ErrNotDigest] if digest is not offered at all, [ErrUnsupported] if no algorithm or qop fits, or what
// [ParseChallenge] says. After an error the former state stands.
func (c *Client) Challenged(headers []string) (stale bool, err error) {
	var schemes []string
	for _, header := range headers {
		challenge, e := parseChallenge(header)
		if e == nil {
			var s *session
			if s, e = c.answer(challenge); e == nil {
				c.begin(s)
				return challenge.Stale, nil
			}
		}
		if errors.Is(e, ErrNotDigest) {
			header = strings.TrimLeft(header, " \t")
			schemes = append(schemes, clip(header[:wordLen(header)]))
		} else if err == nil {
			err = e
		}
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("digest: challenge: %w", err)
	case schemes != nil:
		return false, fmt.Errorf("digest: %w: the machine offers only %q", ErrNotDigest, schemes)
	}
	return false, fmt.Errorf("digest: %w: 401 without a challenge", ErrNotDigest)
}

// answer makes the session that follows from a challenge.
func (c *Client) answer(ch Challenge) (*session, error) {
	alg, err := parseAlgorithm(ch.Algorithm)
	if err != nil {
		return nil, err
	}
	s := &session{alg: alg, creds: Credentials{
		Username: c.Username, Realm: ch.Realm, Nonce: ch.Nonce, Opaque: ch.Opaque, Algorithm: ch.Algorithm,
	}}
	switch {
	case ch.offers(qopAuth):
		s.creds.QOP = qopAuth
	case ch.offers(qopAuthInt):
		s.creds.QOP = qopAuthInt
	case len(ch.QOP) > 0:
		return nil, fmt.Errorf("%w: qop %q", ErrUnsupported, clip(strings.Join(ch.QOP, ",")))
	}
	if s.creds.QOP != "" || alg.sess() {
		var random [12]byte
		rand.Read(random[:]) // never fails: crypto/rand ends the program instead
		s.creds.CNonce = hex.EncodeToString(random[:])
	}
	ha1 := alg.appendHex(nil, appendA1(nil, c.Username, ch.Realm, c.Password))
	s.key = alg.appendKey(nil, ha1, s.creds.Nonce, s.creds.CNonce)
	return s, nil
}

// begin puts a session in place. A machine that repeats its nonce does not get its counts repeated.
func (c *Client) begin(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil || c.session.creds.Nonce != s.creds.Nonce {
		c.nc = 0
	}
	c.session = s
}

// Realm returns the realm of the last challenge, "" before the first. A console compares it with the one it knows: it
// changes when somebody unprovisions the machine, and then every stored password hash is void.
func (c *Client) Realm() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return ""
	}
	return c.session.creds.Realm
}

// String names the account, not the password.
func (c *Client) String() string { return fmt.Sprintf("digest client of %q", c.Username) }

// GoString is String, so that %#v does not show the password.
func (c *Client) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }
