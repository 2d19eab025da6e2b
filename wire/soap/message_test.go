package soap

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("testdata", "amttool_"+name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestParseCallOfAmttool(t *testing.T) {
	for _, tt := range []struct {
		file, path, method string
		params             []string // name=value, or name alone for a group
	}{
		{"GetCoreVersion", "/SecurityAdministrationService", "GetCoreVersion", nil},
		{"GetHostName", "/NetworkAdministrationService", "GetHostName", nil},
		{"GetDomainName", "/NetworkAdministrationService", "GetDomainName", nil},
		{"GetSystemPowerState", "/RemoteControlService", "GetSystemPowerState", nil},
		{"GetRemoteControlCapabilities", "/RemoteControlService", "GetRemoteControlCapabilities", nil},
		{"EnumerateInterfaces", "/NetworkAdministrationService", "EnumerateInterfaces", nil},
		{"GetInterfaceSettings", "/NetworkAdministrationService", "GetInterfaceSettings", []string{"InterfaceHandle=0"}},
		{"powerup_pxe", "/RemoteControlService", "RemoteControl", []string{"Command=17", "IanaOemNumber=343", "SpecialCommand=1"}},
		{"netconf_dhcp", "/NetworkAdministrationService", "SetInterfaceSettings", []string{"InterfaceHandle=0", "InterfaceDescriptor"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			service, ok := ServiceAt(tt.path)
			if !ok {
				t.Fatalf("no service at %s", tt.path)
			}
			call, err := ParseCall(service, recorded(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			var params []string
			for _, p := range call.Params {
				text := p.Local
				if p.TrimText() != "" {
					text += "=" + p.TrimText()
				}
				params = append(params, text)
			}
			if call.Method != tt.method || !cmp.Equal(params, tt.params) {
				t.Errorf("got %s %v, want %s %v", call.Method, params, tt.method, tt.params)
			}
		})
	}
}

func TestParseRemoteControl(t *testing.T) {
	for _, tt := range []struct {
		file string
		want RemoteControlRequest
	}{
		{"powerup_pxe", RemoteControlRequest{Command: PowerUp, IANA: IANAIntel, Special: ForcePXE, HasOptions: true}},
		{"powerdown", RemoteControlRequest{Command: PowerDown, IANA: IANAIntel}},
		{"powercycle", RemoteControlRequest{Command: PowerCycle, IANA: IANAIntel}},
		{"reset_bios", RemoteControlRequest{Command: Reset, IANA: IANAIntel, Special: IntelOEM, OEMParameters: OEMUseSOL, HasOptions: true}},
	} {
		call, err := ParseCall(RemoteControl, recorded(t, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRemoteControl(call)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v; want %+v", tt.file, got, err, tt.want)
		}
		// What we write for it reads the same.
		again, err := ParseRemoteControl(&Call{Service: RemoteControl, Params: got.Params()})
		if err != nil || again != got {
			t.Errorf("%s: written and read again %+v, %v; want %+v", tt.file, again, err, got)
		}
	}
	for name, params := range map[string][]wsman.Element{
		"no IANA number":     {wsman.El("", "Command", "16")},
		"command too wide":   {wsman.El("", "Command", "300"), wsman.El("", "IanaOemNumber", "343")},
		"option not numeric": {wsman.El("", "Command", "16"), wsman.El("", "IanaOemNumber", "343"), wsman.El("", "BootOptions", "x")},
	} {
		if _, err := ParseRemoteControl(&Call{Service: RemoteControl, Params: params}); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMessage)
		}
	}
}

func TestInterfaceDescriptor(t *testing.T) {
	call, err := ParseCall(NetworkAdministration, recorded(t, "netconf_static"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseInterfaceDescriptor(call.Param("InterfaceDescriptor"))
	if err != nil {
		t.Fatal(err)
	}
	want := &InterfaceDescriptor{Mode: SeparateMAC, LinkPolicy: 14, IPv4: &IPv4Parameters{
		Local: netip.MustParseAddr("10.0.0.5"), Mask: netip.MustParseAddr("255.0.0.0"), Gateway: netip.MustParseAddr("10.0.0.1"),
		DNS1: netip.MustParseAddr("10.0.0.2"), DNS2: netip.MustParseAddr("0.0.0.0"),
	}}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
	e := want.Element()
	again, err := ParseInterfaceDescriptor(&e)
	if diff := cmp.Diff(want, again, same); err != nil || diff != "" {
		t.Errorf("written and read again: %v\n%s", err, diff)
	}
}

func TestParseCallRefuses(t *testing.T) {
	wrap := func(body string) string {
		return `<s:Envelope xmlns:s="` + NSEnvelope + `"><s:Body>` + body + `</s:Body></s:Envelope>`
	}
	many := `<X xmlns="` + RemoteControl.Space() + `">`
	for range MaxParams + 1 {
		many += "<a/>"
	}
	many += "</X>"
	for name, doc := range map[string]string{
		"nothing":         "",
		"SOAP 1.2":        `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><X/></s:Body></s:Envelope>`,
		"no body":         `<s:Envelope xmlns:s="` + NSEnvelope + `"/>`,
		"empty body":      wrap(""),
		"two methods":     wrap("<X/><Y/>"),
		"other namespace": wrap(`<GetHostName xmlns="` + NetworkAdministration.Space() + `"/>`),
		"many parameters": wrap(many),
		"too long":        wrap("<X>" + string(make([]byte, MaxMessage)) + "</X>"),
	} {
		if call, err := ParseCall(RemoteControl, []byte(doc)); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %+v, %v; want %v", name, call, err, ErrMessage)
		}
	}
	call, err := ParseCall(RemoteControl, []byte(wrap(`<X xmlns="`+RemoteControl.Space()+`" xmlns:i="`+wsman.NSXSI+`"><A i:nil="true"/><B>1</B></X>`)))
	if err != nil || len(call.Params) != 1 || call.Param("B") == nil {
		t.Errorf("a null parameter: got %+v, %v; want B alone", call, err)
	}
}

func TestReply(t *testing.T) {
	want := &Reply{Service: RemoteControl, Method: "GetSystemPowerState", Params: []wsman.Element{
		wsman.El(RemoteControl.Space(), "SystemPowerState", "5")}}
	doc := want.Append(nil)
	const text = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`xmlns:b="http://schemas.intel.com/platform/client/RemoteControl/2004/01"><a:Body><b:GetSystemPowerStateResponse>` +
		`<b:Status>0</b:Status><b:SystemPowerState>5</b:SystemPowerState></b:GetSystemPowerStateResponse></a:Body></a:Envelope>`
	if string(doc) != text {
		t.Errorf("wrote %s\nwant  %s", doc, text)
	}
	got, err := ParseReply(RemoteControl, "GetSystemPowerState", doc)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("read again: %v\n%s", err, diff)
	}
	if _, err := ParseReply(RemoteControl, "RemoteControl", doc); !errors.Is(err, ErrMessage) {
		t.Errorf("answer to another call: got %v, want %v", err, ErrMessage)
	}
	f := &Fault{Code: "Client", Text: "no <such> method"}
	_, err = ParseReply(RemoteControl, "X", f.Append(nil))
	var back *Fault
	if !errors.As(err, &back) || *back != *f {
		t.Errorf("fault read again: got %v, want %v", err, f)
	}
	refused := (&Reply{Service: RemoteControl, Method: "X", Status: status.InvalidCommand}).Append(nil)
	if got, err := ParseReply(RemoteControl, "X", refused); err != nil || got.Status != status.InvalidCommand {
		t.Errorf("refusal: got %+v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		doc, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add((&Reply{Service: RemoteControl, Method: "X", Params: Capabilities{1, 2, 3, 4, 5}.Params()}).Append(nil))
	f.Add((&Fault{Code: "Server", Text: "x"}).Append(nil))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, service := range []Service{SecurityAdministration, NetworkAdministration, RemoteControl} {
			call, err := ParseCall(service, doc)
			if err != nil {
				if !errors.Is(err, ErrMessage) {
					t.Fatalf("error %v does not wrap ErrMessage", err)
				}
				continue
			}
			again, err := ParseCall(service, call.Append(nil))
			if err != nil || again.Method != call.Method || len(again.Params) != len(call.Params) {
				t.Fatalf("%+v written and read again: %+v, %v", call, again, err)
			}
			if r, err := ParseRemoteControl(call); err == nil {
				back, err := ParseRemoteControl(&Call{Service: service, Params: r.Params()})
				if back.HasOptions = r.HasOptions; err != nil || back != r {
					t.Fatalf("%+v written and read again: %+v, %v", r, back, err)
				}
			}
			if d, err := ParseInterfaceDescriptor(call.Param("InterfaceDescriptor")); err == nil {
				e := d.Element()
				if _, err := ParseInterfaceDescriptor(&e); err != nil {
					t.Fatalf("%+v written and read again: %v", d, err)
				}
			}
		}
		ParseReply(RemoteControl, "X", doc)
	})
}
