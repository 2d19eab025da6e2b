// Package need says what a test cannot do without. On a machine of one's own a test whose tool is missing is skipped;
// in CI, where everything is installed, it fails.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program that is not ours.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, err)
	}
	return path
}

// File makes sure that a file of another package is there.
func File(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, err)
	}
}

// Missing is for what is neither a program nor a file. CI is what the environment variable CI says, if it is not empty.
func Missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("missing in CI: %v", err)
	}
	t.Skipf("not on this machine: %v", err)
}
