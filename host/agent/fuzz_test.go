package agent_test

import (
	"testing"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/internal/setupcert"
)

// FuzzParsePEM: whatever is in a file, what is taken is a chain that ends in a root and belongs to the key.
func FuzzParsePEM(f *testing.F) {
	chain, err := setupcert.Make("amt.example.com", nil)
	if err != nil {
		f.Fatal(err)
	}
	text, err := chain.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := agent.ParsePEM(text)
		if err == nil && (len(c.Chain) == 0 || c.Key == nil || c.String() == "") {
			t.Errorf("%+v", c)
		}
	})
}
