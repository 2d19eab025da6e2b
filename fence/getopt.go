package fence

import (
	"fmt"
	"strconv"
	"strings"
)

// parseArgs reads options as getopt_long does: -o on, -oon, -vvq, --action on, --action=on,
// unambiguous beginnings of long options, options after operands, and -- to end them. Operands mean
// nothing and are warned about, by number only: one may be a password that lost its option.
func parseArgs(argv []string, params []param, warn func(string)) (values, error) {
	given := values{}
	verbose, operands := 0, 0
	set := func(p *param, value string) {
		given[p.name] = value
		if p.name == "verbose" {
			verbose++
		}
	}
	for i := 0; i < len(argv); i++ {
		word := argv[i]
		next := func(option string) (string, error) {
			if i+1 == len(argv) {
				return "", fmt.Errorf("option %s requires argument", option)
			}
			i++
			return argv[i], nil
		}
		switch {
		case word == "--":
			operands += len(argv) - i - 1
			i = len(argv)
		case strings.HasPrefix(word, "--"):
			name, value, attached := strings.Cut(word[2:], "=")
			p, err := findLong(params, name)
			if err != nil {
				return nil, err
			}
			switch {
			case p.arg == "" && attached:
				return nil, fmt.Errorf("option --%s must not have an argument", p.long())
			case p.arg == "":
				value = "1"
			case !attached:
				if value, err = next("--" + p.long()); err != nil {
					return nil, err
				}
			}
			set(p, value)
		case len(word) > 1 && word[0] == '-':
			for rest := word[1:]; rest != ""; {
				p := findShort(params, rest[0])
				if p == nil {
					return nil, fmt.Errorf("option -%s not recognized", strconv.QuoteRune(rune(rest[0])))
				}
				rest = rest[1:]
				if p.arg == "" {
					set(p, "1")
					continue
				}
				if rest == "" {
					var err error
					if rest, err = next("-" + string(p.short)); err != nil {
						return nil, err
					}
				}
				set(p, rest)
				rest = ""
			}
		default:
			operands++
		}
	}
	if operands > 0 {
		warn(fmt.Sprintf("%d unused arguments on command line", operands))
	}
	if given.has("plug") && !given.is("port_as_ip") && find(params, "port_as_ip") != nil {
		return nil, fmt.Errorf("option -n/--plug is not recognized")
	}
	if !given.has("verbose_level") {
		given["verbose_level"] = strconv.Itoa(verbose)
	}
	return given, nil
}

func findLong(params []param, name string) (*param, error) {
	var found *param
	for i := range params {
		p := &params[i]
		if p.long() == name {
			return p, nil
		}
		if name != "" && strings.HasPrefix(p.long(), name) {
			if found != nil {
				return nil, fmt.Errorf("option --%s not a unique prefix", clip(name))
			}
			found = p
		}
	}
	if found == nil {
		return nil, fmt.Errorf("option --%s not recognized", clip(name))
	}
	return found, nil
}

func findShort(params []param, c byte) *param {
	for i := range params {
		if params[i].short == c && c != 0 {
			return &params[i]
		}
	}
	return nil
}
