package fence

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

const maxInput = 1 << 20 // bytes on standard input

// parseStdin reads name=value lines. Blank lines and lines that begin with # are nothing; one pair
// of quotes around a value goes; of several lines with one name the last counts. A name may have
// hyphens for underscores. What is not known is passed over: the cluster sends more than an agent
// asked for. Such a line may hold a mistyped password, so the warning has only its name.
func parseStdin(in io.Reader, params []param, warn func(string)) (values, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if len(b) > maxInput {
		return nil, errors.New("standard input is larger than 1 MiB")
	}
	given := values{}
	warned := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, assigned := strings.Cut(line, "=")
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		p := find(params, name)
		if p == nil {
			if !assigned {
				name = "(a line without =)" // it may be the rest of a password
			}
			if name != "nodename" && !warned[name] && len(warned) < 100 {
				warned[name] = true
				warn(fmt.Sprintf("Parse error: Ignoring unknown option '%s'", clip(name)))
			}
			continue
		}
		if p.kind == boolean {
			on, ok := parseBool(value)
			if !ok {
				warn(fmt.Sprintf("Parse error: Ignoring option '%s' because it does not have value", p.name))
				continue
			}
			value = "0"
			if on {
				value = "1"
			}
		}
		given[p.name] = value
	}
	if !given.has("verbose_level") {
		given["verbose_level"] = "0"
		if given.is("verbose") {
			given["verbose_level"] = "1"
		}
	}
	return given, nil
}

// clip keeps a hostile value from filling the log.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}
