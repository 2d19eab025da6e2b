package conformance

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/environmentdetection"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/mps"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/remoteaccess"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/userinitiatedconnection"
	ipshttp "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/ips/http"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// stateOf returns what a machine would be saved as, secrets included.
func stateOf(t *testing.T, w *world) string {
	t.Helper()
	var out bytes.Buffer
	check(t, w.Firmware.Dump(&out))
	return out.String()
}

// reference refers to a presence server or to a policy, as the library wants it.
func reference(class, key, name string) remoteaccess.ReferenceParameters {
	return remoteaccess.ReferenceParameters{
		C:           "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
		ResourceURI: "http://intel.com/wbem/wscim/1/amt-schema/1/" + class,
		SelectorSet: remoteaccess.SelectorSet{Selectors: []remoteaccess.Selector{{Name: "CreationClassName", Text: class}, {Name: key, Text: name},
			{Name: "SystemCreationClassName", Text: "CIM_ComputerSystem"}, {Name: "SystemName", Text: "Intel(r) AMT"}}},
	}
}

const anonymous = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"

// TestGoWsmanConfiguresCIRA has the library do what its consoles do to make a machine call home, and our command read it.
func TestGoWsmanConfiguresCIRA(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			const server = "Intel(r) AMT:Management Presence Server 0"
			request := remoteaccess.AddMpServerRequest{AccessInfo: "192.0.2.7", InfoFormat: remoteaccess.IPv4Address, Port: 4433,
				AuthMethod: 2, Username: "theirs", Password: "P@ssw0rd.mps", CommonName: "192.0.2.7"}
			added, err := m.AMT.RemoteAccessService.AddMPS(request)
			check(t, err)
			if got := added.Body.AddMpServerResponse; got.ReturnValue != 0 || !slices.ContainsFunc(got.MpServer.ReferenceParameters.SelectorSet.Selectors,
				func(s remoteaccess.SelectorResponse) bool { return s.Name == "Name" && s.Text == server }) {
				t.Fatalf("AddMpServer: %+v", got)
			}
			if again, err := m.AMT.RemoteAccessService.AddMPS(request); err != nil || again.Body.AddMpServerResponse.ReturnValue != 2058 {
				t.Errorf("the same server again: %v, %+v", err, again.Body.AddMpServerResponse)
			}
			if !strings.Contains(stateOf(t, w), "P@ssw0rd.mps") {
				t.Error("the machine has not kept the password")
			}
			rule, err := m.AMT.RemoteAccessService.AddRemoteAccessPolicyRule(remoteaccess.RemoteAccessPolicyRuleRequest{
				Trigger: remoteaccess.Periodic, TunnelLifeTime: 0, ExtendedData: "AAAAAAAAABk="}, server)
			check(t, err)
			if got := rule.Body.AddRemotePolicyRuleResponse; got.ReturnValue != 0 {
				t.Fatalf("AddRemoteAccessPolicyRule: %+v", got)
			}
			_, err = m.AMT.RemoteAccessPolicyAppliesToMPS.Put(&remoteaccess.RemoteAccessPolicyAppliesToMPSRequest{
				H:              "http://intel.com/wbem/wscim/1/amt-schema/1/AMT_RemoteAccessPolicyAppliesToMPS",
				ManagedElement: remoteaccess.ManagedElement{B: "http://schemas.xmlsoap.org/ws/2004/08/addressing", Address: anonymous, ReferenceParameters: reference("AMT_ManagementPresenceRemoteSAP", "Name", server)},
				OrderOfAccess:  0, MPSType: remoteaccess.BothMPS,
				PolicySet: remoteaccess.PolicySet{B: "http://schemas.xmlsoap.org/ws/2004/08/addressing", Address: anonymous, ReferenceParameters: reference("AMT_RemoteAccessPolicyRule", "PolicyRuleName", "Periodic")},
			})
			check(t, err)
			state, err := m.AMT.UserInitiatedConnectionService.RequestStateChange(userinitiatedconnection.BIOSandOSInterfacesEnabled)
			check(t, err)
			if got := state.Body.RequestStateChange_OUTPUT.ReturnValue; got != 0 {
				t.Errorf("RequestStateChange: return value %d", got)
			}
			_, err = m.AMT.EnvironmentDetectionSettingData.Put(environmentdetection.EnvironmentDetectionSettingDataRequest{
				ElementName: "Intel(r) AMT Environment Detection Settings", InstanceID: "Intel(r) AMT Environment Detection Settings",
				DetectionStrings: []string{"corp.example", "lab.example"}})
			check(t, err)
			proxy, err := m.IPS.HTTPProxyService.AddProxyAccessPoint("proxy.example.org", ipshttp.InfoFormat(201), 3128, "lab.example")
			check(t, err)
			if got := proxy.Body.AddProxyAccessPointResponse.ReturnValue; got != 0 {
				t.Errorf("AddProxyAccessPoint: return value %d", got)
			}
			r := ourCommand(t, w, "cira", "show", w.Address, "-o", "json")
			want := fmt.Sprintf(`{"host":"%s","ok":true,"connected":false,"outside":false,"suffix":"lab.example","home":["corp.example","lab.example"],"user_from":"both",`+
				`"servers":[{"id":"mps-0","address":"192.0.2.7","port":4433,"common_name":"192.0.2.7","user":"theirs"}],`+
				`"policies":[{"trigger":"periodic","lifetime_seconds":0,"every_seconds":25,"outside":["mps-0"],"inside":["mps-0"]}],`+
				`"proxies":[{"id":"proxy-0","address":"proxy.example.org","port":3128,"suffix":"lab.example"}]}`+"\n", w.Address)
			if r.out != want {
				t.Errorf("got  %swant %s", r.out, want)
			}

			// Away with it, in their order; a list without members is sent as nothing.
			_, err = m.AMT.RemoteAccessPolicyRule.Delete("Periodic")
			check(t, err)
			_, err = m.AMT.ManagementPresenceRemoteSAP.Delete(server)
			check(t, err)
			_, err = m.IPS.HTTPProxyAccessPointService.Delete("Intel(r) ME:HTTP Proxy Access Point 0")
			check(t, err)
			_, err = m.AMT.EnvironmentDetectionSettingData.Put(environmentdetection.EnvironmentDetectionSettingDataRequest{
				ElementName: "Intel(r) AMT Environment Detection Settings", InstanceID: "Intel(r) AMT Environment Detection Settings"})
			check(t, err)
			if r := ourCommand(t, w, "cira", "show", w.Address, "-o", "json"); !strings.Contains(r.out, `"home":[],"user_from":"both","servers":[],"policies":[],"proxies":[]}`) {
				t.Errorf("left: %s", r.out)
			}
		})
	}
}

