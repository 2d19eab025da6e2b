package firmware

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/wsman"
)

// as returns a session of admin.
func as(m *Machine) *session {
	return &session{m: m, user: "admin", realms: Realms(RealmAdministration)}
}

// ask sends one enumeration request past HTTP. nested are children of the body.
func ask(t *testing.T, s *session, action, uri string, nested ...wsman.Element) (*wsman.Element, error) {
	t.Helper()
	body := wsman.Group(wsman.NSEnumeration, wsman.ClassName(action), nested...)
	resp, err := s.ServeWSMan(t.Context(), &wsman.Request{Action: action, ResourceURI: uri, Body: &body})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func contextElement(text string) wsman.Element {
	return wsman.El(wsman.NSEnumeration, "EnumerationContext", text)
}

// names returns what an enumeration of a class yields: class and first key.
func names(t *testing.T, c *wsman.Client, class string, o *wsman.EnumerateOptions) (out []string) {
	t.Helper()
	for e, err := range wsman.Enumerate(t.Context(), c, wsman.ClassURI(class), nil, o) {
		if err != nil {
			t.Fatalf("%s: %v", class, err)
		}
		out = append(out, e.Local)
	}
	return out
}

// TestPolymorphism: an enumeration yields instances of the classes below, each as what it is. Source: spec wsman.md
// section 7.5.
func TestPolymorphism(t *testing.T) {
	c := client(t, newMachine(t, Config{}))
	for _, tt := range []struct {
		class string
		want  []string
	}{
		{"CIM_Chip", []string{"CIM_Chip", "CIM_PhysicalMemory", "CIM_PhysicalMemory"}},
		{"CIM_PhysicalPackage", []string{"CIM_Card", "CIM_PhysicalPackage", "CIM_PhysicalPackage", "CIM_Chassis"}},
		{"CIM_ServiceAvailableToElement", []string{"CIM_AssociatedPowerManagementService"}},
		{"CIM_SystemPackaging", []string{"CIM_ComputerSystemPackage"}},
		{"CIM_PhysicalMemory", []string{"CIM_PhysicalMemory", "CIM_PhysicalMemory"}},
		{"CIM_Battery", nil}, // known, and none there
	} {
		for _, o := range []*wsman.EnumerateOptions{nil, {NoOptimize: true}, {NoOptimize: true, MaxElements: 1}} {
			if got := names(t, c, tt.class, o); !slices.Equal(got, tt.want) {
				t.Errorf("%s with %+v: got %v, want %v", tt.class, o, got, tt.want)
			}
		}
	}
}

func TestPaging(t *testing.T) {
	s := as(newMachine(t, Config{}))
	uri := wsman.ClassURI("CIM_SoftwareIdentity")
	e, err := ask(t, s, wsman.ActionEnumerate, uri)
	if err != nil {
		t.Fatal(err)
	}
	ctx := e.ChildText("EnumerationContext")
	if ctx != "01000000-0000-0000-0000-000000000000" {
		t.Errorf("context %q", ctx)
	}
	seen := 0
	for page := 0; ; page++ {
		most := []wsman.Element{contextElement(ctx)}
		want := 1 // without MaxElements one item comes
		if page > 0 {
			most = append(most, wsman.El(wsman.NSEnumeration, "MaxElements", "4"))
			want = 4
		}
		e, err := ask(t, s, wsman.ActionPull, uri, most...)
		if err != nil {
			t.Fatal(err)
		}
		items := e.Child("Items").Children
		seen += len(items)
		if e.Child("EndOfSequence") != nil {
			break
		}
		if len(items) != want {
			t.Errorf("page %d: %d items, want %d", page, len(items), want)
		}
		if got := e.ChildText("EnumerationContext"); got != ctx {
			t.Errorf("page %d: context %q, want %q all the time", page, got, ctx)
		}
	}
	if _, err := ask(t, s, wsman.ActionPull, uri, contextElement(ctx)); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
		t.Errorf("a context at its end: %v", err)
	}
	if seen != 11 {
		t.Errorf("%d items, want 11", seen)
	}
}

