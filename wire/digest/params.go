package digest

import (
	"errors"
	"fmt"
	"strings"
)

// Limits on a header from a peer. Real ones are below 400 bytes with some ten parameters.
const (
	MaxHeader = 4096 // bytes of the whole header value
	MaxParams = 32   // parameters in it
)

// Errors that parsers wrap.
var (
	ErrNotDigest = errors.New("not a digest header")     // another scheme (Negotiate, Basic), or none
	ErrMalformed = errors.New("malformed digest header") // a needed parameter is missing, or the text ends early
	ErrTooLong   = errors.New("digest header too long")  // beyond MaxHeader or MaxParams
)

// A param is one name=value. The name is as sent; values are without quotes and escapes.
type param struct {
	name, value string
	bare        bool // a word with no equals sign: an unquoted list goes on, or another scheme begins
}

// params walks over the parameters of one header.
type params struct {
	rest string
	n    int
}

// newParams checks and cuts off the scheme.
func newParams(header string) (params, error) {
	if len(header) > MaxHeader {
		return params{}, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLong, len(header), MaxHeader)
	}
	header = strings.TrimLeft(header, " \t")
	scheme := header[:wordLen(header)]
	if !strings.EqualFold(scheme, "Digest") {
		return params{}, fmt.Errorf("%w: scheme %q", ErrNotDigest, clip(scheme))
	}
	return params{rest: header[len(scheme):]}, nil
}

// next returns the next parameter, or ok false at the end. Commas and blanks both separate, in any number, as some
// firmware leaves the commas out.
func (p *params) next() (_ param, ok bool, err error) {
	s := strings.TrimLeft(p.rest, " \t,")
	if s == "" {
		p.rest = ""
		return param{}, false, nil
	}
	if p.n++; p.n > MaxParams {
		return param{}, false, fmt.Errorf("%w: more than %d parameters", ErrTooLong, MaxParams)
	}
	n := wordLen(s)
	if n == 0 {
		return param{}, false, fmt.Errorf("%w: %q where a name should be", ErrMalformed, clip(s))
	}
	name := s[:n]
	s = strings.TrimLeft(s[n:], " \t")
	if !strings.HasPrefix(s, "=") {
		p.rest = s
		return param{name: name, bare: true}, true, nil
	}
	s = strings.TrimLeft(s[1:], " \t")
	if strings.HasPrefix(s, `"`) {
		value, rest, ok := unquote(s[1:])
		if !ok {
			return param{}, false, fmt.Errorf("%w: %s has no closing quote", ErrMalformed, clip(name))
		}
		p.rest = rest
		return param{name: name, value: value}, true, nil
	}
	n = strings.IndexAny(s, " \t,")
	if n < 0 {
		n = len(s)
	}
	p.rest = s[n:]
	return param{name: name, value: s[:n]}, true, nil
}

// wordLen returns how many bytes at the front of s may stand in a name.
func wordLen(s string) int {
	if n := strings.IndexAny(s, " \t,=\""); n >= 0 {
		return n
	}
	return len(s)
}

// unquote reads a quoted string after its first quote. RFC 9110 5.6.4.
func unquote(s string) (value, rest string, ok bool) {
	end := strings.IndexAny(s, `"\`)
	if end < 0 {
		return "", "", false
	}
	if s[end] == '"' {
		return s[:end], s[end+1:], true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// appendQuoted writes ,name="value", escaped. A control character cannot stand in a header: it becomes a question
// mark, so that no value can start a header line of its own.
func appendQuoted(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, `="`...)
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' && c != '\t' || c == 0x7f:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// clip shortens a peer's text for an error message.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
