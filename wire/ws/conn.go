package ws

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// linger is how long the peer may take to say goodbye. After that the connection is closed anyway.
const linger = time.Second

// A Conn is one end of a web socket. Deadlines work, but one that passes ends the connection.
type Conn struct {
	net.Conn // bytes in frames

	socket *websocket.Conn
	raw    net.Conn // under it
	once   sync.Once
}

func newConn(socket *websocket.Conn, raw net.Conn) *Conn {
	return &Conn{Conn: websocket.NetConn(context.Background(), socket, websocket.MessageBinary), socket: socket, raw: raw}
}

// LocalAddr returns the address of the connection under the web socket.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr returns the peer's address of the connection under the web socket.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// Close says goodbye and closes the connection, a second later if the peer does not say it too. Reads and writes under
// way end.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.raw.SetDeadline(time.Now().Add(linger))
		c.socket.Close(websocket.StatusNormalClosure, "") // a peer that has gone is no failure of closing
		c.Conn.Close()
		c.raw.Close()
	})
	return nil
}
