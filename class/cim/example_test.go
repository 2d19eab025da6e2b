package cim_test

import (
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
)

// Numbers have names, and the keys of an instance are its selectors.
func Example() {
	state := cim.AssociatedPowerManagementService{PowerState: new(cim.PowerStateSleepDeep)}
	fmt.Println(class.Value(state.PowerState), cim.PowerState(99))
	chip := cim.Chip{Tag: new("CPU 0"), CreationClassName: new("CIM_Chip"), Version: new("Core i7")}
	fmt.Println(chip.Selectors())
	// Output:
	// sleep deep unknown (99)
	// CreationClassName="CIM_Chip",Tag="CPU 0"
}
