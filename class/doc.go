// Package class is the runtime of the generated classes of Intel AMT: class/cim, class/amt and class/ips. A console
// reads and writes instances with it and calls methods; a device decodes the same calls and answers them.
//
//	chassis, err := class.Get[cim.Chassis](ctx, machine)
//	chips, err := class.All[cim.Chip](ctx, machine)
//	out, err := cim.PowerManagementServiceRequestPowerStateChange.Invoke(ctx, machine, in)
//
// An [Instance] is a struct whose fields are pointers: nil is "not sent", which is not the same as false, 0 or "".
// What a device sends beyond the definition is kept in Extra, and goes back with Put. Numbers that a table does not
// know are kept and print as "unknown (17)". Sources: DSP0227 and DSP0230 (the WS-Man form of CIM), recorded answers;
// spec classes.md sections 2 and 3, wsman.md section 8.
//
// The package does no I/O: it needs a [wsman.RoundTripper]. It does not check what a device would refuse.
package class

//go:generate go run ./gen/run
