package cli_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/outband/outband/lab"
)

// BenchmarkPowerStatus starts the program, asks a machine for its power state, and ends it: processor time and real
// time from start to exit. It runs the test binary, which starts somewhat slower than the program.
func BenchmarkPowerStatus(b *testing.B) {
	w, err := lab.Start(b.Context(), lab.World{Machines: []lab.Machine{{Profile: 12}}})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	b.Setenv("AMT_PASSWORD", w.Machines[0].Password)
	var cpu time.Duration
	for b.Loop() {
		cmd := exec.Command("outband", "power", "status", w.Machines[0].Address)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
}
