package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/status"
)

// fenceOurs runs our agent as Pacemaker does: parameters on standard input, none as argument.
func fenceOurs(t testing.TB, w *world, lines ...string) result {
	t.Helper()
	parameters := "ip=" + w.Address + "\npassword=" + password + "\n"
	if !w.Firmware.Profile().Plain {
		parameters += "tls_pin=" + w.fingerprint(t) + "\n"
	}
	return run(t, nil, parameters+strings.Join(lines, "\n")+"\n", filepath.Join(calledAs(t, "fence_outband"), "fence_outband"))
}

// TestFence goes through what a cluster asks for, and looks at the PC each time success is reported.
func TestFence(t *testing.T) {
	for _, generation := range []int{8, 12, 16, 19} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			for _, step := range []struct {
				action string
				code   int
				out    string
				is     func(*pc.PC) bool // at the moment when the agent ends
				wait   func(*pc.PC) bool // before the next step
			}{
				{"action=status", 2, "Status: OFF\n", isOff, isOff},
				{"action=on", 0, "Success: Powered ON\n", isOn, booted(1)},
				{"action=on", 0, "Success: Already ON\n", isOn, isOn},
				{"action=status", 0, "Status: ON\n", isOn, isOn},
				{"action=monitor", 0, "", isOn, isOn},
				{"action=reboot", 0, "Success: Rebooted\n", isOn, booted(2)},
				{"action=reboot\nmethod=cycle", 0, "Success: Rebooted\n", isOn, booted(3)},
				{"action=reboot\nboot_option=pxe", 0, "Success: Rebooted\n", isOn, booted(4)},
				{"action=off", 0, "Success: Powered OFF\n", isOff, isOff},
				{"action=off", 0, "Success: Already OFF\n", isOff, isOff},
			} {
				got := fenceOurs(t, w, step.action)
				if got.code != step.code || got.out != step.out {
					t.Fatalf("%q: exit %d, %q; want %d, %q: %s", step.action, got.code, got.out, step.code, step.out, got.err)
				}
				if !step.is(w.PC) {
					t.Errorf("%q: the PC is %v, %s", step.action, w.PC.Power(), w.PC.Phase())
				}
				w.wait(t, step.action, step.wait)
				from := w.PC.LastBoot().From
				if pxe := strings.Contains(step.action, "pxe"); pxe != (from == firmware.BootPXE) && strings.Contains(step.action, "reboot") {
					t.Errorf("%q: booted from %v", step.action, from)
				}
			}
		})
	}
}

func isOn(p *pc.PC) bool { return p.Power() == firmware.S0 }

// TestFenceAsleep: a node that sleeps could wake and write. It is on, and has to be switched off.
func TestFenceAsleep(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 12, Power: "asleep"})
	if got := fenceOurs(t, w, "action=status"); got.code != 0 || got.out != "Status: ON\n" {
		t.Errorf("status: exit %d, %q, %s", got.code, got.out, got.err)
	}
	if got := fenceOurs(t, w, "action=off"); got.code != 0 || got.out != "Success: Powered OFF\n" || !isOff(w.PC) {
		t.Errorf("off: exit %d, %q, the PC is %v: %s", got.code, got.out, w.PC.Power(), got.err)
	}
}

// TestFenceRefused: what a machine refuses, or takes and does not do, is a failure for the cluster.
func TestFenceRefused(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 12, Power: "on", Refuse: map[string]status.Status{"RequestPowerStateChange": 2}})
	for _, action := range []string{"action=reboot", "action=reboot\nmethod=cycle", "action=off"} {
		got := fenceOurs(t, w, action, "power_timeout=2")
		if got.code != 1 || strings.Contains(got.out, "Success") || got.err == "" {
			t.Errorf("%q: exit %d, %q, %s", action, got.code, got.out, got.err)
		}
	}
	if !isRunning(w.PC) || w.PC.LastBoot().Number != 0 {
		t.Errorf("the PC is %v, %s after %d boots", w.PC.Power(), w.PC.Phase(), w.PC.LastBoot().Number)
	}
}

