package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/virtual/firmware"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

// outband builds the command once, as "make build" does, and returns its path.
func outband(tb testing.TB) string {
	tb.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "outband-bench-"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(built.dir, "outband"), "./cmd/outband")
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return filepath.Join(built.dir, "outband")
}

// BenchmarkCommand runs a whole command, from its start to its exit: processor time, user and system, as the system
// counts it, and time on the clock. Debian's amttool does the nearest to it, where it is installed.
func BenchmarkCommand(b *testing.B) {
	at := machines(b, order{Profile: 8, Count: 1}).Live[0]
	secure := machines(b, order{Profile: 19, Count: 1}).Live[0]
	run := func(b *testing.B, want string, command ...string) {
		b.Helper()
		env := append(os.Environ(), "AMT_PASSWORD="+firmware.DefaultPassword, "XDG_CONFIG_HOME="+b.TempDir(), "XDG_STATE_HOME="+b.TempDir())
		var cpu time.Duration
		n := 0
		for b.Loop() {
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				b.Fatalf("%q: %v, %s", command, err, out)
			}
			cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			n++
		}
		b.ReportMetric(cpu.Seconds()*1000/float64(n), "cpu-ms/op")
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(n), "wall-ms/op")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("version", func(b *testing.B) { run(b, "devel", outband(b), "version") })
	b.Run("power status, http", func(b *testing.B) { run(b, "on", outband(b), "power", "status", at) })
	b.Run("power status, https", func(b *testing.B) {
		run(b, "on", outband(b), "power", "status", "--pin", fingerprint(b, secure), secure)
	})
	b.Run("amttool info (Debian)", func(b *testing.B) {
		amttool, err := exec.LookPath("amttool")
		if err != nil {
			b.Skip("amttool is not installed (Debian package amtterm)")
		}
		run(b, "Powerstate:   S0", amttool, at, "info")
	})
}
