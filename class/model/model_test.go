package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/wire/wsman"
)

func load1(t testing.TB) *Model {
	t.Helper()
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLoad(t *testing.T) {
	m := load1(t)
	if again := load1(t); again != m {
		t.Error("a second Load parses again")
	}
	if len(m.Classes) != 268 {
		t.Errorf("%d classes, want 268", len(m.Classes))
	}
	for _, name := range Generated() {
		if m.Class(name) == nil {
			t.Errorf("generated.txt names %s, which is no class", name)
		}
	}
	instances := 0
	for i := range m.Classes {
		c := &m.Classes[i]
		if c.Summary == "" || c.Cardinality == "" || c.Certainty == "" {
			t.Errorf("%s: no summary, cardinality or certainty", c.Name)
		}
		if !slices.IsSorted(c.Keys) {
			t.Errorf("%s: keys are not sorted: %v", c.Name, c.Keys)
		}
		for _, method := range c.Methods {
			r := method.Returns
			if r.Table == "" && len(r.Codes) == 0 && len(r.Own) == 0 && method.ReturnsCertainty != Unknown {
				t.Errorf("%s.%s: no return values", c.Name, method.Name)
			}
		}
		instances += len(c.Instances)
	}
	if instances != 171 {
		t.Errorf("%d instances, want 171", instances)
	}
}

// TestValues checks that the examples are of their properties' types.
func TestValues(t *testing.T) {
	m := load1(t)
	for i := range m.Classes {
		c := &m.Classes[i]
		for n := range c.Instances {
			for name, values := range c.Instances[n].Values {
				p := m.Property(c, name)
				if len(values) != 1 && !p.Array {
					t.Errorf("%s %d: %s has %d values and is no array", c.Name, n, name, len(values))
				}
				for _, v := range values {
					if (v.Ref != nil) != (p.Type == Ref) || (v.Datetime != nil) != (p.Type == Datetime) {
						t.Errorf("%s %d: %s is %s and has value %+v", c.Name, n, name, p.Type, v)
					}
				}
			}
		}
	}
}

func TestLookup(t *testing.T) {
	m := load1(t)
	chip := m.Class("CIM_Chip")
	if chip == nil || m.Class(wsman.NSCIM+"CIM_Chip") != chip {
		t.Fatal("CIM_Chip is not found by name and URI")
	}
	for _, wrong := range []string{"Chip", "", "cim_chip", wsman.NSAMT + "CIM_Chip", "http://example.com/CIM_Chip"} {
		if c := m.Class(wrong); c != nil {
			t.Errorf("Class(%q) = %s", wrong, c.Name)
		}
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"CIM_PhysicalMemory", "CIM_Chip", true},
		{"CIM_Chip", "CIM_Chip", true},
		{"CIM_Chip", "CIM_PhysicalMemory", false},
		{"AMT_TLSSettingData", "CIM_ManagedElement", true},
		{"CIM_Nothing", "CIM_Chip", false},
		{"CIM_Chip", "", false},
	} {
		if got := m.DerivesFrom(tt.a, tt.b); got != tt.want {
			t.Errorf("DerivesFrom(%s, %s) = %v", tt.a, tt.b, got)
		}
	}
	if got := m.Subclasses("CIM_Chip"); !slices.Equal(got, []string{"CIM_PhysicalMemory"}) {
		t.Errorf("subclasses of CIM_Chip: %v", got)
	}
	if got := m.Enum("CIM_PowerState").Text(2); got != "on" {
		t.Errorf("power state 2 is %q", got)
	}
	if e := m.Enum("CIM_Nothing"); e != nil || m.Enum("CIM_PowerState").Text(99) != "" {
		t.Error("what is not there was found")
	}
}

