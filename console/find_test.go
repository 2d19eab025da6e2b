package console

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/rmcp"
	"github.com/outband/outband/wire/wsman"
)

func TestEndpoint(t *testing.T) {
	for _, tt := range []struct {
		name   string
		closed map[int]error
		cfg    func(*Config)
		want   string // scheme
		err    error
	}{
		{"TLS is preferred", nil, nil, HTTPS, nil},
		{"plain where TLS is closed", map[int]error{PortHTTPS: syscall.ECONNREFUSED}, nil, HTTP, nil},
		{"plain where TLS is filtered", map[int]error{PortHTTPS: errSilent}, nil, HTTP, nil},
		{"TLS where plain is filtered", map[int]error{PortHTTP: errSilent}, nil, HTTPS, nil},
		{"no plain when TLS is expected", map[int]error{PortHTTPS: syscall.ECONNREFUSED}, func(c *Config) { c.TLS.Pin = "" + pinOfZeros }, "", ErrUnreachable},
		{"port decides", nil, func(c *Config) { c.Port = PortHTTP }, HTTP, nil},
		{"port of the other", nil, func(c *Config) { c.Port = PortHTTPS }, HTTPS, nil},
		{"scheme decides", nil, func(c *Config) { c.Scheme = HTTP }, HTTP, nil},
		{"nothing", map[int]error{PortHTTPS: syscall.ECONNREFUSED, PortHTTP: syscall.ECONNREFUSED}, nil, "", ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			for port, err := range tt.closed {
				s.close(port, err)
			}
			c := s.client(t, func(cfg *Config) {
				cfg.TLS.Pin = ""
				cfg.TLS.OnUnknown = acceptAll
				if tt.cfg != nil {
					tt.cfg(cfg)
				}
			})
			at, err := c.Endpoint(t.Context())
			if !errors.Is(err, tt.err) || err == nil && at.Scheme != tt.want {
				t.Fatalf("got %+v, %v; want %s, %v", at, err, tt.want, tt.err)
			}
			if err != nil {
				return
			}
			if info, err := c.Power(t.Context()); err != nil || info.State != PowerOn {
				t.Errorf("got %+v, %v", info, err)
			}
		})
	}
}

const pinOfZeros = "0000000000000000000000000000000000000000000000000000000000000000"

// A conn that only counts. Find needs no more of a plain connection.
type idleConn struct {
	net.Conn
	open *atomic.Int32
}

func (c idleConn) Close() error { c.open.Add(-1); return nil }

