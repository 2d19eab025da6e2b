package conformance

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/pc"
)

// TestAmttoolPersonality runs Debian's amttool and our command called amttool against twins: machines that are the same
// but for the address. What they print has to be the same byte for byte, and so has what becomes of the PCs.
func TestAmttoolPersonality(t *testing.T) {
	t.Parallel()
	theirs, mine := tool(t, "amttool", "amtterm"), filepath.Join(calledAs(t, "amttool"), "amttool")
	a := machine(t, lab.Machine{Profile: 8, Seed: "twins"})
	b := machine(t, lab.Machine{Profile: 8, Seed: "twins"})
	for _, step := range []struct {
		args, answer string
		until        func(*pc.PC) bool
	}{
		{"", "", nil},
		{"info", "", nil},
		{"powerup", "n\n", nil},
		{"powerup", "", nil},
		{"reset", "y\n", nil}, // refused: it is off
		{"powerup", "y\n", booted(1)},
		{"info", "", nil},
		{"powerup", "yes\n", nil}, // refused: it is on
		{"reset pxe", "Y\n", booted(2)},
		{"powercycle cd", "y\n", booted(3)},
		{"reset hd", "y\n", booted(4)},
		{"netinfo", "", nil},
		{"netconf x 0 1 10.0.0.5 255.0.0.0 10.0.0.1", "", nil}, // amttool gets second octets other than 0 wrong
		{"netinfo", "", nil},
		{"powerdown", "y\n", isOff},
		{"info", "", nil},
	} {
		args := strings.Fields(step.args)
		env := []string{"AMT_PASSWORD=" + password}
		want := run(t, env, step.answer, theirs, append([]string{a.Address}, args...)...)
		got := run(t, env, step.answer, mine, append([]string{b.Address}, args...)...)
		if out := strings.ReplaceAll(got.out, b.Address, a.Address); out != want.out {
			t.Errorf("%s, answer %q:\ngot  %s\nwant %s", step.args, step.answer, out, want.out)
		}
		if refused := strings.Contains(want.out, "result: ") && !strings.Contains(want.out, "success"); got.code != 0 != refused {
			t.Errorf("%s: exit %d although it prints %q", step.args, got.code, got.out)
		}
		if step.until != nil {
			a.wait(t, step.args, step.until)
			b.wait(t, step.args, step.until)
		}
		if x, y := a.PC.LastBoot(), b.PC.LastBoot(); a.PC.Power() != b.PC.Power() || x.Number != y.Number || x.From != y.From {
			t.Errorf("%s: the PCs are %v, %v; last boots %+v, %+v", step.args, a.PC.Power(), b.PC.Power(), x, y)
		}
	}
	usage := run(t, nil, "", theirs)
	got := run(t, nil, "", mine)
	if got.code != usage.code || got.out != usage.out || !strings.HasSuffix(usage.err, got.err) || got.err == "" { // Perl warns before it
		t.Errorf("without arguments: got %+v, want %+v", got, usage)
	}
}

// TestAmttoolOnNewMachines: the same words work where Debian's amttool has nobody to talk to.
func TestAmttoolOnNewMachines(t *testing.T) {
	mine := filepath.Join(calledAs(t, "amttool"), "amttool")
	for _, generation := range []int{12, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			id := w.Firmware.Identity()
			env := []string{"AMT_PASSWORD=" + password}
			for _, step := range []struct {
				args  string
				want  string
				until func(*pc.PC) bool
			}{
				{"info", fmt.Sprintf("### AMT info on machine '%s' ###\nAMT version:  %s\nHostname:     %s\nPowerstate:   S5 (soft-off)\n",
					w.Address, w.Firmware.Profile().Version, id.FQDN()), isOff},
				{"powerup pxe", fmt.Sprintf("host %s, powerup [y/N] ? execute: powerup\nresult: pt_status: success\n", id.FQDN()), booted(1)},
				{"info", "Powerstate:   S0\n", isRunning},
				{"powerdown", "result: pt_status: success\n", isOff},
			} {
				got := run(t, env, "y\n", mine, append([]string{w.Address}, strings.Fields(step.args)...)...)
				if got.code != 0 || !strings.Contains(got.out, step.want) {
					t.Fatalf("%s: exit %d, %s\ngot  %s\nwant %s", step.args, got.code, got.err, got.out, step.want)
				}
				w.wait(t, step.args, step.until)
			}
		})
	}
}
