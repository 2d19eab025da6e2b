package ws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// pair joins two ends over TCP. The server's is made by a bare reader, as the firmware does.
func pair(t *testing.T) (client, server *Conn) {
	t.Helper()
	here, there := tcp(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		br := bufio.NewReader(there)
		r, err := http.ReadRequest(br)
		if err == nil {
			server, err = Accept(there, br, r.Header, r.Method, r.Host)
		}
		if err != nil {
			t.Error(err)
			there.Close()
		}
	})
	client, err := Dial(t.Context(), here, "amt:16992", "/ws-redirection", "")
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if server == nil {
		t.FailNow()
	}
	t.Cleanup(func() {
		var wg sync.WaitGroup
		wg.Go(func() { client.Close() })
		server.Close()
		wg.Wait()
	})
	return client, server
}

func tcp(t *testing.T) (here, there net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if here, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return here, there
}

// Bytes pass in both directions, however they are cut into frames.
func TestStream(t *testing.T) {
	client, server := pair(t)
	sent := bytes.Repeat([]byte("outband "), 20000)
	for _, ends := range [][2]*Conn{{client, server}, {server, client}} {
		var wg sync.WaitGroup
		wg.Go(func() {
			for at := 0; at < len(sent); at += 7001 {
				if _, err := ends[0].Write(sent[at:min(at+7001, len(sent))]); err != nil {
					t.Error(err)
				}
			}
		})
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(ends[1], got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		wg.Wait()
	}
}

// A Close ends what the peer reads in good order, and what is read here.
func TestClose(t *testing.T) {
	client, server := pair(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := server.Read(make([]byte, 8)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("the peer reads %d, %v", n, err)
		}
		server.Close()
	})
	wg.Go(func() {
		if n, err := client.Read(make([]byte, 8)); n != 0 || err == nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if client.RemoteAddr().Network() != "tcp" || server.LocalAddr().Network() != "tcp" {
		t.Errorf("addresses %v, %v", client.RemoteAddr(), server.LocalAddr())
	}
}

// A peer that does not say goodbye is not waited for.
func TestCloseAlone(t *testing.T) {
	here, there := tcp(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		br := bufio.NewReader(there)
		if r, err := http.ReadRequest(br); err == nil {
			Accept(there, br, r.Header, r.Method, r.Host)
		}
	})
	client, err := Dial(t.Context(), here, "amt", "/", "")
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	client.Close() // there stays open and silent
	if _, err := client.Write([]byte("x")); err == nil {
		t.Error("a write after Close succeeds")
	}
	there.Close()
}

// What the server says instead of yes.
func TestRefusal(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		status       int
		challenges   int
	}{
		{"challenge", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 401, 1},
		{"page", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, 0},
		{"elsewhere", "HTTP/1.1 303 See Other\r\nLocation: /logon.htm\r\nContent-Length: 0\r\n\r\n", 303, 0},
		{"wrong key", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", 0, 0},
		{"no HTTP", "RFB 003.008\n\r\n\r\n", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			here, there := tcp(t)
			var wg sync.WaitGroup
			wg.Go(func() {
				http.ReadRequest(bufio.NewReader(there))
				io.WriteString(there, tt.answer)
				there.Close()
			})
			_, err := Dial(t.Context(), here, "amt", "/ws-redirection", "")
			wg.Wait()
			var refused *Refusal
			if errors.As(err, &refused) {
				if refused.Status != tt.status || len(refused.Challenges) != tt.challenges {
					t.Errorf("got %+v", refused)
				}
			} else if err == nil || tt.status != 0 {
				t.Errorf("got %v", err)
			}
			if _, err := here.Write([]byte("x")); err == nil {
				t.Error("the connection is still open")
			}
		})
	}
}

// The end of ctx ends the asking.
func TestDialCancelled(t *testing.T) {
	here, there := tcp(t)
	defer there.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, here, "amt", "/", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A page of another server may not open a socket here.
func TestOrigin(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Upgrade(w, r); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}))
	defer s.Close()
	ask := func(origin string) int {
		r, err := http.NewRequest("GET", s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": origin} {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := ask("https://evil.example"); got != http.StatusForbidden {
		t.Errorf("another origin: status %d", got)
	}
	if got := ask(s.URL); got != http.StatusSwitchingProtocols {
		t.Errorf("its own origin: status %d", got)
	}
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), conn, s.Listener.Addr().String(), "/", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("echo"))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "echo" {
		t.Errorf("got %q, %v", got, err)
	}
}
