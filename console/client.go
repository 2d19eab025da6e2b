package console

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/outband/outband/wire/rmcp"
	"github.com/outband/outband/wire/wsman"
)

// Ports of AMT. Source: spec wsman.md section 1, redirection.md section 1.
const (
	PortHTTP           = 16992
	PortHTTPS          = 16993
	PortRedirection    = 16994 // SOL, IDE-R, KVM
	PortRedirectionTLS = 16995
)

// Schemes of [Config].
const (
	HTTP  = "http"
	HTTPS = "https"
)

// Config says which machine, and how to reach it. Only Address is needed.
type Config struct {
	Address string // DNS name or IP address, without port

	// Dial opens a connection to a port of the machine: the TCP stream, before any TLS. It must end when ctx does.
	// nil: TCP to Address.
	Dial func(ctx context.Context, port int) (net.Conn, error)

	Username    string                                    // "": "admin"
	Password    string                                    `json:"-"` // "": AskPassword
	AskPassword func(ctx context.Context) (string, error) // asked once, after the certificate was judged

	// Scheme and Port say how WS-Man is reached. Both empty: TLS on 16993 or else HTTP on 16992, whichever answers;
	// HTTP is not tried when TLS has a pin, authorities or a client certificate. A port that is not one of AMT's
	// needs a Scheme, or is taken for TLS.
	Scheme string
	Port   int
	TLS    TLSConfig

	Door Door // for redirection; DoorAny takes the port if it is open

	ConnectTimeout time.Duration // to find the machine and shake hands; 0: 10 s, as a sleeping AMT takes some to wake
	Timeout        time.Duration // for one request, when the context has no deadline; 0: 30 s
	MaxConns       int           // at once; 0: 2, firmware takes few
	PingPort       int           // UDP port of the presence ping; 0: 623
	Pace           time.Duration // least time between two requests; 0: none

	// OnPlaintext is told before the first password goes (hashed, see RFC 7616) over plain HTTP to an address that is
	// not this computer. An error refuses. It is not told when Dial is set.
	OnPlaintext func(ctx context.Context, address string) error

	Trace func(wsman.TraceEvent) // sees every message, without passwords
	Log   *slog.Logger           // nil: silent
}

// A Client is one machine. It is safe for concurrent use. It connects when first used.
type Client struct {
	cfg   Config
	trust *trust
	over  wsman.RoundTripper // given to Over; nil otherwise

	setup chan struct{} // held by whoever finds the machine
	lanes chan struct{} // one for each enumeration that runs

	mu     sync.Mutex
	closed bool
	found  *Endpoint     // nil until found
	spare  net.Conn      // opened while finding, not used yet
	since  time.Time     // when spare was opened
	http   *wsman.Client // nil until there is a password
	absent map[string]bool

	changed time.Time // when the machine accepted a power request last
}

// New checks the settings and returns a Client. It does not connect. Errors wrap [ErrUsage].
func New(cfg Config) (*Client, error) {
	if cfg.Address == "" {
		return nil, fmt.Errorf("%w: no address", ErrUsage)
	}
	if cfg.Scheme != "" && cfg.Scheme != HTTP && cfg.Scheme != HTTPS {
		return nil, fmt.Errorf("%w: scheme %q is neither http nor https", ErrUsage, cfg.Scheme)
	}
	if cfg.Port < 0 || cfg.Port > 65535 {
		return nil, fmt.Errorf("%w: port %d is not in 0..65535", ErrUsage, cfg.Port)
	}
	if cfg.Scheme == HTTP && cfg.TLS.demanded() {
		return nil, fmt.Errorf("%w: scheme http with a pin, authorities or a client certificate: one of them is wrong", ErrUsage)
	}
	trust, err := newTrust(cfg.TLS, cfg.Address)
	if err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 10*time.Second)
	cfg.PingPort = cmp.Or(cfg.PingPort, rmcp.Port)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, trust: trust, setup: make(chan struct{}, 1), lanes: make(chan struct{}, maxEnumerations), absent: map[string]bool{}}, nil
}

