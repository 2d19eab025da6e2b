package model_test

import (
	"fmt"

	"github.com/outband/outband/class/model"
)

// What is known of a class before any machine is asked.
func Example() {
	m, err := model.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	c := m.Class("CIM_PowerManagementService")
	for _, method := range m.AllMethods(c) {
		fmt.Println(method.Name)
	}
	fmt.Println(m.DerivesFrom("AMT_BootCapabilities", "CIM_Capabilities"))
	// Output:
	// RequestPowerStateChange
	// RequestStateChange
	// StartService
	// StopService
	// true
}
