package digest

import (
	"fmt"
	"strings"
)

// A Challenge is one WWW-Authenticate: Digest header.
type Challenge struct {
	Realm     string   // "Digest:" and 32 upper-case hex digits on AMT; changes on full unprovision
	Nonce     string   // opaque; base64 of 24 bytes on AMT
	Opaque    string   // to be sent back; AMT sends none
	Algorithm string   // "" means MD5; AMT sends none
	Domain    string   // paths this challenge is good for; AMT sends none
	QOP       []string // "auth", "auth-int", each once, in the order offered; none is the RFC 2069 form
	Stale     bool     // the credentials were good but for their nonce: repeat with this one
}

// ParseChallenge reads the value of a WWW-Authenticate header. It takes what firmware is known to send: blanks in place
// of commas between parameters, values quoted or not, qop lists with blanks and repetitions, any order. Of a parameter
// that comes twice the first counts. What follows from another scheme in the same header is left alone.
// Errors wrap [ErrNotDigest], [ErrMalformed] or [ErrTooLong].
func ParseChallenge(header string) (Challenge, error) {
	c, err := parseChallenge(header)
	if err != nil {
		return Challenge{}, fmt.Errorf("digest: challenge: %w", err)
	}
	return c, nil
}

func parseChallenge(header string) (c Challenge, err error) {
	p, err := newParams(header)
	if err != nil {
		return c, err
	}
	var realm, nonce, qop bool // seen
	first := func(dst *string, value string) {
		if *dst == "" {
			*dst = value
		}
	}
	for inQOP := false; ; {
		kv, ok, err := p.next()
		if err != nil {
			return c, err
		}
		if !ok {
			break
		}
		if kv.bare {
			if inQOP && (kv.name == "auth" || kv.name == "auth-int") { // qop=auth,auth-int without quotes
				c.addQOP(kv.name)
				continue
			}
			break // another scheme begins
		}
		inQOP = false
		switch strings.ToLower(kv.name) {
		case "realm":
			first(&c.Realm, kv.value)
			realm = true
		case "nonce":
			first(&c.Nonce, kv.value)
			nonce = true
		case "opaque":
			first(&c.Opaque, kv.value)
		case "algorithm":
			first(&c.Algorithm, kv.value)
		case "domain":
			first(&c.Domain, kv.value)
		case "stale":
			c.Stale = strings.EqualFold(strings.TrimSpace(kv.value), "true")
		case "qop":
			if qop {
				break
			}
			qop, inQOP = true, true
			for word := range strings.FieldsFuncSeq(kv.value, isListGap) {
				c.addQOP(word)
			}
		}
	}
	switch {
	case !realm:
		return c, fmt.Errorf("%w: no realm", ErrMalformed)
	case !nonce || c.Nonce == "":
		return c, fmt.Errorf("%w: no nonce", ErrMalformed)
	}
	return c, nil
}

func isListGap(r rune) bool { return r == ',' || r == ' ' || r == '\t' }

// addQOP adds a word of a qop list, unless it is there.
func (c *Challenge) addQOP(word string) {
	word = strings.ToLower(word)
	if !c.offers(word) {
		c.QOP = append(c.QOP, word)
	}
}

func (c *Challenge) offers(qop string) bool {
	for _, have := range c.QOP {
		if have == qop {
			return true
		}
	}
	return false
}

// String returns the header value byte for byte as AMT writes it: every value quoted, a blank after the first comma
// only, stale always there. What AMT never sends (opaque, algorithm, domain) follows at the end if set.
func (c Challenge) String() string {
	b := make([]byte, 0, 160)
	b = appendQuoted(append(b, "Digest "...), "realm", c.Realm)
	b = appendQuoted(append(b, ", "...), "nonce", c.Nonce)
	stale := "false"
	if c.Stale {
		stale = "true"
	}
	b = appendQuoted(append(b, ','), "stale", stale)
	if len(c.QOP) > 0 {
		b = appendQuoted(append(b, ','), "qop", strings.Join(c.QOP, ","))
	}
	for _, extra := range [...]struct{ name, value string }{
		{"opaque", c.Opaque}, {"algorithm", c.Algorithm}, {"domain", c.Domain},
	} {
		if extra.value != "" {
			b = appendQuoted(append(b, ','), extra.name, extra.value)
		}
	}
	return string(b)
}
