package apf

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What a net.Conn must do, along the list of golang.org/x/net/nettest.TestConn. Timed ones run on a clock of their own.
func TestConn(t *testing.T) {
	configs := []struct {
		name     string
		dev, srv Config
	}{
		{"CIRA", Config{}, Config{}},
		{"LME", Config{LME: true, Window: 1024}, Config{LME: true}},
	}
	tests := []struct {
		name string
		run  func(t *testing.T, a, b net.Conn)
	}{
		{"BasicIO", testBasicIO},
		{"PingPong", testPingPong},
		{"RacyRead", testRacyRead},
		{"RacyWrite", testRacyWrite},
		{"ReadTimeout", testReadTimeout},
		{"WriteTimeout", testWriteTimeout},
		{"PastTimeout", testPastTimeout},
		{"PresentTimeout", testPresentTimeout},
		{"FutureTimeout", testFutureTimeout},
		{"CloseTimeout", testCloseTimeout},
		{"ConcurrentMethods", testConcurrentMethods},
		{"CloseOfPeer", testCloseOfPeer},
	}
	for _, cfg := range configs {
		for _, tt := range tests {
			t.Run(cfg.name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					one, two := bufferedPipe()
					if cfg.dev.LME {
						one, two = packetPipe()
					}
					d, s := pairOn(t, one, two, cfg.dev, cfg.srv)
					a, b := connected(t, d, s)
					tt.run(t, a, b)
					a.Close()
					b.Close()
					d.Close()
					s.Close()
				})
			})
		}
	}
}

// chunkedCopy copies in pieces of 1 KiB, as other copies may use shortcuts.
func chunkedCopy(w io.Writer, r io.Reader) error {
	b := make([]byte, 1024)
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, b)
	return err
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	if e, ok := err.(net.Error); !ok || !e.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

func testBasicIO(t *testing.T, a, b net.Conn) {
	want := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(0, 0))
	for i := range want {
		want[i] = byte(random.Uint32())
	}
	back := make(chan []byte, 1)
	go func() {
		if err := chunkedCopy(a, bytes.NewReader(want)); err != nil {
			t.Errorf("write: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	go func() {
		var got bytes.Buffer
		if err := chunkedCopy(&got, b); err != nil {
			t.Errorf("read: %v", err)
		}
		back <- got.Bytes()
	}()
	if got := <-back; !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, other than the %d that were sent", len(got), len(want))
	}
}

func testPingPong(t *testing.T, a, b net.Conn) {
	var wg sync.WaitGroup
	pingPong := func(c net.Conn) {
		buf := make([]byte, 8)
		var last uint64
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				if err != io.EOF {
					t.Errorf("read: %v", err)
				}
				return
			}
			v := binary.LittleEndian.Uint64(buf)
			if v != last+1 && last != 0 {
				t.Errorf("got %d after %d", v, last)
			}
			last = v + 1
			binary.LittleEndian.PutUint64(buf, v+1)
			if v == 1000 {
				c.Close()
				return
			}
			if _, err := c.Write(buf); err != nil {
				t.Errorf("write: %v", err)
			}
		}
	}
	wg.Go(func() { pingPong(a) })
	wg.Go(func() { pingPong(b) })
	if _, err := a.Write(make([]byte, 8)); err != nil {
		t.Errorf("first write: %v", err)
	}
	wg.Wait()
}

func testRacyRead(t *testing.T, a, b net.Conn) {
	go chunkedCopy(b, rand.NewChaCha8([32]byte{}))
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			b1, b2 := make([]byte, 1024), make([]byte, 1024)
			a.SetReadDeadline(time.Now().Add(time.Millisecond))
			for range 10 {
				n, err := a.Read(b1)
				copy(b2, b1[:n]) // a read by somebody else would race here
				if err != nil {
					wantTimeout(t, err)
					a.SetReadDeadline(time.Now().Add(time.Millisecond))
				}
			}
		})
	}
	wg.Wait()
}

func testRacyWrite(t *testing.T, a, b net.Conn) {
	go chunkedCopy(io.Discard, b)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			buf := make([]byte, 1024)
			a.SetWriteDeadline(time.Now().Add(time.Millisecond))
			for range 10 {
				if _, err := a.Write(buf); err != nil {
					wantTimeout(t, err)
					a.SetWriteDeadline(time.Now().Add(time.Millisecond))
				}
				clear(buf) // a writer that kept it would race here
			}
		})
	}
	wg.Wait()
}

func testReadTimeout(t *testing.T, a, b net.Conn) {
	go chunkedCopy(io.Discard, b)
	a.SetReadDeadline(time.Unix(1, 0))
	_, err := a.Read(make([]byte, 1024))
	wantTimeout(t, err)
	if _, err := a.Write(make([]byte, 1024)); err != nil {
		t.Errorf("write: %v", err)
	}
}

func testWriteTimeout(t *testing.T, a, b net.Conn) {
	go chunkedCopy(b, rand.NewChaCha8([32]byte{}))
	a.SetWriteDeadline(time.Unix(1, 0))
	_, err := a.Write(make([]byte, 1024))
	wantTimeout(t, err)
	if _, err := a.Read(make([]byte, 1024)); err != nil {
		t.Errorf("read: %v", err)
	}
}

