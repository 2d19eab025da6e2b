package soap

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// box is a machine for tests: it remembers what it was told.
type box struct {
	power    SystemPowerState
	last     RemoteControlRequest
	settings map[uint32]*InterfaceDescriptor
}

func boxMux() *Mux[*box] {
	mux := &Mux[*box]{}
	text := func(service Service, method, name, value string) {
		mux.Handle(service, method, func(context.Context, *box, *Call) ([]wsman.Element, status.Status, error) {
			return []wsman.Element{wsman.El(service.Space(), name, value)}, status.Success, nil
		})
	}
	text(SecurityAdministration, "GetCoreVersion", "Version", "7.1.91")
	text(NetworkAdministration, "GetHostName", "HostName", "pc7")
	text(NetworkAdministration, "GetDomainName", "DomainName", "lab.example")
	mux.Handle(RemoteControl, "GetSystemPowerState", func(_ context.Context, b *box, _ *Call) ([]wsman.Element, status.Status, error) {
		return []wsman.Element{numberElement(RemoteControl.Space(), "SystemPowerState", uint64(b.power))}, status.Success, nil
	})
	mux.Handle(RemoteControl, "GetRemoteControlCapabilities", func(context.Context, *box, *Call) ([]wsman.Element, status.Status, error) {
		return Capabilities{IANAIntel, 0x1f, 0x1f00, 0xf, 0x1000}.Params(), status.Success, nil
	})
	mux.Handle(RemoteControl, "RemoteControl", func(_ context.Context, b *box, call *Call) ([]wsman.Element, status.Status, error) {
		r, err := ParseRemoteControl(call)
		if err != nil {
			return nil, 0, err
		}
		if !r.Special.Known() {
			return nil, status.InvalidSpecialCommand, nil
		}
		b.last = r
		return nil, status.Success, nil
	})
	mux.Handle(NetworkAdministration, "EnumerateInterfaces", func(context.Context, *box, *Call) ([]wsman.Element, status.Status, error) {
		return HandleParams(Wired, Wireless), status.Success, nil
	})
	mux.Handle(NetworkAdministration, "GetInterfaceSettings", func(_ context.Context, b *box, call *Call) ([]wsman.Element, status.Status, error) {
		handle, err := ParseHandle(call)
		if err != nil {
			return nil, 0, err
		}
		d := b.settings[handle]
		if d == nil {
			return nil, status.InvalidHandle, nil
		}
		return []wsman.Element{d.Element()}, status.Success, nil
	})
	mux.Handle(NetworkAdministration, "SetInterfaceSettings", func(_ context.Context, b *box, call *Call) ([]wsman.Element, status.Status, error) {
		handle, err := ParseHandle(call)
		if err != nil {
			return nil, 0, err
		}
		d, err := ParseInterfaceDescriptor(call.Param("InterfaceDescriptor"))
		if err != nil {
			return nil, 0, err
		}
		b.settings[handle] = d
		return nil, status.Success, nil
	})
	mux.Handle(RemoteControl, "Broken", func(context.Context, *box, *Call) ([]wsman.Element, status.Status, error) {
		return nil, 0, errors.New("secret detail")
	})
	return mux
}

// wire connects a Client to a Mux without HTTP.
type wire struct {
	mux *Mux[*box]
	box *box
}

func (w wire) Post(ctx context.Context, path, soapAction string, body []byte) (int, []byte, error) {
	code, reply := w.mux.Serve(ctx, w.box, path, body)
	return code, reply, nil
}

