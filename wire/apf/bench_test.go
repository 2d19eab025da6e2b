package apf

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
)

const benchChunk = 32 << 10

// tcpPair is a connection over the loopback interface.
func tcpPair(b *testing.B) (net.Conn, net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Skip(err)
	}
	defer l.Close()
	one, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	two, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		one.Close()
		two.Close()
	})
	return one, two
}

// pump sends b.N chunks, shared out among the connections, and waits until all have arrived.
func pump(b *testing.B, from, to []net.Conn) {
	b.SetBytes(benchChunk)
	b.ReportAllocs()
	chunk := make([]byte, benchChunk)
	sinks := make([][]byte, len(to))
	for i := range sinks {
		sinks[i] = make([]byte, benchChunk)
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range from {
		n := b.N / len(from)
		if i < b.N%len(from) {
			n++
		}
		wg.Go(func() {
			for range n {
				if _, err := from[i].Write(chunk); err != nil {
					b.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for range n {
				if _, err := io.ReadFull(to[i], sinks[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

func channels(b *testing.B, d, s *Session, n int) (from, to []net.Conn) {
	l := listen(b, d, 16994)
	for range n {
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				b.Error(err)
			}
			accepted <- c
		}()
		c, err := s.Dial(b.Context(), 16994)
		if err != nil {
			b.Fatal(err)
		}
		from, to = append(from, <-accepted), append(to, c)
	}
	return from, to
}

// From the machine to the gateway, with the plain connection beside it.
func BenchmarkThroughput(b *testing.B) {
	b.Run("tcp", func(b *testing.B) {
		one, two := tcpPair(b)
		pump(b, []net.Conn{one}, []net.Conn{two})
	})
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("tcp/channels=%d", n), func(b *testing.B) {
			one, two := tcpPair(b)
			d, s := pairOn(b, one, two, Config{}, Config{})
			from, to := channels(b, d, s, n)
			pump(b, from, to)
		})
	}
	b.Run("pipe", func(b *testing.B) {
		one, two := net.Pipe()
		pump(b, []net.Conn{one}, []net.Conn{two})
		one.Close()
		two.Close()
	})
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("pipe/channels=%d", n), func(b *testing.B) {
			d, s := pair(b, Config{}, Config{})
			from, to := channels(b, d, s, n)
			pump(b, from, to)
		})
	}
	b.Run("tcp/window=4096", func(b *testing.B) { // what other consoles grant
		one, two := tcpPair(b)
		d, s := pairOn(b, one, two, Config{}, Config{Window: 4096})
		from, to := channels(b, d, s, 1)
		pump(b, from, to)
	})
}

// One byte there and back.
func BenchmarkRoundTrip(b *testing.B) {
	ping := func(b *testing.B, one, two net.Conn) {
		b.ReportAllocs()
		go func() {
			buf := make([]byte, 1)
			for {
				if _, err := two.Read(buf); err != nil {
					return
				}
				if _, err := two.Write(buf); err != nil {
					return
				}
			}
		}()
		buf := make([]byte, 1)
		for b.Loop() {
			if _, err := one.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(one, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("tcp", func(b *testing.B) {
		one, two := tcpPair(b)
		ping(b, one, two)
	})
	b.Run("tcp/channel", func(b *testing.B) {
		one, two := tcpPair(b)
		d, s := pairOn(b, one, two, Config{}, Config{})
		from, to := channels(b, d, s, 1)
		ping(b, to[0], from[0])
	})
}

// A channel per request, as HTTP clients over APF do.
func BenchmarkOpenAndClose(b *testing.B) {
	one, two := tcpPair(b)
	d, s := pairOn(b, one, two, Config{}, Config{})
	l := listen(b, d, 16992)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		c, err := s.Dial(b.Context(), 16992)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

func BenchmarkParse(b *testing.B) {
	b.Run("data=1024", func(b *testing.B) {
		wire := Data{1, make([]byte, 1024)}.Append(nil)
		b.SetBytes(int64(len(wire)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := ParseData(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("window-adjust", func(b *testing.B) {
		wire := WindowAdjust{1, 4096}.Append(nil)
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := ParseWindowAdjust(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("channel-open", func(b *testing.B) {
		wire := ChannelOpen{TypeForwarded, 1, 4096, "127.0.0.1", 16992, "127.0.0.1", 1024}.Append(nil)
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := ParseChannelOpen(wire); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Finding and parsing messages in a stream.
func BenchmarkReader(b *testing.B) {
	for _, size := range []int{16, 1024, 16 << 10} {
		b.Run(fmt.Sprintf("data=%d", size), func(b *testing.B) {
			wire := Data{1, make([]byte, size)}.Append(nil)
			r := NewReader(&endless{message: wire}, nil)
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				m, err := r.Next()
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := ParseData(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a machine that has called home and does nothing costs, both ends of it counted.
func BenchmarkIdleSessions(b *testing.B) {
	const n = 1000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		var sessions []*Session
		for range n {
			one, two := bufferedPipe()
			d, s := pairOn(b, one, two, Config{}, Config{})
			listen(b, d, 16992)
			sessions = append(sessions, d, s)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		for _, s := range sessions {
			s.Close()
		}
	}
	b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/(2*n), "B/session")
}
