package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// backwards is a program that answers, when it has heard everything, with all of it, last octet first.
func backwards(t *testing.T, conn net.Conn) {
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	conn.Write(b)
	conn.Close()
}

// TestRoute: many connections at once, more than there are places, each with both directions and their ends.
func TestRoute(t *testing.T) {
	server := listenLoopback(t)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			served.Go(func() { backwards(t, conn) })
		}
	})
	defer served.Wait()
	defer server.Close()
	port := server.Addr().(*net.TCPAddr).Port
	client, err := New(Config{Address: "127.0.0.1", Scheme: HTTP})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	here := listenLoopback(t)
	done := make(chan error)
	go func() {
		done <- client.Route(ctx, here, RouteOptions{Port: port, Max: 3, Event: func(err error) { t.Error(err) }})
	}()
	var users sync.WaitGroup
	for range 10 {
		users.Go(func() {
			said := make([]byte, 200<<10)
			rand.Read(said)
			conn, err := net.Dial("tcp", here.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			conn.Write(said)
			conn.(*net.TCPConn).CloseWrite()
			heard, err := io.ReadAll(conn)
			for i, j := 0, len(heard)-1; i < j; i, j = i+1, j-1 {
				heard[i], heard[j] = heard[j], heard[i]
			}
			if err != nil || !bytes.Equal(heard, said) {
				t.Errorf("heard %d octets of %d, %v", len(heard), len(said), err)
			}
		})
	}
	users.Wait()
	idle, err := net.Dial("tcp", here.Addr().String()) // a connection that is open is ended, too
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("route: %v", err)
	}
	idle.SetDeadline(time.Now().Add(time.Minute))
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("the idle connection is alive")
	}
}

// TestRouteNobody: a port where nobody listens is told of, and the connection closed.
func TestRouteNobody(t *testing.T) {
	refused := errors.New("nobody there")
	client, err := New(Config{Address: "desk-7", Scheme: HTTP, Dial: func(context.Context, int) (net.Conn, error) { return nil, refused }})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	here := listenLoopback(t)
	told, done := make(chan error, 1), make(chan error)
	go func() {
		done <- client.Route(ctx, here, RouteOptions{Port: 22, Event: func(err error) { told <- err }})
	}()
	conn, err := net.Dial("tcp", here.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	if err := <-told; !errors.Is(err, refused) {
		t.Errorf("told %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("route: %v", err)
	}
	if err := client.Route(t.Context(), listenLoopback(t), RouteOptions{Port: 70000}); !errors.Is(err, ErrUsage) {
		t.Errorf("port 70000: %v", err)
	}
}

func listenLoopback(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