// TestPageSize: whatever is asked for, an answer stays small, and nothing is lost.
func TestPageSize(t *testing.T) {
	s := as(newMachine(t, Config{}))
	uri := wsman.ClassURI("CIM_ManagedElement")
	e, err := ask(t, s, wsman.ActionEnumerate, uri)
	seen, pages := 0, 0
	for ; err == nil && e.Child("EndOfSequence") == nil; pages++ {
		e, err = ask(t, s, wsman.ActionPull, uri, contextElement(e.ChildText("EnumerationContext")), wsman.El(wsman.NSEnumeration, "MaxElements", "99999"))
		if err == nil {
			seen += len(e.Child("Items").Children)
			if n := len(wsman.Append(nil, e)); n > pageSize+16<<10 {
				t.Errorf("page of %d octets", n)
			}
		}
	}
	if err != nil || pages < 2 || seen < 90 {
		t.Errorf("%d items in %d pages, %v", seen, pages, err)
	}
}

func TestContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, Config{})
		s := as(m)
		uri := wsman.ClassURI("CIM_Chip")
		open := func() string {
			e, err := ask(t, s, wsman.ActionEnumerate, uri)
			if err != nil {
				t.Fatal(err)
			}
			return e.ChildText("EnumerationContext")
		}
		pull := func(ctx string) error {
			_, err := ask(t, s, wsman.ActionPull, uri, contextElement(ctx))
			return err
		}
		first := open()
		for range m.profile.Contexts {
			open()
		}
		if err := pull(first); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
			t.Errorf("the oldest of too many: %v", err)
		}
		last := open()
		other := &session{m: m, user: "somebody", realms: s.realms}
		if _, err := ask(t, other, wsman.ActionPull, uri, contextElement(last)); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
			t.Errorf("another user's: %v", err)
		}
		time.Sleep(contextLife - time.Second)
		if err := pull(last); err != nil {
			t.Errorf("young enough: %v", err)
		}
		last = open()
		time.Sleep(contextLife)
		if err := pull(last); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
			t.Errorf("too old: %v", err)
		}
		if len(m.enumerations.open) != 0 {
			t.Errorf("%d enumerations kept", len(m.enumerations.open))
		}
		last = open()
		if _, err := ask(t, s, wsman.ActionRelease, uri, contextElement(last)); err != nil {
			t.Errorf("release: %v", err)
		}
		if err := pull(last); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
			t.Errorf("released: %v", err)
		}
		for _, bad := range []string{"", "x", "01000000", "01000000-0000-0000-0000-000000000001", strings.Repeat("0", 1000)} {
			if err := pull(bad); !errors.Is(err, wsman.ErrInvalidEnumerationContext) {
				t.Errorf("context %.20q: %v", bad, err)
			}
		}
	})
}

func TestModes(t *testing.T) {
	c := client(t, newMachine(t, Config{}))
	var got []string
	for e, err := range wsman.Enumerate(t.Context(), c, wsman.ClassURI("CIM_BootSourceSetting"), nil, &wsman.EnumerateOptions{Mode: modeEPR, NoOptimize: true}) {
		if err != nil {
			t.Fatal(err)
		}
		ref, err := wsman.ParseEPR(e)
		if err != nil || e.Local != "EndpointReference" {
			t.Fatalf("%v: %+v", err, e)
		}
		got = append(got, ref.Selectors.Value("InstanceID"))
	}
	if !slices.Contains(got, "Intel(r) AMT: Force PXE Boot") {
		t.Errorf("got %q", got)
	}
	s := as(newMachine(t, Config{}))
	e, err := ask(t, s, wsman.ActionEnumerate, wsman.ClassURI("CIM_Chip"), wsman.El(wsman.NSWSMan, "EnumerationMode", modeObjectAndEPR))
	if err != nil {
		t.Fatal(err)
	}
	e, err = ask(t, s, wsman.ActionPull, wsman.ClassURI("CIM_Chip"), contextElement(e.ChildText("EnumerationContext")))
	if err != nil || e.Find("Items", "Item", "CIM_Chip") == nil || e.Find("Items", "Item", "EndpointReference") == nil {
		t.Errorf("object and EPR: %+v, %v", e, err)
	}
	if _, err := ask(t, s, wsman.ActionEnumerate, wsman.ClassURI("CIM_Chip"), wsman.El(wsman.NSWSMan, "EnumerationMode", "EnumerateEverything")); !errors.Is(err, wsman.ErrUnsupportedFeature) {
		t.Errorf("unknown mode: %v", err)
	}
}

