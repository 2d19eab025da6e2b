package mei

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
)

// Packets come whole and in order, however far the ends are apart; who is too far ahead waits; what was sent before the
// end is still received.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		const last = 5 * pipeDepth
		sent, ended := 0, make(chan error, 1)
		go func() {
			for {
				if err := a.Send(fmt.Appendf(nil, "%0*d", sent%9+1, sent)); err != nil {
					ended <- err
					return
				}
				sent++
			}
		}()
		for i := range last {
			got, err := b.Receive()
			if want := fmt.Sprintf("%0*d", i%9+1, i); err != nil || string(got) != want {
				t.Fatalf("packet %d: %q, %v; want %q", i, got, err, want)
			}
		}
		synctest.Wait()
		if ahead := sent - last; ahead > 2*pipeDepth {
			t.Errorf("the sender is %d packets ahead", ahead)
		}
		b.Close()
		if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the waiting Send ended with %v", err)
		}
		for i := last; i < sent; i++ {
			if got, err := b.Receive(); err != nil || string(got) != fmt.Sprintf("%0*d", i%9+1, i) {
				t.Fatalf("packet %d, sent before the end: %q, %v", i, got, err)
			}
		}
		for name, l := range map[string]Link{"one end": a, "the other end": b} {
			if got, err := l.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("%s received %q, %v after the end", name, got, err)
			}
		}
	})
}

// A Receive that waits ends with the pipe.
func TestPipeCloseEndsReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		ended := make(chan error, 1)
		go func() {
			_, err := a.Receive()
			ended <- err
		}()
		synctest.Wait()
		b.Close()
		b.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	})
}
