package cli

import (
	"bytes"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// indentXML lays a document out as libxml2 does, and so as wsmancli prints it: the declaration on a line of its own, two
// blanks per level, an element that holds text on one line, an empty one as <a/>. Prefixes stay as they are. What is
// not XML comes back as it is.
func indentXML(doc []byte) []byte {
	if _, err := wsman.Parse(doc); err != nil {
		return doc
	}
	var out bytes.Buffer
	out.Grow(len(doc) * 2)
	out.WriteString(wsman.Declaration + "\n")
	depth := 0
	for rest := doc; ; {
		text, tag, after, ok := nextTag(rest)
		if !ok {
			return out.Bytes()
		}
		rest = after
		if text = bytes.TrimSpace(text); len(text) > 0 { // between elements
			indentTo(&out, depth).Write(text)
			out.WriteByte('\n')
		}
		switch {
		case tag[1] == '?' || tag[1] == '!':
			if bytes.HasPrefix(tag, []byte("<!--")) {
				indentTo(&out, depth).Write(tag)
				out.WriteByte('\n')
			}
		case tag[1] == '/':
			depth--
			indentTo(&out, depth).Write(tag)
			out.WriteByte('\n')
		case tag[len(tag)-2] == '/':
			indentTo(&out, depth).Write(tag)
			out.WriteByte('\n')
		default:
			indentTo(&out, depth)
			if inner, end, after, ok := nextTag(rest); ok && end[1] == '/' { // no children
				if len(inner) == 0 {
					out.Write(tag[:len(tag)-1])
					out.WriteString("/>\n")
				} else {
					out.Write(tag)
					out.Write(inner)
					out.Write(end)
					out.WriteByte('\n')
				}
				rest = after
				continue
			}
			out.Write(tag)
			out.WriteByte('\n')
			depth++
		}
	}
}

func indentTo(out *bytes.Buffer, depth int) *bytes.Buffer {
	for range depth {
		out.WriteString("  ")
	}
	return out
}

// nextTag cuts the text before the next tag, and the tag, off a well-formed document. A comment or a CDATA section
// counts as tag and as text.
func nextTag(doc []byte) (text, tag, rest []byte, ok bool) {
	from := 0
	for {
		open := bytes.IndexByte(doc[from:], '<')
		if open < 0 {
			return nil, nil, nil, false
		}
		open += from
		end := -1
		switch tail := doc[open:]; {
		case bytes.HasPrefix(tail, []byte("<![CDATA[")):
			if end = bytes.Index(tail, []byte("]]>")); end < 0 {
				return nil, nil, nil, false
			}
			from = open + end + 3
			continue
		case bytes.HasPrefix(tail, []byte("<!--")):
			if end = bytes.Index(tail, []byte("-->")); end >= 0 {
				end += 2
			}
		case bytes.HasPrefix(tail, []byte("<?")):
			if end = bytes.Index(tail, []byte("?>")); end >= 0 {
				end++
			}
		default:
			end = tagEnd(tail)
		}
		if end < 2 {
			return nil, nil, nil, false
		}
		return doc[:open], doc[open : open+end+1], doc[open+end+1:], true
	}
}

// tagEnd returns where the tag's > stands; one inside quotes is none.
func tagEnd(tag []byte) int {
	var quote byte
	for i, c := range tag {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return -1
}

// parseQuery reads the selectors that stand in a resource URI as a query: CLASS?InstanceID="a b"&Name=c. Quotes are
// optional, and keep an & inside them from ending the value; %41 is A.
func parseQuery(query string) (wsman.Selectors, error) {
	var out wsman.Selectors
	for query != "" {
		name, rest, ok := strings.Cut(query, "=")
		if !ok || name == "" {
			return nil, usage(`selectors look like CLASS?Name="value"&Other="value"`, "selector %q has no value", query)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return nil, usage("", "selector %s: the quote does not end", name)
			}
			value, rest = rest[1:1+end], rest[end+2:]
			if rest != "" && rest[0] != '&' {
				return nil, usage("", "selector %s: %q follows the quote", name, rest)
			}
			query = strings.TrimPrefix(rest, "&")
		} else {
			value, query, _ = strings.Cut(rest, "&")
		}
		out = append(out, wsman.Selector{Name: unpercent(name), Value: unpercent(value)})
		if len(out) > wsman.MaxSelectors {
			return nil, usage("", "more than %d selectors", wsman.MaxSelectors)
		}
	}
	return out, nil
}

// unpercent decodes %XX; what is no such thing stays.
func unpercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				out.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
