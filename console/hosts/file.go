package hosts

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The database file, version 1:
//
//	{
//	  "version": 1,
//	  "identity": {"store": "file", "recipient": "age1..."},
//	  "hosts": [
//	    {"name": "desk-7", "address": "10.0.0.7", ..., "password_age": "base64 of an age file"}
//	  ],
//	  "secrets_age": {"ca-key": "base64 of an age file"}
//	}
//
// A new field of a host goes into [Host] and hostFields; a test compares the two.

const (
	fileVersion = 1
	maxFile     = 16 << 20 // bytes
	maxHosts    = 20_000
	maxSealed   = 4096 // base64 digits of one encrypted password
	maxSecrets  = 64
)

// ErrDamaged is in the chain of the error for a file that cannot be understood. Such a file is
// never written.
var ErrDamaged = errors.New("the hosts file is damaged")

// fileFields and hostFields are the keys of this version; others are kept as they are.
var (
	fileFields = []string{"version", "identity", "hosts", "secrets_age"}
	hostFields = []string{"name", "address", "port", "scheme", "user", "pin", "ca_file", "cert_file", "key_file",
		"tls_min", "legacy_ciphers", "tags", "note", "uuid", "password_age"}
)

type unknownFields map[string]json.RawMessage

// identityRef says which identity opens the passwords of a file, and where it lies.
type identityRef struct {
	Store     Store  `json:"store"`
	Recipient string `json:"recipient"` // its public half, age1...
}

// record is a Host as the file has it.
type record struct {
	Host
	Sealed  string        `json:"password_age,omitempty"`
	unknown unknownFields // only after parseFile with keep
}

type file struct {
	version  int
	identity *identityRef // nil: no password was ever stored
	records  []record
	index    map[string]int    // of records, by folded name
	secrets  map[string]string // sealed, by name; see [DB.Secret]
	unknown  unknownFields     // only after parseFile with keep
}

// parseFile reads a whole database. Unknown fields are collected only if keep is set: reading a
// list does not pay for what only rewriting needs.
func parseFile(b []byte, keep bool) (*file, error) {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
	}
	if len(b) > maxFile {
		return nil, damaged("larger than %d bytes", maxFile)
	}
	var top struct {
		Version  int               `json:"version"`
		Identity *identityRef      `json:"identity"`
		Hosts    []json.RawMessage `json:"hosts"`
		Secrets  map[string]string `json:"secrets_age"`
	}
	if err := json.Unmarshal(b, &top); err != nil {
		return nil, damaged("%s", where(b, err))
	}
	switch {
	case top.Version < 1:
		return nil, damaged(`no "version"`)
	case len(top.Hosts) > maxHosts:
		return nil, damaged("%d hosts, at most %d", len(top.Hosts), maxHosts)
	case len(top.Secrets) > maxSecrets:
		return nil, damaged("%d secrets, at most %d", len(top.Secrets), maxSecrets)
	}
	f := &file{version: top.Version, identity: top.Identity, records: make([]record, len(top.Hosts)), secrets: top.Secrets}
	f.index = make(map[string]int, len(top.Hosts))
	for i, raw := range top.Hosts {
		r := &f.records[i]
		if err := r.parse(raw, keep); err != nil {
			return nil, damaged("host %d: %w", i+1, err)
		}
		if err := r.Validate(); err != nil {
			return nil, damaged("host %d: %w", i+1, err)
		}
		name := foldName(r.Name)
		if _, ok := f.index[name]; ok {
			return nil, damaged("host %d: a second %q", i+1, clip(r.Name))
		}
		f.index[name] = i
		if r.Sealed != "" {
			if len(r.Sealed) > maxSealed {
				return nil, damaged("host %q: password_age is longer than %d", r.Name, maxSealed)
			}
			if _, err := base64.StdEncoding.DecodeString(r.Sealed); err != nil {
				return nil, damaged("host %q: password_age: %w", r.Name, err)
			}
			if f.identity == nil {
				return nil, damaged(`host %q has a password but the file has no "identity"`, r.Name)
			}
			r.password = &secret{sealed: r.Sealed, recipient: f.identity.Recipient}
		}
	}
	if keep {
		var err error
		if f.unknown, err = unknownOf(b, fileFields); err != nil {
			return nil, damaged("%w", err)
		}
	}
	return f, nil
}

