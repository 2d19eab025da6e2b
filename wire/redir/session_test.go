package redir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/internal/wiretest"
	"github.com/outband/outband/wire/digest"
)

func newServer() *Server {
	return &Server{
		Digest: digest.NewServer(vectorRealm, digest.ServerOptions{}),
		HA1: func(user string) ([16]byte, bool) {
			return digest.HA1(vectorUser, vectorRealm, vectorPassword), user == vectorUser
		},
		Firmware: [2]uint8{12, 0},
	}
}

// meet runs a console against a server.
func meet(t *testing.T, s *Server, kind Kind, o Options, wrap func(net.Conn) io.ReadWriteCloser) (*Conn, *Session, error, error) {
	t.Helper()
	a, b := net.Pipe()
	var session *Session
	var serr error
	var wg sync.WaitGroup
	wg.Go(func() {
		if o.HTTPAuthenticated {
			session, serr = s.AcceptAuthenticated(t.Context(), b, "web")
		} else {
			session, serr = s.Accept(t.Context(), b)
		}
	})
	conn, err := Open(t.Context(), wrap(a), kind, o)
	wg.Wait()
	t.Cleanup(func() {
		if conn != nil {
			conn.Close()
		}
		if session != nil {
			session.Close()
		}
	})
	return conn, session, err, serr
}

func plain(c net.Conn) io.ReadWriteCloser   { return c }
func slow(c net.Conn) io.ReadWriteCloser    { return wiretest.Bytewise(c) }
func password(p string) Options             { return Options{Password: p} }
func with(f func(*Server)) func() *Server   { return func() *Server { s := newServer(); f(s); return s } }
func allow(status Status) func(Kind) Status { return func(Kind) Status { return status } }
func account(u string, pass string) Options { return Options{Username: u, Password: pass} }

func TestLogin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server func() *Server
		kind   Kind
		o      Options
		wrap   func(net.Conn) io.ReadWriteCloser
		err    error
		user   string
	}{
		{"SOL", newServer, SOL, password(vectorPassword), plain, nil, "admin"},
		{"IDE-R, byte by byte", newServer, IDER, password(vectorPassword), slow, nil, "admin"},
		{"KVM, realm known", newServer, KVM, Options{Password: vectorPassword, Realm: vectorRealm}, plain, nil, "admin"},
		{"older digest too", with(func(s *Server) { s.RFC2069 = true }), SOL, password(vectorPassword), plain, nil, "admin"},
		{"web socket", newServer, SOL, Options{HTTPAuthenticated: true}, plain, nil, "web"},
		{"other realm", newServer, SOL, Options{Password: vectorPassword, Realm: "Digest:0"}, plain, ErrRealm, ""},
		{"wrong password", newServer, SOL, password("P@ssw0rd "), plain, ErrDenied, ""},
		{"wrong user", newServer, SOL, account("root", vectorPassword), plain, ErrDenied, ""},
		{"name too long", newServer, SOL, account("a name of more than thirty-two bytes", ""), plain, ErrTooLong, ""},
		{"unknown kind", newServer, Kind{'X', 'Y', 'Z', ' '}, password(vectorPassword), plain, ErrUnknownKind, ""},
		{"disabled", with(func(s *Server) { s.Allow = allow(StatusUnsupported) }), KVM, password(vectorPassword), plain, ErrDisabled, ""},
		{"consent", with(func(s *Server) { s.Allow = allow(StatusConsent) }), KVM, password(vectorPassword), plain, ErrConsent, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, session, err, serr := meet(t, tt.server(), tt.kind, tt.o, tt.wrap)
			if !errors.Is(err, tt.err) || (conn == nil) != (tt.err != nil) {
				t.Fatalf("console: %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				if session != nil || serr == nil {
					t.Errorf("server: %+v, %v", session, serr)
				}
				return
			}
			if serr != nil || session.Kind != tt.kind || session.User != tt.user {
				t.Errorf("server: %+v, %v", session, serr)
			}
		})
	}
}

