package sol

import (
	"io"
	"net"
	"testing"

	"github.com/outband/outband/internal/wiretest"
)

var transports = []struct {
	name string
	pair func(testing.TB) (near, far net.Conn)
}{
	{"pipe", func(testing.TB) (near, far net.Conn) { return net.Pipe() }},
	{"loopback", wiretest.Loopback},
}

// One key is pressed, the host echoes it, the console shows it.
func BenchmarkEcho(b *testing.B) {
	for _, tt := range transports {
		b.Run(tt.name, func(b *testing.B) {
			near, far := tt.pair(b)
			s, d := ends(b, b.Context(), near, far, Options{}, DeviceOptions{Collect: 1, Settle: 1})
			defer d.Close()
			defer s.Close()
			go io.Copy(d, d)
			key := make([]byte, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Write(key); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Read(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The host writes a long log.
func BenchmarkFromHost(b *testing.B) {
	for _, tt := range transports {
		b.Run(tt.name, func(b *testing.B) {
			near, far := tt.pair(b)
			s, d := ends(b, b.Context(), near, far, Options{}, DeviceOptions{Settle: 1})
			defer d.Close()
			defer s.Close()
			log := make([]byte, 4096)
			go func() {
				for {
					if _, err := d.Write(log); err != nil {
						return
					}
				}
			}()
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			buf := make([]byte, len(log))
			for b.Loop() {
				if _, err := io.ReadFull(s, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