func TestOptimizedEnumeration(t *testing.T) {
	for _, tt := range []struct {
		generation int
		heeded     bool
	}{{8, false}, {11, true}} {
		s := as(newMachine(t, Config{Generation: tt.generation}))
		e, err := ask(t, s, wsman.ActionEnumerate, wsman.ClassURI("CIM_Chip"), wsman.El(wsman.NSWSMan, "OptimizeEnumeration", ""), wsman.El(wsman.NSWSMan, "MaxElements", "100"))
		if err != nil {
			t.Fatal(err)
		}
		if items := e.Child("Items"); (items != nil) != tt.heeded || tt.heeded && (len(items.Children) != 3 || e.Child("EndOfSequence") == nil) {
			t.Errorf("generation %d: %+v", tt.generation, e)
		}
	}
}

func TestFilters(t *testing.T) {
	s := as(newMachine(t, Config{}))
	const cim, bind = wsman.NSWSMan, wsman.NSCIMBinding
	filter := func(dialect string, children ...wsman.Element) wsman.Element {
		f := wsman.Group(cim, "Filter", children...)
		f.Attrs = []wsman.Attr{{Name: wsman.Name{Local: "Dialect"}, Value: dialect}}
		return f
	}
	all := wsman.El(wsman.NSWSMan, "MaxElements", "100")
	optimize := wsman.El(wsman.NSWSMan, "OptimizeEnumeration", "")
	host := wsman.Ref("CIM_ComputerSystem", "CreationClassName", "CIM_ComputerSystem", "Name", "ManagedSystem")
	port := wsman.Ref("CIM_EthernetPort", "DeviceID", "Intel(r) AMT Ethernet Port 0")
	object := host.Element(bind, "Object")
	for _, tt := range []struct {
		name, uri string
		filter    wsman.Element
		want      []string
		err       error
	}{
		{"selector of text", wsman.ClassURI("CIM_SoftwareIdentity"), filter(selectorDialects[0], wsman.Selectors{{Name: "InstanceID", Value: "Flash"}}.Element()), []string{"CIM_SoftwareIdentity"}, nil},
		{"selector of a reference", wsman.ClassURI("CIM_ElementSettingData"), filter(selectorDialects[0], wsman.Selectors{{Name: "ManagedElement", EPR: &port}}.Element()), []string{"CIM_ElementSettingData", "CIM_ElementSettingData"}, nil},
		{"associations of the host", wsman.AllClasses, filter(associationDialects[0], wsman.Group(bind, "AssociationInstances", object, wsman.El(bind, "ResultClassName", "CIM_ServiceAvailableToElement"))), []string{"CIM_AssociatedPowerManagementService"}, nil},
		{"what the power service is for", wsman.AllClasses, filter(associationDialects[0], wsman.Group(bind, "AssociatedInstances", object, wsman.El(bind, "AssociationClassName", "CIM_AssociatedPowerManagementService"))), []string{"CIM_PowerManagementService"}, nil},
		{"a role that the host does not have", wsman.AllClasses, filter(associationDialects[0], wsman.Group(bind, "AssociatedInstances", object, wsman.El(bind, "AssociationClassName", "CIM_AssociatedPowerManagementService"), wsman.El(bind, "Role", "ServiceProvided"))), nil, nil},
		{"WQL", wsman.ClassURI("CIM_Chip"), filter("http://schemas.microsoft.com/wbem/wsman/1/WQL", wsman.El("", "x", "select * from CIM_Chip")), nil, wsman.ErrFilterDialect},
		{"no object", wsman.AllClasses, filter(associationDialects[0], wsman.Group(bind, "AssociatedInstances")), nil, wsman.ErrCannotProcessFilter},
		{"no filter", wsman.AllClasses, wsman.El(cim, "MaxTime", "PT1S"), nil, wsman.ErrCannotProcessFilter},
	} {
		e, err := ask(t, s, wsman.ActionEnumerate, tt.uri, tt.filter, optimize, all)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.err)
			continue
		}
		var got []string
		if items := e.Child("Items"); items != nil {
			for i := range items.Children {
				got = append(got, items.Children[i].Local)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestEveryClass gets and enumerates all that each generation has, and finds every instance again by its keys.
func TestEveryClass(t *testing.T) {
	for _, generation := range []int{8, 11, 12, 16, 19} {
		m := newMachine(t, Config{Generation: generation})
		s := as(m)
		instances := 0
		for _, ci := range m.catalogue.sorted() {
			for _, v := range m.views(ci) {
				instances++
				resp, err := s.ServeWSMan(t.Context(), &wsman.Request{Action: wsman.ActionGet, ResourceURI: ci.uri, Selectors: v.keys})
				if err != nil || resp.Body.Local != ci.Name {
					t.Errorf("generation %d: get %v: %v", generation, v.epr(), err)
					continue
				}
				if ci.WireOrder != "as listed" && !slices.IsSortedFunc(resp.Body.Children, func(a, b wsman.Element) int { return strings.Compare(a.Local, b.Local) }) {
					t.Errorf("generation %d: %s is not in ASCII order", generation, ci.Name)
				}
			}
			if ci.Has("Enumerate") {
				if _, err := ask(t, s, wsman.ActionEnumerate, ci.uri); err != nil {
					t.Errorf("generation %d: enumerate %s: %v", generation, ci.Name, err)
				}
			}
		}
		if instances < 90 {
			t.Errorf("generation %d has %d instances", generation, instances)
		}
	}
}

// TestReleases: classes newer than the release are not there.
func TestReleases(t *testing.T) {
	for _, tt := range []struct {
		generation int
		class      string
		want       error
	}{
		{8, "IPS_WatchDogAction", wsman.ErrDestinationUnreachable},
		{8, "IPS_PowerManagementService", wsman.ErrDestinationUnreachable},
		{11, "IPS_WatchDogAction", nil},
		{8, "AMT_HeuristicPacketFilterSettings", nil},
		{12, "AMT_HeuristicPacketFilterSettings", wsman.ErrDestinationUnreachable},
		{12, "IPS_PowerManagementService", nil},
	} {
		s := as(newMachine(t, Config{Generation: tt.generation}))
		_, err := s.ServeWSMan(t.Context(), &wsman.Request{Action: wsman.ActionGet, ResourceURI: wsman.ClassURI(tt.class)})
		if !errors.Is(err, tt.want) {
			t.Errorf("generation %d, %s: got %v, want %v", tt.generation, tt.class, err, tt.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	s := as(newMachine(t, Config{}))
	get := func(change func(*wsman.Request)) error {
		r := &wsman.Request{Action: wsman.ActionGet, ResourceURI: wsman.ClassURI("CIM_Chassis")}
		change(r)
		_, err := s.ServeWSMan(t.Context(), r)
		return err
	}
	must := func(local string) func(*wsman.Request) {
		h := wsman.El(wsman.NSWSMan, local, "")
		h.Attrs = []wsman.Attr{{Name: wsman.Name{Space: wsman.NSSoap, Local: "mustUnderstand"}, Value: "true"}}
		return func(r *wsman.Request) { r.Header = []wsman.Element{h} }
	}
	for _, tt := range []struct {
		name   string
		change func(*wsman.Request)
		want   string // of the fault
	}{
		{"plain", func(*wsman.Request) {}, ""},
		{"any address that ends so", func(r *wsman.Request) { r.To = "https://desk-7:16993/wsman" }, ""},
		{"wrong To", func(r *wsman.Request) { r.To = "http://desk-7/other" }, "DestinationUnreachable"},
		{"class of another schema", func(r *wsman.Request) { r.ResourceURI = wsman.NSAMT + "CIM_Chassis" }, "DestinationUnreachable"},
		{"unknown action", func(r *wsman.Request) { r.Action = "urn:x" }, "ActionNotSupported"},
		{"subscribe", func(r *wsman.Request) { r.Action = wsman.ActionSubscribe }, "ActionNotSupported"},
		{"options", must("OptionSet"), "MustUnderstand"},
		{"fragment", must("FragmentTransfer"), "UnsupportedFeature"},
		{"a header that may be ignored", func(r *wsman.Request) { r.Header = []wsman.Element{wsman.El("urn:x", "Anything", "")} }, ""},
		{"envelope too small", func(r *wsman.Request) { r.MaxEnvelopeSize = 100 }, "EncodingLimit"},
		{"envelope", func(r *wsman.Request) { r.MaxEnvelopeSize = 153600 }, ""},
	} {
		err := get(tt.change)
		var f *wsman.Fault
		got := ""
		if errors.As(err, &f) {
			got = f.Subcode.Local
			if got == "" {
				got = f.Code
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q (%v), want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestContextText(t *testing.T) {
	for _, n := range []uint32{0, 1, 20, 0xa9a, 0xffffffff, 0x12345678} {
		got, ok := parseContext(contextText(n))
		if got != n || !ok {
			t.Errorf("%#x: %s reads back as %#x, %v", n, contextText(n), got, ok)
		}
	}
	if got := contextText(0x0a9a); got != "9A0A0000-0000-0000-0000-000000000000" { // recorded
		t.Errorf("got %s", got)
	}
}
