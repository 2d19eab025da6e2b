package cli_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/outband/outband/cli"
	"github.com/outband/outband/lab"
)

// TestMain makes the program available to stories under all its names.
func TestMain(m *testing.M) {
	run := func() { os.Exit(cli.Main(os.Args, os.Getenv, os.Stdin, os.Stdout, os.Stderr)) }
	testscript.Main(m, map[string]func(){
		"outband": run, "amttool": run, "amtterm": run, "amtider": run, "wsman": run, "fence_amt_ws": run, "fence_outband": run,
	})
}

// TestStories runs testdata/*.txtar: what a user types and sees. Beside the usual commands there are
//
//	machine [NAME] FILE    start a virtual machine from a JSON file (see lab.Machine) and set $HOST, or $NAME, to its
//	                       address, $HOST_pin to its fingerprint, and AMT_PASSWORD to its password
//	is [NAME] power STATE  fail unless the machine itself is on, off, asleep or hibernated
//	is [NAME] mode MODE    fail unless it is "not set up", in "client control mode" or in "admin control mode"
//	is [NAME] booted FROM  fail unless its last boot came from there: disk, PXE, CD/DVD ...
//	is [NAME] plan PLAN    fail unless its last boot was to go so: "pause lock-keyboard url=https://..."
//	is [NAME] erased WHAT  fail unless that was taken away from it: "disk tpm", "" for nothing
//	is [NAME] port N open  fail unless it takes connections there; or closed
//	until ...              as is, but wait for it
//	frames [NAME] FILE LINES   write a packet capture: each line of the file LINES is a frame as the machine's PC sees it, see frameOf
//	ca NAME FILE           write the machine's certificate
//	code [NAME [FILE]]     set $CODE to the consent code on the machine's screen; FILE gets it as it is typed
//	setupcert NAME FILE    write a certificate for the setup of AMT, with its key; the root alone to FILE.root
//
// and the condition [port623]: this process may answer presence pings.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("OUTBAND_HOSTS", filepath.Join(e.WorkDir, "hosts.json"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TMPDIR", e.WorkDir)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			for _, name := range []string{"AMT_PASSWORD", "AMT_HOST", "AMT_USER", "WSMAN_USER", "WSMAN_PASS", "DBUS_SESSION_BUS_ADDRESS"} {
				e.Setenv(name, "")
			}
			w := &world{machines: map[string]*lab.Running{}}
			e.Values[worldKey{}] = w
			e.Defer(w.close)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "port623" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			conn, err := net.ListenPacket("udp", "127.0.0.1:623")
			if err == nil {
				conn.Close()
			}
			return err == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"machine": startMachine,
			"is":      checkMachine,
			"until":   awaitMachine,
			"ca":      writeCertificate,
			"frames":  makeFrames,

			"setupcert": writeSetupCert,
			"code":      readCode,
		},
	})
}

type worldKey struct{}

// A world is the machines of one story.
type world struct {
	labs     []*lab.Lab
	machines map[string]*lab.Running
}

func (w *world) close() {
	for _, l := range w.labs {
		l.Close()
	}
}

func startMachine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: machine [NAME] FILE")
	}
	name := "HOST"
	if len(args) == 2 {
		name = args[0]
	}
	m, err := lab.ParseMachine([]byte(ts.ReadFile(args[len(args)-1])))
	ts.Check(err)
	if m.USB != "" {
		m.USB = ts.MkAbs(m.USB)
	}
	if m.ME != "" {
		m.ME = ts.MkAbs(m.ME)
	}
	if m.Wire != "" {
		m.Wire = ts.MkAbs(m.Wire)
	}
	if m.SetupRoots != "" {
		m.SetupRoots = ts.MkAbs(m.SetupRoots)
	}
	l, err := lab.Start(context.Background(), lab.World{Machines: []lab.Machine{m}})
	ts.Check(err)
	w := ts.Value(worldKey{}).(*world)
	w.labs = append(w.labs, l)
	r := l.Machines[0]
	w.machines[name] = r
	ts.Setenv(name, r.Address)
	ts.Setenv(name+"_pin", r.Fingerprint())
	ts.Setenv("AMT_PASSWORD", r.Password)
}