func TestBusy(t *testing.T) {
	s := newServer()
	_, first, err, serr := meet(t, s, SOL, password(vectorPassword), plain)
	if err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	_, _, err, serr = meet(t, s, SOL, password(vectorPassword), plain)
	if !errors.Is(err, ErrBusy) || !errors.Is(serr, ErrBusy) {
		t.Errorf("second SOL: %v, %v", err, serr)
	}
	if _, _, err, _ = meet(t, s, IDER, password(vectorPassword), plain); err != nil {
		t.Errorf("IDE-R beside SOL: %v", err)
	}
	if s.Session(SOL) != first || s.Session(KVM) != nil {
		t.Error("wrong sessions")
	}
	s.Session(SOL).Close()
	if _, _, err, _ = meet(t, s, SOL, password(vectorPassword), plain); err != nil {
		t.Errorf("after TerminateSession: %v", err)
	}
	first.Close() // again: must not free the newer session
	if s.Session(SOL) == nil {
		t.Error("an old session's Close ended a new one")
	}
}

// Two pass the start at the same time: only one of them gets in.
func TestBusyAfterLogin(t *testing.T) {
	s := newServer()
	var gates [2]*gate
	for i := range gates {
		gates[i] = &gate{server: s, state: wantStart, user: "u", trusted: true}
		if _, _, err := gates[i].step(Start{Kind: SOL}.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.reserve(SOL, "u", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.reserve(SOL, "u", nil); !errors.Is(err, ErrBusy) {
		t.Errorf("second: %v", err)
	}
}

// The conversation that amtterm 1.4 has, as bytes.
func TestPasswordMethod(t *testing.T) {
	for _, tt := range []struct {
		name    string
		enabled bool
		data    []byte
		want    string
		open    bool
	}{
		{"right", true, Password{vectorUser, vectorPassword}.Append(nil), "14000000 01 00000000", true},
		{"wrong", true, Password{vectorUser, "x"}.Append(nil), "14010000 01 00000000", false},
		{"nobody", true, Password{"x", vectorPassword}.Append(nil), "14010000 01 00000000", false},
		{"malformed", true, []byte{5, 'a'}, "14010000 01 00000000", false},
		{"AMT 12", false, Password{vectorUser, vectorPassword}.Append(nil), "14020000 01 00000000", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer()
			s.Password = tt.enabled
			g := &gate{server: s, state: wantLogin, kind: SOL}
			reply, _, err := g.step(Auth{MethodPassword, tt.data}.Append(nil))
			if err != nil || !bytes.Equal(reply, wiretest.Hex(t, tt.want)) || (g.state == admitted) != tt.open {
				t.Errorf("% x, %v, %s", reply, err, g.state)
			}
		})
	}
}

func TestGateSteps(t *testing.T) {
	s := newServer()
	g := &gate{server: s, state: wantLogin, kind: SOL}
	step := func(m Auth) AuthReply {
		t.Helper()
		out, wait, err := g.step(m.Append(nil))
		r, _, perr := ParseAuthReply(out)
		if err != nil || perr != nil || wait != 0 || r.Method != m.Method {
			t.Fatalf("%v: % x, wait %v, %v, %v", m, out, wait, err, perr)
		}
		return r
	}
	if r := step(Auth{Method: MethodQuery}); r.Status != AuthSuccess || !bytes.Equal(r.Data, []byte{4}) {
		t.Errorf("query: %+v", r)
	}
	for _, m := range []Auth{{Method: MethodKerberos}, {Method: MethodKerberos, Data: []byte("token")}, {Method: MethodRFC2069}, {Method: 77}} {
		if r := step(m); r.Status != AuthNotSupported {
			t.Errorf("%v: %+v", m, r)
		}
	}
	// One console doubles the length byte of the URI in its first request.
	doubled := wiretest.Hex(t, `05 61646d696e 00 00 13 13 2f5265646972656374696f6e53657276696365 00 00 00 00`)
	for range 5 {
		r := step(Auth{MethodDigest, doubled})
		if c, err := ParseChallenge(r.Data, MethodDigest); err != nil || r.Status != AuthFailure || c.Realm != vectorRealm || len(c.Nonce) != 32 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	c, _ := ParseChallenge(step(Auth{MethodDigest, doubled}).Data, MethodDigest)
	good, _ := c.answer(vectorUser, vectorPassword, "0123456789", MethodDigest)
	for _, tt := range []struct {
		name   string
		change func(*Digest)
	}{
		{"realm", func(d *Digest) { d.Realm += "0" }},
		{"nonce of the past", func(d *Digest) { d.Nonce = vectorNonce }},
		{"uri", func(d *Digest) { d.URI = "/wsman" }},
		{"short nc", func(d *Digest) { d.NC = "1" }},
		{"qop", func(d *Digest) { d.QOP = "auth-int" }},
		{"user", func(d *Digest) { d.User = "nobody" }},
		{"response", func(d *Digest) { d.Response = vectorOld }},
	} {
		bad := good
		tt.change(&bad)
		g := &gate{server: s, state: wantLogin, kind: SOL}
		out, _, err := g.step(Auth{MethodDigest, bad.Append(nil, MethodDigest)}.Append(nil))
		if r, _, perr := ParseAuthReply(out); err != nil || perr != nil || r.Status != AuthFailure || g.state == admitted {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
		s.judged(true)
	}
	good.NC = "00000002" // amtterm 1.8 and MeshCommander send constants
	creds, _ := good.credentials(MethodDigest)
	signed, err := creds.Sign(digest.HA1(vectorUser, vectorRealm, vectorPassword), digestMethod, nil)
	good.Response = signed.Response
	if r := step(Auth{MethodDigest, good.Append(nil, MethodDigest)}); err != nil || r.Status != AuthSuccess || g.state != admitted || g.user != vectorUser {
		t.Errorf("good: %+v, %v", r, err)
	}
}

func TestOutOfOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state gateState
		m     []byte
		err   error
	}{
		{"login before start", wantStart, Auth{}.Append(nil), ErrOpcode},
		{"end before start", wantStart, AppendEnd(nil), ErrOpcode},
		{"start twice", wantLogin, Start{Kind: SOL}.Append(nil), ErrOpcode},
		{"reply", wantLogin, AuthReply{}.Append(nil), ErrOpcode},
		{"end", wantLogin, AppendEnd(nil), io.EOF},
	} {
		g := &gate{server: newServer(), state: tt.state}
		if reply, _, err := g.step(tt.m); !errors.Is(err, tt.err) || reply != nil {
			t.Errorf("%s: % x, %v", tt.name, reply, err)
		}
	}
}

// The console against recorded and made-up machines: each answer follows a message of the console's.
func TestConsoleAgainst(t *testing.T) {
	ok := "11000000 01 00 0c 00 57010000 00"
	for _, tt := range []struct {
		name    string
		o       Options
		answers []string
		err     error
	}{
		{"old machine", password("x"), []string{ok, "14000000 00 01000000 01"}, ErrNoMethod},
		{"old machine, allowed", Options{ClearPassword: true}, []string{ok, "14000000 00 01000000 01", "14000000 01 00000000"}, nil},
		{"Kerberos only", password("x"), []string{ok, "14000000 00 01000000 02"}, ErrNoMethod},
		{"recorded by a relay", Options{ClearPassword: true}, []string{"f0" + ok, "f0 14000000 00 01000000 01", "14000000 01 00000000"}, nil},
		{"short refusal", password("x"), []string{"11020000"}, ErrBusy},
		{"long refusal", password("x"), []string{"11030000 00000000 00000000 00"}, ErrDisabled},
		{"garbage", password("x"), []string{"485454502f312e31"}, ErrOpcode},
		{"cut", password("x"), []string{"110000"}, ErrCut},
		{"gone", password("x"), []string{ok, ""}, ErrCut},
		{"huge", password("x"), []string{ok, "14000000 00 00000001"}, ErrTooLong},
		{"wrong method", password("x"), []string{ok, "14000000 04 00000000"}, ErrProtocol},
		{"success out of nothing", password("x"), []string{ok, "14000000 00 01000000 04", "14000000 04 00000000"}, ErrProtocol},
		{"challenge cut", password("x"), []string{ok, "14000000 00 01000000 04", "14010000 04 02000000 0541"}, ErrShort},
		{"never loops", password("x"), []string{ok, "14000000 00 01000000 04", fmt.Sprintf("%x", vectorChallenge()), fmt.Sprintf("%x", vectorChallenge())}, ErrDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := net.Pipe()
			var wg sync.WaitGroup
			wg.Go(func() {
				defer b.Close()
				buf := make([]byte, 4096)
				for _, answer := range tt.answers {
					if _, err := b.Read(buf); err != nil {
						return
					}
					b.Write(wiretest.Hex(t, answer)) // a console that has had enough closes: no matter
				}
			})
			conn, err := Open(t.Context(), a, SOL, tt.o)
			wg.Wait()
			if !errors.Is(err, tt.err) || (conn == nil) != (tt.err != nil) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if conn != nil {
				conn.Close()
			}
		})
	}
}

func TestStalls(t *testing.T) {
	t.Run("machine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			go io.Copy(io.Discard, b)
			start := time.Now()
			_, err := Open(t.Context(), a, SOL, password("x"))
			if took := time.Since(start); !errors.Is(err, ErrTimeout) || took != 10*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
	t.Run("console", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			start := time.Now()
			_, err := newServer().Accept(t.Context(), b)
			if took := time.Since(start); !errors.Is(err, ErrTimeout) || took != 30*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			var wg sync.WaitGroup
			wg.Go(func() {
				a, b := net.Pipe()
				defer a.Close()
				if _, err := newServer().Accept(ctx, b); !errors.Is(err, context.Canceled) {
					t.Errorf("server: %v", err)
				}
			})
			a, b := net.Pipe()
			defer b.Close()
			go io.Copy(io.Discard, b)
			if _, err := Open(ctx, a, SOL, password(vectorPassword)); !errors.Is(err, context.Canceled) {
				t.Errorf("console: %v", err)
			}
			wg.Wait()
		})
	})
}

