package conformance

import (
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// fenceAMT runs Debian's fence_amt, which runs Debian's amttool, both unmodified.
func fenceAMT(t testing.TB, w *world, password, action string, args ...string) result {
	t.Helper()
	args = append(args, "--ip="+w.Address, "--password="+password, "--action="+action, "--amttool-path="+tool(t, "amttool", "amtterm"))
	return run(t, nil, "", tool(t, "fence_amt", "fence-agents"), args...)
}

func TestFenceAMT(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8})
	ask := func(action string) result {
		t.Helper()
		return fenceAMT(t, w, password, action)
	}
	if got := ask("status"); got.code != 2 || !strings.Contains(got.out, "Status: OFF") {
		t.Fatalf("status of what is off: exit %d, %q, %s", got.code, got.out, got.err)
	}
	if got := ask("on"); got.code != 0 || !strings.Contains(got.out, "Success: Powered ON") {
		t.Fatalf("on: exit %d, %q, %s", got.code, got.out, got.err)
	}
	w.wait(t, "on", booted(1))
	if got := ask("status"); got.code != 0 || !strings.Contains(got.out, "Status: ON") {
		t.Errorf("status of what is on: exit %d, %q, %s", got.code, got.out, got.err)
	}
	if got := ask("reboot"); got.code != 0 || !strings.Contains(got.out, "Success: Rebooted") {
		t.Errorf("reboot: exit %d, %q, %s", got.code, got.out, got.err)
	}
	w.wait(t, "rebooted", booted(2))
	if was := w.PC.LastBoot().Was; was != firmware.S5 {
		t.Errorf("rebooted from %v, want S5: the agent switches off and on", was)
	}
	if got := ask("off"); got.code != 0 || !strings.Contains(got.out, "Success: Powered OFF") {
		t.Errorf("off: exit %d, %q, %s", got.code, got.out, got.err)
	}
	if !isOff(w.PC) {
		t.Errorf("off: the agent reports success, the PC is %v", w.PC.Power())
	}
	if got := ask("off"); got.code != 0 || !strings.Contains(got.out, "Success: Already OFF") {
		t.Errorf("off again: exit %d, %q, %s", got.code, got.out, got.err)
	}
}

// TestFenceAMTRefused: a power down that is refused must not look like success to the cluster, whoever's agent it is.
func TestFenceAMTRefused(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8, Power: "on", Faults: &firmware.Faults{HTTPStatus: 503, Only: []string{"<RemoteControl "}}})
	got := fenceAMT(t, w, password, "off", "--power-timeout=2")
	if got.code != 1 || strings.Contains(got.out, "Success") {
		t.Errorf("exit %d, %q, %s", got.code, got.out, got.err)
	}
	if !isRunning(w.PC) {
		t.Errorf("the PC is %v, %s", w.PC.Power(), w.PC.Phase())
	}
}

// TestFenceAMTWrongPassword: the machine keeps its door shut. What the agent makes of that is a fault of amttool: it
// prints S0, and so the agent reports ON (spec soap-eoi.md section 6). Nothing may be switched.
func TestFenceAMTWrongPassword(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8})
	got := fenceAMT(t, w, "wrong", "on", "--power-timeout=1")
	if w.Firmware.AuthFailures() == 0 {
		t.Errorf("no log-on was refused: exit %d, %q, %s", got.code, got.out, got.err)
	}
	if n := w.PC.LastBoot().Number; n != 0 || !isOff(w.PC) {
		t.Errorf("the PC is %v after %d boots", w.PC.Power(), n)
	}
}

func TestFenceAMTMetadata(t *testing.T) {
	t.Parallel()
	path := tool(t, "fence_amt", "fence-agents")
	if got := run(t, nil, "", path, "-o", "metadata"); got.code != 0 || !strings.Contains(got.out, `<resource-agent name="fence_amt"`) {
		t.Errorf("exit %d, %q, %s", got.code, got.out, got.err)
	}
}
