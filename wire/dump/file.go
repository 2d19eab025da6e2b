package dump

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// Format is the value of the member "format".
const Format = "outband-dump/1"

// Limits on a file.
const (
	MaxFile      = 64 << 20 // octets
	MaxClasses   = 4096
	MaxInstances = 1 << 15 // of one class; an event log has 390 records
	MaxValues    = 4096    // properties of an instance, or values of one property
	maxDepth     = 8       // references and instances inside each other
)

// Errors of [Read].
var (
	ErrFormat = errors.New("not an outband-dump/1 file")
	ErrLimit  = errors.New("file beyond a limit")
)

// A File is a dump.
type File struct {
	Host    string    // as whoever took it called the machine
	Taken   time.Time // zero if not known
	Version string    // firmware release: "16.1.27.2176"
	Absent  []string  // classes that the machine said it does not have
	Classes []Class   // in any order
	Rest    map[string]json.RawMessage
}

// A Class is the instances of one class: its own, not those of classes below it.
type Class struct {
	Name      string // CIM_Chip, or a URI
	Instances []wsman.Element
}

// Class returns the instances of a class, or nil.
func (f *File) Class(name string) []wsman.Element {
	for i := range f.Classes {
		if f.Classes[i].Name == name {
			return f.Classes[i].Instances
		}
	}
	return nil
}

// Add adds an instance to its class, which is what the element is named after: enumerations of a base class yield
// instances of several.
func (f *File) Add(instance wsman.Element) {
	name := className(instance.Space)
	for i := range f.Classes {
		if f.Classes[i].Name == name {
			f.Classes[i].Instances = append(f.Classes[i].Instances, instance)
			return
		}
	}
	f.Classes = append(f.Classes, Class{name, []wsman.Element{instance}})
}

// className shortens a class URI where wsman.ClassURI can make it long again.
func className(uri string) string {
	if name := wsman.ClassName(uri); wsman.ClassURI(name) == uri {
		return name
	}
	return uri
}

// Read reads a file. "format" may be missing, so that a file can be written by hand; another one is [ErrFormat].
// Other errors wrap ErrFormat or [ErrLimit], or are those of r.
func Read(r io.Reader) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("dump: %w", err)
	case len(text) > MaxFile:
		return nil, fmt.Errorf("dump: %w: more than %d octets", ErrLimit, MaxFile)
	}
	f, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	return f, nil
}

func parse(text []byte) (*File, error) {
	f := &File{}
	err := members(text, MaxClasses, func(name string, value json.RawMessage) error {
		switch name {
		case "format":
			var format string
			if err := json.Unmarshal(value, &format); err != nil || format != Format {
				return fmt.Errorf("%w: format is %.60s", ErrFormat, value)
			}
			return nil
		case "host":
			return member(name, value, &f.Host)
		case "taken":
			return member(name, value, &f.Taken)
		case "version":
			return member(name, value, &f.Version)
		case "absent":
			return member(name, value, &f.Absent)
		case "instances":
			if f.Classes != nil {
				return fmt.Errorf("%w: instances twice", ErrFormat)
			}
			return members(value, MaxClasses, func(class string, list json.RawMessage) error {
				instances, err := parseInstances(class, list)
				f.Classes = append(f.Classes, Class{class, instances})
				return err
			})
		}
		if f.Rest == nil {
			f.Rest = make(map[string]json.RawMessage)
		}
		f.Rest[name] = slices.Clone(value)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func member[T any](name string, text json.RawMessage, v *T) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrFormat, name, err)
	}
	return nil
}

func parseInstances(class string, list json.RawMessage) ([]wsman.Element, error) {
	if class == "" || strings.ContainsAny(class, " <>\"&") {
		return nil, fmt.Errorf("%w: %.60q is no class", ErrFormat, class)
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(list, &raw); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrFormat, class, err)
	}
	if len(raw) > MaxInstances {
		return nil, fmt.Errorf("%w: %d instances of %s", ErrLimit, len(raw), class)
	}
	out := make([]wsman.Element, len(raw))
	for i := range raw {
		e, err := parseInstance(class, raw[i], 0)
		if err != nil {
			return nil, fmt.Errorf("%s, instance %d: %w", class, i+1, err)
		}
		out[i] = e
	}
	return out, nil
}

// Write writes the file: classes sorted by name, with line breaks and indentation. It fails if two classes have the
// same name, or Rest has a member of one of the file's own names.
func (f *File) Write(w io.Writer) error {
	var b bytes.Buffer
	o := object{b: &b}
	o.text("format", Format)
	if f.Host != "" {
		o.text("host", f.Host)
	}
	if !f.Taken.IsZero() {
		o.text("taken", f.Taken.UTC().Format(time.RFC3339))
	}
	if f.Version != "" {
		o.text("version", f.Version)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Rest)) {
		if slices.Contains([]string{"format", "host", "taken", "version", "absent", "instances"}, name) || !json.Valid(f.Rest[name]) {
			return fmt.Errorf("dump: member %q cannot be written", name)
		}
		o.name(name)
		b.Write(f.Rest[name])
	}
	if len(f.Absent) > 0 {
		absent := slices.Sorted(slices.Values(f.Absent))
		o.name("absent")
		appendList(&b, absent, func(name string) { appendText(&b, name) })
	}
	o.name("instances")
	classes := slices.SortedFunc(slices.Values(f.Classes), func(x, y Class) int { return strings.Compare(x.Name, y.Name) })
	in := object{b: &b}
	for i, c := range classes {
		if i > 0 && classes[i-1].Name == c.Name {
			return fmt.Errorf("dump: class %s twice", c.Name)
		}
		in.name(c.Name)
		b.WriteByte('[')
		for j := range c.Instances {
			if j > 0 {
				b.WriteByte(',')
			}
			appendInstance(&b, &c.Instances[j], 0)
		}
		b.WriteByte(']')
	}
	in.end()
	o.end()
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	out.WriteByte('\n')
	_, err := w.Write(out.Bytes())
	return err
}
