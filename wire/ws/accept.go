package ws

import (
	"bufio"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// Accept answers a request for a web socket that was read from br, which reads from conn. Whoever may ask was judged
// before; the Origin is checked here: a page of another server is refused. The connection belongs to the Conn from now
// on. After an error the answer was sent, and the connection is of no use any more.
func Accept(conn net.Conn, br *bufio.Reader, header http.Header, method, host string) (*Conn, error) {
	w := &answer{conn: conn, br: br, header: http.Header{}}
	r := &http.Request{Method: method, Header: header, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("web socket: %w", err)
	}
	return newConn(socket, conn), nil
}

// Upgrade is Accept for a handler of net/http. Pages of the given origins, such as "http://127.0.0.1:8080", may ask too.
func Upgrade(w http.ResponseWriter, r *http.Request, origins ...string) (*Conn, error) {
	h := &hijacked{ResponseWriter: w}
	socket, err := websocket.Accept(h, r, &websocket.AcceptOptions{OriginPatterns: origins, Subprotocols: []string{"binary"}})
	if err != nil {
		return nil, fmt.Errorf("web socket: %w", err)
	}
	return newConn(socket, h.conn), nil
}

// An answer is an [http.ResponseWriter] for a server that writes by itself.
type answer struct {
	conn   net.Conn
	br     *bufio.Reader
	header http.Header
	err    error
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	bw := bufio.NewWriter(a.conn)
	fmt.Fprintf(bw, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	if status != http.StatusSwitchingProtocols {
		a.header.Set("Connection", "close")
	}
	a.header.Write(bw)
	bw.WriteString("\r\n")
	a.err = bw.Flush()
}

func (a *answer) Write(b []byte) (int, error) { return a.conn.Write(b) }

func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.conn, bufio.NewReadWriter(a.br, bufio.NewWriter(a.conn)), a.err
}

// hijacked notes the connection that was taken from a server.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}
