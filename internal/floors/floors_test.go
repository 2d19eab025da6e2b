// Package floors keeps imports pointing downwards.
package floors

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/outband/outband"

// floor maps the first part of a package path to its floor. A package may import lower floors and its own folder;
// never sideways, never up.
var floor = map[string]int{
	"internal": 0, "wire": 1, "class": 2,
	"console": 3, "host": 3, "virtual": 3,
	"fence": 4,
	"lab":   5, "cli": 6, "cmd": 7,
}

// The files are read here, not by running "go list", so that the test cache notices when one changes.
func TestNobodyLooksUp(t *testing.T) {
	const root = "../.."
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Modules of their own, such as conformance and bench, are guests of the house.
			if _, err := os.Stat(filepath.Join(path, "go.mod")); path != root && !errors.Is(err, fs.ErrNotExist) {
				return fs.SkipDir
			}
			if path != root && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		seen++
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		from, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		up, ok := floor[from]
		if !ok {
			t.Errorf("%s: %q has no floor yet; give it one here", rel, from)
		}
		for _, imp := range file.Imports {
			to, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
			first, _, _ := strings.Cut(to, "/")
			if ours && first != from && floor[first] >= up {
				t.Errorf("%s (floor %d) must not import %s (floor %d)", rel, up, to, floor[first])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no Go file found")
	}
}