// Times of the race, on a clock that is not real: an old machine costs nothing, a filtered port is bounded, and every
// connection that loses is closed.
func TestRaceTimes(t *testing.T) {
	never := time.Hour
	for _, tt := range []struct {
		name           string
		tls, plain     time.Duration // until the port answers; never: not at all
		tlsErr, plErr  error
		port           int
		took           time.Duration
		err            error
		plainDialledAt time.Duration // -1: never
	}{
		{"modern", 20 * time.Millisecond, never, nil, nil, PortHTTPS, 20 * time.Millisecond, nil, -1},
		{"slow modern", time.Second, 5 * time.Millisecond, nil, nil, PortHTTPS, time.Second, nil, headStart},
		{"old, TLS closed", time.Millisecond, time.Millisecond, syscall.ECONNREFUSED, nil, PortHTTP, 2 * time.Millisecond, nil, time.Millisecond},
		{"old, TLS filtered", never, time.Millisecond, nil, nil, PortHTTP, headStart + time.Millisecond + grace, nil, headStart},
		{"both closed", time.Millisecond, time.Millisecond, syscall.ECONNREFUSED, syscall.ECONNREFUSED, 0, 2 * time.Millisecond, ErrUnreachable, time.Millisecond},
		{"dead", never, never, nil, nil, 0, 10 * time.Second, ErrUnreachable, headStart},
		{"name unknown", 0, 0, &net.DNSError{Name: "x", IsNotFound: true}, &net.DNSError{Name: "x", IsNotFound: true}, 0, 0, ErrUnreachable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int32
				began := time.Now()
				plainAt := time.Duration(-1)
				c, err := New(Config{Address: "desk-7", Dial: func(ctx context.Context, port int) (net.Conn, error) {
					wait, err := tt.tls, tt.tlsErr
					if port == PortHTTP {
						wait, err = tt.plain, tt.plErr
						plainAt = time.Since(began)
					}
					select {
					case <-time.After(wait):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					if err != nil {
						return nil, err
					}
					open.Add(1)
					return idleConn{open: &open}, nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				port, conn, err := c.race(t.Context())
				if port != tt.port || !errors.Is(err, tt.err) {
					t.Fatalf("got %d, %v; want %d, %v", port, err, tt.port, tt.err)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if conn != nil {
					conn.Close()
				}
				synctest.Wait()
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections left open", n)
				}
				if plainAt != tt.plainDialledAt {
					t.Errorf("plain port tried at %v, want %v", plainAt, tt.plainDialledAt)
				}
			})
		})
	}
}

func TestUnreachableReasons(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Reach
		text string
	}{
		{syscall.ECONNREFUSED, Refused, "x is unreachable: connection refused on port 16993 and 16992"},
		{syscall.EHOSTUNREACH, NoRoute, "x is unreachable: no route on port 16993 and 16992"},
		{&net.DNSError{Name: "x", IsNotFound: true}, NoName, "x is unreachable: name does not resolve"},
		{context.DeadlineExceeded, TimedOut, "x is unreachable: no answer on port 16993 and 16992"},
		{errors.New("tunnel is down"), NoDial, "x is unreachable: no connection on port 16993 and 16992: x is unreachable: no connection on port 16992: tunnel is down"},
	} {
		c, err := New(Config{Address: "x", Dial: func(context.Context, int) (net.Conn, error) { return nil, tt.err }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Power(t.Context())
		var got *UnreachableError
		if !errors.As(err, &got) || got.Reason != tt.want || got.Error() != tt.text {
			t.Errorf("%v: got %v", tt.err, got)
		}
		if kind, _ := Explain(err); kind != KindUnreachable {
			t.Errorf("%v: kind %v", tt.err, kind)
		}
	}
}

func TestCancelledWhileFinding(t *testing.T) {
	s := newSite(t)
	s.close(PortHTTP, errSilent)
	s.close(PortHTTPS, errSilent)
	c := s.client(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := c.Power(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestPlaintextIsTold(t *testing.T) {
	forbidden := errors.New("not over plain HTTP")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port

	c, err := New(Config{Address: "127.0.0.1", Scheme: HTTP, Port: port, OnPlaintext: func(context.Context, string) error { return forbidden }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.warn(t.Context(), &Endpoint{Scheme: HTTP, Port: port}); err != forbidden { // nothing is known of where it leads
		t.Errorf("got %v", err)
	}
	if _, err := c.Endpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.warn(t.Context(), &Endpoint{Scheme: HTTP, Port: port}); err != nil {
		t.Errorf("this computer: got %v", err)
	}
	if err := c.warn(t.Context(), &Endpoint{Scheme: HTTPS}); err != nil {
		t.Errorf("TLS: got %v", err)
	}
	c.Close()
}

func TestClientErrors(t *testing.T) {
	s := newSite(t)
	t.Run("wrong password", func(t *testing.T) {
		c := s.client(t, func(cfg *Config) { cfg.Password = "wrong" })
		_, err := c.Power(t.Context())
		if kind, hint := Explain(err); !errors.Is(err, ErrUnauthorized) || kind != KindAuthentication || hint == "" {
			t.Errorf("got %v, %v", err, kind)
		}
	})
	t.Run("closed", func(t *testing.T) {
		c := s.client(t, nil)
		if _, err := c.Power(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := c.RoundTrips(); n < 2 || n > 5 {
			t.Errorf("%d exchanges for two classes", n)
		}
		c.Close()
		if _, err := c.Power(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("password is asked for once", func(t *testing.T) {
		asked := 0
		c := s.client(t, func(cfg *Config) {
			cfg.Password = ""
			cfg.AskPassword = func(context.Context) (string, error) { asked++; return "secret", nil }
		})
		for range 2 {
			if _, err := c.Power(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if user, password, err := c.Credentials(t.Context()); user != "admin" || password != "secret" || err != nil || asked != 1 {
			t.Errorf("got %q, %v; asked %d times", user, err, asked)
		}
	})
	t.Run("settings", func(t *testing.T) {
		for _, cfg := range []Config{{}, {Address: "x", Scheme: "ftp"}, {Address: "x", Port: -1}, {Address: "x", Scheme: HTTP, TLS: TLSConfig{Pin: pinOfZeros}}, {Address: "x", TLS: TLSConfig{CAFile: "/nonexistent"}}} {
			if _, err := New(cfg); !errors.Is(err, ErrUsage) {
				t.Errorf("%+v: got %v", cfg.Address, err)
			}
		}
	})
	t.Run("over", func(t *testing.T) {
		c := Over(newFake(), "x")
		if _, err := c.Dial(t.Context(), 1, false); !errors.Is(err, ErrUsage) {
			t.Errorf("got %v", err)
		}
	})
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Kind
	}{
		{nil, KindOK},
		{errors.New("anything"), KindFailed},
		{context.Canceled, KindFailed},
		{context.DeadlineExceeded, KindTimeout},
		{ErrNotProvisioned, KindRefused},
		{ErrConsent, KindRefused},
		{ErrCut, KindFailed},
		{ErrTooLong, KindFailed},
		{ErrMalformed, KindFailed},
		{ErrNotAMT, KindUnreachable},
		{ErrLockedOut, KindAuthentication},
		{errors.Join(context.DeadlineExceeded, ErrSlowLogin), KindTimeout},
		{ErrNotReached, KindTimeout},
		{ErrUnsupported, KindUnsupported},
		{wsman.ErrDestinationUnreachable, KindUnsupported},
		{wsman.ErrAccessDenied, KindRefused},
		{wsman.ErrTimedOut, KindTimeout},
		{wsman.ErrInternal, KindRefused},
		{&wsman.HTTPError{Status: 404}, KindUnsupported},
		{&wsman.HTTPError{Status: 503}, KindRefused},
		{&wsman.HTTPError{Status: 500}, KindFailed},
		{&PartialError{1, 2}, KindPartial},
		{errors.Join(context.DeadlineExceeded, ErrIndeterminate), KindTimeout},
	} {
		kind, _ := Explain(tt.err)
		if kind != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, kind, tt.want)
		}
	}
}

// A machine that refuses connections but answers the ping has AMT that nobody has set up. Real sockets.
func TestNotProvisioned(t *testing.T) {
	for _, tt := range []struct {
		state rmcp.State
		want  error
		kind  Kind
	}{{rmcp.Pre, ErrNotProvisioned, KindRefused}, {rmcp.Post, ErrUnreachable, KindUnreachable}} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			rmcp.Serve(ctx, conn, func() (rmcp.AMT, bool) { return rmcp.AMT{Major: 12, State: tt.state}, true })
		}()
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := closed.Addr().(*net.TCPAddr).Port
		closed.Close()
		c, err := New(Config{Address: "127.0.0.1", Scheme: HTTP, Port: port, PingPort: conn.LocalAddr().(*net.UDPAddr).Port})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Power(t.Context())
		if kind, _ := Explain(err); !errors.Is(err, tt.want) || kind != tt.kind {
			t.Errorf("%v: got %v, %v", tt.state, kind, err)
		}
		if tt.state == rmcp.Pre {
			if got := byName(slices.Collect(c.Doctor(t.Context())), "ping"); got.Health != Failing || !strings.Contains(got.Detail, "AMT 12.0") {
				t.Errorf("got %+v", got)
			}
		}
		cancel()
		<-done
		conn.Close()
	}
}

// A connection that waited while somebody typed a password is not used any more.
func TestSpareConnectionGrowsOld(t *testing.T) {
	s := newSite(t)
	c := s.client(t, nil)
	if _, err := c.Endpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.since = c.since.Add(-time.Minute)
	c.spare.Close()
	c.mu.Unlock()
	if _, err := c.Power(t.Context()); err != nil {
		t.Error(err)
	}
}
