package cli_test

import (
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/outband/outband/internal/setupcert"
)

// writeSetupCert is the command of stories "setupcert NAME FILE": a certificate for the setup of AMT, with its
// authorities and key, in FILE, and its root alone in FILE.root.
func writeSetupCert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setupcert NAME FILE")
	}
	chain, err := setupcert.Make(args[0], nil)
	ts.Check(err)
	text, err := chain.PEM()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]+".root"), chain.RootPEM(), 0o600))
}
