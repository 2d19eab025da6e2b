package fence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a machine. The zero value is off and does what it is told at once.
type fake struct {
	state  State
	slow   int  // readings that a change takes
	lying  bool // takes requests and does nothing
	harder bool // offers a harder way that always works
	hang   bool // answers nothing until ctx ends

	refuseOn, refuseOff, refuseReset int // how many requests are refused; -1: all
	blind                            int // readings that fail after the first request
	afterReset                       State

	calls   []string // requests, without status
	next    State
	pending int
	closed  bool
	asked   bool
	seen    Options
}

var errRefused = errors.New("refused with not ready (2)")

func (f *fake) Power(ctx context.Context) (State, error) {
	if f.hang {
		<-ctx.Done()
		return Unknown, ctx.Err()
	}
	if f.asked && f.blind != 0 {
		f.blind--
		return Unknown, errors.New("connection reset")
	}
	if f.next != Unknown {
		if f.pending--; f.pending < 0 {
			f.state, f.next = f.next, Unknown
		}
	}
	return f.state, nil
}

func (f *fake) ask(what string, refuse *int, to State) error {
	f.calls = append(f.calls, what)
	f.asked = true
	if *refuse != 0 {
		*refuse--
		return errRefused
	}
	if !f.lying && f.next != to {
		f.next, f.pending = to, f.slow
	}
	return nil
}

func (f *fake) On(context.Context) error  { return f.ask("on", &f.refuseOn, On) }
func (f *fake) Off(context.Context) error { return f.ask("off", &f.refuseOff, Off) }
func (f *fake) Reset(context.Context) error {
	to := f.afterReset
	if to == Unknown {
		to = On
	}
	return f.ask("reset", &f.refuseReset, to)
}
func (f *fake) Diag(context.Context) error { return f.ask("diag", new(int), f.state) }
func (f *fake) Escalate(context.Context) error {
	if !f.harder {
		return ErrNotOffered
	}
	f.lying = false
	return f.ask("harder", new(int), Off)
}
func (f *fake) Close() error { f.closed = true; return nil }

// call runs an agent with machine m and returns what a cluster sees.
func call(t *testing.T, a *Agent, m *fake, env map[string]string, stdin string, argv ...string) (code int, out, talk string) {
	t.Helper()
	var o, e bytes.Buffer
	a.Out, a.Err = &o, &e
	if a.Name == "" {
		a.Name = "fence_test"
	}
	if a.Connect == nil {
		a.Connect = func(_ context.Context, opt Options) (Machine, error) {
			m.seen = opt
			return m, nil
		}
	}
	code = a.Run(t.Context(), argv, strings.NewReader(stdin), func(name string) string { return env[name] })
	return code, o.String(), e.String()
}

const login = "ip=10.0.0.7\npassword=S3cret\n"

