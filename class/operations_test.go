package class_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/registry"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

func TestGetAndPut(t *testing.T) {
	ctx := context.Background()
	kept := wsman.El(wsman.NSAMT+"AMT_BootSettingData", "Newer", "1")
	first := amt.BootSettingData{InstanceID: new("Intel(r) AMT:BootSettingData 0"), UseSOL: new(false), RSEPassword: new(""), Extra: []wsman.Element{kept}}
	m := &machine{instances: []wsman.Element{first.Element()}}

	v, err := class.Get[amt.BootSettingData](ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&first, v); diff != "" {
		t.Errorf("got (want -, got +):\n%s", diff)
	}
	v.UseSOL = new(true)
	if v, err = class.Put(ctx, m, v); err != nil {
		t.Fatal(err)
	}
	if m.last.Selectors.Value("InstanceID") != "Intel(r) AMT:BootSettingData 0" {
		t.Errorf("put with selectors %v", m.last.Selectors)
	}
	want := first
	want.UseSOL, want.RSEPassword = new(true), nil // a password that came back empty is not sent
	if diff := cmp.Diff(&want, v); diff != "" {
		t.Errorf("put (want -, got +):\n%s", diff)
	}

	_, err = class.Get[cim.Chassis](ctx, m)
	if !errors.Is(err, wsman.ErrInvalidSelectors) {
		t.Errorf("get of what is not there: %v", err)
	}
	if err == nil || err.Error()[:16] != "get CIM_Chassis:" {
		t.Errorf("error does not say what was tried: %v", err)
	}
}

func TestCreateAndDelete(t *testing.T) {
	ctx := context.Background()
	m := &machine{}
	ref, err := class.Create(ctx, m, &amt.SystemDefensePolicy{InstanceID: new("policy 1"), PolicyName: new("web")})
	if err != nil || ref.Class() != "AMT_SystemDefensePolicy" {
		t.Fatalf("created %v, %v", ref, err)
	}
	if v, err := class.Get[amt.SystemDefensePolicy](ctx, m, ref.Selectors...); err != nil || class.Value(v.PolicyName) != "web" {
		t.Errorf("got %v, %v", v, err)
	}
	if err := class.Delete[amt.SystemDefensePolicy](ctx, m, ref.Selectors...); err != nil || len(m.instances) != 0 {
		t.Errorf("delete: %v, left %d", err, len(m.instances))
	}
	if err := class.Delete[amt.SystemDefensePolicy](ctx, m, ref.Selectors...); !errors.Is(err, wsman.ErrInvalidSelectors) {
		t.Errorf("second delete: %v", err)
	}
}

// TestEnumerateSubclasses enumerates CIM_Chip, which gives memory too.
func TestEnumerateSubclasses(t *testing.T) {
	ctx := context.Background()
	chip, memory, card := cim.Chip{Tag: new("CPU 0")}, cim.PhysicalMemory{Tag: new("0"), Capacity: new(uint64(1 << 33))}, cim.Card{Tag: new("board")}
	newer := wsman.Group("urn:vendor/OEM_Chip", "OEM_Chip", wsman.El("urn:vendor/OEM_Chip", "Tag", "x"))
	m := &machine{instances: []wsman.Element{chip.Element(), memory.Element(), card.Element(), newer}}

	chips, err := class.All[cim.Chip](ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if len(chips) != 2 || *chips[0].Tag != "CPU 0" || *chips[1].Tag != "0" {
		t.Fatalf("got %d chips: %v", len(chips), chips)
	}
	if len(chips[1].Extra) != 1 || chips[1].Extra[0].Local != "Capacity" {
		t.Errorf("memory as a chip has extra %v", chips[1].Extra)
	}
	memories, err := class.All[cim.PhysicalMemory](ctx, m)
	if err != nil || len(memories) != 1 {
		t.Errorf("got %d memories, %v", len(memories), err)
	}

	var types []string
	for v, err := range registry.Enumerate(ctx, m, "CIM_Chip") {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, v.ClassName())
	}
	if diff := cmp.Diff([]string{"CIM_Chip", "CIM_PhysicalMemory", "CIM_Card", "OEM_Chip"}, types); diff != "" {
		t.Errorf("any type:\n%s", diff)
	}
	for range class.Enumerate[cim.Chip](ctx, m) {
		break // stopping early must not end in a panic
	}
	m.instances[0].Children = append(m.instances[0].Children, wsman.El("", "Removable", "perhaps"))
	if chips, err = class.All[cim.Chip](ctx, m); !errors.Is(err, class.ErrValue) {
		t.Errorf("a bad value gives %v, %v", chips, err)
	}
}

