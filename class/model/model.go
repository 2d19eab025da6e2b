package model

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/outband/outband/wire/wsman"
)

//go:embed classes.json
var classesJSON []byte

//go:embed generated.txt
var generatedText string

// A Model is a set of classes. It is immutable and safe for concurrent use.
type Model struct {
	Enums   []Enum             `json:"enums"`   // sorted by name
	Returns map[string][]Value `json:"returns"` // tables of return values that several methods share
	Classes []Class            `json:"classes"` // sorted by name

	index map[string]*Class // by class name
}

// A Class is one CIM class. Properties and methods of its ancestors are not repeated.
type Class struct {
	Name           string      `json:"name"` // with the schema: CIM_Chip
	Super          string      `json:"super"`
	Association    bool        `json:"association"`
	Indication     bool        `json:"indication"` // no operations: it only arrives as the body of an event
	Cardinality    Cardinality `json:"cardinality"`
	Since          string      `json:"since"` // first release, "" if not known
	Until          string      `json:"until"` // last release, "" if it still exists
	Summary        string      `json:"summary"`
	Note           string      `json:"note"`           // a trap that matters
	Operations     []string    `json:"operations"`     // Get, Put, Create, Delete, Enumerate, Pull, Subscribe, Unsubscribe
	Keys           []string    `json:"keys"`           // sorted, inherited ones included
	WireOrder      string      `json:"wireOrder"`      // OrderASCII, OrderListed, or "" if never seen
	WireProperties []string    `json:"wireProperties"` // what devices send
	Certainty      Certainty   `json:"certainty"`
	Properties     []Property  `json:"properties"`
	Methods        []Method    `json:"methods"`
	Instances      []Instance  `json:"instances"`
}

// URI returns the resource URI, which is the XML namespace of instances and parameters too.
func (c *Class) URI() string { return wsman.ClassURI(c.Name) }

// Has reports whether the class offers an operation: "Put".
func (c *Class) Has(operation string) bool { return slices.Contains(c.Operations, operation) }

// IsKey reports whether the property is a key.
func (c *Class) IsKey(property string) bool { return slices.Contains(c.Keys, property) }

// How many instances a class has.
const (
	Singleton   Cardinality = "singleton" // at most one: Get needs no selectors
	Many        Cardinality = "many"
	Polymorphic Cardinality = "polymorphic" // a base class: its enumeration yields instances of subclasses
)

// Cardinality says how many instances a class has.
type Cardinality string

// Values of [Class.WireOrder].
const (
	OrderASCII  = "ascii"     // sorted by octets, upper case first
	OrderListed = "as listed" // in the order of WireProperties
)

// Certainty says how well a fact is known.
type Certainty string

// Values of Certainty.
const (
	Certain Certainty = "certain"
	Likely  Certainty = "likely"
	Unknown Certainty = "unknown"
)

// A Property is a property of a class or a parameter of a method.
type Property struct {
	Name         string `json:"name"`
	Type         Type   `json:"type"`
	Array        bool   `json:"array"` // repeated elements
	Key          bool   `json:"key"`
	Required     bool   `json:"required"` // by the definition; devices may leave it out
	Override     bool   `json:"override"` // of an inherited property
	Access       string `json:"access"`   // "" read, "rw" read and write, "w" accepted and never given back
	MaxLen       int    `json:"maxLen"`   // characters of a string, octets of base64; 0 if not known
	RefClass     string `json:"refClass"` // class that a ref points to, or of an embedded instance
	Enum         string `json:"enum"`     // name of a value table
	PutRequired  bool   `json:"putRequired"`
	ObservedOnly bool   `json:"observedOnly"` // in no definition, only seen on the wire
	Note         string `json:"note"`         // unit, form, trap
}

// Writable reports whether Put and Create may set the property.
func (p *Property) Writable() bool { return p.Access != "" || p.Key }

// WriteOnly reports whether the value is never given back: passwords and keys.
func (p *Property) WriteOnly() bool { return p.Access == "w" }