func TestActions(t *testing.T) {
	inPacemaker := map[string]string{"PCMK_service": "pacemaker-fenced"}
	for _, tt := range []struct {
		name   string
		stdin  string
		m      fake
		env    map[string]string
		code   int
		out    string
		calls  string
		took   time.Duration
		talk   string // somewhere on standard error
		silent bool   // nothing on standard error
	}{
		{name: "status on", stdin: "action=status", m: fake{state: On}, code: 0, out: "Status: ON\n", silent: true},
		{name: "status off", stdin: "action=status", m: fake{state: Off}, code: 2, out: "Status: OFF\n", silent: true},
		{name: "status unknown", stdin: "action=status", m: fake{}, code: 1, talk: "Unable to obtain correct plug status"},
		{name: "status hangs", stdin: "action=status", m: fake{hang: true}, code: 1, took: 3 * time.Second, talk: "no answer within 3s"},
		{name: "monitor", stdin: "action=monitor", m: fake{state: Off}, code: 0},
		{name: "monitor unknown", stdin: "action=monitor", m: fake{}, code: 1, talk: "plug status"},

		{name: "already on", stdin: "action=on", m: fake{state: On}, out: "Success: Already ON\n", silent: true},
		{name: "already off", stdin: "action=off", m: fake{state: Off}, out: "Success: Already OFF\n", silent: true},
		{name: "on", stdin: "action=on", m: fake{state: Off}, out: "Success: Powered ON\n", calls: "on", silent: true},
		{name: "off", stdin: "action=OFF", m: fake{state: On}, out: "Success: Powered OFF\n", calls: "off", silent: true},
		{name: "off unknown", stdin: "action=off", m: fake{}, code: 1, talk: "plug status"},
		{name: "slow off", stdin: "action=off", m: fake{state: On, slow: 5}, out: "Success: Powered OFF\n", calls: "off", took: 5 * time.Second},
		{name: "slow off, other sleep", stdin: "action=off\nstonith_status_sleep=3", m: fake{state: On, slow: 5}, out: "Success: Powered OFF\n", calls: "off", took: 15 * time.Second},
		{name: "power_wait", stdin: "action=off\npower_wait=4", m: fake{state: On, slow: 1}, out: "Success: Powered OFF\n", calls: "off", took: 5 * time.Second},
		{name: "off at the last moment", stdin: "action=off\npower_timeout=6", m: fake{state: On, slow: 6}, out: "Success: Powered OFF\n", calls: "off off", took: 6 * time.Second},

		{name: "off that lies", stdin: "action=off", m: fake{state: On, lying: true}, code: 1, calls: "off off", took: 20 * time.Second, talk: "Failed: Timed out waiting to power OFF"},
		{name: "off that lies, with a harder way", stdin: "action=off", m: fake{state: On, lying: true, harder: true}, out: "Success: Powered OFF\n", calls: "off harder", took: 11 * time.Second, talk: "harder way"},
		{name: "off refused, with a harder way", stdin: "action=off", m: fake{state: On, refuseOff: -1, harder: true}, out: "Success: Powered OFF\n", calls: "off harder", took: time.Second},
		{name: "off refused for a while", stdin: "action=off", m: fake{state: On, refuseOff: 3}, out: "Success: Powered OFF\n", calls: "off off off off", took: 3 * time.Second},
		{name: "off refused for good", stdin: "action=off\npower_timeout=3", m: fake{state: On, refuseOff: -1}, code: 1, calls: "off off off off off", took: 3 * time.Second, talk: "not ready"},
		{name: "off, connection lost meanwhile", stdin: "action=off", m: fake{state: On, blind: 4}, out: "Success: Powered OFF\n", calls: "off", took: 4 * time.Second},
		{name: "off, connection lost for good", stdin: "action=off\npower_timeout=2", m: fake{state: On, blind: -1}, code: 1, calls: "off off", took: 2 * time.Second, talk: "connection reset"},
		{name: "off without timeouts", stdin: "action=off", env: inPacemaker, m: fake{state: On, slow: 100}, out: "Success: Powered OFF\n", calls: "off off", took: 100 * time.Second},
		{name: "harder off without timeouts", stdin: "action=off", env: inPacemaker, m: fake{state: On, lying: true, harder: true}, out: "Success: Powered OFF\n", calls: "off harder", took: 11 * time.Second},
		{name: "timeouts wanted in Pacemaker", stdin: "action=off\ndisable_timeout=no", env: inPacemaker, m: fake{state: On, lying: true}, code: 1, calls: "off off", took: 20 * time.Second, talk: "Timed out"},

		{name: "on refused once", stdin: "action=on", m: fake{state: Off, refuseOn: 1}, out: "Success: Powered ON\n", calls: "on on", took: time.Second},
		{name: "on refused", stdin: "action=on\nretry_on=2", m: fake{state: Off, refuseOn: -1}, code: 1, calls: "on on on", took: 3 * time.Second, talk: "not ready"},
		{name: "on that lies", stdin: "action=on\npower_timeout=5", m: fake{state: Off, lying: true}, code: 1, calls: "on on", took: 10 * time.Second, talk: "Failed: Timed out waiting to power ON"},
		{name: "on without timeouts", stdin: "action=on", env: inPacemaker, m: fake{state: Off, refuseOn: 30}, out: "Success: Powered ON\n", calls: strings.TrimSpace(strings.Repeat("on ", 31)), took: 30 * time.Second},

		{name: "reboot is the default", stdin: "", m: fake{state: On}, out: "Success: Rebooted\n", calls: "off on", silent: true},
		{name: "reboot of what is off", stdin: "action=reboot", m: fake{state: Off}, out: "Success: Rebooted\n", calls: "on"},
		{name: "reboot, off fails", stdin: "action=reboot\npower_timeout=1", m: fake{state: On, lying: true}, code: 1, calls: "off off", took: time.Second, talk: "power OFF"},
		{name: "reboot, on fails", stdin: "action=reboot", m: fake{state: On, refuseOn: -1}, out: "Success: Rebooted\n", calls: "off on", took: time.Second, talk: "WARNING: the machine is fenced, but does not come back"},
		{name: "reboot, on fails, no timeouts", stdin: "action=reboot", env: inPacemaker, m: fake{state: On, refuseOn: -1}, out: "Success: Rebooted\n", calls: "off on", took: time.Second, talk: "WARNING"},
		{name: "reboot with retry_on=0", stdin: "retry_on=0", m: fake{state: On}, out: "Success: Rebooted\n", calls: "off on"},
		{name: "delay", stdin: "delay=15", m: fake{state: On}, out: "Success: Rebooted\n", calls: "off on", took: 15 * time.Second},
		{name: "no delay for on", stdin: "action=on\ndelay=15", m: fake{state: Off}, out: "Success: Powered ON\n", calls: "on"},
		{name: "no delay for status", stdin: "action=status\ndelay=15", m: fake{state: On}, out: "Status: ON\n"},

		{name: "cycle", stdin: "method=cycle", m: fake{state: On}, out: "Success: Rebooted\n", calls: "reset"},
		{name: "cycle in capitals", stdin: "method=CYCLE", m: fake{state: On}, out: "Success: Rebooted\n", calls: "reset"},
		{name: "cycle refused", stdin: "method=cycle\nretry_on=5", m: fake{state: On, refuseReset: 1}, code: 1, calls: "reset", talk: "reset not verified: refused"},
		{name: "cycle of what is off", stdin: "method=cycle", m: fake{state: Off}, out: "Success: Rebooted\n", calls: "on"},
		{name: "cycle ends off", stdin: "method=cycle", m: fake{state: On, afterReset: Off}, out: "Success: Rebooted\n", calls: "reset on"},
		{name: "cycle, then nothing to be read", stdin: "method=cycle\npower_timeout=4", m: fake{state: On, blind: -1}, code: 1, calls: "reset", took: 4 * time.Second, talk: "plug status"},
		{name: "cycle, state unknown before", stdin: "method=cycle", m: fake{}, code: 1, talk: "plug status"},
		{name: "off with method=cycle", stdin: "action=off\nmethod=cycle", m: fake{state: On}, out: "Success: Powered OFF\n", calls: "off"},

		{name: "diag", stdin: "action=diag", m: fake{state: On}, out: "Success: Diagnostic interrupt sent\n", calls: "diag"},
		{name: "diag of what is off", stdin: "action=diag", m: fake{state: Off}, code: 1, talk: "the machine is off"},
		{name: "list", stdin: "action=list", out: "NOTICE: List option is not working on this device yet\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				m := tt.m
				code, out, talk := call(t, &Agent{}, &m, tt.env, login+tt.stdin+"\n")
				if code != tt.code || out != tt.out {
					t.Errorf("got exit %d, %q; want %d, %q; talk: %s", code, out, tt.code, tt.out, talk)
				}
				if got := strings.Join(m.calls, " "); got != tt.calls {
					t.Errorf("requests: got %q, want %q", got, tt.calls)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if !strings.Contains(talk, tt.talk) || tt.silent && talk != "" {
					t.Errorf("standard error: %q, want %q", talk, tt.talk)
				}
				if !m.closed && !strings.Contains(tt.stdin, "list") {
					t.Error("the machine was not closed")
				}
			})
		})
	}
}

