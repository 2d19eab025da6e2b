package bench

import "testing"

// BenchmarkIdleMachine starts 1,000 machines that listen on their ports and wait, and reports what one costs: live heap
// and stacks as the Go runtime counts them, and what the resident set grew by. Sockets in the kernel come on top.
func BenchmarkIdleMachine(b *testing.B) {
	const count = 1000
	for _, bb := range []struct {
		name       string
		generation int
	}{{"generation 12", 12}, {"generation 19", 19}} {
		b.Run(bb.name, func(b *testing.B) {
			var sum report
			n := 0.0
			for b.Loop() {
				r, stop := start(b, order{Profile: bb.generation, Count: count})
				stop()
				sum.Heap += r.Heap
				sum.Stacks += r.Stacks
				sum.RSS += r.RSS
				sum.Goroutines += r.Goroutines
				n++
			}
			b.ReportMetric(sum.Heap/n/1024, "heap-KiB/machine")
			b.ReportMetric(sum.Stacks/n/1024, "stack-KiB/machine")
			b.ReportMetric(sum.RSS/n/1024, "RSS-KiB/machine")
			b.ReportMetric(sum.Goroutines/n, "goroutines/machine")
		})
	}
}
