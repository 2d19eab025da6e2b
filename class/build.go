package class

import (
	"encoding/base64"
	"strconv"

	"github.com/outband/outband/wire/wsman"
)

// A Builder collects the elements of an instance or of a method's parameters, all in one namespace. Generated code
// uses it. Nil values add nothing.
type Builder struct {
	class    string
	space    string
	elements []wsman.Element
}

// NewBuilder returns a Builder for a class, with room for about n elements.
func NewBuilder(class string, n int) *Builder {
	return &Builder{class: class, space: wsman.ClassURI(class), elements: make([]wsman.Element, 0, n)}
}

// Instance returns the instance, with extra at its end.
func (b *Builder) Instance(extra []wsman.Element) wsman.Element {
	return wsman.Group(b.space, b.class, append(b.elements, extra...)...)
}

// Elements returns the elements.
func (b *Builder) Elements() []wsman.Element { return b.elements }

func (b *Builder) text(name, text string) {
	b.elements = append(b.elements, wsman.Element{Name: wsman.Name{Space: b.space, Local: name}, Text: text})
}

// String adds text.
func (b *Builder) String(name string, v *string) {
	if v != nil {
		b.text(name, *v)
	}
}

// Strings adds an array of text.
func (b *Builder) Strings(name string, list []string) {
	for _, v := range list {
		b.text(name, v)
	}
}

// Bool adds true or false.
func (b *Builder) Bool(name string, v *bool) {
	if v != nil {
		b.text(name, strconv.FormatBool(*v))
	}
}

// Bools adds an array of booleans.
func (b *Builder) Bools(name string, list []bool) {
	for _, v := range list {
		b.text(name, strconv.FormatBool(v))
	}
}

// Number adds a whole number.
func Number[T Integer](b *Builder, name string, v *T) {
	if v != nil {
		b.text(name, decimal(*v))
	}
}

// Numbers adds an array of whole numbers.
func Numbers[T Integer](b *Builder, name string, list []T) {
	for _, v := range list {
		b.text(name, decimal(v))
	}
}

func decimal[T Integer](v T) string {
	if v < 0 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(uint64(v), 10)
}

// Real adds a number with a fraction.
func (b *Builder) Real(name string, v *float64) {
	if v != nil {
		b.text(name, strconv.FormatFloat(*v, 'g', -1, 64))
	}
}

// Reals adds an array of numbers with a fraction.
func (b *Builder) Reals(name string, list []float64) {
	for i := range list {
		b.Real(name, &list[i])
	}
}

// Bytes adds octets as base64. Empty octets that are not nil add an empty element.
func (b *Builder) Bytes(name string, v []byte) {
	if v != nil {
		b.text(name, base64.StdEncoding.EncodeToString(v))
	}
}

// BytesList adds an array of octets.
func (b *Builder) BytesList(name string, list [][]byte) {
	for _, v := range list {
		b.text(name, base64.StdEncoding.EncodeToString(v))
	}
}

// Datetime adds a moment or an interval.
func (b *Builder) Datetime(name string, v *wsman.Datetime) {
	if v != nil {
		b.elements = append(b.elements, v.Element(b.space, name))
	}
}

// Datetimes adds an array of moments or intervals.
func (b *Builder) Datetimes(name string, list []wsman.Datetime) {
	for i := range list {
		b.Datetime(name, &list[i])
	}
}

// Ref adds a reference.
func (b *Builder) Ref(name string, v *wsman.EPR) {
	if v != nil {
		b.elements = append(b.elements, v.Element(b.space, name))
	}
}

// Refs adds an array of references.
func (b *Builder) Refs(name string, list []wsman.EPR) {
	for i := range list {
		b.Ref(name, &list[i])
	}
}

// Object adds an embedded instance: the element takes the property's name, its children keep their own namespace.
func (b *Builder) Object(name string, v *wsman.Element) {
	if v != nil {
		e := *v
		e.Name = wsman.Name{Space: b.space, Local: name}
		b.elements = append(b.elements, e)
	}
}

// Objects adds an array of embedded instances.
func (b *Builder) Objects(name string, list []wsman.Element) {
	for i := range list {
		b.Object(name, &list[i])
	}
}

// Keys collects selectors. Nil values add nothing.
type Keys struct{ selectors wsman.Selectors }

// Selectors returns what was collected.
func (k *Keys) Selectors() wsman.Selectors { return k.selectors }

// String adds a key of text.
func (k *Keys) String(name string, v *string) {
	if v != nil {
		k.selectors = append(k.selectors, wsman.Selector{Name: name, Value: *v})
	}
}

// Ref adds a key that is a reference.
func (k *Keys) Ref(name string, v *wsman.EPR) {
	if v != nil {
		k.selectors = append(k.selectors, wsman.Selector{Name: name, EPR: v})
	}
}

// NumberKey adds a key that is a whole number.
func NumberKey[T Integer](k *Keys, name string, v *T) {
	if v != nil {
		k.selectors = append(k.selectors, wsman.Selector{Name: name, Value: decimal(*v)})
	}
}

// Unknown is how a number without a meaning prints: "unknown (17)".
func Unknown[T Integer](v T) string { return "unknown (" + decimal(v) + ")" }
