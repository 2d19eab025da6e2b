package wsman

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRequestOnTheWire(t *testing.T) {
	req := Request{Action: ActionGet, ResourceURI: NSCIM + "CIM_Chip", MessageID: "7", MaxEnvelopeSize: 51200, OperationTimeout: 1500 * time.Millisecond,
		Selectors: Selectors{{Name: "Tag", Value: "CPU <0>"}}, Header: []Element{El("urn:x", "Extra", "y")}}
	got := string(req.Append(nil))
	want := Declaration + `<a:Envelope xmlns:a="` + NSSoap + `" xmlns:b="` + NSAddressing + `" xmlns:c="` + NSWSMan + `" xmlns:d="urn:x"><a:Header>` +
		`<b:Action>` + ActionGet + `</b:Action><b:To>/wsman</b:To><c:ResourceURI>` + NSCIM + `CIM_Chip</c:ResourceURI><b:MessageID>7</b:MessageID>` +
		`<b:ReplyTo><b:Address>` + Anonymous + `</b:Address></b:ReplyTo><c:OperationTimeout>PT1.5S</c:OperationTimeout><c:MaxEnvelopeSize>51200</c:MaxEnvelopeSize>` +
		`<c:SelectorSet><c:Selector Name="Tag">CPU &lt;0&gt;</c:Selector></c:SelectorSet><d:Extra>y</d:Extra></a:Header><a:Body></a:Body></a:Envelope>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	again, err := ParseRequest([]byte(got))
	req.To = "/wsman"
	if err != nil || !reflect.DeepEqual(*again, req) {
		t.Errorf("got %+v, %v; want %+v", again, err, req)
	}
}

// Requests of other clients, in their own shapes.
func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      Request
	}{
		{"default namespaces, quotes, must understand", `<?xml version='1.0' encoding='utf-8'?>
			<Envelope xmlns='` + NSSoap + `' xmlns:w='` + NSWSMan + `'>
			<Header><Action xmlns='` + NSAddressing + `' mustUnderstand='1'> ` + ActionPut + ` </Action>
			<MessageID xmlns='` + NSAddressing + `'>uuid:1</MessageID><w:ResourceURI>x</w:ResourceURI><w:Locale xml:lang='en'/>
			<w:SelectorSet><w:Selector w:Name='a'>b</w:Selector></w:SelectorSet></Header>
			<Body><r:x xmlns:r='x'/></Body></Envelope>`,
			Request{Action: ActionPut, MessageID: "uuid:1", ResourceURI: "x", Selectors: Selectors{{Name: "a", Value: "b"}}, Body: &Element{Name: Name{"x", "x"}}}},
		{"identify", `<s:Envelope xmlns:s="` + NSSoap + `"><s:Header/><s:Body><i:Identify xmlns:i="` + NSIdentity + `"/></s:Body></s:Envelope>`,
			Request{Body: &Element{Name: Name{NSIdentity, "Identify"}}}},
		{"identify without a header", `<s:Envelope xmlns:s="` + NSSoap + `"><s:Body><i:Identify xmlns:i="` + NSIdentity + `"/></s:Body></s:Envelope>`,
			Request{Body: &Element{Name: Name{NSIdentity, "Identify"}}}},
		{"odd limits", `<s:Envelope xmlns:s="` + NSSoap + `"><s:Header><Action>a</Action><OperationTimeout>-PT1S</OperationTimeout><MaxEnvelopeSize>-5</MaxEnvelopeSize></s:Header><s:Body/></s:Envelope>`,
			Request{Action: "a"}},
	} {
		got, err := ParseRequest([]byte(tt.doc))
		if err != nil || !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
	}
	for _, tt := range []struct {
		name, doc string
		want      error
	}{
		{"no XML", "x", ErrXML},
		{"no envelope", "<x/>", &Fault{}},
		{"SOAP 1.1", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>`, &Fault{}},
		{"no body", `<s:Envelope xmlns:s="` + NSSoap + `"/>`, &Fault{}},
		{"no action", `<s:Envelope xmlns:s="` + NSSoap + `"><s:Body/></s:Envelope>`, ErrHeaderRequired},
		{"bad selectors", `<s:Envelope xmlns:s="` + NSSoap + `"><s:Header><SelectorSet><Selector/></SelectorSet><Action>a</Action><MessageID>9</MessageID></s:Header><s:Body/></s:Envelope>`, ErrInvalidSelectors},
	} {
		got, err := ParseRequest([]byte(tt.doc))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
		if tt.name == "bad selectors" && (got == nil || got.MessageID != "9") {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

func TestParseResponseRefuses(t *testing.T) {
	for _, doc := range []string{"", "x", "<html></html>", `<s:Envelope xmlns:s="` + NSSoap + `"/>`, "<Envelope><Body/></Envelope>"} {
		if got, err := ParseResponse([]byte(doc)); !errors.Is(err, ErrXML) {
			t.Errorf("%q: got %+v, %v", doc, got, err)
		}
	}
}

func TestFaultOnTheWire(t *testing.T) {
	for _, f := range append([]*Fault{
		{Code: "MustUnderstand", Reason: nasty},
		{Code: "Sender", Subcode: Name{Local: "SomethingNew"}, Reason: "x", Detail: "AMT-STATUS 2058"},
	}, knownFaults...) {
		resp := Response{RelatesTo: "1", MessageID: "2", Fault: f}
		got, err := ParseResponse(resp.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		want := *f
		want.Reason = strings.TrimSpace(f.Reason)
		if !reflect.DeepEqual(*got.Fault, want) || got.Action != f.Action() || got.Body != nil {
			t.Errorf("got %+v, want %+v", got.Fault, want)
		}
		if !errors.Is(got.Fault, f) || f.HTTPStatus() != map[string]int{"Receiver": 500}[f.Code]+map[string]int{"Sender": 400, "MustUnderstand": 400}[f.Code] {
			t.Errorf("%v: status %d", f, f.HTTPStatus())
		}
	}
	f := ErrAccessDenied.With("http://x/y/z")
	f.Reason = "a\x1b[31m\n" + strings.Repeat("b", 1000)
	if got := f.Error(); len(got) > 300 || strings.ContainsAny(got, "\x1b\n") || !strings.HasSuffix(got, "(z)") {
		t.Errorf("got %q", got)
	}
	if errors.Is(f, ErrInternal) || !errors.Is(f, ErrAccessDenied) || ErrAccessDenied.Detail != "" {
		t.Errorf("%v", f)
	}
	sub, err := ParseResponse([]byte(`<s:Envelope xmlns:s="` + NSSoap + `"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>busy</s:Text></s:Reason>` +
		`<s:Detail><w:FaultDetail xmlns:w="w">a</w:FaultDetail> b <x>c</x></s:Detail></s:Fault></s:Body></s:Envelope>`))
	if err != nil || *sub.Fault != (Fault{Code: "Receiver", Reason: "busy", Detail: "b a c"}) || sub.Fault.Error() != "the machine answers with fault Receiver: busy (b a c)" {
		t.Errorf("got %+v, %v", sub.Fault, err)
	}
}

func FuzzResponse(f *testing.F) {
	for _, name := range []string{"pull-chip.xml", "create.xml"} {
		f.Add(testdata(f, name))
	}
	f.Add(recordedReply(f, "fault.http").body)
	f.Add([]byte(`<s:Envelope xmlns:s="` + NSSoap + `"><s:Body><s:Fault/></s:Body></s:Envelope>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		first, err := ParseResponse(doc)
		if err != nil {
			return
		}
		if first.Fault != nil && len(first.Fault.Error()) > 4*maxText {
			t.Errorf("long error: %v", first.Fault)
		}
		once := first.Append(nil)
		second, err := ParseResponse(once)
		if err != nil {
			if errors.Is(err, ErrXML) && strings.Contains(err.Error(), "over the limit") || len(once) > MaxDocument {
				return
			}
			t.Fatalf("%q written as %q: %v", doc, once, err)
		}
		if twice := second.Append(nil); string(twice) != string(once) {
			t.Errorf("%q written as\n%q, then\n%q", doc, once, twice)
		}
	})
}

func FuzzRequest(f *testing.F) {
	ref := Ref("CIM_Chip", "Tag", nasty)
	body := Group("urn:x", "x", El("urn:x", "y", nasty))
	for _, req := range []Request{
		getRequest,
		{Action: ActionPut, ResourceURI: "x", Selectors: Selectors{{Name: "a", Value: nasty}, {Name: "b", EPR: &ref}}, Body: &body, OperationTimeout: time.Second, MaxEnvelopeSize: 1},
		{Body: &Element{Name: Name{NSIdentity, "Identify"}}},
	} {
		f.Add(req.Append(nil))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		first, err := ParseRequest(doc)
		if err != nil {
			var fault *Fault
			if !errors.Is(err, ErrXML) && !errors.As(err, &fault) {
				t.Errorf("%q: %v", doc, err)
			}
			return
		}
		if first.OperationTimeout > 1000*time.Hour { // more than float64 has digits for
			return
		}
		once := first.Append(nil)
		second, err := ParseRequest(once)
		if err != nil {
			t.Fatalf("%q written as %q: %v", doc, once, err)
		}
		if twice := second.Append(nil); string(twice) != string(once) {
			t.Errorf("%q written as\n%q, then\n%q", doc, once, twice)
		}
		if !first.Selectors.Equal(second.Selectors) {
			t.Errorf("%v became %v", first.Selectors, second.Selectors)
		}
	})
}
