package wsman

import (
	"fmt"
	"slices"
	"strings"
)

// A Selector is one key of an instance. Its value is text, or, on associations, a reference.
type Selector struct {
	Name  string
	Value string
	EPR   *EPR `json:",omitempty"` // set instead of Value
}

// Selectors name an instance. None at all is enough where a class has one instance only.
type Selectors []Selector

// Limits on a SelectorSet.
const (
	MaxSelectors    = 32
	maxReferenceGap = 4 // references inside references
)

// Get returns the selector of that name, or nil.
func (s Selectors) Get(name string) *Selector {
	for i := range s {
		if s[i].Name == name {
			return &s[i]
		}
	}
	return nil
}

// Value returns the text of the selector of that name, or "".
func (s Selectors) Value(name string) string {
	if sel := s.Get(name); sel != nil {
		return sel.Value
	}
	return ""
}

// String gives the form that wsmancli takes: Name=ManagedSystem,InstanceID="a b".
func (s Selectors) String() string {
	parts := make([]string, len(s))
	for i, sel := range s {
		if sel.EPR != nil {
			parts[i] = sel.Name + "=(" + sel.EPR.String() + ")"
		} else {
			parts[i] = fmt.Sprintf("%s=%q", sel.Name, sel.Value)
		}
	}
	return strings.Join(parts, ",")
}

// Element returns the wsman:SelectorSet element.
func (s Selectors) Element() Element {
	set := Element{Name: Name{NSWSMan, "SelectorSet"}, Children: make([]Element, len(s))}
	for i, sel := range s {
		e := Element{Name: Name{NSWSMan, "Selector"}, Attrs: []Attr{{Name{Local: "Name"}, sel.Name}}}
		if sel.EPR != nil {
			e.Children = []Element{sel.EPR.Element(NSAddressing, "EndpointReference")}
		} else {
			e.Text = sel.Value
		}
		set.Children[i] = e
	}
	return set
}

// ParseSelectors reads a wsman:SelectorSet. The attribute Name may carry a namespace, as some clients send it.
func ParseSelectors(set *Element) (Selectors, error) { return parseSelectors(set, 0) }

func parseSelectors(set *Element, depth int) (Selectors, error) {
	if set == nil {
		return nil, nil
	}
	if depth > maxReferenceGap {
		return nil, fmt.Errorf("wsman: references nested more than %d deep", maxReferenceGap)
	}
	if len(set.Children) > MaxSelectors {
		return nil, fmt.Errorf("wsman: %d selectors, at most %d are accepted", len(set.Children), MaxSelectors)
	}
	var out Selectors
	for e := range set.All("Selector") {
		name, ok := e.Attr("Name")
		if !ok || name == "" {
			return nil, fmt.Errorf("wsman: selector without a name")
		}
		sel := Selector{Name: name}
		if ref := e.Child("EndpointReference"); ref != nil {
			epr, err := parseEPR(ref, depth+1)
			if err != nil {
				return nil, err
			}
			sel.EPR = &epr
		} else {
			sel.Value = e.Text
		}
		out = append(out, sel)
	}
	return out, nil
}

// An EPR is an endpoint reference: the WS-Addressing form of a pointer to an instance.
type EPR struct {
	Address     string // AMT does not check it; "" is written as [Anonymous]
	ResourceURI string
	Selectors   Selectors
}

// Ref returns a reference to the instance of a class that the selectors name. They are name and value in turn.
func Ref(class string, nameValue ...string) EPR {
	epr := EPR{ResourceURI: ClassURI(class)}
	for i := 0; i+1 < len(nameValue); i += 2 {
		epr.Selectors = append(epr.Selectors, Selector{Name: nameValue[i], Value: nameValue[i+1]})
	}
	return epr
}

// Class returns the class that is referred to.
func (r EPR) Class() string { return ClassName(r.ResourceURI) }

func (r EPR) String() string {
	if len(r.Selectors) == 0 {
		return r.Class()
	}
	return r.Class() + "?" + r.Selectors.String()
}

// Same reports whether both name the same class by the same selectors, in any order. Addresses do not count.
func (r EPR) Same(other EPR) bool {
	if r.ResourceURI != other.ResourceURI || len(r.Selectors) != len(other.Selectors) {
		return false
	}
	for _, a := range r.Selectors {
		b := other.Selectors.Get(a.Name)
		if b == nil || (a.EPR == nil) != (b.EPR == nil) || a.EPR == nil && a.Value != b.Value || a.EPR != nil && !a.EPR.Same(*b.EPR) {
			return false
		}
	}
	return true
}

// Element returns the reference as an element of that name, which holds Address and ReferenceParameters.
func (r EPR) Element(space, local string) Element {
	return Element{Name: Name{space, local}, Children: r.parts()}
}

func (r EPR) parts() []Element {
	address := r.Address
	if address == "" {
		address = Anonymous
	}
	params := Group(NSAddressing, "ReferenceParameters", El(NSWSMan, "ResourceURI", r.ResourceURI))
	if len(r.Selectors) > 0 {
		params.Children = append(params.Children, r.Selectors.Element())
	}
	return []Element{El(NSAddressing, "Address", address), params}
}

// ParseEPR reads a reference out of an element that holds Address and ReferenceParameters.
func ParseEPR(e *Element) (EPR, error) { return parseEPR(e, 0) }

func parseEPR(e *Element, depth int) (EPR, error) {
	if inner := e.Child("EndpointReference"); inner != nil {
		e = inner
	}
	params := e.Child("ReferenceParameters")
	if params == nil {
		params = e.Child("ReferenceProperties")
	}
	if params == nil {
		return EPR{}, fmt.Errorf("wsman: endpoint reference without ReferenceParameters")
	}
	sel, err := parseSelectors(params.Child("SelectorSet"), depth)
	if err != nil {
		return EPR{}, err
	}
	return EPR{Address: e.ChildText("Address"), ResourceURI: params.ChildText("ResourceURI"), Selectors: sel}, nil
}

// Equal reports whether two selector sets hold the same selectors, in any order.
func (s Selectors) Equal(other Selectors) bool {
	return EPR{Selectors: s}.Same(EPR{Selectors: other})
}

// Clone returns a copy that shares nothing that a caller could change.
func (s Selectors) Clone() Selectors {
	out := slices.Clone(s)
	for i := range out {
		if out[i].EPR != nil {
			epr := *out[i].EPR
			epr.Selectors = epr.Selectors.Clone()
			out[i].EPR = &epr
		}
	}
	return out
}
