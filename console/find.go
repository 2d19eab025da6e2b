package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/outband/outband/wire/rmcp"
)

const (
	// headStart is what TLS has before plain HTTP is tried too. A closed port answers much faster in a local network,
	// and then HTTP starts at once.
	headStart = 150 * time.Millisecond

	// grace is how long TLS is waited for when plain HTTP has answered already: its port may be filtered, or just slow.
	grace = 1500 * time.Millisecond
)

// find returns the endpoint of the settings or looks for it, and the connection that proves it.
func (c *Client) find(ctx context.Context) (Endpoint, net.Conn, error) {
	scheme, port := c.cfg.Scheme, c.cfg.Port
	if scheme == "" {
		switch {
		case port == PortHTTP && !c.cfg.TLS.demanded():
			scheme = HTTP
		case port != 0 || c.cfg.TLS.demanded():
			scheme = HTTPS
		}
	}
	if port == 0 {
		switch scheme {
		case HTTP:
			port = PortHTTP
		case HTTPS:
			port = PortHTTPS
		}
	}
	var conn net.Conn
	if scheme == "" {
		var err error
		if port, conn, err = c.race(ctx); err != nil {
			return Endpoint{}, nil, c.asleep(ctx, err)
		}
		if scheme = HTTP; port == PortHTTPS {
			scheme = HTTPS
		}
	}
	at := Endpoint{Scheme: scheme, Port: port}
	if scheme == HTTP {
		if conn == nil {
			var err error
			if conn, err = c.reachable(ctx, port); err != nil {
				return at, nil, c.asleep(ctx, err)
			}
		}
		return at, conn, nil
	}
	secure, err := c.introduce(ctx, port, conn)
	if err != nil {
		return at, nil, c.asleep(ctx, err)
	}
	state := secure.ConnectionState()
	at.TLS = &state
	return at, secure, nil
}

// dialTCP opens the byte stream. Errors match ErrUnreachable.
func (c *Client) dialTCP(ctx context.Context, port int) (net.Conn, error) {
	var conn net.Conn
	var err error
	if c.cfg.Dial != nil {
		conn, err = c.cfg.Dial(ctx, port)
	} else {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(c.cfg.Address, strconv.Itoa(port)))
	}
	if err != nil {
		return nil, unreachable(c.cfg.Address, port, err)
	}
	return conn, nil
}

func (c *Client) reachable(ctx context.Context, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	return c.dialTCP(ctx, port)
}

