package fence

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/internal/need"
)

// What an agent prints without a device. Exit codes and texts are those of fence_amt 4.12.1 on
// Debian 12, run side by side, but where same is false: then the comment says why.
func TestAsFenceAMT(t *testing.T) {
	for _, tt := range []struct {
		name, stdin string
		argv        []string
		code        int
		talk        string
		same        bool
	}{
		{"no address", "", []string{"-o", "status", "-p", "x"}, 1, "Failed: You have to enter fence address", true},
		{"no password", "", []string{"-o", "status", "-a", "x"}, 1, "Failed: You have to enter password or password script", true},
		{"nothing at all", "", nil, 1, "Failed: You have to enter fence address", true},
		{"unknown action", "", []string{"-a", "x", "-p", "y", "-o", "bogus"}, 1, "Failed: Unrecognised action 'bogus'", true},
		{"empty action", "action=\nip=x\npassword=y", nil, 1, "Failed: Unrecognised action ''", true},
		{"validate", "action=validate-all\nip=x\npassword=y", nil, 0, "", true},
		{"validate, no password", "action=validate-all\nip=x", nil, 1, "validate-all failed", true},
		{"validate, unknown", "action=validate-all\nip=x\npassword=y\nfoo=bar", nil, 0, "Ignoring unknown option 'foo", true},
		{"validate, switch without value", "action=validate-all\nip=x\npassword=y\nverbose=perhaps", nil, 0, "Ignoring option 'verbose' because it does not have value", true},
		{"validate, stray operand", "", []string{"-a", "x", "-p", "y", "-o", "validate-all", "stray"}, 0, "unused arguments on command line", false}, // ours does not repeat it
		{"plug without port-as-ip", "", []string{"-a", "x", "-p", "y", "-n", "3", "-o", "status"}, 1, "option -n/--plug is not recognized", true},
		{"plug on standard input", "action=validate-all\nip=x\npassword=y\nport=3", nil, 0, "", true},
		{"port as ip", "action=validate-all\nport_as_ip=1\nport=3\npassword=y", nil, 0, "", true},
		{"bad delay", "", []string{"-a", "x", "-p", "y", "-o", "status", "--delay=abc"}, 1, "Failed: The value you have entered for --delay is not a valid time in seconds", true},
		{"bad port", "", []string{"-a", "x", "-p", "y", "-o", "status", "-u", "abc"}, 1, "Failed: The value you have entered for --ipport is not a valid integer", true},
		{"bad method", "", []string{"-a", "x", "-p", "y", "-o", "status", "-m", "foo"}, 1, "Failed: You have to enter a valid choice for --method from the valid values:", true},
		{"bad option", "", []string{"-a", "x", "-Q"}, 1, "Parse error: option -", true},
		{"bad long option", "", []string{"--nonsense"}, 1, "Parse error: option --nonsense not recognized", true},
		{"ambiguous", "", []string{"--power", "3"}, 1, "Parse error: option --power not a unique prefix", true},
		{"no argument", "", []string{"-a"}, 1, "Parse error: option -a requires argument", true},
		{"argument too many", "", []string{"--quiet=1"}, 1, "Parse error: option --quiet must not have an argument", true},
		{"empty delay", "ip=x\npassword=y\naction=status\ndelay=", nil, 1, "not a valid time in seconds", true},
		{"empty method", "ip=x\npassword=y\naction=status\nmethod=", nil, 1, "You have to enter a valid choice for --method", true},
		{"negative", "", []string{"-a", "x", "-p", "y", "-o", "status", "--delay=-5"}, 1, "not a valid time in seconds", false}, // fence_amt takes it for 0
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, talk := call(t, &Agent{}, &fake{state: On}, nil, tt.stdin, tt.argv...)
			if code != tt.code || out != "" || !strings.Contains(talk, tt.talk) || tt.talk == "" && talk != "" {
				t.Errorf("got exit %d, %q, %q; want %d and %q", code, out, talk, tt.code, tt.talk)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	pin := strings.Repeat("AB:", 31) + "AB"
	clean := strings.Repeat("ab", 32)
	agent := Agent{Port: 0}
	ws := Agent{Port: 16992, PlainHTTP: true}
	for _, tt := range []struct {
		name  string
		agent Agent
		stdin string
		argv  []string
		env   map[string]string
		want  Options
	}{
		{"least", agent, "ip=x\npassword=y", nil, nil, Options{IP: "x", Username: "admin", Password: "y"}},
		{"old names", agent, "ipaddr=x\nlogin=u\npasswd=y\nipport=1", nil, nil, Options{IP: "x", Port: 1, Username: "u", Password: "y"}},
		{"last wins", agent, "ip=a\nipaddr=x\npassword=\"a b\"\n  # c\n\npassword=y=z", nil, nil, Options{IP: "x", Username: "admin", Password: "y=z"}},
		{"quotes", agent, "ip=\"x\"\npassword=\"\"y\"\"", nil, nil, Options{IP: "x", Username: "admin", Password: `"y"`}},
		{"environment", agent, "ip=x", nil, map[string]string{"AMT_PASSWORD": "e"}, Options{IP: "x", Username: "admin", Password: "e"}},
		{"parameter before environment", agent, "ip=x\npassword=y", nil, map[string]string{"AMT_PASSWORD": "e"}, Options{IP: "x", Username: "admin", Password: "y"}},
		{"script", agent, "ip=x\npassword=y\npassword_script=printf 's p\\n\\n'", nil, nil, Options{IP: "x", Username: "admin", Password: "s p"}},
		{"port as ip", agent, "ip=a\nport=x\nport-as-ip=yes\npassword=y", nil, nil, Options{IP: "x", Username: "admin", Password: "y"}},
		{"Pacemaker", agent, "nodename=n\nip=x\nplug=n\npassword=y\ncrm_feature_set=3.16", nil, nil, Options{IP: "x", Username: "admin", Password: "y"}},

		{"ssl", agent, "ip=x\npassword=y\nssl=1", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSVerify}},
		{"ssl off", agent, "ip=x\npassword=y\nssl=0", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSOff}},
		{"ssl secure", agent, "ip=x\npassword=y\nssl_secure=on", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSVerify}},
		{"ssl insecure", agent, "ip=x\npassword=y\nssl_insecure=true", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSInsecure}},
		{"ssl and insecure", agent, "ip=x\npassword=y\nssl=1\nssl-insecure=1", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSInsecure}},
		{"secure and insecure", agent, "ip=x\npassword=y\nssl_secure=1\nssl_insecure=1", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSVerify}},
		{"pin", agent, "ip=x\npassword=y\ntls_pin=" + pin, nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSVerify, Pin: clean}},
		{"ca", agent, "ip=x\npassword=y\ntls-ca=/ca.pem", nil, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSVerify, CAFile: "/ca.pem"}},

		{"ws", ws, "ip=x\npassword=y", nil, nil, Options{IP: "x", Port: 16992, Username: "admin", Password: "y", TLS: TLSOff}},
		{"ws, TLS", ws, "ip=x\npassword=y\nssl=1", nil, nil, Options{IP: "x", Port: 16993, Username: "admin", Password: "y", TLS: TLSVerify}},
		{"ws, TLS port", ws, "ip=x\npassword=y\nipport=16993", nil, nil, Options{IP: "x", Port: 16993, Username: "admin", Password: "y"}},
		{"ws, TLS on a port", ws, "ip=x\npassword=y\nipport=16992\nssl_insecure=1", nil, nil, Options{IP: "x", Port: 16992, Username: "admin", Password: "y", TLS: TLSInsecure}},

		{"short", agent, "", strings.Fields("-a x -l u -p y -u 7 -z"), nil, Options{IP: "x", Port: 7, Username: "u", Password: "y", TLS: TLSVerify}},
		{"short together", agent, "", []string{"-qza", "x", "-py"}, nil, Options{IP: "x", Username: "admin", Password: "y", TLS: TLSVerify}},
		{"long", agent, "", strings.Fields("--ip x --username=u --password y --ipport=7 --ssl-insecure"), nil, Options{IP: "x", Port: 7, Username: "u", Password: "y", TLS: TLSInsecure}},
		{"beginnings", agent, "", strings.Fields("--ip x --user u --password=-y --tls-p " + clean), nil, Options{IP: "x", Username: "u", Password: "-y", TLS: TLSVerify, Pin: clean}},
		{"after operands", agent, "", strings.Fields("stray -a x -- -p y"), map[string]string{"AMT_PASSWORD": "e"}, Options{IP: "x", Username: "admin", Password: "e"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &fake{state: On}
			a := tt.agent
			stdin := tt.stdin
			if len(tt.argv) > 0 {
				tt.argv = append([]string{"-o", "status"}, tt.argv...)
			} else {
				stdin += "\naction=status\n"
			}
			code, _, talk := call(t, &a, m, tt.env, stdin, tt.argv...)
			got := m.seen
			got.Debug, got.Shell = nil, 0
			tt.want.Action = "status"
			if code != 0 || fmt.Sprintf("%v %s", got, string(got.Password)) != fmt.Sprintf("%v %s", tt.want, string(tt.want.Password)) {
				t.Errorf("exit %d, %+v %q; want %+v %q: %s", code, got, string(got.Password), tt.want, string(tt.want.Password), talk)
			}
		})
	}
	for _, bad := range []string{
		"ssl=0\nssl_insecure=1", "ssl=0\ntls_pin=" + clean, "ssl_insecure=1\ntls_ca=/x", "tls_pin=abcd", "ipport=70000",
		"password_script=false", "password_script=true", "delay=1000000000000",
	} {
		if code, _, talk := call(t, &Agent{}, &fake{state: On}, nil, login+"action=status\n"+bad); code != 1 || !strings.Contains(talk, "Failed: ") {
			t.Errorf("%q: exit %d, %q", bad, code, talk)
		}
	}
}