func TestClientAndMux(t *testing.T) {
	b := &box{power: 0x35, settings: map[uint32]*InterfaceDescriptor{}}
	c := &Client{Poster: wire{boxMux(), b}}
	ctx := t.Context()

	if v, err := c.GetCoreVersion(ctx); v != "7.1.91" || err != nil {
		t.Errorf("GetCoreVersion: %q, %v", v, err)
	}
	if v, err := c.GetHostName(ctx); v != "pc7" || err != nil {
		t.Errorf("GetHostName: %q, %v", v, err)
	}
	if v, err := c.GetDomainName(ctx); v != "lab.example" || err != nil {
		t.Errorf("GetDomainName: %q, %v", v, err)
	}
	if v, err := c.GetSystemPowerState(ctx); v != S5 || err != nil { // the upper bits are masked off
		t.Errorf("GetSystemPowerState: %v, %v; want %v", v, err, S5)
	}
	want := Capabilities{IANAIntel, 0x1f, 0x1f00, 0xf, 0x1000}
	if v, err := c.GetRemoteControlCapabilities(ctx); v != want || err != nil {
		t.Errorf("GetRemoteControlCapabilities: %+v, %v; want %+v", v, err, want)
	}
	ask := RemoteControlRequest{Command: Reset, IANA: IANAIntel, Special: IntelOEM, SpecialParam: OEMSetup, HasOptions: true}
	if err := c.RemoteControl(ctx, ask); err != nil || b.last != ask {
		t.Errorf("RemoteControl: %v, machine got %+v, want %+v", err, b.last, ask)
	}
	var refusal *status.Error
	if err := c.RemoteControl(ctx, RemoteControlRequest{Command: Reset, IANA: IANAIntel, Special: 7}); !errors.As(err, &refusal) || refusal.Code != status.InvalidSpecialCommand {
		t.Errorf("unknown special command: got %v, want %v", err, status.InvalidSpecialCommand)
	}
	if handles, err := c.EnumerateInterfaces(ctx); !cmp.Equal(handles, []uint32{0, 1}) || err != nil {
		t.Errorf("EnumerateInterfaces: %v, %v", handles, err)
	}
	d := &InterfaceDescriptor{Mode: SeparateMAC, LinkPolicy: 1, IPv4: &IPv4Parameters{Local: netip.MustParseAddr("192.168.1.5")}}
	if err := c.SetInterfaceSettings(ctx, Wired, d); err != nil {
		t.Errorf("SetInterfaceSettings: %v", err)
	}
	if got, err := c.GetInterfaceSettings(ctx, Wired); err != nil || got.IPv4.Local != d.IPv4.Local || got.Mode != d.Mode {
		t.Errorf("GetInterfaceSettings: %+v, %v; want %+v", got, err, d)
	}
}

func TestClientErrors(t *testing.T) {
	b := &box{settings: map[uint32]*InterfaceDescriptor{}}
	c := &Client{Poster: wire{boxMux(), b}}
	if _, err := c.Call(t.Context(), HardwareAsset, "EnumerateAssetTypes"); !errors.Is(err, ErrNoService) {
		t.Errorf("service without methods: got %v, want %v", err, ErrNoService)
	}
	var f *Fault
	if _, err := c.Call(t.Context(), RemoteControl, "NoSuchMethod"); !errors.As(err, &f) || f.Code != "Client" {
		t.Errorf("unknown method: got %v, want a fault of the client", err)
	}
	if _, err := c.Call(t.Context(), RemoteControl, "Broken"); !errors.As(err, &f) || *f != (Fault{"Server", "internal error"}) {
		t.Errorf("broken method: got %v, want a fault that does not tell", err)
	}
	if _, err := c.Call(t.Context(), NetworkAdministration, "GetInterfaceSettings"); !errors.As(err, &f) || f.Code != "Client" {
		t.Errorf("parameter left out: got %v, want a fault of the client", err)
	}
	for name, p := range map[string]canned{
		"HTTP status":   {http.StatusForbidden, nil, nil},
		"not XML":       {http.StatusOK, []byte("ok"), nil},
		"answer of old": {http.StatusOK, (&Reply{Service: NetworkAdministration, Method: "GetDomainName"}).Append(nil), nil},
		"no parameter":  {http.StatusOK, (&Reply{Service: NetworkAdministration, Method: "GetHostName"}).Append(nil), nil},
	} {
		if _, err := (&Client{Poster: p}).GetHostName(t.Context()); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMessage)
		}
	}
	broken := errors.New("connection lost")
	if _, err := (&Client{Poster: canned{err: broken}}).GetHostName(t.Context()); !errors.Is(err, broken) {
		t.Errorf("poster's error: got %v, want %v", err, broken)
	}
}

type canned struct {
	code int
	doc  []byte
	err  error
}

func (c canned) Post(context.Context, string, string, []byte) (int, []byte, error) {
	return c.code, c.doc, c.err
}

func BenchmarkServe(b *testing.B) {
	mux, machine := boxMux(), &box{power: S5}
	doc := recorded(b, "GetSystemPowerState")
	b.ReportAllocs()
	for b.Loop() {
		if code, _ := mux.Serve(b.Context(), machine, "/RemoteControlService", doc); code != http.StatusOK {
			b.Fatal(code)
		}
	}
}
