package digest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Answers of [Server.Admit].
var (
	ErrNoCredentials = errors.New("no digest credentials")                  // none, or of another scheme: the usual first request
	ErrStale         = errors.New("stale nonce")                            // right in all but the nonce's age
	ErrDenied        = errors.New("credentials refused")                    // wrong name, password, realm, nonce, uri or qop
	errBadNonce      = fmt.Errorf("%w: nonce is not of ours", ErrDenied)    // e.g. from before a reset
	errBadURI        = fmt.Errorf("%w: made for another target", ErrDenied) // uri is not the request's
	errBadQOP        = fmt.Errorf("%w: qop was not offered", ErrDenied)     // auth where only auth-int will do
	errBadPassword   = fmt.Errorf("%w: wrong name or password", ErrDenied)  // or a changed body
	errBadRealm      = fmt.Errorf("%w: made for another realm", ErrDenied)  // e.g. from before an unprovision
)

// ServerOptions are the settings of a [Server]. The zero value does as AMT before release 14.
type ServerOptions struct {
	QOP      []string      // offered, in this order; nil is "auth". Release 14 offers auth and auth-int
	Lifetime time.Duration // of a nonce, whole seconds; 0 is until Reset
	Random   func([]byte)  // fills with random bytes what proves the nonces; nil is crypto/rand
}

// A Server hands out nonces and checks credentials: one per machine. It remembers no nonce; a nonce carries its own
// proof. So a server costs some 150 bytes, however many clients it has.
//
// It does not ask that the count of a nonce rises: LWP (Debian's amttool) and old curl send nc=1 with the same cnonce
// again and again, and a device that minds would break them. What a replay can do is limited by the lifetime alone.
// Safe for concurrent use.
type Server struct {
	realm    string
	qop      []string
	lifetime uint32 // seconds, 0 is for ever
	random   func([]byte)

	mu      sync.Mutex // guards what follows
	key     [32]byte   // proves nonces
	mask    uint32     // hides the age in a nonce
	start   time.Time  // ages count from here
	counter uint32     // of nonces given
}

// NewServer returns a Server for a realm: "Digest:" and 32 upper-case hex digits, if it is to look like AMT.
func NewServer(realm string, o ServerOptions) *Server {
	s := &Server{realm: realm, qop: o.QOP, lifetime: uint32(min(max(o.Lifetime/time.Second, 0), 1<<32-1))}
	if o.Lifetime > 0 && s.lifetime == 0 {
		s.lifetime = 1
	}
	if s.qop == nil {
		s.qop = []string{qopAuth}
	}
	if s.random = o.Random; s.random == nil {
		s.random = func(b []byte) { rand.Read(b) } // never fails: crypto/rand ends the program instead
	}
	s.Reset()
	return s
}

// Realm returns the realm.
func (s *Server) Realm() string { return s.realm }

// Reset voids all nonces, as a reset of the firmware or a change of the access list does.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var mask [4]byte
	s.random(s.key[:])
	s.random(mask[:])
	s.mask = binary.LittleEndian.Uint32(mask[:])
	s.start = time.Now()
	s.counter = 0
}

// Challenge returns a challenge with a new nonce, for the WWW-Authenticate header of a 401.
func (s *Server) Challenge(stale bool) Challenge {
	return Challenge{Realm: s.realm, Nonce: s.nonce(), QOP: s.qop, Stale: stale}
}

// The layout of a nonce, base64 of 24 bytes, like those recorded from AMT (spec wsman.md section 3.1):
//
//	 0  4  seconds since Reset, xor mask, little-endian
//	 4  4  counter, little-endian
//	 8  4  0
//	12 12  first bytes of SHA-256(key, bytes 0..11)
const (
	nonceBytes = 24
	proofAt    = 12
)

func (s *Server) nonce() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counter++
	var n [nonceBytes]byte
	binary.LittleEndian.PutUint32(n[0:], s.age()^s.mask)
	binary.LittleEndian.PutUint32(n[4:], s.counter)
	proof := s.proof(n[:proofAt])
	copy(n[proofAt:], proof[:])
	return base64.StdEncoding.EncodeToString(n[:])
}

