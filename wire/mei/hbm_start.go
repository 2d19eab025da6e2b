package mei

import "encoding/binary"

// The messages of starting up and stopping: version, capabilities, DMA, enumeration, properties.

// StartRequest opens the conversation with the host's version.
type StartRequest struct{ Version Version }

func (m StartRequest) Append(b []byte) []byte {
	return append(b, cmdStart, 0, m.Version.Minor, m.Version.Major)
}

func parseStartRequest(b []byte) Message { return StartRequest{Version{Major: b[3], Minor: b[2]}} }

// StartReply tells the ME's highest version, and whether it speaks the host's.
type StartReply struct {
	Supported bool
	Version   Version
}

func (m StartReply) Append(b []byte) []byte {
	return append(b, cmdStart|answer, bit(m.Supported, 0), m.Version.Minor, m.Version.Major)
}

func parseStartReply(b []byte) Message {
	return StartReply{Supported: b[1] != 0, Version: Version{Major: b[3], Minor: b[2]}}
}

// A StopReason says why a side stops.
type StopReason uint8

// The reasons.
const (
	StopDriver StopReason = 0 // the driver is unloaded
	StopD1     StopReason = 1
	StopD2     StopReason = 2
	StopD3     StopReason = 3
	StopS1     StopReason = 4
	StopS2     StopReason = 5
	StopS3     StopReason = 6
	StopS4     StopReason = 7
	StopS5     StopReason = 8
)

// StopRequest ends the conversation, by the host.
type StopRequest struct{ Reason StopReason }

func (m StopRequest) Append(b []byte) []byte { return append(b, cmdStop, byte(m.Reason), 0, 0) }

// StopReply answers StopRequest.
type StopReply struct{}

func (m StopReply) Append(b []byte) []byte { return append(b, cmdStop|answer, 0, 0, 0) }

// MEStopRequest asks the host to stop. The host answers with a StopRequest and a reset.
type MEStopRequest struct{ Reason StopReason }

func (m MEStopRequest) Append(b []byte) []byte { return append(b, cmdMEStop, byte(m.Reason), 0, 0) }

// EnumerateRequest asks for the addresses of the clients. Both flags since HBM 2.0.
type EnumerateRequest struct {
	AllowAdd  bool // clients may be added later
	Immediate bool // answer before all clients are up
}

func (m EnumerateRequest) Append(b []byte) []byte {
	return append(b, cmdEnumerate, bit(m.AllowAdd, 0)|bit(m.Immediate, 1), 0, 0)
}

func parseEnumerateRequest(b []byte) Message {
	return EnumerateRequest{AllowAdd: b[1]&1 != 0, Immediate: b[1]&2 != 0}
}

// EnumerateReply has bit n%8 of byte n/8 set for each client address n.
type EnumerateReply struct{ Valid [32]byte }

func (m EnumerateReply) Append(b []byte) []byte {
	b = append(b, cmdEnumerate|answer, 0, 0, 0)
	return append(b, m.Valid[:]...)
}

func parseEnumerateReply(b []byte) Message { return EnumerateReply{[32]byte(b[4:36])} }

// PropertiesRequest asks about one client.
type PropertiesRequest struct{ ME uint8 }

func (m PropertiesRequest) Append(b []byte) []byte { return append(b, cmdProperties, m.ME, 0, 0) }

// PropertiesReply describes a client. With StatusNotFound the host leaves the address out.
type PropertiesReply struct {
	ME         uint8
	Status     Status
	Properties Properties
}

func (m PropertiesReply) Append(b []byte) []byte {
	return m.Properties.Append(append(b, cmdProperties|answer, m.ME, byte(m.Status), 0))
}

func parsePropertiesReply(b []byte) (Message, error) {
	p, _, err := ParseProperties(b[4:])
	return PropertiesReply{b[1], Status(b[2]), p}, err
}

// AddClientRequest brings a client that came up after enumeration, or came back. HBM 2.0.
type AddClientRequest struct {
	ME         uint8
	Properties Properties
}

func (m AddClientRequest) Append(b []byte) []byte {
	return m.Properties.Append(append(b, cmdAddClient, m.ME, 0, 0))
}

func parseAddClientRequest(b []byte) (Message, error) {
	p, _, err := ParseProperties(b[4:])
	return AddClientRequest{b[1], p}, err
}

// AddClientReply answers AddClientRequest.
type AddClientReply struct {
	ME     uint8
	Status Status
}

func (m AddClientReply) Append(b []byte) []byte {
	return append(b, cmdAddClient|answer, m.ME, byte(m.Status), 0)
}

// Capabilities are features that both ends must have, 24 bits. HBM 2.2.
type Capabilities uint32

// The capabilities.
const (
	CapTags      Capabilities = 1 << 0
	CapGSC       Capabilities = 1 << 1
	CapClientDMA Capabilities = 1 << 2
)

// CapabilitiesRequest offers the host's capabilities.
type CapabilitiesRequest struct{ Capabilities Capabilities }

func (m CapabilitiesRequest) Append(b []byte) []byte {
	return appendCapabilities(b, cmdCapabilities, m.Capabilities)
}

// CapabilitiesReply grants some of them.
type CapabilitiesReply struct{ Capabilities Capabilities }

func (m CapabilitiesReply) Append(b []byte) []byte {
	return appendCapabilities(b, cmdCapabilities|answer, m.Capabilities)
}

func appendCapabilities(b []byte, cmd byte, c Capabilities) []byte {
	return append(b, cmd, byte(c), byte(c>>8), byte(c>>16))
}

func parseCapabilities(b []byte) Capabilities {
	return Capabilities(binary.LittleEndian.Uint32(b) >> 8)
}

// A Ring is a stretch of host memory.
type Ring struct {
	Address uint64
	Size    uint32 // bytes
}

// DMASetupRequest offers rings in the host's memory: host to ME, ME to host, control block. HBM 2.1.
type DMASetupRequest struct{ Rings [3]Ring }

func (m DMASetupRequest) Append(b []byte) []byte {
	b = append(b, cmdDMASetup, 0, 0, 0)
	for _, r := range m.Rings {
		b = binary.LittleEndian.AppendUint32(b, uint32(r.Address>>32))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.Address))
		b = binary.LittleEndian.AppendUint32(b, r.Size)
	}
	return b
}

func parseDMASetupRequest(b []byte) Message {
	var m DMASetupRequest
	for i := range m.Rings {
		r := b[4+12*i:]
		m.Rings[i] = Ring{
			Address: uint64(binary.LittleEndian.Uint32(r))<<32 | uint64(binary.LittleEndian.Uint32(r[4:])),
			Size:    binary.LittleEndian.Uint32(r[8:]),
		}
	}
	return m
}

// DMASetupReply says whether the ME will use them. If not, all goes over the link.
type DMASetupReply struct{ Status Status }

func (m DMASetupReply) Append(b []byte) []byte {
	return append(b, cmdDMASetup|answer, byte(m.Status), 0, 0)
}
