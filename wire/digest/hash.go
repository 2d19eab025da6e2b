package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrUnsupported tells that the other end asks for an algorithm or a qop that this package does not speak.
var ErrUnsupported = errors.New("unsupported digest")

// An algorithm is a hash, plain or in the -sess form, where the password's hash is mixed with the nonces.
type algorithm uint8

const (
	algMD5        algorithm = 0
	algMD5Sess    algorithm = 1
	algSHA256     algorithm = 2
	algSHA256Sess algorithm = 3
)

// parseAlgorithm reads the algorithm parameter; none means MD5.
func parseAlgorithm(name string) (algorithm, error) {
	switch strings.ToLower(name) {
	case "", "md5":
		return algMD5, nil
	case "md5-sess":
		return algMD5Sess, nil
	case "sha-256":
		return algSHA256, nil
	case "sha-256-sess":
		return algSHA256Sess, nil
	}
	return 0, fmt.Errorf("%w: algorithm %q", ErrUnsupported, clip(name))
}

func (a algorithm) sess() bool   { return a == algMD5Sess || a == algSHA256Sess }
func (a algorithm) sha256() bool { return a == algSHA256 || a == algSHA256Sess }

// appendHex appends the hash of text in lower-case hex, 32 or 64 digits.
func (a algorithm) appendHex(dst, text []byte) []byte {
	if a.sha256() {
		sum := sha256.Sum256(text)
		return hex.AppendEncode(dst, sum[:])
	}
	sum := md5.Sum(text)
	return hex.AppendEncode(dst, sum[:])
}

// HA1 returns MD5(user:realm:password), the form in which AMT stores a password. It is as good as the password for
// this realm; treat it as a secret.
func HA1(user, realm, password string) [16]byte {
	var scratch [160]byte
	return md5.Sum(appendA1(scratch[:0], user, realm, password))
}

func appendA1(b []byte, user, realm, password string) []byte {
	b = append(b, user...)
	b = append(b, ':')
	b = append(b, realm...)
	b = append(b, ':')
	return append(b, password...)
}

// appendKey turns the hex hash of user:realm:password into the key that goes into responses: the same, or for -sess
// the hash of it with both nonces. RFC 7616 3.4.2.
func (a algorithm) appendKey(dst, ha1 []byte, nonce, cnonce string) []byte {
	if !a.sess() {
		return append(dst, ha1...)
	}
	var scratch [256]byte
	t := append(scratch[:0], ha1...)
	t = append(t, ':')
	t = append(t, nonce...)
	t = append(t, ':')
	t = append(t, cnonce...)
	return a.appendHex(dst, t)
}

// appendResponse appends the response in hex. RFC 7616 3.4.1; RFC 2069 2.4 if c has no qop.
func (a algorithm) appendResponse(dst, key []byte, c *Credentials, method string, body []byte) []byte {
	var scratch [512]byte
	t := append(scratch[:0], method...)
	t = append(t, ':')
	t = append(t, c.URI...)
	if c.QOP == qopAuthInt {
		t = append(t, ':')
		t = a.appendHex(t, body)
	}
	var ha2 [2 * sha256.Size]byte
	h := a.appendHex(ha2[:0], t)

	t = append(t[:0], key...)
	t = append(t, ':')
	t = append(t, c.Nonce...)
	if c.QOP != "" {
		t = append(t, ':')
		t = c.appendNC(t)
		t = append(t, ':')
		t = append(t, c.CNonce...)
		t = append(t, ':')
		t = append(t, c.QOP...)
	}
	t = append(t, ':')
	t = append(t, h...)
	return a.appendHex(dst, t)
}
