package hosts

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// ImportAmtctrl reads the host list of amtctrl and amthostdb (nomis/intel-amt, sdague/amt), which
// lies at ~/.config/amtctrl/hosts.cfg: an INI file in the dialect of Python's configparser, one
// section per host, keys host, user, passwd, scheme (default http), ca, cert, key and vncpasswd,
// all in clear text. Source: nomis/intel-amt amt/hostdb.py.
//
// A password of the VNC port is not taken over. An entry that makes no host is skipped and noted.
func ImportAmtctrl(r io.Reader) (Import, error) {
	var im Import
	text, err := readText(r)
	if err != nil {
		return im, err
	}
	sections, err := parseINI(text)
	if err != nil {
		return im, err
	}
	taken := map[string]bool{}
	for _, s := range sections {
		if s.fault != "" {
			im.skip(s.name, "%s", s.fault)
			continue
		}
		get := func(names ...string) string {
			for _, name := range names {
				if v, ok := s.keys[name]; ok {
					return v
				}
			}
			return ""
		}
		h := Host{
			Name: s.name, User: get("user"),
			CAFile: get("ca", "tls-ca", "tls_ca"), CertFile: get("cert", "tls-cert", "tls_cert"), KeyFile: get("key", "tls-key", "tls_key"),
			Scheme: strings.ToLower(get("scheme")),
		}
		if h.Scheme == "" {
			h.Scheme = "http" // what amtctrl takes
		}
		if err := h.setAddress(get("host")); err != nil {
			im.skip(s.name, "host: %v", err)
			continue
		}
		h.SetPassword(get("passwd"))
		if get("vncpasswd") != "" {
			im.note(s.name, "its VNC password is not taken over")
		}
		im.add(s.name, h, taken)
	}
	return im, nil
}

const maxKeys = 64 // of one section; amtctrl writes eight

type iniSection struct {
	name  string
	keys  map[string]string // lower case, at most maxKeys, DEFAULT merged in
	fault string            // why it cannot be used
}

// parseINI reads what Python's configparser writes and reads: "key = value" or "key: value",
// whole-line comments with # or ;, values that go on in indented lines, a DEFAULT section, and
// %% for a per cent sign. References such as %(key)s are not followed.
func parseINI(text string) ([]iniSection, error) {
	defaults := iniSection{name: "DEFAULT", keys: map[string]string{}}
	var sections []iniSection
	current := -1 // before the first section; -2 is DEFAULT
	var lastKey string
	var keyIndent int
	at := func() *iniSection {
		if current == -2 {
			return &defaults
		}
		return &sections[current]
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		body := strings.TrimLeftFunc(line, unicode.IsSpace)
		indent := len(line) - len(body)
		switch {
		case body == "", body[0] == '#', body[0] == ';':
			continue
		case lastKey != "" && indent > keyIndent:
			if len(at().keys[lastKey])+len(body) > maxText {
				at().fault = fmt.Sprintf("line %d: the value is longer than %d bytes", number, maxText)
				continue
			}
			at().keys[lastKey] += "\n" + body
			continue
		case body[0] == '[' && strings.HasSuffix(body, "]"):
			name := body[1 : len(body)-1]
			lastKey = ""
			if name == defaults.name {
				current = -2
				continue
			}
			if len(sections) == maxHosts {
				return nil, fmt.Errorf("%w: line %d: more than %d sections", ErrImport, number, maxHosts)
			}
			sections = append(sections, iniSection{name: name, keys: map[string]string{}})
			current = len(sections) - 1
			continue
		case current == -1:
			return nil, fmt.Errorf("%w: line %d: not an INI file: no [section] before it", ErrImport, number)
		}
		i := strings.IndexAny(body, "=:")
		if i <= 0 {
			at().fault = fmt.Sprintf("line %d has no = or :", number)
			continue
		}
		if len(at().keys) == maxKeys {
			at().fault = fmt.Sprintf("line %d: more than %d keys", number, maxKeys)
			continue
		}
		lastKey = strings.ToLower(strings.TrimSpace(body[:i]))
		keyIndent = indent
		at().keys[lastKey] = strings.TrimSpace(body[i+1:])
	}
	for i := range sections {
		s := &sections[i]
		for key, value := range defaults.keys {
			if _, ok := s.keys[key]; !ok {
				s.keys[key] = value
			}
		}
		for key, value := range s.keys {
			plain, ok := perCent(value)
			if !ok && s.fault == "" {
				s.fault = key + " has a % that stands for something else"
			}
			s.keys[key] = plain
		}
	}
	return slices.Clip(sections), nil
}

// perCent undoes the doubling of per cent signs; ok is false if one is single.
func perCent(s string) (plain string, ok bool) {
	halves := strings.Split(s, "%%")
	for _, half := range halves {
		if strings.Contains(half, "%") {
			return s, false
		}
	}
	return strings.Join(halves, "%"), true
}
