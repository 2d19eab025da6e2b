package ider

import (
	"fmt"
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

// Reads of a CD, one command after the other, in pieces of 8 KiB as the protocol has it.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{2 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			near, far := wiretest.Loopback(b)
			s, d := ends(b, b.Context(), near, far, Options{CD: medium(noise(16 << 20))}, DeviceOptions{Settle: 1})
			defer d.Close()
			defer s.Close()
			k, err := d.Disk(b.Context(), CD)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, size)
			if _, err := k.ReadAt(buf, 0); err != nil { // buffers are made here
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			at := int64(0)
			for b.Loop() {
				if _, err := k.ReadAt(buf, at); err != nil {
					b.Fatal(err)
				}
				if at += int64(size); at == k.Size() {
					at = 0
				}
			}
			b.StopTimer()
			stats := s.Stats()
			b.ReportMetric(float64(stats.Mean().Nanoseconds()), "ns/service")
		})
	}
}

func BenchmarkCommands(b *testing.B) {
	u := unit{drive: CD}
	u.insert(testMedium("cd"), nothing)
	cdb := [12]byte{scsiModeSense10, 2: allPages, 8: 0xFF}
	b.ReportAllocs()
	for b.Loop() {
		if r := u.command(&cdb); len(r.data) != 42 {
			b.Fatal(len(r.data))
		}
	}
}
