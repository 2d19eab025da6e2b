package wsman

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a [Scanner] makes of names and text.

// rawName reads a name with at most one colon inside it, and tells where that stands, 0 if there is none. It returns ""
// where no name stands.
func (s *Scanner) rawName() (raw string, colon int) {
	rest, n, wide := s.src[s.pos:], 0, false
	for ; n < len(rest); n++ {
		class := byteClass[rest[n]]
		if class&inName != 0 {
			continue
		}
		switch class & (isColon | isWide) {
		case isWide:
			wide = true
			continue
		case isColon:
			if n > 0 && colon == 0 {
				colon = n
				continue
			}
			colon = -1 // one too many
		}
		break
	}
	s.pos += n
	raw = rest[:n]
	if raw == "" || colon < 0 || colon == n-1 && colon > 0 || raw[0] == '-' || raw[0] == '.' || raw[0] >= '0' && raw[0] <= '9' ||
		wide && !utf8.ValidString(raw) {
		return "", 0
	}
	return raw, colon
}

// What an octet may be part of.
const (
	inName    = 1  // letters, digits and _-.
	isColon   = 2  // :
	isWide    = 4  // part of a character beyond ASCII
	isSpecial = 8  // not to be taken as it is in text or an attribute value: &, carriage returns, controls, beyond ASCII
	isAngle   = 16 // < and >
)

var byteClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.':
			t[c] = inName
		case c == ':':
			t[c] = isColon
		case c >= utf8.RuneSelf:
			t[c] = isWide | isSpecial
		case c == '&' || c < ' ' && c != '\n' && c != '\t':
			t[c] = isSpecial
		case c == '<' || c == '>':
			t[c] = isAngle
		}
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
