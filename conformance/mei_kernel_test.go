package conformance

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/virtual/heci"
	"github.com/outband/outband/virtual/heci/pciproxy"
	"github.com/outband/outband/virtual/pc"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/mei"
)

// TestKernelDriver has Debian's kernel, unmodified, drive the PCI functions of two engines: that of a whole
// virtual machine, in slot 16h, and one whose firmware does what firmware should not, in slot 17h.
func TestKernelDriver(t *testing.T) {
	need.Program(t, "qemu-system-x86_64")
	k := debianKernel(t)
	odd := oddProgram(t)
	ram := initramfs(t, k, map[string]string{"outband": outband(t), "mei.test": testBinary(t, "./wire/mei"), "odd": odd})

	// A minute and more of the watchdog is too long here: 120 s of silence are 20 s.
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&locked{w: &log}, nil))
	body := pc.New(pc.Options{On: true})
	t.Cleanup(func() { body.Close() })
	machine, err := firmware.New(firmware.Config{Generation: 16, Factory: true, Platform: body, Log: logger, Hooks: firmware.Hooks{
		OnHeartbeat: func(silence time.Duration) time.Duration { return silence / 6 },
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { machine.Close() })
	faulty := newFaultyME(t)
	faulty.Log = logger

	ctx, cancel := context.WithCancel(context.Background())
	plug := &pciproxy.Plug{Log: logger, Functions: []pciproxy.Function{
		{Model: heci.ModelOf(16), ME: machine.ServeME},
		{Model: heci.ModelOf(12), Slot: 0x17, ME: faulty.serve},
	}}
	t.Cleanup(func() {
		cancel()
		plug.Wait()
		if t.Failed() {
			t.Logf("the virtual machine says\n%s", log.String())
		}
	})
	args, files, err := plug.Insert(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	g := bootGuest(t, k, ram, args, files)
	for _, module := range guestModules {
		if k.modules[module] != "" {
			g.must(t, "insmod /lib/"+module+".ko")
		}
	}
	g.eventually(t, "grep -q ENABLED /sys/class/mei/mei0/dev_state && grep -q ENABLED /sys/class/mei/mei1/dev_state")
	node := func(slot string) string { // the kernel probes at the same time: who comes first gets 0
		return "/dev/" + strings.TrimSpace(g.must(t, "ls /sys/bus/pci/devices/0000:00:"+slot+".0/mei"))
	}
	whole, erring := node("16"), node("17")

	t.Run("facts", func(t *testing.T) { meiFacts(t, g, whole) })
	t.Run("local info", func(t *testing.T) { meiInfo(t, g, machine) })
	t.Run("odd", func(t *testing.T) { meiOdd(t, g, whole, odd) })
	t.Run("activate", func(t *testing.T) { meiActivate(t, g, machine) })
	t.Run("agent", func(t *testing.T) { meiAgent(t, g, machine) })
	t.Run("watchdog", func(t *testing.T) { meiWatchdog(t, g, machine) })
	t.Run("suite", func(t *testing.T) { meiSuite(t, g, erring) })
	t.Run("faults", func(t *testing.T) { meiFaults(t, g, erring, faulty) })
	g.run(t, "rmmod mei_wdt; rmmod mei_me") // the driver says farewell
	if _, exit := g.run(t, "test ! -e /dev/mei0"); exit != 0 {
		t.Error("/dev/mei0 is there without its driver")
	}
	for _, trouble := range []string{"BUG:", "Oops", "WARNING: CPU", "hung_task", "nobody cared"} {
		said := g.kernelSays(t)
		if trouble == "WARNING: CPU" { // the driver's own word for an unknown bus message, which it got once
			said = expected.ReplaceAllString(said, "")
		}
		if strings.Contains(said, trouble) {
			t.Errorf("the guest's kernel says %q", trouble)
		}
	}
}

// testBinary builds the tests of a package, for the guest.
func testBinary(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test")
	cmd := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// meiTests runs tests of package mei in the guest.
func meiTests(t *testing.T, g *guest, node, run, env string) string {
	t.Helper()
	return g.must(t, fmt.Sprintf("cd /tmp; OUTBAND_MEI_NODE=%s %s mei.test -test.v -test.timeout 90s -test.run '%s'", node, env, run))
}

// expected is what the driver warns of at an unknown bus message.
var expected = regexp.MustCompile(`WARNING: CPU: .* mei_hbm_dispatch`)

// facts reads what TestDriverFacts prints.
var facts = regexp.MustCompile(`(?m)fact (.*)$`)

// What the driver has found out is what the machine is, and our reading of sysfs finds all of it.
func meiFacts(t *testing.T, g *guest, node string) {
	var got []string
	for _, f := range facts.FindAllStringSubmatch(meiTests(t, g, node, "^TestDriverFacts$", ""), -1) {
		got = append(got, f[1])
	}
	want := []string{
		"status 14000245 9f10506 20 4000 41f03 0",
		"versions 0:16.1.27.2176 0:16.1.27.2176 0:16.1.27.2176",
		"hbm 2.2 2.2",
		"kind mei queue 50 state ENABLED trace true",
		"devices mei0 mei1",
	}
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Errorf("fact %d of %q, want %q", i, got, w)
		}
	}
	// The driver lists what takes one connection, and the watchdog.
	for _, w := range []string{
		"client 0000:00:16.0-6733a4db-0476-4e7b-b3af-bcfc29bee7a7 6733a4db-0476-4e7b-b3af-bcfc29bee7a7 version 1 connections 1 fixed false length 5120",
		"client 0000:00:16.0-05b79a6f-4628-4d7f-899d-a91514cb32ab 05b79a6f-4628-4d7f-899d-a91514cb32ab version 2 connections 2 fixed false length 512",
	} {
		if !strings.Contains(strings.Join(got, "\n")+"\n", w+"\n") {
			t.Errorf("%q does not have %q", got, w)
		}
	}
	if got := g.must(t, "cat /sys/bus/pci/devices/0000:00:16.0/class /sys/bus/pci/devices/0000:00:16.0/device /sys/bus/pci/devices/0000:00:17.0/device"); got != "0x078000\n0x7ae8\n0xa360\n" {
		t.Errorf("PCI functions %q", got)
	}
}

// Our own agent, over the kernel's device.
func meiInfo(t *testing.T, g *guest, m *firmware.Machine) {
	var info struct {
		OK    bool   `json:"ok"`
		AMT   string `json:"amt"`
		Build string `json:"build"`
		UUID  string `json:"uuid"`
		Mode  string `json:"control_mode"`
	}
	out := g.must(t, "outband local info -o json")
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !info.OK || info.AMT != "16.1.27" || info.Build != "2176" || info.UUID != m.Identity().UUID.String() || info.Mode != "not provisioned" {
		t.Errorf("got %+v of %v", info, m.Identity().UUID)
	}
}

// Setup in client control mode, from inside of the guest, through the kernel's device: AMTHI and LME.
func meiActivate(t *testing.T, g *guest, m *firmware.Machine) {
	out := g.must(t, "AMT_NEW_PASSWORD='N3w!ecret' outband local activate -o json")
	if m.ControlMode() != firmware.ModeClient || !strings.Contains(out, `"control_mode":"client control"`) {
		t.Errorf("control mode %v: %s", m.ControlMode(), out)
	}
}

// The kernel's own watchdog driver, which a daemon feeds; then all stands still.
func meiWatchdog(t *testing.T, g *guest, m *firmware.Machine) {
	// Setup made AMT want the watchdog, which the driver has heard by an event.
	g.eventually(t, "test -c /dev/watchdog0")
	if got := g.must(t, "cd /sys/class/watchdog/watchdog0 && cat identity state timeout"); got != "iamt_wdt\ninactive\n120\n" {
		t.Errorf("the watchdog is %q", got)
	}
	hung := func() (n int) {
		for _, r := range m.Events() {
			if r.Sensor == eventlog.OSStop {
				n++
			}
		}
		return n
	}
	g.must(t, "busybox watchdog -F -T 120 -t 1 /dev/watchdog0 >/tmp/fed 2>&1 & echo $! >/tmp/feeder")
	g.eventually(t, "grep -q '^active' /sys/class/watchdog/watchdog0/state")
	if !m.WatchdogRunning() || hung() != 0 {
		t.Fatalf("the machine's watchdog runs: %v, %d events", m.WatchdogRunning(), hung())
	}
	g.qmp(t, "stop")
	for late := time.Now().Add(slow); hung() == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("no event although the operating system stands still")
		}
	}
	if m.WatchdogRunning() {
		t.Error("the watchdog runs although nobody feeds it")
	}
	g.qmp(t, "cont")
	for late := time.Now().Add(slow); !m.WatchdogRunning(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the watchdog does not run again")
		}
	}
	g.must(t, "kill $(cat /tmp/feeder)")
	g.eventually(t, "grep -q inactive /sys/class/watchdog/watchdog0/state")
	for late := time.Now().Add(slow); m.WatchdogRunning(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the watchdog still runs")
		}
	}
	if hung() != 1 {
		t.Errorf("%d events, want one", hung())
	}
	// Our own feeder, through the same driver and without it.
	for _, command := range []string{"outband watchdog --device auto", "rmmod mei_wdt; outband watchdog"} {
		out := g.must(t, command+" --for 500ms -o json")
		if !strings.Contains(out, `"state":"running"`) || !strings.Contains(out, `"state":"stopped"`) {
			t.Errorf("%s: %s", command, out)
		}
	}
}