// checkRoundTrip makes sure that deadlines can be undone.
func checkRoundTrip(t *testing.T, a net.Conn) {
	t.Helper()
	a.SetDeadline(time.Time{})
	const ping = "ping"
	got := make([]byte, len(ping))
	if _, err := io.WriteString(a, ping); err != nil {
		t.Errorf("write: %v", err)
	}
	if _, err := io.ReadFull(a, got); err != nil || string(got) != ping {
		t.Errorf("%q came back: %v", got, err)
	}
}

func testPastTimeout(t *testing.T, a, b net.Conn) {
	go chunkedCopy(b, b)
	checkRoundTrip(t, a)
	a.SetDeadline(time.Unix(1, 0))
	n, err := a.Write(make([]byte, 1024))
	wantTimeout(t, err)
	if n != 0 {
		t.Errorf("wrote %d", n)
	}
	n, err = a.Read(make([]byte, 1024))
	wantTimeout(t, err)
	if n != 0 {
		t.Errorf("read %d", n)
	}
	checkRoundTrip(t, a)
}

func testPresentTimeout(t *testing.T, a, b net.Conn) {
	var wg sync.WaitGroup
	wg.Go(func() {
		time.Sleep(100 * time.Millisecond)
		a.SetDeadline(time.Now())
	})
	wg.Go(func() {
		n, err := a.Read(make([]byte, 1024))
		wantTimeout(t, err)
		if n != 0 {
			t.Errorf("read %d", n)
		}
	})
	wg.Go(func() {
		var err error
		for err == nil {
			_, err = a.Write(make([]byte, 1024))
		}
		wantTimeout(t, err)
	})
	wg.Wait()
}

func testFutureTimeout(t *testing.T, a, b net.Conn) {
	a.SetDeadline(time.Now().Add(100 * time.Millisecond))
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := a.Read(make([]byte, 1024))
		wantTimeout(t, err)
	})
	wg.Go(func() {
		var err error
		for err == nil {
			_, err = a.Write(make([]byte, 1024))
		}
		wantTimeout(t, err)
	})
	wg.Wait()
	if took := time.Since(start); took != 100*time.Millisecond {
		t.Errorf("took %v", took)
	}
	go chunkedCopy(b, b)
	// What was written before comes back first.
	a.SetDeadline(time.Time{})
	go io.WriteString(a, "\xffend")
	var got []byte
	buf := make([]byte, 1024)
	for !bytes.HasSuffix(got, []byte("\xffend")) {
		n, err := a.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
}

func testCloseTimeout(t *testing.T, a, b net.Conn) {
	go chunkedCopy(b, b)
	var wg sync.WaitGroup
	a.SetDeadline(time.Now().Add(time.Hour))
	wg.Go(func() {
		time.Sleep(100 * time.Millisecond)
		a.Close()
	})
	wg.Go(func() {
		buf := make([]byte, 1024)
		var err error
		for err == nil {
			_, err = a.Read(buf)
		}
		if err != net.ErrClosed {
			t.Errorf("read: %v", err)
		}
	})
	wg.Go(func() {
		// Not in a loop: an echo in memory takes no time, and so the clock would stand still.
		a.Write(make([]byte, 1024))
	})
	wg.Wait()
}

func testConcurrentMethods(t *testing.T, a, b net.Conn) {
	go chunkedCopy(b, b)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { a.Read(make([]byte, 1024)) })
		wg.Go(func() { a.Write(make([]byte, 1024)) })
		wg.Go(func() { a.SetDeadline(time.Now().Add(10 * time.Millisecond)) })
		wg.Go(func() { a.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) })
		wg.Go(func() { a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) })
		wg.Go(func() { a.LocalAddr() })
		wg.Go(func() { a.RemoteAddr() })
	}
	wg.Wait()
}

// The end of one direction is the end of both; what has arrived can still be read.
func testCloseOfPeer(t *testing.T, a, b net.Conn) {
	if _, err := io.WriteString(a, "bye"); err != nil {
		t.Fatal(err)
	}
	a.Close()
	synctest.Wait()
	if _, err := b.Write([]byte("?")); err != ErrPeerClosed {
		t.Errorf("write: %v", err)
	}
	got, err := io.ReadAll(b)
	if string(got) != "bye" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	b.SetReadDeadline(time.Unix(1, 0))
	_, err = b.Read(make([]byte, 1))
	wantTimeout(t, err)
}

// A Write whose connection is stuck gives up in time.
func TestDeadlineOnAStuckConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := net.Pipe()
		stuck := &gate{Conn: two}
		d, s := pairOn(t, one, stuck, Config{}, Config{})
		_, b := connected(t, d, s)
		stuck.mu.Lock()
		b.SetWriteDeadline(time.Now().Add(time.Second))
		start := time.Now()
		var err error
		for err == nil { // the first ones wait in the writer's hands
			_, err = b.Write(make([]byte, 1000))
		}
		wantTimeout(t, err)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		stuck.mu.Unlock()
		d.Close()
		s.Close()
	})
}

// gate holds up writes while it is locked. It is polled, as a wait for a mutex would stop the clock.
type gate struct {
	net.Conn
	mu sync.Mutex
}

func (g *gate) Write(p []byte) (int, error) {
	for !g.mu.TryLock() {
		time.Sleep(10 * time.Millisecond)
	}
	g.mu.Unlock()
	return g.Conn.Write(p)
}