// After three failures each further one is answered a second later than the one before, ten at most.
func TestLockOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		for try, want := range []time.Duration{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10} {
			start := time.Now()
			_, _, err, _ := meet(t, s, SOL, Options{Password: "wrong", Timeout: time.Minute}, plain)
			if took := time.Since(start); !errors.Is(err, ErrDenied) || took != want*time.Second {
				t.Errorf("try %d: %v after %v, want %v s", try, err, took, int(want))
			}
		}
		if _, _, err, _ := meet(t, s, SOL, password(vectorPassword), plain); err != nil {
			t.Fatal(err)
		}
		if wait := s.judged(false); wait != 0 {
			t.Errorf("failures still count after a success: %v", wait)
		}
	})
}

func TestConnKeepsTheRest(t *testing.T) {
	// The machine's last answer and the first RFB bytes in one segment.
	c := NewConn(struct {
		io.Reader
		io.WriteCloser
	}{bytes.NewReader(append(wiretest.Hex(t, "14000000 04 00000000"), "RFB 004.000\n"...)), nil})
	if m, err := c.Next(Length); err != nil || len(m) != 9 {
		t.Fatalf("% x, %v", m, err)
	}
	if rest, err := io.ReadAll(c); string(rest) != "RFB 004.000\n" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

// Messages of all sizes, cut at all places.
func TestConnSegments(t *testing.T) {
	var stream []byte
	var want []int
	for n := 0; n <= MaxAuthData; n = n*3 + 1 {
		stream = Auth{Method: 9, Data: bytes.Repeat([]byte{byte(n)}, n)}.Append(stream)
		want = append(want, authLen+n)
	}
	for _, size := range []int{1, 2, 7, 4095, 4096, 4097, len(stream)} {
		c := NewConn(struct {
			io.Reader
			io.WriteCloser
		}{&pieces{stream, size}, nil})
		for _, n := range want {
			if m, err := c.Next(Length); err != nil || len(m) != n {
				t.Fatalf("pieces of %d: %d bytes, %v, want %d", size, len(m), err, n)
			}
		}
		if _, err := c.Next(Length); err != io.EOF {
			t.Errorf("pieces of %d: %v at the end", size, err)
		}
	}
}

// pieces reads at most size bytes at once.
type pieces struct {
	b    []byte
	size int
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(to[:min(len(to), p.size)], p.b)
	p.b = p.b[n:]
	return n, nil
}
