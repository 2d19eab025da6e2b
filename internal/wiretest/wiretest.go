// Package wiretest holds what the tests of protocols have in common: octets as text, and connections to send them over.
package wiretest

import (
	"encoding/hex"
	"net"
	"strings"
	"testing"
)

// Hex returns the octets that text writes in hexadecimal digits; white space between them does not count.
func Hex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Bytewise returns a connection over which each octet of c comes alone, both ways.
func Bytewise(c net.Conn) net.Conn { return bytewise{c} }

type bytewise struct{ net.Conn }

func (c bytewise) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(1, len(p))]) }
func (c bytewise) Write(p []byte) (n int, err error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// Loopback returns both ends of a TCP connection, with TCP_NODELAY as Go has it. They are closed when the test ends.
func Loopback(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}
