// Package cim has the DMTF's classes as Intel AMT implements them: power, boot, hardware inventory, wireless profiles,
// KVM and event subscriptions. All but this file is generated from the class catalogue; package class says how the
// types are used.
//
//	state, err := class.Get[cim.AssociatedPowerManagementService](ctx, machine)
//	fmt.Println(class.Value(state.PowerState)) // on
package cim
