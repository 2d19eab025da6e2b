package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/outband/outband/cli"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// Ctrl-C in the middle of a request: the user is told that it was he, and gets the exit code that shells expect.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Faults: &firmware.Faults{Drop: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out, talk bytes.Buffer
	env := func(name string) string {
		if name == "AMT_PASSWORD" {
			cancel() // asked for once the machine was found, just before the request
			return "P@ssw0rd"
		}
		return map[string]string{"OUTBAND_HOSTS": t.TempDir() + "/hosts.json"}[name]
	}
	code := cli.Run(ctx, []string{"outband", "power", "status", l.Machines[0].Address}, env, strings.NewReader(""), &out, &talk)
	if code != 130 || !strings.Contains(talk.String(), "outband: interrupted: ") {
		t.Errorf("exit %d, %q, %q", code, &out, &talk)
	}
}
