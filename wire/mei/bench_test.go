package mei

import "testing"

// One request and its answer over Host, link in memory, and Engine.
func BenchmarkCall(b *testing.B) {
	host, me := Pipe()
	h, v := NewHost(), newVirtual(b)
	run(b, h, v.Engine, host, me)
	if err := h.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	c, err := h.Connect(b.Context(), many)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, bb := range []struct {
		name string
		size int
	}{{"12 bytes", 12}, {"5120 bytes", 5120}} {
		b.Run(bb.name, func(b *testing.B) {
			message := make([]byte, bb.size)
			b.SetBytes(int64(2 * bb.size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Call(b.Context(), c, message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
