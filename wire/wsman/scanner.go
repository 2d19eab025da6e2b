package wsman

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on a document from a peer. A document beyond one of them is refused, not cut.
const (
	MaxDocument = 4 << 20 // octets of one XML document
	MaxDepth    = 64      // elements open at once; AMT itself stays below 12
	MaxElements = 1 << 17 // elements in one document
	MaxAttrs    = 64      // attributes of one element, namespace declarations included
)

// ErrXML is wrapped by every error about text that is not well-formed XML, or that is beyond a limit.
var ErrXML = errors.New("malformed XML")

// A Kind says what a [Scanner] found.
type Kind uint8

// The kinds of token. Comments, processing instructions and the XML declaration are skipped.
const (
	StartTag Kind = 1 // Name and Attrs are set; an empty-element tag is a StartTag followed by an EndTag
	EndTag   Kind = 2 // Name is set
	Text     Kind = 3 // Text is set: character data or a CDATA section, entities resolved
	EOF      Kind = 4 // the document ended, and was complete
)

// A Scanner pulls tokens out of an XML document held in memory. It resolves namespaces and the five
// predefined entities, and refuses document type declarations. A prefix that nothing declares stands for
// itself, as in encoding/xml, because some peers leave declarations out. The zero Scanner scans nothing;
// use [NewScanner].
//
// Strings in tokens share memory with the document. Attrs is valid until the next call of Next.
type Scanner struct {
	Name  Name   // of the tag found last
	Attrs []Attr // of the start tag found last, without namespace declarations
	Text  string // found last

	src      string
	pos      int
	elements int
	open     []openTag
	bindings []binding // innermost last
	selfEnd  bool      // the start tag just returned was <x/>
	seenRoot bool
}

type openTag struct {
	raw      string // prefix:local as written
	name     Name
	bindings int // length of Scanner.bindings outside this element
}

type binding struct{ prefix, space string }

// NewScanner returns a Scanner over doc.
func NewScanner(doc string) *Scanner {
	return &Scanner{
		src:      doc,
		open:     make([]openTag, 0, 16),
		bindings: make([]binding, 0, 16),
		Attrs:    make([]Attr, 0, 8),
	}
}

// Next finds the next token. After an error it must not be called again. Errors wrap [ErrXML].
func (s *Scanner) Next() (Kind, error) {
	if s.selfEnd {
		s.selfEnd = false
		return s.endTag(s.open[len(s.open)-1].raw)
	}
	if s.pos == 0 {
		if len(s.src) > MaxDocument {
			return 0, s.errorf("document of %d octets is over the limit of %d", len(s.src), MaxDocument)
		}
		s.src = strings.TrimPrefix(s.src, "\ufeff")
	}
	for s.pos < len(s.src) {
		if s.src[s.pos] != '<' {
			return s.text()
		}
		rest := s.src[s.pos:]
		switch {
		case strings.HasPrefix(rest, "<?"):
			if err := s.skip("?>"); err != nil {
				return 0, err
			}
		case strings.HasPrefix(rest, "<!--"):
			if err := s.comment(); err != nil {
				return 0, err
			}
		case strings.HasPrefix(rest, "<![CDATA["):
			return s.cdata()
		case strings.HasPrefix(rest, "<!"):
			return 0, s.errorf("document type declarations are not accepted")
		case strings.HasPrefix(rest, "</"):
			return s.closing()
		default:
			return s.opening()
		}
		if len(s.open) > 0 {
			continue
		}
	}
	if len(s.open) > 0 {
		return 0, s.errorf("document ends inside <%s>", s.open[len(s.open)-1].raw)
	}
	if !s.seenRoot {
		return 0, s.errorf("no element")
	}
	return EOF, nil
}

func (s *Scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("wsman: %w: %s (octet %d)", ErrXML, fmt.Sprintf(format, args...), s.pos)
}

func (s *Scanner) skip(end string) error {
	i := strings.Index(s.src[s.pos:], end)
	if i < 0 {
		return s.errorf("document ends before %q", end)
	}
	s.pos += i + len(end)
	return nil
}

func (s *Scanner) comment() error {
	start := s.pos
	s.pos += len("<!--")
	if err := s.skip("--"); err != nil {
		return err
	}
	if s.pos >= len(s.src) || s.src[s.pos] != '>' {
		return s.errorf("-- inside a comment")
	}
	s.pos++
	return s.valid(s.src[start:s.pos])
}

