package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/wire/wsman"
)

// startBus starts a message bus of its own and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	daemon := tool(t, "dbus-daemon", "dbus-daemon")
	// Who may have which name is as on the system bus, with our policy; the user of this test stands for root.
	policy, err := os.ReadFile("../packaging/dbus/outband.conf")
	check(t, err)
	me, err := user.Current()
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "outband.conf"), bytes.ReplaceAll(policy, []byte(`user="root"`), []byte(`user="`+me.Username+`"`)), 0o600))
	config := filepath.Join(dir, "bus.conf")
	text := `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:dir=` + dir + `</listen><policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow own="org.freedesktop.NetworkManager"/><allow send_destination="org.freedesktop.NetworkManager"/>
<allow own="org.freedesktop.login1"/><allow send_destination="org.freedesktop.login1"/><allow send_destination="org.freedesktop.DBus"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy>
<include>` + dir + `/outband.conf</include></busconfig>`
	check(t, os.WriteFile(config, []byte(text), 0o600))
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	return strings.TrimSpace(line)
}

// A logind is what stands for systemd-logind on that bus.
type logind struct {
	mu    sync.Mutex // guards what follows
	calls []string
	done  chan string
}

func (l *logind) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprintf(format, args...))
}

func (l *logind) CanPowerOff() (string, *dbus.Error)  { return "yes", nil }
func (l *logind) CanReboot() (string, *dbus.Error)    { return "yes", nil }
func (l *logind) CanSuspend() (string, *dbus.Error)   { return "yes", nil }
func (l *logind) CanHibernate() (string, *dbus.Error) { return "na", nil }
func (l *logind) SetWallMessage(text string, on bool) *dbus.Error {
	l.note("wall %t: %s", on, text)
	return nil
}
func (l *logind) ScheduleShutdown(how string, at uint64) *dbus.Error {
	l.done <- fmt.Sprintf("%s in %ds", how, int(time.Until(time.UnixMicro(int64(at))).Round(10*time.Second).Seconds()))
	return nil
}
func (l *logind) Suspend(interactive bool) *dbus.Error {
	l.done <- fmt.Sprintf("suspend %t", interactive)
	return nil
}

// serveLogind puts it on the bus.
func serveLogind(t *testing.T, address string) *logind {
	t.Helper()
	conn, err := dbus.Connect(address)
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	l := &logind{done: make(chan string, 4)}
	check(t, conn.Export(l, "/org/freedesktop/login1", "org.freedesktop.login1.Manager"))
	reply, err := conn.RequestName("org.freedesktop.login1", dbus.NameFlagDoNotQueue)
	check(t, err)
	equal(t, "name", fmt.Sprint(reply), fmt.Sprint(dbus.RequestNameReplyPrimaryOwner))
	return l
}

// monitor runs dbus-monitor and returns what waits for a text in what it says.
func monitor(t *testing.T, address string) (until func(pattern string) string) {
	t.Helper()
	cmd := exec.Command(tool(t, "dbus-monitor", "dbus-bin"), "--address", address, "type='signal',interface='com.intel.amt.lms'")
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := make(chan string, 1000)
	var work sync.WaitGroup
	work.Go(func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		work.Wait()
		cmd.Wait()
	})
	seen := ""
	return func(pattern string) string {
		t.Helper()
		re := regexp.MustCompile(pattern)
		late := time.After(patience)
		for {
			if found := re.FindString(seen); found != "" {
				return found
			}
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatalf("dbus-monitor ended; it said\n%s", seen)
				}
				seen += strings.Join(strings.Fields(line), " ") + "\n"
			case <-late:
				t.Fatalf("dbus-monitor does not tell %s; it said\n%s", pattern, seen)
			}
		}
	}
}

// TestDBus: dbus-monitor hears AMT's events under the name of Intel's LMS, in its form; logind is asked as it wants to be.
func TestDBus(t *testing.T) {
	address := startBus(t)
	system := serveLogind(t, address)
	until := monitor(t, address)
	until("NameAcquired|interface=org.freedesktop.DBus") // it listens
	socket := filepath.Join(t.TempDir(), "me")
	w := machine(t, lab.Machine{Profile: 12, Power: "on", NoAgent: true, ME: socket, Password: password})
	service(t, []string{"DBUS_SYSTEM_BUS_ADDRESS=" + address}, "agent", "--bus", "unix:"+socket, "--listen", "127.94.3.1", "--power", "logind", "--dbus", "on", "--no-watchdog")

	until(`path=/com/intel/amt/lms; interface=com.intel.amt.lms; member=Alert\nuint32 9\nuint32 95\n`)
	out, err := exec.Command(tool(t, "dbus-send", "dbus-bin"), "--bus="+address, "--print-reply", "--dest=com.intel.amt.lms", "/com/intel/amt/lms",
		"org.freedesktop.DBus.Introspectable.Introspect").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `<signal name="Alert">`) {
		t.Errorf("introspection: %v\n%s", err, out)
	}

	for _, tt := range []struct{ act, state, done, event string }{
		{"soft-reset", "14", "reboot in 60s", `uint32 15\nuint32 273\nstring "[^"]+"\nstring "1"\nstring "iAMT0067"\nstring "20..-..-..T..:..:..Z"\n`},
		{"soft-off", "12", "poweroff in 60s", `uint32 15\nuint32 272\n`},
		{"sleep", "4", "suspend false", `uint32 15\nuint32 278\n`},
	} {
		awaitOffer(t, w, tt.state)
		r := run(t, []string{"AMT_PASSWORD=" + password}, "", outband(t), "power", tt.act, "--wait", "1ms", w.Address)
		select {
		case done := <-system.done:
			equal(t, tt.act, done, tt.done)
		case <-time.After(patience):
			t.Fatalf("%s did not come to logind: %s", tt.act, r.err)
		}
		until(tt.event)
	}
	until(`uint32 15\nuint32 276\n`) // taken
	system.mu.Lock()
	defer system.mu.Unlock()
	if len(system.calls) != 2 || !strings.HasPrefix(system.calls[0], "wall true: ") || !strings.Contains(system.calls[0], "reboot") {
		t.Errorf("those who are logged in were told %q", system.calls)
	}
}

// service runs one of our services until the test ends.
func service(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command(outband(t), args...)
	cmd.Env = append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	check(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("outband %q: %v\n%s", args, err, said.String())
		}
	})
}

// awaitOffer waits until the machine offers what a command asks for: it hears from its PC in the course of time.
func awaitOffer(t *testing.T, w *world, state string) {
	t.Helper()
	c := ours(t, w)
	for late := time.Now().Add(patience); ; {
		e, err := wsman.Get(t.Context(), c, wsman.ClassURI("CIM_AssociatedPowerManagementService"), nil)
		check(t, err)
		for v := range e.All("AvailableRequestedPowerStates") {
			if v.TrimText() == state {
				return
			}
		}
		if time.Now().After(late) {
			t.Fatalf("power state %s is never offered", state)
		}
	}
}
