package class

import "github.com/outband/outband/wire/wsman"

// Generic is an instance of a class that has no Go type: the element as it came.
type Generic struct{ XML wsman.Element }

// ClassName returns the class that the element's namespace names.
func (g *Generic) ClassName() string {
	if g == nil {
		return "" // of the type, not of an instance
	}
	return Of(&g.XML)
}

// Selectors returns nil: which properties are keys is not known.
func (g *Generic) Selectors() wsman.Selectors { return nil }

// Element returns the element.
func (g *Generic) Element() wsman.Element { return g.XML }

// Decode takes the element over.
func (g *Generic) Decode(e *wsman.Element) error {
	g.XML = *e
	return nil
}
