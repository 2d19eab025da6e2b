package bench

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/virtual/firmware"
)

func duration(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }

// BenchmarkStatusSweep asks 1,000 machines for their power state, as "outband power status" does: nothing is known but
// address and password. Each answer takes 5 ms; ten more machines accept connections and never answer, and are given
// up after two seconds. They must delay no other.
//
// Metrics: live-s is when the last live machine had answered, wall-s when the dead ones were given up; floor-s is what
// cannot be undercut, two answers one after the other (the challenge, then the states) for each of the machines that
// are asked at once. client-cpu-s is the processor time of the client, which is this process alone.
func BenchmarkStatusSweep(b *testing.B) {
	const (
		count   = 1000
		dead    = 10
		delayMS = 5
		giveUp  = 2 * time.Second
	)
	r := machines(b, order{Profile: 12, Count: count, Silent: dead, DelayMS: delayMS})
	targets := slices.Clone(r.Live)
	for i, address := range r.Silent { // spread among the others
		targets = slices.Insert(targets, i*len(targets)/dead, address)
	}
	var live, wall time.Duration
	sweeps, cpu := 0, processorTime()
	for b.Loop() {
		began := time.Now()
		answered := 0
		for out := range console.Each(b.Context(), targets, &console.EachOptions{Timeout: giveUp}, powerOf) {
			switch {
			case slices.Contains(r.Silent, out.Target):
				if out.Err == nil {
					b.Fatalf("%s is silent, but answered", out.Target)
				}
			case out.Err != nil:
				b.Fatalf("%s: %v", out.Target, out.Err)
			case out.Value != console.PowerOn:
				b.Fatalf("%s is %v", out.Target, out.Value)
			default:
				if answered++; answered == count {
					live += time.Since(began)
				}
			}
		}
		wall += time.Since(began)
		sweeps++
	}
	n := float64(sweeps)
	rounds := (count + console.DefaultFanout - 1) / console.DefaultFanout
	b.ReportMetric((processorTime()-cpu).Seconds()/n, "client-cpu-s")
	b.ReportMetric(live.Seconds()/n, "live-s")
	b.ReportMetric(wall.Seconds()/n, "wall-s")
	b.ReportMetric((2 * time.Duration(rounds) * duration(delayMS)).Seconds(), "floor-s")
	b.ReportMetric(count*n/live.Seconds(), "machines/s")
}

func powerOf(ctx context.Context, address string) (console.Power, error) {
	c, err := console.New(console.Config{Address: address, Password: firmware.DefaultPassword})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	info, err := c.Power(ctx)
	return info.State, err
}