// readCode puts the consent code on a machine's screen into $CODE. A file gets what somebody types who mistypes it at first.
func readCode(ts *testscript.TestScript, neg bool, args []string) {
	name := strings.Join(append(args, "HOST")[:1], "")
	m := ts.Value(worldKey{}).(*world).machines[name]
	if neg || m == nil || len(args) > 2 {
		ts.Fatalf("usage: code [NAME [FILE]]")
	}
	code := m.Firmware.ConsentCode()
	ts.Setenv("CODE", code)
	if len(args) == 2 {
		wrong := "000000"
		if code == wrong {
			wrong = "000001"
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(wrong+"\n"+code+"\n"), 0o600))
	}
}

func checkMachine(ts *testscript.TestScript, neg bool, args []string) {
	m, look, want := condition(ts, args)
	if got := look(m); (got == want) == neg {
		ts.Fatalf("%s is %q", strings.Join(args[:len(args)-1], " "), got)
	}
}

func awaitMachine(ts *testscript.TestScript, neg bool, args []string) {
	m, look, want := condition(ts, args)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.Await(ctx, func(m *lab.Running) bool { return (look(m) == want) != neg }); err != nil {
		ts.Fatalf("%s is %q: %v", strings.Join(args[:len(args)-1], " "), look(m), err)
	}
}

// condition reads [NAME] power|booted VALUE.
func condition(ts *testscript.TestScript, args []string) (m *lab.Running, look func(*lab.Running) string, want string) {
	w := ts.Value(worldKey{}).(*world)
	name := "HOST"
	if len(args) == 3 && args[0] != "port" || len(args) == 4 {
		name, args = args[0], args[1:]
	}
	m = w.machines[name]
	if len(args) > 1 && args[0] == "port" {
		return portOf(ts, m, args[1:])
	}
	if len(args) != 2 || m == nil {
		ts.Fatalf("usage: is [NAME] power|booted VALUE")
	}
	look = (*lab.Running).Power
	switch args[0] {
	case "booted":
		look = (*lab.Running).BootedFrom
	case "plan":
		look = (*lab.Running).Plan
	case "erased":
		look = (*lab.Running).Erased
	case "mode":
		look = func(m *lab.Running) string { return m.Firmware.ControlMode().String() }
	}
	return m, look, args[1]
}

// portOf reads N open|closed.
func portOf(ts *testscript.TestScript, m *lab.Running, args []string) (*lab.Running, func(*lab.Running) string, string) {
	port, err := strconv.Atoi(args[0])
	if err != nil || m == nil || len(args) != 2 {
		ts.Fatalf("usage: is [NAME] port N open|closed")
	}
	return m, func(m *lab.Running) string {
		if slices.Contains(m.Ports(), port) {
			return "open"
		}
		return "closed"
	}, args[1]
}

func writeCertificate(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(worldKey{}).(*world)
	if len(args) != 2 || w.machines[args[0]] == nil {
		ts.Fatalf("usage: ca NAME FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), w.machines[args[0]].CertificatePEM(), 0o600))
}

// Every story has a first line that says what it shows.
func TestStoriesSayWhatTheyShow(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitN(string(text), "\n", 2)
		if !strings.HasPrefix(lines[0], "# ") || len(lines[0]) < 10 {
			t.Errorf("%s: the first line is %q, not a comment that says what it shows", file, lines[0])
		}
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(l string) bool {
			l = strings.TrimLeft(l, "! ")
			return strings.HasPrefix(l, "std") || strings.HasPrefix(l, "cmp") || strings.HasPrefix(l, "is ") || strings.HasPrefix(l, "until ") || strings.HasPrefix(l, "grep ")
		}) {
			t.Errorf("%s: looks at nothing", file)
		}
	}
}
