package wsman

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// A TraceEvent is one HTTP exchange, or an attempt at one. It carries no Authorization header, and no password or key
// that stands in an element with a name that says so.
type TraceEvent struct {
	Start    time.Time
	Took     time.Duration // from sending to the last octet of the answer
	Reused   bool          // on a kept connection
	Method   string
	Path     string
	Request  string // body
	Status   int    // 0 if no answer came
	Server   string // header
	Response string // body
	Err      error
}

func (c *Client) trace(q *call, rep *reply, start time.Time, reused bool, err error) {
	c.Trace(TraceEvent{
		Start: start, Took: rep.took, Reused: reused,
		Method: q.method, Path: q.path, Request: redact(q.body),
		Status: rep.status, Server: printable(rep.get("Server")), Response: redact(rep.body),
		Err: err,
	})
}

const blank = "***"

// redact returns a body with secrets blanked. What is not XML is not shown at all, as nobody can say what is secret in
// it; of XML that ends early nothing is shown from an open secret on.
func redact(doc []byte) string {
	if len(bytes.TrimSpace(doc)) == 0 {
		return ""
	}
	if !bytes.HasPrefix(bytes.TrimLeft(doc, " \t\r\n\ufeff"), []byte("<")) {
		return fmt.Sprintf("(%d octets, not XML)", len(doc))
	}
	var out strings.Builder
	for text := string(doc); ; {
		before, rest, found := strings.Cut(text, "<")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		end := strings.IndexAny(rest, " \t\r\n/>")
		if end < 0 {
			end = len(rest)
		}
		raw := rest[:end]
		tag, after, closed := strings.Cut(rest, ">")
		out.WriteString("<")
		out.WriteString(tag)
		if !closed {
			return out.String()
		}
		out.WriteString(">")
		text = after
		if strings.HasSuffix(tag, "/") || !secretName(raw[strings.IndexByte(raw, ':')+1:]) {
			continue
		}
		i := endTag(after, raw)
		if i < 0 {
			out.WriteString(blank)
			return out.String()
		}
		if i > 0 {
			out.WriteString(blank)
		}
		text = after[i:]
	}
}

// endTag returns where the end tag of that name stands, or -1.
func endTag(text, raw string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], "</"+raw)
		if i < 0 {
			return -1
		}
		from += i + len("</") + len(raw)
		if from < len(text) && (text[from] == '>' || spaceByte(text[from])) {
			return from - len("</") - len(raw)
		}
	}
}

// secretName tells elements that hold secrets: properties and parameters, not classes and methods, whose names have a
// low line in them. Source: names in spec classes.json.
func secretName(local string) bool {
	if local == "" || strings.IndexByte(local, '_') >= 0 {
		return false
	}
	switch local {
	case "PSK", "PSKValue", "PPS", "Keys", "MasterKey", "DERKey", "SigningKey", "ProtectedAccessCredential":
		return true
	}
	local = strings.ToLower(local)
	for _, part := range []string{"password", "passphrase", "passwd", "keymaterial", "keyblob", "secret", "privatekey", "presharedkey"} {
		if strings.Contains(local, part) {
			return true
		}
	}
	return false
}
