package firmware

import (
	"slices"

	"github.com/outband/outband/wire/wsman"
)

// Dialects of wsman:Filter that AMT knows. Source: spec wsman.md section 7.5; DSP0226 8.3 (the selector filter has two
// spellings in use).
var (
	associationDialects = []string{
		"http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter",
		"http://schemas.dmtf.org/wbem/wsman/1/cimbinding/AssociationFilter",
	}
	selectorDialects = []string{
		"http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter",
		"http://schemas.dmtf.org/wbem/wsman/1/wsman/selectorFilter",
	}
)

// filter returns which instances an Enumerate request wants: those with the selectors of its header and of its filter.
func (s *session) filter(c *catalogue, req *wsman.Request) (func(*instance) bool, error) {
	sel := req.Selectors
	if f := req.Body.Child("Filter"); f != nil {
		dialect, _ := f.Attr("Dialect")
		switch {
		case slices.Contains(selectorDialects, dialect):
			more, err := wsman.ParseSelectors(f.Child("SelectorSet"))
			if err != nil {
				return nil, wsman.ErrCannotProcessFilter.With(err.Error())
			}
			sel = append(sel.Clone(), more...)
		case slices.Contains(associationDialects, dialect):
			return s.associationFilter(c, f)
		default: // WQL and XPath among them
			return nil, wsman.ErrFilterDialect
		}
	}
	return func(i *instance) bool { return i.matches(sel) }, nil
}

// An association is what an association filter asks for. Empty fields ask for nothing. Source: DSP0227 17.
type association struct {
	object      view
	class       string // of the association
	role        string // property of the association that points to the object
	resultClass string
	resultRole  string // property of the association that points to the result
}

func (s *session) associationFilter(c *catalogue, f *wsman.Element) (func(*instance) bool, error) {
	q, instances := f.Child("AssociationInstances"), false
	if q == nil {
		if q, instances = f.Child("AssociatedInstances"), true; q == nil {
			return nil, wsman.ErrCannotProcessFilter
		}
	}
	object := q.Child("Object")
	if object == nil {
		return nil, wsman.ErrCannotProcessFilter.With("Object is missing")
	}
	ref, err := wsman.ParseEPR(object)
	if err != nil {
		return nil, wsman.ErrCannotProcessFilter.With("Object is not a reference")
	}
	a := association{
		class:       q.ChildText("AssociationClassName"),
		role:        q.ChildText("Role"),
		resultClass: q.ChildText("ResultClassName"),
		resultRole:  q.ChildText("ResultRole"),
	}
	if a.object, err = s.m.resolve(&ref); err != nil {
		return nil, wsman.ErrCannotProcessFilter.With("Object does not exist")
	}
	if !instances {
		return func(i *instance) bool {
			return i.class.Association && (a.resultClass == "" || i.class.has(a.resultClass)) && a.end(i) != ""
		}, nil
	}
	var others []wsman.EPR
	for _, ci := range c.associations() {
		if a.class != "" && !ci.has(a.class) {
			continue
		}
		for _, v := range s.m.views(ci) {
			if from := a.end(v.instance); from != "" {
				others = append(others, a.others(v.instance, from)...)
			}
		}
	}
	return func(i *instance) bool {
		if i.class.Association || a.resultClass != "" && !i.class.has(a.resultClass) {
			return false
		}
		return slices.ContainsFunc(others, func(ref wsman.EPR) bool { return i.isAt(&ref) })
	}, nil
}

// end returns the property by which an association points to the object, or "".
func (a *association) end(i *instance) string {
	for _, key := range i.keys {
		if key.EPR != nil && (a.role == "" || a.role == key.Name) && a.object.isAt(key.EPR) {
			return key.Name
		}
	}
	return ""
}

// others returns what an association points to with its other ends.
func (a *association) others(i *instance, from string) (out []wsman.EPR) {
	for _, key := range i.keys {
		if key.EPR != nil && key.Name != from && (a.resultRole == "" || a.resultRole == key.Name) {
			out = append(out, *key.EPR)
		}
	}
	return out
}

// isAt reports whether a reference points to the instance.
func (i *instance) isAt(ref *wsman.EPR) bool {
	self := i.epr()
	return i.class.catalogue.sameRef(&self, ref)
}

// associations returns the association classes.
func (c *catalogue) associations() (out []*classInfo) {
	for _, ci := range c.sorted() {
		if ci.Association {
			out = append(out, ci)
		}
	}
	return out
}

// sorted returns the classes by name.
func (c *catalogue) sorted() []*classInfo {
	out := make([]*classInfo, 0, len(c.classes))
	for i := range c.model.Classes {
		if ci := c.classes[c.model.Classes[i].Name]; ci != nil {
			out = append(out, ci)
		}
	}
	return out
}

// allClasses serves the resource URI that stands for every class: associations of an object.
func (s *session) allClasses(req *wsman.Request) (*wsman.Element, error) {
	switch req.Action {
	case wsman.ActionEnumerate:
		if req.Body.Child("Filter") == nil {
			return nil, wsman.ErrCannotProcessFilter
		}
		return s.enumerate(s.m.catalogue.sorted(), s.m.catalogue, req)
	case wsman.ActionPull:
		return s.pull(req)
	case wsman.ActionRelease:
		return s.release(req)
	}
	return nil, wsman.ErrActionNotSupported
}
