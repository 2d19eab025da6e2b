package firmware

import (
	"context"
	"net"

	"github.com/outband/outband/wire/rmcp"
)

// ServeRMCP answers presence pings that arrive on conn, a UDP socket on port 623, until the context ends or conn fails.
// It does not close conn. The error is as of [rmcp.Serve].
func (m *Machine) ServeRMCP(ctx context.Context, conn net.PacketConn) error {
	return rmcp.Serve(ctx, conn, m.presence)
}

// presence returns what a machine says of itself to a ping, or false to stay silent: without power, asleep, outside of its
// home network, and when AMT_GeneralSettings.RmcpPingResponseEnabled is off. Source: spec wsman.md section 1.
func (m *Machine) presence() (rmcp.AMT, bool) {
	if m.powerOf() == G3 || m.Outside() || m.asleep() {
		return rmcp.AMT{}, false
	}
	if general := m.one("AMT_GeneralSettings"); general != nil && general.ChildText("RmcpPingResponseEnabled") == "false" {
		return rmcp.AMT{}, false
	}
	a := rmcp.AMT{Major: uint8(m.profile.Release.Major), Minor: uint8(m.profile.Release.Minor), State: m.setupState(), DASH: true}
	ports := m.Ports()
	for _, port := range ports {
		switch {
		case port == PortHTTP:
			a.Port = PortHTTP
		case port == PortHTTPS && a.Port == PortHTTP:
			a.DualPorts = true
		case port == PortHTTPS:
			a.Port = PortHTTPS
		}
	}
	if a.State != rmcp.Post {
		a.Port, a.DualPorts = 0, false
	}
	return a, true
}

// setupState returns how far setup has come. A machine without a word about it is set up.
func (m *Machine) setupState() rmcp.State {
	if s := m.one("AMT_SetupAndConfigurationService"); s != nil {
		switch s.ChildText("ProvisioningState") {
		case "0":
			return rmcp.Pre
		case "1":
			return rmcp.In
		}
	}
	return rmcp.Post
}
