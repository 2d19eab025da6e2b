package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/virtual/firmware"
)

// The agent in a guest, beside the kernel's own watchdog driver, whose daemon feeds too: the ports of AMT open, the
// watchdog runs, and after a restart of the engine all of it is there again.
func meiAgent(t *testing.T, g *guest, m *firmware.Machine) {
	g.eventually(t, "test -c /dev/watchdog0")
	g.must(t, "busybox watchdog -F -T 120 -t 1 /dev/watchdog0 >/tmp/fed 2>&1 & echo $! >/tmp/feeder")
	g.must(t, "outband agent -o json >/tmp/agent 2>/tmp/agent.log & echo $! >/tmp/agent.pid")
	defer func() {
		if t.Failed() {
			out, _ := g.run(t, "cat /tmp/agent /tmp/agent.log")
			t.Logf("the agent says\n%s", out)
		}
	}()
	const info = "AMT_PASSWORD='N3w!ecret' outband info 127.0.0.1 -o json"
	for _, moment := range []string{"at first", "after a restart of the engine"} {
		out := g.eventually(t, info+" 2>/dev/null")
		if !strings.Contains(out, m.Identity().UUID.String()) {
			t.Errorf("%s AMT at 127.0.0.1 is %s", moment, out)
		}
		for late := time.Now().Add(slow); !m.WatchdogRunning(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("%s nobody feeds the watchdog", moment)
			}
		}
		if moment == "at first" {
			m.ResetME()
			g.eventually(t, `[ $(grep -c '"ports":\[623,16992,16994\]' /tmp/agent) -eq 2 ]`)
		}
	}
	g.must(t, "kill $(cat /tmp/agent.pid)")
	g.eventually(t, "! kill -0 $(cat /tmp/agent.pid)")
	g.must(t, "kill $(cat /tmp/feeder)")
	g.eventually(t, "grep -q inactive /sys/class/watchdog/watchdog0/state")
}
