package wsman

import (
	"errors"
	"fmt"
	"strings"
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
	s := new(Scanner)
	s.reset(doc)
	return s
}

// reset begins another document. What the scanner needs to work is kept, what it held of the last document is not.
func (s *Scanner) reset(doc string) {
	clear(s.open[:cap(s.open)])
	clear(s.bindings[:cap(s.bindings)])
	clear(s.Attrs[:cap(s.Attrs)])
	*s = Scanner{src: doc, open: s.open[:0], bindings: s.bindings[:0], Attrs: s.Attrs[:0]}
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
			if len(s.open) > 0 {
				return s.text()
			}
			if !spaceByte(s.src[s.pos]) {
				return 0, s.errorf("text outside the root element")
			}
			s.pos++
			continue
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
	rest, n, seen := s.src[s.pos:], 0, uint8(0)
	for ; n < len(rest); n++ {
		class := byteClass[rest[n]]
		seen |= class
		if class == isAngle {
			if rest[n] == '<' {
				break
			}
			if strings.HasSuffix(rest[:n], "]]") {
				return 0, s.errorf("]]> outside CDATA")
			}
		}
	}
	s.pos += n
	text := rest[:n]
	if seen&isSpecial != 0 {
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
	if n := len(s.open); n > 0 { // the usual case: just what was opened
		raw := s.open[n-1].raw
		if end := s.pos + len(raw); end < len(s.src) && s.src[end] == '>' && s.src[s.pos:end] == raw {
			s.pos = end + 1
			return s.endTag(raw)
		}
	}
	raw, _ := s.rawName()
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
	raw, colon := s.rawName()
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
	if colon > 0 {
		tag.name = Name{s.lookup(raw[:colon]), raw[colon+1:]}
	} else {
		tag.name = Name{s.lookup(""), raw}
	}
	s.open = append(s.open, tag)
	s.seenRoot = true
	s.Name = tag.name
	return StartTag, nil
}

func (s *Scanner) attr(tag string) error {
	raw, colon := s.rawName()
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
	value, seen := s.src[s.pos:s.pos+end], uint8(0)
	for i := 0; i < len(value); i++ {
		seen |= byteClass[value[i]]
	}
	if seen&isAngle != 0 && strings.IndexByte(value, '<') >= 0 {
		return s.errorf("< inside attribute %s of <%s", raw, tag)
	}
	if seen&isSpecial != 0 {
		var err error
		if value, err = s.unescape(value); err != nil {
			return err
		}
	}
	s.pos += end + 1
	switch {
	case raw == "xmlns":
		s.bindings = append(s.bindings, binding{"", value})
	case colon > 0 && raw[:colon] == "xmlns":
		s.bindings = append(s.bindings, binding{raw[colon+1:], value})
	default:
		s.Attrs = append(s.Attrs, Attr{Name{Local: raw}, value})
	}
	return nil
}

func (s *Scanner) lookup(prefix string) string {
	switch prefix { // these two cannot be bound
	case "xml":
		return nsXML
	case "xmlns":
		return prefix
	}
	for i := len(s.bindings) - 1; i >= 0; i-- {
		if s.bindings[i].prefix == prefix {
			return s.bindings[i].space
		}
	}
	return prefix
}
