package firmware

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/wsman"
)

// Lockout. Real counts and times are not known: spec wsman.md section 3.1 says what to design for.
const (
	freeFailures = 5                // in a row that cost nothing
	maxLockout   = 60 * time.Second //
)

// trust is who was authenticated on a connection. Over TLS, requests that follow without credentials are that user's,
// until the access list changes. Source: spec wsman.md section 3.1, since 6.0.
type trust struct {
	user   string
	realms RealmSet
	epoch  uint32
}

// A lockout is the failures of one user in a row.
type lockout struct {
	failures int
	until    time.Time // no password is tried before
}

// lockouts are those of all users of a machine. Names that no user has share one.
type lockouts struct {
	mu     sync.Mutex
	byUser map[string]lockout
	total  uint64 // failures ever
}

// locked returns how long a user is still locked out.
func (l *lockouts) locked(user string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.byUser[user].until
	if until.IsZero() {
		return 0
	}
	return max(0, time.Until(until))
}

// failed counts a failure and returns how long its answer is to wait: from the fifth on 1 s, 2 s, 4 s ... 60 s.
func (l *lockouts) failed(user string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if l.byUser == nil {
		l.byUser = make(map[string]lockout)
	}
	u := l.byUser[user]
	u.failures++
	var d time.Duration
	if over := u.failures - freeFailures; over >= 0 {
		d = min(maxLockout, time.Second<<min(over, 6))
		u.until = time.Now().Add(d)
	}
	l.byUser[user] = u
	return d
}

// succeeded forgets the failures of a user.
func (l *lockouts) succeeded(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byUser, user)
	if len(l.byUser) == 0 {
		l.byUser = nil
	}
}

// registerAuth has AMT_AuthorizationService say what digest offers.
func registerAuth(t *table) {
	t.class("AMT_AuthorizationService").after = func(_ context.Context, m *Machine, _, _ *wsman.Element) { m.offerQOP() }
}

// offerQOP takes plain auth away if AllowHttpQopAuthOnly is 0, where the release has auth-int. Nonces are void then.
// Source: spec wsman.md section 3.1.
func (m *Machine) offerQOP() {
	qop := m.profile.QOP
	if m.one("AMT_AuthorizationService").ChildText("AllowHttpQopAuthOnly") == "0" && slices.Contains(qop, "auth-int") {
		qop = []string{"auth-int"}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.auth = digest.NewServer(m.identity.Realm, digest.ServerOptions{QOP: qop, Random: m.secrets.fill("digest")})
}

// voidNonces makes all nonces worthless, as a change of the access list does. Source: spec wsman.md section 3.1.
func (m *Machine) voidNonces() {
	m.aclEpoch.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.auth.Reset()
}

// AuthFailures returns how many log-ons were refused since the machine was made.
func (m *Machine) AuthFailures() uint64 {
	m.lockouts.mu.Lock()
	defer m.lockouts.mu.Unlock()
	return m.lockouts.total
}

// authenticate judges a request. If it is not to be served, the answer is a 401, or no answer at all when the context
// ended while a lockout held it back.
func (m *Machine) authenticate(ctx context.Context, r *request) (a reply, ok bool) {
	m.mu.Lock()
	server := m.auth
	m.mu.Unlock()
	header := r.header.Get("Authorization")
	if r.setup && m.tlsSetup() != nil {
		r.user, r.realms = m.users.adminName(), Realms(RealmAdministration)
		return reply{}, true
	}
	if header == "" {
		if r.secure && r.trust.user != "" && r.trust.epoch == m.aclEpoch.Load() {
			r.user, r.realms = r.trust.user, r.trust.realms
			return reply{}, true
		}
		return m.challenge(server, false), false
	}
	epoch := m.aclEpoch.Load()
	c, err := digest.ParseCredentials(header)
	if errors.Is(err, digest.ErrNotDigest) || err == nil && (c.Realm != server.Realm() || server.CheckNonce(c.Nonce) == digest.Forged) {
		return m.challenge(server, false), false // from before a reset or an unprovision: no guess at a password
	}
	bucket := c.Username
	if _, _, known := m.lookup(c.Username, r.local); !known {
		bucket = ""
	}
	if d := m.lockouts.locked(bucket); d > 0 {
		wait(ctx, d)
		return m.challenge(server, false), false
	}
	user, err := server.Admit(header, r.method, r.target, r.body, func(user string) ([16]byte, bool) {
		ha1, _, ok := m.lookup(user, r.local)
		return ha1, ok
	})
	if err != nil && m.config.AcceptAnyEmptyResponse && c.Response == "" && bucket != "" {
		user, err = c.Username, nil
	}
	switch {
	case err == nil:
		m.lockouts.succeeded(bucket)
		r.user = user
		_, r.realms, _ = m.lookup(user, r.local)
		*r.trust = trust{user, r.realms, epoch}
		return reply{}, true
	case errors.Is(err, digest.ErrStale):
		return m.challenge(server, true), false
	}
	d := m.lockouts.failed(bucket)
	m.logFailure(bucket)
	m.log.Info("log on refused", "user", c.Username, "delay", d)
	wait(ctx, d)
	return m.challenge(server, false), false
}

// challenge returns the 401. The connection must be closed: some clients wait for that.
func (m *Machine) challenge(server *digest.Server, stale bool) reply {
	a := page(http.StatusUnauthorized, "Log On Failed", "Log on failed. Incorrect user name or password, or user account temporarily locked.")
	a.header = append([]string{"WWW-Authenticate: " + server.Challenge(stale).String()}, m.negotiate()...)
	a.close, a.bare = true, true
	return a
}

// answer carries one request out.
func (m *Machine) answer(ctx context.Context, r *request) reply {
	t := m.table
	at, ok := t.routeOf(r.path)
	if ok && at.on != nil && !at.on(m) {
		ok = false
	}
	if ok && at.open {
		return at.serve(ctx, m, r)
	}
	if !ok {
		return page(http.StatusNotFound, "Not Found", "The requested page was not found.")
	}
	if a, ok := m.authenticate(ctx, r); !ok {
		return a
	}
	if at.realms != 0 && !r.realms.Allows(at.realms) {
		return page(http.StatusForbidden, "Forbidden", "The user account does not have the permission to see this page.")
	}
	return at.serve(ctx, m, r)
}

// serveWSMan answers POST /wsman.
func serveWSMan(ctx context.Context, m *Machine, r *request) reply {
	if r.method != http.MethodPost {
		a := page(http.StatusMethodNotAllowed, "Method Not Allowed", "Only POST is served here.")
		a.close = true
		return a
	}
	s := &session{m: m, user: r.user, realms: r.realms}
	code, body := wsman.Serve(ctx, s, r.body, m.messageID)
	return reply{
		status:      code,
		contentType: "application/soap+xml; charset=UTF-8",
		body:        body,
		chunked:     true,
		close:       code != http.StatusOK,
	}
}
