package wsman

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

// An instant is a connection to a machine that answers from memory at once: what remains is what the client costs.
type instant struct {
	net.Conn
	ready  []byte // an answer, from the RelatesTo on
	answer bytes.Buffer
	closed chan struct{}
	past   chan struct{} // a deadline has passed
}

// benchAnswer returns an instant that answers every Get with 3.4 KB.
func benchAnswer(b *testing.B) *instant { return &instant{ready: benchDocument(b)} }

func (i *instant) dial(context.Context) (net.Conn, error) {
	i.closed, i.past = make(chan struct{}), make(chan struct{}, 1)
	return i, nil
}

func (i *instant) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("Authorization: Digest ")) {
		page(&i.answer, 401, "no", `WWW-Authenticate: Digest realm="`+testRealm+`", nonce="B9AX94iAAAAAAAAAx6rrSfPHGUrx/3uA",stale="false",qop="auth"`)
		return len(p), nil
	}
	_, id, _ := bytes.Cut(p, []byte("MessageID>"))
	id, _, _ = bytes.Cut(id, []byte("<"))
	before, after, _ := bytes.Cut(i.ready, []byte("RelatesTo>"))
	_, after, _ = bytes.Cut(after, []byte("<"))
	i.answer.WriteString("HTTP/1.1 200 OK\r\nContent-Length: ")
	i.answer.WriteString(strconv.Itoa(len(before) + len("RelatesTo>") + len(id) + 1 + len(after)))
	i.answer.WriteString("\r\n\r\n")
	for _, part := range [][]byte{before, []byte("RelatesTo>"), id, []byte("<"), after} {
		i.answer.Write(part)
	}
	return len(p), nil
}

func (i *instant) Read(p []byte) (int, error) {
	if i.answer.Len() == 0 {
		select {
		case <-i.closed:
			return 0, io.EOF
		case <-i.past:
			return 0, os.ErrDeadlineExceeded
		}
	}
	return i.answer.Read(p)
}

func (i *instant) Close() error                { close(i.closed); return nil }
func (i *instant) SetDeadline(time.Time) error { return nil }
func (i *instant) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		i.past <- struct{}{}
	}
	return nil
}
func (i *instant) SetWriteDeadline(time.Time) error { return nil }
