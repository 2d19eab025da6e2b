package pc

import "testing"

// A PC at rest is one allocation and no goroutine.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(Options{On: true})
	}
}
