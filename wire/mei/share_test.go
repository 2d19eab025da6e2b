package mei

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/guid"
)

// A fakeBus has one client of one connection, whose firmware is a function of the request; it may block.
type fakeBus struct {
	mu     sync.Mutex
	open   int
	dials  int
	answer func(ctx context.Context, request string) (string, bool)
	refuse error
}

func (b *fakeBus) Connect(ctx context.Context, client guid.GUID) (Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials++
	if b.refuse != nil {
		return nil, b.refuse
	}
	if b.open > 0 {
		return nil, &Error{Op: "connect", Client: client, Errno: EBUSY}
	}
	b.open++
	host, me := Pipe()
	h, e := NewHost(), NewEngine()
	e.Add(Client{Properties: Properties{Client: client, Version: 1, MaxConnections: 1, MaxMsgLen: 5120}, Serve: func(ctx context.Context, c Conn) {
		for {
			m, err := Receive(ctx, c)
			if err != nil {
				return
			}
			if answer, ok := b.answer(ctx, string(m)); ok {
				Send(ctx, c, []byte(answer))
			}
		}
	}})
	running, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { e.Run(running, me) })
	group.Go(func() { h.Run(running, host) })
	stop := func() {
		cancel()
		group.Wait()
		b.mu.Lock()
		b.open--
		b.mu.Unlock()
	}
	if err := h.Ready(ctx); err != nil {
		return nil, err
	}
	c, err := h.Connect(ctx, client)
	return stopping{c, stop}, err
}

// stopping stops its world when closed.
type stopping struct {
	Conn
	stop func()
}

func (s stopping) Close() error {
	err := s.Conn.Close()
	s.stop()
	return err
}

func echo(_ context.Context, m string) (string, bool) { return "re: " + m, true }

// Many programs, one connection: each gets its own answers, in its order.
func TestShare(t *testing.T) {
	bus := &fakeBus{answer: echo}
	s := Share(bus, AMTHI)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			c, err := s.Connect(t.Context(), AMTHI)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for j := range 10 {
				m := fmt.Sprint(i, " ", j)
				if got, err := Call(t.Context(), c, []byte(m)); err != nil || string(got) != "re: "+m {
					t.Errorf("got %q, %v; want re: %s", got, err, m)
				}
			}
			for j := range 5 { // several at once
				Send(t.Context(), c, []byte{byte('0' + j)})
			}
			for j := range 5 {
				if got, err := Receive(t.Context(), c); err != nil || string(got) != "re: "+string(byte('0'+j)) {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	group.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if bus.open != 0 {
		t.Error("the connection beneath is still open")
	}
	if _, err := s.Connect(t.Context(), AMTHI); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// The last user's leaving frees the client for other programs.
func TestShareLeavesClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &fakeBus{answer: echo}
		s := Share(bus, AMTHI)
		defer s.Close()
		a, _ := s.Connect(t.Context(), AMTHI)
		b, _ := s.Connect(t.Context(), AMTHI)
		Send(t.Context(), a, []byte("dropped"))
		a.Close()
		if got, err := Call(t.Context(), b, []byte("x")); string(got) != "re: x" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		b.Close()
		synctest.Wait()
		if bus.open != 0 || bus.dials != 1 {
			t.Errorf("%d open after %d dials", bus.open, bus.dials)
		}
		bus.refuse = &Error{Op: "connect", Errno: EBUSY}
		if _, err := s.Connect(t.Context(), AMTHI); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Connect(t.Context(), LME); !errors.Is(err, ErrBusy) { // passes through
			t.Errorf("got %v", err)
		}
	})
}

