package cli

import (
	"io"
	"reflect"
	"testing"

	"github.com/alecthomas/kong"
)

// Each command is found by its name without the others, and is the same then.
func TestOneCommand(t *testing.T) {
	a := &app{out: io.Discard, err: io.Discard}
	parser, err := newParser(a, &commands{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range parser.Model.Children {
		if want.Type != kong.CommandNode {
			continue
		}
		one := newOneCommand([]string{"-v", "--user", "ops", want.Name})
		if one == nil {
			t.Errorf("%s is not found", want.Name)
			continue
		}
		parser, err := kong.New(&one.root, append(parserOptions(a), one.option)...)
		if err != nil {
			t.Errorf("%s: %v", want.Name, err)
			continue
		}
		var got *kong.Node
		for _, n := range parser.Model.Children {
			if n.Name == want.Name {
				got = n
			}
		}
		if got == nil || got.Help != want.Help || got.Hidden != want.Hidden || got.Passthrough != want.Passthrough ||
			!reflect.DeepEqual(got.Aliases, want.Aliases) || len(got.Children) != len(want.Children) || got.Leaf() != want.Leaf() {
			t.Errorf("%s: %+v, want %+v", want.Name, got, want)
		}
	}
}