// TestNeverSuccessWithoutOff tries every misbehaviour with every way to fence: an exit code of 0
// means that the machine was off after the call began, or was reset.
func TestNeverSuccessWithoutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		for _, stdin := range []string{"action=off", "action=reboot", "method=cycle", "action=off\npower_timeout=0\ndisable_timeout=0"} {
			for _, state := range []State{On, Unknown} {
				for bits := range 16 {
					m := fake{state: state, lying: bits&1 != 0, blind: -(bits >> 3)}
					if bits&2 != 0 {
						m.refuseOff, m.refuseReset = -1, -1
					}
					if bits&4 != 0 {
						m.slow = 1000
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					a := &Agent{Connect: func(context.Context, Options) (Machine, error) { return &m, nil }}
					code := a.Run(ctx, nil, strings.NewReader(login+stdin), func(string) string { return "" })
					cancel()
					truth := m.state == Off || slices.Contains(m.calls, "on") || slices.Contains(m.calls, "reset") && m.refuseReset == 0
					if code == 0 && !truth {
						t.Errorf("%q, %+v: success", stdin, m)
					}
					if code == 0 {
						n++
					}
				}
			}
		}
		if n == 0 {
			t.Error("nothing ever succeeded")
		}
	})
}

func TestConnectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, connect := range map[string]func(context.Context, Options) (Machine, error){
			"refused": func(_ context.Context, o Options) (Machine, error) {
				return nil, fmt.Errorf("login as %s with %s: wrong", o.Username, string(o.Password))
			},
			"hangs": func(ctx context.Context, _ Options) (Machine, error) { <-ctx.Done(); return nil, ctx.Err() },
		} {
			code, out, talk := call(t, &Agent{Connect: connect}, nil, nil, login+"action=off\nverbose=1\nlogin_timeout=7")
			if code != 1 || out != "" || !strings.Contains(talk, "Unable to connect/login to fencing device") {
				t.Errorf("%s: got exit %d, %q, %q", name, code, out, talk)
			}
			if strings.Contains(talk, "S3cret") {
				t.Errorf("%s: the password is in %q", name, talk)
			}
			if name == "hangs" && !strings.Contains(talk, "no answer within 7s") {
				t.Errorf("no word of the time limit in %q", talk)
			}
		}
	})
}

func TestBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, stdin := range []string{"delay=60", "power_wait=60", "stonith_status_sleep=60"} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			m := &fake{state: On, slow: 9}
			var talk bytes.Buffer
			a := &Agent{Err: &talk, Connect: func(context.Context, Options) (Machine, error) { return m, nil }}
			start := time.Now()
			code := a.Run(ctx, nil, strings.NewReader(login+stdin), func(string) string { return "" })
			if took := time.Since(start); code != 1 || took != 5*time.Second {
				t.Errorf("%s: exit %d after %v; want 1 after 5s: %s", stdin, code, took, talk.String())
			}
			cancel()
		}
	})
}

func TestBootOption(t *testing.T) {
	for _, tt := range []struct {
		stdin string
		m     fake
		fail  bool
		code  int
		calls string
	}{
		{"action=on\nboot_option=PXE", fake{state: Off}, false, 0, "boot pxe,on"},
		{"boot-option=hdsafe", fake{state: On}, false, 0, "off,boot hdsafe,on"},
		{"method=cycle\nboot_option=bios", fake{state: On}, false, 0, "boot bios,reset"},
		{"action=off\nboot_option=cd", fake{state: On}, false, 0, "off"},
		{"action=on\nboot_option=pxe", fake{state: Off}, true, 1, ""},
		{"method=cycle\nboot_option=pxe", fake{state: On}, true, 1, ""},
		{"boot_option=pxe", fake{state: On}, true, 0, "off"}, // fenced; rather off than booted from elsewhere
	} {
		t.Run(tt.stdin, func(t *testing.T) {
			m := tt.m
			a := &Agent{Boot: func(_ context.Context, got Machine, option string) error {
				if tt.fail {
					return errRefused
				}
				got.(*fake).calls = append(got.(*fake).calls, "boot "+option)
				return nil
			}}
			code, _, talk := call(t, a, &m, nil, login+tt.stdin)
			if got := strings.Join(m.calls, ","); code != tt.code || got != tt.calls {
				t.Errorf("exit %d, %q; want %d, %q: %s", code, got, tt.code, tt.calls, talk)
			}
		})
	}
	if code, _, talk := call(t, &Agent{}, &fake{state: On}, nil, login+"boot_option=pxe\naction=status"); code != 0 || !strings.Contains(talk, "unknown option 'boot_option'") {
		t.Errorf("an agent without Boot: exit %d, %q", code, talk)
	}
}