// age returns the seconds since Reset. mu is held.
func (s *Server) age() uint32 { return uint32(time.Since(s.start) / time.Second) }

// proof returns what only this server can know about the front of a nonce. The input's length is fixed and the output
// cut to half, so a plain hash under a key will do. mu is held.
func (s *Server) proof(front []byte) (p [nonceBytes - proofAt]byte) {
	var text [len(s.key) + proofAt]byte
	copy(text[copy(text[:], s.key[:]):], front)
	sum := sha256.Sum256(text[:])
	copy(p[:], sum[:])
	return p
}

// A Verdict is what a server thinks of a nonce.
type Verdict uint8

// The verdicts.
const (
	Forged Verdict = 0 // not given out by this server since its last Reset
	Stale  Verdict = 1 // given out, but older than the lifetime
	Known  Verdict = 2 // given out and good
)

func (v Verdict) String() string {
	switch v {
	case Forged:
		return "forged"
	case Stale:
		return "stale"
	case Known:
		return "known"
	}
	return fmt.Sprintf("unknown (%d)", uint8(v))
}

// CheckNonce tells whether a nonce is one of this server's and still good.
func (s *Server) CheckNonce(nonce string) Verdict {
	if len(nonce) != base64.StdEncoding.EncodedLen(nonceBytes) {
		return Forged
	}
	var n [nonceBytes]byte
	if got, err := base64.StdEncoding.Strict().Decode(n[:], []byte(nonce)); err != nil || got != nonceBytes {
		return Forged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	proof := s.proof(n[:proofAt])
	if subtle.ConstantTimeCompare(proof[:], n[proofAt:]) != 1 {
		return Forged
	}
	given := binary.LittleEndian.Uint32(n[0:]) ^ s.mask
	if s.lifetime > 0 && s.age()-given >= s.lifetime {
		return Stale
	}
	return Known
}

// Admit judges a request by its Authorization header ("" if it has none): realm, target, qop, nonce and response. uri is
// the request target, body the whole body; ha1 looks an account up. user is the name that was given, also when it is
// refused, so that the caller can count failures.
//
// On any error the answer is 401 with Challenge(errors.Is(err, ErrStale)). The error wraps [ErrNoCredentials],
// [ErrStale], [ErrDenied], or what [ParseCredentials] says of a bad header. An unknown user takes as long as a wrong
// password.
func (s *Server) Admit(header, method, uri string, body []byte, ha1 func(user string) ([16]byte, bool)) (user string, err error) {
	if header == "" {
		return "", fmt.Errorf("digest: %w", ErrNoCredentials)
	}
	c, err := ParseCredentials(header)
	switch {
	case errors.Is(err, ErrNotDigest):
		return "", fmt.Errorf("digest: %w", ErrNoCredentials)
	case err != nil:
		return "", err
	}
	if err := s.judge(&c, method, uri, body, ha1); err != nil {
		return c.Username, fmt.Errorf("digest: %w", err)
	}
	return c.Username, nil
}

func (s *Server) judge(c *Credentials, method, uri string, body []byte, ha1 func(user string) ([16]byte, bool)) error {
	switch {
	case c.Realm != s.realm:
		return errBadRealm
	case c.URI != uri:
		return errBadURI
	case !s.accepts(c.QOP):
		return errBadQOP
	}
	verdict := s.CheckNonce(c.Nonce)
	if verdict == Forged {
		return errBadNonce
	}
	hash, found := ha1(c.Username)
	switch good := c.Verify(hash, method, body); {
	case !good || !found:
		return errBadPassword
	case verdict == Stale:
		return ErrStale
	}
	return nil
}

// accepts tells whether a client may use this qop. None at all (RFC 2069) proves as much as auth does.
func (s *Server) accepts(qop string) bool {
	if qop == "" {
		if len(s.qop) == 0 {
			return true
		}
		qop = qopAuth
	}
	for _, offered := range s.qop {
		if offered == qop {
			return true
		}
	}
	return false
}
