package fence

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a parameter as metadata calls it.
type kind string

const (
	boolean kind = "boolean"
	text    kind = "string"
	integer kind = "integer"
	second  kind = "second"
	choice  kind = "select"
)

// A param is one parameter. Everything about it that is read, shown or checked comes from here; to
// add one, add a line to params and a field to [Options].
type param struct {
	name     string // as on standard input; the long option is the same with hyphens
	old      string // the deprecated spelling; "": none
	short    byte   // the short option; 0: none
	arg      string // what the option's value is called; "": it takes none
	kind     kind
	def      string
	choices  []string
	required bool
	order    int // in metadata and usage; then by name
	desc     string
}

func (p *param) long() string { return strings.ReplaceAll(p.name, "_", "-") }

// getopt is the option as help and metadata show it: -o, --action=[action]
func (p *param) getopt() string {
	s := "--" + p.long()
	if p.short != 0 {
		s = "-" + string(p.short) + ", " + s
	}
	if p.arg != "" {
		s += "=[" + p.arg + "]"
	}
	return s
}

// params returns all parameters of an agent in the order of metadata. Names, short options, types,
// defaults and order of the common ones are those of fence-agents 4.12.1.
func (a *Agent) params() []param {
	seconds := func(d, def time.Duration) string { return strconv.Itoa(int(cmp.Or(d, def) / time.Second)) }
	port, portDesc := "", "TCP port of the device (default: 16993, or 16992 if nothing answers there)"
	if a.Port != 0 {
		port, portDesc = strconv.Itoa(a.Port), "TCP port of the device"
	}
	plugs := a.List != nil
	ps := []param{
		{name: "action", short: 'o', arg: "action", kind: text, def: "reboot", required: true, order: 1, desc: "Fencing action"},
		{name: "ip", old: "ipaddr", short: 'a', arg: "ip", kind: text, required: plugs, order: 1, desc: "IP address or hostname of fencing device"},
		{name: "ipport", short: 'u', arg: "port", kind: integer, def: port, order: 1, desc: portDesc},
		{name: "method", short: 'm', arg: "method", kind: choice, def: "onoff", choices: []string{"onoff", "cycle"}, order: 1,
			desc: "Method to fence: off, verify, on; or one reset, verified as far as the machine can tell"},
		{name: "password", old: "passwd", short: 'p', arg: "password", kind: text, order: 1, desc: "Login password or passphrase"},
		{name: "password_script", old: "passwd_script", short: 'S', arg: "script", kind: text, order: 1, desc: "Script to run to retrieve password"},
		{name: "username", old: "login", short: 'l', arg: "name", kind: text, def: defaultUser, order: 1, desc: "Login name"},
		{name: "ssl", short: 'z', kind: boolean, order: 1, desc: "Use TLS and verify the certificate; 0: use plain HTTP (default: found out, " +
			"and verified where there is TLS)"},
		{name: "ssl_secure", kind: boolean, order: 1, desc: "Use TLS and verify the certificate"},
		{name: "ssl_insecure", kind: boolean, order: 1, desc: "Use TLS without verifying the certificate"},
		{name: "tls_pin", arg: "sha256", kind: text, order: 1, desc: "Use TLS and accept exactly the certificate with this SHA-256 fingerprint"},
		{name: "tls_ca", arg: "file", kind: text, order: 1, desc: "Use TLS and verify the certificate against the authorities in this PEM file"},

		{name: "quiet", short: 'q', kind: boolean, order: 50, desc: "Disable logging to stderr. Does not affect --debug-file."},
		{name: "verbose", short: 'v', kind: boolean, order: 51, desc: "Verbose mode. Multiple -v flags can be stacked on the command line."},
		{name: "verbose_level", arg: "level", kind: integer, order: 52, desc: "Level of debugging detail in output. Defaults to the number of " +
			"--verbose flags, or to 1 if verbose=1 on standard input."},
		{name: "debug_file", old: "debug", short: 'D', arg: "debugfile", kind: text, order: 53, desc: "Write debug information to given file"},
		{name: "version", short: 'V', kind: boolean, order: 54, desc: "Display version information and exit"},
		{name: "help", short: 'h', kind: boolean, order: 55, desc: "Display help and exit"},

		{name: "plug_separator", arg: "char", kind: text, def: ",", order: 100, desc: "Separator for plug parameter when specifying more than 1 plug"},

		{name: "delay", arg: "seconds", kind: second, def: "0", order: 200, desc: "Wait X seconds before fencing is started"},
		{name: "disable_timeout", arg: "true/false", kind: text, order: 200, desc: "Disable timeout (true/false) (default: true when run from Pacemaker 2.0+)"},
		{name: "login_timeout", arg: "seconds", kind: second, def: seconds(a.LoginTimeout, 5*time.Second), order: 200, desc: "Wait X seconds for the login to the device"},
		{name: "power_timeout", arg: "seconds", kind: second, def: "20", order: 200, desc: "Test X seconds for status change after ON/OFF"},
		{name: "power_wait", arg: "seconds", kind: second, def: "0", order: 200, desc: "Wait X seconds after issuing ON/OFF"},
		{name: "shell_timeout", arg: "seconds", kind: second, def: seconds(a.ShellTimeout, 3*time.Second), order: 200, desc: "Wait X seconds for the answer to a request"},
		{name: "stonith_status_sleep", arg: "seconds", kind: second, def: "1", order: 200, desc: "Sleep X seconds between status calls during a STONITH action"},
		{name: "retry_on", arg: "attempts", kind: integer, def: "1", order: 201, desc: "Count of attempts to retry power on"},
	}
	if plugs {
		ps = append(ps,
			param{name: "plug", old: "port", short: 'n', arg: "id", kind: text, required: true, order: 1,
				desc: "Name or UUID of the machine behind the device"},
			param{name: "separator", short: 'C', arg: "char", kind: text, def: ",", order: 100,
				desc: "Separator for CSV created by 'list' operation"})
	} else {
		ps = append(ps,
			param{name: "plug", old: "port", short: 'n', arg: "ip", kind: text, order: 1,
				desc: "IP address or hostname of fencing device (together with --port-as-ip)"},
			param{name: "port_as_ip", kind: boolean, order: 200, desc: "Make \"port/plug\" to be an alias to IP address"})
	}
	if a.Boot != nil {
		ps = append(ps, param{name: "boot_option", short: 'b', arg: "option", kind: choice, choices: BootOptions[:], order: 1,
			desc: "What the machine boots from when it is powered on"})
	}
	slices.SortStableFunc(ps, func(p, q param) int {
		return cmp.Or(cmp.Compare(p.order, q.order), strings.Compare(p.name, q.name))
	})
	return ps
}

// actions are the actions of an agent in the order of metadata.
func (a *Agent) actions() []string {
	all := []string{"on", "off", "reboot", "status"}
	if a.List != nil {
		all = append(all, "list", "list-status")
	}
	return append(all, "monitor", "metadata", "manpage", "validate-all", "diag")
}

// find returns the parameter of that name, current or deprecated, with hyphens or underscores.
func find(params []param, name string) *param {
	name = strings.ReplaceAll(name, "-", "_")
	for i := range params {
		if p := &params[i]; p.name == name || p.old == name && name != "" {
			return p
		}
	}
	return nil
}

// values are parameters as given, by current name. A boolean is "1" or "0".
type values map[string]string

func (v values) has(name string) bool { _, ok := v[name]; return ok }

// is reports whether a boolean is given and true.
func (v values) is(name string) bool { return v[name] == "1" }

func (v values) action() string {
	act, ok := v["action"]
	switch act = strings.ToLower(act); {
	case !ok:
		return "reboot"
	case act == "meta-data": // as OCF spells it
		return "metadata"
	}
	return act
}

// parseBool reads a switch as fence agents spell it.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "yes", "on", "true":
		return true, true
	case "0", "no", "off", "false":
		return false, true
	}
	return false, false
}