// TestInvoke calls a method from both ends.
func TestInvoke(t *testing.T) {
	ctx := context.Background()
	m := &machine{}
	var got cim.PowerManagementServiceRequestPowerStateChangeIn
	var code status.Status
	class.Handle(&m.mux, cim.PowerManagementServiceRequestPowerStateChange,
		func(_ context.Context, _ *machine, _ wsman.Selectors, in cim.PowerManagementServiceRequestPowerStateChangeIn) (cim.PowerManagementServiceRequestPowerStateChangeOut, status.Status, error) {
			got = in
			return cim.PowerManagementServiceRequestPowerStateChangeOut{}, code, nil
		})
	ref := wsman.Ref("CIM_ComputerSystem", "Name", "ManagedSystem")
	ref.Address = wsman.Anonymous
	in := cim.PowerManagementServiceRequestPowerStateChangeIn{PowerState: new(cim.PowerStateMasterBusReset), ManagedElement: &ref}
	if _, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(ctx, m, in); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("the machine read (want -, got +):\n%s", diff)
	}
	var names []string
	for _, c := range m.last.Body.Children {
		names = append(names, c.Local)
	}
	if diff := cmp.Diff([]string{"PowerState", "ManagedElement"}, names); diff != "" {
		t.Errorf("inputs sent:\n%s", diff)
	}

	for _, tt := range []struct {
		code status.Status
		want string
		is   error
	}{
		{2, "CIM_PowerManagementService.RequestPowerStateChange: refused with not ready", status.ErrNotReady},
		{5, "CIM_PowerManagementService.RequestPowerStateChange: refused with invalid parameter", status.ErrInvalidParameter},
		{32768 + 16, "CIM_PowerManagementService.RequestPowerStateChange: refused with not permitted (32768 + 16)", status.ErrNotPermitted},
		{4099, "CIM_PowerManagementService.RequestPowerStateChange: refused with busy", status.ErrBusy},
		{99, "CIM_PowerManagementService.RequestPowerStateChange: refused with unknown (99)", nil},
	} {
		code = tt.code
		_, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(ctx, m, in)
		var refused *status.Error
		if !errors.As(err, &refused) || refused.Code != tt.code || err.Error() != tt.want {
			t.Errorf("%d: %v, want %s", tt.code, err, tt.want)
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%d: %v is not %v", tt.code, err, tt.is)
		}
	}
	if _, err := cim.BootServiceSetBootConfigRole.Invoke(ctx, m, cim.BootServiceSetBootConfigRoleIn{}); !errors.Is(err, wsman.ErrActionNotSupported) {
		t.Errorf("a method without a handler: %v", err)
	}
}

