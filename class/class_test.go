package class_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/class/registry"
	"github.com/outband/outband/wire/wsman"
)

func parse(t testing.TB, doc string) *wsman.Element {
	t.Helper()
	e, err := wsman.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// TestPresence tells what was not sent from false, 0 and "".
func TestPresence(t *testing.T) {
	const open = `<g:AMT_GeneralSettings xmlns:g="` + wsman.NSAMT + `AMT_GeneralSettings" xmlns:xsi="` + wsman.NSXSI + `">`
	for _, tt := range []struct {
		name, xml string
		want      amt.GeneralSettings
	}{
		{"nothing", ``, amt.GeneralSettings{}},
		{"zero values", `<g:HostName></g:HostName><g:AMTNetworkEnabled>0</g:AMTNetworkEnabled><g:PingResponseEnabled>false</g:PingResponseEnabled>`,
			amt.GeneralSettings{HostName: new(""), AMTNetworkEnabled: new(amt.GeneralSettingsAMTNetworkEnabledDisabled), PingResponseEnabled: new(false)}},
		{"null", `<g:HostName xsi:nil="true"/><g:AMTNetworkEnabled xsi:nil="true"/><g:PingResponseEnabled xsi:nil="1"/>`, amt.GeneralSettings{}},
		{"empty numbers", `<g:AMTNetworkEnabled/><g:PingResponseEnabled> </g:PingResponseEnabled><g:IdleWakeTimeout></g:IdleWakeTimeout>`, amt.GeneralSettings{}},
		{"booleans as clients write them", `<g:PingResponseEnabled>1</g:PingResponseEnabled><g:WsmanOnlyMode>True</g:WsmanOnlyMode><g:RmcpPingResponseEnabled>0</g:RmcpPingResponseEnabled>`,
			amt.GeneralSettings{PingResponseEnabled: new(true), WsmanOnlyMode: new(true), RmcpPingResponseEnabled: new(false)}},
		{"another namespace and order, space around a number", `<PrivacyLevel> 1 </PrivacyLevel><HostName>a</HostName>`,
			amt.GeneralSettings{PrivacyLevel: new(amt.GeneralSettingsPrivacyLevelEnhanced), HostName: new("a")}},
		{"a number the table does not know", `<g:PrivacyLevel>17</g:PrivacyLevel>`,
			amt.GeneralSettings{PrivacyLevel: new(amt.GeneralSettingsPrivacyLevel(17))}},
		{"an element the class does not have", `<g:New>x</g:New>`,
			amt.GeneralSettings{Extra: []wsman.Element{wsman.El(wsman.NSAMT+"AMT_GeneralSettings", "New", "x")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := amt.GeneralSettings{DigestRealm: new("from before")}
			if err := got.Decode(parse(t, open+tt.xml+`</g:AMT_GeneralSettings>`)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			var again amt.GeneralSettings
			e := through(t, got.Element())
			if err := again.Decode(&e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("written and read again:\n%s", diff)
			}
		})
	}
}

// TestBadValues checks that an error names class and property.
func TestBadValues(t *testing.T) {
	for _, tt := range []struct{ class, property, xml string }{
		{"CIM_Chip", "OperationalStatus", "high"},
		{"CIM_Chip", "OperationalStatus", "65536"},
		{"CIM_Chip", "OperationalStatus", "-1"},
		{"CIM_Chip", "CanBeFRUed", "yes"},
		{"CIM_Chip", "InstallDate", "yesterday"},
		{"AMT_PublicKeyCertificate", "X509Certificate", "not base64!"},
		{"CIM_ServiceAvailableToElement", "UserOfService", "ManagedSystem"},
	} {
		e := parse(t, "<"+tt.class+"><"+tt.property+">"+tt.xml+"</"+tt.property+"></"+tt.class+">")
		err := registry.New(tt.class).Decode(e)
		if !errors.Is(err, class.ErrValue) || !strings.HasPrefix(err.Error(), tt.class+"."+tt.property+": ") {
			t.Errorf("%s.%s = %q: %v", tt.class, tt.property, tt.xml, err)
		}
	}
}

func TestArrayLimit(t *testing.T) {
	for _, name := range []string{"OperationalStatus", "Unheard"} {
		e := wsman.Group("", "CIM_Chip", slices.Repeat([]wsman.Element{wsman.El("", name, "2")}, class.MaxArray+1)...)
		if err := new(cim.Chip).Decode(&e); !errors.Is(err, class.ErrValue) {
			t.Errorf("%d of %s: %v", class.MaxArray+1, name, err)
		}
	}
}

func TestEnumStrings(t *testing.T) {
	for _, tt := range []struct {
		got  interface{ String() string }
		want string
	}{
		{cim.PowerStateOn, "on"},
		{cim.PowerStateNMI, "diagnostic interrupt (NMI)"},
		{cim.PowerState(200), "unknown (200)"},
		{amt.RealmRedirection, "redirection"},
		{amt.AuditLogAuditState(0), "enabled"},
		{amt.AuditLogAuditStateLocked | amt.AuditLogAuditStateFull, "locked, full"},
		{amt.AuditLogAuditStateLocked | 1<<20, "locked, unknown (0x100000)"},
		{ips.ControlModeAdmin, "admin"},
		{ips.OptInServiceOptInRequiredAll, "all"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("%#v prints %q, want %q", tt.got, got, tt.want)
		}
	}
}

func TestEmptyOctets(t *testing.T) {
	v := amt.PublicKeyCertificate{X509Certificate: []byte{}}
	e := through(t, v.Element())
	if len(e.Children) != 1 {
		t.Fatalf("empty octets are written as %v", e.Children)
	}
	var again amt.PublicKeyCertificate
	if err := again.Decode(&e); err != nil || again.X509Certificate == nil || len(again.X509Certificate) != 0 {
		t.Errorf("read again: %v, %v", again.X509Certificate, err)
	}
	wrapped := parse(t, "<AMT_PublicKeyCertificate><X509Certificate> AAEC\n AwQF </X509Certificate></AMT_PublicKeyCertificate>")
	if err := again.Decode(wrapped); err != nil || string(again.X509Certificate) != "\x00\x01\x02\x03\x04\x05" {
		t.Errorf("with white space: %x, %v", again.X509Certificate, err)
	}
}

// TestAnyValue writes and reads settings of all kinds of values.
func TestAnyValue(t *testing.T) {
	text := rapid.StringMatching(`[ -~é\n\t]{0,40}`)
	rapid.Check(t, func(t *rapid.T) {
		pointer := func(label string) bool { return rapid.Bool().Draw(t, label) }
		var v cim.AssociatedPowerManagementService
		if pointer("state") {
			v.PowerState = new(cim.PowerState(rapid.Uint16().Draw(t, "power state")))
		}
		if pointer("other") {
			v.OtherPowerState = new(text.Draw(t, "other power state"))
		}
		for range rapid.IntRange(0, 5).Draw(t, "count") {
			v.AvailableRequestedPowerStates = append(v.AvailableRequestedPowerStates, cim.PowerState(rapid.Uint16().Draw(t, "available")))
		}
		if pointer("user") {
			ref := wsman.Ref("CIM_ComputerSystem", "Name", text.Draw(t, "name"))
			ref.Address = wsman.Anonymous
			v.UserOfService = &ref
		}
		if pointer("extra") {
			v.Extra = []wsman.Element{wsman.El("urn:new", "New", text.Draw(t, "new")+"x")}
		}
		want := v.Element()
		root := wsman.Group("urn:test", "root", want)
		read, err := wsman.Parse(wsman.Append(nil, &root))
		if err != nil {
			t.Fatal(err)
		}
		var got cim.AssociatedPowerManagementService
		if err := got.Decode(&read.Children[0]); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Fatalf("want -, got +:\n%s", diff)
		}
	})
}

// FuzzDecode checks that what decodes once is stable: written and read again it is the same.
func FuzzDecode(f *testing.F) {
	m := catalogue(f)
	for _, name := range []string{"AMT_BootSettingData", "CIM_ElementSettingData", "AMT_PublicKeyCertificate", "IPS_AlarmClockOccurrence", "CIM_KVMRedirectionSAP"} {
		c := m.Class(name)
		for i := range c.Instances {
			e := c.Instances[i].Element(c)
			f.Add(name, string(wsman.Append(nil, &e)))
		}
	}
	f.Fuzz(func(t *testing.T, name, doc string) {
		e, err := wsman.Parse([]byte(doc))
		if err != nil {
			return
		}
		v := registry.New(name)
		if v == nil || v.Decode(&e) != nil {
			return
		}
		once := v.Element()
		again := registry.New(name)
		if err := again.Decode(&once); err != nil {
			t.Fatalf("%v\nof %v", err, once)
		}
		if diff := cmp.Diff(plain(once), plain(again.Element())); diff != "" {
			t.Errorf("once -, again +:\n%s", diff)
		}
	})
}

// BenchmarkDecode reads an answer of 3.2 KB, instances as AMT sends them, into its Go type: the XML, then the type.
func BenchmarkDecode(b *testing.B) {
	doc := reply(b)
	b.Run("XML and type", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			r, err := wsman.ParseResponse(doc)
			if err != nil {
				b.Fatal(err)
			}
			decodeItems(b, r)
		}
	})
	b.Run("type", func(b *testing.B) {
		r, err := wsman.ParseResponse(doc)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			decodeItems(b, r)
		}
	})
}

func decodeItems(b *testing.B, r *wsman.Response) {
	items := r.Body.Child("Items")
	for i := range items.Children {
		var v amt.EthernetPortSettings
		if err := v.Decode(&items.Children[i]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkElement(b *testing.B) {
	c := catalogue(b).Class("AMT_EthernetPortSettings")
	e := c.Instances[0].Element(c)
	var v amt.EthernetPortSettings
	if err := v.Decode(&e); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Element()
	}
}

// reply returns an answer to Pull of AMT_EthernetPortSettings with three ports.
func reply(b *testing.B) []byte {
	c := catalogue(b).Class("AMT_EthernetPortSettings")
	items := wsman.Group(wsman.NSEnumeration, "Items", c.Instances[0].Element(c), c.Instances[1].Element(c), c.Instances[2].Element(c))
	body := wsman.Group(wsman.NSEnumeration, "PullResponse", items, wsman.El(wsman.NSEnumeration, "EndOfSequence", ""))
	resp := wsman.Response{Action: wsman.ActionPull + wsman.ResponseSuffix, MessageID: wsman.MessageID(1), RelatesTo: "1", ResourceURI: c.URI(), Body: &body}
	return resp.Append(nil)
}
