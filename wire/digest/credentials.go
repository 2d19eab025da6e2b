package digest

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The values of qop.
const (
	qopAuth    = "auth"
	qopAuthInt = "auth-int"
)

// Credentials is one Authorization: Digest header. They are no secret, but with a weak password they let it be guessed.
type Credentials struct {
	Username  string
	Realm     string
	Nonce     string
	URI       string // the request target, "/wsman"
	Response  string // 32 hex digits (64 with SHA-256)
	CNonce    string // the client's own random text; "" in the RFC 2069 form
	Opaque    string // as in the challenge
	Algorithm string // "" means MD5
	QOP       string // "auth", "auth-int", or "" for the RFC 2069 form
	NC        uint32 // how often the client has used the nonce, from 1; 0 is absent

	ncText string // nc as sent, if that is not eight lower-case digits: it goes into the response as it stands
}

// ParseCredentials reads the value of an Authorization header. qop and nc may be quoted or not. A parameter that comes
// twice is refused, so that no two readers can see two users. Errors wrap [ErrNotDigest], [ErrMalformed] or [ErrTooLong].
func ParseCredentials(header string) (Credentials, error) {
	c, err := parseCredentials(header)
	if err != nil {
		return Credentials{}, fmt.Errorf("digest: credentials: %w", err)
	}
	return c, nil
}

func parseCredentials(header string) (c Credentials, err error) {
	p, err := newParams(header)
	if err != nil {
		return c, err
	}
	fields := [...]struct {
		name   string
		dst    *string
		needed bool
		seen   bool
	}{
		{name: "username", dst: &c.Username, needed: true},
		{name: "realm", dst: &c.Realm, needed: true},
		{name: "nonce", dst: &c.Nonce, needed: true},
		{name: "uri", dst: &c.URI, needed: true},
		{name: "response", dst: &c.Response, needed: true},
		{name: "cnonce", dst: &c.CNonce},
		{name: "opaque", dst: &c.Opaque},
		{name: "algorithm", dst: &c.Algorithm},
		{name: "qop", dst: &c.QOP},
		{name: "nc", dst: &c.ncText},
	}
	for {
		kv, ok, err := p.next()
		if err != nil {
			return c, err
		}
		if !ok {
			break
		}
		if kv.bare {
			return c, fmt.Errorf("%w: %q has no value", ErrMalformed, clip(kv.name))
		}
		for i := range fields {
			f := &fields[i]
			if !strings.EqualFold(f.name, kv.name) {
				continue
			}
			if f.seen {
				return c, fmt.Errorf("%w: %s twice", ErrMalformed, f.name)
			}
			f.seen, *f.dst = true, kv.value
		}
	}
	for i := range fields {
		if f := &fields[i]; f.needed && !f.seen {
			return c, fmt.Errorf("%w: no %s", ErrMalformed, f.name)
		}
	}
	if c.ncText != "" {
		nc, err := strconv.ParseUint(c.ncText, 16, 32)
		if err != nil || len(c.ncText) > 8 {
			return c, fmt.Errorf("%w: nc %q is not 8 hex digits", ErrMalformed, clip(c.ncText))
		}
		c.NC = uint32(nc)
		var canon [8]byte
		if nc != 0 && string(appendHex8(canon[:0], c.NC)) == c.ncText {
			c.ncText = ""
		}
	}
	return c, nil
}

// String returns the header value: qop, nc and algorithm without quotes, absent ones left out.
func (c Credentials) String() string {
	var scratch [384]byte
	return string(c.append(scratch[:0]))
}

func (c *Credentials) append(b []byte) []byte {
	b = appendQuoted(append(b, "Digest "...), "username", c.Username)
	b = appendQuoted(append(b, ','), "realm", c.Realm)
	b = appendQuoted(append(b, ','), "nonce", c.Nonce)
	b = appendQuoted(append(b, ','), "uri", c.URI)
	if c.QOP != "" {
		b = appendWord(append(b, ','), "qop", c.QOP)
	}
	b = appendQuoted(append(b, ','), "response", c.Response)
	if c.NC != 0 || c.ncText != "" {
		b = append(b, ",nc="...)
		b = c.appendNC(b)
	}
	if c.CNonce != "" {
		b = appendQuoted(append(b, ','), "cnonce", c.CNonce)
	}
	if c.Opaque != "" {
		b = appendQuoted(append(b, ','), "opaque", c.Opaque)
	}
	if c.Algorithm != "" {
		b = appendWord(append(b, ','), "algorithm", c.Algorithm)
	}
	return b
}

// appendWord writes name=value, with quotes only if value needs them.
func appendWord(b []byte, name, value string) []byte {
	for i := 0; i < len(value); i++ {
		if c := value[i]; c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return appendQuoted(b, name, value)
		}
	}
	b = append(b, name...)
	b = append(b, '=')
	return append(b, value...)
}

// appendNC writes the count as it goes into header and response.
func (c *Credentials) appendNC(b []byte) []byte {
	if c.ncText != "" {
		return append(b, c.ncText...)
	}
	return appendHex8(b, c.NC)
}

func appendHex8(b []byte, n uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

// Sign returns c with its Response filled in. ha1 is as [HA1] gives it; body counts with qop auth-int only. The error
// wraps [ErrUnsupported] if c names an algorithm that is not MD5 or MD5-sess, or a qop that is not known.
func (c Credentials) Sign(ha1 [16]byte, method string, body []byte) (Credentials, error) {
	var sum [md5.Size]byte
	if err := c.sum(&sum, ha1, method, body); err != nil {
		return Credentials{}, fmt.Errorf("digest: %w", err)
	}
	c.Response = hex.EncodeToString(sum[:])
	return c, nil
}

// Verify tells whether the response was made with this ha1, for this method and (with auth-int) this body. It takes
// the same time whatever the response is. Nonce, URI and realm are the caller's to check; see [Server.Admit]. It is
// false for algorithms other than MD5 and MD5-sess.
func (c Credentials) Verify(ha1 [16]byte, method string, body []byte) bool {
	var want, got [md5.Size]byte
	if err := c.sum(&want, ha1, method, body); err != nil || len(c.Response) != 2*md5.Size {
		return false
	}
	var text [2 * md5.Size]byte
	copy(text[:], c.Response)
	_, err := hex.Decode(got[:], text[:])
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && err == nil
}

// sum writes the 16 bytes that the response stands for.
func (c *Credentials) sum(dst *[md5.Size]byte, ha1 [16]byte, method string, body []byte) error {
	alg, err := parseAlgorithm(c.Algorithm)
	switch {
	case err != nil:
		return err
	case alg.sha256():
		return fmt.Errorf("%w: algorithm %s, of an account stored for MD5", ErrUnsupported, c.Algorithm)
	case c.QOP != "" && c.QOP != qopAuth && c.QOP != qopAuthInt:
		return fmt.Errorf("%w: qop %q", ErrUnsupported, clip(c.QOP))
	}
	var hexed, key, response [2 * md5.Size]byte
	k := alg.appendKey(key[:0], hex.AppendEncode(hexed[:0], ha1[:]), c.Nonce, c.CNonce)
	_, err = hex.Decode(dst[:], alg.appendResponse(response[:0], k, c, method, body))
	return err
}
