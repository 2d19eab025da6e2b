//go:build !linux

package upkeep

import "net"

// HostAddress is not known on this system: the management engine is reached on Linux only.
func HostAddress(net.HardwareAddr) (Address, error) { return Address{}, ErrNoInterface }
