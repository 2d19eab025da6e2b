package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/ws"
)

// A kvmWeb serves the screen in web sockets, as noVNC wants it. nil serves nothing.
type kvmWeb struct {
	ln      net.Listener
	origins []string // patterns
}

// openWeb opens the port. There is no TLS, so nobody but this computer may reach it.
func (c *kvmCmd) openWeb(ctx context.Context) (*kvmWeb, error) {
	if c.Web == "" {
		if len(c.Origin) > 0 {
			return nil, usage("", "--origin: there is no --web for it")
		}
		return nil, nil
	}
	for _, o := range c.Origin {
		if !strings.HasPrefix(o, "http://") && !strings.HasPrefix(o, "https://") || strings.ContainsAny(o, "*?[\\") || strings.Count(o, "/") != 2 {
			return nil, usage("as in http://127.0.0.1:8080, without a path", "--origin: %q does not name a server", o)
		}
	}
	address := c.Web
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage("", "--web: %w", err)
	}
	if !isLoopback(host) {
		return nil, usage("put a web server with TLS before a port of loopback", "--web: others could read along")
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, usage("", "--web: %w", err)
	}
	return &kvmWeb{ln, c.Origin}, nil
}

// address is what a page is given: "ws://127.0.0.1:6080/".
func (k *kvmWeb) address() string {
	if k == nil {
		return ""
	}
	return "ws://" + k.ln.Addr().String() + "/"
}

func (k *kvmWeb) Close() error {
	if k == nil {
		return nil
	}
	return k.ln.Close()
}

// serve serves viewers until ctx ends, and waits for them.
func (k *kvmWeb) serve(ctx context.Context, view func(io.ReadWriteCloser)) {
	if k == nil {
		return
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		closed bool
	)
	begin := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if !closed {
			wg.Add(1)
		}
		return !closed
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    16 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A name of the web that was made to mean this computer is no way in either.
			if host, _, err := net.SplitHostPort(r.Host); err != nil || !isLoopback(host) {
				http.Error(w, "this computer only", http.StatusForbidden)
				return
			}
			if !begin() {
				return
			}
			defer wg.Done()
			if conn, err := ws.Upgrade(w, r, k.origins...); err == nil {
				view(conn)
			}
		}),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(k.ln); !errors.Is(err, http.ErrServerClosed) {
		server.Close()
	}
	mu.Lock()
	closed = true
	mu.Unlock()
	wg.Wait()
}
