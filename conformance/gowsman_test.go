package conformance

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/amterror"
	peer "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/client"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/wsman"
)

// gowsman returns go-wsman-messages' client for a machine: TLS with the certificate pinned where there is nothing else.
func gowsman(t testing.TB, w *world) peer.Messages {
	t.Helper()
	p := client.Parameters{Target: w.Address, Username: "admin", Password: password, UseDigest: true}
	if !w.Firmware.Profile().Plain {
		p.UseTLS = true
		p.SelfSignedAllowed = true // no CA, but the pin
		p.PinnedCert = w.fingerprint(t)
	}
	return peer.NewMessages(p)
}

// readable are the generations that go-wsman-messages is made for. Below 11 it cannot be asked for TLS.
var readable = []int{11, 12, 16, 19}

// A reading is what came of one call of the library.
type reading struct {
	class string // CIM_SoftwareIdentity
	op    string // Get, Enumerate, Pull
	items int    // in the answer
	taken int    // decoded by the library
	err   error
}

// readAll calls Get, Enumerate and Pull of every class that the library has, as far as they need no argument but the
// enumeration context.
func readAll(m peer.Messages) []reading {
	var out []reading
	for _, group := range []any{m.AMT, m.CIM, m.IPS} {
		v := reflect.ValueOf(group)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out = append(out, readClass(v.Field(i))...)
			}
		}
	}
	return out
}

func readClass(service reflect.Value) []reading {
	var out []reading
	if get := service.MethodByName("Get"); get.IsValid() && get.Type().NumIn() == 0 {
		r, _ := call("Get", get)
		out = append(out, r)
	}
	enumerate := service.MethodByName("Enumerate")
	if !enumerate.IsValid() {
		return out
	}
	r, body := call("Enumerate", enumerate)
	out = append(out, r)
	if r.err != nil {
		return out
	}
	context := body.FieldByName("EnumerateResponse").FieldByName("EnumerationContext")
	r, _ = call("Pull", service.MethodByName("Pull"), context)
	return append(out, r)
}

// call calls a method of the library and finds out about which class it was from the request that it wrote.
func call(op string, method reflect.Value, args ...reflect.Value) (reading, reflect.Value) {
	result := method.Call(args)
	r := reading{op: op}
	r.err, _ = result[1].Interface().(error)
	body := result[0].FieldByName("Body")
	message, _ := result[0].FieldByName("Message").Interface().(*client.Message)
	if message == nil {
		return r, body
	}
	if request, err := wsman.ParseRequest([]byte(message.XMLInput)); err == nil {
		r.class = wsman.ClassName(request.ResourceURI)
	} else {
		r.err = errors.Join(r.err, fmt.Errorf("our parser does not read their request: %w", err))
	}
	if r.err != nil || op == "Enumerate" {
		return r, body
	}
	answer, err := wsman.ParseResponse([]byte(message.XMLOutput))
	if err != nil {
		r.err = err
		return r, body
	}
	switch {
	case op == "Get":
		r.items, r.taken = 1, 0
		if hasValue(body) {
			r.taken = 1
		}
	case answer.Body.Child("Items") != nil:
		r.items = len(answer.Body.Child("Items").Children)
		r.taken = countItems(body.FieldByName("PullResponse"))
	}
	return r, body
}

// hasValue reports whether anything below Body was decoded, XMLName apart.
func hasValue(body reflect.Value) bool {
	for i := range body.NumField() {
		if body.Type().Field(i).Name != "XMLName" && !body.Field(i).IsZero() {
			return true
		}
	}
	return false
}

// countItems adds the lengths of all lists of instances, wherever they are.
func countItems(v reflect.Value) int {
	n := 0
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Slice:
			n += f.Len()
		case reflect.Struct:
			n += countItems(f)
		}
	}
	return n
}

// An exception is a call that is not expected to bring instances, with the reason.
type exception struct {
	class, op string
	fault     string // that it ends in; "": it succeeds, but the library has no field for what comes
	why       string
}

// Get has no selectors in this library. Where a class has several instances, or none, no machine can answer it
// (DSP0226 5.4.2.2, spec wsman.md section 6).
const (
	several = "there are several instances and Get names none"
	none    = "there is no instance on a machine as it leaves the factory"
	noField = "the library has no field for the answer"
)

