package dump

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/outband/outband/wire/wsman"
)

const ns = wsman.NSCIM + "CIM_Thing"

// things has every kind of value.
func things() wsman.Element {
	nested := wsman.Ref("CIM_Inner", "Name", "a <b> & \"c\"")
	ref := wsman.Ref("CIM_Outer", "CreationClassName", "CIM_Outer")
	ref.Selectors = append(ref.Selectors, wsman.Selector{Name: "Inner", EPR: &nested})
	other := wsman.Ref("CIM_Outer")
	other.Address = "http://elsewhere:16992/wsman"
	odd := wsman.El(ns, "Odd", "with an attribute")
	odd.Attrs = []wsman.Attr{{Name: wsman.Name{Local: "unit"}, Value: "MHz"}}
	return wsman.Group(ns, "CIM_Thing",
		wsman.El(ns, "Zebra", "first on the wire"),
		wsman.El(ns, "Empty", ""),
		wsman.El(ns, "List", "1"), wsman.El(ns, "List", "2"),
		ref.Element(ns, "Ref"),
		other.Element(ns, "Addressed"),
		wsman.At(time.Date(2024, 1, 3, 0, 44, 35, 0, time.UTC)).Element(ns, "When"),
		wsman.Every(26*time.Hour).Element(ns, "HowLong"),
		wsman.Group(ns, "Inside", wsman.El(wsman.NSCIM+"CIM_Inner", "A", "x"), wsman.El(wsman.NSCIM+"CIM_Inner", "A", "y")),
		wsman.El("urn:other", "Foreign", "text"),
		odd)
}

func TestInstance(t *testing.T) {
	e := things()
	const want = `{"Zebra":"first on the wire","Empty":"","List":["1","2"],` +
		`"Ref":{"$ref":{"class":"CIM_Outer","selectors":{"CreationClassName":"CIM_Outer","Inner":{"$ref":{"class":"CIM_Inner","selectors":{"Name":"a <b> & \"c\""}}}}}},` +
		`"Addressed":{"$ref":{"class":"CIM_Outer","address":"http://elsewhere:16992/wsman"}},`
	got := MarshalInstance(&e)
	if !strings.HasPrefix(string(got), want) {
		t.Errorf("got  %s\nwant %s...", got, want)
	}
	for _, part := range []string{`"When":{"$datetime":"2024-01-03T00:44:35Z"}`, `"HowLong":{"$interval":"P1DT2H0M0S"}`, `"Inside":{"$instance":{"class":"CIM_Inner","values":{"A":["x","y"]}}}`} {
		if !strings.Contains(string(got), part) {
			t.Errorf("%s is missing in %s", part, got)
		}
	}
	again, err := ParseInstance("CIM_Thing", got)
	if err != nil || !same(again, e) {
		t.Errorf("read back: %v\n%s", err, cmp.Diff(e, again))
	}
}

func TestFile(t *testing.T) {
	f := &File{
		Host: "desk-7", Taken: time.Date(2026, 1, 31, 10, 23, 4, 0, time.UTC), Version: "16.1.27.2176",
		Absent:  []string{"CIM_Battery"},
		Classes: []Class{{"CIM_Empty", nil}},
		Rest:    map[string]json.RawMessage{"power": json.RawMessage(`"off"`)},
	}
	f.Add(things())
	f.Add(things())
	f.Add(wsman.Group("http://example.com/schema/OEM_Thing", "OEM_Thing", wsman.El("http://example.com/schema/OEM_Thing", "A", "1")))
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, b.Bytes())
	}
	if got.Host != f.Host || !got.Taken.Equal(f.Taken) || got.Version != f.Version || len(got.Absent) != 1 || string(got.Rest["power"]) != `"off"` {
		t.Errorf("got %+v", got)
	}
	if len(got.Classes) != 3 || len(got.Class("CIM_Thing")) != 2 || len(got.Class("http://example.com/schema/OEM_Thing")) != 1 {
		t.Errorf("classes: got %+v", got.Classes)
	}
	var again bytes.Buffer
	if err := got.Write(&again); err != nil || again.String() != b.String() {
		t.Errorf("writing what was read: %v\n%s", err, cmp.Diff(b.String(), again.String()))
	}
}

func TestReadErrors(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"nothing", ``, ErrFormat},
		{"no object", `[]`, ErrFormat},
		{"another format", `{"format":"outband-dump/9"}`, ErrFormat},
		{"cut", `{"instances":{"CIM_Chip":[{"Tag":"x"`, ErrFormat},
		{"more behind", `{} {}`, ErrFormat},
		{"class twice", `{"instances":{"CIM_Chip":[],"CIM_Chip":[]}}`, ErrFormat},
		{"property with a blank", `{"instances":{"CIM_Chip":[{"a b":"x"}]}}`, ErrFormat},
		{"null", `{"instances":{"CIM_Chip":[{"a":null}]}}`, ErrFormat},
		{"unknown form", `{"instances":{"CIM_Chip":[{"a":{"$what":1}}]}}`, ErrFormat},
		{"reference without class", `{"instances":{"CIM_Chip":[{"a":{"$ref":{}}}]}}`, ErrFormat},
		{"interval where a moment should be", `{"instances":{"CIM_Chip":[{"a":{"$datetime":"P1D"}}]}}`, ErrFormat},
		{"deep", `{"instances":{"CIM_Chip":[{"a":` + strings.Repeat(`{"$instance":{"class":"CIM_X","values":{"a":`, 12) + `"x"` + strings.Repeat(`}}}`, 12) + `}]}}`, ErrLimit},
	} {
		if _, err := Read(strings.NewReader(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if f, err := Read(strings.NewReader(`{"instances":{"CIM_Chip":[{"Speed":2400,"CanBeFRUed":true}]}}`)); err != nil || f.Class("CIM_Chip")[0].ChildText("Speed") != "2400" {
		t.Errorf("numbers without quotes: got %+v, %v", f, err)
	}
}

func FuzzRead(f *testing.F) {
	e := things()
	f.Add([]byte(`{"format":"outband-dump/1","instances":{"CIM_Thing":[` + string(MarshalInstance(&e)) + `]},"power":"off"}`))
	f.Add([]byte(`{"host":"h","absent":["CIM_X"],"instances":{"CIM_Chip":[{"a":["1",{"$interval":"PT1S"}],"b":{"$xml":"<b/>"}}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := file.Write(&b); err != nil {
			return // members that cannot be written
		}
		again, err := Read(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, b.Bytes())
		}
		var second bytes.Buffer
		if err := again.Write(&second); err != nil || !bytes.Equal(b.Bytes(), second.Bytes()) {
			t.Fatalf("not stable: %v\n%s\n%s", err, b.Bytes(), second.Bytes())
		}
	})
}