// connect opens a connection to a port, and TLS on it if secure.
func (c *Client) connect(ctx context.Context, port int, secure bool) (net.Conn, error) {
	raw, err := c.dialTCP(ctx, port)
	if err != nil || !secure {
		return raw, err
	}
	conn, err := c.secure(ctx, port, raw)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// secure shakes hands on a connection. When that fails it finds out what would have worked.
func (c *Client) secure(ctx context.Context, port int, raw net.Conn) (*tls.Conn, error) {
	conn, err := c.trust.client(ctx, raw)
	if err == nil {
		return conn, nil
	}
	var shake *HandshakeError
	switch {
	case errors.As(err, &shake):
		if again, dialErr := c.dialTCP(ctx, port); dialErr == nil {
			if version, suite, surveyErr := survey(ctx, again); surveyErr == nil {
				shake.Version, shake.Suite = version, suite
			}
		}
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("TLS handshake: %w", unreachable(c.cfg.Address, port, err))
	}
	return nil, err
}

// introduce makes the first TLS connection, on raw if it is not nil, and lets the caller judge a certificate that
// nobody vouches for.
func (c *Client) introduce(ctx context.Context, port int, raw net.Conn) (*tls.Conn, error) {
	attempt := func() (*tls.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
		defer cancel()
		if raw == nil {
			var err error
			if raw, err = c.dialTCP(ctx, port); err != nil {
				return nil, err
			}
		}
		return c.secure(ctx, port, raw)
	}
	conn, err := attempt()
	var bad *TrustError
	if errors.As(err, &bad) && bad.Reason != PinMismatch && c.cfg.TLS.OnUnknown != nil {
		if !c.cfg.TLS.OnUnknown(ctx, bad.Cert, bad) {
			return nil, err
		}
		c.trust.accept(bad.Fingerprint)
		raw = nil
		conn, err = attempt()
	}
	return conn, err
}

// race connects to the TLS port and, with a head start for it, to the plain one. The TLS port wins if it accepts a
// connection at all: what goes wrong in the handshake then is no reason to fall back.
func (c *Client) race(ctx context.Context) (port int, conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	type result struct {
		port int
		conn net.Conn
		err  error
	}
	results := make(chan result, 2)
	running := 0
	start := func(port int) {
		running++
		go func() {
			conn, err := c.dialTCP(ctx, port)
			results <- result{port, conn, err}
		}()
	}
	defer func() {
		cancel()
		for ; running > 0; running-- {
			if late := <-results; late.conn != nil {
				late.conn.Close()
			}
		}
	}()

	start(PortHTTPS)
	head := time.NewTimer(headStart)
	defer head.Stop()
	var wait <-chan time.Time
	var plain net.Conn
	var tlsErr, plainErr error
	started := false
	for {
		select {
		case <-head.C:
			if !started {
				started = true
				start(PortHTTP)
			}
		case <-wait:
			c.cfg.Log.Debug("TLS port silent, plain HTTP answers", "address", c.cfg.Address)
			return PortHTTP, plain, nil
		case r := <-results:
			running--
			switch {
			case r.port == PortHTTPS && r.err == nil:
				if plain != nil {
					plain.Close()
				}
				return PortHTTPS, r.conn, nil
			case r.port == PortHTTPS:
				tlsErr = r.err
				if !started {
					started = true
					start(PortHTTP)
				}
			case r.err == nil:
				plain = r.conn
				wait = time.After(grace)
			default:
				plainErr = r.err
			}
			if tlsErr != nil && plain != nil {
				return PortHTTP, plain, nil
			}
			if tlsErr != nil && plainErr != nil {
				return 0, nil, c.neither(ctx, tlsErr, plainErr)
			}
		}
	}
}

// neither makes one error of two.
func (c *Client) neither(ctx context.Context, tlsErr, plainErr error) error {
	if errors.Is(tlsErr, context.Canceled) || errors.Is(plainErr, context.Canceled) {
		return context.Cause(ctx)
	}
	var a, b *UnreachableError
	if !errors.As(tlsErr, &a) || !errors.As(plainErr, &b) {
		return plainErr
	}
	err := &UnreachableError{Address: c.cfg.Address, Ports: []int{PortHTTPS, PortHTTP}, Reason: a.Reason, Err: plainErr}
	if b.Reason == Refused { // tells more: somebody is there
		err.Reason = Refused
	}
	return err
}

// pingWait is how long a machine that refuses connections has to say that it has AMT.
const pingWait = 500 * time.Millisecond

// asleep improves the error of a machine that is there but does not listen: a presence ping tells whether it has AMT
// that nobody has set up.
func (c *Client) asleep(ctx context.Context, err error) error {
	var gone *UnreachableError
	if c.cfg.Dial != nil || !errors.As(err, &gone) || gone.Reason != Refused {
		return err
	}
	got, pingErr := ping(ctx, c.cfg.Address, c.cfg.PingPort, pingWait)
	if pingErr != nil {
		return err
	}
	if got.State != rmcp.Post {
		return fmt.Errorf("%s: %w (setup state: %v): %w", c.cfg.Address, ErrNotProvisioned, got.State, err)
	}
	return err
}

// ping sends an RMCP presence ping.
func ping(ctx context.Context, address string, port int, wait time.Duration) (rmcp.AMT, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var r net.Resolver
	ips, err := r.LookupNetIP(ctx, "ip", address)
	if err != nil {
		return rmcp.AMT{}, err
	}
	conn, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return rmcp.AMT{}, err
	}
	defer conn.Close()
	pong, err := rmcp.Ping(ctx, conn, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ips[0].Unmap(), uint16(port))))
	if err != nil {
		return rmcp.AMT{}, err
	}
	got, ok := pong.AMT()
	if !ok {
		return rmcp.AMT{}, ErrNotAMT
	}
	return got, nil
}
