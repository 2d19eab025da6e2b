package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// The machines run in a process of their own, so that what a benchmark counts is the client's share alone. It is this
// test binary, started once more with serveEnv set to an order.
const serveEnv = "OUTBAND_BENCH_SERVE"

// An order says which machines are to be started.
type order struct {
	Profile int
	Count   int // machines that answer
	Silent  int // machines that accept connections and never say a word
	DelayMS int // before each answer
}

// A report is what the other process says once its machines listen.
type report struct {
	Live   []string // addresses
	Silent []string

	// What one machine costs, octets: all of them, without the first, divided by their number.
	Heap, Stacks, RSS float64
	Goroutines        float64
}

func TestMain(m *testing.M) {
	if text := os.Getenv(serveEnv); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// serve starts machines, reports, and goes on until standard input ends.
func serve(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx := context.Background()
	warm, err := lab.Start(ctx, lab.World{Machines: []lab.Machine{{Profile: o.Profile, Power: "on"}}}) // what machines share
	if err != nil {
		return err
	}
	defer warm.Close()
	before := measure()
	var w lab.World
	for range o.Count {
		m := lab.Machine{Profile: o.Profile, Power: "on"}
		if o.DelayMS > 0 {
			m.Faults = &firmware.Faults{Delay: duration(o.DelayMS)}
		}
		w.Machines = append(w.Machines, m)
	}
	live, err := lab.Start(ctx, w)
	if err != nil {
		return err
	}
	defer live.Close()
	after := measure()
	n := float64(max(1, o.Count))
	r := report{Heap: (after.heap - before.heap) / n, Stacks: (after.stacks - before.stacks) / n, RSS: (after.rss - before.rss) / n,
		Goroutines: (after.goroutines - before.goroutines) / n}
	for _, m := range live.Machines {
		r.Live = append(r.Live, m.Address)
	}
	for range o.Silent {
		silent, err := lab.Start(ctx, lab.World{Machines: []lab.Machine{{Stray: "silent"}}})
		if err != nil {
			return err
		}
		defer silent.Close()
		r.Silent = append(r.Silent, silent.Machines[0].Address)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type footprint struct{ heap, stacks, rss, goroutines float64 }

// measure returns what the process uses after everything that can be freed has been.
func measure() footprint {
	runtime.GC()
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return footprint{float64(s.HeapAlloc), float64(s.StackInuse), residentSet(), float64(runtime.NumGoroutine())}
}

// residentSet returns the resident set of the process, 0 where the system does not tell (proc_pid_statm(5)).
func residentSet() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize())
}

// machines starts machines in another process, which ends with the benchmark.
func machines(tb testing.TB, o order) report {
	tb.Helper()
	r, stop := start(tb, o)
	tb.Cleanup(stop)
	return r
}

// start starts machines in another process, which ends with stop.
func start(tb testing.TB, o order) (r report, stop func()) {
	tb.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		in.Close()
		tb.Fatalf("machines do not start: %v, %v", err, cmd.Wait())
	}
	return r, func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Error(err)
		}
	}
}
