package model

import (
	"fmt"
	"strings"
)

// maxDepth is more than the longest line of ancestors there can sensibly be; CIM has 8.
const maxDepth = 32

// check holds references between parts of the catalogue against each other.
func (m *Model) check() error {
	for i := range m.Classes {
		c := &m.Classes[i]
		if err := m.checkClass(c); err != nil {
			return fmt.Errorf("model: class %s: %w", c.Name, err)
		}
	}
	for i := range m.Enums {
		e := &m.Enums[i]
		if !e.Type.Integer() {
			return fmt.Errorf("model: enum %s has type %s", e.Name, e.Type)
		}
		for j, v := range e.Values {
			if j > 0 && v.Number <= e.Values[j-1].Number {
				return fmt.Errorf("model: enum %s: %d is there twice or out of order", e.Name, v.Number)
			}
		}
	}
	return nil
}

func (m *Model) checkClass(c *Class) error {
	if schema, name, ok := strings.Cut(c.Name, "_"); !ok || name == "" || schema != "AMT" && schema != "CIM" && schema != "IPS" {
		return fmt.Errorf("the name is not of a known schema")
	}
	depth := 0
	for a := c; a.Super != ""; depth++ {
		if a = m.index[a.Super]; a == nil || depth > maxDepth {
			return fmt.Errorf("its ancestors do not end")
		}
	}
	for i := range c.Properties {
		if err := m.checkProperty(&c.Properties[i]); err != nil {
			return err
		}
	}
	for i := range c.Methods {
		method := &c.Methods[i]
		for _, list := range [][]Property{method.In, method.Out} {
			for j := range list {
				if err := m.checkProperty(&list[j]); err != nil {
					return fmt.Errorf("method %s: %w", method.Name, err)
				}
			}
		}
		if t := method.Returns.Table; t != "" && t != PTStatus && m.Returns[t] == nil {
			return fmt.Errorf("method %s: no table of return values %s", method.Name, t)
		}
	}
	for _, list := range [][]string{c.Keys, c.WireProperties} {
		for _, name := range list {
			if m.Property(c, name) == nil {
				return fmt.Errorf("no property %s", name)
			}
		}
	}
	for i := range c.Instances {
		for name := range c.Instances[i].Values {
			if m.Property(c, name) == nil {
				return fmt.Errorf("instance %d: no property %s", i, name)
			}
		}
	}
	return nil
}

// PTStatus is the name of the table of status codes, which package status holds.
const PTStatus = "PT_STATUS"

func (m *Model) checkProperty(p *Property) error {
	switch p.Type {
	case String, Boolean, Real32, Real64, Base64, HexBinary, Datetime, Ref, Object:
	case Uint8, Uint16, Uint32, Uint64, Sint8, Sint16, Sint32, Sint64:
	default:
		return fmt.Errorf("property %s has unknown type %q", p.Name, p.Type)
	}
	if p.Enum == "" {
		return nil
	}
	e := m.Enum(p.Enum)
	if e == nil {
		return fmt.Errorf("property %s: no enum %s", p.Name, p.Enum)
	}
	if e.Type != p.Type {
		return fmt.Errorf("property %s is %s, its enum %s is %s", p.Name, p.Type, p.Enum, e.Type)
	}
	return nil
}
