package wsman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of a [Client].
const (
	DefaultMaxConns    = 2
	DefaultTimeout     = 30 * time.Second
	DefaultIdleTimeout = 10 * time.Second
)

const (
	wsmanPath   = "/wsman"
	contentType = "application/soap+xml;charset=UTF-8"
)

// A RoundTripper carries one request to a machine and brings its answer. A fault comes back as an error, *[Fault].
// Implementations are safe for concurrent use and leave req as it is.
type RoundTripper interface {
	RoundTrip(ctx context.Context, req *Request) (*Response, error)
}

type dialFunc = func(ctx context.Context) (net.Conn, error)

// A Client speaks WS-Management over HTTP to one machine. Set Dial and Password, and no field after the first call.
// Close it in the end. A Client is safe for concurrent use; do not copy it.
type Client struct {
	// Dial opens a connection: plain TCP, TLS that has shaken hands, a CIRA channel, a pipe. Its deadlines must work.
	Dial func(ctx context.Context) (net.Conn, error)

	Host        string           // of the Host header; default "amt"; firmware does not check it
	Username    string           // default "admin"
	Password    string           `json:"-"`
	MaxConns    int              // connections open at once; default 2, as firmware takes few
	Pace        time.Duration    // least time between the starts of two HTTP exchanges; default 0
	Timeout     time.Duration    // for one HTTP exchange, its dialing included, when ctx has no deadline; default 30 s
	MaxReply    int64            // octets of the body of an answer; default MaxDocument
	IdleTimeout time.Duration    // an idle connection is closed after this; default 10 s, as firmware does after 20 to 30
	Trace       func(TraceEvent) // if set, is called after every HTTP exchange, by many goroutines at once; must not call the Client

	setup   sync.Once
	broken  error // settings that cannot work
	pool    *pool
	pacer   pacer
	auth    auth
	buffers sync.Pool // of *buffer

	lastID atomic.Uint64 // of messages
	trips  atomic.Int64
	plain  atomic.Bool // the machine refuses optimized enumeration
}

const maxKept = 256 << 10 // octets of a buffer that is kept for the next exchange