// A Type is the type of a property.
type Type string

// Values of Type.
const (
	String    Type = "string"
	Boolean   Type = "boolean"
	Uint8     Type = "uint8"
	Uint16    Type = "uint16"
	Uint32    Type = "uint32"
	Uint64    Type = "uint64"
	Sint8     Type = "sint8"
	Sint16    Type = "sint16"
	Sint32    Type = "sint32"
	Sint64    Type = "sint64"
	Real32    Type = "real32"
	Real64    Type = "real64"
	Base64    Type = "base64"
	HexBinary Type = "hexbinary" // octets as text; hex digits on most fields
	Datetime  Type = "datetime"
	Ref       Type = "ref"
	Object    Type = "instance" // an embedded instance
)

// Integer reports whether the type is a whole number.
func (t Type) Integer() bool {
	return strings.HasPrefix(string(t), "uint") || strings.HasPrefix(string(t), "sint")
}

// A Method is a method of a class. ReturnValue, a uint32, is not listed: it always comes last.
type Method struct {
	Name             string     `json:"name"`
	In               []Property `json:"in"`  // in wire order
	Out              []Property `json:"out"` // in wire order
	Returns          Returns    `json:"returns"`
	ReturnsCertainty Certainty  `json:"returnsCertainty"` // Unknown where AMT almost surely does not implement the method
	Until            string     `json:"until"`
	Note             string     `json:"note"`
}

// Returns says what a method's return values mean.
type Returns struct {
	Table string  // "PT_STATUS", or a name in [Model.Returns]; "" if the method has its own
	Codes []int64 // the values of PT_STATUS that the definition names
	Own   []Value
}

// UnmarshalJSON reads a name, a list of numbers, or a list of values.
func (r *Returns) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &r.Table) == nil || json.Unmarshal(text, &r.Codes) == nil {
		return nil
	}
	r.Codes = nil
	return json.Unmarshal(text, &r.Own)
}

// An Enum is a table of what the numbers of a property mean.
type Enum struct {
	Name   string  `json:"name"`  // CIM_PowerState, or Class.Property
	Type   Type    `json:"type"`  // of the number
	Flags  bool    `json:"flags"` // the numbers are bits that may be combined
	Note   string  `json:"note"`
	Values []Value `json:"values"` // sorted by number
}

// A Value is one number and its meaning. In JSON: [2,"on"], or [11,"diagnostic interrupt (NMI)","NMI"].
type Value struct {
	Number int64
	Text   string
	Go     string // end of the Go constant's name, where it is not the text in camel case
}

// UnmarshalJSON reads the form with two or three elements.
func (v *Value) UnmarshalJSON(text []byte) error {
	parts := []any{&v.Number, &v.Text, &v.Go}
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) != 2 && len(parts) != 3 || v.Text == "" {
		return fmt.Errorf("model: value %s is not [number, text]", text)
	}
	return nil
}

var load = sync.OnceValues(func() (*Model, error) { return Parse(classesJSON) })

// Load returns the catalogue. The first call parses it, which takes some milliseconds; all share the result.
func Load() (*Model, error) { return load() }

// Generated returns the names of the classes that have a Go type, sorted.
func Generated() []string { return ParseNames(generatedText) }

// ParseNames reads a list of one name per line with comments from #.
func ParseNames(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Parse reads a catalogue in the form of classes.json and checks that what it refers to exists.
func Parse(text []byte) (*Model, error) {
	m := &Model{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	slices.SortFunc(m.Classes, func(a, b Class) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Enums, func(a, b Enum) int { return strings.Compare(a.Name, b.Name) })
	m.index = make(map[string]*Class, len(m.Classes))
	for i := range m.Classes {
		c := &m.Classes[i]
		if m.index[c.Name] != nil {
			return nil, fmt.Errorf("model: class %s is there twice", c.Name)
		}
		m.index[c.Name] = c
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}