// TestOutputs sends outputs of several types back; ReturnValue comes last.
func TestOutputs(t *testing.T) {
	ctx := context.Background()
	m := &machine{}
	want := amt.MessageLogGetRecordsOut{IterationIdentifier: new("3"), NoMoreRecords: new(false), RecordArray: []string{"AQID", ""}}
	class.Handle(&m.mux, amt.MessageLogGetRecords,
		func(_ context.Context, on *machine, sel wsman.Selectors, in amt.MessageLogGetRecordsIn) (amt.MessageLogGetRecordsOut, status.Status, error) {
			if on != m || sel.Value("Name") != "log" || class.Value(in.MaxReadRecords) != 390 {
				return amt.MessageLogGetRecordsOut{}, 0, wsman.ErrInvalidParameter
			}
			return want, 0, nil
		})
	in := amt.MessageLogGetRecordsIn{IterationIdentifier: new("1"), MaxReadRecords: new(uint32(390))}
	got, err := amt.MessageLogGetRecords.Invoke(ctx, m, in, wsman.Selector{Name: "Name", Value: "log"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	in.MaxReadRecords = nil
	if _, err = amt.MessageLogGetRecords.Invoke(ctx, m, in); !errors.Is(err, wsman.ErrInvalidParameter) {
		t.Errorf("a fault from the handler: %v", err)
	}
	bad := wsman.Group("", "GetRecords_INPUT", wsman.El("", "MaxReadRecords", "many"))
	out, found, err := m.mux.Invoke(ctx, m, "AMT_MessageLog", "GetRecords", nil, &bad)
	if !found || !errors.Is(err, wsman.ErrInvalidParameter) {
		t.Errorf("an input that is no number: %v, %v, %v", out, found, err)
	}
	out, found, err = m.mux.Invoke(ctx, m, "AMT_MessageLog", "ClearLog", nil, nil)
	if found || err != nil || m.mux.Has("AMT_MessageLog", "ClearLog") || !m.mux.Has("AMT_MessageLog", "GetRecords") {
		t.Errorf("a method without a handler: %v, %v, %v", out, found, err)
	}
}

func TestReturnValue(t *testing.T) {
	ctx := context.Background()
	space := wsman.NSAMT + "AMT_SetupAndConfigurationService"
	for _, tt := range []struct {
		name string
		out  wsman.Element
		want error
		code status.Status
	}{
		{"missing", wsman.Group(space, "CommitChanges_OUTPUT"), class.ErrValue, 0},
		{"empty", wsman.Group(space, "CommitChanges_OUTPUT", wsman.El(space, "ReturnValue", "")), class.ErrValue, 0},
		{"no number", wsman.Group(space, "CommitChanges_OUTPUT", wsman.El(space, "ReturnValue", "ok")), class.ErrValue, 0},
		{"-1", wsman.Group(space, "CommitChanges_OUTPUT", wsman.El(space, "ReturnValue", "-1")), nil, 1<<32 - 1},
		{"data missing", wsman.Group(space, "CommitChanges_OUTPUT", wsman.El(space, "ReturnValue", "2057")), nil, status.DataMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{answer: &tt.out}
			_, err := amt.SetupAndConfigurationServiceCommitChanges.Invoke(ctx, m, amt.SetupAndConfigurationServiceCommitChangesIn{})
			var refused *status.Error
			switch {
			case tt.want != nil:
				if !errors.Is(err, tt.want) || errors.As(err, &refused) {
					t.Errorf("got %v", err)
				}
			case !errors.As(err, &refused) || refused.Code != tt.code:
				t.Errorf("got %v, want code %d", err, tt.code)
			}
		})
	}
}

// TestEmbedded passes an embedded instance: the parameter is in the method's namespace, what is in it in its own.
func TestEmbedded(t *testing.T) {
	ctx := context.Background()
	m := &machine{}
	want := cim.WiFiEndpointSettings{ElementName: new("office"), SSID: new("net & co"), PSKPassPhrase: new("secret 1"),
		AuthenticationMethod: new(cim.WiFiEndpointSettingsAuthenticationMethodWPA2PSK)}
	var got cim.WiFiEndpointSettings
	class.Handle(&m.mux, amt.WiFiPortConfigurationServiceAddWiFiSettings,
		func(_ context.Context, _ *machine, _ wsman.Selectors, in amt.WiFiPortConfigurationServiceAddWiFiSettingsIn) (out amt.WiFiPortConfigurationServiceAddWiFiSettingsOut, _ status.Status, err error) {
			return out, 0, got.Decode(in.WiFiEndpointSettingsInput)
		})
	in := amt.WiFiPortConfigurationServiceAddWiFiSettingsIn{WiFiEndpointSettingsInput: new(want.Element())}
	if _, err := amt.WiFiPortConfigurationServiceAddWiFiSettings.Invoke(ctx, m, in); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	e := m.last.Body.Child("WiFiEndpointSettingsInput")
	if e.Space != wsman.NSAMT+"AMT_WiFiPortConfigurationService" || e.Children[0].Space != wsman.NSCIM+"CIM_WiFiEndpointSettings" {
		t.Errorf("sent in namespaces %s and %s", e.Space, e.Children[0].Space)
	}
}