var exceptions = []exception{
	{"AMT_8021xCredentialContext", "Get", "InvalidSelectors", none},
	{"AMT_EventLogEntry", "Get", "InvalidSelectors", none},
	{"AMT_Hdr8021Filter", "Get", "InvalidSelectors", none},
	{"AMT_ManagementPresenceRemoteSAP", "Get", "InvalidSelectors", none},
	{"AMT_RemoteAccessPolicyAppliesToMPS", "Get", "InvalidSelectors", none},
	{"AMT_RemoteAccessPolicyRule", "Get", "InvalidSelectors", none},
	{"AMT_SystemPowerScheme", "Get", "InvalidSelectors", several},
	{"AMT_TLSCredentialContext", "Get", "InvalidSelectors", none},
	{"CIM_Battery", "Get", "InvalidSelectors", none},
	{"CIM_BootSourceSetting", "Get", "InvalidSelectors", several},
	{"CIM_CredentialContext", "Get", "InvalidSelectors", none},
	{"CIM_MediaAccessDevice", "Get", "InvalidSelectors", several},
	{"CIM_PhysicalMemory", "Get", "InvalidSelectors", several},
	{"CIM_PhysicalPackage", "Get", "InvalidSelectors", several},
	{"CIM_SoftwareIdentity", "Get", "InvalidSelectors", several},
	{"CIM_WiFiEndpointSettings", "Get", "InvalidSelectors", none},
	{"IPS_8021xCredentialContext", "Get", "InvalidSelectors", none},
	{"IPS_AlarmClockOccurrence", "Get", "InvalidSelectors", none},
	{"IPS_HTTPProxyAccessPoint", "Get", "InvalidSelectors", none},

	{"CIM_Chip", "Pull", "", "memory modules are chips as well (recorded so); the library takes CIM_Chip only"},
	{"CIM_IEEE8021xSettings", "Get", "", "the instance is of the subclass IPS_IEEE8021xSettings; " + noField},
	{"CIM_IEEE8021xSettings", "Pull", "", "the same"},
	{"CIM_PowerManagementCapabilities", "Pull", "", "one of two is of a subclass; " + noField},
	{"CIM_ConcreteDependency", "Get", "", noField},
	{"CIM_SystemPackaging", "Get", "", noField},
	{"CIM_WiFiEndpoint", "Get", "", noField},
	{"CIM_WiFiEndpointCapabilities", "Get", "", noField},
	{"CIM_WiFiPortCapabilities", "Get", "", noField},
}

// TestGoWsmanReads has the library read every class that it knows from machines of four generations.
func TestGoWsmanReads(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation, Power: "on", Wireless: &firmware.Wireless{}})
			ok, instances, excused := 0, 0, 0
			for _, r := range readAll(gowsman(t, w)) {
				i := slices.IndexFunc(exceptions, func(e exception) bool { return e.class == r.class && e.op == r.op })
				switch {
				case i >= 0 && exceptions[i].fault != "":
					if e := exceptions[i]; !hasFault(r.err, e.fault) {
						t.Errorf("%s %s: got %v, want the fault %s: %s", r.op, r.class, r.err, e.fault, e.why)
					}
					excused++
				case r.err != nil:
					t.Errorf("%s %s: %v", r.op, r.class, r.err)
				case i >= 0 && r.taken >= r.items:
					t.Errorf("%s %s: everything was decoded although %s", r.op, r.class, exceptions[i].why)
				case i < 0 && r.taken != r.items:
					t.Errorf("%s %s: %d instances sent, %d decoded", r.op, r.class, r.items, r.taken)
				default:
					ok++
					instances += r.taken
				}
			}
			t.Logf("%d calls succeeded and brought %d instances; %d ended in the expected fault", ok, instances, excused)
			if ok < 220 || instances < 120 {
				t.Errorf("only %d calls and %d instances", ok, instances)
			}
		})
	}
}

// hasFault reports whether an error of the library is an AMT fault with that subcode.
func hasFault(err error, subcode string) bool {
	var fault *amterror.AMTError
	return errors.As(err, &fault) && strings.HasSuffix(fault.SubCode, ":"+subcode)
}