// The tests that all buses pass, and the numbers of the driver.
func meiSuite(t *testing.T, g *guest, node string) {
	out := meiTests(t, g, node, "^TestDriver", "")
	for _, test := range []string{"TestDriver", "TestDriverNumbers", "TestDriverManyPrograms", "TestDriverFacts"} {
		if !strings.Contains(out, "--- PASS: "+test+" ") {
			t.Errorf("%s has not passed: %s", test, out)
		}
	}
}

// meiFaults lets the firmware err: the driver resets the link where it must, and then all is well.
func meiFaults(t *testing.T, g *guest, node string, f *faultyME) {
	hbm := func(m mei.Message) []byte { return mei.Packet{Complete: true, Payload: m.Append(nil)}.Append(nil) }
	raw := func(words ...uint32) (b []byte) {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	const (
		never       = 0
		atOnce      = 1
		withTheNext = 2 // message, as the driver waits for the rest of this one
	)
	for _, tt := range []struct {
		name   string
		do     func(t *testing.T)
		resets int // when the driver starts anew
	}{
		{"restart of the firmware", func(*testing.T) { f.Reset() }, atOnce},
		{"reserved bit in a header", func(t *testing.T) { f.inject(t, raw(0x82040000, 0)) }, atOnce},
		{"header of zeros before a message", func(t *testing.T) { f.inject(t, raw(0, 0x80040000, 0)) }, atOnce},
		{"longer than any message", func(t *testing.T) { f.inject(t, raw(0x81FF2001, 0)) }, withTheNext},
		{"data for nobody", func(t *testing.T) {
			f.inject(t, mei.Packet{ME: 32, Host: 200, Complete: true, Payload: []byte("lost")}.Append(nil))
		}, atOnce},
		{"credit for nobody", func(t *testing.T) { f.inject(t, hbm(mei.FlowControl{ME: 32, Host: 200})) }, never},
		{"unknown bus message", func(t *testing.T) {
			f.inject(t, mei.Packet{Complete: true, Payload: []byte{0x7E, 0, 0, 0}}.Append(nil))
		}, atOnce},
		{"answer out of turn", func(t *testing.T) { f.inject(t, hbm(mei.EnumerateReply{})) }, atOnce},
		{"start answered twice", func(t *testing.T) {
			f.inject(t, hbm(mei.StartReply{Supported: true, Version: mei.Version{Major: 2, Minor: 2}}))
		}, atOnce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := f.starts.Load()
			tt.do(t)
			if tt.resets == atOnce {
				for late := time.Now().Add(slow); f.starts.Load() == before; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(late) {
						t.Fatal("the driver does not start anew")
					}
				}
			}
			meiTests(t, g, node, "^TestDriver$/^order$", "")
			if n := f.starts.Load() - before; n > 1 || n == 1 && tt.resets == never {
				t.Errorf("the driver started anew %d times", n)
			}
		})
	}
}
