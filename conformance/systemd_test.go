package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSystemdUnits: systemd takes our units without a word, and finds them well locked up.
func TestSystemdUnits(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "systemd")
	units, err := filepath.Glob("../packaging/systemd/*.service")
	check(t, err)
	if len(units) == 0 {
		t.Fatal("there are no units")
	}
	dir := t.TempDir()
	var copies []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		check(t, err)
		if !bytes.Contains(text, []byte("ExecStart=/usr/bin/outband ")) {
			t.Errorf("%s does not start outband", unit)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/bin/outband"), []byte(outband(t)))
		path := filepath.Join(dir, filepath.Base(unit))
		check(t, os.WriteFile(path, text, 0o644))
		copies = append(copies, path)
	}
	for _, path := range copies {
		name := filepath.Base(path)
		if r := run(t, nil, "", analyze, "verify", "--man=no", "--recursive-errors=one", path); r.code != 0 || r.err != "" {
			t.Errorf("%s: systemd-analyze verify ended with %d: %s", name, r.code, r.err)
		}
		// Exposure in tenths: up to 50 is "medium", up to 20 "ok". Root is what the device wants.
		if r := run(t, nil, "", analyze, "security", "--offline=true", "--no-pager", "--threshold=30", path); r.code != 0 || !strings.Contains(r.out, "Overall exposure level") {
			t.Errorf("%s: systemd-analyze security ended with %d: %s%s", name, r.code, r.out[max(0, len(r.out)-300):], r.err)
		}
	}
}
