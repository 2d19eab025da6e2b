package conformance

import (
	"debug/elf"
	"os/exec"
	"runtime"
	"testing"
)

// TestStatic: the program needs nothing of the Linux system that it runs on, no loader and no library, and runs with an
// empty environment. "make cross" builds that for other processors in the same way.
func TestStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("of Linux")
	}
	f, err := elf.Open(outband(t))
	check(t, err)
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) != 0 {
		t.Errorf("wants %q, %v", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("has a %v: it is not static", p.Type)
		}
	}
	run := exec.Command(outband(t), "version")
	run.Env, run.Dir = []string{}, "/"
	if out, err := run.CombinedOutput(); err != nil || len(out) == 0 {
		t.Errorf("%v: %s", err, out)
	}
}