// Over returns a Client that sends its requests through rt, for transports of one's own: a recording, another
// process, a machine in memory. Nothing that needs connections of its own works on it, such as [Client.Dial].
func Over(rt wsman.RoundTripper, address string) *Client {
	return &Client{cfg: Config{Address: address, Log: slog.New(slog.DiscardHandler)}, over: rt, lanes: make(chan struct{}, maxEnumerations), absent: map[string]bool{}}
}

// Address returns the address from the settings.
func (c *Client) Address() string { return c.cfg.Address }

// Username returns the account that is used.
func (c *Client) Username() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Or(c.cfg.Username, "admin")
}

// An Endpoint is where a machine's WS-Man was found.
type Endpoint struct {
	Scheme string
	Port   int
	TLS    *tls.ConnectionState // of the first connection; nil for http
}

// Endpoint finds the machine, if that was not done yet, and returns where. No password is needed.
func (c *Client) Endpoint(ctx context.Context) (Endpoint, error) {
	if c.over != nil {
		return Endpoint{}, errOver
	}
	if err := c.lock(ctx); err != nil {
		return Endpoint{}, err
	}
	defer c.unlock()
	found, err := c.ensureFound(ctx)
	if err != nil {
		return Endpoint{}, err
	}
	return *found, nil
}

var errOver = fmt.Errorf("%w: this client has a transport of its own and no connections", ErrUsage)

func (c *Client) lock(ctx context.Context) error {
	select {
	case c.setup <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) unlock() { <-c.setup }

// ensureFound finds the machine once. The caller holds the setup lock.
func (c *Client) ensureFound(ctx context.Context) (*Endpoint, error) {
	c.mu.Lock()
	found, closed := c.found, c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if found != nil {
		return found, nil
	}
	at, conn, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	c.cfg.Log.Debug("found", "address", c.cfg.Address, "scheme", at.Scheme, "port", at.Port)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, ErrClosed
	}
	c.found, c.spare, c.since = &at, conn, time.Now()
	return c.found, nil
}

// transport returns the HTTP client, and makes it first if need be: that takes an endpoint and a password.
func (c *Client) transport(ctx context.Context) (*wsman.Client, error) {
	c.mu.Lock()
	ready, closed := c.http, c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if ready != nil {
		return ready, nil
	}
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	c.mu.Lock()
	ready = c.http
	c.mu.Unlock()
	if ready != nil {
		return ready, nil
	}
	at, err := c.ensureFound(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.warn(ctx, at); err != nil {
		return nil, err
	}
	password := c.cfg.Password
	if password == "" && c.cfg.AskPassword != nil {
		if password, err = c.cfg.AskPassword(ctx); err != nil {
			return nil, fmt.Errorf("password of %s: %w", c.cfg.Address, err)
		}
	}
	made := c.account(at, c.Username(), password)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	c.http = made
	return made, nil
}

// account returns the HTTP client of an account.
func (c *Client) account(at *Endpoint, username, password string) *wsman.Client {
	return &wsman.Client{
		Dial:     func(ctx context.Context) (net.Conn, error) { return c.open(ctx, at) },
		Host:     hostHeader(c.cfg.Address, at.Port),
		Username: username,
		Password: password,
		MaxConns: c.cfg.MaxConns,
		Pace:     c.cfg.Pace,
		Timeout:  c.cfg.Timeout,
		Trace:    c.cfg.Trace,
	}
}

// relogin goes on under another name and password, as those of the account in use were changed.
func (c *Client) relogin(ctx context.Context, username, password string) error {
	if c.over != nil {
		return nil // whoever made the transport keeps its password
	}
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	c.mu.Lock()
	old, at := c.http, c.found
	c.cfg.Username, c.cfg.Password = username, password
	if old != nil && at != nil && !c.closed {
		c.http = c.account(at, username, password)
	}
	c.mu.Unlock()
	if old != nil {
		return old.Close()
	}
	return nil
}

func hostHeader(address string, port int) string {
	return net.JoinHostPort(address, fmt.Sprint(port))
}

// warn tells about plain HTTP that leaves this computer.
func (c *Client) warn(ctx context.Context, at *Endpoint) error {
	if at.Scheme != HTTP || c.cfg.Dial != nil || c.cfg.OnPlaintext == nil {
		return nil
	}
	c.mu.Lock()
	conn := c.spare
	c.mu.Unlock()
	if conn != nil {
		if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
			return nil
		}
	}
	return c.cfg.OnPlaintext(ctx, c.cfg.Address)
}

