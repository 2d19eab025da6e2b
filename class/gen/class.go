package gen

import (
	"slices"
	"strings"

	"github.com/outband/outband/class/model"
)

// class writes everything that belongs to one class.
func (g *generator) class(p *printer, c *model.Class) {
	props := g.model.AllProperties(c)
	g.structType(p, c, props)
	g.instanceMethods(p, c, props)
	for _, e := range g.enums {
		if g.enumOwner(e) == c {
			g.enum(p, e)
		}
	}
	for _, m := range methods(c) {
		g.method(p, c, m)
	}
}

func (g *generator) structType(p *printer, c *model.Class, props []model.Property) {
	name := goName(c.Name)
	p.f("")
	p.comment(article(name) + " " + name + " is " + strings.ToLower(article(c.Name)) + " " + c.Name + ": " + sentence(lowerFirst(c.Summary)))
	if c.Note != "" {
		p.comment(sentence(upperFirst(c.Note)))
	}
	p.f("//")
	p.comment(facts(c))
	p.f("type %s struct {", name)
	for _, q := range props {
		field(p, q, false)
	}
	p.f("\nExtra []wsman.Element `json:\"-\"` // elements that the class does not have")
	p.f("}")
}

func article(name string) string {
	if strings.ContainsRune("AEIOU", rune(name[0])) {
		return "An"
	}
	return "A"
}

// facts sums up how many instances there are, what can be done with them, and in which releases.
func facts(c *model.Class) string {
	var parts []string
	switch {
	case c.Indication:
		parts = append(parts, "The body of an event")
	case c.Cardinality == model.Singleton:
		parts = append(parts, "One instance at most")
	case c.Cardinality == model.Polymorphic:
		parts = append(parts, "A base class: its enumeration yields instances of subclasses")
	}
	if c.Super != "" {
		parts = append(parts, "Derives from "+c.Super)
	}
	ops := slices.DeleteFunc(slices.Clone(c.Operations), func(op string) bool { return op == "Pull" })
	if len(ops) > 0 {
		parts = append(parts, strings.Join(ops, ", "))
	}
	if c.Since != "" {
		parts = append(parts, "Since "+c.Since)
	}
	if c.Until != "" {
		parts = append(parts, "Until "+c.Until)
	}
	if c.Certainty != model.Certain && c.Certainty != "" {
		parts = append(parts, "The definition is "+string(c.Certainty)+", not certain")
	}
	return sentence(strings.Join(parts, ". "))
}

func field(p *printer, q model.Property, parameter bool) {
	name, tag, omit := fieldName(q.Name), "", "omitempty"
	if name != q.Name {
		tag = q.Name
	}
	if q.Type == model.Base64 && !q.Array {
		omit = "omitzero" // empty octets are present
	}
	comment := fieldComment(q, parameter)
	if comment != "" {
		comment = " // " + comment
	}
	p.f("%s %s `json:\"%s,%s\"`%s", name, goType(p.pkg, q), tag, omit, comment)
}

func (g *generator) instanceMethods(p *printer, c *model.Class, props []model.Property) {
	name := goName(c.Name)
	p.f("\n// ClassName returns %q.", c.Name)
	p.f("func (*%s) ClassName() string { return %q }", name, c.Name)

	p.f("\n// Selectors returns the keys that are set.")
	if len(c.Keys) == 0 {
		p.f("func (*%s) Selectors() wsman.Selectors { return nil }", name)
	} else {
		p.f("func (v *%s) Selectors() wsman.Selectors {", name)
		p.f("var k class.Keys")
		for _, q := range props {
			switch {
			case !q.Key:
			case verb(q) == "Number":
				p.f("class.NumberKey(&k, %q, v.%s)", q.Name, fieldName(q.Name))
			default:
				p.f("k.%s(%q, v.%s)", verb(q), q.Name, fieldName(q.Name))
			}
		}
		p.f("return k.Selectors()\n}")
	}

	p.f("\n// Element returns the XML form.")
	p.f("func (v *%s) Element() wsman.Element {", name)
	p.f("b := class.NewBuilder(%q, %d)", c.Name, max(len(c.WireProperties), 8))
	build(p, sorted(props))
	p.f("return b.Instance(v.Extra)\n}")

	p.f("\n// Decode replaces the value by what the element holds.")
	p.f("func (v *%s) Decode(e *wsman.Element) error {", name)
	p.f("*v = %s{}", name)
	decode(p, c.Name, props, "err = class.ReadExtra(&v.Extra, c)")
	p.f("}")

	if subs := g.model.Subclasses(c.Name); len(subs) > 0 {
		p.f("\n// IsBaseOf reports whether the named class derives from %s.", c.Name)
		p.f("func (*%s) IsBaseOf(name string) bool {\nswitch name {", name)
		p.f("case %s:\nreturn true\n}\nreturn false\n}", quoted(subs))
	}
	var secrets []string
	for _, q := range sorted(props) {
		if q.WriteOnly() {
			secrets = append(secrets, q.Name)
		}
	}
	if len(secrets) > 0 {
		p.f("\n// WriteOnly reports whether the property is taken and never given back.")
		p.f("func (*%s) WriteOnly(property string) bool {\nswitch property {", name)
		p.f("case %s:\nreturn true\n}\nreturn false\n}", quoted(secrets))
	}
}

func quoted(names []string) string {
	out := ""
	for i, name := range names {
		switch {
		case i == 0:
		case i%4 == 0:
			out += ",\n"
		default:
			out += ", "
		}
		out += `"` + name + `"`
	}
	return out
}

func sorted(props []model.Property) []model.Property {
	out := slices.Clone(props)
	slices.SortFunc(out, func(a, b model.Property) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// build writes the statements that add the fields of v to the builder b.
func build(p *printer, props []model.Property) {
	for _, q := range props {
		if v := verb(q); v == "Number" || v == "Numbers" {
			p.f("class.%s(b, %q, v.%s)", v, q.Name, fieldName(q.Name))
		} else {
			p.f("b.%s(%q, v.%s)", v, q.Name, fieldName(q.Name))
		}
	}
}

// decode writes the statements that read the children of e into the fields of v and return. other handles an element
// c of another name; without it such elements are skipped.
func decode(p *printer, owner string, props []model.Property, other string) {
	p.f("for i := range e.Children {")
	p.f("var err error")
	p.f("switch c := &e.Children[i]; c.Local {")
	for _, q := range props {
		p.f("case %q:\nerr = class.Read%s(&v.%s, c)", q.Name, verb(q), fieldName(q.Name))
	}
	if other != "" {
		p.f("default:\n%s", other)
	}
	p.f("}\nif err != nil {\nreturn class.BadProperty(%q, e.Children[i].Local, err)\n}", owner)
	p.f("}\nreturn nil")
}