// parse reads one entry. The members of most are all known, which is cheaper to see than which are not.
func (r *record) parse(raw []byte, keep bool) error {
	if keep {
		strict := json.NewDecoder(bytes.NewReader(raw))
		strict.DisallowUnknownFields()
		if strict.Decode(r) == nil {
			return nil
		}
		*r = record{}
	}
	err := json.Unmarshal(raw, r)
	if err == nil && keep {
		r.unknown, err = unknownOf(raw, hostFields)
	}
	return err
}

// unknownOf returns the members of a JSON object that are not known. encoding/json ignores case
// when it fills a struct, and so must this.
func unknownOf(object []byte, known []string) (unknownFields, error) {
	var all unknownFields
	if err := json.Unmarshal(object, &all); err != nil {
		return nil, err
	}
	for name := range all {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			delete(all, name)
		}
	}
	return all, nil
}

// format writes the whole database, unknown fields included.
func (f *file) format() ([]byte, error) {
	list := make([]any, len(f.records))
	for i, r := range f.records {
		list[i] = r
		if len(r.unknown) == 0 {
			continue
		}
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", r.Name, err)
		}
		if raw, err = merge(raw, r.unknown); err != nil {
			return nil, err
		}
		list[i] = json.RawMessage(raw)
	}
	raw, err := json.Marshal(struct {
		Version  int               `json:"version"`
		Identity *identityRef      `json:"identity,omitempty"`
		Hosts    []any             `json:"hosts"`
		Secrets  map[string]string `json:"secrets_age,omitempty"`
	}{max(f.version, fileVersion), f.identity, list, f.secrets})
	if err != nil {
		return nil, err
	}
	if raw, err = merge(raw, f.unknown); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	if out.Len() >= maxFile {
		return nil, fmt.Errorf("the hosts file would exceed %d bytes", maxFile)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// merge appends unknown members to a non-empty JSON object.
func merge(object []byte, unknown unknownFields) ([]byte, error) {
	if len(unknown) == 0 {
		return object, nil
	}
	more, err := json.Marshal(unknown) // sorted by name
	if err != nil {
		return nil, err
	}
	object = append(object[:len(object)-1], ',')
	return append(object, more[1:]...), nil
}

// find returns the index of a name, or -1.
func (f *file) find(name string) int {
	if i, ok := f.index[foldName(name)]; ok {
		return i
	}
	return -1
}

// add appends an entry and returns its index.
func (f *file) add(name string) int {
	i := len(f.records)
	f.records = append(f.records, record{})
	if f.index == nil {
		f.index = make(map[string]int)
	}
	f.index[foldName(name)] = i
	return i
}

// remove deletes the entries of some names; the first that is missing is returned, and nothing is deleted then.
func (f *file) remove(names []string) (missing string, ok bool) {
	gone := make(map[string]bool, len(names))
	for _, name := range names {
		folded := foldName(name)
		if f.find(name) < 0 || gone[folded] {
			return name, false
		}
		gone[folded] = true
	}
	f.records = slices.DeleteFunc(f.records, func(r record) bool { return gone[foldName(r.Name)] })
	clear(f.index)
	for i, r := range f.records {
		f.index[foldName(r.Name)] = i
	}
	return "", true
}

func foldName(name string) string { return strings.ToLower(name) }

// where adds line and column to an error of encoding/json, for whoever edited the file by hand.
func where(b []byte, err error) string {
	var offset int64
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case len(b) == 0:
		return "it is empty"
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	default:
		return err.Error()
	}
	before := string(b[:min(int(offset), len(b))])
	line := strings.Count(before, "\n") + 1
	column := len(before) - (strings.LastIndex(before, "\n") + 1)
	return fmt.Sprintf("line %d, column %d: %v", line, column, err)
}
