package redir

import (
	"fmt"
	"strconv"

	"github.com/outband/outband/wire/digest"
)

// Every field of authentication data is a length byte and that many bytes of text.

// Limits on fields. Names, passwords and qop are longer nowhere; consoles put up to 255 bytes into the others.
const (
	MaxUser  = 32
	MaxRealm = 64
	MaxNonce = 64 // AMT's have 32
	MaxField = 255
)

// The target and method that go into a digest on these ports.
const (
	digestURI    = "/RedirectionService"
	digestMethod = "POST"
	qopAuth      = "auth"
)

// appendField appends one field, cut to 255 bytes.
func appendField(b []byte, s string) []byte {
	s = s[:min(len(s), MaxField)]
	b = append(b, byte(len(s)))
	return append(b, s...)
}

// parseField reads one field off the front of b.
func parseField(b []byte, name string, most int) (s string, rest []byte, err error) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", b, fmt.Errorf("redir: %s: %w (%d bytes)", name, ErrShort, len(b))
	}
	n := int(b[0])
	if n > most {
		return "", b, fmt.Errorf("redir: %s: %w: %d bytes of at most %d", name, ErrTooLong, n, most)
	}
	return string(b[1 : 1+n]), b[1+n:], nil
}

// A field is where one goes, and how long it may be.
type field struct {
	name string
	most int
	dst  *string
}

// parseFields reads fields until there are no more in the list. Bytes behind the last are ignored.
func parseFields(b []byte, fields ...field) (err error) {
	for _, f := range fields {
		if *f.dst, b, err = parseField(b, f.name, f.most); err != nil {
			return err
		}
	}
	return nil
}

// Password is the data of method 1. It is the password in clear: not without TLS.
type Password struct {
	User     string
	Password string `json:"-"`
}

// String names the user, not the password.
func (p Password) String() string { return fmt.Sprintf("password of %q", p.User) }

// GoString is String, so that %#v does not show the password.
func (p Password) GoString() string { return p.String() }

// Append appends the data.
func (p Password) Append(b []byte) []byte { return appendField(appendField(b, p.User), p.Password) }

// ParsePassword reads the whole data. Errors wrap [ErrShort] or [ErrTooLong].
func ParsePassword(b []byte) (p Password, err error) {
	err = parseFields(b, field{"user", MaxUser, &p.User}, field{"password", MaxUser, &p.Password})
	if err != nil {
		return Password{}, err
	}
	return p, nil
}

// A Challenge is the data of a reply to methods 3 and 4.
type Challenge struct {
	Realm string // "Digest:" and 32 hex digits, the same as on the machine's web ports
	Nonce string
	QOP   string // "auth"; not there in method 3
}

// Append appends the data of method m.
func (c Challenge) Append(b []byte, m Method) []byte {
	b = appendField(appendField(b, c.Realm), c.Nonce)
	if m != MethodRFC2069 {
		b = appendField(b, c.QOP)
	}
	return b
}

// ParseChallenge reads the whole data of method m. Errors wrap [ErrShort] or [ErrTooLong].
func ParseChallenge(b []byte, m Method) (c Challenge, err error) {
	fields := []field{{"realm", MaxRealm, &c.Realm}, {"nonce", MaxNonce, &c.Nonce}, {"qop", MaxField, &c.QOP}}
	if m == MethodRFC2069 {
		fields = fields[:2]
	}
	if err := parseFields(b, fields...); err != nil {
		return Challenge{}, fmt.Errorf("challenge: %w", err)
	}
	return c, nil
}

// Digest is the data of methods 3 and 4: empty but for User and URI to ask for a challenge, then whole.
type Digest struct {
	User     string
	Realm    string
	Nonce    string
	URI      string // "/RedirectionService"
	CNonce   string
	NC       string // 8 hex digits; AMT 15.0.42 and 16.1.25 and later refuse any other length
	Response string // 32 hex digits
	QOP      string // "auth"; not there in method 3
}

// Append appends the data of method m.
func (d Digest) Append(b []byte, m Method) []byte {
	for _, s := range [...]string{d.User, d.Realm, d.Nonce, d.URI, d.CNonce, d.NC, d.Response} {
		b = appendField(b, s)
	}
	if m != MethodRFC2069 {
		b = appendField(b, d.QOP)
	}
	return b
}

// ParseDigest reads the whole data of method m. Errors wrap [ErrShort] or [ErrTooLong].
func ParseDigest(b []byte, m Method) (d Digest, err error) {
	fields := []field{
		{"user", MaxUser, &d.User}, {"realm", MaxRealm, &d.Realm}, {"nonce", MaxNonce, &d.Nonce}, {"uri", MaxField, &d.URI},
		{"cnonce", MaxField, &d.CNonce}, {"nc", MaxField, &d.NC}, {"response", MaxField, &d.Response}, {"qop", MaxField, &d.QOP},
	}
	if m == MethodRFC2069 {
		fields = fields[:7]
	}
	if err := parseFields(b, fields...); err != nil {
		return Digest{}, fmt.Errorf("digest: %w", err)
	}
	return d, nil
}

// credentials turns the fields into what package digest computes with. ok is false if nc is not 8 lower-case hex
// digits or qop not auth. Method 3 leaves cnonce and nc out of the hash, whatever they are.
func (d *Digest) credentials(m Method) (c digest.Credentials, ok bool) {
	c = digest.Credentials{Username: d.User, Realm: d.Realm, Nonce: d.Nonce, URI: d.URI, Response: d.Response}
	if m == MethodRFC2069 {
		return c, true
	}
	nc, err := strconv.ParseUint(d.NC, 16, 32)
	c.CNonce, c.QOP, c.NC = d.CNonce, d.QOP, uint32(nc)
	return c, err == nil && d.QOP == qopAuth && fmt.Sprintf("%08x", nc) == d.NC
}

// answer makes the fields that answer a challenge.
func (c Challenge) answer(user, password, cnonce string, m Method) (Digest, error) {
	creds := digest.Credentials{Username: user, Realm: c.Realm, Nonce: c.Nonce, URI: digestURI}
	d := Digest{User: user, Realm: c.Realm, Nonce: c.Nonce, URI: digestURI, CNonce: cnonce, NC: "00000001"}
	if m != MethodRFC2069 {
		creds.CNonce, creds.NC, creds.QOP = cnonce, 1, qopAuth
		d.QOP = qopAuth
	}
	signed, err := creds.Sign(digest.HA1(user, c.Realm, password), digestMethod, nil)
	d.Response = signed.Response
	return d, err
}