func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		stdin, service string
		agent          Agent
		want           time.Duration
	}{
		{"", "", Agent{}, 3 * time.Second},
		{"", "", Agent{ShellTimeout: 9 * time.Second}, 9 * time.Second},
		{"shell_timeout=5", "", Agent{ShellTimeout: 9 * time.Second}, 5 * time.Second},
		{"", "pacemaker-fenced", Agent{}, 0},
		{"disable_timeout=false", "pacemaker-fenced", Agent{}, 3 * time.Second},
		{"disable-timeout=1", "", Agent{}, 0},
		{"", "other", Agent{}, 3 * time.Second},
	} {
		m := &fake{state: On}
		call(t, &tt.agent, m, map[string]string{"PCMK_service": tt.service}, login+"action=status\n"+tt.stdin)
		if m.seen.Shell != tt.want {
			t.Errorf("%q in %q: %v, want %v", tt.stdin, tt.service, m.seen.Shell, tt.want)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	o := Options{Password: "S3cret"}
	if got := fmt.Sprintf("%v %+v %#v %s", o, o, o, o.Password); strings.Contains(got, "S3cret") {
		t.Error(got)
	}
	for _, argv := range [][]string{{"-a", "x", "S3cret"}, {"-S3cret"}, {"-p", "S3cret", "-a"}} {
		if _, out, talk := call(t, &Agent{}, &fake{}, nil, "", argv...); strings.Contains(out+talk, "S3cret") {
			t.Errorf("%q: %s%s", argv, out, talk)
		}
	}
	_, _, talk := call(t, &Agent{}, &fake{}, nil, "pasword=S3cret\nS3cret\n")
	if strings.Contains(talk, "S3cret") || !strings.Contains(talk, "pasword") {
		t.Error(talk)
	}
}

// personality is an agent with everything in it.
func personality() *Agent {
	return &Agent{
		Name: "fence_amt_ws", ShortDesc: "Fence agent for Intel AMT", LongDesc: `A "fence" agent <for> Intel AMT & co. It's fine.`,
		VendorURL: "https://www.intel.com/", Version: "1.2.3", Port: 16992, PlainHTTP: true,
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, argv := range [][]string{{"-V"}, {"--version"}} {
		if code, out, _ := call(t, personality(), nil, nil, "", argv...); code != 0 || out != "1.2.3\n" {
			t.Errorf("%v: exit %d, %q", argv, code, out)
		}
	}
	code, out, _ := call(t, personality(), nil, nil, "", "-h", "-o", "off")
	if code != 0 || !strings.Contains(out, "Usage:\n\tfence_amt_ws [options]") {
		t.Errorf("exit %d, %s", code, out)
	}
	for line := range strings.Lines(out) {
		if len(line) > 87 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	for _, p := range personality().params() {
		if !strings.Contains(out, p.getopt()) {
			t.Errorf("no word of %s", p.getopt())
		}
	}
}

// judge pipes text to a foreign program and fails if that is not content.
func judge(t *testing.T, input string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(need.Program(t, name), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil || name == "groff" && len(out) != 0 { // groff only warns
		t.Errorf("%s: %v\n%s\n%s", name, err, out, input)
	}
}

func agents() map[string]*Agent {
	withAll := personality()
	withAll.Boot = bootNothing
	several := personality()
	several.List = listNothing
	return map[string]*Agent{"plain": personality(), "with boot_option": withAll, "several machines": several}
}

func TestMetadataIsValid(t *testing.T) {
	const schema = "/usr/share/cluster/relaxng/metadata.rng" // of Debian's fence-agents
	need.File(t, schema)
	for name, a := range agents() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "metadata.xml")
			for _, argv := range [][]string{{"-o", "metadata"}, {"--action=meta-data", "-D/nowhere/x"}} {
				code, out, talk := call(t, a, nil, nil, "", argv...)
				if code != 0 || talk != "" {
					t.Fatalf("%v: exit %d, %s", argv, code, talk)
				}
				if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
					t.Fatal(err)
				}
				judge(t, out, "xmllint", "--noout", "--relaxng", schema, "-")
			}
			if a.List != nil { // the judge that fence-agents names, once: it is slow
				judge(t, "", "jing", schema, file)
			}
		})
	}
}

