package firmware

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/wsman"
)

// clockAt is a clock that stands still.
func clockAt() time.Time { return time.Date(2022, 1, 31, 10, 23, 4, 0, time.UTC) }

// talk sends text to the HTTP port and returns all that comes back until the machine closes.
func talk(t *testing.T, m *Machine, text string) string {
	t.Helper()
	conn, err := dialer(t, m, PortHTTP)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, text)
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%v after %q", err, got)
	}
	return string(got)
}

// signed returns a POST to /wsman of that document with credentials of admin.
func signed(m *Machine, doc, more string) string {
	ch := m.auth.Challenge(false)
	c := digest.Credentials{Username: "admin", Realm: ch.Realm, Nonce: ch.Nonce, URI: "/wsman", QOP: "auth", NC: 1, CNonce: "c"}
	c, err := c.Sign(digest.HA1("admin", ch.Realm, DefaultPassword), "POST", nil)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("POST /wsman HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n%s\r\n%s", c, len(doc), more, doc)
}

// document of a Get.
func getDocument(class, id string) string {
	r := wsman.Request{Action: wsman.ActionGet, ResourceURI: wsman.ClassURI(class), MessageID: id}
	return string(r.Append(nil))
}

// TestAnswerForm holds a good answer against the recorded form: spec wsman.md section 2.
func TestAnswerForm(t *testing.T) {
	m := newMachine(t, Config{Version: "15.0.23.1706", Clock: clockAt})
	got := talk(t, m, signed(m, getDocument("AMT_GeneralSettings", "7"), "Connection: close\r\n"))
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	const want = "HTTP/1.1 200 OK\r\n" +
		"Date: Mon, 31 Jan 2022 10:23:04 GMT\r\n" +
		"Server: Intel(R) Active Management Technology 15.0.23.1706\r\n" +
		"X-Frame-Options: DENY\r\n" +
		"Content-Type: application/soap+xml; charset=UTF-8\r\n" +
		"Transfer-Encoding: chunked\r\n" +
		"Connection: close" // as asked for; without, see TestKeepAlive
	if head != want {
		t.Errorf("got  %q\nwant %q", head, want)
	}
	if !regexp.MustCompile(`(?s)^0220\r\n.{544}\r\n02FA\r\n.{762}\r\n(02FA\r\n.{762}\r\n)*[0-9A-F]{4}\r\n.*\r\n0\r\n\r\n$`).MatchString(body) {
		t.Errorf("chunks: %q", body)
	}
	if !strings.HasSuffix(unchunk(t, body), "</a:Body></a:Envelope>") || !strings.Contains(unchunk(t, body), "<b:RelatesTo>7</b:RelatesTo>") {
		t.Errorf("body: %s", unchunk(t, body))
	}
}

// A fault comes in one chunk, and the connection ends. Recorded: one of 04CC octets.
func TestFaultForm(t *testing.T) {
	m := newMachine(t, Config{})
	got := talk(t, m, signed(m, getDocument("CIM_"+strings.Repeat("Long", 300), "7"), ""))
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 400 ") || !strings.HasSuffix(head, "\r\nTransfer-Encoding: chunked\r\nConnection: close") {
		t.Errorf("head %q", head)
	}
	doc := unchunk(t, body)
	if len(doc) <= firstChunk || !strings.Contains(doc, "a:Fault>") {
		t.Errorf("%d octets, no long fault: %s", len(doc), doc)
	}
	if want := fmt.Sprintf("%04X\r\n%s\r\n0\r\n\r\n", len(doc), doc); body != want {
		t.Errorf("got  %q\nwant %q", body, want)
	}
}

func unchunk(t *testing.T, body string) string {
	t.Helper()
	var out strings.Builder
	for {
		line, rest, ok := strings.Cut(body, "\r\n")
		n, err := strconv.ParseUint(line, 16, 32)
		if !ok || err != nil || int(n) > len(rest)-2 {
			t.Fatalf("bad chunk %q", line)
		}
		if n == 0 {
			return out.String()
		}
		out.WriteString(rest[:n])
		body = rest[n+2:]
	}
}

