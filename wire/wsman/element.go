package wsman

import (
	"iter"
	"strings"
	"sync"
)

// A Name is an XML name with its namespace resolved.
type Name struct {
	Space string // namespace URI, "" for none
	Local string
}

// An Attr is one attribute. Namespace declarations are not attributes here.
type Attr struct {
	Name
	Value string
}

// An Element is a node of an XML document: the generic form of a CIM instance, of a method's parameters, or of
// anything else this package has no type for. Elements are plain values; build them as literals.
type Element struct {
	Name
	Attrs    []Attr    `json:",omitempty"`
	Text     string    `json:",omitempty"` // character data directly inside, "" if there is only white space between children
	Children []Element `json:",omitempty"`
}

// El returns an element that holds text.
func El(space, local, text string) Element { return Element{Name: Name{space, local}, Text: text} }

// Group returns an element that holds children.
func Group(space, local string, children ...Element) Element {
	return Element{Name: Name{space, local}, Children: children}
}

// Parse reads a whole document and returns its root. Text in it shares one copy of doc. Errors wrap [ErrXML].
func Parse(doc []byte) (Element, error) {
	p := parsers.Get().(*parser)
	root, err := p.parse(string(doc))
	p.reset()
	return root, err
}

// A parser is what is needed while a document is read, and kept for the next one.
type parser struct {
	scanner Scanner
	stack   []Element // open elements, and finished children that wait for the end of their parent
	texts   []string  // of open elements; those of the innermost last
	frames  []frame   // one for each open element
}

type frame struct {
	at   int // where in stack the element stands; its finished children follow it
	text int // where in texts its own begin
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// keptElements is how large the stack of a parser may be that is kept.
const keptElements = 256

// reset forgets the document, so that a parser at rest keeps none in memory.
func (p *parser) reset() {
	if cap(p.stack) > keptElements {
		return
	}
	clear(p.stack[:cap(p.stack)])
	clear(p.texts[:cap(p.texts)])
	p.scanner.reset("")
	parsers.Put(p)
}

func (p *parser) parse(doc string) (Element, error) {
	s := &p.scanner
	s.reset(doc)
	stack, texts, frames := p.stack[:0], p.texts[:0], p.frames[:0]
	defer func() { p.stack, p.texts, p.frames = stack, texts, frames }()
	// Finished children move from the stack to the arena when their parent ends, side by side.
	arena := make([]Element, 0, min(strings.Count(doc, "<")/2+1, MaxElements))
	var attrs []Attr
	for {
		kind, err := s.Next()
		if err != nil {
			return Element{}, err
		}
		switch kind {
		case StartTag:
			e := Element{Name: s.Name}
			if n := len(s.Attrs); n > 0 {
				attrs = append(attrs, s.Attrs...)
				e.Attrs = attrs[len(attrs)-n : len(attrs) : len(attrs)]
			}
			frames = append(frames, frame{len(stack), len(texts)})
			stack = append(stack, e)
		case Text:
			texts = append(texts, s.Text)
		case EndTag:
			f := frames[len(frames)-1]
			frames = frames[:len(frames)-1]
			e := &stack[f.at]
			if done := stack[f.at+1:]; len(done) > 0 {
				from := len(arena)
				arena = append(arena, done...)
				e.Children = arena[from:len(arena):len(arena)]
				stack = stack[:f.at+1]
			}
			if own := texts[f.text:]; len(e.Children) == 0 || !allSpace(own) {
				e.Text = join(own)
			}
			texts = texts[:f.text]
		case EOF:
			return stack[0], nil
		}
	}
}

func allSpace(texts []string) bool {
	for _, text := range texts {
		if !isSpace(text) {
			return false
		}
	}
	return true
}

func join(texts []string) string {
	if len(texts) == 1 {
		return texts[0]
	}
	return strings.Join(texts, "")
}

// Child returns the first child with that local name, in any namespace, or nil. It accepts a nil receiver, so
// that look-ups can be chained.
func (e *Element) Child(local string) *Element {
	if e == nil {
		return nil
	}
	for i := range e.Children {
		if e.Children[i].Local == local {
			return &e.Children[i]
		}
	}
	return nil
}

// Find follows a path of local names downwards and returns nil where it breaks off.
func (e *Element) Find(path ...string) *Element {
	for _, local := range path {
		e = e.Child(local)
	}
	return e
}

// All yields the children with that local name.
func (e *Element) All(local string) iter.Seq[*Element] {
	return func(yield func(*Element) bool) {
		if e == nil {
			return
		}
		for i := range e.Children {
			if e.Children[i].Local == local && !yield(&e.Children[i]) {
				return
			}
		}
	}
}

// ChildText returns the text of the first child with that local name, trimmed, or "" if there is none.
func (e *Element) ChildText(local string) string { return e.Child(local).TrimText() }

// TrimText returns the text without white space around it; "" for nil.
func (e *Element) TrimText() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.Text)
}

// Attr returns the value of the attribute with that local name, in any namespace.
func (e *Element) Attr(local string) (value string, ok bool) {
	if e == nil {
		return "", false
	}
	for _, a := range e.Attrs {
		if a.Local == local {
			return a.Value, true
		}
	}
	return "", false
}

// IsNil reports whether the element carries xsi:nil="true", which stands for a null value.
func (e *Element) IsNil() bool {
	v, ok := e.Attr("nil")
	return ok && (v == "true" || v == "1")
}
