package cli_test

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/outband/outband/cli"
)

// makeFrames writes a packet capture of a machine.
func makeFrames(ts *testscript.TestScript, neg bool, args []string) {
	name := "HOST"
	if len(args) == 3 {
		name, args = args[0], args[1:]
	}
	m := ts.Value(worldKey{}).(*world).machines[name]
	if neg || len(args) != 2 || m == nil {
		ts.Fatalf("usage: frames [NAME] FILE LINES")
	}
	ts.Check(cli.WriteFrames(ts.MkAbs(args[0]), m.Firmware.Identity().MAC, strings.Split(ts.ReadFile(args[1]), "\n")...))
}
