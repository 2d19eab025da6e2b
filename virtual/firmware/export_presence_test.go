package firmware

import "github.com/outband/outband/wire/guid"

// OnAgentPolicy has f called when what AgentPolicy says has changed. It must be called before the machine is used.
func (m *Machine) OnAgentPolicy(f func()) { m.agents.policy = f }

// AgentPolicy is agentPolicy.
func (m *Machine) AgentPolicy() bool { return m.agentPolicy() }

// DeviceID is deviceID.
func (m *Machine) DeviceID(id guid.GUID) string { return m.deviceID(id) }
