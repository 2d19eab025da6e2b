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

// BenchmarkSOLEcho is a key that comes back: pressed at the console, echoed by the host, shown. The machine's end collects
// what the host writes for some milliseconds, as it must; without that the line alone is left. Beside it stands a byte
// that goes there and back by plain TCP.
func BenchmarkSOLEcho(b *testing.B) {
	for _, delay := range delays {
		b.Run(rtt(delay)+"/floor", func(b *testing.B) { exchange(b, delay, 11, 11) })
		b.Run(rtt(delay)+"/outband", func(b *testing.B) { echoKeys(b, delay, sol.DeviceOptions{}) })
		b.Run(rtt(delay)+"/no-collecting", func(b *testing.B) { echoKeys(b, delay, sol.DeviceOptions{Collect: 1}) })
	}
}

func echoKeys(b *testing.B, delay time.Duration, o sol.DeviceOptions) {
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
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}