func (c *Client) init() error {
	c.setup.Do(func() {
		switch {
		case c.Dial == nil:
			c.broken = errors.New("wsman: client without a Dial")
		case strings.ContainsFunc(c.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
			c.broken = fmt.Errorf("wsman: %q cannot stand in a Host header", c.Host)
		}
		c.pool = newPool(c.Dial, orDefault(c.MaxConns, DefaultMaxConns), orDefault(c.IdleTimeout, DefaultIdleTimeout))
		c.pacer.init(c.Pace)
		username := c.Username
		if username == "" {
			username = "admin"
		}
		c.auth.init(username, c.Password)
		c.buffers.New = func() any { return new(buffer) }
	})
	return c.broken
}

func orDefault[T int | int64 | time.Duration](value, standard T) T {
	if value <= 0 {
		return standard
	}
	return value
}

func (c *Client) buffer() *buffer { return c.buffers.Get().(*buffer) }

func (c *Client) recycle(b *buffer) {
	if cap(b.doc)+cap(b.request)+cap(b.head)+cap(b.body) <= maxKept {
		c.buffers.Put(b)
	}
}

// RoundTrip sends one message and returns the answer to it. A request without a MessageID is sent with one. A fault is
// returned as *[Fault]. Other errors wrap [ErrUnauthorized], [ErrNotAMT], [ErrTooLong], [ErrCut], [ErrRelatesTo] or
// [ErrXML], are an *[HTTPError], or come from Dial, the connection or ctx. [ErrIndeterminate] is there in addition if the
// request may have been carried out.
func (c *Client) RoundTrip(ctx context.Context, req *Request) (*Response, error) {
	if err := c.init(); err != nil {
		return nil, err
	}
	if req.Action != "" && req.MessageID == "" {
		numbered := *req
		numbered.MessageID = strconv.FormatUint(c.lastID.Add(1), 10)
		req = &numbered
	}
	buf := c.buffer()
	defer c.recycle(buf)
	buf.doc = req.Append(buf.doc[:0])
	safe := repeatable(req.Action)
	rep, err := c.do(ctx, &call{method: "POST", path: wsmanPath, contentType: contentType, body: buf.doc, safe: safe}, buf)
	if err != nil {
		return nil, err
	}
	resp, err := c.response(req, &rep)
	if err != nil && rep.status == 200 && !safe && !isFault(err) {
		err = indeterminate(err)
	}
	return resp, err
}

// repeatable tells which requests change nothing in a machine, so that they can be sent again.
func repeatable(action string) bool {
	switch action {
	case "", ActionGet, ActionEnumerate, ActionPull:
		return true
	}
	return false
}

func isFault(err error) bool {
	var fault *Fault
	return errors.As(err, &fault)
}

func indeterminate(err error) error { return fmt.Errorf("%w; %w", err, ErrIndeterminate) }

// response makes of an HTTP answer what it says in WS-Management.
func (c *Client) response(req *Request, rep *reply) (*Response, error) {
	resp, err := ParseResponse(rep.body)
	if err == nil && (rep.status == 200 || resp.Fault != nil) {
		stray := resp.RelatesTo != strings.TrimSpace(req.MessageID)
		if req.Action != "" && stray && !(resp.Fault != nil && resp.RelatesTo == "") {
			return nil, fmt.Errorf("wsman: %w: RelatesTo is %.80q, not %.80q", ErrRelatesTo, resp.RelatesTo, req.MessageID)
		}
		if resp.Fault != nil {
			return nil, resp.Fault
		}
		return resp, nil
	}
	if rep.status != 200 {
		httpErr := &HTTPError{Status: rep.status, Server: printable(rep.get("Server")), Text: pageText(rep.body)}
		if rep.status == 400 && strings.Contains(httpErr.Text, "HTTPS") {
			return nil, fmt.Errorf("%w: %w: the port wants TLS", httpErr, ErrNotAMT)
		}
		return nil, httpErr
	}
	if !bytes.Contains(rep.body, []byte("Envelope")) {
		return nil, notAMT("no SOAP envelope but", []byte(pageText(rep.body)))
	}
	return nil, err
}

// HTTP sends any HTTP request, signed by digest, on the connections of the client: for the web pages and the old SOAP
// services. path is the request target; contentType may be empty. The answer is returned whatever its status, except
// 401. Errors are those of [Client.RoundTrip]; methods other than GET, HEAD and OPTIONS are taken to change something.
func (c *Client) HTTP(ctx context.Context, method, path string, body []byte, contentType string) (*HTTPReply, error) {
	q := &call{method: method, path: path, contentType: contentType, body: body}
	switch method {
	case "GET", "HEAD", "OPTIONS":
		q.safe = true
	}
	return c.plainHTTP(ctx, q)
}

// SOAP is HTTP for the services of before WS-Management: it posts a message with the header SOAPAction, which holds action
// in quotes.
func (c *Client) SOAP(ctx context.Context, path, action, contentType string, body []byte) (*HTTPReply, error) {
	return c.plainHTTP(ctx, &call{method: "POST", path: path, contentType: contentType, soapAction: `"` + action + `"`, body: body})
}

// Probe asks for the root page without credentials and returns the Server header of the answer, as it came:
// "Intel(R) Active Management Technology 16.1.27". It is printable and may be empty.
func (c *Client) Probe(ctx context.Context) (server string, err error) {
	rep, err := c.plainHTTP(ctx, &call{method: "GET", path: "/", safe: true, bare: true})
	if err != nil {
		return "", err
	}
	return printable(rep.Header.Get("Server")), nil
}

func (c *Client) plainHTTP(ctx context.Context, q *call) (*HTTPReply, error) {
	if err := c.init(); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	buf := c.buffer()
	defer c.recycle(buf)
	rep, err := c.do(ctx, q, buf)
	if err != nil {
		return nil, err
	}
	return &HTTPReply{Status: rep.status, Header: rep.header(), Body: bytes.Clone(rep.body)}, nil
}

// RoundTrips returns how many HTTP requests have been sent so far, those that were challenged included.
func (c *Client) RoundTrips() int64 { return c.trips.Load() }

// Realm returns the digest realm that the machine gave last, "" before the first challenge.
func (c *Client) Realm() string {
	if c.init() != nil {
		return ""
	}
	return c.auth.realm()
}

// Close closes all connections. Requests under way fail, later ones fail with net.ErrClosed. It returns nil.
func (c *Client) Close() error {
	c.init()
	c.pool.close()
	return nil
}

// String names the account, not the password.
func (c *Client) String() string { return fmt.Sprintf("wsman client of %q at %q", c.Username, c.Host) }

// GoString is String, so that %#v does not show the password.
func (c *Client) GoString() string { return c.String() }

// failure says in the caller's terms why an exchange failed.
func failure(ctx context.Context, err error) error {
	switch {
	case timedOut(err) && ctx.Err() == nil, ctx.Err() != nil && context.Cause(ctx) == context.DeadlineExceeded:
		return fmt.Errorf("wsman: %w", errSlow)
	case ctx.Err() != nil:
		return fmt.Errorf("wsman: %w", context.Cause(ctx))
	}
	return err
}
