package conformance

import (
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// TestWebSocketDoor: curl, with its own digest and HTTP, is let through to redirection in a web socket, where the release has it.
func TestWebSocketDoor(t *testing.T) {
	curl := tool(t, "curl", "curl")
	t.Parallel()
	for _, tt := range []struct {
		generation     int
		password, want string
	}{
		{12, password, "HTTP/1.1 101 Switching Protocols"},
		{12, "wrong", "HTTP/1.1 401 Unauthorized"},
		{8, password, "HTTP/1.1 404 Not Found"},
	} {
		w := machine(t, lab.Machine{Profile: tt.generation})
		env := []string{"AMT_PASSWORD=" + password, "OUTBAND_HOSTS=" + t.TempDir() + "/hosts.json"}
		if got := run(t, env, "", outband(t), "feature", "enable", "sol", w.Address); got.code != 0 {
			t.Fatal(got)
		}
		// The key and the answer to it are those of RFC 6455 section 1.3. An open socket is given up after some seconds.
		got := run(t, nil, "", curl, "-s", "-i", "-N", "--max-time", "5", "--digest", "-u", "admin:"+tt.password,
			"-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
			"http://"+w.Address+":16992/ws-redirection")
		if !strings.Contains(got.out, tt.want) {
			t.Errorf("AMT %d: %+v", tt.generation, got)
		}
		if strings.Contains(tt.want, "101") && !strings.Contains(got.out, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
			t.Errorf("AMT %d: no answer to the key: %q", tt.generation, got.out)
		}
	}
}
