package fence

import (
	"fmt"
	"strings"
)

// metadata describes the agent in XML, as lib/metadata.rng of fence-agents wants it. A parameter
// with an older spelling is there twice, and each says so.
func metadata(a *Agent, params []param) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" ?>\n")
	fmt.Fprintf(&b, "<resource-agent name=\"%s\" shortdesc=\"%s\" >\n", escape(a.Name), escape(a.ShortDesc))
	fmt.Fprintf(&b, "<longdesc>%s</longdesc>\n<vendor-url>%s</vendor-url>\n<parameters>\n", escape(a.LongDesc), escape(a.VendorURL))
	for i := range params {
		p := &params[i]
		if p.old == "" {
			writeParam(&b, p, p.name, "")
			continue
		}
		writeParam(&b, p, p.name, fmt.Sprintf(" obsoletes=\"%s\"", p.old))
		writeParam(&b, p, p.old, " deprecated=\"1\"")
	}
	b.WriteString("</parameters>\n<actions>\n")
	for _, act := range a.actions() {
		automatic := ""
		if act == "on" {
			automatic = " automatic=\"0\""
		}
		fmt.Fprintf(&b, "\t<action name=\"%s\"%s />\n", act, automatic)
	}
	b.WriteString("</actions>\n</resource-agent>\n")
	return b.String()
}

func writeParam(b *strings.Builder, p *param, name, info string) {
	required := 0
	if p.required {
		required = 1
	}
	fmt.Fprintf(b, "\t<parameter name=\"%s\" unique=\"0\" required=\"%d\"%s>\n", name, required, info)
	fmt.Fprintf(b, "\t\t<getopt mixed=\"%s\" />\n", escape(p.getopt()))
	def := ""
	if p.def != "" {
		def = fmt.Sprintf(" default=\"%s\"", escape(p.def))
	}
	fmt.Fprintf(b, "\t\t<content type=\"%s\"%s", p.kind, def)
	if p.kind == choice {
		b.WriteString(" >\n")
		for _, c := range p.choices {
			fmt.Fprintf(b, "\t\t\t<option value=\"%s\" />\n", escape(c))
		}
		b.WriteString("\t\t</content>\n")
	} else {
		b.WriteString(" />\n")
	}
	fmt.Fprintf(b, "\t\t<shortdesc lang=\"en\">%s</shortdesc>\n\t</parameter>\n", escape(p.desc))
}

// escape makes s safe in XML text and attributes, on one line.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(s)
}
