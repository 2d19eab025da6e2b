package wsman

import (
	"encoding/xml"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppend(t *testing.T) {
	root := Group("urn:one", "x",
		El("urn:two", "y", "a<b>&\"'\r\n\t"),
		Element{Name: Name{"", "z"}, Attrs: []Attr{{Name{"", "a"}, "<\n"}, {Name{NSXSI, "nil"}, "true"}, {Name{nsXML, "lang"}, "de"}}},
		El("urn:three", "w", "\x00\xffü\ufffe"))
	got := string(Append([]byte("!"), &root, "urn:zero", "urn:one"))
	want := `!<b:x xmlns:a="urn:zero" xmlns:b="urn:one" xmlns:c="urn:two" xmlns:d="urn:three" xmlns:xsi="` + NSXSI + `">` +
		`<c:y>a&lt;b&gt;&amp;&quot;'&#13;&#10;&#9;</c:y><z a="&lt;&#10;" xsi:nil="true" xml:lang="de"></z>` +
		"<d:w>\ufffd\ufffdü\ufffd</d:w></b:x>"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestManyNamespaces(t *testing.T) {
	root := Element{Name: Name{"urn:root", "x"}}
	for i := range 60 {
		root.Children = append(root.Children, El("urn:"+strings.Repeat("x", i+1), "y", ""))
	}
	got, err := Parse(Append(nil, &root))
	if err != nil || !reflect.DeepEqual(got, root) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// tree makes a tree of what a fuzzer gives: each octet says what comes next, and takes its texts from the strings.
func tree(plan []byte, space, local, text string) Element {
	valid := func(s string) bool {
		return s != "" && xml.Unmarshal([]byte("<"+s+"/>"), new(struct{})) == nil && !strings.ContainsAny(s, ": \t\r\n/=\"'<>")
	}
	if !valid(local) || local == "xmlns" {
		local = "x"
	}
	root := Element{Name: Name{space, local}}
	open := []*Element{&root}
	for _, op := range plan {
		top := open[len(open)-1]
		switch op % 8 {
		case 0, 1:
			if len(open) < 20 {
				names := []Name{{space, local}, {"", local}, {NSWSMan, "Selector"}, {text, "y"}}
				top.Children = append(top.Children, Element{Name: names[op/8%4]})
				open = append(open, &top.Children[len(top.Children)-1])
			}
		case 2, 3:
			if len(open) > 1 {
				open = open[:len(open)-1]
			}
		case 4:
			if len(top.Attrs) < 5 {
				top.Attrs = append(top.Attrs, Attr{[]Name{{"", "Name"}, {space, local}, {NSXSI, "nil"}, {nsXML, "lang"}}[op/8%4], text})
			}
		default:
			top.Text += text
		}
	}
	return root
}

// normal is what becomes of a tree on the wire.
func normal(e *Element) {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if !validRune(r) {
				return utf8.RuneError
			}
			return r
		}, strings.ToValidUTF8(s, "\ufffd"))
	}
	e.Space, e.Text = clean(e.Space), clean(e.Text)
	for i := range e.Attrs {
		e.Attrs[i].Space, e.Attrs[i].Value = clean(e.Attrs[i].Space), clean(e.Attrs[i].Value)
	}
	if len(e.Children) > 0 && isSpace(e.Text) {
		e.Text = ""
	}
	for i := range e.Children {
		normal(&e.Children[i])
	}
}

func FuzzWriteParse(f *testing.F) {
	f.Add([]byte{0, 5, 8, 4, 2, 16, 7, 12, 3, 20, 28, 6}, "urn:one", "local", nasty)
	f.Add([]byte{5, 5, 4}, "", "ü", "\x00\xff\ufffe")
	f.Add([]byte{5, 0, 2, 24, 4}, NSXSI, "nil", " ")
	f.Add([]byte{0, 4, 12, 20}, nsXML, "lang", "xml")
	f.Fuzz(func(t *testing.T, plan []byte, space, local, text string) {
		if len(plan) > 200 {
			return
		}
		want := tree(plan, space, local, text)
		doc := Append(nil, &want)
		got, err := Parse(doc)
		if err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		normal(&want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", doc, got, want)
		}
		if again, err := oracle(doc); err != nil || !reflect.DeepEqual(again, want) {
			t.Errorf("%q: encoding/xml: got %+v, %v, want %+v", doc, again, err, want)
		}
	})
}