// The parameters of fence_amt_ws (agents/amt_ws in fence-agents, 2026) as its metadata has them: a
// cluster configured for it must find each one.
func TestParametersOfFenceAMTWS(t *testing.T) {
	a := personality()
	a.Boot = bootNothing
	_, out, _ := call(t, a, nil, nil, "action=metadata")
	for _, name := range strings.Fields(`action boot_option ip ipaddr ipport method passwd passwd_script password password_script
		plug port quiet verbose verbose_level debug debug_file version help plug_separator delay disable_timeout login_timeout
		port_as_ip power_timeout power_wait shell_timeout stonith_status_sleep retry_on`) {
		if !strings.Contains(out, `<parameter name="`+name+`"`) {
			t.Errorf("no parameter %s", name)
		}
	}
	for _, part := range []string{
		`<parameter name="ipaddr" unique="0" required="0" deprecated="1">`, `<parameter name="ip" unique="0" required="0" obsoletes="ipaddr">`,
		`<content type="integer" default="16992" />`, `<action name="on" automatic="0" />`, `<option value="hdsafe" />`,
		"A &quot;fence&quot; agent &lt;for&gt; Intel AMT &amp; co. It&apos;s fine.",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("no %s", part)
		}
	}
}

func TestManpage(t *testing.T) {
	for name, a := range agents() {
		t.Run(name, func(t *testing.T) {
			code, out, talk := call(t, a, nil, nil, "", "-o", "manpage")
			if code != 0 || talk != "" || !strings.HasPrefix(out, ".TH FENCE_AMT_WS 8") {
				t.Fatalf("exit %d, %s%s", code, out, talk)
			}
			for _, p := range a.params() {
				if !strings.Contains(out, "\n.B "+p.name+"\n") {
					t.Errorf("no word of %s", p.name)
				}
			}
			for _, act := range a.actions() {
				if !strings.Contains(out, "\n.B "+roff(act)+"\n") || actionHelp[act] == "" {
					t.Errorf("no word of %s", act)
				}
			}
			judge(t, out, "groff", "-man", "-ww", "-z", "-Tutf8")
		})
	}
}

