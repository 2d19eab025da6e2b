package mei

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/wire/guid"
)

// An octetConn gives and takes one octet at a time, as a slow serial line may.
type octetConn struct{ net.Conn }

func (c octetConn) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), 1)]) }

func (c octetConn) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func octets() (host, me Link) {
	a, b := net.Pipe()
	return NewLink(octetConn{a}), NewLink(octetConn{b})
}

// The whole suite over a line that moves one octet at a time.
func TestOctetByOctet(t *testing.T) {
	suite(t, func(t *testing.T) world {
		host, me := octets()
		return userspace(t, host, me, 32)
	})
}

// Ten programs share a client that takes one connection, while the firmware restarts again and again, also in the middle of
// messages. No program gets an answer that is not its own, none hangs, and what was answered was done.
func TestTenProgramsAndResets(t *testing.T) {
	const programs, each, resets = 10, 40, 12
	client := guid.FromSeed("ten programs")
	var mu sync.Mutex // guards done
	done := map[string]int{}
	enough := make(chan struct{}, programs*each*4)
	e, h := NewEngine(), NewHost()
	err := e.Add(Client{Properties: Properties{Client: client, Version: 1, MaxConnections: 1, MaxMsgLen: 5120}, Serve: func(ctx context.Context, c Conn) {
		for {
			m, err := Receive(ctx, c)
			if err != nil {
				return
			}
			mu.Lock()
			done[string(m[:16])]++
			mu.Unlock()
			select {
			case enough <- struct{}{}:
			default:
			}
			if Send(ctx, c, append([]byte("re: "), m...)) != nil {
				return
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	host, me := Pipe()
	run(t, h, e, host, me)
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := Share(Retry{Bus: h, Attempts: 1000, Wait: time.Millisecond}, client)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // who hangs fails
	defer cancel()
	var resetting, work sync.WaitGroup
	over := make(chan struct{})
	resetting.Go(func() {
		for range resets {
			for range programs * each / resets {
				select {
				case <-enough:
				case <-over:
					return
				}
			}
			e.Reset()
		}
	})
	for i := range programs {
		work.Go(func() {
			for j := range each {
				name := fmt.Sprintf("%-16s", fmt.Sprint(i, " ", j))
				request := append([]byte(name), make([]byte, (i*977+j*131)%4000)...) // many are of several packets
				for {
					c, err := s.Connect(ctx, client)
					var answer []byte
					if err == nil {
						answer, err = Call(ctx, c, request)
						c.Close()
					}
					if err == nil {
						if string(answer) != "re: "+string(request) {
							t.Errorf("program %d asked %q and got %.20q, %d octets", i, name, answer, len(answer))
						}
						break
					}
					if ctx.Err() != nil || !Transient(err) {
						t.Errorf("program %d: %v", i, err)
						return
					}
				}
				mu.Lock()
				if done[name] == 0 {
					t.Errorf("%q was answered, but not done", name)
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	close(over)
	resetting.Wait()
	if err := s.Close(); err != nil && !Transient(err) {
		t.Error(err)
	}
	if len(done) != programs*each {
		t.Errorf("%d of %d were done", len(done), programs*each)
	}
}
