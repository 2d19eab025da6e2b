package wsman

import (
	"iter"
	"strings"
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
	s := NewScanner(string(doc))
	tags := strings.Count(s.src, "<")
	// Finished children wait on the stack until their parent ends, and then move to the arena, side by side.
	stack := make([]Element, 0, 32)
	arena := make([]Element, 0, min(tags/2+1, MaxElements))
	attrs := make([]Attr, 0, 16)
	texts := make([]string, 0, 16) // of open elements; those of the innermost last
	type frame struct {
		at   int // where in stack the element stands; its finished children follow it
		text int // where in texts its own begin
	}
	frames := make([]frame, 0, 16)
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
