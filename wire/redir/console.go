package redir

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Options are a console's settings for [Open].
type Options struct {
	Username string // default "admin"
	Password string `json:"-"`

	// Realm, if set, must be the machine's: the one its web ports named. Another gives ErrRealm, and no hash of the
	// password is sent.
	Realm string

	// ClearPassword allows to send the password in clear to a machine that takes nothing else. Set it only if the
	// connection is TLS and the machine's certificate was checked.
	ClearPassword bool

	// HTTPAuthenticated is for a web socket whose upgrade was authenticated: name and password are not needed.
	HTTPAuthenticated bool

	// Timeout is for each answer of the machine; default 10 s.
	Timeout time.Duration
}

// String names the user, not the password.
func (o Options) String() string { return fmt.Sprintf("redirection options of %q", o.user()) }

// GoString is String, so that %#v does not show the password.
func (o Options) GoString() string { return o.String() }

// LogValue is String, for slog.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

func (o *Options) user() string { return cmp.Or(o.Username, "admin") }

// Open starts a session of a kind on a fresh connection and logs in. The connection belongs to the Conn from now on; on
// an error, or when ctx ends before Open returns, it is closed. Afterwards ctx has no say.
//
// A refusal is an [*Error]; a machine that is busy can be tried again after 2 s. Other errors wrap [ErrDenied],
// [ErrNoMethod], [ErrRealm], [ErrTimeout], [ErrCut], [ErrOpcode], [ErrProtocol], or are the connection's. Nothing is tried
// twice: machines slow down or lock after failed logins.
func Open(ctx context.Context, rwc io.ReadWriteCloser, kind Kind, o Options) (*Conn, error) {
	conn := NewConn(rwc)
	l := &login{kind: kind, o: o}
	if err := l.run(ctx, conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("redirection: %w", err)
	}
	return conn, nil
}

// The states of a login.
type loginState string

const (
	startSent     loginState = "start sent"
	querySent     loginState = "query sent"
	challengeSent loginState = "challenge asked for"
	responseSent  loginState = "credentials sent"
	loggedIn      loginState = "logged in"
)

// A login is the console's end until the kind takes over.
type login struct {
	kind   Kind
	o      Options
	state  loginState
	method Method
}

// start is the first message.
func (l *login) start() []byte {
	m := Start{Kind: l.kind}
	if l.kind == KVM {
		m.Minor = 1
	}
	l.state = startSent
	return m.Append(nil)
}

// step is the whole login: what arrived in which state leads where, and what is sent next. It does no I/O.
func (l *login) step(m []byte) (next []byte, err error) {
	switch {
	case m[0] == opRecorded:
		return nil, nil
	case l.state == startSent && m[0] == opStartReply:
		r, _, err := ParseStartReply(m)
		if err != nil {
			return nil, err
		}
		if r.Status != StatusSuccess {
			return nil, &Error{Kind: l.kind, Status: r.Status}
		}
		if l.o.HTTPAuthenticated {
			return l.send(responseSent, MethodKerberos, nil), nil
		}
		return l.send(querySent, MethodQuery, nil), nil
	case l.state != startSent && m[0] == opAuthReply:
		r, _, err := ParseAuthReply(m)
		if err != nil {
			return nil, err
		}
		if r.Method != l.method {
			return nil, fmt.Errorf("%w: %v answered with %v", ErrProtocol, l.method, r.Method)
		}
		return l.authReply(r)
	}
	return nil, fmt.Errorf("%w %02xh while %s", ErrOpcode, m[0], l.state)
}

func (l *login) authReply(r AuthReply) (next []byte, err error) {
	switch {
	case r.Status == AuthNotSupported:
		return nil, fmt.Errorf("%w: %v refused by the machine", ErrNoMethod, l.method)
	case l.state == querySent && r.Status == AuthSuccess:
		return l.choose(r.Data)
	case l.state == challengeSent && r.Status == AuthFailure:
		return l.respond(r.Data)
	case l.state == responseSent && r.Status == AuthSuccess:
		l.state = loggedIn
		return nil, nil
	case l.state == responseSent && r.Status == AuthFailure:
		return nil, ErrDenied // a new challenge may be in it; once is enough
	}
	return nil, fmt.Errorf("%w: authentication status %v while %s", ErrProtocol, r.Status, l.state)
}

// choose takes the best of the machine's methods.
func (l *login) choose(methods []byte) ([]byte, error) {
	has := func(m Method) bool { return bytes.IndexByte(methods, byte(m)) >= 0 }
	ask := Digest{User: l.o.user(), URI: digestURI}
	switch {
	case has(MethodDigest):
		return l.send(challengeSent, MethodDigest, ask.Append(nil, MethodDigest)), nil
	case has(MethodRFC2069):
		return l.send(challengeSent, MethodRFC2069, ask.Append(nil, MethodRFC2069)), nil
	case has(MethodPassword) && l.o.ClearPassword:
		p := Password{User: l.o.user(), Password: l.o.Password}
		return l.send(responseSent, MethodPassword, p.Append(nil)), nil
	case has(MethodPassword):
		return nil, fmt.Errorf("%w: the machine wants the password in clear, which is not allowed", ErrNoMethod)
	}
	return nil, fmt.Errorf("%w: the machine offers % x", ErrNoMethod, methods[:min(len(methods), 16)])
}

// respond answers a challenge.
func (l *login) respond(data []byte) ([]byte, error) {
	c, err := ParseChallenge(data, l.method)
	switch {
	case err != nil:
		return nil, err
	case l.o.Realm != "" && c.Realm != l.o.Realm:
		return nil, fmt.Errorf("%w: %q, not %q", ErrRealm, c.Realm, l.o.Realm)
	}
	var random [16]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	d, err := c.answer(l.o.user(), l.o.Password, hex.EncodeToString(random[:]), l.method)
	if err != nil {
		return nil, err
	}
	return l.send(responseSent, l.method, d.Append(nil, l.method)), nil
}

func (l *login) send(next loginState, m Method, data []byte) []byte {
	l.state, l.method = next, m
	return Auth{Method: m, Data: data}.Append(nil)
}

// run moves bytes and decides nothing. The connection is closed when ctx ends or an answer is late.
func (l *login) run(ctx context.Context, conn *Conn) error {
	if len(l.o.user()) > MaxUser || len(l.o.Password) > MaxUser {
		return fmt.Errorf("%w: names and passwords have at most %d bytes", ErrTooLong, MaxUser)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unbind := context.AfterFunc(ctx, func() { conn.Close() })
	defer unbind()
	timeout := cmp.Or(l.o.Timeout, 10*time.Second)
	late := time.AfterFunc(timeout, func() { cancel(ErrTimeout) })
	defer late.Stop()

	for out := l.start(); ; {
		if out != nil {
			if _, err := conn.Write(out); err != nil {
				return l.failed(ctx, err)
			}
		}
		m, err := conn.Next(Length)
		if err != nil {
			return l.failed(ctx, err)
		}
		late.Reset(timeout)
		if out, err = l.step(m); err != nil {
			return err
		}
		if l.state == loggedIn {
			if !late.Stop() || !unbind() {
				return l.failed(ctx, ErrTimeout)
			}
			return nil
		}
	}
}

// failed finds the reason of a failed read or write.
func (l *login) failed(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return fmt.Errorf("%w while %s", cause, l.state)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w while %s: %w", ErrCut, l.state, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("%w while %s", err, l.state)
}
