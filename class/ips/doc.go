// Package ips has the IPS_ classes, which Intel AMT got from release 6.0 on: activation from the host, user consent,
// KVM settings, screen blanking, wake alarms, IPv6 and HTTP proxies. All but this file is generated from the class
// catalogue; package class says how the types are used.
//
//	out, err := ips.OptInServiceStartOptIn.Invoke(ctx, machine, ips.OptInServiceStartOptInIn{})
package ips
