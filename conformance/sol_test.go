package conformance

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/lab"
)

// A typist is a program on a pseudo terminal of its own, which script(1) makes.
type typist struct {
	cmd  *exec.Cmd
	keys io.WriteCloser

	mu    sync.Mutex
	shown bytes.Buffer
}

func (p *typist) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.Write(b)
}

func (p *typist) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.ReplaceAll(p.shown.String(), "\r", "")
}

// onTerminal runs a command line on a terminal.
func onTerminal(t *testing.T, env []string, line string) *typist {
	t.Helper()
	p := &typist{cmd: exec.Command(tool(t, "script", "bsdutils"), "-qefc", line, os.DevNull)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = patience
	var err error
	if p.keys, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// see waits until a text is shown.
func (p *typist) see(t *testing.T, text string) {
	t.Helper()
	for late := time.Now().Add(patience); !strings.Contains(p.text(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			p.cmd.Process.Kill()
			t.Fatalf("%q does not come; shown is %q", text, p.text())
		}
	}
}

// end waits for the program's end and returns its exit code.
func (p *typist) end(t *testing.T) int {
	t.Helper()
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.cmd.Wait()
	p.keys.Close()
	return p.cmd.ProcessState.ExitCode()
}

// serialMachine starts a machine whose serial line is redirected.
func serialMachine(t *testing.T, generation int) (*world, []string) {
	t.Helper()
	w := machine(t, lab.Machine{Profile: generation, Power: "on", Boot: "10ms"})
	w.wait(t, "running", isRunning)
	env := []string{"AMT_PASSWORD=" + password, "OUTBAND_HOSTS=" + filepath.Join(t.TempDir(), "hosts.json"), "TERM=dumb"}
	if got := run(t, env, "", outband(t), "feature", "enable", "sol", w.Address); got.code != 0 {
		t.Fatal(got)
	}
	return w, env
}

// TestAmtterm: Debian's amtterm carries text both ways, and is told that a second session is one too many.
func TestAmtterm(t *testing.T) {
	amtterm := tool(t, "amtterm", "amtterm")
	t.Parallel()
	w, env := serialMachine(t, 8)
	p := onTerminal(t, env, amtterm+" "+w.Address)
	p.see(t, "connected now, use ^] to escape")
	io.WriteString(p.keys, "\recho both ways\r")
	p.see(t, "\nboth ways\n")
	second := onTerminal(t, env, amtterm+" "+w.Address)
	second.see(t, "redirection session start failed")
	second.end(t)
	if got := w.Firmware.Sessions(); len(got) != 1 {
		t.Errorf("sessions %q", got)
	}
	io.WriteString(p.keys, "\recho still there\r")
	p.see(t, "\nstill there\n")
	io.WriteString(p.keys, "\x1d")
	if code := p.end(t); code != 0 || !strings.Contains(p.text(), "CLOSING -> CLOSED") {
		t.Errorf("exit code %d, shown %q", code, p.text())
	}
	free(t, w)
}

// free waits until the machine has noticed that a session is over.
func free(t *testing.T, w *world) {
	t.Helper()
	for late := time.Now().Add(patience); len(w.Firmware.Sessions()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("sessions %q are left", w.Firmware.Sessions())
		}
	}
}

// TestAmttermPersonality: ours says what Debian's says, where that can talk to the machine, and talks to all others too.
func TestAmttermPersonality(t *testing.T) {
	theirs, mine := tool(t, "amtterm", "amtterm"), filepath.Join(calledAs(t, "amtterm"), "amtterm")
	session := func(t *testing.T, w *world, env []string, line string) (text string, code int) {
		p := onTerminal(t, env, line)
		p.see(t, "DTR is asserted")
		io.WriteString(p.keys, "\recho seen\r")
		p.see(t, "\nseen\n")
		io.WriteString(p.keys, "\x1d")
		code = p.end(t)
		free(t, w)
		return p.text(), code
	}
	// states are the lines that the program says itself.
	states := func(text string) (out []string) {
		for _, line := range strings.Split(text, "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "amtterm: ") || strings.HasPrefix(line, "ipv4 ") || strings.Contains(line, "redirection ok") || strings.Contains(line, "escape") || strings.Contains(line, "asserted") {
				out = append(out, line)
			}
		}
		return out
	}
	for _, generation := range []int{8, 11, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w, env := serialMachine(t, generation)
			text, code := session(t, w, env, mine+" "+w.Address)
			if code != 0 || len(states(text)) != 13 {
				t.Errorf("exit code %d, shown %q", code, text)
			}
			if generation != 8 {
				return
			}
			want, _ := session(t, w, env, theirs+" "+w.Address)
			if got, want := strings.Join(states(text), "\n"), strings.Join(states(want), "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, line := range []string{" -p wrong " + w.Address, " -h", " " + w.Address + " 16999"} {
				got, want := onTerminal(t, env, mine+line), onTerminal(t, env, theirs+line)
				got.end(t)
				want.end(t)
				for _, s := range states(want.text()) {
					if strings.Contains(s, "ERROR") && !strings.Contains(got.text(), strings.TrimSuffix(s, "amtterm: ERROR: ")) {
						t.Errorf("%s: %q is not in %q", line, s, got.text())
					}
				}
			}
		})
	}
}
