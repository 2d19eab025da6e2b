package conformance

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A recording is one answer that go-wsman-messages keeps for its own tests, most of them taken from machines.
type recording struct {
	name string // "amt/general/pull"
	doc  []byte
}

// corpus reads all recorded answers from the module's folder in the module cache.
func corpus(t testing.TB) []recording {
	t.Helper()
	root := filepath.Join(moduleDir(t, "github.com/device-management-toolkit/go-wsman-messages/v2"),
		"pkg", "wsman", "wsmantesting", "responses")
	var out []recording
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".xml" {
			return err
		}
		doc, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, strings.TrimSuffix(path, ".xml"))
		// Three files begin with a line break, which XML does not allow and no machine sends.
		out = append(out, recording{filepath.ToSlash(name), bytes.TrimSpace(doc)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// moduleDir returns where the go command keeps the source of a module that go.mod requires.
func moduleDir(t testing.TB, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}
