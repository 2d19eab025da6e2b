// Package amt has the AMT_ classes, the vendor's own part of Intel AMT: set-up, network, TLS and certificates, logs,
// redirection, remote access, System Defense, users and storage. All but this file is generated from the class
// catalogue; package class says how the types are used.
//
//	settings, err := class.Get[amt.GeneralSettings](ctx, machine)
package amt