// TestFenceDenied: no success without a password that fits, or with the certificate of somebody else.
func TestFenceDenied(t *testing.T) {
	t.Parallel()
	agent := filepath.Join(calledAs(t, "fence_outband"), "fence_outband")
	plain := machine(t, lab.Machine{Profile: 12, Power: "on"})
	secure := machine(t, lab.Machine{Profile: 16, Power: "on"})
	for name, parameters := range map[string]string{
		"wrong password": "ip=" + plain.Address + "\npassword=wrong",
		"wrong pin":      "ip=" + secure.Address + "\npassword=" + password + "\ntls_pin=" + strings.Repeat("00", 32),
		"no pin":         "ip=" + secure.Address + "\npassword=" + password + "\nssl_secure=1",
	} {
		for _, action := range []string{"status", "off"} {
			got := run(t, nil, parameters+"\naction="+action+"\npower_timeout=2\n", agent)
			if got.code != 1 || got.out != "" || got.err == "" {
				t.Errorf("%s, %s: exit %d, %q, %s", name, action, got.code, got.out, got.err)
			}
		}
	}
	if !isRunning(plain.PC) || !isRunning(secure.PC) {
		t.Error("something was carried out")
	}
}

// The schema that Debian's fence-agents brings for what agents say about themselves.
const fenceSchema = "/usr/share/cluster/relaxng/metadata.rng"

// TestFenceMetadata has jing hold our metadata against the schema of fence-agents, under every name.
func TestFenceMetadata(t *testing.T) {
	t.Parallel()
	jing := tool(t, "jing", "jing")
	if _, err := os.Stat(fenceSchema); err != nil {
		missing(t, fenceSchema+" is not there (Debian package fence-agents)")
	}
	validate := func(document string) result {
		t.Helper()
		file := filepath.Join(t.TempDir(), "metadata.xml")
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		return run(t, nil, "", jing, fenceSchema, file)
	}
	names := calledAs(t, "fence_outband", "fence_amt_ws")
	var document string
	for _, command := range [][]string{
		{outband(t), "fence"},
		{filepath.Join(names, "fence_outband")},
		{filepath.Join(names, "fence_amt_ws")},
	} {
		got := run(t, nil, "", command[0], append(command[1:], "-o", "metadata")...)
		if got.code != 0 {
			t.Fatalf("%q: exit %d, %s", command, got.code, got.err)
		}
		document = got.out
		if judged := validate(document); judged.code != 0 {
			t.Errorf("%q: %s", command, judged.out)
		}
	}
	if judged := validate(strings.Replace(document, "vendor-url", "vendor", 2)); judged.code == 0 {
		t.Error("the schema accepts anything")
	}
}

// TestFencePacemaker has Pacemaker's stonith_admin load the agent as an installed one. Pacemaker looks for agents in
// /usr/sbin only: in a mount namespace of its own that folder is another. Where nobody may have one, CI, which owns its
// machine, puts the agent into the true folder.
func TestFencePacemaker(t *testing.T) {
	t.Parallel()
	admin := tool(t, "stonith_admin", "pacemaker-cli-utils")
	unshare := tool(t, "unshare", "util-linux")
	sbin := calledAs(t, "fence_outband", "fence_amt_ws")
	copyFile(t, admin, filepath.Join(sbin, "stonith_admin"))
	namespace := []string{"--user", "--map-root-user", "--mount"}
	inside := func(args ...string) result {
		t.Helper()
		const script = `mount --bind "$0" /usr/sbin && exec /usr/sbin/stonith_admin "$@"`
		return run(t, nil, "", unshare, append(append(namespace, "sh", "-c", script, sbin), args...)...)
	}
	if err := exec.Command(unshare, append(namespace, "true")...).Run(); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skipf("this system lets nobody have a mount namespace: %v", err)
		}
		for _, agent := range []string{"fence_outband", "fence_amt_ws"} {
			path := filepath.Join("/usr/sbin", agent)
			if err := os.Symlink(outband(t), path); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(path) })
		}
		inside = func(args ...string) result { return run(t, nil, "", admin, args...) }
	}
	w := machine(t, lab.Machine{Profile: 12, Power: "on"})
	for _, agent := range []string{"fence_outband", "fence_amt_ws"} {
		if got := inside("--metadata", "--agent", agent); got.code != 0 || !strings.Contains(got.out, `<resource-agent name="`+agent+`"`) {
			t.Errorf("%s: exit %d, %q, %s", agent, got.code, got.out, got.err)
		}
		good := []string{"--validate", "--agent", agent, "--option", "ip=" + w.Address, "--option", "password=" + password}
		if got := inside(good...); got.code != 0 {
			t.Errorf("%s: good parameters: exit %d, %s%s", agent, got.code, got.out, got.err)
		}
		if got := inside("--validate", "--agent", agent, "--option", "ip="+w.Address); got.code == 0 || !strings.Contains(got.out+got.err, "password") {
			t.Errorf("%s: no password: exit %d, %s%s", agent, got.code, got.out, got.err)
		}
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o700); err != nil {
		t.Fatal(err)
	}
}
