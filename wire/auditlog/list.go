package auditlog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Events returns all events that have a name, in ascending order.
func Events() []EventID {
	out := make([]EventID, len(events))
	for i, e := range events {
		out[i] = e.id
	}
	return out
}

// Apps returns all applications that have events with a name, in ascending order.
func Apps() []App {
	var out []App
	for _, e := range events {
		if !slices.Contains(out, e.id.App()) {
			out = append(out, e.id.App())
		}
	}
	return out
}

// Word returns the name in the form of [ParseEvents]: "security-administration/user-added".
func (id EventID) Word() string {
	if !id.Known() {
		return fmt.Sprintf("%d/%d", uint16(id.App()), id.Number())
	}
	return slug(id.App().String()) + "/" + slug(id.String())
}

// slug makes one word of a name.
func slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == ',' }), "-")
}

// ParseEvents reads which events are meant: an application ("remote-control", "17") for all of its events, an event in
// it ("remote-control/reset", "17/3"), an event alone ("reset") if only one has the name, or "all". Numbers need not
// have a name, so that what newer firmware knows can be asked for. The error wraps [ErrUnknown].
func ParseEvents(text string) ([]EventID, error) {
	app, event, both := strings.Cut(slug(text), "/")
	if app == "all" && !both {
		return Events(), nil
	}
	a, b := number16(app), number16(event)
	if both && a >= 0 && b >= 0 {
		return []EventID{ID(App(a), uint16(b))}, nil
	}
	var out []EventID
	for _, e := range events {
		ofApp := slug(e.id.App().String()) == app || int(e.id.App()) == a
		named := slug(e.name)
		switch {
		case both && ofApp && (named == event || int(e.id.Number()) == b), !both && ofApp:
			out = append(out, e.id)
		}
	}
	if !both && out == nil {
		for _, e := range events {
			if slug(e.name) == app {
				out = append(out, e.id)
			}
		}
		if len(out) > 1 {
			return nil, fmt.Errorf("auditlog: event %q: %w: several applications have it", text, ErrUnknown)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("auditlog: event %q: %w", text, ErrUnknown)
	}
	return out, nil
}

// number16 reads a number of 16 bits; -1 if it is none.
func number16(text string) int {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// Fixed tells an event that is logged whatever the policy, or that cannot be critical, as a policy on it would keep the
// log from being managed. Source: Intel AMT Implementation and Reference Guide, "Security Audit Log Events".
func (id EventID) Fixed() bool {
	switch id {
	case LogCleared, LogDisabled, LogEnabled, LogExported, LogRecovered:
		return true
	}
	return false
}
