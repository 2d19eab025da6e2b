package firmware

import (
	"bytes"
	"testing"
)

// Machines that are to repeat themselves make up the same secrets in the same order, of each kind; others never do.
func TestSecrets(t *testing.T) {
	some := func(s *secrets) (nonces []byte, password string) {
		nonces = make([]byte, 40)
		s.fill("digest")(nonces[:36]) // more than one hash has
		s.fill("digest")(nonces[36:])
		return nonces, s.text("local user")
	}
	n1, p1 := some(&secrets{repeat: true, seed: "a"})
	n2, p2 := some(&secrets{repeat: true, seed: "a"})
	n3, p3 := some(&secrets{repeat: true, seed: "b"})
	n4, p4 := some(&secrets{seed: "a"})
	n5, p5 := some(&secrets{seed: "a"})
	if !bytes.Equal(n1, n2) || p1 != p2 || len(p1) != 26 {
		t.Errorf("got %x %s, then %x %s; want the same twice", n1, p1, n2, p2)
	}
	if bytes.Equal(n1, n3) || p1 == p3 || bytes.Equal(n4, n5) || p4 == p5 {
		t.Error("another seed, or none: got the same; want others")
	}
	if bytes.Equal(n1[:4], n1[36:]) {
		t.Errorf("two secrets are %x; want two", n1[:4])
	}
}
