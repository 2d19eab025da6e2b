package wsman

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func FuzzHTTPReply(f *testing.F) {
	for _, name := range []string{"get.http", "fault.http", "unauthorized.http", "badrequest.http"} {
		f.Add(testdata(f, name), false)
	}
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0003;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 200\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 x\nContent-Length: 5\n\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcd", "\x15\x03\x01\x00\x02\x02\x46",
	} {
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, wire []byte, head bool) {
		const limit = 5000
		method := "POST"
		if head {
			method = "HEAD"
		}
		in := bytes.NewReader(wire)
		br := bufio.NewReaderSize(in, MaxLine)
		got, err := readReply(br, new(buffer), method, limit)
		if err != nil {
			return
		}
		if len(got.body) > limit || len(got.fields) > MaxFields || got.status < 200 || got.status > 999 {
			t.Errorf("%q: %+v", wire, got)
		}
		if got.keep && (br.Buffered() > 0 || got.has("Connection", "close")) {
			t.Errorf("%q: kept", wire)
		}
		// net/http as the judge, where it takes the answer at all and does not read it in another way on purpose.
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), &http.Request{Method: method})
		if err != nil || resp.StatusCode < 200 || !resp.ProtoAtLeast(1, 1) {
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		if resp.StatusCode != got.status || !bytes.Equal(body, got.body) {
			t.Errorf("%q: got %d %q, want %d %q", wire, got.status, got.body, resp.StatusCode, body)
		}
		if server := resp.Header.Get("Server"); got.get("Server") != strings.TrimSpace(server) {
			t.Errorf("%q: got server %q, want %q", wire, got.get("Server"), server)
		}
	})
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""}, {" a \r\n\t b ", "a b"}, {"\x1b[2J\x00\xff", ".[2J.."}, {"ü\u202e€", "ü.€"},
		{strings.Repeat("ab", 200), strings.Repeat("ab", 80) + "..."},
	} {
		if got := printable(tt.text); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
	page := recordedReply(t, "badrequest.http").body
	if got, want := pageText(page), `Intel&reg; Active Management Technology Intel &reg; Active Management Technology Bad Request. Missing required parameter "TESTING"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
