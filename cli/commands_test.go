package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/outband/outband/internal/need"
	"github.com/outband/outband/internal/setupcert"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// invoke runs a command line in this process.
func invoke(t *testing.T, env map[string]string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a command that hangs is not to hang the tests
	defer cancel()
	code = Run(ctx, args, func(name string) string { return env[name] }, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// leaves returns all commands that can be run, by the words that name them.
func leaves(t *testing.T) map[string]*kong.Node {
	parser, err := newParser(&app{out: io.Discard, err: io.Discard}, &commands{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*kong.Node{}
	for _, leaf := range parser.Model.Leaves(true) {
		var words []string
		for n := leaf; n.Parent != nil; n = n.Parent {
			words = append([]string{n.Name}, words...)
		}
		all[strings.Join(words, " ")] = leaf
	}
	return all
}

// Every command shows an example of itself, and has no way to take a password as an argument.
func TestHelp(t *testing.T) {
	for name := range leaves(t) {
		code, help, _ := invoke(t, nil, "", append([]string{"outband"}, append(strings.Fields(name), "--help")...)...)
		if name == "fence" { // its own help, in the form of fence agents
			code, help, _ = invoke(t, nil, "", "outband", "--help")
			help += fenceCmd{}.Help()
		}
		if code != 0 {
			t.Errorf("%s --help: exit code %d", name, code)
		}
		_, examples, found := strings.Cut(help, "Example")
		if !found || !strings.Contains(examples, "outband "+name) {
			t.Errorf("%s --help shows no example of it:\n%s", name, help)
		}
		for _, line := range strings.Split(help, "\n") {
			if f := strings.Fields(line); len(f) > 0 && (strings.HasPrefix(f[0], "--password=") || strings.HasPrefix(f[0], "-p")) {
				t.Errorf("%s takes a password as an argument: %s", name, line)
			}
		}
	}
}

// Every command has a story in which somebody types it.
func TestStoriesTellOfEveryCommand(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var stories strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stories.WriteString(strings.NewReplacer("\n", " ", "'", " ", ";", " ").Replace(string(text)))
	}
	for name := range leaves(t) {
		if !strings.Contains(stories.String(), " outband "+name+" ") {
			t.Errorf("no story has outband %s", name)
		}
	}
}

// Every command that has results writes them as JSON, one object per line.
func TestJSON(t *testing.T) {
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 16, Power: "on", Wireless: &firmware.Wireless{}}, {Profile: 19}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	on, off := w.Machines[0].Address, w.Machines[1].Address
	dir := t.TempDir()
	env := map[string]string{"OUTBAND_HOSTS": filepath.Join(dir, "hosts.json"), "AMT_PASSWORD": w.Machines[0].Password, "AMT_NEW_PASSWORD": "N3w$ecret", "AMT_WIFI_KEY": "correct horse", "AMT_EAP_PASSWORD": "s3cret", "AMT_MPS_PASSWORD": "S3cret.", "MEBX_NEW_PASSWORD": "M3Bx$ecret"}
	hostsCfg := filepath.Join(dir, "hosts.cfg")
	if err := writeFile(hostsCfg, []byte("[imported]\nhost = 192.0.2.1\npasswd = x\n")); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, "kerberos.key"), bytes.Repeat([]byte{7}, 32)); err != nil {
		t.Fatal(err)
	}
	chain, err := setupcert.New(t, "amt.lab.example", nil).PEM()
	if err == nil {
		err = writeFile(filepath.Join(dir, "setup.pem"), chain)
	}
	if err != nil {
		t.Fatal(err)
	}
	pc, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 16, Unset: true, ME: filepath.Join(dir, "me.sock"), Wire: filepath.Join(dir, "nic.sock")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	bus := "--bus=unix:" + filepath.Join(dir, "me.sock")
	wire, frames := filepath.Join(dir, "nic.sock"), filepath.Join(dir, "frames.pcap")
	if err := writeFrames(frames, "receive tcp 198.51.100.7:50000 192.0.2.10:80"); err != nil {
		t.Fatal(err)
	}
	film := filepath.Join(dir, "film.fbs")
	if err := writeFile(film, []byte("FBS 001.000\n\x00\x00\x00\x28RFB 003.003\n\x00\x00\x00\x01\x00\x01\x00\x01\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	// The order matters: what is added is listed, what is switched on is switched off. A command that is not named here
	// is asked with one machine as its argument.
	order := []string{"host add", "host list", "host show", "host set", "host export", "host import", "host remove", "info", "power status", "power on", "event list", "power off",
		"power cycle", "power reset", "power soft-off", "power soft-reset", "power sleep", "power hibernate", "power nmi", "boot status", "boot pxe", "boot disk", "boot cd", "boot bios",
		"boot custom", "boot ider", "boot service", "boot winre", "boot pba", "boot settings", "alarm add", "alarm list", "alarm remove", "alarm clear",
		"boot diagnostics", "boot https", "boot clear", "discover", "doctor", "dump", "wsman", "user add", "user set", "user disable", "user enable",
		"user remove", "pki generate", "pki request", "pki issue", "pki add", "pki list", "pki remove", "tls enable", "tls mutual", "tls status", "tls disable", "setupbin create", "setupbin show", "setupbin set", "setupbin add-record", "setupbin remove-record", "setupbin check", "setupbin stick", "setupbin variables",
		"state save", "state diff", "state apply", "kvm", "screenshot", "consent policy", "consent start", "consent code", "consent cancel", "network set", "wifi add", "wifi set", "wifi priority", "wifi remove", "wired8021x set", "cira server add", "cira policy set", "cira show", "cira policy remove", "cira server remove", "cira proxy add", "cira proxy remove", "kerberos set", "presence watchdog add", "presence watchdog list", "presence action add", "presence action list", "presence run", "presence action remove", "presence watchdog remove", "defense filter add", "defense filter list", "defense policy add", "defense policy list", "defense bind", "defense stats", "defense unbind", "defense policy remove", "defense filter remove", "defense isolate", "defense show", "defense release", "alert subscribe", "alert list", "alert renew", "alert remove", "audit export", "demo", "completion", "version"}
	setup := filepath.Join(dir, "setup.bin")
	args := map[string][]string{
		"host add": {"nuc1", on, "--trust"}, "host show": {"nuc1"}, "host set": {"nuc1", "--tag", "lab"}, "host export": {filepath.Join(dir, "list.json")}, "host import": {hostsCfg}, "host remove": {"imported"},
		"power on": {off}, "event list": {off}, "power off": {off}, "power cycle": {off}, "power reset": {off}, "power soft-reset": {off}, "power hibernate": {off},
		"power soft-off": {off}, "power sleep": {off}, "power nmi": {off},
		"boot diagnostics": {on}, "boot https": {"https://boot.example/x.efi", on},
		"discover": {on}, "dump": {on, "-f", filepath.Join(dir, "dump"), "--class", "CIM_Chip"}, "wsman": {"get", "CIM_ComputerSystemPackage", on},
		"user add": {"ops", on, "--realm", "remote-control"}, "user set": {"ops", on, "--realm", "info"}, "user disable": {"ops", on},
		"user enable": {"ops", on}, "user remove": {"ops", on},
		"setupbin create": {setup, "--single"}, "setupbin show": {setup}, "setupbin set": {setup, "kvm=off"}, "setupbin add-record": {setup, "host-name=two"},
		"setupbin remove-record": {setup, "2"}, "setupbin check": {setup}, "setupbin stick": {setup, filepath.Join(dir, "stick.img")}, "setupbin variables": {},
		"network set": {on, "--ping", "off"}, "wifi add": {"office", on}, "wifi set": {"office", on, "--ssid", "Office"},
		"wifi priority": {"office", "3", on}, "wifi remove": {"office", on}, "wired8021x set": {on, "--eap", "peap-gtc", "--eap-user", "amt"},
		"cira server add": {"mps.example.org", on, "--mps-ca", filepath.Join(dir, "ca.pem"), "--mps-user", "desk7"}, "cira server remove": {"mps-0", on},
		"cira policy set": {"periodic", on, "--server", "mps-0", "--every", "1h"}, "cira policy remove": {"periodic", on},
		"cira proxy add": {"proxy.example.org", on, "--suffix", "lab.example"}, "cira proxy remove": {"proxy-0", on},
		"cira environment set": {on, "--suffix", "lab.example"}, "cira connect": {on, "--from", "os"},
		"kerberos set": {on, "--realm", "EXAMPLE.ORG", "--key-file", filepath.Join(dir, "kerberos.key")},
		"alarm add":    {"backup", on, "--in", "1h"}, "alarm remove": {"backup", on},
		"storage get": {"index.htm", on, "-f", filepath.Join(dir, "page")}, "storage put": {hostsCfg, "Acme/App/file", on},
		"storage link": {"Acme/App/file", on, "--none"}, "storage remove": {"Acme/App/file", on}, "web set": {hostsCfg, on},
		"boot custom": {on, "--progress-events"}, "boot service": {on, "--recovery", "on"},
		"erase": {off, "--part", "tpm", "--yes", off}, "unprovision": {off, "--yes", off},
		"alert subscribe": {on}, "alert renew": {on, "Listener 1"}, "alert remove": {on, "--all"}, "audit lock": {on, "--allow-unprovision"},
		"audit export": {on, "-f", filepath.Join(dir, "audit")}, "audit verify": {filepath.Join(dir, "audit")},
		"pki request": {"key-0", on}, "pki issue": {"key-0", on}, "pki add": {on, "--root", filepath.Join(dir, "ca.pem")}, "pki remove": {"cert-1", on},
		"defense filter add": {"web", on, "--in", "--action", "drop", "--protocol", "tcp", "--to-port", "80"}, "defense filter remove": {"web", on},
		"defense policy add": {"office", on, "--filter", "web"}, "defense policy remove": {"office", on}, "defense bind": {"office", on},
		"replay":                {"--wire", wire, frames},
		"presence watchdog add": {"guard", on}, "presence watchdog remove": {"guard", on}, "presence action add": {"guard", on, "--to", "expired", "--event"},
		"presence action remove": {"guard", on}, "presence run": {on, "--agent", "guard", "--for", "100ms"},
		"local config start": {bus}, "local config stop": {bus}, "local smbios": {"--from", "../wire/smbios/testdata/desk.bin"}, "route": {on, "16993", "--for", "1ms"},
		"local configure": {filepath.Join(dir, "state.yaml"), bus, "--yes"}, "local tunnel": {bus},
		"local activate": {bus}, "local info": {bus}, "local upgrade": {bus, "--setup-cert", filepath.Join(dir, "setup.pem"), "--yes", "local"}, "local deactivate": {bus, "--yes", "local"},
		"play": {film, "--png", filepath.Join(dir, "film")},
		"kvm":  {on, "--enable", "--viewer", "none", "--for", "100ms"}, "ider": {on, hostsCfg, "--enable", "--for", "100ms"},
		"feature enable": {"sol", on}, "feature disable": {"web", on}, "powerpolicy set": {"2", on},
		"consent policy": {"none", on}, "consent code": {on, "123456"}, "consent cancel": {on},
		"state save": {on, filepath.Join(dir, "state.yaml")}, "state diff": {filepath.Join(dir, "state.yaml"), on},
		"state apply": {filepath.Join(dir, "state.yaml"), on, "--yes"},
		"screen use":  {"1", on}, "screen blank": {"off", on},
		"screenshot": {on, "--enable", "-f", filepath.Join(dir, "screen.png")},
		"demo":       {"--once"}, "completion": {"bash"}, "version": {}, "host list": {},
	}
	// Refusals are results too: an object with the error.
	mayFail := map[string]bool{"local config start": true, "local config stop": true, "consent start": true, "consent code": true, "consent cancel": true, "state diff": true, "cira disconnect": true, "local upgrade": true, "local configure": true, "local tunnel": true, "tls disable": true, "audit verify": true, "power cycle": true, "power reset": true, "power soft-reset": true, "power hibernate": true, "power soft-off": true,
		"power sleep": true, "power nmi": true, "boot diagnostics": true, "boot https": true,
		"storage list": true, "storage get": true, "storage put": true, "storage link": true, "storage remove": true, "web set": true, "web remove": true}
	exempt := map[string]string{
		"virtual serve": "always writes JSON",
		"virtual exec":  "has no results but the program's",
		"fence":         "keeps the contract of fence agents",
		"event export":  "writes one list, as its name says",
		"event watch":   "goes on until it is told to end",
		"alert listen":  "goes on until it is told to end",
		"sol":           "is a terminal",
		"lms":           "goes on until it is told to end; its stories look at its JSON",
		"watchdog":      "goes on until it is told to end; its stories look at its JSON",
		"agent":         "goes on until it is told to end; its stories look at its JSON",
		"__manual":      "writes the documentation",
		"__complete":    "for completion scripts",
	}
	all := leaves(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(order, name) && exempt[name] == "" {
			order = append(order, name)
		}
	}
	for _, name := range order {
		t.Run(name, func(t *testing.T) {
			if all[name] == nil {
				t.Fatalf("there is no such command")
			}
			given, ok := args[name]
			if !ok {
				given = []string{on}
			}
			line := append([]string{"outband"}, append(strings.Fields(name), append(given, "-o", "json")...)...)
			code, stdout, stderr := invoke(t, env, "", line...)
			if code != 0 && !mayFail[name] {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			for _, line := range lines {
				var object map[string]any
				if err := json.Unmarshal([]byte(line), &object); err != nil {
					t.Errorf("not an object: %.200q: %v", line, err)
				}
				if mayFail[name] && code != 0 && object["error"] == nil {
					t.Errorf("exit code %d and no error in %s", code, line)
				}
			}
		})
	}
}

// A machine that does not answer delays no other: the answer of the other is there while the first is still waited for.
func TestDeadMachineDelaysNoOther(t *testing.T) {
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Stray: "silent"}, {Profile: 12}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, out := io.Pipe()
	ended := make(chan int)
	go func() {
		env := map[string]string{"AMT_PASSWORD": w.Machines[1].Password, "OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json")}
		code := Run(ctx, []string{"outband", "power", "status", "-o", "json", w.Machines[0].Address, w.Machines[1].Address},
			func(name string) string { return env[name] }, strings.NewReader(""), out, io.Discard)
		out.Close()
		ended <- code
	}()
	lines := bufio.NewScanner(r)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"host":"`+w.Machines[1].Address+`","ok":true`) {
		t.Errorf("first line is %s", lines.Text())
	}
	cancel()
	for lines.Scan() {
		if !strings.Contains(lines.Text(), `"host":"`+w.Machines[0].Address+`","ok":false`) {
			t.Errorf("second line is %s", lines.Text())
		}
	}
	if code := <-ended; code != exitPartial {
		t.Errorf("exit code %d, want %d", code, exitPartial)
	}
}

// What a trace holds can be shown around.
func TestTraceHasNoSecrets(t *testing.T) {
	const secret = "Zebra12$"
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Password: "Sup3r$ecret"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	trace := filepath.Join(t.TempDir(), "trace")
	env := map[string]string{"AMT_PASSWORD": "Sup3r$ecret", "OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json")}
	code, _, stderr := invoke(t, env, "", "outband", "wsman", "put", "IPS_KVMRedirectionSettingData", w.Machines[0].Address,
		"-k", "RFBPassword="+secret, "--trace", trace)
	if code != 0 {
		t.Fatal(stderr)
	}
	text := readText(t, trace)
	if !strings.Contains(text, "IPS_KVMRedirectionSettingData") || !strings.Contains(text, "POST /wsman") {
		t.Errorf("the trace does not show the request:\n%s", text)
	}
	for _, bad := range []string{secret, "Sup3r", "Authorization", "response="} {
		if strings.Contains(text, bad) {
			t.Errorf("the trace shows %q", bad)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got, want := oneLine("a\x1b[2Jb\nc\u009bd\x7f"), "a [2Jb c d "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Notes of other goroutines and a question must not mix; both hold the session's lock. Here: the answer is read once.
func TestPasswordFromStdinIsReadOnce(t *testing.T) {
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12}, {Profile: 11}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	env := map[string]string{"OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json")}
	code, stdout, stderr := invoke(t, env, w.Machines[0].Password+"\nnot the password\n", "outband", "power", "status", "--password-stdin",
		w.Machines[0].Address, w.Machines[1].Address)
	if code != 0 || strings.Count(stdout, " off ") != 2 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// Digest over plain HTTP to another computer is warned about: once, on stderr, and the results stay clean.
func TestPlainHTTPIsWarnedAbout(t *testing.T) {
	address := ""
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			address = n.IP.String()
		}
	}
	if address == "" {
		need.Missing(t, errors.New("this computer has no address but loopback"))
	}
	w, err := lab.Start(t.Context(), lab.World{Machines: []lab.Machine{{Profile: 12, Address: address}}})
	if err != nil {
		need.Missing(t, err)
	}
	defer w.Close()
	env := map[string]string{"AMT_PASSWORD": w.Machines[0].Password, "OUTBAND_HOSTS": filepath.Join(t.TempDir(), "hosts.json")}
	code, stdout, stderr := invoke(t, env, "", "outband", "power", "status", address)
	if code != 0 || strings.Count(stderr, "warning: "+address+" is spoken to over plain HTTP") != 1 || strings.Contains(stdout, "warning") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// Colours are for terminals that want them.
func TestColour(t *testing.T) {
	for _, tt := range []struct {
		styled bool
		want   string
	}{{true, "\x1b[32mon\x1b[m"}, {false, "on"}} {
		p := &printer{styled: tt.styled}
		if got := p.paint(cell{"on", toneGood}); got != tt.want {
			t.Errorf("styled %v: got %q, want %q", tt.styled, got, tt.want)
		}
	}
	a := &app{env: func(string) string { return "" }}
	if a.styled(&bytes.Buffer{}) {
		t.Error("a buffer is no terminal")
	}
}
