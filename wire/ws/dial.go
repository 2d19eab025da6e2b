package ws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// A Refusal is an answer of the server other than to open the socket.
type Refusal struct {
	Status     int      // of HTTP
	Challenges []string // WWW-Authenticate, as sent; for 401
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("web socket refused: %d %s", r.Status, http.StatusText(r.Status))
}

// maxHeader is how many octets the answer's header may have.
const maxHeader = 16 << 10

// Dial asks for a web socket on an open connection, which belongs to the Conn from now on; on an error, or when ctx ends
// before Dial returns, it is closed. host is the Host header; authorization may be empty. An answer of the server that is
// not yes is a [*Refusal].
func Dial(ctx context.Context, conn net.Conn, host, path, authorization string) (*Conn, error) {
	dialed := make(chan net.Conn, 1)
	dialed <- conn
	dial := func(context.Context, string, string) (net.Conn, error) {
		select {
		case c := <-dialed:
			return c, nil
		default:
			return nil, errSpent
		}
	}
	transport := &http.Transport{DialContext: dial, MaxResponseHeaderBytes: maxHeader}
	o := &websocket.DialOptions{
		Host:       host,
		HTTPHeader: http.Header{},
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if authorization != "" {
		o.HTTPHeader.Set("Authorization", authorization)
	}
	socket, resp, err := websocket.Dial(ctx, "http://machine"+path, o) // the name is not looked up: the connection stands
	if err == nil {
		return newConn(socket, conn), nil
	}
	transport.CloseIdleConnections()
	conn.Close()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return nil, &Refusal{Status: resp.StatusCode, Challenges: resp.Header.Values("WWW-Authenticate")}
	}
	return nil, fmt.Errorf("web socket: %w", err)
}

var errSpent = errors.New("the connection is used up")
