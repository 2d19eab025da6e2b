package conformance

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// oddProgram builds the program that asks odd things of a device, for any Linux.
func oddProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "odd")
	if out, err := exec.Command(tool(t, "gcc", "gcc"), "-static", "-O1", "-Wall", "-Werror", "-pthread", "-o", program, "testdata/mei/odd.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return program
}

// The program finds the same at the kernel's driver and at the device that takes its place in "outband virtual exec".
func meiOdd(t *testing.T, g *guest, node, program string) {
	kernel := g.must(t, "odd "+node)
	if !strings.HasSuffix(kernel, "done\n") {
		t.Errorf("in the guest it ends early: %s", kernel)
	}
	here := onPC(t, machine(t, lab.Machine{Profile: 16, Power: "on"}), program, "/dev/mei0")
	theirs, ours := strings.Split(kernel, "\n"), strings.Split(here, "\n")
	for i := range max(len(theirs), len(ours)) {
		if i >= len(theirs) || i >= len(ours) {
			t.Fatalf("the kernel's driver says %d lines, ours %d", len(theirs), len(ours))
		}
		if theirs[i] != ours[i] {
			t.Errorf("the kernel's driver says %q, ours %q", theirs[i], ours[i])
		}
	}
}
