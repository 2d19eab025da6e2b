package bench

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// delays are round-trip times of a network cable, a company's network and a line across a country.
var delays = []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond}

// link returns the two ends of a TCP connection over loopback. With a delay it leads through a relay that holds back
// each piece for half of it, in either direction, however many pieces are on their way: a long line, not a thin one.
func link(b *testing.B, delay time.Duration) (near, far net.Conn) {
	b.Helper()
	if delay == 0 {
		return loopback(b)
	}
	near, a := loopback(b)
	c, far := loopback(b)
	var wg sync.WaitGroup
	wg.Go(func() { hold(c, a, delay/2) })
	wg.Go(func() { hold(a, c, delay/2) })
	b.Cleanup(func() {
		near.Close()
		far.Close()
		wg.Wait()
	})
	return near, far
}

func loopback(b *testing.B) (near, far net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return near, far
}

// hold copies from one connection to the other, later.
func hold(to, from net.Conn, delay time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 4096)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	})
	for {
		data := make([]byte, 64<<10)
		n, err := from.Read(data)
		if n > 0 {
			pieces <- piece{time.Now().Add(delay), data[:n]}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	from.Close()
	for range pieces { // what was not written any more
	}
	wg.Wait()
}

// exchange is the floor under a protocol that has one command under way: a short question, a long answer, by plain TCP.
func exchange(b *testing.B, delay time.Duration, ask, answer int) {
	near, far := link(b, delay)
	var wg sync.WaitGroup
	wg.Go(func() {
		question, reply := make([]byte, ask), make([]byte, answer)
		for {
			if _, err := io.ReadFull(far, question); err != nil {
				return
			}
			if _, err := far.Write(reply); err != nil {
				return
			}
		}
	})
	defer wg.Wait()
	defer near.Close()
	defer far.Close()
	question, reply := make([]byte, ask), make([]byte, answer)
	for b.Loop() {
		if _, err := near.Write(question); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(near, reply); err != nil {
			b.Fatal(err)
		}
	}
}

func rtt(d time.Duration) string { return fmt.Sprintf("rtt=%v", d) }
