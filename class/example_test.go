package class_test

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// A machine that is on and refuses to be reset.
func Example() {
	state := cim.AssociatedPowerManagementService{PowerState: new(cim.PowerStateOn)}
	m := &machine{instances: []wsman.Element{state.Element()}}
	class.Handle(&m.mux, cim.PowerManagementServiceRequestPowerStateChange,
		func(_ context.Context, _ *machine, _ wsman.Selectors, in cim.PowerManagementServiceRequestPowerStateChangeIn) (out cim.PowerManagementServiceRequestPowerStateChangeOut, _ status.Status, _ error) {
			fmt.Println("asked for", class.Value(in.PowerState))
			return out, status.NotReady, nil
		})

	ctx := context.Background()
	v, err := class.Get[cim.AssociatedPowerManagementService](ctx, m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("is", class.Value(v.PowerState))
	_, err = cim.PowerManagementServiceRequestPowerStateChange.Invoke(ctx, m,
		cim.PowerManagementServiceRequestPowerStateChangeIn{
			PowerState:     new(cim.PowerStateMasterBusReset),
			ManagedElement: new(wsman.Ref("CIM_ComputerSystem", "Name", "ManagedSystem")),
		})
	fmt.Println(err)
	// Output:
	// is on
	// asked for master bus reset
	// CIM_PowerManagementService.RequestPowerStateChange: refused with not ready
}
