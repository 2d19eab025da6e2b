package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// StateVersion is the version of the form of a [State].
const StateVersion = 1

// A State is the configuration of a machine, as a file that a person reads: what there is, or what there is to be. What
// a State leaves out is left as it is, so one State can be a profile for many machines. Lists are whole: an account, a
// wireless profile or an alarm that is not in a list that is there is removed. Secrets are never in it; where a new
// account or profile needs one, it says where to find it.
type State struct {
	Version int           `json:"version"`
	Machine *StateMachine `json:"machine,omitempty"`

	Time         *StateTime        `json:"time,omitempty"`
	Redirection  *StateRedirection `json:"redirection,omitempty"`
	Features     *StateFeatures    `json:"features,omitempty"`
	KVM          *StateKVM         `json:"kvm,omitempty"`
	Consent      *StateConsent     `json:"consent,omitempty"`
	PowerPolicy  *StatePowerPolicy `json:"power_policy,omitempty"`
	Audit        *StateAudit       `json:"audit,omitempty"`
	Alarms       *[]StateAlarm     `json:"alarms,omitempty"`
	Users        *[]StateUser      `json:"users,omitempty"`
	Kerberos     *StateKerberos    `json:"kerberos,omitempty"`
	TrustedRoots *[]StateRoot      `json:"trusted_roots,omitempty"`

	WiFi       *StateWiFi       `json:"wifi,omitempty"`
	Wired8021x *StateWired8021x `json:"wired_8021x,omitempty"`
	CIRA       *StateCIRA       `json:"cira,omitempty"`
	Defense    *StateDefense    `json:"defense,omitempty"`
	Presence   *[]StateWatchdog `json:"presence,omitempty"`
	Alerts     *[]StateAlert    `json:"alerts,omitempty"`
	Network    *StateNetwork    `json:"network,omitempty"`
	TLS        *StateTLS        `json:"tls,omitempty"`
}

// StateMachine tells whose state was saved. It is not applied.
type StateMachine struct {
	Address string `json:"address,omitempty"`
	UUID    string `json:"uuid,omitempty"`
	Release string `json:"release,omitempty"`
	Mode    string `json:"mode,omitempty"`
}

// A Change is one thing that applying a State changes.
type Change struct {
	Section string `json:"section"`        // of the State: "users"
	Subject string `json:"subject"`        // what of it: "ops"
	From    string `json:"from,omitempty"` // as it is; "": it is not there
	To      string `json:"to,omitempty"`   // as it is to be; "": it is to go

	do func(ctx context.Context) error
}

func (c Change) String() string {
	switch {
	case c.From == "":
		return fmt.Sprintf("%s: %s: add %s", c.Section, c.Subject, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s: remove", c.Section, c.Subject)
	}
	return fmt.Sprintf("%s: %s: %s, was %s", c.Section, c.Subject, c.To, c.From)
}

// A stateSection is one part of a State: how it is read, and what must be done for it to become another. Sections are
// applied in their order: what others need comes first, and what may cut the connection last. TLS is the very last, as a
// Client is of no use after it.
//
// To add one: a field of State, a file state_<section>.go with read and plan, and a line here.
var stateSections = []struct {
	name string
	has  func(s *State) bool
	read func(ctx context.Context, c *Client, s *State) error
	plan func(c *Client, now, want *State, help *StateHelp) ([]Change, error)
}{
	{"time", func(s *State) bool { return s.Time != nil }, readStateTime, planTime},
	{"redirection", func(s *State) bool { return s.Redirection != nil }, readStateRedirection, planRedirection},
	{"features", func(s *State) bool { return s.Features != nil }, readStateFeatures, planFeatures},
	{"kvm", func(s *State) bool { return s.KVM != nil }, readStateKVM, planKVM},
	{"consent", func(s *State) bool { return s.Consent != nil }, readStateConsent, planConsent},
	{"audit", func(s *State) bool { return s.Audit != nil }, readStateAudit, planAudit},
	{"alarms", func(s *State) bool { return s.Alarms != nil }, readStateAlarms, planAlarms},
	{"users", func(s *State) bool { return s.Users != nil }, readStateUsers, planUsers},
	{"kerberos", func(s *State) bool { return s.Kerberos != nil }, readStateKerberos, planKerberos},
	{"trusted_roots", func(s *State) bool { return s.TrustedRoots != nil }, readStateRoots, planNewRoots},
	{"wifi", func(s *State) bool { return s.WiFi != nil }, readStateWiFi, planWiFi},
	{"wired_8021x", func(s *State) bool { return s.Wired8021x != nil }, readStateWired8021x, planWired8021x},
	{"cira", func(s *State) bool { return s.CIRA != nil }, readStateCIRA, planCIRA},
	{"trusted_roots", func(s *State) bool { return s.TrustedRoots != nil }, readStateRoots, planOldRoots},
	{"defense", func(s *State) bool { return s.Defense != nil }, readStateDefense, planDefense},
	{"presence", func(s *State) bool { return s.Presence != nil }, readStatePresence, planPresence},
	{"alerts", func(s *State) bool { return s.Alerts != nil }, readStateAlerts, planAlerts},
	{"power_policy", func(s *State) bool { return s.PowerPolicy != nil }, readStatePowerPolicy, planPowerPolicy},
	{"network", func(s *State) bool { return s.Network != nil }, readStateNetwork, planNetwork},
	{"cira", func(s *State) bool { return s.CIRA != nil && s.CIRA.Home != nil }, readStateCIRA, planHome},
	{"tls", func(s *State) bool { return s.TLS != nil }, readStateTLS, planTLS},
	{"trusted_roots", func(s *State) bool { return s.TrustedRoots != nil }, readStateRoots, planOurRoots},
}

// Secrets finds the secret that a State names, such as the content of a file. The error tells why it cannot.
type Secrets func(name string) (string, error)

// A StateHelp is what applying a State needs beside the machine. What is nil is refused when it is needed.
type StateHelp struct {
	Secret Secrets

	// TLS switches TLS on or off, as it is told by the State, on the machine of a Client.
	TLS func(ctx context.Context, c *Client, want StateTLS) error

	// Again connects to the machine of a Client after TLS has switched it.
	Again func(ctx context.Context, c *Client) (*Client, error)
}

func (h *StateHelp) secret(name string) (string, error) {
	if h == nil || h.Secret == nil {
		return "", errors.New("nobody to ask for it")
	}
	return h.Secret(name)
}

// named finds the secret that something new needs: field is what should say where it is.
func (h *StateHelp) named(field, name, of string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: %s does not say where the secret of %s is", ErrUsage, field, of)
	}
	value, err := h.secret(name)
	if err != nil {
		return "", fmt.Errorf("%w: secret of %s: %w", ErrUsage, of, err)
	}
	return value, nil
}

