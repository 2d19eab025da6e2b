package agent_test

import (
	"errors"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/internal/setupcert"
)

// TestPFX: files of both kinds, the one of old and the one of today; a wrong password is told as such.
func TestPFX(t *testing.T) {
	chain := setupcert.New(t, "amt.example.com", nil)
	for name, encoder := range map[string]*pkcs12.Encoder{"legacy": pkcs12.LegacyRC2, "modern": pkcs12.Modern} {
		file, err := encoder.Encode(chain.Key, chain.Certs[0], chain.Certs[1:], "s3cret")
		if err != nil {
			t.Fatal(err)
		}
		c, err := agent.ParsePFX(file, "s3cret")
		if err != nil || len(c.Chain) != 3 || !c.Chain[2].Equal(chain.Root()) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		for _, bad := range [][]byte{file, file[:len(file)/2], nil} {
			if _, err := agent.ParsePFX(bad, "other"); !errors.Is(err, agent.ErrCertificate) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