// Firmware that does not answer is given 12 s; the next one's request runs over a new connection.
func TestShareStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &fakeBus{answer: func(ctx context.Context, m string) (string, bool) { return "re: " + m, m != "stall" }}
		s := Share(bus, AMTHI)
		defer s.Close()
		a, _ := s.Connect(t.Context(), AMTHI)
		b, _ := s.Connect(t.Context(), AMTHI)
		start := time.Now()
		Send(t.Context(), a, []byte("stall"))
		if got, err := Call(t.Context(), b, []byte("next")); string(got) != "re: next" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if took := time.Since(start); took != 12*time.Second {
			t.Errorf("waited %v", took)
		}
		if _, err := Receive(t.Context(), a); !errors.Is(err, ErrDisconnected) {
			t.Errorf("got %v", err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, ErrDisconnected) {
			t.Errorf("got %v", err)
		}
		if bus.dials != 2 {
			t.Errorf("%d dials", bus.dials)
		}
		a.Close()
		b.Close()
	})
}

// An answer that is not taken in 10 s is dropped, and the reader told.
func TestShareAnswerExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Share(&fakeBus{answer: echo}, AMTHI)
		defer s.Close()
		c, _ := s.Connect(t.Context(), AMTHI)
		defer c.Close()
		Send(t.Context(), c, []byte("old"))
		time.Sleep(10 * time.Second) // of the bubble's clock
		if _, err := Receive(t.Context(), c); !errors.Is(err, ETIME) || !errors.Is(err, ErrNoAnswer) {
			t.Errorf("got %v", err)
		}
		if got, err := Call(t.Context(), c, []byte("new")); string(got) != "re: new" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// Requests not answered and answers not taken count against the queue.
func TestShareFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Share(&fakeBus{answer: echo}, AMTHI)
		defer s.Close()
		c, _ := s.Connect(t.Context(), AMTHI)
		defer c.Close()
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n := 0
		var err error
		for ; err == nil && n < 1000; n++ {
			_, err = c.Write([]byte("x"))
		}
		if n-1 != queueLimit || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d requests, %v", n-1, err)
		}
		if _, err := c.Write(make([]byte, 5121)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		c.SetWriteDeadline(time.Time{})
		if _, err := c.Write(make([]byte, 5121)); !errors.Is(err, EFBIG) {
			t.Errorf("got %v", err)
		}
		if _, err := Receive(t.Context(), c); err != nil {
			t.Error(err)
		}
		if _, err := c.Write([]byte("room again")); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry(t *testing.T) {
	busy := &Error{Op: "connect", Errno: EBUSY}
	for _, tt := range []struct {
		name   string
		errs   []error
		want   error
		dials  int
		waited time.Duration
	}{
		{"at once", nil, nil, 1, 0},
		{"busy, then being reset", []error{busy, &Error{Op: "open", Errno: ENODEV}}, nil, 3, 2250 * time.Millisecond},
		{"unknown", []error{&Error{Op: "connect", Errno: ENOTTY}}, ErrNoClient, 1, 0},
		{"no device", []error{&Error{Op: "open", Errno: ENOENT}}, os.ErrNotExist, 1, 0},
		{"not allowed", []error{&Error{Op: "open", Errno: EACCES}}, os.ErrPermission, 1, 0},
		{"busy for ever", []error{busy, busy, busy, busy, busy, busy, busy, busy, busy}, ErrBusy, 8, 21 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dials := 0
				bus := busFunc(func() (Conn, error) {
					dials++
					if dials <= len(tt.errs) {
						return nil, tt.errs[dials-1]
					}
					return &conn{}, nil
				})
				start := time.Now()
				c, err := Retry{Bus: bus}.Connect(t.Context(), AMTHI)
				if !errors.Is(err, tt.want) || (c == nil) != (tt.want != nil) || dials != tt.dials || time.Since(start) != tt.waited {
					t.Errorf("%v, %v after %d dials and %v", c, err, dials, time.Since(start))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := (Retry{Bus: busFunc(func() (Conn, error) { return nil, busy })}).Connect(ctx, AMTHI); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

type busFunc func() (Conn, error)

func (f busFunc) Connect(context.Context, guid.GUID) (Conn, error) { return f() }
