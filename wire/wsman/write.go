package wsman

import (
	"slices"
	"strconv"
	"strings"
)

// A writer appends XML to a buffer. Namespaces are declared on the root with the prefixes a, b, c ... in the order
// in which they were given or met, except for xsi: AMT writes its answers so, and some old clients look for the literal tag
// a:Header.
type writer struct {
	out      []byte
	bindings []binding
	xsi      bool // declare xsi as well, last and without taking a letter
}

// Append appends the document with that root to out. spaces are the namespaces to declare first, in that order;
// the others follow as they are met. No declaration is written; see [Declaration].
func Append(out []byte, root *Element, spaces ...string) []byte {
	return appendDocument(out, root, 0, spaces)
}

// appendDocument is Append with the first so many declarations written in reverse order.
func appendDocument(out []byte, root *Element, reversed int, spaces []string) []byte {
	w := writer{out: out, bindings: make([]binding, 0, 12)}
	for _, space := range spaces {
		w.bind(space)
	}
	slices.Reverse(w.bindings[:reversed])
	w.collect(root)
	if w.xsi {
		w.bindings = append(w.bindings, binding{"xsi", NSXSI})
	}
	w.element(root, true)
	return w.out
}

// Declaration opens every document that AMT sends or gets.
const Declaration = `<?xml version="1.0" encoding="UTF-8"?>`

func (w *writer) bind(space string) {
	if space == "" || space == nsXML {
		return
	}
	if space == NSXSI {
		w.xsi = true
		return
	}
	for i := range w.bindings {
		if w.bindings[i].space == space {
			return
		}
	}
	w.bindings = append(w.bindings, binding{prefixName(len(w.bindings)), space})
}

// prefixName gives a to z, then n26 and so on.
func prefixName(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if n < len(letters) {
		return letters[n : n+1]
	}
	return "n" + strconv.Itoa(n)
}

func (w *writer) collect(e *Element) {
	w.bind(e.Space)
	for i := range e.Attrs {
		w.bind(e.Attrs[i].Space)
	}
	for i := range e.Children {
		w.collect(&e.Children[i])
	}
}

func (w *writer) name(n Name) {
	if n.Space == nsXML {
		w.out = append(w.out, "xml:"...)
	} else if n.Space != "" {
		for i := range w.bindings {
			if w.bindings[i].space == n.Space {
				w.out = append(append(w.out, w.bindings[i].prefix...), ':')
				break
			}
		}
	}
	w.out = append(w.out, n.Local...)
}

func (w *writer) element(e *Element, root bool) {
	w.out = append(w.out, '<')
	w.name(e.Name)
	if root {
		for _, b := range w.bindings {
			w.out = append(append(append(w.out, " xmlns:"...), b.prefix...), `="`...)
			w.out = append(AppendEscaped(w.out, b.space), '"')
		}
	}
	for i := range e.Attrs {
		w.out = append(w.out, ' ')
		w.name(e.Attrs[i].Name)
		w.out = append(w.out, `="`...)
		w.out = append(AppendEscaped(w.out, e.Attrs[i].Value), '"')
	}
	w.out = append(w.out, '>')
	w.out = AppendEscaped(w.out, e.Text)
	for i := range e.Children {
		w.element(&e.Children[i], false)
	}
	w.out = append(w.out, "</"...)
	w.name(e.Name)
	w.out = append(w.out, '>')
}

// AppendEscaped appends text so that it may stand between tags or in a quoted attribute. Characters that XML 1.0 has
// no place for become U+FFFD.
func AppendEscaped(out []byte, text string) []byte {
	start := 0
	for i := 0; i < len(text); i++ {
		var esc string
		switch c := text[i]; {
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '&':
			esc = "&amp;"
		case c == '"':
			esc = "&quot;"
		case c == '\r':
			esc = "&#13;"
		case c == '\n':
			esc = "&#10;"
		case c == '\t':
			esc = "&#9;"
		case c < ' ':
			esc = "\ufffd"
		case c >= 0x80:
			return appendRunes(append(out, text[start:i]...), text[i:])
		default:
			continue
		}
		out = append(append(out, text[start:i]...), esc...)
		start = i + 1
	}
	return append(out, text[start:]...)
}

// appendRunes is AppendEscaped for text that is not all ASCII.
func appendRunes(out []byte, text string) []byte {
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case !validRune(r):
			out = append(out, "\ufffd"...)
		case r < 0x80:
			out = AppendEscaped(out, string(r))
		default:
			out = append(out, string(r)...)
		}
	}
	return out
}
