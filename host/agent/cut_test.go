package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/internal/setupcert"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/guid"
	"github.com/outband/outband/wire/mei"
)

// A cutBus is a bus that breaks at one of the messages that are written to it: the program is gone then, as if it had
// been killed, and with it its connections.
type cutBus struct {
	bus mei.Bus

	mu    sync.Mutex // guards what follows
	wrote int
	at    int  // at which message; 0: never
	after bool // once the engine has it, but before it answers
	down  bool
	open  []mei.Conn
}

type cutConn struct {
	mei.Conn
	b *cutBus
}

// gone is what a program sees that is cut off for good: nothing that waiting mends.
var gone = &mei.Error{Op: "write", Errno: mei.EACCES}

func (b *cutBus) Connect(ctx context.Context, client guid.GUID) (mei.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, gone
	}
	c, err := b.bus.Connect(ctx, client)
	if err != nil {
		return nil, err
	}
	b.open = append(b.open, c)
	return &cutConn{c, b}, nil
}

func (c *cutConn) Write(p []byte) (int, error) {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return 0, gone
	}
	b.wrote++
	if b.wrote != b.at {
		return c.Conn.Write(p)
	}
	if b.after {
		c.Conn.Write(p)
	}
	b.down = true
	for _, c := range b.open {
		c.Close()
	}
	return 0, gone
}

// TestActivationIsCut: wherever a program for setup is killed, no machine is left with a password that is not the one
// that it was to have, and the same again completes it.
func TestActivationIsCut(t *testing.T) {
	chain := setupcert.New(t, "amt.example.com", nil)
	certificate, err := agent.NewCertificate(chain.Key, chain.Certs)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		generation int
		client     bool // it is in client control mode to begin with
		mode       amthi.ControlMode
	}{
		{"client control mode", 12, false, amthi.ClientControl},
		{"client control mode, TLS only", 19, false, amthi.ClientControl},
		{"admin control mode", 12, false, amthi.AdminControl},
		{"admin control mode over TLS", 19, false, amthi.AdminControl},
		{"upgrade", 12, true, amthi.AdminControl},
		{"unprovision", 12, true, amthi.NotProvisioned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// try cuts the n-th message off and returns how many there were.
			try := func(t *testing.T, n int, after bool) (wrote int) {
				config := firmware.Config{Generation: tt.generation, Factory: !tt.client, Client: tt.client}
				if tt.client {
					config.Password = password
				}
				a, m := newAgent(t, config)
				if err := m.TrustRoot(chain.Root()); err != nil {
					t.Fatal(err)
				}
				whole := a.Bus
				cut := &cutBus{bus: whole, at: n, after: after}
				a.Bus = cut
				goal := agent.Goal{Mode: tt.mode, Password: password}
				if tt.mode == amthi.AdminControl {
					goal.Certificate = certificate
				}
				_, err := a.Reach(t.Context(), goal)
				if n == 0 && err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				// What has become of it: not set up, or set up with the one password.
				next := &agent.Agent{Bus: whole}
				if mode := m.ControlMode(); mode != firmware.ModeNone {
					same := goal
					same.Mode = amthi.ControlMode(mode)
					if plan, err := next.Plan(t.Context(), same); err != nil || len(plan.Steps) != 0 {
						t.Errorf("set up in %v, but with another password: %v", mode, err)
					}
				}
				if r, err := next.Reach(t.Context(), goal); err != nil || r.Mode != tt.mode {
					t.Errorf("again: %+v, %v", r, err)
				}
				return cut.wrote
			}
			total := 0
			synctest.Test(t, func(t *testing.T) { total = try(t, 0, false) })
			if total < 10 {
				t.Fatalf("only %d messages", total)
			}
			t.Logf("%d messages", total)
			step := 1
			if testing.Short() {
				step = 7
			}
			for n := 1; n <= total; n += step {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d of %d, after it was heard: %v", n, total, after), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { try(t, n, after) })
					})
				}
			}
		})
	}
}
