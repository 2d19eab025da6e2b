package redir

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/outband/outband/wire/digest"
)

// The states of a gate.
type gateState string

const (
	wantStart gateState = "want start"
	wantLogin gateState = "want login"
	admitted  gateState = "admitted"
)

// A gate is one connection's way to a session.
type gate struct {
	server  *Server
	state   gateState
	kind    Kind
	user    string
	trusted bool // HTTP has authenticated user
}

// step is the whole way: what arrived in which state leads where, what is answered, and after what time. It does no I/O.
// An answer that comes with an error is to be sent before the connection is closed.
func (g *gate) step(m []byte) (reply []byte, wait time.Duration, err error) {
	switch {
	case m[0] == opStart && g.state == wantStart:
		start, _, err := ParseStart(m)
		if err != nil {
			return nil, 0, err
		}
		reply, err := g.start(start)
		return reply, 0, err
	case m[0] == opAuth && g.state == wantLogin:
		auth, _, err := ParseAuth(m)
		if err != nil {
			return nil, 0, err
		}
		r, wait := g.login(auth)
		r.Method = auth.Method
		return r.Append(nil), wait, nil
	case m[0] == opEnd && g.state == wantLogin:
		return nil, 0, io.EOF
	}
	return nil, 0, fmt.Errorf("%w %02xh while %s", ErrOpcode, m[0], g.state)
}

func (g *gate) start(m Start) ([]byte, error) {
	if status := g.server.refusal(m.Kind); status != StatusSuccess {
		return StartReply{Status: status}.Append(nil), &Error{Kind: m.Kind, Status: status}
	}
	g.state, g.kind = wantLogin, m.Kind
	return StartReply{Major: 1, Firmware: g.server.Firmware, Enterprise: EnterpriseIntel}.Append(nil), nil
}

// login answers one message 13h; each stands alone.
func (g *gate) login(m Auth) (r AuthReply, wait time.Duration) {
	s := g.server
	good := false
	switch {
	case m.Method == MethodQuery:
		return AuthReply{Data: s.methods()}, 0
	case m.Method == MethodKerberos && g.trusted && len(m.Data) == 0:
		g.state = admitted
		return AuthReply{}, 0
	case m.Method == MethodPassword && s.Password:
		p, err := ParsePassword(m.Data)
		good = s.knows(p) && err == nil
		g.user = p.User
	case m.Method == MethodDigest, m.Method == MethodRFC2069 && s.RFC2069:
		r.Data = s.challenge(m.Method)
		d, err := ParseDigest(m.Data, m.Method)
		if err != nil || d.Response == "" {
			// A question, not a try. One console doubles a length byte in it, so it may well not parse.
			r.Status = AuthFailure
			return r, 0
		}
		good = s.verify(&d, m.Method)
		g.user = d.User
	default:
		return AuthReply{Status: AuthNotSupported}, 0
	}
	wait = s.judged(good)
	if !good {
		r.Status = AuthFailure
		return r, wait
	}
	g.state = admitted
	return AuthReply{}, 0
}

// methods lists what this server takes, one byte each.
func (s *Server) methods() []byte {
	var list []byte
	if s.Password {
		list = append(list, byte(MethodPassword))
	}
	if s.RFC2069 {
		list = append(list, byte(MethodRFC2069))
	}
	return append(list, byte(MethodDigest))
}

func (s *Server) challenge(m Method) []byte {
	c := s.Digest.Challenge(false)
	return Challenge{Realm: c.Realm, Nonce: c.Nonce, QOP: qopAuth}.Append(nil, m)
}

// verify judges whole credentials. The count of the nonce need not grow: consoles send constants.
func (s *Server) verify(d *Digest, m Method) bool {
	c, ok := d.credentials(m)
	hash, found := s.HA1(d.User)
	match := c.Verify(hash, digestMethod, nil) // always, so that an unknown user takes as long
	return ok && found && match && d.Realm == s.Digest.Realm() && d.URI == digestURI &&
		s.Digest.CheckNonce(d.Nonce) == digest.Known
}

// knows judges a password sent in clear.
func (s *Server) knows(p Password) bool {
	hash, found := s.HA1(p.User)
	mine := digest.HA1(p.User, s.Digest.Realm(), p.Password)
	return subtle.ConstantTimeCompare(hash[:], mine[:]) == 1 && found
}

// run moves bytes and decides nothing. The connection is closed when ctx ends or the login takes too long.
func (g *gate) run(ctx context.Context, conn *Conn) (*Session, error) {
	timeout := g.server.Timeout
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	unbind := context.AfterFunc(ctx, func() { conn.Close() })
	defer unbind()
	for {
		m, err := conn.Next(gateLength)
		if err != nil {
			return nil, g.failed(ctx, err)
		}
		reply, wait, err := g.step(m)
		if err == nil && g.state == admitted {
			return g.admit(ctx, reply, conn, unbind)
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil, g.failed(ctx, ctx.Err())
			}
		}
		if reply != nil {
			if _, e := conn.Write(reply); e != nil && err == nil {
				err = g.failed(ctx, e)
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// admit reserves the kind, so that nobody is told yes and then finds it taken, and says yes.
func (g *gate) admit(ctx context.Context, reply []byte, conn *Conn, unbind func() bool) (*Session, error) {
	session, err := g.server.reserve(g.kind, g.user, conn)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(reply); err != nil {
		session.Close()
		return nil, g.failed(ctx, err)
	}
	if !unbind() {
		session.Close()
		return nil, g.failed(ctx, ctx.Err())
	}
	return session, nil
}

// gateLength is [Length] for messages of a console only: a machine gets no replies.
func gateLength(b []byte) (int, error) {
	if len(b) > 0 && b[0] != opStart && b[0] != opAuth && b[0] != opEnd {
		return 0, fmt.Errorf("%w %02xh", ErrOpcode, b[0])
	}
	return Length(b)
}

// failed finds the reason of a failed read or write.
func (g *gate) failed(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return fmt.Errorf("%w while %s", cause, g.state)
	case errors.Is(err, io.EOF) && g.state == wantStart:
		return io.EOF // a port scan, a health check
	}
	return fmt.Errorf("%w while %s", err, g.state)
}
