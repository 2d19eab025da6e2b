package conformance

import (
	"os"
	"strings"
	"testing"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

// kvmLines are what people paste into a shell to be able to look at the screen with a VNC viewer: five calls of wsmancli
// that set a password, open port 5900, do without consent and time limit, and switch the service on.
// Source: iranzo.io, "Intel AMT on Linux for remote control/fencing", 2015; the same lines stand in many places.
const kvmLines = `
wsman put http://intel.com/wbem/wscim/1/ips-schema/1/IPS_KVMRedirectionSettingData -h ${AMT_HOST} -P 16992 -u admin -p ${AMT_PASSWORD} -k RFBPassword=${VNC_PASSWORD}
wsman put http://intel.com/wbem/wscim/1/ips-schema/1/IPS_KVMRedirectionSettingData -h ${AMT_HOST} -P 16992 -u admin -p ${AMT_PASSWORD} -k Is5900PortEnabled=true
wsman put http://intel.com/wbem/wscim/1/ips-schema/1/IPS_KVMRedirectionSettingData -h ${AMT_HOST} -P 16992 -u admin -p ${AMT_PASSWORD} -k OptInPolicy=false
wsman put http://intel.com/wbem/wscim/1/ips-schema/1/IPS_KVMRedirectionSettingData -h ${AMT_HOST} -P 16992 -u admin -p ${AMT_PASSWORD} -k SessionTimeout=0
wsman invoke -a RequestStateChange http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_KVMRedirectionSAP -h ${AMT_HOST} -P 16992 -u admin -p ${AMT_PASSWORD} -k RequestedState=2
wsman get http://intel.com/wbem/wscim/1/ips-schema/1/IPS_KVMRedirectionSettingData -h ${AMT_HOST} -P 16992 -u admin -p ${AMT_PASSWORD}
`

// TestWsmanLines has a shell run the lines as they stand, with our command called wsman.
func TestWsmanLines(t *testing.T) {
	t.Parallel()
	shell := tool(t, "sh", "dash")
	for _, generation := range []int{11, 12} {
		const password = "Qwer123$"
		w := machine(t, lab.Machine{Profile: generation, Power: "on", Password: password})
		c := ours(t, w)
		c.Password = password

		before, err := class.Get[ips.KVMRedirectionSettingData](t.Context(), c)
		check(t, err)
		before.OptInPolicy, before.SessionTimeout, before.Is5900PortEnabled = new(true), new(uint16(3)), new(false)
		_, err = class.Put(t.Context(), c, before)
		check(t, err)
		_, err = cim.KVMRedirectionSAPRequestStateChange.Invoke(t.Context(), c,
			cim.KVMRedirectionSAPRequestStateChangeIn{RequestedState: new(cim.RequestedStateDisabled)})
		check(t, err)

		env := []string{"AMT_HOST=" + w.Address, "AMT_PASSWORD=" + password, "VNC_PASSWORD=Vnc-123$",
			"PATH=" + calledAs(t, "wsman") + string(os.PathListSeparator) + os.Getenv("PATH")}
		got := run(t, env, "", shell, "-e", "-c", kvmLines)
		if got.code != 0 || got.err != "" {
			t.Errorf("exit %d, %s\n%s", got.code, got.err, got.out)
		}
		documents := documents(t, got.out)
		if len(documents) != 6 {
			t.Fatalf("%d documents on standard output, want 6:\n%s", len(documents), got.out)
		}
		if v := documents[4].Find("Body", "RequestStateChange_OUTPUT", "ReturnValue").TrimText(); v != "0" {
			t.Errorf("RequestStateChange: return value %q", v)
		}
		if v := documents[5].Find("Body", "IPS_KVMRedirectionSettingData", "Is5900PortEnabled").TrimText(); v != "true" {
			t.Errorf("the last get shows Is5900PortEnabled %q", v)
		}

		kvm, err := class.Get[ips.KVMRedirectionSettingData](t.Context(), c)
		check(t, err)
		equal(t, "Is5900PortEnabled", class.Value(kvm.Is5900PortEnabled), true)
		equal(t, "OptInPolicy", class.Value(kvm.OptInPolicy), false)
		equal(t, "SessionTimeout", class.Value(kvm.SessionTimeout), 0)
		equal(t, "password given back", class.Value(kvm.RFBPassword), "")
		state, err := w.Firmware.State()
		check(t, err)
		if kept := string(state.Secrets["IPS_KVMRedirectionSettingData"]); !strings.Contains(kept, "Vnc-123$") {
			t.Error("the machine does not have the VNC password")
		}
		sap, err := class.Get[cim.KVMRedirectionSAP](t.Context(), c)
		check(t, err)
		equal(t, "RequestedState", class.Value(sap.RequestedState), cim.RequestedStateEnabled)
		if s := class.Value(sap.EnabledState); s != cim.EnabledStateEnabled && s != cim.EnabledStateEnabledButOffline {
			t.Errorf("EnabledState is %v", s)
		}
	}
}

// documents splits what wsmancli prints: one XML document after the other, each with its declaration.
func documents(t testing.TB, out string) []wsman.Element {
	t.Helper()
	var list []wsman.Element
	for _, text := range strings.Split(out, "<?xml")[1:] {
		doc, err := wsman.Parse([]byte("<?xml" + strings.TrimSpace(text)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, doc)
	}
	return list
}

// maas runs our wsman with the arguments that MAAS gives it, the document on standard input.
// Source: canonical/maas src/provisioningserver/drivers/power/amt.py.
func maas(t testing.TB, w *world, document string, args ...string) result {
	t.Helper()
	dir := calledAs(t, "wsman")
	full := append([]string{"-C", "/etc/openwsman/openwsman_client.conf"}, args...)
	got := run(t, []string{"AMT_PASSWORD=" + password}, document, dir+"/wsman", full...)
	if got.code != 0 {
		t.Fatalf("wsman %q: exit %d, %s", full, got.code, got.err)
	}
	return got
}

// maasReference is an input document of MAAS: a reference and a number. It qualifies the Name of selectors.
func maasInput(class, method string, reference wsman.EPR, referenceName, number, value string) string {
	uri := wsman.ClassURI(class)
	ref := reference.Element(uri, referenceName)
	selectors := ref.Find("ReferenceParameters", "SelectorSet")
	for i := range selectors.Children {
		selectors.Children[i].Attrs[0].Space = wsman.NSWSMan
	}
	input := wsman.Group(uri, method+"_INPUT", ref)
	if number != "" {
		input.Children = append(input.Children, wsman.El(uri, number, value))
	}
	return string(wsman.Append(nil, &input))
}

// TestWsmanMAAS does what MAAS does to power a machine on, restart and power it off: identify, choose PXE, change the
// power, and query until it is so.
func TestWsmanMAAS(t *testing.T) {
	t.Parallel()
	w := machine(t, lab.Machine{Profile: 12})
	at := []string{"--port", "16992", "--hostname", w.Address, "--username", "admin", "--password", password}
	insecure := append(at, "--noverifypeer", "--noverifyhost")

	identify := maas(t, w, "", append([]string{"identify"}, at...)...)
	if !strings.Contains(identify.out, "ProductVersion>AMT 12.") {
		t.Fatalf("identify: %s", identify.out)
	}

	const cimURI = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
	invoke := func(method, uri, document string) {
		t.Helper()
		got := maas(t, w, document, append(insecure[:len(insecure):len(insecure)], "--input", "-", "invoke", "--method", method, uri)...)
		list := documents(t, got.out)
		if len(list) != 1 || list[0].Find("Body", method+"_OUTPUT", "ReturnValue").TrimText() != "0" {
			t.Fatalf("%s: %s", method, got.out)
		}
	}
	pxe := func() {
		t.Helper()
		invoke("ChangeBootOrder", cimURI+`CIM_BootConfigSetting?InstanceID="Intel(r) AMT: Boot Configuration 0"`,
			maasInput("CIM_BootConfigSetting", "ChangeBootOrder",
				wsman.Ref("CIM_BootSourceSetting", "InstanceID", "Intel(r) AMT: Force PXE Boot"), "Source", "", ""))
		invoke("SetBootConfigRole", cimURI+`CIM_BootService?SystemCreationClassName="CIM_ComputerSystem"&SystemName="Intel(r) AMT"`+
			`&CreationClassName="CIM_BootService"&Name="Intel(r) AMT Boot Service"`,
			maasInput("CIM_BootService", "SetBootConfigRole",
				wsman.Ref("CIM_BootConfigSetting", "InstanceID", "Intel(r) AMT: Boot Configuration 0"), "BootConfigSetting", "Role", "1"))
	}
	power := func(state string) {
		t.Helper()
		uri := wsman.ClassURI("CIM_PowerManagementService")
		system := wsman.Ref("CIM_ComputerSystem", "CreationClassName", "CIM_ComputerSystem", "Name", "ManagedSystem")
		input := wsman.Group(uri, "RequestPowerStateChange_INPUT", wsman.El(uri, "PowerState", state), system.Element(uri, "ManagedElement"))
		invoke("RequestPowerStateChange", cimURI+`CIM_PowerManagementService?SystemCreationClassName="CIM_ComputerSystem"&SystemName="Intel(r) AMT"`+
			`&CreationClassName="CIM_PowerManagementService"&Name="Intel(r) AMT Power Management Service"`, string(wsman.Append(nil, &input)))
	}
	query := func(want string) {
		t.Helper()
		got := maas(t, w, "", append(insecure[:len(insecure):len(insecure)], "--optimize", "--encoding", "utf-8", "enumerate",
			cimURI+"CIM_AssociatedPowerManagementService")...)
		for _, doc := range documents(t, got.out) {
			for _, path := range [][]string{{"Body", "EnumerateResponse", "Items"}, {"Body", "PullResponse", "Items"}} {
				if e := doc.Find(append(path, "CIM_AssociatedPowerManagementService", "PowerState")...); e != nil {
					equal(t, "PowerState", e.TrimText(), want)
					equal(t, "its namespace", e.Space, cimURI+"CIM_AssociatedPowerManagementService")
					return
				}
			}
		}
		t.Errorf("no PowerState in %s", got.out)
	}

	query("8")
	pxe()
	power("2")
	w.wait(t, "on", booted(1))
	equal(t, "boot source", w.PC.LastBoot().From, firmware.BootPXE)
	query("2")
	pxe()
	power("10")
	w.wait(t, "restarted", booted(2))
	equal(t, "boot source", w.PC.LastBoot().From, firmware.BootPXE)
	power("8")
	w.wait(t, "off", isOff)
	query("8")
}
