package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/class/model"
	"github.com/outband/outband/wire/status"
)

// method writes the variable that describes a method, and its parameters.
func (g *generator) method(p *printer, c *model.Class, m model.Method) {
	name := goName(c.Name) + m.Name
	p.f("")
	about := name + " is " + c.Name + "." + m.Name + ". " + sentence(m.Note)
	if m.Until != "" {
		about += " Gone: " + sentence(m.Until)
	}
	p.comment(about)
	p.f("//")
	p.comment(g.returnsComment(m))
	in, out := name+"In", name+"Out"
	p.f("var %s = class.Method[%s, %s]{", name, in, out)
	p.f("Class: %q,\nName: %q,", c.Name, m.Name)
	if text := g.returns(c, m); text != "" {
		p.f("Returns: %s,", text)
	}
	p.f("BuildIn: (*%s).Build,\nDecodeIn: (*%s).Decode,", in, in)
	p.f("BuildOut: (*%s).Build,\nDecodeOut: (*%s).Decode,\n}", out, out)
	params(p, in, "inputs", name, c.Name+"."+m.Name, m.In)
	params(p, out, "outputs", name, c.Name+"."+m.Name, m.Out)
}

func params(p *printer, typ, what, method, op string, list []model.Property) {
	if len(list) == 0 {
		p.f("\n// %s holds the %s of [%s]: none.\ntype %s = class.None", typ, what, method, typ)
		return
	}
	p.f("\n// %s holds the %s of [%s].\ntype %s struct {", typ, what, method, typ)
	for _, q := range list {
		field(p, q, true)
	}
	p.f("}")
	p.f("\n// Build adds the parameters that are set, in the order of the definition.")
	p.f("func (v *%s) Build(b *class.Builder) {", typ)
	build(p, list)
	p.f("}")
	p.f("\n// Decode replaces the value by the parameters that the element holds.")
	p.f("func (v *%s) Decode(e *wsman.Element) error {", typ)
	p.f("*v = %s{}", typ)
	decode(p, op, list, "")
	p.f("}")
}

func (g *generator) returnsComment(m model.Method) string {
	if m.Returns.Table == model.PTStatus {
		return "Returns a PT_STATUS."
	}
	var parts []string
	for _, code := range m.Returns.Codes {
		parts = append(parts, fmt.Sprintf("%d %s", code, status.Status(code)))
	}
	for _, v := range g.table(m) {
		parts = append(parts, fmt.Sprintf("%d %s", v.Number, v.Text))
	}
	text := "Returns " + strings.Join(parts, ", ") + "."
	if m.ReturnsCertainty == model.Likely {
		text += " The list is likely, not certain."
	}
	return text
}

// table returns the method's own return values, nil if they are PT_STATUS.
func (g *generator) table(m model.Method) []model.Value {
	if m.Returns.Own != nil {
		return m.Returns.Own
	}
	return g.model.Returns[m.Returns.Table]
}

type returnTable struct {
	pkg, name string
	values    []model.Value
}

// returns gives the name of the function that knows the method's return values, "" if they are PT_STATUS. Methods
// with the same values share one.
func (g *generator) returns(c *model.Class, m model.Method) string {
	values := g.table(m)
	if values == nil {
		return ""
	}
	pkg := packageOf(c.Name)
	key := pkg + fmt.Sprint(values)
	if name := g.texts[key]; name != "" {
		return name
	}
	name := goName(c.Name) + m.Name + "Text"
	if m.Returns.Table != "" {
		name = m.Returns.Table + "Text"
	}
	name = strings.ToLower(name[:1]) + name[1:]
	g.texts[key] = name
	g.tables = append(g.tables, returnTable{pkg, name, values})
	return name
}

// returnTexts writes the functions of a package that know return values.
func (g *generator) returnTexts(p *printer) {
	slices.SortFunc(g.tables, func(a, b returnTable) int { return strings.Compare(a.pkg+a.name, b.pkg+b.name) })
	for _, t := range g.tables {
		if t.pkg != p.pkg {
			continue
		}
		p.f("\nfunc %s(code status.Status) string {\nswitch code {", t.name)
		for _, v := range t.values {
			p.f("case %d:\nreturn %q", v.Number, v.Text)
		}
		p.f("}\nreturn \"\"\n}")
	}
}

// newFunc writes the function that makes an instance of a class given by name.
func (g *generator) newFunc(p *printer) {
	var lines []string
	for _, c := range g.classes {
		if packageOf(c.Name) == p.pkg {
			lines = append(lines, fmt.Sprintf("case %q:\nreturn new(%s)", c.Name, goName(c.Name)))
		}
	}
	if len(lines) == 0 {
		return
	}
	p.f("\n// New returns an empty instance of a class named with its schema, %q, or nil if it has no type here.", strings.ToUpper(p.pkg)+"_Class")
	p.f("func New(name string) class.Instance {\nswitch name {\n%s\n}\nreturn nil\n}", strings.Join(lines, "\n"))
}
