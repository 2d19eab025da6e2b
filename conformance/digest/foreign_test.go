// Package digest tries other people's HTTP clients against wire/digest.
package digest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/wire/digest"
)

const amtRealm = "Digest:727734D63A1FC0423736E48DA554E462"

func accounts(user string) ([16]byte, bool) {
	return digest.HA1("admin", amtRealm, "P@ssw0rd"), user == "admin"
}

// Other people's clients against a Server: the two ends here share their arithmetic and could share a mistake.
// A client that is not installed is skipped, but in CI.
func TestForeignClients(t *testing.T) {
	const curlConfig = "silent\nshow-error\noutput = /dev/null\nwrite-out = \"%{http_code}\"\ndigest\nuser = \"admin:PASSWORD\"\ndata = \"<a/>\"\nurl = \"URL\"\n"
	const curlTwice = curlConfig + "next\n" + curlConfig
	const lwp = `use LWP::UserAgent; use URI;
my $ua = LWP::UserAgent->new; my $u = URI->new("URL");
$ua->credentials($u->host_port, 'REALM', 'admin', 'PASSWORD');
for (1..2) { print $ua->post($u, Content => "<a/>")->code; }`
	const requests = `import requests
from requests.auth import HTTPDigestAuth
s = requests.Session(); s.auth = HTTPDigestAuth("admin", "PASSWORD"); s.trust_env = False
for _ in range(2): print(s.post("URL", data="<a/>").status_code, end="")`
	for _, tt := range []struct {
		name    string
		command []string // the script goes to its standard input
		probe   []string // succeeds if the client is there
		script  string
	}{
		{"curl", []string{"curl", "-q", "--noproxy", "*", "-K", "-"}, []string{"curl", "--version"}, curlTwice},
		{"LWP", []string{"perl", "-"}, []string{"perl", "-MLWP::UserAgent", "-MDigest::MD5", "-e", "1"}, lwp},
		{"Python requests", []string{"/usr/bin/python3", "-"}, []string{"/usr/bin/python3", "-c", "import requests"}, requests},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := exec.CommandContext(ctx, tt.probe[0], tt.probe[1:]...).Run(); err != nil {
				need.Missing(t, fmt.Errorf("%s: %w", tt.probe[0], err))
			}
			for _, qop := range [][]string{{"auth"}, {"auth", "auth-int"}, {}} {
				s := digest.NewServer(amtRealm, digest.ServerOptions{QOP: qop})
				var admitted atomic.Int32
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1024))
					if err != nil {
						w.WriteHeader(http.StatusBadRequest)
						return
					}
					if _, err := s.Admit(r.Header.Get("Authorization"), r.Method, r.RequestURI, body, accounts); err != nil {
						w.Header().Set("WWW-Authenticate", s.Challenge(false).String())
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					admitted.Add(1)
				}))
				for password, want := range map[string]string{"P@ssw0rd": "200200", "wrong": "401401"} {
					admitted.Store(0)
					fill := strings.NewReplacer("URL", srv.URL+"/wsman", "PASSWORD", password, "REALM", amtRealm)
					cmd := exec.CommandContext(ctx, tt.command[0], tt.command[1:]...)
					cmd.Stdin = strings.NewReader(fill.Replace(tt.script))
					out, err := cmd.CombinedOutput()
					if string(out) != want || err != nil {
						t.Errorf("qop %q, password %q: got %q, %v; want %q", qop, password, out, err, want)
					}
					if n := admitted.Load(); (n == 2) != (want == "200200") {
						t.Errorf("qop %q, password %q: %d admitted", qop, password, n)
					}
				}
				srv.Close()
			}
		})
	}
}