func TestSeveralPlugs(t *testing.T) {
	machines := map[string]*fake{}
	agent := func() *Agent {
		return &Agent{
			Connect: func(_ context.Context, o Options) (Machine, error) {
				if m := machines[o.Plug]; m != nil {
					return m, nil
				}
				return nil, errors.New("no such machine")
			},
			List: func(context.Context, Options) ([]Plug, error) {
				return []Plug{{"a", "Desk", On}, {"b", "", Off}, {"c", "odd", Unknown}}, nil
			},
		}
	}
	for _, tt := range []struct {
		stdin string
		code  int
		out   string
		calls string // of a / of b
	}{
		{"action=list", 0, "a,Desk\nb,\nc,odd\n", "/"},
		{"action=list-status\nseparator=;", 0, "a;Desk;ON\nb;;OFF\nc;odd;UNKNOWN\n", "/"},
		{"action=monitor", 0, "", "/"},
		{"action=status", 1, "", "/"}, // which?
		{"action=status\nplug=a", 0, "Status: ON\n", "/"},
		{"action=status\nport=b", 2, "Status: OFF\n", "/"},
		{"action=status\nplug=a,b", 0, "Status: ON\n", "/"},
		{"action=off\nplug=a,b", 0, "Success: Powered OFF\n", "off/off"},
		{"action=on\nplug=a+b\nplug_separator=+", 0, "Success: Powered ON\n", "/on"},
		{"plug=a,b", 0, "Success: Rebooted\n", "off on/off on"},
		{"plug=a,b\nmethod=cycle", 0, "Success: Rebooted\n", "reset/on"},
		{"action=off\nplug=a,nobody", 1, "", "/"},
	} {
		t.Run(tt.stdin, func(t *testing.T) {
			machines["a"], machines["b"] = &fake{state: On}, &fake{state: Off}
			code, out, talk := call(t, agent(), nil, nil, login+tt.stdin)
			calls := strings.Join(machines["a"].calls, " ") + "/" + strings.Join(machines["b"].calls, " ")
			if code != tt.code || out != tt.out || calls != tt.calls {
				t.Errorf("got %d, %q, %s; want %d, %q, %s: %s", code, out, calls, tt.code, tt.out, tt.calls, talk)
			}
		})
	}
}

func TestVerboseAndDebugFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "debug")
	for name, tt := range map[string]struct {
		argv       []string
		err, debug string
	}{
		"verbose":           {[]string{"-v"}, "10.0.0.7 is on", ""},
		"debug file":        {[]string{"-D", file}, "", "10.0.0.7 is on"},
		"quiet":             {[]string{"-q", "-vD", file}, "", "10.0.0.7 is on"},
		"level 0":           {[]string{"-v", "--verbose-level=0"}, "", ""},
		"level by mistake":  {[]string{"--verbose-level", "x"}, "must be an integer", ""},
		"cannot be created": {[]string{"-D", filepath.Join(file, "x")}, "Unable to create file", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(file)
			argv := append([]string{"-a", "10.0.0.7", "-p", "S3cret", "-o", "status"}, tt.argv...)
			_, _, talk := call(t, &Agent{}, &fake{state: On}, nil, "", argv...)
			b, _ := os.ReadFile(file)
			if !strings.Contains(talk, tt.err) || tt.err == "" && talk != "" {
				t.Errorf("standard error: %q, want %q", talk, tt.err)
			}
			if got := string(b); !strings.Contains(got, tt.debug) || tt.debug == "" && got != "" {
				t.Errorf("debug file: %q, want %q", got, tt.debug)
			}
			if strings.Contains(talk+string(b), "S3cret") {
				t.Error("the password was written")
			}
		})
	}
}

// brokenPipe is a standard output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOutputCannotBeWritten(t *testing.T) {
	a := &Agent{Name: "x", Out: brokenPipe{}, Connect: func(context.Context, Options) (Machine, error) { return &fake{state: On}, nil }}
	if code := a.Run(t.Context(), nil, strings.NewReader(login+"action=status"), func(string) string { return "" }); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
}
