package wsman

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// wakeTimeout is how long a deadline that has passed may take to end a read.
const wakeTimeout = time.Second

// A conn is one connection to a machine, with one request on it at a time.
type conn struct {
	net.Conn
	br   *bufio.Reader
	used bool      // has carried a request
	idle time.Time // since when

	raw     syscall.RawConn // of the socket below, where there is one that can be looked into; see [conn.rest]
	watched chan bool       // the watcher's verdict; nil while there is none

	once    sync.Once
	aborted chan struct{} // closed when abort is done
	onAbort func()        // abort, made once
}

func newConn(c net.Conn) *conn {
	cn := &conn{Conn: c, br: bufio.NewReaderSize(c, MaxLine), aborted: make(chan struct{})}
	cn.onAbort = cn.abort
	cn.raw = rawConn(c)
	return cn
}

// below returns the connection that TLS or the like runs on, or c itself.
func below(c net.Conn) net.Conn {
	for {
		wrapper, ok := c.(interface{ NetConn() net.Conn })
		if !ok || wrapper.NetConn() == nil {
			return c
		}
		c = wrapper.NetConn()
	}
}

// abort closes the connection at once, without TLS's farewell, which can block. It is safe to call at any time.
func (cn *conn) abort() {
	cn.once.Do(func() {
		if b := below(cn.Conn); b != cn.Conn {
			b.Close()
		}
		cn.Conn.Close()
		close(cn.aborted)
	})
}

// close closes the connection and waits for whatever else runs on it.
func (cn *conn) close() {
	cn.abort()
	if cn.watched != nil {
		<-cn.watched
		cn.watched = nil
	}
}

// roundTrip sends the request in buf and reads the answer into buf. sent tells whether any octet may have reached the machine.
func (cn *conn) roundTrip(ctx context.Context, deadline time.Time, buf *buffer, method string, limit int64) (rep reply, sent bool, err error) {
	if err := cn.SetDeadline(deadline); err != nil {
		return rep, false, err
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, cn.onAbort)
		defer func() {
			if !stop() {
				<-cn.aborted
				rep.keep = false
			}
		}()
	}
	cn.used = true
	n, writeErr := cn.Write(buf.request)
	if writeErr != nil && n == 0 {
		return rep, false, writeErr
	}
	// A machine may answer, and close, before it has read everything: what it says counts for more.
	rep, err = readReply(cn.br, buf, method, limit)
	if writeErr != nil {
		rep.keep = false
		if errors.Is(err, errNoReply) {
			err = fmt.Errorf("%w: %w", errNoReply, writeErr)
		}
	}
	return rep, true, err
}

// rest begins an idle time, in which the machine may close the connection. Sockets are looked into when they are wanted
// again, which costs least. On anything else a read waits meanwhile.
func (cn *conn) rest(now time.Time) {
	cn.idle = now
	if cn.raw != nil {
		return
	}
	watched := make(chan bool, 1)
	cn.watched = watched
	cn.SetDeadline(time.Time{})
	go func() {
		var one [1]byte
		n, err := cn.Conn.Read(one[:])
		alive := n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
		if !alive {
			cn.abort()
		}
		watched <- alive
	}()
}

// wake ends the idle time and reports whether the connection is still open and silent.
func (cn *conn) wake() bool {
	if cn.raw != nil {
		return openAndSilent(cn.raw)
	}
	if err := cn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return false
	}
	patience := time.NewTimer(wakeTimeout)
	defer patience.Stop()
	select {
	case alive := <-cn.watched:
		cn.watched = nil
		return alive
	case <-patience.C: // deadlines do not work there
		return false
	}
}
