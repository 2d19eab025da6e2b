package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/lab"
)

// openTerminal returns a terminal and what a person has of it: keys to write, a screen to read.
func openTerminal(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	person = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { person.Close() })
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

// At a terminal each line of ours begins at the left edge, also while keys are passed on as they are, and the shell's
// prompt behind the session does.
func TestSOLAtTerminal(t *testing.T) {
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Power: "on"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m := w.Machines[0]
	person, terminal := openTerminal(t)
	env := map[string]string{"AMT_PASSWORD": m.Password, "OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, []string{"outband", "sol", m.Address, "--enable"}, func(name string) string { return env[name] }, terminal, terminal, terminal)
		fmt.Fprint(terminal, "$ ") // the shell's
	}()
	var screen bytes.Buffer
	person.SetReadDeadline(time.Now().Add(time.Minute))
	until := func(word string) {
		t.Helper()
		for b := make([]byte, 1024); !strings.Contains(screen.String(), word); {
			n, err := person.Read(b)
			screen.Write(b[:n])
			if err != nil {
				t.Fatalf("no %q: %v\n%q", word, err, screen.String())
			}
		}
	}
	until("pc# ")
	if text := screen.String(); !strings.Contains(text, "connected; Enter ~. ends\r\n") || strings.Contains(text, " connected") {
		t.Errorf("the screen is %q", text)
	}
	io.WriteString(person, "\r~.")
	until("$ ")
	if text := screen.String(); !strings.HasSuffix(text, "\r\n$ ") {
		t.Errorf("in the end the screen is %q", text)
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}
