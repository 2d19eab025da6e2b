package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// An option of wsmancli, or of "outband wsman", which takes nearly all of them.
type option struct {
	long  string
	short byte   // 0: none
	arg   string // name of its value; "": it takes none
	help  string
	scope string // "": both; "wsmancli", "outband"
}

// Options of wsmancli 2.8 that mean something to AMT, in its order, with the additions of "outband wsman". To add one:
// a line here, and its use in newWSManCall or the function for its verb. Source: wsmancli, man/wsman.1.
var wsmanOptions = []option{
	{"method", 'a', "NAME", "Method to invoke.", ""},
	{"prop", 'k', "NAME=VALUE", "Property to change (put), parameter of a method (invoke) or property of a new instance (create); may be repeated.", ""},
	{"option", 0, "NAME=VALUE", "Member of the OptionSet header; may be repeated.", ""},
	{"input", 'J', "FILE", "Instance, parameters or whole envelope in XML; - is stdin.", ""},
	{"out-file", 'O', "FILE", "Write the answer there; pulls get -1.xml, -2.xml ... added.", ""},
	{"filter", 'x', "FILTER", "Filter of an enumeration.", ""},
	{"dialect", 'D', "URI", "Dialect of the filter.", ""},
	{"max-elements", 'm', "N", "Elements per pull.", ""},
	{"optimize", 'o', "", "Ask for elements in the first answer already.", "wsmancli"},
	{"optimize", 0, "", "Ask for elements in the first answer already.", "outband"},
	{"estimate-count", 'E', "", "Ask for an estimate of how many elements there are.", ""},
	{"enum-mode", 'M', "epr|objepr", "Enumerate references, or instances with references.", ""},
	{"enum-context", 'U', "CONTEXT", "Context of a pull or release.", ""},
	{"binding-enum-mode", 'B', "none|include|exclude", "Properties of subclasses in an enumeration.", ""},
	{"step", 'S', "", "Do not pull after enumerate.", ""},
	{"print-request", 'R', "", "Write the request to stdout before it is sent.", ""},
	{"operation-timeout", 't', "MS", "OperationTimeout header, in milliseconds.", ""},
	{"max-envelope-size", 'e', "BYTES", "MaxEnvelopeSize header.", ""},
	{"locale", 'L', "TAG", "Locale header.", ""},
	{"fragment", 'F', "PATH", "FragmentTransfer header.", ""},
	{"namespace", 'N', "NAMESPACE", "CIM namespace, as selector __cimnamespace.", ""},
	{"hostname", 'h', "HOST", "The machine.", ""},
	{"port", 'P', "PORT", "Its port.", ""},
	{"path", 'g', "PATH", "Path of the service; /wsman by default.", ""},
	{"endpoint", 'b', "URL", "All of scheme, user, host, port and path.", "wsmancli"},
	{"https", 0, "", "Use TLS.", ""},
	{"username", 'u', "NAME", "User name.", ""},
	{"password", 'p', "PASSWORD", "Password; seen by every user of this computer.", "wsmancli"},
	{"auth", 'y', "digest", "Way to authenticate.", ""},
	{"cacert", 'c', "FILE", "Authorities to believe; switches TLS on.", ""},
	{"cert", 'A', "FILE", "Client certificate.", ""},
	{"sslkey", 'K', "FILE", "Its private key.", ""},
	{"noverifypeer", 'V', "", "Believe any certificate.", "wsmancli"},
	{"noverifyhost", 'v', "", "Do not compare names in certificates.", "wsmancli"},
	{"transport-timeout", 'I', "SECONDS", "Give up after that time.", ""},
	{"proxy", 'X', "HOST", "Not supported.", "wsmancli"},
	{"proxyauth", 'Y', "USER:PWD", "Not supported.", "wsmancli"},
	{"encoding", 'j', "utf-8", "Encoding of requests.", ""},
	{"config-file", 'C', "FILE", "Settings: port in section client.", "wsmancli"},
	{"debug", 'd', "1-6", "Say more on stderr.", "wsmancli"},
	{"cim-extensions", 'T', "", "Ignored: AMT has none.", "wsmancli"},
	{"non-interactive", 0, "", "Never ask for name or password.", "wsmancli"},
	{"version", 'q', "", "Print the version.", "wsmancli"},
	{"help", '?', "", "Show this.", ""},

	{"output", 'o', "xml|table|json|yaml", "Form of the results.", "outband"},
	{"verbose", 0, "", "Say more on stderr.", "outband"},
	{"trace", 0, "FILE", "Write the conversation to FILE, without secrets.", "outband"},
	{"timeout", 0, "DURATION", "Give up after that time.", "outband"},
	{"user", 0, "NAME", "User name.", "outband"},
	{"password-file", 0, "FILE", "First line is the password.", "outband"},
	{"password-stdin", 0, "", "First line of stdin is the password.", "outband"},
	{"scheme", 0, "http|https", "Plain or TLS.", "outband"},
	{"pin", 0, "SHA256", "Fingerprint of the machine's certificate.", "outband"},
	{"ca", 0, "FILE", "Authorities to believe.", "outband"},
	{"tls-min", 0, "1.0|1.1|1.2", "Oldest TLS version to accept.", "outband"},
	{"legacy-ciphers", 0, "", "Offer ciphers that old firmware needs.", "outband"},
	{"key", 0, "FILE", "Private key of the client certificate.", "outband"},
}

