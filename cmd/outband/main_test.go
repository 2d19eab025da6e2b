package main

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// NOTICE names each library that is in the program, and no library of the past.
func TestNotice(t *testing.T) {
	text, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "libraries.")
	var named []string
	for line := range strings.Lines(list) {
		if module := strings.TrimSpace(line); strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			named = append(named, module)
			if !strings.Contains(string(sums), "\n"+module+" ") && !strings.HasPrefix(string(sums), module+" ") {
				t.Errorf("NOTICE names %s, which is not used", module)
			}
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Fatal("this program does not know what it was built of")
	}
	for _, module := range info.Deps {
		if !slices.Contains(named, module.Path) {
			t.Errorf("NOTICE does not name %s", module.Path)
		}
	}
}
