package class_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/outband/outband/class/gen"
	"github.com/outband/outband/class/model"
)

// TestGenerated fails when the committed files are not what the generator writes: run go generate ./class/...
func TestGenerated(t *testing.T) {
	files, err := gen.Files(catalogue(t), model.Generated())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		have, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(have, want) {
			t.Errorf("%s is out of date", path)
		}
	}
	for _, pkg := range gen.Packages() {
		have, err := filepath.Glob(filepath.Join(pkg, "*"+gen.Suffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range have {
			if files[filepath.ToSlash(path)] == nil {
				t.Errorf("%s is not generated any more", path)
			}
		}
	}
}