// SaveState reads the whole configuration. What the machine does not have is left out.
func (c *Client) SaveState(ctx context.Context) (*State, error) {
	s := &State{Version: StateVersion, Machine: &StateMachine{Address: c.cfg.Address}}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("save state: %w", err)
	}
	s.Machine.UUID, s.Machine.Release, s.Machine.Mode = info.UUID, info.Version, info.ControlMode
	for _, section := range stateSections {
		if section.has(s) {
			continue // read already
		}
		if err := section.read(ctx, c, s); err != nil && !isAbsent(err) && !errors.Is(err, ErrUnsupported) {
			return nil, fmt.Errorf("save state: %s: %w", section.name, err)
		}
	}
	s.Time = nil // passes by itself
	return s, nil
}

// PlanState tells what must change for the machine to be as want says, in the order in which it is to be done; nothing
// if it is so already. Only the parts that want has are read. A State that makes no sense is an error that wraps
// [ErrUsage]; what the machine cannot do wraps [ErrUnsupported].
func (c *Client) PlanState(ctx context.Context, want *State, help *StateHelp) ([]Change, error) {
	if want.Version != StateVersion {
		return nil, fmt.Errorf("%w: a state of version %d; this program knows %d", ErrUsage, want.Version, StateVersion)
	}
	now := &State{Version: StateVersion}
	var all []Change
	for _, section := range stateSections {
		if !section.has(want) {
			continue
		}
		var err error
		if !section.has(now) {
			err = section.read(ctx, c, now)
		}
		if err == nil && !section.has(now) {
			err = ErrUnsupported
		}
		if err != nil {
			return nil, fmt.Errorf("state: %s: %w", section.name, err)
		}
		changes, err := section.plan(c, now, want, help)
		if err != nil {
			return nil, fmt.Errorf("state: %s: %w", section.name, err)
		}
		for i := range changes {
			changes[i].Section = section.name
		}
		all = append(all, changes...)
	}
	return all, nil
}

// ApplyState carries a plan out, one change after the other, and tells of each when it is done. It stops at the first
// that fails; what was done before stays, and a new plan leaves it out.
func (c *Client) ApplyState(ctx context.Context, plan []Change, done func(Change)) error {
	for _, change := range plan {
		if err := change.do(ctx); err != nil {
			return fmt.Errorf("%s: %s: %w", change.Section, change.Subject, err)
		}
		if done != nil {
			done(change)
		}
	}
	return nil
}

// differing lists the fields of two structs of one kind that differ, of those that want has: a pointer, slice or string
// that is not empty. Names are those of the file.
func differing(now, want any) (subjects []string, from, to []string) {
	n, w := reflect.ValueOf(now), reflect.ValueOf(want)
	for i := range w.NumField() {
		field := w.Type().Field(i)
		if !field.IsExported() || w.Field(i).IsZero() {
			continue
		}
		a, b := plainValue(n.Field(i)), plainValue(w.Field(i))
		if a == b {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		subjects, from, to = append(subjects, name), append(from, cmp.Or(a, "none")), append(to, cmp.Or(b, "none"))
	}
	return subjects, from, to
}

// plainValue is a value for people.
func plainValue(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = plainValue(v.Index(i))
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(v.Interface())
}

// compared compares two lists whose elements have names, and calls f for each name with both elements, nil for none: first
// for those of want, in order, then for those that only now has.
func compared[T any](now, want []T, name func(*T) string, f func(now, want *T) error) error {
	find := func(list []T, n string) *T {
		if i := slices.IndexFunc(list, func(t T) bool { return name(&t) == n }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	seen := map[string]bool{}
	for i := range want {
		n := name(&want[i])
		if n == "" || seen[n] {
			return fmt.Errorf("%w: the name %q is missing or there twice", ErrUsage, n)
		}
		seen[n] = true
		if err := f(find(now, n), &want[i]); err != nil {
			return err
		}
	}
	for i := range now {
		if !seen[name(&now[i])] {
			if err := f(&now[i], nil); err != nil {
				return err
			}
		}
	}
	return nil
}
