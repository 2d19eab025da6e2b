package bench

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/wire/ider"
	"github.com/outband/outband/wire/redir"
)

// discSize is what a host reads from, over and over.
const discSize = 16 << 20

// A disc is an image in memory.
type disc []byte

func (d disc) ReadAt(p []byte, off int64) (int, error) { return copy(p, d[off:]), nil }

// overhead is what the protocol adds: the question, and a header for each 8 KiB of the answer. Source: spec ider.md.
const (
	commandLen = 28
	dataHeader = 34
	dataPiece  = 8 << 10
)

// BenchmarkIDER reads a CD in order, as a host does: pieces of 2 KiB, as a BIOS, or of 64 KiB, as an operating system.
// With read-ahead the machine's end fetches 64 KiB when 2 KiB are asked for. Beside it stands the floor: as many bytes
// asked and answered by plain TCP over the same line, one question at a time, as the protocol has it.
func BenchmarkIDER(b *testing.B) {
	for _, delay := range delays {
		for _, size := range []int{2 << 10, 64 << 10} {
			pieces := (size + dataPiece - 1) / dataPiece
			b.Run(fmt.Sprintf("%s/read=%d/floor", rtt(delay), size), func(b *testing.B) {
				b.SetBytes(int64(size))
				exchange(b, delay, commandLen, size+pieces*dataHeader)
			})
			b.Run(fmt.Sprintf("%s/read=%d/outband", rtt(delay), size), func(b *testing.B) { readDisc(b, delay, size, 0) })
		}
		b.Run(rtt(delay)+"/read=2048/read-ahead", func(b *testing.B) { readDisc(b, delay, 2<<10, 64<<10) })
	}
}

func readDisc(b *testing.B, delay time.Duration, size, ahead int) {
	image := make(disc, discSize)
	rand.NewChaCha8([32]byte{}).Read(image)
	near, far := link(b, delay)
	var d *ider.Device
	var derr error
	var wg sync.WaitGroup
	wg.Go(func() { d, derr = ider.Accept(b.Context(), redir.NewConn(far), ider.DeviceOptions{Settle: 1}) })
	s, err := ider.Open(b.Context(), redir.NewConn(near), ider.Options{CD: &ider.Medium{Image: image, Size: discSize}})
	wg.Wait()
	if err != nil || derr != nil {
		b.Fatal(err, derr)
	}
	defer d.Close()
	defer s.Close()
	k, err := d.Disk(b.Context(), ider.CD)
	if err != nil {
		b.Fatal(err)
	}
	k.ReadAhead = ahead
	buf := make([]byte, size)
	at := int64(0)
	read := func() {
		if _, err := k.ReadAt(buf, at); err != nil {
			b.Fatal(err)
		}
		if buf[0] != image[at] || buf[size-1] != image[at+int64(size)-1] {
			b.Fatal("the data is not what is on the disc")
		}
		if at += int64(size); at == discSize {
			at = 0
		}
	}
	read() // buffers are made here
	b.SetBytes(int64(size))
	b.ReportAllocs()
	before := s.Stats().Commands
	reads := 0
	for b.Loop() {
		read()
		reads++
	}
	b.ReportMetric(float64(s.Stats().Commands-before)/float64(reads), "commands/op")
}
