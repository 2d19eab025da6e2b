package bench

import (
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/sol"
)

// BenchmarkSOLEcho is a key that comes back: pressed at the console, echoed by the host, shown. The machine's end sends
// what the host writes at once after a pause, and collects what follows for some milliseconds. So keys are pressed as fast
// as a hand does it, whose pauses are longer than that and are not counted; and each as soon as the one before is there,
// which no hand does, with and without collecting. Beside it stands a byte that goes there and back by plain TCP.
func BenchmarkSOLEcho(b *testing.B) {
	for _, delay := range delays {
		b.Run(rtt(delay)+"/floor", func(b *testing.B) { exchange(b, delay, 11, 11) })
		b.Run(rtt(delay)+"/typed", func(b *testing.B) { echoKeys(b, delay, 30*time.Millisecond, sol.DeviceOptions{}) })
		b.Run(rtt(delay)+"/in-a-row", func(b *testing.B) { echoKeys(b, delay, 0, sol.DeviceOptions{}) })
		b.Run(rtt(delay)+"/in-a-row-no-collecting", func(b *testing.B) { echoKeys(b, delay, 0, sol.DeviceOptions{Collect: 1}) })
	}
}

// echoKeys presses a key, waits for it, pauses, and so on.
func echoKeys(b *testing.B, delay, pause time.Duration, o sol.DeviceOptions) {
	near, far := link(b, delay)
	o.Settle = 1
	var d *sol.Device
	var derr error
	var wg sync.WaitGroup
	wg.Go(func() { d, derr = sol.Accept(b.Context(), redir.NewConn(far), o) })
	s, err := sol.Open(b.Context(), redir.NewConn(near), sol.Options{})
	wg.Wait()
	if err != nil || derr != nil {
		b.Fatal(err, derr)
	}
	wg.Go(func() { io.Copy(d, d) })
	defer wg.Wait()
	defer d.Close()
	defer s.Close()
	key := make([]byte, 1)
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := s.Write([]byte{'x'}); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Read(key); err != nil || key[0] != 'x' {
			b.Fatal(key, err)
		}
		times = append(times, time.Since(start))
		time.Sleep(pause)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}