// Two parameters must not share a spelling.
func TestParametersAreDistinct(t *testing.T) {
	for name, a := range agents() {
		seen := map[string]bool{}
		for _, p := range a.params() {
			for _, s := range []string{p.name, p.old, "-" + string(rune(p.short))} {
				if s != "" && s != "-\x00" && seen[s] {
					t.Errorf("%s: %s twice", name, s)
				}
				seen[s] = true
			}
			if (p.kind == boolean) != (p.arg == "") || (p.kind == choice) != (len(p.choices) > 0) || p.desc == "" {
				t.Errorf("%s: %+v contradicts itself", name, p)
			}
		}
	}
}

func FuzzStdin(f *testing.F) {
	f.Add("ip=x\npassword=\"y\"\n# c\naction=off\n")
	f.Add("ssl=maybe\nport-as-ip=1\nport=\x00\n=\nnodename=a=b\r\n")
	f.Add("delay=-1\nverbose_level=9999999999999999999\nboot-option=pxe")
	f.Fuzz(func(t *testing.T, s string) {
		a := personality()
		a.Boot = bootNothing
		params := a.params()
		given, err := parseStdin(strings.NewReader(s), params, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range given {
			p := find(params, name)
			if p == nil || p.name != name {
				t.Fatalf("%q is no parameter", name)
			}
			if p.kind == boolean && value != "0" && value != "1" {
				t.Fatalf("%s=%q", name, value)
			}
		}
		o, timing, err := a.options(given, func(string) string { return "" }, func(string) {})
		if err == nil && (o.IP == "" || o.Username == "" || o.Port < 0 || o.Port > 65535 || timing.delay < 0 || timing.tries < 0) {
			t.Fatalf("%q: %+v %+v", s, o, timing)
		}
	})
}

func FuzzArgs(f *testing.F) {
	f.Add("-a\nx\n-pqy\n--act=on\n--\n-z")
	f.Add("-vvqz\n--ssl=1\n-n\n3\n--port-as-ip")
	f.Fuzz(func(t *testing.T, s string) {
		params := personality().params()
		given, err := parseArgs(strings.Split(s, "\n"), params, func(string) {})
		if err != nil {
			return
		}
		for name := range given {
			if p := find(params, name); p == nil || p.name != name {
				t.Fatalf("%q is no parameter", name)
			}
		}
	})
}

func bootNothing(context.Context, Machine, string) error { return nil }

func listNothing(context.Context, Options) ([]Plug, error) { return nil, nil }