// spareLife is how long a connection that was opened while finding may wait for its first request: somebody may be
// typing a password, and firmware closes what is idle for 20 to 30 seconds.
const spareLife = 5 * time.Second

// open returns a connection to the endpoint: the one that is left from finding it, or a new one.
func (c *Client) open(ctx context.Context, at *Endpoint) (net.Conn, error) {
	c.mu.Lock()
	conn, age := c.spare, time.Since(c.since)
	c.spare = nil
	c.mu.Unlock()
	if conn != nil {
		if age < spareLife {
			return conn, nil
		}
		conn.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	return c.connect(ctx, at.Port, at.Scheme == HTTPS)
}

// Dial opens a connection to a port of the machine, with TLS and all checks of the certificate if secure. It asks
// nobody about unknown certificates; [Client.Endpoint] does.
func (c *Client) Dial(ctx context.Context, port int, secure bool) (net.Conn, error) {
	if c.over != nil {
		return nil, errOver
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	return c.connect(ctx, port, secure)
}

// DialRedirection opens a connection for SOL, IDE-R or KVM: with TLS if WS-Man has it. Who speaks on it is the
// business of package redir.
func (c *Client) DialRedirection(ctx context.Context) (net.Conn, error) {
	at, err := c.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	if at.Scheme == HTTPS {
		return c.Dial(ctx, PortRedirectionTLS, true)
	}
	return c.Dial(ctx, PortRedirection, false)
}

// Credentials returns the account, for protocols with a login of their own. The password is asked for if need be.
func (c *Client) Credentials(ctx context.Context) (username, password string, err error) {
	if c.over != nil {
		return "", "", errOver
	}
	via, err := c.transport(ctx)
	if err != nil {
		return "", "", err
	}
	return via.Username, via.Password, nil
}

// RoundTrip carries one WS-Man request to the machine. A fault comes back as a [*wsman.Fault].
func (c *Client) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	if c.over != nil {
		return c.over.RoundTrip(ctx, req)
	}
	via, err := c.transport(ctx)
	if err != nil {
		return nil, err
	}
	return via.RoundTrip(ctx, req)
}

// RoundTripper returns what carries requests to the machine, for the functions of packages wsman and class.
func (c *Client) RoundTripper() wsman.RoundTripper { return c }

// RoundTrips returns how many HTTP exchanges there were so far.
func (c *Client) RoundTrips() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http == nil {
		return 0
	}
	return c.http.RoundTrips()
}

// Close ends all connections. Requests under way fail.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	conn, via := c.spare, c.http
	c.spare = nil
	c.mu.Unlock()
	var err error
	if conn != nil {
		err = conn.Close()
	}
	if via != nil {
		err = errors.Join(err, via.Close())
	}
	return err
}

// knows reports whether a class may exist on the machine: false once it said no. Firmware does not change under a
// connection, so that is never asked again.
func (c *Client) knows(class string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.absent[class]
}

func (c *Client) lacks(class string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.absent[class] = true
}

// maxEnumerations is how many run at once: old firmware keeps four open, for all its consoles together, and of more the
// first ones are lost.
const maxEnumerations = 2

// BeginEnumeration implements [wsman.EnumerationLimit].
func (c *Client) BeginEnumeration(ctx context.Context) (end func(), err error) {
	select {
	case c.lanes <- struct{}{}:
		return func() { <-c.lanes }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// RefusesOptimize implements [wsman.EnumerationMemory].
func (c *Client) RefusesOptimize() bool {
	memory := c.memory()
	return memory != nil && memory.RefusesOptimize()
}

// RememberRefusesOptimize implements [wsman.EnumerationMemory].
func (c *Client) RememberRefusesOptimize() {
	if memory := c.memory(); memory != nil {
		memory.RememberRefusesOptimize()
	}
}

func (c *Client) memory() wsman.EnumerationMemory {
	if c.over != nil {
		memory, _ := c.over.(wsman.EnumerationMemory)
		return memory
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http == nil {
		return nil
	}
	return c.http
}
