package firmware

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of the HTTP server.
const (
	maxHead     = 16 << 10         // octets of request line and header
	maxBody     = 256 << 10        // octets of a body; certificates of 4 KiB must pass, the rest is unknown
	idleTimeout = 25 * time.Second // without a request; real machines take 20 to 30 s
	readTimeout = 30 * time.Second // from the first octet of a request to its last
	sendTimeout = 30 * time.Second // for one answer
)

// Chunks of an answer, as recorded: 544 octets first, then 762 each. Source: spec wsman.md section 2.
const (
	firstChunk = 0x220
	nextChunk  = 0x2fa
)

// A request is one HTTP request.
type request struct {
	method string
	target string // as sent, which is what digest signs
	path   string
	query  string
	host   string // header Host
	header http.Header
	body   []byte
	user   string // once authenticated
	realms RealmSet
	origin
}

// An origin is where a request comes from.
type origin struct {
	port   int
	secure bool // over TLS
	local  bool // from the PC itself, not from the network
	tunnel bool // through a tunnel to a presence server
	setup  bool // by the program that does a setup over TLS
	trust  *trust
}

// A reply is the answer to it.
type reply struct {
	status      int
	contentType string
	header      []string // further lines, between those that every answer has
	body        []byte
	chunked     bool // else with Content-Length
	close       bool // says Connection: close, and does it
	bare        bool // a 401: other lines, in another order

	// upgrade, if set, is no answer but takes the connection over. br reads from conn, and is the upgrade's own then.
	upgrade func(ctx context.Context, conn net.Conn, br *bufio.Reader) error
}

// requestReader is a limited reader under a buffered one: what may still be read of the current request.
type requestReader struct {
	conn net.Conn
	left int64
	err  error // why reading ended; bufio does not tell where a line was begun
}

func (r *requestReader) Read(b []byte) (int, error) {
	if r.left <= 0 {
		r.err = errTooLong
		return 0, r.err
	}
	if int64(len(b)) > r.left {
		b = b[:r.left]
	}
	n, err := r.conn.Read(b)
	r.left -= int64(n)
	r.err = err
	return n, err
}

var errTooLong = errors.New("request too long")

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 2048) }}

