package firmware

import (
	"slices"
	"sync"

	"github.com/outband/outband/class/model"
	"github.com/outband/outband/wire/wsman"
)

// A catalogue is the classes of one release, with the instances of a freshly provisioned machine. It is immutable and
// shared by all machines of the release.
type catalogue struct {
	model   *model.Model
	classes map[string]*classInfo // by name; only those that the release has
}

// A classInfo is what the firmware knows of one class.
type classInfo struct {
	*model.Class
	uri        string
	catalogue  *catalogue
	properties map[string]*model.Property // inherited ones included
	methods    map[string]*model.Method   // inherited ones included
	required   []string                   // properties without which Put is refused
	family     []*classInfo               // whose instances an enumeration yields, in this order
	lines      []*classInfo               // itself, its parent and so on
	factory    []*instance
	behaviour  *behaviour // never nil
	read       RealmSet
	write      RealmSet
}

var catalogues struct {
	sync.Mutex
	byRelease map[model.Release]*catalogue
}

// catalogueOf returns the catalogue of a release and makes it if it is the first time.
func catalogueOf(p *Profile, t *table) (*catalogue, error) {
	catalogues.Lock()
	defer catalogues.Unlock()
	if c := catalogues.byRelease[p.Release]; c != nil {
		return c, nil
	}
	m, err := model.Load()
	if err != nil {
		return nil, err
	}
	c := newCatalogue(m, p, t)
	if catalogues.byRelease == nil {
		catalogues.byRelease = make(map[model.Release]*catalogue)
	}
	if len(catalogues.byRelease) < 64 { // a fuzzer may ask for any number of releases
		catalogues.byRelease[p.Release] = c
	}
	return c, nil
}

func newCatalogue(m *model.Model, p *Profile, t *table) *catalogue {
	c := &catalogue{model: m, classes: make(map[string]*classInfo)}
	none := &behaviour{}
	for i := range m.Classes {
		class := &m.Classes[i]
		if class.Indication || len(class.Operations) == 0 || !class.In(p.Release) && !slices.Contains(lasting, class.Name) {
			continue
		}
		ci := &classInfo{
			Class:      class,
			uri:        class.URI(),
			catalogue:  c,
			properties: make(map[string]*model.Property),
			methods:    make(map[string]*model.Method),
			behaviour:  none,
		}
		for _, a := range m.Ancestors(class) {
			for j := range a.Properties {
				if q := &a.Properties[j]; ci.properties[q.Name] == nil {
					ci.properties[q.Name] = q
					if q.PutRequired {
						ci.required = append(ci.required, q.Name)
					}
				}
			}
			for j := range a.Methods {
				if q := &a.Methods[j]; ci.methods[q.Name] == nil && methodIn(q, p) {
					ci.methods[q.Name] = q
				}
			}
		}
		if b := t.classes[class.Name]; b != nil {
			ci.behaviour = b
		}
		ci.read, ci.write = realmsOf(class.Name)
		c.classes[class.Name] = ci
	}
	for _, ci := range c.classes {
		for _, a := range m.Ancestors(ci.Class) {
			if up := c.classes[a.Name]; up != nil {
				ci.lines = append(ci.lines, up)
			}
		}
		ci.family = c.familyOf(ci)
		ci.factory = factoryInstances(ci, p)
	}
	return c
}

// lasting are classes that the catalogue ends early, as their use has ended, and that later releases were recorded to
// answer.
var lasting = []string{"AMT_8021XProfile"}

// familyOf returns the classes whose instances an enumeration of ci yields: its own first, then those of classes below
// it by name. Storage media stand between board and chassis because one old console counts on the position. Source: spec
// wsman.md section 7.5, wsman-notes.md number 4.
func (c *catalogue) familyOf(ci *classInfo) []*classInfo {
	names := append([]string{ci.Name}, c.model.Subclasses(ci.Name)...)
	if ci.Name == "CIM_PhysicalPackage" {
		names = slices.DeleteFunc(names, func(name string) bool { return name == "CIM_Card" })
		names = append([]string{"CIM_Card"}, names...)
	}
	var out []*classInfo
	for _, name := range names {
		if f := c.classes[name]; f != nil {
			out = append(out, f)
		}
	}
	return out
}

// fixtures are classes whose example comes from test data, and without which a known console fails.
var fixtures = []string{"IPS_PowerManagementService"}

func factoryInstances(ci *classInfo, p *Profile) []*instance {
	var out []*instance
	for i := range ci.Instances {
		source := &ci.Instances[i]
		if !source.Fresh() && !slices.Contains(fixtures, ci.Name) {
			continue
		}
		e := source.Element(ci.Class)
		for _, a := range absent {
			if a.class == ci.Name && p.Before(a.major, a.minor) {
				set(&e, a.property)
			}
		}
		for _, l := range later {
			if l.class == ci.Name && !p.Before(l.major, l.minor) {
				set(&e, l.property, l.value)
			}
		}
		ci.Order(e.Children)
		out = append(out, ci.instance(e))
	}
	return out
}

// instance makes an instance of an element in wire order.
func (ci *classInfo) instance(e wsman.Element) *instance {
	return &instance{class: ci, element: e, keys: ci.keysOf(&e)}
}

// keysOf reads the keys out of an instance.
func (ci *classInfo) keysOf(e *wsman.Element) wsman.Selectors {
	keys := make(wsman.Selectors, 0, len(ci.Keys))
	for _, name := range ci.Keys {
		child := e.Child(name)
		if child == nil {
			continue
		}
		key := wsman.Selector{Name: name}
		if p := ci.properties[name]; p != nil && p.Type == model.Ref {
			epr, err := wsman.ParseEPR(child)
			if err != nil {
				continue
			}
			key.EPR = &epr
		} else {
			key.Value = child.TrimText()
		}
		keys = append(keys, key)
	}
	return keys
}

// has reports whether the class is that or derives from it.
func (ci *classInfo) has(ancestor string) bool {
	return slices.ContainsFunc(ci.lines, func(a *classInfo) bool { return a.Name == ancestor })
}

// methodIn reports whether a method exists in the release.
func methodIn(q *model.Method, p *Profile) bool {
	until, ok := model.ParseRelease(q.Until)
	return !ok || p.Release.Compare(until) <= 0
}
