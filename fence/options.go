package fence

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

const defaultUser = "admin" // the administrator that every AMT firmware has

// Secret is a password. It prints as a word in brackets; string(s) is the password.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return "(none)"
	}
	return "(hidden)"
}

// GoString keeps %#v from printing what String hides.
func (s Secret) GoString() string { return s.String() }

// TLS says whether to use TLS and whether to believe the peer.
type TLS string

const (
	TLSAuto     TLS = ""         // use it where the machine offers it, and verify; else plain HTTP
	TLSOff      TLS = "off"      // plain HTTP
	TLSVerify   TLS = "verify"   // TLS or nothing, verified by Pin, CAFile or the system's authorities
	TLSInsecure TLS = "insecure" // TLS with whoever answers
)

// Options are the parameters that concern a machine, as Connect gets them.
type Options struct {
	IP       string // address or name
	Port     int    // 0: find out
	Username string // never empty
	Password Secret
	Plug     string // which machine, on a device with several
	TLS      TLS
	Pin      string // SHA-256 of the leaf certificate, 64 lower-case hex digits; "": none
	CAFile   string // PEM file; "": none

	Action string        // what is going to be done
	Shell  time.Duration // shell_timeout, for one request; 0: no limit
	Debug  func(string)  // a line for verbose output; never nil in Connect; the password in it is blotted out
}

// timing is the rest: what decides how an action is done.
type timing struct {
	cycle               bool
	boot                string
	plugs               []string
	separator           string
	delay, login, shell time.Duration // 0: no limit for login and shell
	tries               int           // power_timeout; 0: no limit
	wait, sleep         time.Duration // power_wait, stonith_status_sleep
	retryOn             int
}

const maxNumber = 1_000_000 // of seconds or attempts

// options checks what was given. Messages are those of fence-agents, which people search for.
func (a *Agent) options(given values, env func(string) string, warn func(string)) (o Options, t timing, err error) {
	params := a.params()
	fail := func(format string, args ...any) (Options, timing, error) {
		return Options{}, timing{}, usage("Failed: "+format, args...)
	}
	act := given.action()
	if known := append(a.actions(), "list", "list-status"); !slices.Contains(known, act) {
		return fail("Unrecognised action '%s'", clip(act))
	}

	get := func(name string) string {
		if v, ok := given[name]; ok {
			return v
		}
		return find(params, name).def
	}
	numbers := map[string]int{}
	for _, p := range params {
		v := get(p.name)
		if v == "" && !given.has(p.name) {
			continue
		}
		switch p.kind {
		case choice:
			if !slices.Contains(p.choices, strings.ToLower(v)) {
				return fail("You have to enter a valid choice for --%s from the valid values: %s", p.long(), strings.Join(p.choices, ", "))
			}
		case integer, second:
			n, err := strconv.Atoi(strings.TrimSpace(v))
			if err != nil || n < 0 || n > maxNumber {
				if p.name == "verbose_level" {
					continue // the log has warned
				}
				what := "integer"
				if p.kind == second {
					what = "time in seconds"
				}
				return fail("The value you have entered for --%s is not a valid %s", p.long(), what)
			}
			numbers[p.name] = n
		}
	}
	seconds := func(name string) time.Duration { return time.Duration(numbers[name]) * time.Second }

	o = Options{
		IP: given["ip"], Port: numbers["ipport"], Username: cmp.Or(given["username"], defaultUser),
		Password: Secret(cmp.Or(given["password"], env("AMT_PASSWORD"))), CAFile: given["tls_ca"], Action: act,
	}
	t = timing{
		cycle: strings.EqualFold(get("method"), "cycle"),
		delay: seconds("delay"), login: seconds("login_timeout"), shell: seconds("shell_timeout"), tries: numbers["power_timeout"],
		wait: seconds("power_wait"), sleep: seconds("stonith_status_sleep"), retryOn: numbers["retry_on"],
	}
	if a.Boot != nil {
		t.boot = strings.ToLower(given["boot_option"])
	}
	if given.is("port_as_ip") && given.has("plug") {
		o.IP = given["plug"]
	}
	if a.List != nil {
		t.separator = get("separator")
		for plug := range strings.SplitSeq(given["plug"], cmp.Or(get("plug_separator"), ",")) {
			if plug = strings.TrimSpace(plug); plug != "" {
				t.plugs = append(t.plugs, plug)
			}
		}
	}
	switch {
	case o.IP == "":
		return fail("You have to enter fence address")
	case o.Port > 65535:
		return fail("The value you have entered for --ipport is not a valid port")
	case o.Password == "" && given["password_script"] == "":
		return fail("You have to enter password or password script")
	case a.List != nil && len(t.plugs) == 0 && !slices.Contains([]string{"list", "list-status", "monitor", "validate-all"}, act):
		return fail("You have to enter plug number or machine identification")
	}
	if err := a.trust(&o, given, warn); err != nil {
		return Options{}, timing{}, err
	}
	if disabled, _ := parseBool(given["disable_timeout"]); disabled ||
		!given.has("disable_timeout") && env("PCMK_service") == "pacemaker-fenced" {
		t.tries, t.shell, t.login = 0, 0, 0 // Pacemaker ends an agent that takes too long
	}
	o.Shell = t.shell
	return o, t, nil
}

