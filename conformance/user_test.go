package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/device-management-toolkit/go-wsman-messages/v2/pkg/wsman/amt/authorization"

	"github.com/outband/outband/lab"
)

// TestGoWsmanReadsUsers has our command add, change and remove an account, which the library reads after each step.
func TestGoWsmanReadsUsers(t *testing.T) {
	for _, generation := range readable {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			t.Parallel()
			w := machine(t, lab.Machine{Profile: generation})
			m := gowsman(t, w)
			handles := func() []int {
				t.Helper()
				answer, err := m.AMT.AuthorizationService.EnumerateUserACLEntries(1)
				check(t, err)
				equal(t, "HandlesCount", answer.Body.EnumerateUserResponse.HandlesCount, len(answer.Body.EnumerateUserResponse.Handles))
				return answer.Body.EnumerateUserResponse.Handles
			}
			ours := func(args ...string) {
				t.Helper()
				env := []string{"AMT_PASSWORD=" + password, "AMT_NEW_PASSWORD=Secr3t!pass", "OUTBAND_HOSTS=" + t.TempDir() + "/hosts.json"}
				if r := run(t, env, "", outband(t), append(args, trusted(t, w)...)...); r.code != 0 {
					t.Fatalf("outband %q: exit code %d: %s", args, r.code, r.err)
				}
			}
			before := handles()
			ours("user", "add", "ops", w.Address, "--realm", "remote-control,redirection", "--access", "remote")
			handle := 0
			for _, h := range handles() {
				if !slices.Contains(before, h) {
					handle = h
				}
			}
			look := func(name string, access authorization.AccessPermission, enabled bool, realms ...authorization.RealmValues) {
				t.Helper()
				answer, err := m.AMT.AuthorizationService.GetUserACLEntryEx(handle)
				check(t, err)
				got := answer.Body.GetUserResponse
				slices.Sort(got.Realms)
				if got.DigestUsername != name || got.AccessPermission != access || !slices.Equal(got.Realms, realms) {
					t.Errorf("got %+v, want %s, access %d, realms %v", got, name, access, realms)
				}
				state, err := m.AMT.AuthorizationService.GetACLEnabledState(handle)
				check(t, err)
				equal(t, name+" enabled", state.Body.GetACLEnabledStateResponse.Enabled, enabled)
			}
			look("ops", 1, true, authorization.RealmValuesRedirectionRealm, authorization.RealmValuesRemoteControlRealm)
			ours("user", "disable", "ops", w.Address)
			look("ops", 1, false, authorization.RealmValuesRedirectionRealm, authorization.RealmValuesRemoteControlRealm)
			ours("user", "enable", "ops", w.Address)
			ours("user", "set", "ops", w.Address, "--realm", "info", "--access", "any")
			look("ops", 2, true, authorization.RealmValuesGeneralInfoRealm)
			ours("user", "remove", "ops", w.Address)
			if after := handles(); !slices.Equal(after, before) {
				t.Errorf("handles %v, before %v", after, before)
			}
		})
	}
}
