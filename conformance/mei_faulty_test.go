package conformance

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// A faultyME is the firmware that the tests of package mei have (wire/mei/suite_test.go, driver_linux_test.go), with what
// goes wrong in firmware.
type faultyME struct {
	*mei.Engine
	starts atomic.Int32 // of the driver: one more after each reset

	mu    sync.Mutex // guards what follows
	link  mei.Link
	conns map[mei.Conn]struct{} // to many
}

var (
	suiteMany   = guid.FromSeed("many connections")
	suiteSingle = guid.FromSeed("single connection")
	suiteDeaf   = guid.FromSeed("deaf")
	suiteSteer  = guid.FromSeed("steer")
)

func newFaultyME(t *testing.T) *faultyME {
	f := &faultyME{Engine: mei.NewEngine(), conns: make(map[mei.Conn]struct{})}
	f.Ignore = func(m mei.Message) bool {
		if _, ok := m.(mei.StartRequest); ok {
			f.starts.Add(1)
		}
		return false
	}
	many := func(ctx context.Context, c mei.Conn) {
		f.mu.Lock()
		f.conns[c] = struct{}{}
		f.mu.Unlock()
		echo(ctx, c)
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}
	for _, c := range []mei.Client{
		{Properties: mei.Properties{Client: suiteMany, Version: 1, MaxConnections: 20, MaxMsgLen: 5120}, Serve: many},
		{Properties: mei.Properties{Client: suiteSingle, Version: 2, MaxConnections: 1, MaxMsgLen: 512}, Serve: echo},
		{Properties: mei.Properties{Client: suiteDeaf, Version: 1, MaxConnections: 1, MaxMsgLen: 512}, Serve: func(ctx context.Context, _ mei.Conn) { <-ctx.Done() }},
		{Properties: mei.Properties{Client: suiteSteer, Version: 1, MaxConnections: 2, MaxMsgLen: 512}, Serve: f.steer},
	} {
		if err := f.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// echo sends back what it gets, but for the words that stand for other answers.
func echo(ctx context.Context, c mei.Conn) {
	for {
		m, err := mei.Receive(ctx, c)
		if err != nil {
			return
		}
		answers := [][]byte{m}
		switch string(m) {
		case "two":
			answers = [][]byte{[]byte("one of two"), []byte("two of two")}
		case "empty":
			answers = [][]byte{{}}
		case "silence":
			answers = nil
		}
		for _, a := range answers {
			if mei.Send(ctx, c, a) != nil {
				return
			}
		}
	}
}

// steer does what the guest says.
func (f *faultyME) steer(ctx context.Context, c mei.Conn) {
	for {
		m, err := mei.Receive(ctx, c)
		if err != nil {
			return
		}
		switch string(m) {
		case "reset":
			f.Reset()
		case "hang up":
			f.each(func(c mei.Conn) { c.Close() })
		case "raise":
			f.each(func(c mei.Conn) { c.(mei.Raiser).Raise() })
		}
		if mei.Send(ctx, c, []byte("done")) != nil {
			return
		}
	}
}

func (f *faultyME) each(do func(mei.Conn)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		do(c)
	}
}

// serve runs the engine behind a function.
func (f *faultyME) serve(ctx context.Context, link mei.Link) error {
	f.mu.Lock()
	f.link = link
	f.mu.Unlock()
	return f.Run(ctx, link)
}

// inject sends what an engine would not.
func (f *faultyME) inject(t *testing.T, packet []byte) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.link.Send(packet); err != nil {
		t.Fatal(err)
	}
}