// TestInherit checks that what a class says wins over what it inherits.
func TestInherit(t *testing.T) {
	m := load1(t)
	service := m.Class("AMT_RedirectionService")
	if p := m.Property(service, "EnabledState"); p == nil || p.Enum != "AMT_RedirectionService.EnabledState" {
		t.Errorf("EnabledState is %+v", p)
	}
	if p := m.Property(service, "ElementName"); p == nil {
		t.Error("ElementName is not inherited")
	}
	if p := m.Property(service, "Nothing"); p != nil {
		t.Errorf("found %+v", p)
	}
	all := m.AllProperties(service)
	for i, key := range service.Keys {
		if all[i].Name != key || !all[i].Key {
			t.Errorf("property %d is %s, want key %s", i, all[i].Name, key)
		}
	}
	seen := map[string]bool{}
	for _, p := range all {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
	}
	if method := m.Method(service, "StartService"); method == nil || method.ReturnsCertainty != Unknown {
		t.Errorf("StartService is %+v", method)
	}
	if method := m.Method(m.Class("CIM_PowerManagementService"), "RequestPowerStateChange"); method.Returns.Own[2] != (Value{Number: 2, Text: "not ready"}) {
		t.Errorf("2 of RequestPowerStateChange is %+v", method.Returns.Own[2])
	}
	count := 0
	for _, method := range m.AllMethods(service) {
		if method.Name == "RequestStateChange" {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d RequestStateChange", count)
	}
}

func TestInstanceElement(t *testing.T) {
	m := load1(t)
	c := m.Class("CIM_AssociatedPowerManagementService")
	if !c.Instances[0].Fresh() {
		t.Error("the power state exists only later")
	}
	e := c.Instances[0].Element(c)
	got := string(wsman.Append(nil, &e, c.URI(), wsman.NSAddressing, wsman.NSWSMan))
	const want = `<a:CIM_AssociatedPowerManagementService xmlns:a="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_AssociatedPowerManagementService"` +
		` xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">` +
		`<a:AvailableRequestedPowerStates>10</a:AvailableRequestedPowerStates><a:AvailableRequestedPowerStates>8</a:AvailableRequestedPowerStates>`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got  %.600s\nwant %s", got, want)
	}
	if !strings.Contains(got, `<c:Selector Name="Name">ManagedSystem</c:Selector>`) {
		t.Errorf("no reference to the managed system: %s", got)
	}
	if sel := c.Instances[0].Selectors(c); len(sel) != 2 || sel[0].Name != "ServiceProvided" || sel[0].EPR == nil {
		t.Errorf("selectors %v", sel)
	}
	listed := m.Class("AMT_UserInitiatedConnectionService")
	e = listed.Instances[0].Element(listed)
	var names []string
	for _, child := range e.Children {
		names = append(names, child.Local)
	}
	if !slices.IsSortedFunc(names, func(a, b string) int {
		return slices.Index(listed.WireProperties, a) - slices.Index(listed.WireProperties, b)
	}) {
		t.Errorf("%v is not in the order of %v", names, listed.WireProperties)
	}
}

