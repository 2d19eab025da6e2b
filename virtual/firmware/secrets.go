package firmware

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"sync"
)

// secrets are what a machine makes up while others look on: nonces, and the password of [LocalUser]. They are random,
// unless [Config].Repeat asks for the same ones each time. Keys and certificates are always random.
type secrets struct {
	repeat bool
	seed   string

	mu   sync.Mutex // guards what follows
	made map[string]int
}

// fill returns a function that fills its argument with the next secret of a kind.
func (s *secrets) fill(kind string) func([]byte) {
	return func(b []byte) {
		if !s.repeat {
			rand.Read(b) // never fails: crypto/rand ends the program instead
			return
		}
		for len(b) > 0 {
			s.mu.Lock()
			if s.made == nil {
				s.made = make(map[string]int)
			}
			n := s.made[kind]
			s.made[kind]++
			s.mu.Unlock()
			sum := sha256.Sum256(fmt.Appendf(nil, "outband virtual machine\x00secret %s %d\x00%s", kind, n, s.seed))
			b = b[copy(b, sum[:]):]
		}
	}
}

// text returns the next secret of a kind as 26 capital letters and digits, like [rand.Text].
func (s *secrets) text(kind string) string {
	var b [16]byte
	s.fill(kind)(b[:])
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}
