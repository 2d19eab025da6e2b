package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Limits of what a few characters on a command line may turn into.
const (
	maxExpand = 20_000 // hosts of one command
	maxDigits = 9      // of a number in a range
)

// ErrPattern is in the chain of every complaint about what [DB.Expand] was given.
var ErrPattern = errors.New("not a host pattern")

// Expand turns what a user typed into hosts, in the order typed and each once:
//
//	desk-7                    the entry of that name, or else the machine of that DNS name
//	10.0.0.7  fe80::1%eth0    the only entry with that address, or else just the address
//	HOST:16993  [::1]:16993   the same with a port
//	https://HOST[:PORT]       the same with a scheme
//	node[01-05,7]             node01 ... node05, node7; more than one bracket multiplies
//	10.0.0.[1-20],desk-7      several
//	@lab  @all                every entry with that tag; every entry
//
// A Host that has no entry carries nothing but Name, Address, and the port and scheme typed. An
// error wraps [ErrPattern], or [ErrNotFound] for a tag that nothing carries. A nil DB has no
// entries.
func (db *DB) Expand(args ...string) ([]Host, error) {
	var known []Host
	if db != nil {
		known = db.List()
	}
	var out []Host
	seen := map[string]bool{}
	add := func(h Host, isEntry bool) error {
		key := foldName(h.Name)
		if !isEntry {
			key = foldName(fmt.Sprintf("%s %d %s", h.Address, h.Port, h.Scheme))
		}
		if seen[key] {
			return nil
		}
		if len(out) == maxExpand {
			return fmt.Errorf("%w: more than %d hosts", ErrPattern, maxExpand)
		}
		seen[key] = true
		out = append(out, h)
		return nil
	}
	find := index(known)
	for _, arg := range args {
		words, err := splitList(arg)
		if err != nil {
			return nil, err
		}
		for _, word := range words {
			if tag, ok := strings.CutPrefix(word, "@"); ok {
				found := false
				for _, h := range known {
					if strings.EqualFold(tag, "all") || h.HasTag(tag) {
						found = true
						if err := add(h, true); err != nil {
							return nil, err
						}
					}
				}
				if !found {
					return nil, fmt.Errorf("%q: %w carries that tag", clip(word), ErrNotFound)
				}
				continue
			}
			names, err := expandRange(word)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				h, isEntry, err := find.host(name)
				if err != nil {
					return nil, err
				}
				if err := add(h, isEntry); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// lookup finds entries by name, or by address where that names only one of them.
type lookup struct {
	byName    map[string]*Host
	byAddress map[string][]*Host
}

func index(known []Host) lookup {
	l := lookup{make(map[string]*Host, len(known)), make(map[string][]*Host, len(known))}
	for i := range known {
		h := &known[i]
		l.byName[foldName(h.Name)] = h
		address := foldName(h.Address)
		l.byAddress[address] = append(l.byAddress[address], h)
	}
	return l
}

// host reads one word without lists or ranges.
func (l lookup) host(word string) (h Host, isEntry bool, err error) {
	typed, err := parseAddress(word)
	if err != nil {
		return Host{}, false, err
	}
	entry := l.byName[foldName(typed.Address)]
	if entry == nil {
		entry = l.at(typed)
	}
	if entry == nil {
		return typed, false, nil
	}
	h = entry.clone()
	if typed.Scheme != "" && typed.Scheme != h.Scheme {
		h.Scheme, h.Port = typed.Scheme, 0 // the stored port is for the stored scheme
	}
	if typed.Port != 0 {
		h.Port = typed.Port
	}
	return h, true, nil
}

// at returns the only entry with the address typed. Behind one address there may be several
// machines, each at its own port: a password must not go to the wrong one.
func (l lookup) at(typed Host) *Host {
	var found *Host
	for _, h := range l.byAddress[foldName(typed.Address)] {
		usual := h.Port == 0 && (typed.Port == 16992 || typed.Port == 16993)
		if typed.Port != 0 && typed.Port != h.Port && !usual {
			continue
		}
		if found != nil {
			return nil
		}
		found = h
	}
	return found
}

// parseAddress reads host, host:port, v6, [v6]:port, http://... and https://...
func parseAddress(word string) (Host, error) {
	bad := func(why string) (Host, error) {
		return Host{}, fmt.Errorf("%w: %q %s", ErrPattern, clip(word), why)
	}
	var h Host
	rest := word
	if scheme, _, ok := strings.Cut(word, "://"); ok {
		h.Scheme = strings.ToLower(scheme)
		if h.Scheme != "http" && h.Scheme != "https" {
			return bad("is neither http nor https")
		}
		u, err := url.Parse(word)
		switch {
		case err != nil:
			return bad("is not a URL")
		case u.User != nil:
			return Host{}, fmt.Errorf("%w: a URL with a user or a password in it", ErrPattern) // not quoted
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return bad("has more than a host and a port")
		}
		rest = u.Hostname()
		if u.Port() != "" {
			rest = net.JoinHostPort(rest, u.Port())
		}
	}
	port := ""
	switch _, v6 := netip.ParseAddr(rest); {
	case v6 == nil: // an IP address of either kind, no port
		h.Address = rest
	case strings.HasPrefix(rest, "["):
		inner, after, ok := strings.Cut(rest[1:], "]")
		if ip, err := netip.ParseAddr(inner); !ok || err != nil || !ip.Is6() {
			return bad("has no IPv6 address in its brackets")
		}
		h.Address = inner
		if after != "" {
			if port, ok = strings.CutPrefix(after, ":"); !ok || port == "" {
				return bad("has something else than a port after its brackets")
			}
		}
	default:
		var colon bool
		if h.Address, port, colon = strings.Cut(rest, ":"); colon && port == "" {
			return bad("has no port after the colon")
		}
	}
	if why := addressFault(h.Address); why != "" {
		return bad(why)
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return bad("has no port in 1..65535 after the colon")
		}
		h.Port = int(n)
	}
	h.Name = h.Address
	return h, nil
}

// splitList splits at commas that are not inside brackets. Empty words are left out.
func splitList(arg string) ([]string, error) {
	var words []string
	depth, start := 0, 0
	for i := 0; i <= len(arg); i++ {
		if i == len(arg) || arg[i] == ',' && depth == 0 {
			if word := strings.TrimSpace(arg[start:i]); word != "" {
				words = append(words, word)
			}
			start = i + 1
			continue
		}
		switch arg[i] {
		case '[':
			depth++
		case ']':
			depth--
		}
		if depth < 0 || depth > 1 {
			return nil, fmt.Errorf("%w: %q: brackets do not match", ErrPattern, clip(arg))
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("%w: %q: brackets do not match", ErrPattern, clip(arg))
	}
	return words, nil
}

// expandRange multiplies out the brackets of a word. Brackets around an IPv6 address stay.
func expandRange(word string) ([]string, error) {
	done := []string{""}
	for word != "" {
		before, after, ok := strings.Cut(word, "[")
		if !ok {
			return appendEach(done, []string{word})
		}
		inner, rest, _ := strings.Cut(after, "]")
		word = rest
		choices := []string{"[" + inner + "]"}
		if _, err := netip.ParseAddr(inner); err != nil {
			if choices, err = rangeNumbers(inner); err != nil {
				return nil, err
			}
		}
		for i, c := range choices {
			choices[i] = before + c
		}
		var err error
		if done, err = appendEach(done, choices); err != nil {
			return nil, err
		}
	}
	return done, nil
}

func appendEach(left, right []string) ([]string, error) {
	if len(left)*len(right) > maxExpand {
		return nil, fmt.Errorf("%w: more than %d hosts", ErrPattern, maxExpand)
	}
	out := make([]string, 0, len(left)*len(right))
	for _, l := range left {
		for _, r := range right {
			out = append(out, l+r)
		}
	}
	return out, nil
}

// rangeNumbers reads "1-5,07,9": a number written with leading zeros keeps its width.
func rangeNumbers(inner string) ([]string, error) {
	var out []string
	for item := range strings.SplitSeq(inner, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			to = from
		}
		a, errA := parseNumber(from)
		b, errB := parseNumber(to)
		if errA != nil || errB != nil || b < a {
			return nil, fmt.Errorf("%w: [%s]: want numbers such as 1-5,7", ErrPattern, clip(inner))
		}
		if b-a >= maxExpand-len(out) {
			return nil, fmt.Errorf("%w: [%s]: more than %d hosts", ErrPattern, clip(inner), maxExpand)
		}
		for n := a; n <= b; n++ {
			out = append(out, fmt.Sprintf("%0*d", len(from), n))
		}
	}
	return out, nil
}

func parseNumber(s string) (int, error) {
	if s == "" || len(s) > maxDigits || strings.Trim(s, "0123456789") != "" {
		return 0, ErrPattern
	}
	return strconv.Atoi(s)
}
