package firmware

import (
	"slices"
	"strings"
	"sync"

	"github.com/outband/outband/wire/wsman"
)

// An instance is one CIM instance. It is immutable once others can see it.
type instance struct {
	class   *classInfo
	element wsman.Element   // in wire order, as it is read
	keys    wsman.Selectors // all key properties that it has
	hidden  []wsman.Element // values of write-only properties
}

// epr returns the reference to the instance.
func (i *instance) epr() wsman.EPR { return wsman.EPR{ResourceURI: i.class.uri, Selectors: i.keys} }

// A store holds the instances in which a machine differs from a freshly provisioned one. A class that was never
// written to costs nothing. The slices that it gives out are shared and must not be changed.
type store struct {
	mu      sync.RWMutex
	changed map[string][]*instance // by class: all its instances
	handles map[string]uint32      // by class: last number given to a created instance
}

// of returns the instances of a class.
func (s *store) of(ci *classInfo) []*instance {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if list, ok := s.changed[ci.Name]; ok {
		return list
	}
	return ci.factory
}

// untouched reports whether a class is as on a freshly provisioned machine.
func (s *store) untouched(class string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.changed[class]
	return !ok
}

// clear forgets all changes.
func (s *store) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed, s.handles = nil, nil
}

// update replaces one instance by what change makes of it, nil for nothing, and reports whether it was still there.
// A nil old adds.
func (s *store) update(ci *classInfo, old, now *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.changed[ci.Name]
	if !ok {
		list = ci.factory
	}
	list = slices.Clone(list)
	if at := slices.Index(list, old); old != nil {
		if at < 0 {
			return false
		}
		if now != nil {
			list[at] = now
		} else {
			list = slices.Delete(list, at, at+1)
		}
	} else if now != nil {
		list = append(list, now)
	}
	if s.changed == nil {
		s.changed = make(map[string][]*instance)
	}
	s.changed[ci.Name] = list
	return true
}

// handle returns the next number for a created instance of a class.
func (s *store) handle(class string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handles == nil {
		s.handles = make(map[string]uint32)
	}
	s.handles[class]++
	return s.handles[class]
}

// A view is an instance as it is read now, and the stored one that it was made of; nil if it is computed.
type view struct {
	*instance
	stored *instance
}

// views returns the instances of exactly one class as they are now.
func (m *Machine) views(ci *classInfo) []view {
	b := ci.behaviour
	if b.instances != nil {
		elements := b.instances(m)
		out := make([]view, len(elements))
		for i, e := range elements {
			ci.Order(e.Children)
			out[i] = view{ci.instance(e), nil}
		}
		return out
	}
	list := m.store.of(ci)
	if b.has != nil {
		list = slices.DeleteFunc(slices.Clone(list), func(i *instance) bool { return !b.has(m, &i.element) })
	}
	out := make([]view, len(list))
	for i, stored := range list {
		out[i] = view{stored, stored}
		if b.patch != nil {
			e := stored.element
			e.Children = slices.Clone(e.Children)
			b.patch(m, &e)
			ci.Order(e.Children)
			out[i].instance = &instance{class: ci, element: e, keys: ci.keysOf(&e), hidden: stored.hidden}
		}
	}
	return out
}

// familyViews returns the instances of a class and of all classes below it.
func (m *Machine) familyViews(ci *classInfo) []view {
	var out []view
	for _, f := range ci.family {
		out = append(out, m.views(f)...)
	}
	return out
}

// find returns the one instance that the selectors name. A part of the keys is enough, and none where there is one
// instance only. Instances of the class itself go before those of classes below it.
func (m *Machine) find(ci *classInfo, sel wsman.Selectors) (view, error) {
	for i := range sel {
		name := sel[i].Name
		if !slices.Contains(ci.Keys, name) && ci.properties[name] == nil && !strings.EqualFold(name, "__cimnamespace") {
			return view{}, wsman.ErrInvalidSelectors.With(detailUnexpected)
		}
	}
	list := m.views(ci)
	if len(list) == 0 && len(ci.family) > 1 {
		list = m.familyViews(ci)
	}
	var found []view
	for _, v := range list {
		if v.matches(sel) {
			found = append(found, v)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return view{}, wsman.ErrInvalidSelectors.With(detailInsufficient)
	case len(sel) == 0:
		return view{}, wsman.ErrInvalidSelectors.With(detailInsufficient)
	}
	return view{}, wsman.ErrInvalidSelectors.With(detailUnexpected)
}

// Fault details. Source: DSP0226 14.6, wsman:InvalidSelectors.
const (
	faultDetail        = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
	detailInsufficient = faultDetail + "InsufficientSelectors"
	detailUnexpected   = faultDetail + "UnexpectedSelectors"
)

// matches reports whether the instance has all keys that the selectors give. What is no key is not looked at.
func (i *instance) matches(sel wsman.Selectors) bool {
	for k := range sel {
		key := i.keys.Get(sel[k].Name)
		if key == nil {
			if slices.Contains(i.class.Keys, sel[k].Name) {
				return false
			}
			continue
		}
		if !i.class.catalogue.sameKey(key, &sel[k]) {
			return false
		}
	}
	return true
}

// sameKey compares a key with what a client gave for it.
func (c *catalogue) sameKey(key, given *wsman.Selector) bool {
	if (key.EPR == nil) != (given.EPR == nil) {
		return false
	}
	if key.EPR != nil {
		return c.sameRef(key.EPR, given.EPR)
	}
	a, b := strings.TrimSpace(key.Value), strings.TrimSpace(given.Value)
	// Old clients leave a blank out of the name of the TLS collection. Source: spec classes.md section 5.
	return a == b || a == tlsCollection && strings.ReplaceAll(a, " ", "") == strings.ReplaceAll(b, " ", "")
}

const tlsCollection = "TLSProtocolEndpoint Instances Collection"

// sameRef compares a reference with what a client gave for it: the class or one above or below it, and a part of the
// keys. Addresses and what is no key do not count. Source: spec wsman.md section 6.
func (c *catalogue) sameRef(ref, given *wsman.EPR) bool {
	a, b := ref.Class(), given.Class()
	if !c.model.DerivesFrom(a, b) && !c.model.DerivesFrom(b, a) {
		return false
	}
	known := 0
	for i := range given.Selectors {
		if key := ref.Selectors.Get(given.Selectors[i].Name); key != nil {
			if !c.sameKey(key, &given.Selectors[i]) {
				return false
			}
			known++
		}
	}
	return known > 0 || len(ref.Selectors) == 0
}

// resolve returns the instance that a reference points to.
func (m *Machine) resolve(ref *wsman.EPR) (view, error) {
	ci := m.catalogue.classes[ref.Class()]
	if ci == nil {
		return view{}, wsman.ErrDestinationUnreachable
	}
	return m.find(ci, ref.Selectors)
}
