package mei

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
)

// A virtual is firmware made of an Engine, with the suite's clients.
type virtual struct {
	*Engine
	mu    sync.Mutex
	conns map[Conn]struct{} // of many
}

func newVirtual(t testing.TB) *virtual {
	v := &virtual{Engine: NewEngine(), conns: map[Conn]struct{}{}}
	for _, c := range []Client{
		{Properties: Properties{Client: many, Version: 1, MaxConnections: 20, MaxMsgLen: 5120}, Serve: func(ctx context.Context, c Conn) {
			v.mu.Lock()
			v.conns[c] = struct{}{}
			v.mu.Unlock()
			serveAnswers(ctx, c)
			v.mu.Lock()
			delete(v.conns, c)
			v.mu.Unlock()
		}},
		{Properties: Properties{Client: single, Version: 2, MaxConnections: 1, MaxMsgLen: 512}, Serve: serveAnswers},
		{Properties: Properties{Client: deaf, Version: 1, MaxConnections: 1, MaxMsgLen: 512}, Serve: func(ctx context.Context, c Conn) { <-ctx.Done() }},
	} {
		if err := v.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// serveAnswers is the work of a client.
func serveAnswers(ctx context.Context, c Conn) {
	for {
		m, err := Receive(ctx, c)
		if err != nil {
			return
		}
		for _, answer := range answers(m) {
			if Send(ctx, c, answer) != nil {
				return
			}
		}
	}
}

func (v *virtual) each(do func(c Conn)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for c := range v.conns {
		do(c)
	}
}

// run starts both sides on a link, and stops them with the test.
func run(t testing.TB, h *Host, e *Engine, host, me Link) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { e.Run(ctx, me) })
	group.Go(func() { h.Run(ctx, host) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
}

func userspace(t *testing.T, host, me Link, slots int) world {
	h, v := NewHost(), newVirtual(t)
	v.Depth = slots
	run(t, h, v.Engine, host, me)
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return world{
		bus:     h,
		reset:   v.Reset,
		hangUp:  func() { v.each(func(c Conn) { c.Close() }) },
		raise:   func() { v.each(func(c Conn) { c.(Raiser).Raise() }) },
		restart: func(t *testing.T) error { return h.Ready(t.Context()) },
	}
}

func TestUserspaceBus(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		suite(t, func(t *testing.T) world {
			host, me := Pipe()
			return userspace(t, host, me, 128)
		})
	})
	t.Run("stream, 32 slots", func(t *testing.T) {
		suite(t, func(t *testing.T) world {
			host, me := net.Pipe()
			return userspace(t, NewLink(host), NewLink(me), 32)
		})
	})
}

func TestRunEnds(t *testing.T) {
	host, me := Pipe()
	h, why := NewHost(), errors.New("switched off")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx, host) }()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if _, err := me.Receive(); err == nil {
		for err == nil { // what the host had sent before
			_, err = me.Receive()
		}
	}
	if err := me.Send([]byte{1, 2, 3, 4}); err == nil {
		t.Error("the link is still open")
	}
	if _, err := h.Connect(t.Context(), many); !errors.Is(err, ErrDisconnected) {
		t.Errorf("connect: %v", err)
	}
}
