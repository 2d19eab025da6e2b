package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/wire/ws"
)

// Only pages of named servers on this computer get the screen, and programs that are no pages.
func TestKVMWeb(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	k, err := (&kvmCmd{Web: ":0", Origin: []string{"http://127.0.0.1:8080"}}).openWeb(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		k.serve(ctx, func(conn io.ReadWriteCloser) {
			io.WriteString(conn, "RFB 003.008\n")
			conn.Close()
		})
	})
	address := k.ln.Addr().String()
	for _, tt := range []struct {
		name, host, origin string
		want               int
	}{
		{"a program", address, "", http.StatusSwitchingProtocols},
		{"the page that is meant", address, "http://127.0.0.1:8080", http.StatusSwitchingProtocols},
		{"by name", strings.Replace(address, "127.0.0.1", "localhost", 1), "http://127.0.0.1:8080", http.StatusSwitchingProtocols},
		{"another page here", address, "http://127.0.0.1:8081", http.StatusForbidden},
		{"a page of the web", address, "https://evil.example", http.StatusForbidden},
		{"a name of the web for this computer", strings.Replace(address, "127.0.0.1", "evil.example", 1), "http://evil.example", http.StatusForbidden},
		{"a file", address, "null", http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest("GET", "http://"+address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tt.host
			for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Origin": tt.origin} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ws.Dial(t.Context(), conn, address, "/", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(c); string(got) != "RFB 003.008\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
