package model

import (
	"slices"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// Class returns the class of that name or resource URI, or nil.
func (m *Model) Class(nameOrURI string) *Class {
	c := m.index[wsman.ClassName(nameOrURI)]
	if c != nil && nameOrURI != c.Name && nameOrURI != c.URI() {
		return nil
	}
	return c
}

// Enum returns the value table of that name, or nil.
func (m *Model) Enum(name string) *Enum {
	i, ok := slices.BinarySearchFunc(m.Enums, name, func(e Enum, name string) int { return strings.Compare(e.Name, name) })
	if !ok {
		return nil
	}
	return &m.Enums[i]
}

// Text returns what a number means, or "".
func (e *Enum) Text(number int64) string {
	for i := range e.Values {
		if e.Values[i].Number == number {
			return e.Values[i].Text
		}
	}
	return ""
}

// Ancestors returns the class itself, its parent and so on to the root.
func (m *Model) Ancestors(c *Class) []*Class {
	var out []*Class
	for ; c != nil && len(out) <= maxDepth; c = m.index[c.Super] {
		out = append(out, c)
	}
	return out
}

// DerivesFrom reports whether a is b or has it among its ancestors. Both are class names.
func (m *Model) DerivesFrom(a, b string) bool {
	for depth := 0; a != "" && depth <= maxDepth; depth++ {
		if a == b {
			return true
		}
		c := m.index[a]
		if c == nil {
			return false
		}
		a = c.Super
	}
	return false
}

// Subclasses returns the names of all classes below the named one, without itself, sorted.
func (m *Model) Subclasses(name string) []string {
	var out []string
	for i := range m.Classes {
		if c := &m.Classes[i]; c.Name != name && m.DerivesFrom(c.Name, name) {
			out = append(out, c.Name)
		}
	}
	return out
}

// AllProperties returns the properties with the inherited ones: keys in the order of Keys, then the class's own, then
// its parent's, and so on. An own property hides an inherited one of the same name.
func (m *Model) AllProperties(c *Class) []Property {
	var out []Property
	for _, a := range m.Ancestors(c) {
		for _, p := range a.Properties {
			if !slices.ContainsFunc(out, func(q Property) bool { return q.Name == p.Name }) {
				out = append(out, p)
			}
		}
	}
	for i := range out {
		out[i].Key = slices.Contains(c.Keys, out[i].Name)
	}
	slices.SortStableFunc(out, func(a, b Property) int { return keyRank(c, a) - keyRank(c, b) })
	return out
}

func keyRank(c *Class, p Property) int {
	if i := slices.Index(c.Keys, p.Name); i >= 0 {
		return i
	}
	return len(c.Keys)
}

// Property returns the class's own or inherited property of that name, or nil. Key is as the declaring class says;
// see [Class.IsKey].
func (m *Model) Property(c *Class, name string) *Property {
	for depth := 0; c != nil && depth <= maxDepth; depth++ {
		for i := range c.Properties {
			if c.Properties[i].Name == name {
				return &c.Properties[i]
			}
		}
		c = m.index[c.Super]
	}
	return nil
}

// AllMethods returns the methods with the inherited ones, the class's own first.
func (m *Model) AllMethods(c *Class) []Method {
	var out []Method
	for _, a := range m.Ancestors(c) {
		for _, method := range a.Methods {
			if !slices.ContainsFunc(out, func(q Method) bool { return q.Name == method.Name }) {
				out = append(out, method)
			}
		}
	}
	return out
}

// Method returns the class's own or inherited method of that name, or nil.
func (m *Model) Method(c *Class, name string) *Method {
	for depth := 0; c != nil && depth <= maxDepth; depth++ {
		for i := range c.Methods {
			if c.Methods[i].Name == name {
				return &c.Methods[i]
			}
		}
		c = m.index[c.Super]
	}
	return nil
}
