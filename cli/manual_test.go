package cli

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

// The manual in docs is the one that the commands write.
func TestManual(t *testing.T) {
	parser, err := newParser(&app{out: io.Discard, err: io.Discard}, &commands{})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	writeManual(&got, parser.Model.Node)
	if want := readText(t, "../docs/commands.md"); got.String() != want {
		t.Error("docs/commands.md is not what the commands say: make generate")
	}
	known := slices.Concat(meshCommanderPages, meshCmdVerbs)
	done := map[string]bool{}
	walkCommands(parser.Model.Node, "outband", func(path string, n *kong.Node) {
		for _, name := range likeness(n) {
			if !slices.Contains(known, name) {
				t.Errorf("%s is like %q, which nobody knows", path, name)
			}
			done[name] = true
		}
	})
	// What is not done is said: this row, and no other.
	for _, name := range known {
		if instead := otherwise[name] != ""; instead == done[name] {
			t.Errorf("%q: a command says that it does it: %v; the manual says what there is instead: %v", name, done[name], instead)
		}
	}
	if len(otherwise) != 1 {
		t.Errorf("%d rows have no command", len(otherwise))
	}
}
