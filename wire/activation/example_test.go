package activation_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"

	"github.com/outband/outband/wire/activation"
)

// For which networks a certificate may set machines up.
func ExampleMatchDomain() {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "setup.corp.example.com"}}
	for _, suffix := range []string{"example.com", "corp.example.com", "example.org"} {
		fmt.Println(suffix, activation.MatchDomain(c, suffix))
	}
	// Output:
	// example.com true
	// corp.example.com true
	// example.org false
}