// parsedOptions are the options given, by long name, in order, and the other words.
type parsedOptions struct {
	values map[string][]string
	words  []string
}

func (p *parsedOptions) has(name string) bool { return p.values[name] != nil }

// get returns the last value, "" if there is none.
func (p *parsedOptions) get(name string) string {
	if v := p.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// number returns the value as a number that is not negative, 0 if it was not given.
func (p *parsedOptions) number(name string, limit int) (int, error) {
	text := p.get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > limit {
		return 0, usage("", "--%s: %q is not a number from 0 to %d", name, text, limit)
	}
	return n, nil
}

// parseOptions reads arguments the way of GLib, which wsmancli follows: options and words in any order, --name value,
// --name=value, -n value, -nvalue, -ab for -a -b, and -- before words only.
func parseOptions(table []option, scope string, args []string) (*parsedOptions, error) {
	find := func(match func(option) bool) *option {
		i := slices.IndexFunc(table, func(o option) bool { return (o.scope == "" || o.scope == scope) && match(o) })
		if i < 0 {
			return nil
		}
		return &table[i]
	}
	out := &parsedOptions{values: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		next := func(o *option, shown string) error {
			if i+1 == len(args) {
				return usage("", "%s needs a value: %s", shown, o.arg)
			}
			i++
			out.values[o.long] = append(out.values[o.long], args[i])
			return nil
		}
		switch {
		case arg == "--":
			out.words = append(out.words, args[i+1:]...)
			return out, nil
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			o := find(func(o option) bool { return o.long == name })
			switch {
			case o == nil:
				return nil, unknownOption("--" + name)
			case o.arg == "" && given:
				return nil, usage("", "--%s takes no value", name)
			case o.arg == "":
				out.values[o.long] = append(out.values[o.long], "true")
			case given:
				out.values[o.long] = append(out.values[o.long], value)
			default:
				if err := next(o, arg); err != nil {
					return nil, err
				}
			}
		case len(arg) > 1 && arg[0] == '-':
			for j := 1; j < len(arg); j++ {
				o := find(func(o option) bool { return o.short == arg[j] })
				if o == nil {
					return nil, unknownOption("-" + arg[j:j+1])
				}
				if o.arg == "" {
					out.values[o.long] = append(out.values[o.long], "true")
					continue
				}
				if j+1 < len(arg) {
					out.values[o.long] = append(out.values[o.long], arg[j+1:])
				} else if err := next(o, "-"+arg[j:]); err != nil {
					return nil, err
				}
				break
			}
		default:
			out.words = append(out.words, arg)
		}
	}
	return out, nil
}

func unknownOption(name string) error {
	if name == "-p" || name == "--password" {
		return usage("set AMT_PASSWORD, or use --password-file or --password-stdin: arguments are seen by every user of this computer",
			"passwords are not taken as arguments")
	}
	return usage("--help lists the options", "unknown option %s", name)
}

// optionHelp lays the options of a scope out.
func optionHelp(table []option, scope string) string {
	var out strings.Builder
	for _, o := range table {
		if o.scope != "" && o.scope != scope {
			continue
		}
		short := "    "
		if o.short != 0 {
			short = "-" + string(o.short) + ", "
		}
		name := "--" + o.long
		if o.arg != "" {
			name += "=" + o.arg
		}
		fmt.Fprintf(&out, "  %s%-38s %s\n", short, name, o.help)
	}
	return out.String()
}
