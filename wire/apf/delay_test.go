package apf

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// longLine is a connection whose bytes take a while each way, and of which any number may be on their way.
func longLine(t testing.TB, delay time.Duration) (a, b net.Conn) {
	t.Helper()
	a, nearA := net.Pipe()
	b, nearB := net.Pipe()
	type chunk struct {
		bytes []byte
		due   time.Time
	}
	var wg sync.WaitGroup
	carry := func(from, to net.Conn) {
		queue := make(chan chunk, 1<<12)
		wg.Go(func() {
			defer close(queue)
			for {
				b := make([]byte, 64<<10)
				n, err := from.Read(b)
				if err != nil {
					return
				}
				queue <- chunk{b[:n], time.Now().Add(delay)}
			}
		})
		wg.Go(func() {
			defer to.Close()
			for c := range queue {
				time.Sleep(time.Until(c.due))
				to.Write(c.bytes)
			}
		})
	}
	carry(nearA, nearB)
	carry(nearB, nearA)
	t.Cleanup(wg.Wait) // after both sessions were closed
	return a, b
}

// Over a line with delay a channel carries one window of the peer's for each way there and back, whatever ours is.
func TestWindowBoundsThroughput(t *testing.T) {
	const trip = 40 * time.Millisecond
	for _, window := range []int{4 << 10, 16 << 10, 256 << 10} {
		for _, ours := range []int{1 << 10, 1 << 20} {
			t.Run("", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := longLine(t, trip/2)
					d, s := pairOn(t, a, b, Config{Window: window}, Config{Window: ours})
					accepted, dialled := connected(t, d, s)
					const windows = 20
					start := time.Now()
					go dialled.Write(make([]byte, windows*window))
					if _, err := io.ReadFull(accepted, make([]byte, windows*window)); err != nil {
						t.Fatal(err)
					}
					took := time.Since(start)
					if least, most := (windows-1)*trip, (windows+1)*trip; took < least || took > most {
						t.Errorf("window %d, ours %d: %d windows took %v, want %v to %v", window, ours, windows, took, least, most)
					}
				})
			})
		}
	}
}
