package setupbin

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A HashAlgorithm is how the hash of a certificate was made.
type HashAlgorithm uint8

// The algorithms. SHA-256 and SHA-384 need version 3.
const (
	SHA1   HashAlgorithm = 1
	SHA256 HashAlgorithm = 2
	SHA384 HashAlgorithm = 3
)

func (a HashAlgorithm) String() string {
	switch a {
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	case SHA384:
		return "sha384"
	}
	return fmt.Sprintf("unknown (%d)", uint8(a))
}

// Size returns the octets of a hash, 0 for an unknown algorithm.
func (a HashAlgorithm) Size() int {
	switch a {
	case SHA1:
		return 20
	case SHA256:
		return 32
	case SHA384:
		return 48
	}
	return 0
}

// MaxHashName is the limit of a certificate's name, in octets.
const MaxHashName = 32

// A CertHash is the value of [AddHash]: the hash of a root certificate that a provisioning server may come with.
type CertHash struct {
	Algorithm HashAlgorithm
	Hash      []byte // of the DER form
	Name      string // as MEBx shows it
}

// Append appends the value: algorithm, hash, length of the name, name. The error wraps [ErrValue].
func (h CertHash) Append(b []byte) ([]byte, error) {
	if h.Algorithm.Size() == 0 || len(h.Hash) != h.Algorithm.Size() || len(h.Name) > MaxHashName {
		return b, fmt.Errorf("setupbin: certificate hash: %w: %v of %d octets, name of %d", ErrValue, h.Algorithm, len(h.Hash), len(h.Name))
	}
	b = append(b, byte(h.Algorithm))
	b = append(b, h.Hash...)
	b = append(b, byte(len(h.Name)))
	return append(b, h.Name...), nil
}

// ParseHash reads a value. The error wraps [ErrValue].
func ParseHash(b []byte) (CertHash, error) {
	if len(b) > 0 {
		a := HashAlgorithm(b[0])
		n := 1 + a.Size()
		if a.Size() > 0 && len(b) > n && len(b) == n+1+int(b[n]) && b[n] <= MaxHashName {
			return CertHash{Algorithm: a, Hash: append([]byte(nil), b[1:n]...), Name: string(b[n+1:])}, nil
		}
	}
	return CertHash{}, fmt.Errorf("setupbin: certificate hash: %w: %s", ErrValue, hashFault(b))
}

// hashFault says what is wrong with a value.
func hashFault(b []byte) string {
	if len(b) == 0 {
		return "empty"
	}
	a := HashAlgorithm(b[0])
	n := 1 + a.Size()
	switch {
	case a.Size() == 0:
		return fmt.Sprintf("algorithm %v", a)
	case len(b) <= n:
		return fmt.Sprintf("%v has %d octets of hash and a name behind them, there are %d", a, a.Size(), len(b)-1)
	case b[n] > MaxHashName:
		return fmt.Sprintf("a name of %d octets, at most %d", b[n], MaxHashName)
	}
	return fmt.Sprintf("a name of %d octets, there are %d", b[n], len(b)-n-1)
}

// String returns "sha256:cb3c...:name".
func (h CertHash) String() string {
	return fmt.Sprintf("%v:%x:%s", h.Algorithm, h.Hash, h.Name)
}

// text is String if ParseHashText reads it back.
func (h CertHash) text() (string, bool) {
	for _, c := range []byte(h.Name) {
		if c < ' ' || c > '~' {
			return "", false
		}
	}
	return h.String(), true
}

// ParseHashText reads "sha256:cb3c...:name". Colons among the digits, as certificate tools write them, may stay; the
// name may be left out. The error wraps [ErrValue].
func ParseHashText(s string) (CertHash, error) {
	bad := func(why string) (CertHash, error) {
		return CertHash{}, fmt.Errorf("setupbin: certificate hash: %w: %s", ErrValue, why)
	}
	word, rest, ok := strings.Cut(s, ":")
	h := CertHash{}
	for _, a := range [...]HashAlgorithm{SHA1, SHA256, SHA384} {
		if strings.EqualFold(word, a.String()) {
			h.Algorithm = a
		}
	}
	if !ok || h.Algorithm == 0 {
		return bad("want sha1, sha256 or sha384, a colon and the digits")
	}
	digits := make([]byte, 0, 2*48)
	for len(digits) < 2*h.Algorithm.Size() && rest != "" {
		if rest[0] != ':' {
			digits = append(digits, rest[0])
		}
		rest = rest[1:]
	}
	hash, err := hex.DecodeString(string(digits))
	if err != nil || len(hash) != h.Algorithm.Size() {
		return bad(fmt.Sprintf("%v has %d hex digits", h.Algorithm, 2*h.Algorithm.Size()))
	}
	if rest != "" {
		name, ok := strings.CutPrefix(rest, ":")
		if !ok {
			return bad(fmt.Sprintf("%v has %d hex digits", h.Algorithm, 2*h.Algorithm.Size()))
		}
		h.Name = name
	}
	if len(h.Name) > MaxHashName {
		return bad(fmt.Sprintf("a name of %d octets, at most %d", len(h.Name), MaxHashName))
	}
	h.Hash = hash
	return h, nil
}
