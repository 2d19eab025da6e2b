package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/ips/optin"

	"github.com/outband/outband/lab"
)

// TestGoWsmanConsent goes through consent with the library: policy, a code on the screen that is wrong, then right.
func TestGoWsmanConsent(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation, Power: "on"})
			m := gowsman(t, w)
			state := func() optin.OptInServiceResponse {
				t.Helper()
				answer, err := m.IPS.OptInService.Get()
				check(t, err)
				return answer.Body.GetAndPutResponse
			}
			s := state()
			equal(t, "OptInRequired", s.OptInRequired, uint32(optin.OptInRequiredNone))
			_, err := m.IPS.OptInService.Put(optin.OptInServiceRequest{CanModifyOptInPolicy: s.CanModifyOptInPolicy, CreationClassName: s.CreationClassName,
				ElementName: s.ElementName, Name: s.Name, OptInCodeTimeout: 90, OptInDisplayTimeout: 240, OptInRequired: 1<<32 - 1, OptInState: s.OptInState,
				SystemName: s.SystemName, SystemCreationClassName: s.SystemCreationClassName})
			check(t, err)
			r := ourCommand(t, w, "consent", "show", w.Address, "-o", "json")
			if want := `"policy":"all","state":"not started","given":false,"display_timeout":"4m0s","code_timeout":"1m30s"`; !strings.Contains(r.out, want) {
				t.Errorf("our command says %s", r.out)
			}

			start, err := m.IPS.OptInService.StartOptIn()
			check(t, err)
			equal(t, "StartOptIn", start.Body.StartOptInResponse.ReturnValue, 0)
			equal(t, "OptInState", state().OptInState, 2)
			code, err := strconv.Atoi(w.PC.Code())
			check(t, err)
			send := func(code int) int {
				t.Helper()
				answer, err := m.IPS.OptInService.SendOptInCode(code)
				check(t, err)
				return answer.Body.SendOptInCodeResponse.ReturnValue
			}
			if send((code+1)%1_000_000) == 0 {
				t.Error("a wrong code was taken")
			}
			equal(t, "SendOptInCode", send(code), 0)
			equal(t, "OptInState", state().OptInState, 3)
			if w.PC.Code() != "" {
				t.Error("the code still stands on the screen")
			}
			cancel, err := m.IPS.OptInService.CancelOptIn()
			check(t, err)
			equal(t, "CancelOptIn", cancel.Body.CancelOptInResponse.ReturnValue, 0)
			equal(t, "OptInState", state().OptInState, 0)

			// Ours writes, theirs reads.
			ourCommand(t, w, "consent", "policy", "kvm", w.Address, "--display", "6m", "--code", "100s")
			s = state()
			equal(t, "OptInRequired", s.OptInRequired, 1)
			equal(t, "OptInDisplayTimeout", s.OptInDisplayTimeout, 360)
			equal(t, "OptInCodeTimeout", s.OptInCodeTimeout, 100)
			ourCommand(t, w, "consent", "start", w.Address)
			equal(t, "OptInState", state().OptInState, 2)
			ourCommand(t, w, "consent", "code", w.Address, w.PC.Code())
			equal(t, "OptInState", state().OptInState, 3)
		})
	}
}
