package class_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/model"
	"github.com/outband/outband/class/registry"
	"github.com/outband/outband/wire/wsman"
)

func catalogue(t testing.TB) *model.Model {
	t.Helper()
	m, err := model.Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// through writes an element as a document and reads it back.
func through(t testing.TB, e wsman.Element) wsman.Element {
	t.Helper()
	root := wsman.Group("urn:test", "root", e)
	got, err := wsman.Parse(wsman.Append(nil, &root))
	if err != nil {
		t.Fatal(err)
	}
	return got.Children[0]
}

// TestInstances sends every example instance of every generated class through XML and its Go type.
func TestInstances(t *testing.T) {
	m := catalogue(t)
	count := 0
	for _, name := range model.Generated() {
		c := m.Class(name)
		for i := range c.Instances {
			count++
			want := through(t, c.Instances[i].Element(c))
			v, ok := registry.Any(&want)
			if !ok {
				err := registry.New(name).Decode(&want)
				t.Errorf("%s %d: %v", name, i, err)
				continue
			}
			if v.ClassName() != name {
				t.Errorf("%s %d: decoded as %s", name, i, v.ClassName())
			}
			got := v.Element()
			c.Order(got.Children) // five classes have an order of their own
			if diff := cmp.Diff(plain(want), plain(through(t, got))); diff != "" {
				t.Errorf("%s %d (want -, got +):\n%s", name, i, diff)
			}
			if extra := extra(v); len(extra) > 0 {
				t.Errorf("%s %d: left over: %v", name, i, extra)
			}
			sel := v.Selectors()
			if wantSel := c.Instances[i].Selectors(c); !sel.Equal(wantSel) {
				t.Errorf("%s %d: selectors %v, want %v", name, i, sel, wantSel)
			}
			checkJSON(t, v)
		}
	}
	if count < 150 {
		t.Errorf("only %d instances", count)
	}
}

// checkJSON writes a value as JSON and reads it back.
func checkJSON(t *testing.T, v class.Instance) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	again := registry.New(v.ClassName())
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := cmp.Diff(plain(v.Element()), plain(again.Element())); diff != "" {
		t.Errorf("%s through JSON:\n%s", v.ClassName(), diff)
	}
}

func extra(v class.Instance) []wsman.Element {
	return reflect.ValueOf(v).Elem().FieldByName("Extra").Interface().([]wsman.Element)
}

// plain drops the difference between nil and empty lists, and between ways to write "anyone" as address.
func plain(e wsman.Element) wsman.Element {
	out := wsman.Element{Name: e.Name, Text: strings.TrimSpace(e.Text)}
	out.Attrs = append(out.Attrs, e.Attrs...)
	for _, c := range e.Children {
		out.Children = append(out.Children, plain(c))
	}
	return out
}

// TestEveryType decodes an empty element and checks the parts of Instance that need no values.
func TestEveryType(t *testing.T) {
	m := catalogue(t)
	for _, name := range model.Generated() {
		v := registry.New(name)
		if v == nil {
			t.Errorf("%s has no Go type", name)
			continue
		}
		if v.ClassName() != name {
			t.Errorf("New(%q) is a %s", name, v.ClassName())
		}
		e := v.Element()
		if e.Local != name || e.Space != m.Class(name).URI() || len(e.Children) != 0 {
			t.Errorf("%s: zero value is %v", name, e)
		}
		if s := v.Selectors(); len(s) != 0 {
			t.Errorf("%s: zero value has selectors %v", name, s)
		}
	}
	if registry.New("CIM_Nothing") != nil || registry.New("urn:other/CIM_Chip") != nil || registry.New(wsman.NSCIM+"CIM_Chip") == nil {
		t.Error("New takes a wrong name, or refuses a URI")
	}
}

// TestElementOrder fills every property of every class and checks that elements come in ASCII order, none is missing,
// and all survive.
func TestElementOrder(t *testing.T) {
	m := catalogue(t)
	for _, name := range model.Generated() {
		c := m.Class(name)
		want := wsman.Element{Name: wsman.Name{Space: c.URI(), Local: c.Name}}
		for _, p := range m.AllProperties(c) {
			want.Children = append(want.Children, sample(m, c, p)...)
		}
		slices.SortStableFunc(want.Children, func(a, b wsman.Element) int { return strings.Compare(a.Local, b.Local) })
		want = through(t, want)
		v := registry.New(name)
		if err := v.Decode(&want); err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(plain(want), plain(v.Element())); diff != "" {
			t.Errorf("%s (want -, got +):\n%s", name, diff)
		}
		if got, want := len(v.Selectors()), len(c.Keys); got != want {
			t.Errorf("%s: %d selectors, want %d", name, got, want)
		}
		if x := extra(v); len(x) > 0 {
			t.Errorf("%s: left over: %v", name, x)
		}
	}
}

// sample returns an element with a value of the property's type, or two if it is an array.
func sample(m *model.Model, c *model.Class, p model.Property) []wsman.Element {
	text := "7"
	switch p.Type {
	case model.String, model.HexBinary:
		text = "some <text> & more"
	case model.Boolean:
		text = "false"
	case model.Base64:
		text = "AAEC"
	case model.Real32, model.Real64:
		text = "1.5"
	case model.Uint64:
		text = "18446744073709551615"
	case model.Sint64:
		text = "-9223372036854775808"
	}
	e := wsman.El(c.URI(), p.Name, text)
	switch p.Type {
	case model.Datetime:
		d, _ := wsman.ParseDatetime("2024-01-03T00:44:35Z")
		e = d.Element(c.URI(), p.Name)
	case model.Ref:
		e = wsman.Ref("CIM_ComputerSystem", "Name", "ManagedSystem").Element(c.URI(), p.Name)
	case model.Object:
		e = wsman.Group(c.URI(), p.Name, wsman.El("urn:x", "Inner", "1"))
	}
	if p.Array {
		return []wsman.Element{e, e}
	}
	return []wsman.Element{e}
}
