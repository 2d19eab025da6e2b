package wsman

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/outband/outband/wire/digest"
)

// auth is the digest state of a [Client]: who may be challenged, and what came of it. The gate is held by the one
// goroutine that is being challenged, until it is let in or refused.
type auth struct {
	username, password string
	gate               chan struct{}

	mu        sync.Mutex
	client    *digest.Client // replaced after a refusal, so that the next attempt begins with a challenge
	state     authState
	taken     int           // challenges taken from the machine, and refusals
	challenge time.Duration // how long the machine took to challenge a request without credentials
	refused   int           // times
	last      *AuthError    // refusal
}

// An authState says how to begin a request.
type authState uint8

const (
	authUnknown authState = 0 // nothing was asked yet, or the credentials were refused
	authOpen    authState = 1 // the machine wants no credentials
	authSigned  authState = 2 // there was a challenge
)

func (a *auth) init(username, password string) {
	a.username, a.password = username, password
	a.gate = make(chan struct{}, 1)
	a.client = a.fresh()
}

func (a *auth) fresh() *digest.Client {
	return &digest.Client{Username: a.username, Password: a.password}
}

// enter waits for the gate.
func (a *auth) enter(ctx, life context.Context) error {
	select {
	case a.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-life.Done():
		return errClosed
	}
}

func (a *auth) leave() { <-a.gate }

// unknown reports whether it is not known how to begin.
func (a *auth) unknown() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state == authUnknown
}

// sign returns the Authorization header, "" where there is no challenge to answer, and the number of challenges so far.
func (a *auth) sign(q *call) (header string, taken int) {
	a.mu.Lock()
	client, state, taken := a.client, a.state, a.taken
	a.mu.Unlock()
	if state == authSigned {
		header, _ = client.Authorize(q.method, q.path, q.body)
	}
	return header, taken
}

// renew takes the challenge of a 401 to a signed request, unless another came since that was signed.
func (a *auth) renew(rep *reply) (renewed, stale bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken != rep.taken {
		return false, false, nil
	}
	stale, err = a.take(rep)
	return err == nil, stale, err
}

// challenged takes the challenge of a 401.
func (a *auth) challenged(rep *reply) (stale bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.take(rep)
}

// take is challenged for those who hold mu.
func (a *auth) take(rep *reply) (stale bool, err error) {
	if stale, err = a.client.Challenged(rep.all("WWW-Authenticate")); err != nil {
		return false, fmt.Errorf("wsman: %w: %w", ErrUnauthorized, err)
	}
	a.taken++
	a.state = authSigned
	return stale, nil
}

// open notes that a request without credentials was carried out.
func (a *auth) open() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = authOpen
}

// baseline notes how long the machine takes to say no to nobody.
func (a *auth) baseline(took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.challenge = took
}

// refuse notes a refusal that took the machine so long, and returns it.
func (a *auth) refuse(took time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = &AuthError{Realm: a.client.Realm(), Delay: took, challenge: a.challenge}
	a.client = a.fresh()
	a.state = authUnknown
	a.taken++
	a.refused++
	return a.last
}

func (a *auth) refusals() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// refusedSince returns the last refusal if there were more than that many.
func (a *auth) refusedSince(refusals int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused > refusals {
		return a.last
	}
	return nil
}

func (a *auth) realm() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.client.Realm()
}