// TestGoWsmanReadsCIRA has our command make a machine call home, and the library read every part of it; in the end the
// machine is outside, and closes its ports to both.
func TestGoWsmanReadsCIRA(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			dir := t.TempDir()
			secret, root := filepath.Join(dir, "secret"), filepath.Join(dir, "root.pem")
			check(t, os.WriteFile(secret, []byte("S3cret.mps\n"), 0o600))
			openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", filepath.Join(dir, "root.key"), "-out", root, "-days", "30", "-subj", "/CN=Presence Root",
				"-addext", "basicConstraints=critical,CA:TRUE")
			ourCommand(t, w, "cira", "server", "add", "mps.example.org:8443", w.Address, "--mps-ca", root, "--mps-user", "ours", "--mps-password-file", secret)
			ourCommand(t, w, "cira", "server", "add", "192.0.2.9", w.Address, "--common-name", "mps2", "--mps-user", "ours", "--mps-password-file", secret)
			ourCommand(t, w, "cira", "policy", "set", "periodic", w.Address, "--server", "mps-1", "--server", "mps-0", "--at", "02:30", "--lifetime", "10m")
			ourCommand(t, w, "cira", "connect", w.Address, "--from", "os")

			roots, err := m.AMT.PublicKeyCertificate.Enumerate()
			check(t, err)
			certs, err := m.AMT.PublicKeyCertificate.Pull(roots.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			if list := certs.Body.PullResponse.PublicKeyCertificateItems; len(list) != 1 || !list[0].TrustedRootCertificate || list[0].Subject != "CN=Presence Root" {
				t.Errorf("roots %+v", list)
			}
			begun, err := m.AMT.ManagementPresenceRemoteSAP.Enumerate()
			check(t, err)
			servers, err := m.AMT.ManagementPresenceRemoteSAP.Pull(begun.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			if list := servers.Body.PullResponse.ManagementRemoteItems; len(list) != 2 || list[0].AccessInfo != "mps.example.org" || list[0].Port != 8443 || list[0].InfoFormat != 201 ||
				list[1].AccessInfo != "192.0.2.9" || list[1].Port != 4433 || list[1].InfoFormat != 3 || list[1].CN != "mps2" {
				t.Errorf("servers %+v", list)
			}
			rules, err := m.AMT.RemoteAccessPolicyRule.Enumerate()
			check(t, err)
			rule, err := m.AMT.RemoteAccessPolicyRule.Pull(rules.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			if list := rule.Body.PullResponse.RemotePolicyRuleItems; len(list) != 1 || list[0].PolicyRuleName != "Periodic" || list[0].Trigger != remoteaccess.Periodic ||
				list[0].TunnelLifeTime != 600 || list[0].ExtendedData != "AAAAAQAAAAIAAAAe" {
				t.Errorf("policies %+v", list)
			}
			bindings, err := m.AMT.RemoteAccessPolicyAppliesToMPS.Enumerate()
			check(t, err)
			binding, err := m.AMT.RemoteAccessPolicyAppliesToMPS.Pull(bindings.Body.EnumerateResponse.EnumerationContext)
			check(t, err)
			var order []string
			for _, b := range binding.Body.PullResponse.PolicyAppliesItems {
				for _, s := range b.ManagedElement.ReferenceParameters.SelectorSet.Selectors {
					if s.Name == "Name" {
						order = append(order, fmt.Sprintf("%d %s type %d", b.OrderOfAccess, s.Text[len(s.Text)-1:], b.MpsType))
					}
				}
			}
			slices.Sort(order)
			if want := []string{"0 1 type 0", "1 0 type 0"}; !slices.Equal(order, want) {
				t.Errorf("order %q, want %q", order, want)
			}
			account, err := m.AMT.MPSUsernamePassword.Get()
			check(t, err)
			if got := account.Body.GetResponse; got.RemoteID != "ours" || strings.Contains(account.XMLOutput, "S3cret") {
				t.Errorf("account %+v", got)
			}
			_, err = m.AMT.MPSUsernamePassword.Put(&mps.MPSUsernamePasswordRequest{InstanceID: account.Body.GetResponse.InstanceID, RemoteID: "changed", Secret: "An0ther."})
			check(t, err)
			if state := stateOf(t, w); !strings.Contains(state, "An0ther.") || strings.Contains(state, "S3cret.mps") {
				t.Error("the machine has not taken the new password")
			}
			if r := ourCommand(t, w, "cira", "show", w.Address, "-o", "json"); !strings.Contains(r.out, `"id":"mps-0","address":"mps.example.org","port":8443,"user":"changed"`) {
				t.Errorf("our command reads %s", r.out)
			}
			user, err := m.AMT.UserInitiatedConnectionService.Get()
			check(t, err)
			if got := user.Body.GetResponse.EnabledState; got != 32770 {
				t.Errorf("user calls from %d", got)
			}

			ourCommand(t, w, "cira", "environment", "set", w.Address, "--suffix", "corp.example", "--outside")
			if !w.Firmware.Outside() || slices.Contains(w.Ports(), firmware.PortHTTP) || slices.Contains(w.Ports(), firmware.PortHTTPS) {
				t.Errorf("outside %v, ports %v", w.Firmware.Outside(), w.Ports())
			}
			for _, port := range []string{"16992", "16993", "16994", "16995"} {
				if conn, err := net.Dial("tcp", net.JoinHostPort(w.Address, port)); err == nil {
					conn.Close()
					t.Errorf("port %s is open", port)
				}
			}
		})
	}
}

// openssl runs that program, which must succeed.
func openssl(t *testing.T, args ...string) {
	t.Helper()
	if r := run(t, nil, "", tool(t, "openssl", "openssl"), args...); r.code != 0 {
		t.Fatalf("openssl %q: %s", args, r.err)
	}
}