// TestChallengeForm holds a 401 against the recorded form.
func TestChallengeForm(t *testing.T) {
	for _, tt := range []struct {
		generation int
		qop        string
	}{{11, `"auth"`}, {8, `"auth"`}} {
		m := newMachine(t, Config{Generation: tt.generation})
		got := talk(t, m, "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		want := `^HTTP/1.1 401 Unauthorized\r\n` +
			`WWW-Authenticate: Digest realm="Digest:[0-9A-F]{32}", nonce="[A-Za-z0-9+/]{32}",stale="false",qop=` + tt.qop + `\r\n` +
			`Content-Type: text/html\r\nServer: Intel\(R\) Active Management Technology [0-9.]+\r\nContent-Length: ` + strconv.Itoa(len(body)) + `\r\nConnection: close$`
		if !regexp.MustCompile(want).MatchString(head) {
			t.Errorf("generation %d: got %q", tt.generation, head)
		}
		if !strings.Contains(body, "</html>") {
			t.Errorf("body %q", body)
		}
	}
}

func TestFaultClosesTheConnection(t *testing.T) {
	m := newMachine(t, Config{})
	got := talk(t, m, signed(m, getDocument("CIM_Nothing", "1"), ""))
	if !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(got, "\r\nConnection: close\r\n\r\n") {
		t.Errorf("got %q", got)
	}
}

// TestPaths is about everything that needs no password.
func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		name, request string
		generation    int
		want          string // what the answer begins with, or holds
	}{
		{"root", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 11, "HTTP/1.1 303 See Other\r\n"},
		{"root says where to", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 11, "\r\nLocation: /logon.htm\r\n"},
		{"root says who", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 8, "\r\nServer: Intel(R) Active Management Technology 8.1.40\r\n"},
		{"log on", "GET /logon.htm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 11, "HTTP/1.1 200 OK\r\n"},
		{"index wants a password", "GET /index.htm HTTP/1.1\r\nHost: x\r\n\r\n", 11, "HTTP/1.1 401 Unauthorized\r\n"},
		{"case counts", "GET /WSMAN HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 11, "HTTP/1.1 404 Not Found\r\n"},
		{"HTTP/1.0 is closed", "GET /logon.htm HTTP/1.0\r\n\r\n", 11, "\r\nConnection: close\r\n"},
		{"HEAD has no body", "HEAD /logon.htm HTTP/1.0\r\n\r\n", 11, "\r\n\r\n"},
		{"not HTTP", "\x10\x00\x00\x00SOL \r\n\r\n", 11, "HTTP/1.1 400 Bad Request\r\n"},
		{"bad length", "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 11, "HTTP/1.1 400 Bad Request\r\n"},
		{"long header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n", 11, "HTTP/1.1 413 "},
		{"long body announced", "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 11, "HTTP/1.1 413 "},
		{"long body in chunks", "POST /wsman HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 70) + "0\r\n\r\n", 11, "HTTP/1.1 413 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t, Config{Generation: tt.generation})
			if got := talk(t, m, tt.request); !strings.Contains(got, tt.want) {
				t.Errorf("got %.300q, want %q", got, tt.want)
			}
		})
	}
}

// TestKeepAlive sends three requests at once, in pieces, and wants three answers in order on one connection, without a
// Connection header.
func TestKeepAlive(t *testing.T) {
	m := newMachine(t, Config{})
	conn, err := dialer(t, m, PortHTTP)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := signed(m, getDocument("CIM_Chassis", "1"), "") + signed(m, getDocument("CIM_Card", "2"), "") + signed(m, getDocument("AMT_GeneralSettings", "3"), "")
	go func() {
		for len(text) > 0 {
			n := min(100, len(text))
			io.WriteString(conn, text[:n])
			text = text[n:]
		}
	}()
	br := bufio.NewReader(conn)
	for _, want := range []string{"1", "2", "3"} {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || resp.Close || resp.Header.Get("Connection") != "" {
			t.Fatalf("got %v, %v", resp, err)
		}
		if !bytes.Contains(body, []byte("<b:RelatesTo>"+want+"</b:RelatesTo>")) {
			t.Errorf("answer %s: %s", want, body)
		}
	}
}

func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name string
		send []string // one piece every 5 s
		want time.Duration
	}{
		{"idle", nil, idleTimeout},
		{"slow head", strings.Split("GET / HTTP/1.1", ""), readTimeout},
		{"slow body", append([]string{"POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"}, strings.Split("0123456789", "")...), readTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, Config{})
				here, there := net.Pipe()
				defer here.Close()
				begin := time.Now()
				done := make(chan error)
				go func() { done <- m.ServeConn(t.Context(), there, PortHTTP) }()
				fed := make(chan struct{})
				go func() {
					defer close(fed)
					for _, piece := range tt.send {
						if _, err := io.WriteString(here, piece); err != nil {
							return
						}
						time.Sleep(5 * time.Second)
					}
				}()
				if err := <-done; err != nil || time.Since(begin) != tt.want {
					t.Errorf("closed after %v, %v; want %v", time.Since(begin), err, tt.want)
				}
				<-fed
			})
		})
	}
}

// TestConnectionLimit opens more connections than the firmware has room for: the last one waits for another to end.
func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, Config{})
		var conns []net.Conn
		done := make(chan error)
		for range m.profile.Connections + 1 {
			here, there := net.Pipe()
			conns = append(conns, here)
			go func() { done <- m.ServeConn(t.Context(), there, PortHTTP) }()
			synctest.Wait()
		}
		last := conns[len(conns)-1]
		answered := make(chan string)
		go func() {
			io.WriteString(last, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			got, _ := io.ReadAll(last)
			answered <- string(got)
		}()
		synctest.Wait()
		select {
		case got := <-answered:
			t.Fatalf("answered although all connections were taken: %q", got)
		default:
		}
		conns[0].Close()
		<-done
		if got := <-answered; !strings.HasPrefix(got, "HTTP/1.1 404 ") {
			t.Errorf("got %q", got)
		}
		for _, c := range conns {
			c.Close()
		}
		for range len(conns) - 1 {
			<-done
		}
	})
}

// FuzzHTTP throws octets at the HTTP port: whatever comes back must be HTTP, and the machine must let go.
func FuzzHTTP(f *testing.F) {
	m := newMachine(f, Config{})
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /wsman HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte(signed(m, getDocument("CIM_Chip", "1"), "")))
	f.Add([]byte("POST /wsman HTTP/1.1\r\nAuthorization: Digest username=\"admin\",realm=\"x\",nonce=\"y\",uri=\"/wsman\",response=\"z\"\r\nContent-Length: 3\r\n\r\nabcGET /x HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		conn := &script{in: bytes.NewReader(text)}
		if err := m.ServeConn(t.Context(), conn, PortHTTP); err != nil {
			t.Fatalf("a client's fault made an error: %v", err)
		}
		br := bufio.NewReader(&conn.out)
		for {
			if _, err := br.Peek(1); err == io.EOF {
				return
			}
			resp, err := http.ReadResponse(br, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err != nil {
				return // a HEAD answer announces a body that does not come
			}
		}
	})
}

// script is a connection on which everything has been said.
type script struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) Close() error                     { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