// TestGoWsmanValues holds what the library read against what the machine is.
func TestGoWsmanValues(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			m := gowsman(t, w)
			id := w.Firmware.Identity()

			general, err := m.AMT.GeneralSettings.Get()
			check(t, err)
			equal(t, "host name", general.Body.GetResponse.HostName, id.HostName)
			equal(t, "domain", general.Body.GetResponse.DomainName, id.Domain)
			equal(t, "realm", general.Body.GetResponse.DigestRealm, id.Realm)

			context, err := m.CIM.SoftwareIdentity.Enumerate()
			check(t, err)
			software, err := m.CIM.SoftwareIdentity.Pull(context.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			versions := map[string]string{}
			for _, s := range software.Body.PullResponse.SoftwareIdentityItems {
				versions[s.InstanceID] = s.VersionString
			}
			equal(t, "AMT version", versions["AMT"], w.Firmware.Profile().Version)
			equal(t, "build number", versions["Build Number"], w.Firmware.Profile().Build)

			power, err := m.CIM.AssociatedPowerManagementService.Get()
			check(t, err)
			equal(t, "power state", int(power.Body.AssociatedPowerManagementService.PowerState), int(w.PC.Power().CIM()))

			context2, err := m.CIM.BootSourceSetting.Enumerate()
			check(t, err)
			sources, err := m.CIM.BootSourceSetting.Pull(context2.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			var names []string
			for _, s := range sources.Body.PullResponse.BootSourceSettingItems {
				names = append(names, s.InstanceID)
			}
			for _, want := range []string{"Intel(r) AMT: Force Hard-drive Boot", "Intel(r) AMT: Force PXE Boot", "Intel(r) AMT: Force CD/DVD Boot"} {
				if !slices.Contains(names, want) {
					t.Errorf("boot sources %q: no %q", names, want)
				}
			}

			setup, err := m.AMT.SetupAndConfigurationService.GetUUID()
			check(t, err)
			uuid, err := setup.DecodeUUID()
			check(t, err)
			equal(t, "UUID", strings.ToLower(uuid), strings.ToLower(id.UUID.String()))
		})
	}
}

// TestGoWsmanOldTLS: machines up to 15 have cipher suites with RSA key exchange only, which the library has to be told to
// accept; it cannot pin a certificate at the same time.
func TestGoWsmanOldTLS(t *testing.T) {
	for _, generation := range []int{11, 12} {
		w := machine(t, lab.Machine{Profile: generation, TLS: true})
		m := peer.NewMessages(client.Parameters{Target: w.Address, Username: "admin", Password: password, UseDigest: true,
			UseTLS: true, SelfSignedAllowed: true, AllowInsecureCipherSuites: true})
		general, err := m.AMT.GeneralSettings.Get()
		check(t, err)
		equal(t, "host name", general.Body.GetResponse.HostName, w.Firmware.Identity().HostName)
	}
}

// TestGoWsmanUsers has the library make a user, who can then log on, and remove it again.
func TestGoWsmanUsers(t *testing.T) {
	w := machine(t, lab.Machine{Profile: 12})
	m := gowsman(t, w)
	admin, err := m.AMT.AuthorizationService.GetAdminACLEntry()
	check(t, err)
	equal(t, "administrator", admin.Body.GetAdminResponse.Username, "admin")

	hash := digestHash("operator", w.Firmware.Identity().Realm, "Op3rator!")
	const realm, network = 3, 1 // PTAdministration; network access
	added, err := m.AMT.AuthorizationService.AddUserAclEntryEx("operator", base64.StdEncoding.EncodeToString(hash), network, realmValues(realm))
	check(t, err)
	equal(t, "AddUserAclEntryEx", int(added.Body.AddUserResponse.ReturnValue), 0)
	handle := added.Body.AddUserResponse.Handle

	list, err := m.AMT.AuthorizationService.EnumerateUserACLEntries(1)
	check(t, err)
	if handles := list.Body.EnumerateUserResponse.Handles; !slices.Contains(handles, handle) {
		t.Errorf("handles %v: no %d", handles, handle)
	}
	user, err := m.AMT.AuthorizationService.GetUserACLEntryEx(handle)
	check(t, err)
	equal(t, "user name", user.Body.GetUserResponse.DigestUsername, "operator")
	equal(t, "realms", fmt.Sprint(user.Body.GetUserResponse.Realms), fmt.Sprint(realmValues(realm)))

	operator := peer.NewMessages(client.Parameters{Target: w.Address, Username: "operator", Password: "Op3rator!", UseDigest: true})
	if _, err := operator.AMT.GeneralSettings.Get(); err != nil {
		t.Errorf("the new user is refused: %v", err)
	}
	removed, err := m.AMT.AuthorizationService.RemoveUserACLEntry(handle)
	check(t, err)
	equal(t, "RemoveUserAclEntry", int(removed.Body.RemoveUserResponse.ReturnValue), 0)
	if list, err = m.AMT.AuthorizationService.EnumerateUserACLEntries(1); err != nil || slices.Contains(list.Body.EnumerateUserResponse.Handles, handle) {
		t.Errorf("after the removal: got handles %v, %v", list.Body.EnumerateUserResponse.Handles, err)
	}
	gone := peer.NewMessages(client.Parameters{Target: w.Address, Username: "operator", Password: "Op3rator!", UseDigest: true})
	if _, err := gone.AMT.GeneralSettings.Get(); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("the removed user: got %v, want status 401", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
