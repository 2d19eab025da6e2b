package cli

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Users read what went wrong, not which package found it, nor which class was asked when the machine is not even there.
func TestFailureText(t *testing.T) {
	gone := &console.UnreachableError{Address: "nuc1", Ports: []int{16993}, Reason: console.Refused, Err: io.EOF}
	refusal := &status.Error{Op: "CIM_PowerManagementService.RequestPowerStateChange", Code: 2}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("read power state: get CIM_AssociatedPowerManagementService: %w", gone), "read power state: nuc1 is unreachable: connection refused on port 16993"},
		{fmt.Errorf("users: AMT_AuthorizationService.GetAdminAclEntry: %w", gone), "users: nuc1 is unreachable: connection refused on port 16993"},
		{fmt.Errorf("info: get CIM_Chip: wsman: %w", wsman.ErrUnauthorized), "info: the machine refuses the user name or password"},
		{fmt.Errorf("boot pxe: put AMT_BootSettingData: %w", wsman.ErrAccessDenied), "boot pxe: put AMT_BootSettingData: " + wsman.ErrAccessDenied.Error()},
		{fmt.Errorf("power on: %w", refusal), "power on: " + refusal.Error()},
		{fmt.Errorf("get CIM_Chip: wsman: %w", wsman.ErrCut), "get CIM_Chip: the machine closed the connection before its answer was complete"},
		{errors.New("lab: machine 1: firmware: listen"), "machine 1: listen"},
		{usage("", "--from: %w", errors.New("dump: not a dump")), "--from: not a dump"},
		{errors.New("a \x1b[2J b"), "a  [2J b"},
	} {
		if got := judge(tt.err).text(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

// A busy machine is asked again, though not for longer than the user waits for an answer.
func TestPatience(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: powerPatience, time.Second: time.Second, time.Minute: powerPatience} {
		a := &app{Globals: Globals{Timeout: timeout}}
		if got := a.patience(); got != want {
			t.Errorf("--timeout %v: got %v, want %v", timeout, got, want)
		}
	}
}
