package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/pc"
)

// amttool runs Debian's amttool, unmodified. It speaks the SOAP services of before WS-Management, so the machine is of
// generation 8. It asks before it changes the power; the answer comes on standard input.
func amttool(t testing.TB, w *world, answer string, args ...string) result {
	t.Helper()
	return run(t, []string{"AMT_PASSWORD=" + password}, answer, tool(t, "amttool", "amtterm"), append([]string{w.Address}, args...)...)
}

func TestAmttoolInfo(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8, Power: "on"})
	id := w.Firmware.Identity()
	// What SOAP says the machine can do has to be what WS-Management says.
	can, err := class.Get[amt.BootCapabilities](t.Context(), ours(t, w))
	check(t, err)
	list := func(names ...string) string {
		var b strings.Builder
		for i, can := range []*bool{can.IDER, can.SOL, can.BIOSReflash, can.BIOSSetup, can.BIOSPause,
			can.ForcePXEBoot, can.ForceHardDriveBoot, can.ForceHardDriveSafeModeBoot, can.ForceDiagnosticBoot, can.ForceCDorDVDBoot} {
			if i < len(names) && names[i] != "" && class.Value(can) {
				b.WriteString(names[i] + " ")
			}
		}
		return b.String()
	}
	want := fmt.Sprintf(`### AMT info on machine '%s' ###
AMT version:  %s
Hostname:     %s.%s
Powerstate:   S0
Remote Control Capabilities:
    IanaOemNumber                   157
    OemDefinedCapabilities          %s
    SpecialCommandsSupported        %s
    SystemCapabilitiesSupported     powercycle powerdown powerup reset 
    SystemFirmwareCapabilities      `, w.Address, w.Firmware.Profile().Version, id.HostName, id.Domain,
		list("IDER", "SOL", "BiosReflash", "BiosSetup", "BiosPause"),
		list("", "", "", "", "", "PXE-boot", "HD-boot", "HD-boot-safemode", "diag-boot", "cd-boot"))
	got := amttool(t, w, "", "info")
	rest, ok := strings.CutPrefix(got.out, want)
	if got.code != 0 || !ok || strings.Trim(rest, "0123456789abcdef") != "\n" {
		t.Errorf("exit %d, %s\ngot  %s\nwant %s", got.code, got.err, got.out, want)
	}
}

func TestAmttoolStates(t *testing.T) {
	t.Parallel()
	for power, want := range map[string]string{
		"on":         "Powerstate:   S0\n",
		"asleep":     "Powerstate:   S3\n",
		"hibernated": "Powerstate:   S4\n",
		"off":        "Powerstate:   S5 (soft-off)\n",
	} {
		w := machine(t, lab.Machine{Profile: 8, Power: power})
		if got := amttool(t, w, ""); !strings.Contains(got.out, want) || got.code != 0 {
			t.Errorf("%s: exit %d, got %q, want %q in it", power, got.code, got.out, want)
		}
	}
}

// TestAmttoolPower goes through all power verbs. What counts is what becomes of the PC.
func TestAmttoolPower(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8})
	id := w.Firmware.Identity()
	for _, step := range []struct {
		args   string
		until  func(*pc.PC) bool
		from   firmware.BootSource
		result string
	}{
		{"powerup", booted(1), firmware.BootDisk, "success"},
		{"reset", booted(2), firmware.BootDisk, "success"},
		{"powercycle", booted(3), firmware.BootDisk, "success"},
		{"powerdown", isOff, firmware.BootDisk, "success"},
		{"powerup pxe", booted(4), firmware.BootPXE, "success"},
		{"reset cd", booted(5), firmware.BootCD, "success"},
		{"powercycle hd", booted(6), firmware.BootDisk, "success"},
		{"reset pxe", booted(7), firmware.BootPXE, "success"},
		{"reset", booted(8), firmware.BootDisk, "success"}, // a special command is for one boot only
	} {
		args := strings.Fields(step.args)
		got := amttool(t, w, "y\n", args...)
		want := fmt.Sprintf("host %s.%s, %s [y/N] ? execute: %s\nresult: pt_status: %s\n", id.HostName, id.Domain, args[0], args[0], step.result)
		if got.code != 0 || got.out != want {
			t.Fatalf("%s: exit %d, %s\ngot  %q\nwant %q", step.args, got.code, got.err, got.out, want)
		}
		w.wait(t, step.args, step.until)
		if b := w.PC.LastBoot(); b.From != step.from {
			t.Errorf("%s: booted from %v, want %v", step.args, b.From, step.from)
		}
	}
}

func TestAmttoolRefusals(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8})
	if got := amttool(t, w, "y\n", "reset"); !strings.Contains(got.out, "result: ") || strings.Contains(got.out, "success") {
		t.Errorf("reset of what is off: got %q", got.out)
	}
	if got := amttool(t, w, "n\n", "powerup"); !strings.Contains(got.out, "canceled") || w.PC.LastBoot().Number != 0 {
		t.Errorf("no as the answer: got %q, %d boots", got.out, w.PC.LastBoot().Number)
	}
	got := run(t, []string{"AMT_PASSWORD=wrong"}, "y\n", tool(t, "amttool", "amtterm"), w.Address, "powerup")
	if got.code == 0 && strings.Contains(got.out, "success") || !strings.Contains(got.err+got.out, "401") {
		t.Errorf("wrong password: exit %d, got %q, %q", got.code, got.out, got.err)
	}
	if n := w.PC.LastBoot().Number; n != 0 || !isOff(w.PC) {
		t.Errorf("something was carried out: %d boots, power %v", n, w.PC.Power())
	}
}

func TestAmttoolNetinfo(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 8})
	got := amttool(t, w, "", "netinfo")
	if got.code != 0 || got.err != "" {
		t.Fatalf("exit %d, %q, %q", got.code, got.out, got.err)
	}
	for _, want := range []string{
		"Network Interface 0:\n",
		"    HardwareAddress",
		"    InterfaceMode",
		"    LinkPolicy",
		"        LocalAddress",
		"        SubnetMask",
		"        DefaultGatewayAddress",
		"        PrimaryDnsAddress",
		"        SecondaryDnsAddress",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %q in %s", want, got.out)
		}
	}
	mac := w.Firmware.Identity().MAC
	if plain := strings.NewReplacer(":", "", "-", "").Replace(strings.ToLower(got.out)); !strings.Contains(plain, mac) {
		t.Errorf("no MAC %s in %s", mac, got.out)
	}
}

// TestAmttoolIsRefused makes sure that newer machines have no SOAP: these tests would else prove too much.
func TestAmttoolIsRefused(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 12, Power: "on"})
	if got := amttool(t, w, ""); got.code == 0 || !strings.Contains(got.err, "404") {
		t.Errorf("generation 12: exit %d, %q, %q", got.code, got.out, got.err)
	}
}