// trust settles TLS. In fence-agents ssl=0 switches TLS on; here it means what it says.
func (a *Agent) trust(o *Options, given values, warn func(string)) error {
	verify := given.is("ssl") || given.is("ssl_secure") || given["tls_pin"] != "" || o.CAFile != ""
	switch {
	case given["ssl"] == "0" && (verify || given.is("ssl_insecure")):
		return usage("Failed: ssl=0 contradicts the other TLS parameters")
	case given["ssl"] == "0":
		o.TLS = TLSOff
	case given.is("ssl_insecure") && (given["tls_pin"] != "" || o.CAFile != ""):
		return usage("Failed: ssl_insecure contradicts tls_pin and tls_ca")
	case given.is("ssl_insecure") && given.is("ssl_secure"):
		warn("ssl_insecure is ignored because of ssl_secure")
		o.TLS = TLSVerify
	case given.is("ssl_insecure"):
		o.TLS = TLSInsecure // also with ssl: that is how fence-agents are told
	case verify:
		o.TLS = TLSVerify
	case a.PlainHTTP && o.Port == plainPort:
		o.TLS = TLSOff
	}
	if (o.TLS == TLSVerify || o.TLS == TLSInsecure) && !given.has("ipport") && o.Port == plainPort {
		o.Port = tlsPort
	}
	if pin := given["tls_pin"]; pin != "" {
		digits := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(pin), "sha256:"), ":", "")
		if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 32 {
			return usage("Failed: The value you have entered for --tls-pin is not a SHA-256 fingerprint (64 hex digits)")
		}
		o.Pin = digits
	}
	return nil
}

// The ports of WS-Management on AMT.
const (
	plainPort = 16992
	tlsPort   = 16993
)

// runScript asks the program of password_script for the password: a shell command, as in fence-agents,
// whose output is the password but for white space at its end.
func runScript(ctx context.Context, script string) (Secret, error) {
	const (
		patience  = 30 * time.Second
		maxOutput = 64 << 10
	)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	cmd.WaitDelay = time.Second // a child of the script may hold the pipe open
	out := limitedBuffer{max: maxOutput}
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("Failed: password script: %w", err)
	}
	password := strings.TrimRight(out.String(), " \t\r\n\v\f")
	if password == "" {
		return "", errors.New("Failed: the password script printed nothing")
	}
	return Secret(password), nil
}

type limitedBuffer struct {
	bytes.Buffer
	max int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		return 0, io.ErrShortBuffer
	}
	return b.Buffer.Write(p)
}
