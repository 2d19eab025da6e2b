package redir

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/outband/outband/wire/digest"
)

// A Server is a machine's end of the protocol: it lets sessions in, at most one of each kind. One serves all
// connections of a machine. Set the fields before first use. Safe for concurrent use; do not copy.
type Server struct {
	// Digest gives the realm and nonces; it may be the one of the web ports. Needed.
	Digest *digest.Server

	// HA1 looks up an account that owns the redirection realm, as [digest.HA1] made it. Needed.
	HA1 func(user string) ([16]byte, bool)

	// Allow is asked when a session is to start, and again when its user is known: StatusSuccess, StatusUnsupported
	// (disabled, not present), StatusConsent. nil allows all.
	Allow func(Kind) Status

	// Password lets users log in with the password in clear, as AMT 2 to 11 do; RFC2069 with the older digest.
	Password, RFC2069 bool

	// Firmware is the version, major and minor, that the start reply tells.
	Firmware [2]uint8

	// Timeout is for a connection to log in; default 30 s.
	Timeout time.Duration

	mu       sync.Mutex // guards what follows
	sessions map[Kind]*Session
	failures int // logins failed in a row, on any connection
}

// A Session is a connection that has logged in. It occupies its kind until it is closed.
type Session struct {
	*Conn
	Kind Kind
	User string

	server *Server
}

// Close closes the connection at once and frees the kind.
func (s *Session) Close() error {
	s.server.mu.Lock()
	if s.server.sessions[s.Kind] == s {
		delete(s.server.sessions, s.Kind)
	}
	s.server.mu.Unlock()
	return s.Conn.Close()
}

// Session returns the open session of a kind, or nil. Closing it is what TerminateSession of WS-Man does.
func (s *Server) Session(k Kind) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[k]
}

// Accept takes a fresh connection through start and login. The connection belongs to the Session from now on; on an
// error, or when ctx ends before Accept returns, it is closed. Afterwards ctx has no say.
//
// A refusal is an [*Error]. Other errors wrap [ErrTimeout], [ErrCut], [ErrOpcode], [ErrTooLong], are the connection's, or
// io.EOF if the console went away. A wrong password ends nothing: the console may try again, though answers become slow.
func (s *Server) Accept(ctx context.Context, rwc io.ReadWriteCloser) (*Session, error) {
	return s.accept(ctx, rwc, "")
}

// AcceptAuthenticated is Accept for a web socket whose upgrade HTTP has authenticated as this user.
func (s *Server) AcceptAuthenticated(ctx context.Context, rwc io.ReadWriteCloser, user string) (*Session, error) {
	return s.accept(ctx, rwc, user)
}

func (s *Server) accept(ctx context.Context, rwc io.ReadWriteCloser, user string) (*Session, error) {
	conn := NewConn(rwc)
	g := &gate{server: s, state: wantStart, user: user, trusted: user != ""}
	session, err := g.run(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("redirection: %w", err)
	}
	return session, nil
}

// refusal says whether a session of a kind may start now. The order of the questions is the firmware's.
func (s *Server) refusal(k Kind) Status {
	if !k.Known() {
		return StatusUnknownKind
	}
	allowed := StatusSuccess
	if s.Allow != nil {
		allowed = s.Allow(k)
	}
	if allowed == StatusUnsupported {
		return allowed
	}
	if s.Session(k) != nil {
		return StatusBusy
	}
	return allowed
}

// reserve makes the session if its kind is still free.
func (s *Server) reserve(k Kind, user string, conn *Conn) (*Session, error) {
	if status := s.refusal(k); status != StatusSuccess {
		return nil, &Error{Kind: k, Status: status}
	}
	session := &Session{Conn: conn, Kind: k, User: user, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[k] != nil {
		return nil, &Error{Kind: k, Status: StatusBusy}
	}
	if s.sessions == nil {
		s.sessions = make(map[Kind]*Session)
	}
	s.sessions[k] = session
	return session, nil
}

// patience is how many logins may fail before answers become slow.
const patience = 3

// judged counts failures and says how long the answer is to wait: a second more for each, ten at most.
func (s *Server) judged(good bool) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if good {
		s.failures = 0
		return 0
	}
	s.failures++
	return time.Duration(min(max(s.failures-patience, 0), 10)) * time.Second
}
