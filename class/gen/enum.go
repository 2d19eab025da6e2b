package gen

import (
	"strings"

	"github.com/outband/outband/class/model"
)

// enumOwner returns the generated class in whose file an enum goes, or nil if it is shared.
func (g *generator) enumOwner(e *model.Enum) *model.Class {
	owner, _, ok := strings.Cut(e.Name, ".")
	if !ok {
		return nil
	}
	for _, c := range g.classes {
		if c.Name == owner {
			return c
		}
	}
	return nil
}

// sharedEnums writes the value tables of a package that belong to no class in it.
func (g *generator) sharedEnums(p *printer) {
	for _, e := range g.enums {
		if packageOf(e.Name) == p.pkg && g.enumOwner(e) == nil {
			g.enum(p, e)
		}
	}
}

func (g *generator) enum(p *printer, e *model.Enum) {
	name := goName(e.Name)
	typ := strings.Replace(string(e.Type), "sint", "int", 1)
	if typ == "uint8" && g.inArrays[e.Name] {
		typ = "uint16" // JSON has a slice of octets as base64
	}
	p.f("")
	about := article(name) + " " + name + " is a value of " + g.users(e) + "."
	if e.Flags {
		about += " Bits may be combined."
	}
	p.comment(about + " " + sentence(e.Note))
	p.f("type %s %s", name, typ)
	p.f("\n// Values of %s.\nconst (", name)
	for _, v := range e.Values {
		p.f("%s %s = %d", constName(e, v), name, v.Number)
	}
	p.f(")")
	if e.Flags {
		g.flagsString(p, e)
		return
	}
	p.f("\n// String returns the meaning, or \"unknown (17)\".")
	p.f("func (v %s) String() string {\nswitch v {", name)
	for _, v := range e.Values {
		p.f("case %s:\nreturn %q", constName(e, v), v.Text)
	}
	p.f("}\nreturn class.Unknown(v)\n}")
}

func (g *generator) flagsString(p *printer, e *model.Enum) {
	name := goName(e.Name)
	zero := "none"
	p.f("\n// String returns the meanings of the bits, joined by commas.")
	p.f("func (v %s) String() string {", name)
	p.f("var b class.Bits")
	for _, v := range e.Values {
		if v.Number == 0 {
			zero = v.Text
			continue
		}
		p.f("b.Add(v&%s != 0, %q)", constName(e, v), v.Text)
	}
	all := make([]string, 0, len(e.Values))
	for _, v := range e.Values {
		if v.Number != 0 {
			all = append(all, constName(e, v))
		}
	}
	p.f("return b.String(%q, uint64(v&^(%s)))\n}", zero, strings.Join(all, "|"))
}

// users names what has values of the table: up to three properties of generated classes.
func (g *generator) users(e *model.Enum) string {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for i := range g.model.Classes {
		c := &g.model.Classes[i]
		for _, q := range c.Properties {
			if q.Enum == e.Name {
				add(c.Name + "." + q.Name)
			}
		}
		for _, m := range c.Methods {
			for _, list := range [][]model.Property{m.In, m.Out} {
				for _, q := range list {
					if q.Enum == e.Name {
						add(c.Name + "." + m.Name + "." + q.Name)
					}
				}
			}
		}
	}
	switch {
	case len(out) == 1:
		return out[0]
	case len(out) > 3:
		return strings.Join(out[:2], ", ") + " and others"
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}
