package cli_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/outband/outband/cli"
	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/wire/redir"
)

// terminal is a pseudo terminal: what the user types on, and what the program has as its stdin.
func terminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		need.Missing(t, fmt.Errorf("pseudo terminals: %w", err))
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

// Ctrl-C at a prompt is heard: what was switched on is switched off again, and the code is taken off the screen.
func TestInterruptedAtPrompt(t *testing.T) {
	for _, tt := range []struct {
		name, prompt string
		consent      bool
	}{
		{"whether to switch it on", "switch it on for this session?", false},
		{"the code", "code on the screen of", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, m, c := closedMachine(t)
			if _, err := c.SetConsentPolicy(t.Context(), "all", 0, 0); err != nil {
				t.Fatal(err)
			}
			user, stdin := terminal(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			talk := &listener{at: map[string]func(){tt.prompt: interrupt}}
			if tt.consent {
				talk.at["switch it on for this session?"] = func() { io.WriteString(user, "y\n") }
			}
			env := func(name string) string {
				return map[string]string{"AMT_PASSWORD": m.Password, "OUTBAND_HOSTS": t.TempDir() + "/hosts.json"}[name]
			}
			picture := t.TempDir() + "/s.png"
			code := cli.Run(ctx, []string{"outband", "screenshot", m.Address, "-f", picture}, env, stdin, io.Discard, talk)
			if code != 130 || !strings.Contains(talk.String(), "outband: interrupted") {
				t.Errorf("exit %d, %s", code, talk)
			}
			if off, err := c.RedirectionOff(t.Context(), redir.KVM); err != nil || len(off) != 1 {
				t.Errorf("off in the end: %v, %v", off, err)
			}
			if now, err := c.Consent(t.Context()); err != nil || now.State != "not started" {
				t.Errorf("consent in the end: %+v, %v", now, err)
			}
			if m.Firmware.ConsentCode() != "" {
				t.Error("the code stands on the screen still")
			}
		})
	}
}
