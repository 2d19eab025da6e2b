package redir

import (
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

// FuzzGate has a console say anything at all: nobody is let in who does not know the password.
func FuzzGate(f *testing.F) {
	for _, s := range []string{
		"10000000534f4c20 130000000000000000 " + vectorFirst, "1001000049444552 1300000004000000 00 12000000",
		"100100004b564d52 130000000200000000", "10000000534f4c20 1300000001 08000000 0561646d696e 0178",
	} {
		f.Add(wiretest.Hex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g := &gate{server: newServer(), state: wantStart}
		for range 100 {
			n, err := Length(b)
			if err != nil || n == 0 || n > len(b) {
				return
			}
			reply, _, err := g.step(b[:n])
			if g.state == admitted {
				t.Fatalf("let in by % x", b[:n])
			}
			if r, e := Length(reply); len(reply) > 0 && (e != nil || r > len(reply)) { // of a refusal 4 bytes count
				t.Fatalf("answer % x", reply)
			}
			if err != nil {
				return
			}
			b = b[n:]
		}
	})
}
