package wsman

import (
	"reflect"
	"testing"
)

func TestSelectorsOnTheWire(t *testing.T) {
	ref := Ref("CIM_ComputerSystem", "Name", nasty, "CreationClassName", "CIM_ComputerSystem")
	inner := Ref("CIM_KVMRedirectionSAP", "Name", "x")
	ref.Selectors = append(ref.Selectors, Selector{Name: "Deep", EPR: &inner})
	want := Selectors{{Name: nasty, Value: nasty}, {Name: "Ref", EPR: &ref}, {Name: "Empty"}}
	set := want.Element()
	doc, err := Parse(Append(nil, &set))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSelectors(&doc)
	if err != nil || !got.Equal(want) || !want.Equal(got) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got.Value(nasty) != nasty || got.Value("none") != "" || got.Get("none") != nil {
		t.Errorf("got %v", got)
	}
	clone := got.Clone()
	clone[1].EPR.Selectors[0].Value = "changed"
	if got.Equal(clone) || !got.Equal(want) {
		t.Error("the clone shares a reference")
	}
}

// Forms that clients and machines are known to send.
func TestParseEPR(t *testing.T) {
	const head = `<x xmlns:a="` + NSAddressing + `" xmlns:w="` + NSWSMan + `">`
	const params = `<w:ResourceURI>` + NSCIM + `CIM_Chip</w:ResourceURI><w:SelectorSet><w:Selector w:Name="Tag"> CPU 0</w:Selector></w:SelectorSet>`
	want := EPR{Address: "/wsman", ResourceURI: NSCIM + "CIM_Chip", Selectors: Selectors{{Name: "Tag", Value: " CPU 0"}}}
	for name, doc := range map[string]string{
		"plain":          head + `<a:Address>/wsman</a:Address><a:ReferenceParameters>` + params + `</a:ReferenceParameters></x>`,
		"wrapped":        head + `<a:EndpointReference><a:Address> /wsman</a:Address><a:ReferenceParameters>` + params + `</a:ReferenceParameters></a:EndpointReference></x>`,
		"properties":     head + `<a:Address>/wsman</a:Address><a:ReferenceProperties>` + params + `</a:ReferenceProperties></x>`,
		"no declaration": `<x><a:Address>/wsman</a:Address><a:ReferenceParameters>` + params + `</a:ReferenceParameters></x>`,
	} {
		root, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseEPR(&root); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for name, e := range map[string]Element{
		"nothing":       {},
		"nameless":      {Children: []Element{Group("", "ReferenceParameters", Group("", "SelectorSet", El("", "Selector", "x")))}},
		"too many":      {Children: []Element{Group("", "ReferenceParameters", Group("", "SelectorSet", make([]Element, MaxSelectors+1)...))}},
		"nested deeply": nestedReference(10),
	} {
		if got, err := ParseEPR(&e); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if e := nestedReference(maxReferenceGap); e.Local != "x" {
		t.Fatal(e)
	} else if _, err := ParseEPR(&e); err != nil {
		t.Error(err)
	}
}

func nestedReference(depth int) Element {
	ref := Ref("CIM_Chip", "Tag", "x")
	for range depth {
		inner := ref
		ref = Ref("CIM_Chip")
		ref.Selectors = Selectors{{Name: "Ref", EPR: &inner}}
	}
	return ref.Element("", "x")
}

func TestSame(t *testing.T) {
	a := Ref("CIM_Chip", "Tag", "1", "Name", "2")
	for _, tt := range []struct {
		name  string
		other EPR
		want  bool
	}{
		{"itself", a, true},
		{"another order and address", EPR{Address: "x", ResourceURI: a.ResourceURI, Selectors: Selectors{a.Selectors[1], a.Selectors[0]}}, true},
		{"another value", Ref("CIM_Chip", "Tag", "1", "Name", "3"), false},
		{"one less", Ref("CIM_Chip", "Tag", "1"), false},
		{"another name", Ref("CIM_Chip", "Tag", "1", "Nome", "2"), false},
		{"another class", Ref("CIM_Card", "Tag", "1", "Name", "2"), false},
		{"a reference", EPR{ResourceURI: a.ResourceURI, Selectors: Selectors{a.Selectors[0], {Name: "Name", EPR: &a}}}, false},
	} {
		if got := a.Same(tt.other); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
	if got, want := a.String(), `CIM_Chip?Tag="1",Name="2"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzSelectors(f *testing.F) {
	f.Add("Name", "Intel(r) AMT", "Ref", "CIM_Chip", "Tag", nasty)
	f.Add("\x00", "", "a", "", "", "\xff")
	f.Fuzz(func(t *testing.T, name, value, refName, class, key, keyValue string) {
		ref := Ref(class, key, keyValue)
		want := Selectors{{Name: name, Value: value}, {Name: refName, EPR: &ref}}
		set := want.Element()
		root, err := Parse(Append(nil, &set))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseSelectors(&root)
		if err != nil {
			if name != "" && refName != "" && key != "" {
				t.Fatal(err)
			}
			return
		}
		// What XML cannot carry is replaced once, and stays so.
		again := got.Element()
		root, err = Parse(Append(nil, &again))
		if err != nil {
			t.Fatal(err)
		}
		if second, err := ParseSelectors(&root); err != nil || !reflect.DeepEqual(second, got) {
			t.Errorf("got %v, %v; want %v", second, err, got)
		}
		clean := El("", "x", value)
		if normal(&clean); got[0].Value != clean.Text {
			t.Errorf("got %q, want %q", got[0].Value, clean.Text)
		}
	})
}
