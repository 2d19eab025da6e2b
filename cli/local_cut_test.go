package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/lab"
)

// A cutSocket stands before a machine's management engine and cuts the line when the program has spoken often enough.
type cutSocket struct {
	ln   net.Listener
	path string // of the engine
	wg   sync.WaitGroup

	mu    sync.Mutex // guards what follows
	heard int        // pieces from the program
	at    int        // at which the line is cut; 0: never
	open  []net.Conn
}

func newCutSocket(t *testing.T, path, engine string) *cutSocket {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &cutSocket{ln: ln, path: engine}
	s.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.carry(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		s.cut()
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// cut closes all. mu is held.
func (s *cutSocket) cut() {
	for _, c := range s.open {
		c.Close()
	}
	s.open = nil
}

// breakAt cuts the line at the n-th piece from now, 0 never, and tells how many there were before.
func (s *cutSocket) breakAt(n int) (heard int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard, s.heard, s.at = s.heard, 0, n
	return heard
}

func (s *cutSocket) carry(program net.Conn) {
	engine, err := net.Dial("unix", s.path)
	if err != nil {
		program.Close()
		return
	}
	s.mu.Lock()
	s.open = append(s.open, program, engine)
	s.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		pipe(program, engine, func() bool { return true })
		program.Close()
	})
	pipe(engine, program, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.heard++; s.heard != s.at {
			return true
		}
		s.cut()
		return false
	})
	engine.Close()
	back.Wait()
}

func pipe(to, from net.Conn, pass func() bool) {
	buf := make([]byte, 8<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !pass() {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestLocalIsCut: wherever the line to the management engine breaks while this PC's AMT is set up or configured, the same
// command again completes it, with the password and the profile that it was given.
func TestLocalIsCut(t *testing.T) {
	dir, err := os.MkdirTemp("", "cut") // short, as paths of sockets must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "office.yaml")
	profile := "version: 1\nredirection: {kvm: false}\nalarms: [{name: backup, start: 2040-05-01T04:30:00Z, every: 24h}]\nnetwork: {hostname: desk-7, ping: false}\n"
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	const password = "N3w$ecret"
	for _, tt := range []struct {
		name  string
		unset bool
		line  []string
	}{
		{"activate", true, []string{"local", "activate"}},
		{"configure", false, []string{"local", "configure", file, "--yes"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			try := func(t *testing.T, n int) int {
				engine, front := filepath.Join(dir, "me"), filepath.Join(dir, "cut")
				w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Power: "on", Unset: tt.unset, Password: password, ME: engine}}})
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				s := newCutSocket(t, front, engine)
				env := map[string]string{"OUTBAND_HOSTS": filepath.Join(dir, "hosts.json"), "AMT_NEW_PASSWORD": password, "AMT_PASSWORD": password}
				line := append(append([]string{"outband"}, tt.line...), "--bus", "unix:"+front)
				s.breakAt(n)
				code, _, first := invoke(t, env, "", line...)
				total := s.breakAt(0)
				if n == 0 && code != 0 {
					t.Fatalf("exit code %d: %s", code, first)
				}
				if code, _, again := invoke(t, env, "", line...); code != 0 {
					t.Errorf("again: exit code %d: %s\nfirst: %s", code, again, first)
				}
				// What is done is left out the third time, and the network has the same view.
				code, stdout, stderr := invoke(t, env, "", append(line, "-o", "json")...)
				if done := `"steps":[]`; code != 0 || !strings.Contains(stdout, done) && !strings.Contains(stdout, `"same":true`) {
					t.Errorf("a third time: exit code %d: %s%s", code, stdout, stderr)
				}
				if code, _, stderr := invoke(t, env, "", "outband", "power", "status", w.Machines[0].Address); code != 0 {
					t.Errorf("from the network: exit code %d: %s", code, stderr)
				}
				s.ln.Close()
				if err := os.Remove(front); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				return total
			}
			total := try(t, 0)
			if total < 20 {
				t.Fatalf("only %d pieces", total)
			}
			t.Logf("%d pieces", total)
			step := max(1, total/12)
			if testing.Short() {
				step = total / 5
			}
			for n := 1; n <= total; n += step {
				t.Run(fmt.Sprintf("%d of %d", n, total), func(t *testing.T) { try(t, n) })
			}
		})
	}
}
