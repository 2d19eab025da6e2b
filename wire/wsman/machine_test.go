package wsman

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/wire/digest"
)

// A machine is a fake: it reads requests with net/http, so that a foreign parser judges what the Client writes, and has
// a test decide about the octets of each answer.
type machine struct {
	// answer writes the answer to a request and reports whether the connection stays open.
	answer func(w io.Writer, r *http.Request, body []byte) (keep bool)

	group    sync.WaitGroup
	mu       sync.Mutex
	dials    int
	open     int
	mostOpen int
	requests []string // "POST /wsman", as they came
	conns    []net.Conn
}

// dial is the Client's Dial over a pipe.
func (m *machine) dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	m.accept(server)
	return client, nil
}

func (m *machine) accept(c net.Conn) {
	m.mu.Lock()
	m.dials++
	m.open++
	m.mostOpen = max(m.mostOpen, m.open)
	m.conns = append(m.conns, c)
	m.mu.Unlock()
	m.group.Go(func() {
		m.serve(c)
		m.mu.Lock()
		m.open--
		m.mu.Unlock()
	})
}

func (m *machine) serve(c net.Conn) {
	defer c.Close()
	for br := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.requests = append(m.requests, r.Method+" "+r.RequestURI)
		m.mu.Unlock()
		if !m.answer(c, r, body) {
			return
		}
	}
}

// listen puts the machine on a loopback port and returns a Dial for it.
func (m *machine) listen(t testing.TB) func(ctx context.Context) (net.Conn, error) {
	t.Helper()
	return listenTo(t, m.accept)
}

func (m *machine) count() (dials, requests, mostOpen int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dials, len(m.requests), m.mostOpen
}

// hangUp closes all connections from the machine's side.
func (m *machine) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.Close()
	}
}

// client makes c a Client of the machine. In the end it is closed, and the machine waited for.
func (m *machine) client(t testing.TB, c *Client) *Client {
	if c.Dial == nil {
		c.Dial = m.dial
	}
	t.Cleanup(func() {
		c.Close()
		m.hangUp()
		m.group.Wait()
	})
	return c
}

// chunked writes an answer as AMT does: chunks of 544, then 762 octets, sizes in four upper-case digits.
func chunked(w io.Writer, status int, doc []byte, headers ...string) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nServer: Intel(R) Active Management Technology 16.1.27\r\n", status, http.StatusText(status))
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("Content-Type: application/soap+xml; charset=UTF-8\r\nTransfer-Encoding: chunked\r\n\r\n")
	for size := 544; len(doc) > 0; size = 762 {
		size = min(size, len(doc))
		fmt.Fprintf(&b, "%04X\r\n%s\r\n", size, doc[:size])
		doc = doc[size:]
	}
	b.WriteString("0\r\n\r\n")
	w.Write(b.Bytes())
}

func page(w io.Writer, status int, text string, headers ...string) {
	text = "<html><head><title>x</title><style>h1 {}</style></head><body><h1>" + text + "</h1></body></html>"
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), len(text), strings.Join(append(headers, ""), "\r\n"), text)
}

type handlerFunc func(ctx context.Context, req *Request) (*Response, error)

func (f handlerFunc) ServeWSMan(ctx context.Context, req *Request) (*Response, error) {
	return f(ctx, req)
}

// settings answers Get of any class with an instance that says what was asked.
var settings = handlerFunc(func(_ context.Context, req *Request) (*Response, error) {
	if req.Action != ActionGet && req.Action != ActionPut {
		return nil, ErrActionNotSupported
	}
	body := Group(req.ResourceURI, ClassName(req.ResourceURI),
		El(req.ResourceURI, "Selectors", req.Selectors.String()),
		El(req.ResourceURI, "Text", "Ünï <&> \"'"))
	return &Response{Body: &body}, nil
})

// serve answers with Serve, without asking for credentials.
func serve(h Handler) func(io.Writer, *http.Request, []byte) bool {
	var mu sync.Mutex
	var counter uint64
	next := func() string {
		mu.Lock()
		defer mu.Unlock()
		counter++
		return MessageID(counter)
	}
	return func(w io.Writer, r *http.Request, body []byte) bool {
		status, doc := Serve(r.Context(), h, body, next)
		if status != 200 {
			chunked(w, status, doc, "Connection: close")
			return false
		}
		chunked(w, status, doc)
		return true
	}
}

const (
	testRealm    = "Digest:0123456789ABCDEF0123456789ABCDEF"
	testPassword = "P@ssw0rd"
)

// guard asks for digest credentials of admin, as AMT does: a 401 closes the connection.
type guard struct {
	*digest.Server
	challenges, refusals int // under mu
	mu                   sync.Mutex
}

func newGuard(o digest.ServerOptions) *guard { return &guard{Server: digest.NewServer(testRealm, o)} }

func (g *guard) protect(next func(io.Writer, *http.Request, []byte) bool) func(io.Writer, *http.Request, []byte) bool {
	return func(w io.Writer, r *http.Request, body []byte) bool {
		_, err := g.Admit(r.Header.Get("Authorization"), r.Method, r.RequestURI, body, func(user string) ([16]byte, bool) {
			return digest.HA1(user, testRealm, testPassword), user == "admin"
		})
		if err == nil {
			return next(w, r, body)
		}
		g.mu.Lock()
		if r.Header.Get("Authorization") == "" {
			g.challenges++
		} else {
			g.refusals++
		}
		g.mu.Unlock()
		challenge := g.Challenge(strings.Contains(err.Error(), "stale"))
		page(w, 401, "Log on failed.", "WWW-Authenticate: "+challenge.String(), "Connection: close")
		return false
	}
}

func (g *guard) count() (challenges, refusals int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.challenges, g.refusals
}

// raw answers every request with the same octets.
func raw(keep bool, text string) func(io.Writer, *http.Request, []byte) bool {
	return func(w io.Writer, _ *http.Request, _ []byte) bool {
		io.WriteString(w, text)
		return keep
	}
}

// getAnswer is an answer to the Get with that MessageID.
func getAnswer(id string) []byte {
	body := Group(NSCIM+"CIM_Chip", "CIM_Chip", El(NSCIM+"CIM_Chip", "Tag", "CPU 0"))
	return (&Response{Action: ActionGet + ResponseSuffix, MessageID: "x", RelatesTo: id, Body: &body}).Append(nil)
}

func withLength(doc []byte) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(doc)) + "\r\n\r\n" + string(doc)
}
