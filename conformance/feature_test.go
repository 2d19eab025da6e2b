package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	peer "github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/redirection"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/cim/kvm"
	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/ips/kvmredirection"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/firmware"
)

// TestGoWsmanFeatures has the library switch redirection and KVM, and looks at the ports and at what our command says.
func TestGoWsmanFeatures(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			m := gowsman(t, w)
			listener := func(on bool) {
				t.Helper()
				now, err := m.AMT.RedirectionService.Get()
				check(t, err)
				s := now.Body.GetAndPutResponse
				_, err = m.AMT.RedirectionService.Put(redirection.RedirectionRequest{H: "http://intel.com/wbem/wscim/1/amt-schema/1/AMT_RedirectionService",
					CreationClassName: s.CreationClassName, ElementName: s.ElementName, EnabledState: s.EnabledState, ListenerEnabled: on, Name: s.Name,
					SystemCreationClassName: s.SystemCreationClassName, SystemName: s.SystemName})
				check(t, err)
			}
			kvmTo := func(state kvm.KVMRedirectionSAPRequestStateChangeInput) {
				t.Helper()
				answer, err := m.CIM.KVMRedirectionSAP.RequestStateChange(state)
				check(t, err)
				equal(t, "ReturnValue", answer.Body.RequestStateChange_OUTPUT.ReturnValue, 0)
			}
			_, err := m.AMT.RedirectionService.RequestStateChange(redirection.EnableSOLAndDisableIDER)
			check(t, err)
			expectFeatures(t, w, "listener sol kvm", "ider")
			listener(false)
			kvmTo(kvm.RedirectionSAPDisable)
			expectFeatures(t, w, "sol", "listener ider kvm")
			if redirectionOpen(w) {
				t.Errorf("the port of redirection is open: %v", w.Ports())
			}
			kvmTo(kvm.RedirectionSAPEnable)
			listener(true)
			expectFeatures(t, w, "listener sol kvm", "ider")
			if !redirectionOpen(w) {
				t.Errorf("the port of redirection is closed: %v", w.Ports())
			}
		})
	}
}

func redirectionOpen(w *world) bool {
	return slices.Contains(w.Ports(), firmware.PortRedir) || slices.Contains(w.Ports(), firmware.PortRedirTLS)
}

// expectFeatures asks our command which features of redirection are on and off.
func expectFeatures(t *testing.T, w *world, on, off string) {
	t.Helper()
	r := ourCommand(t, w, "feature", "list", w.Address, "-o", "json")
	for _, list := range []struct {
		names string
		state bool
	}{{on, true}, {off, false}} {
		for name := range strings.FieldsSeq(list.names) {
			if want := fmt.Sprintf(`"feature":"%s","available":true,"enabled":%v}`, name, list.state); !strings.Contains(r.out, want) {
				t.Errorf("no %s in %s", want, r.out)
			}
		}
	}
}

// TestFeaturesForGoWsman has our command switch, and the library read.
func TestFeaturesForGoWsman(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			m := gowsman(t, w)
			ourCommand(t, w, "feature", "disable", "sol,kvm,listener", w.Address)
			s, err := m.AMT.RedirectionService.Get()
			check(t, err)
			equal(t, "EnabledState", s.Body.GetAndPutResponse.EnabledState, redirection.IDERIsEnabledAndSOLIsDisabled)
			equal(t, "ListenerEnabled", s.Body.GetAndPutResponse.ListenerEnabled, false)
			k, err := m.CIM.KVMRedirectionSAP.Get()
			check(t, err)
			equal(t, "KVM", k.Body.GetResponse.EnabledState, kvm.EnabledStateDisabled)
			equal(t, "port open", redirectionOpen(w), false)

			ourCommand(t, w, "feature", "enable", "sol,kvm,listener", w.Address)
			s, err = m.AMT.RedirectionService.Get()
			check(t, err)
			equal(t, "EnabledState", s.Body.GetAndPutResponse.EnabledState, redirection.IDERAndSOLAreEnabled)
			equal(t, "ListenerEnabled", s.Body.GetAndPutResponse.ListenerEnabled, true)
			equal(t, "port open", redirectionOpen(w), true)

			ourCommand(t, w, "feature", "set", w.Address, "--session-timeout", "9", "--consent-timeout", "330", "--screen", "1")
			now := kvmSettings(t, m)
			equal(t, "SessionTimeout", now.SessionTimeout, 9)
			equal(t, "OptInPolicyTimeout", now.OptInPolicyTimeout, 330)
			equal(t, "DefaultScreen", now.DefaultScreen, 1)
			if !w.Firmware.Profile().Port5900 {
				return
			}
			env := []string{"AMT_VNC_PASSWORD=Vn(1pass", "AMT_PASSWORD=" + password}
			if r := run(t, env, "", outband(t), "feature", "set", w.Address, "--vnc-port"); r.code != 0 {
				t.Fatal(r.err)
			}
			now = kvmSettings(t, m)
			equal(t, "Is5900PortEnabled", now.Is5900PortEnabled, true)
			equal(t, "RFBPassword", now.RFBPassword, "")
			equal(t, "SessionTimeout", now.SessionTimeout, 9)
			equal(t, "port 5900", slices.Contains(w.Ports(), firmware.PortRFB), true)
		})
	}
}

func kvmSettings(t *testing.T, m peer.Messages) kvmredirection.KVMRedirectionSettingsResponse {
	t.Helper()
	answer, err := m.IPS.KVMRedirectionSettingData.Get()
	check(t, err)
	return answer.Body.KVMRedirectionSettingsResponse
}
