// Command run writes the generated files of class/amt, class/cim and class/ips. Its working directory is class, as
// go generate sets it. Generated files that are no longer wanted are deleted.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/outband/outband/class/gen"
	"github.com/outband/outband/class/model"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	m, err := model.Load()
	if err != nil {
		return err
	}
	files, err := gen.Files(m, model.Generated())
	if err != nil {
		return err
	}
	for _, pkg := range gen.Packages() {
		old, err := filepath.Glob(filepath.Join(pkg, "*"+gen.Suffix))
		if err != nil {
			return err
		}
		for _, path := range old {
			if files[filepath.ToSlash(path)] == nil {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
		}
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