// serveHTTP answers the requests of one connection, in order, until either side closes it.
func (m *Machine) serveHTTP(ctx context.Context, conn net.Conn, from origin) error {
	limited := &requestReader{conn: conn}
	from.trust = &trust{}
	epoch := m.epoch.Load()
	br := readers.Get().(*bufio.Reader)
	br.Reset(limited)
	pooled := true
	defer func() {
		if pooled {
			br.Reset(nil)
			readers.Put(br)
		}
	}()
	for {
		conn.SetReadDeadline(time.Now().Add(idleTimeout))
		limited.left = maxHead
		if _, err := br.Peek(1); err != nil {
			return ended(err)
		}
		if !from.local && m.asleep() { // nobody hears it
			return nil
		}
		conn.SetReadDeadline(time.Now().Add(readTimeout))
		r, keep, err := readRequest(br, limited)
		var a reply
		switch {
		case errors.Is(err, errTooLong):
			a = page(http.StatusRequestEntityTooLarge, "Request Too Large", "The request is too large.")
			a.close = true
		case errors.Is(err, errMalformed):
			a = page(http.StatusBadRequest, "Bad Request", "The request is malformed.")
			a.close = true
		case err != nil:
			return ended(err)
		default:
			r.origin = from
			if trouble := m.trouble(r); trouble != nil {
				if done, err := m.suffer(ctx, conn, trouble, r, keep); done || err != nil {
					return err
				}
				continue
			}
			a = m.answer(ctx, r)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if a.upgrade != nil {
			conn.SetReadDeadline(time.Time{})
			pooled = false // it may still be read from when this returns
			return a.upgrade(ctx, conn, br)
		}
		a.close = a.close || !keep
		if err := m.send(conn, &a, r); err != nil {
			return err
		}
		if a.close || m.epoch.Load() != epoch {
			return nil
		}
	}
}

// ended turns the ways in which a client goes away into nil.
func ended(err error) error {
	var timeout net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return fmt.Errorf("firmware: http: %w", err)
}

var errMalformed = errors.New("malformed request")

// readRequest reads one request with its body. keep tells whether the client can send another on the connection.
// Errors are those of the connection, or wrap errTooLong or errMalformed.
func readRequest(br *bufio.Reader, limited *requestReader) (r *request, keep bool, err error) {
	h, err := http.ReadRequest(br)
	if err != nil {
		if limited.err != nil {
			return nil, false, limited.err
		}
		return nil, false, fmt.Errorf("%w: %v", errMalformed, err)
	}
	if h.ContentLength > maxBody {
		return nil, false, errTooLong
	}
	limited.left = maxBody + maxHead
	body, err := io.ReadAll(io.LimitReader(h.Body, maxBody+1))
	switch {
	case len(body) > maxBody:
		return nil, false, errTooLong
	case err != nil && limited.err != nil:
		return nil, false, limited.err
	case err != nil:
		return nil, false, fmt.Errorf("%w: %v", errMalformed, err)
	}
	r = &request{method: h.Method, target: h.RequestURI, path: h.URL.Path, query: h.URL.RawQuery, host: h.Host, header: h.Header, body: body}
	return r, !h.Close && h.ProtoAtLeast(1, 1), nil
}

// send writes one answer.
func (m *Machine) send(conn net.Conn, a *reply, r *request) error {
	out := a.append(make([]byte, 0, 1024+len(a.body)), m, r)
	conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := conn.Write(out); err != nil {
		return ended(err)
	}
	return nil
}

// append appends the answer as it goes over the wire.
func (a *reply) append(out []byte, m *Machine, r *request) []byte {
	out = fmt.Appendf(out, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	line := func(name, value string) {
		out = append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
	}
	if a.bare { // as recorded: a 401 is made elsewhere in the firmware than other answers
		for _, h := range a.header {
			out = append(append(out, h...), "\r\n"...)
		}
		line("Content-Type", a.contentType)
		line("Server", m.profile.ServerHeader())
		out = fmt.Appendf(out, "Content-Length: %d\r\nConnection: close\r\n\r\n", len(a.body))
		return a.appendBody(out, r)
	}
	line("Date", m.now().UTC().Format(http.TimeFormat))
	line("Server", m.profile.ServerHeader())
	line("X-Frame-Options", "DENY")
	for _, h := range a.header {
		out = append(append(out, h...), "\r\n"...)
	}
	if a.contentType != "" {
		line("Content-Type", a.contentType)
	}
	if a.chunked {
		line("Transfer-Encoding", "chunked")
	} else {
		out = fmt.Appendf(out, "Content-Length: %d\r\n", len(a.body))
	}
	if a.close {
		line("Connection", "close")
	}
	return a.appendBody(append(out, "\r\n"...), r)
}

func (a *reply) appendBody(out []byte, r *request) []byte {
	if r != nil && r.method == http.MethodHead {
		return out
	}
	if !a.chunked {
		return append(out, a.body...)
	}
	if a.status != http.StatusOK { // faults were recorded in one piece
		return append(append(fmt.Appendf(out, "%04X\r\n", len(a.body)), a.body...), "\r\n0\r\n\r\n"...)
	}
	return appendChunks(out, a.body)
}

// appendChunks cuts a body into chunks as AMT does.
func appendChunks(out, body []byte) []byte {
	out = slices.Grow(out, len(body)+len(body)/nextChunk*8+32)
	for size := firstChunk; len(body) > 0; size = nextChunk {
		n := min(size, len(body))
		out = fmt.Appendf(out, "%04X\r\n", n)
		out = append(append(out, body[:n]...), "\r\n"...)
		body = body[n:]
	}
	return append(out, "0\r\n\r\n"...)
}

// suffer answers one request with the trouble that was asked for. done is true when the connection is over.
func (m *Machine) suffer(ctx context.Context, conn net.Conn, f *Faults, r *request, keep bool) (done bool, err error) {
	if !wait(ctx, f.Delay) {
		return true, context.Cause(ctx)
	}
	if f.Drop { // until the client gives up
		conn.SetReadDeadline(time.Time{})
		io.Copy(io.Discard, conn)
		return true, nil
	}
	if f.Garbage != "" {
		conn.SetWriteDeadline(time.Now().Add(sendTimeout))
		_, err := io.WriteString(conn, f.Garbage)
		return true, err
	}
	var a reply
	if f.HTTPStatus != 0 {
		a = page(f.HTTPStatus, http.StatusText(f.HTTPStatus), "The request cannot be served.")
		a.close = f.HTTPStatus >= 400
	} else {
		a = m.answer(ctx, r)
	}
	a.close = a.close || !keep
	if f.Malformed {
		if at := strings.LastIndexByte(strings.TrimRight(string(a.body), "\r\n"), '<'); at > 0 {
			a.body = a.body[:at]
		}
	}
	out := a.append(nil, m, r)
	if f.Endless && a.chunked {
		return true, endless(ctx, conn, out[:len(out)-len("0\r\n\r\n")])
	}
	cut := f.Cut != 0 && f.Cut < len(out)
	if cut {
		out = out[:max(0, f.Cut)]
	}
	conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if len(out) > 0 {
		if _, err := conn.Write(out); err != nil {
			return true, ended(err)
		}
	}
	return a.close || cut || f.Close, nil
}

// endless sends chunks until the client has had enough.
func endless(ctx context.Context, conn net.Conn, begin []byte) error {
	chunk := appendChunks(nil, []byte(strings.Repeat(" ", firstChunk)))
	chunk = chunk[:len(chunk)-len("0\r\n\r\n")]
	for out := begin; ctx.Err() == nil; out = chunk {
		conn.SetWriteDeadline(time.Now().Add(sendTimeout))
		if _, err := conn.Write(out); err != nil {
			return ended(err)
		}
	}
	return context.Cause(ctx)
}
