package cli

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// What local info shows can be sent to a web server, over TLS; what the server says decides the exit code.
func TestLocalPost(t *testing.T) {
	var got localInfo
	var kind string
	answer := http.StatusNoContent
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		got, kind = localInfo{}, r.Method+" "+r.Header.Get("Content-Type")
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(answer)
	}))
	defer server.Close()
	dir := t.TempDir()
	ca, me := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "me.sock")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 16, Unset: true, Power: "on", ME: me}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	for _, tt := range []struct {
		name   string
		url    string
		args   []string
		status int
		code   int
		stderr string
	}{
		{"taken", server.URL, []string{"--ca", ca}, 204, 0, ""},
		{"refused", server.URL, []string{"--ca", ca}, 403, exitRefused, "403 Forbidden"},
		{"a redirect is no answer", server.URL, []string{"--ca", ca}, 302, exitRefused, "302 Found"},
		{"nobody vouches for it", server.URL, nil, 204, exitTrust, "--ca FILE names the authority"},
		{"nobody there", "http://127.0.0.1:1/", nil, 204, exitUnreachable, "refused"},
		{"not over TLS", "http://inventory.example/", nil, 204, exitUsage, "for everybody to read"},
		{"with an account", "https://a:secret@inventory.example/", nil, 204, exitUsage, "an account in it"},
		{"no address", "inventory", nil, 204, exitUsage, "no address of a web server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kind, answer = "", tt.status
			args := append([]string{"outband", "local", "info", "-o", "json", "--bus", "unix:" + me, "--post", tt.url}, tt.args...)
			code, stdout, stderr := invoke(t, nil, "", args...)
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || strings.Contains(stderr, "secret") {
				t.Fatalf("exit code %d, want %d; stderr %q", code, tt.code, stderr)
			}
			if posted := strings.Contains(kind, "POST"); posted != (tt.code == 0 || tt.code == exitRefused) {
				t.Fatalf("server has seen %q", kind)
			}
			if tt.code == 0 {
				var shown localInfo
				if err := json.Unmarshal([]byte(stdout), &shown); err != nil {
					t.Fatal(err)
				}
				if kind != "POST application/json" || got.UUID == "" || got.UUID != shown.UUID || got.Mode != "not provisioned" || len(got.Hashes) == 0 {
					t.Errorf("%s: sent %+v, shown %+v", kind, got, shown)
				}
			}
		})
	}
}