func (s *Scanner) cdata() (Kind, error) {
	start := s.pos + len("<![CDATA[")
	if err := s.skip("]]>"); err != nil {
		return 0, err
	}
	if len(s.open) == 0 {
		return 0, s.errorf("text outside the root element")
	}
	text := s.src[start : s.pos-len("]]>")]
	if err := s.valid(text); err != nil {
		return 0, err
	}
	s.Text = newlines(text)
	return Text, nil
}

func (s *Scanner) text() (Kind, error) {
	start, plain := s.pos, true
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if c == '<' {
			break
		}
		if c == '&' || c == '\r' || c < ' ' && c != '\n' && c != '\t' || c >= utf8.RuneSelf {
			plain = false
		}
		s.pos++
	}
	text := s.src[start:s.pos]
	if len(s.open) == 0 {
		if !isSpace(text) {
			return 0, s.errorf("text outside the root element")
		}
		return s.Next()
	}
	if !plain {
		var err error
		if text, err = s.unescape(text); err != nil {
			return 0, err
		}
	}
	s.Text = text
	return Text, nil
}

func (s *Scanner) closing() (Kind, error) {
	s.pos += len("</")
	raw := s.rawName()
	s.space()
	if s.pos >= len(s.src) || s.src[s.pos] != '>' {
		return 0, s.errorf("bad end tag </%s", raw)
	}
	s.pos++
	return s.endTag(raw)
}

func (s *Scanner) endTag(raw string) (Kind, error) {
	if len(s.open) == 0 {
		return 0, s.errorf("end tag </%s> without a start", raw)
	}
	top := s.open[len(s.open)-1]
	if top.raw != raw {
		return 0, s.errorf("<%s> ended by </%s>", top.raw, raw)
	}
	s.open = s.open[:len(s.open)-1]
	s.bindings = s.bindings[:top.bindings]
	s.Name = top.name
	return EndTag, nil
}

func (s *Scanner) opening() (Kind, error) {
	if len(s.open) == 0 && s.seenRoot {
		return 0, s.errorf("a second root element")
	}
	if len(s.open) == MaxDepth {
		return 0, s.errorf("more than %d elements deep", MaxDepth)
	}
	if s.elements++; s.elements > MaxElements {
		return 0, s.errorf("more than %d elements", MaxElements)
	}
	s.pos++
	raw := s.rawName()
	if raw == "" {
		return 0, s.errorf("tag without a name")
	}
	tag := openTag{raw: raw, bindings: len(s.bindings)}
	s.Attrs = s.Attrs[:0]
	for count := 0; ; count++ {
		spaced := s.space()
		if s.pos >= len(s.src) {
			return 0, s.errorf("document ends inside <%s", raw)
		}
		if c := s.src[s.pos]; c == '>' {
			s.pos++
			break
		} else if c == '/' {
			if s.pos+1 >= len(s.src) || s.src[s.pos+1] != '>' {
				return 0, s.errorf("bad tag <%s", raw)
			}
			s.pos += 2
			s.selfEnd = true
			break
		}
		if !spaced {
			return 0, s.errorf("bad name in <%s", raw)
		}
		if count == MaxAttrs {
			return 0, s.errorf("more than %d attributes in <%s>", MaxAttrs, raw)
		}
		if err := s.attr(raw); err != nil {
			return 0, err
		}
	}
	// Attributes were kept as written, since declarations may come after their use.
	for i := range s.Attrs {
		n := &s.Attrs[i].Name
		if prefix, local, ok := strings.Cut(n.Local, ":"); ok {
			n.Space, n.Local = s.lookup(prefix), local
		}
	}
	prefix, local, ok := strings.Cut(raw, ":")
	if !ok {
		prefix, local = "", raw
	}
	tag.name = Name{s.lookup(prefix), local}
	s.open = append(s.open, tag)
	s.seenRoot = true
	s.Name = tag.name
	return StartTag, nil
}