func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Release
		ok   bool
	}{
		{"7.0 (6.2 on some)", Release{7, 0}, true},
		{"16.1.27", Release{16, 1}, true},
		{"17.x (SNMP alerts removed in 18.0)", Release{17, anyMinor}, true},
		{"6", Release{6, 0}, true},
		{"NAC/NAP deprecated", Release{}, false},
		{"", Release{}, false},
		{"20241231", Release{}, false},
	} {
		if got, ok := ParseRelease(tt.text); got != tt.want || ok != tt.ok {
			t.Errorf("ParseRelease(%q) = %v, %v", tt.text, got, ok)
		}
	}
	c := Class{Since: "7.0 (6.2 on some)", Until: "11.x"}
	for _, tt := range []struct {
		r    Release
		want bool
	}{{Release{6, 2}, false}, {Release{7, 0}, true}, {Release{11, 8}, true}, {Release{12, 0}, false}, {Release{}, false}} {
		if got := c.In(tt.r); got != tt.want {
			t.Errorf("in %v: %v", tt.r, got)
		}
	}
	if c = (Class{Until: "NAC/NAP deprecated"}); !c.In(Release{16, 1}) {
		t.Error("a text without a number ends a class")
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", `{`, "unexpected end"},
		{"twice", `{"classes":[{"name":"CIM_A"},{"name":"CIM_A"}]}`, "there twice"},
		{"foreign", `{"classes":[{"name":"A"}]}`, "known schema"},
		{"no parent", `{"classes":[{"name":"CIM_A","super":"CIM_B"}]}`, "ancestors do not end"},
		{"circle", `{"classes":[{"name":"CIM_A","super":"CIM_B"},{"name":"CIM_B","super":"CIM_A"}]}`, "ancestors do not end"},
		{"type", `{"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"word"}]}]}`, "unknown type"},
		{"no enum", `{"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"uint8","enum":"E"}]}]}`, "no enum E"},
		{"other type", `{"enums":[{"name":"E","type":"uint16"}],"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"uint8","enum":"E"}]}]}`, "its enum E is uint16"},
		{"enum of text", `{"enums":[{"name":"E","type":"string"}]}`, "has type string"},
		{"number twice", `{"enums":[{"name":"E","type":"uint8","values":[[1,"a"],[1,"b"]]}]}`, "out of order"},
		{"value", `{"enums":[{"name":"E","type":"uint8","values":[[1]]}]}`, "is not [number, text]"},
		{"key", `{"classes":[{"name":"CIM_A","keys":["P"]}]}`, "no property P"},
		{"instance", `{"classes":[{"name":"CIM_A","instances":[{"values":{"P":"1"}}]}]}`, "no property P"},
		{"instance value", `{"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"string"}],"instances":[{"values":{"P":{}}}]}]}`, "neither text nor"},
		{"returns", `{"classes":[{"name":"CIM_A","methods":[{"name":"M","returns":"T"}]}]}`, "no table of return values"},
		{"parameter", `{"classes":[{"name":"CIM_A","methods":[{"name":"M","in":[{"name":"P","type":"x"}]}]}]}`, "method M"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"enums":[{"name":"CIM_E","type":"uint8","values":[[1,"a"],[2,"b","B"]]}],"returns":{"R":[[0,"done"]]},"classes":[{"name":"CIM_A","super":"CIM_B","keys":["P"],` +
		`"properties":[{"name":"P","type":"uint8","enum":"CIM_E"}],"methods":[{"name":"M","returns":"R"}],"instances":[{"values":{"P":["1"]}}]},{"name":"CIM_B"}]}`)
	f.Add(`{"classes":[{"name":"CIM_A","properties":[{"name":"R","type":"ref"},{"name":"D","type":"datetime"}],"instances":[{"values":{"R":{"$ref":{"class":"CIM_A","selectors":{"R":{"$ref":{"class":"CIM_A"}}}}},"D":{"$interval":"P1D"}}}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse([]byte(text))
		if err != nil {
			return
		}
		for i := range m.Classes {
			c := &m.Classes[i]
			if m.Class(c.Name) != c || !m.DerivesFrom(c.Name, c.Name) {
				t.Fatalf("%s is not found", c.Name)
			}
			m.Subclasses(c.Name)
			m.AllMethods(c)
			for n := range c.Instances {
				e := c.Instances[n].Element(c)
				if _, err := wsman.Parse(wsman.Append(nil, &e)); err != nil && plainNames(e) {
					t.Fatalf("%v\n%s", err, wsman.Append(nil, &e))
				}
			}
		}
	})
}

// plainNames tells whether the names in an element can be XML names at all.
func plainNames(e wsman.Element) bool {
	for i, r := range e.Local {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return e.Local != "" && !slices.ContainsFunc(e.Children, func(c wsman.Element) bool { return !plainNames(c) })
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(classesJSON); err != nil {
			b.Fatal(err)
		}
	}
}
