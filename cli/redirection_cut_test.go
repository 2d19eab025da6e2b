package cli_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/outband/outband/cli"
	"github.com/outband/outband/console"
	"github.com/outband/outband/lab"
)

// A listener hears what a program says, and does something when it says a certain thing.
type listener struct {
	mu   sync.Mutex
	said bytes.Buffer
	at   map[string]func() // by words; each is done once
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said.Write(p)
	for words, do := range l.at {
		if strings.Contains(l.said.String(), words) {
			delete(l.at, words)
			go do()
		}
	}
	return len(p), nil
}

func (l *listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

// closedMachine starts a machine that is on and has all redirection switched off, and a console of it.
func closedMachine(t *testing.T) (*lab.Lab, *lab.Running, *console.Client) {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Power: "on"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m := l.Machines[0]
	c, err := console.New(console.Config{Address: m.Address, Password: m.Password, Scheme: console.HTTP})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.SetFeatures(t.Context(), false, console.FeatureKVM, console.FeatureSOL, console.FeatureIDER); err != nil {
		t.Fatal(err)
	}
	return l, m, c
}

// What was switched on for a session and cannot be switched off again, since the machine is gone, is told, however the
// session ends.
func TestStillSwitchedOn(t *testing.T) {
	for _, tt := range []struct {
		name, command, ready string
		args                 []string
	}{
		{"screen", "kvm", "point a VNC viewer at", []string{"--viewer", "none"}},
		{"drives", "ider", "the drives are there", []string{"--prompt"}},
		{"line", "sol", "serial line on", []string{"--listen", ":0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, m, _ := closedMachine(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			talk := &listener{at: map[string]func(){tt.ready: func() {
				l.Close()
				interrupt()
			}}}
			env := func(name string) string {
				return map[string]string{"AMT_PASSWORD": m.Password, "OUTBAND_HOSTS": t.TempDir() + "/hosts.json"}[name]
			}
			code := cli.Run(ctx, append([]string{"outband", tt.command, m.Address, "--enable"}, tt.args...), env, strings.NewReader(""), io.Discard, talk)
			if code == 0 || !strings.Contains(talk.String(), "is still switched on at "+m.Address) {
				t.Errorf("exit %d, %s", code, talk)
			}
		})
	}
}