func (s *Scanner) attr(tag string) error {
	raw := s.rawName()
	s.space()
	if raw == "" || s.pos >= len(s.src) || s.src[s.pos] != '=' {
		return s.errorf("bad attribute in <%s", tag)
	}
	s.pos++
	s.space()
	if s.pos >= len(s.src) || s.src[s.pos] != '"' && s.src[s.pos] != '\'' {
		return s.errorf("attribute %s of <%s without quotes", raw, tag)
	}
	quote := s.src[s.pos]
	s.pos++
	end := strings.IndexByte(s.src[s.pos:], quote)
	if end < 0 {
		return s.errorf("document ends inside attribute %s of <%s", raw, tag)
	}
	value := s.src[s.pos : s.pos+end]
	if strings.IndexByte(value, '<') >= 0 {
		return s.errorf("< inside attribute %s of <%s", raw, tag)
	}
	value, err := s.unescape(value)
	if err != nil {
		return err
	}
	s.pos += end + 1
	switch prefix, local, ok := strings.Cut(raw, ":"); {
	case raw == "xmlns":
		s.bindings = append(s.bindings, binding{"", value})
	case ok && prefix == "xmlns":
		s.bindings = append(s.bindings, binding{local, value})
	default:
		s.Attrs = append(s.Attrs, Attr{Name{Local: raw}, value})
	}
	return nil
}

func (s *Scanner) lookup(prefix string) string {
	for i := len(s.bindings) - 1; i >= 0; i-- {
		if s.bindings[i].prefix == prefix {
			return s.bindings[i].space
		}
	}
	if prefix == "xml" {
		return nsXML
	}
	return prefix
}

// rawName reads a name with at most one colon inside it. It returns "" where none stands.
func (s *Scanner) rawName() string {
	start, colons, wide := s.pos, 0, false
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if c == ':' {
			colons++
		}
		if !nameByte[c] {
			break
		}
		wide = wide || c >= utf8.RuneSelf
		s.pos++
	}
	raw := s.src[start:s.pos]
	if raw == "" || colons > 1 || raw[0] == ':' || raw[len(raw)-1] == ':' || raw[0] == '-' || raw[0] == '.' ||
		raw[0] >= '0' && raw[0] <= '9' || wide && !utf8.ValidString(raw) {
		return ""
	}
	return raw
}

var nameByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf
	}
	for _, c := range ":_-." {
		t[c] = true
	}
	return t
}()

func (s *Scanner) space() bool {
	start := s.pos
	for s.pos < len(s.src) && spaceByte(s.src[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

func spaceByte(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isSpace(text string) bool {
	for i := 0; i < len(text); i++ {
		if !spaceByte(text[i]) {
			return false
		}
	}
	return true
}

// valid refuses what XML 1.0 has no place for: bad UTF-8 and control characters.
func (s *Scanner) valid(text string) error {
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && n == 1 || !validRune(r) {
				return s.errorf("bad UTF-8 or a character that XML forbids")
			}
			i += n
			continue
		}
		if c < ' ' && !spaceByte(c) {
			return s.errorf("control character %#02x", c)
		}
		i++
	}
	return nil
}

func validRune(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

func newlines(text string) string {
	if strings.IndexByte(text, '\r') < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

func (s *Scanner) unescape(text string) (string, error) {
	if err := s.valid(text); err != nil {
		return "", err
	}
	text = newlines(text)
	amp := strings.IndexByte(text, '&')
	if amp < 0 {
		return text, nil
	}
	var out strings.Builder
	for amp >= 0 {
		out.WriteString(text[:amp])
		text = text[amp+1:]
		name, rest, ok := strings.Cut(text, ";")
		if !ok || len(name) > 10 {
			return "", s.errorf("& without an entity")
		}
		switch {
		case name == "lt":
			out.WriteByte('<')
		case name == "gt":
			out.WriteByte('>')
		case name == "amp":
			out.WriteByte('&')
		case name == "quot":
			out.WriteByte('"')
		case name == "apos":
			out.WriteByte('\'')
		case strings.HasPrefix(name, "#"):
			digits, base := name[1:], 10
			if strings.HasPrefix(digits, "x") {
				digits, base = digits[1:], 16
			}
			n, err := strconv.ParseUint(digits, base, 32)
			if err != nil || n > utf8.MaxRune || !validRune(rune(n)) {
				return "", s.errorf("bad character reference &%s;", name)
			}
			out.WriteRune(rune(n))
		default:
			return "", s.errorf("unknown entity &%s;", name)
		}
		text = rest
		amp = strings.IndexByte(text, '&')
	}
	out.WriteString(text)
	return out.String(), nil
}
