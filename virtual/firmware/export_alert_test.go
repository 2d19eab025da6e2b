package firmware

import (
	"context"
	"net"
)

// DialAlerts has f open the connections by which events are delivered.
func (m *Machine) DialAlerts(f func(ctx context.Context, network, address string) (net.Conn, error)) {
	m.hooks.Dial = f
}
