package firmware

import (
	"strings"
	"testing"

	"github.com/outband/outband/wire/wsman"
)

func TestWebPages(t *testing.T) {
	m := newMachine(t, Config{Generation: 11, HostName: "a<b"})
	c := client(t, m)
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/index.htm", "", 200, "System Status"},
		{"GET", "/index.htm", "", 200, "a&lt;b"},
		{"GET", "/hw-sys.htm", "", 200, "NUC9V7QNX"},
		{"GET", "/remote.htm", "", 200, "Turn power on"},
		{"POST", "/remoteform", "nothing=1", 400, "Missing required parameter"},
		{"POST", "/remoteform", "amt_html_rc_radio_group=9", 400, "Unknown command"},
		{"POST", "/remoteform", "amt_html_rc_radio_group=4", 200, "not carried out"}, // there is no PC
		{"GET", "/nothing.htm", "", 404, "Not Found"},
	} {
		r, err := c.HTTP(t.Context(), tt.method, tt.path, []byte(tt.body), "application/x-www-form-urlencoded")
		if err != nil || r.Status != tt.status || !strings.Contains(string(r.Body), tt.want) {
			t.Errorf("%s %s: got %+v, %v; want %d with %q", tt.method, tt.path, r, err, tt.status, tt.want)
		}
	}
	uri := wsman.ClassURI("AMT_WebUIService")
	if _, err := wsman.Invoke(t.Context(), c, uri, "RequestStateChange", nil, wsman.El(uri, "RequestedState", "3")); err != nil {
		t.Fatal(err)
	}
	if r, err := c.HTTP(t.Context(), "GET", "/index.htm", nil, ""); err != nil || r.Status != 404 {
		t.Errorf("switched off: %+v, %v", r, err)
	}
	if _, err := wsman.Identify(t.Context(), c); err != nil {
		t.Errorf("WS-Man without web pages: %v", err)
	}
}

func TestNoWebPagesOnNewReleases(t *testing.T) {
	c := client(t, newMachine(t, Config{Generation: 16}))
	for path, want := range map[string]int{"/index.htm": 404, "/logon.htm": 404, "/": 303} {
		if r, err := c.HTTP(t.Context(), "GET", path, nil, ""); err != nil || r.Status != want {
			t.Errorf("%s: %+v, %v", path, r, err)
		}
	}
}
