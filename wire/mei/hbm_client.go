package mei

import "encoding/binary"

// The messages about connections. ME and Host are the addresses of the two ends.

// ConnectRequest asks for a connection.
type ConnectRequest struct{ ME, Host uint8 }

func (m ConnectRequest) Append(b []byte) []byte { return append(b, cmdConnect, m.ME, m.Host, 0) }

// ConnectReply answers ConnectRequest. After success the ME grants a first credit by FlowControl.
type ConnectReply struct {
	ME, Host uint8
	Status   Status
}

func (m ConnectReply) Append(b []byte) []byte {
	return append(b, cmdConnect|answer, m.ME, m.Host, byte(m.Status))
}

// DisconnectRequest ends a connection, by either side.
type DisconnectRequest struct{ ME, Host uint8 }

func (m DisconnectRequest) Append(b []byte) []byte { return append(b, cmdDisconnect, m.ME, m.Host, 0) }

// DisconnectReply answers DisconnectRequest.
type DisconnectReply struct {
	ME, Host uint8
	Status   Status
}

func (m DisconnectReply) Append(b []byte) []byte {
	return append(b, cmdDisconnect|answer, m.ME, m.Host, byte(m.Status))
}

// FlowControl is a credit: the receiver may send one message. From the ME with Host 0 it belongs to the client, for
// whichever connection writes first. 8 bytes.
type FlowControl struct{ ME, Host uint8 }

func (m FlowControl) Append(b []byte) []byte {
	return append(b, cmdFlowControl, m.ME, m.Host, 0, 0, 0, 0, 0)
}

// NotifyRequest switches a client's events on or off. HBM 2.0.
type NotifyRequest struct {
	ME, Host uint8
	Start    bool
}

func (m NotifyRequest) Append(b []byte) []byte {
	return append(b, cmdNotify, m.ME, m.Host, bit(m.Start, 0))
}

// NotifyReply answers NotifyRequest and repeats its Start. 8 bytes.
type NotifyReply struct {
	ME, Host uint8
	Status   Status
	Start    bool
}

func (m NotifyReply) Append(b []byte) []byte {
	return append(b, cmdNotify|answer, m.ME, m.Host, byte(m.Status), bit(m.Start, 0), 0, 0, 0)
}

// Notification is an event.
type Notification struct{ ME, Host uint8 }

func (m Notification) Append(b []byte) []byte { return append(b, cmdNotification, m.ME, m.Host, 0) }

// ClientMapRequest gives a client a buffer in the host's memory. HBM 2.2.
type ClientMapRequest struct {
	Buffer  uint8
	Address uint64
	Size    uint32 // bytes
}

func (m ClientMapRequest) Append(b []byte) []byte {
	b = append(b, cmdClientMap, m.Buffer, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, m.Address)
	return binary.LittleEndian.AppendUint32(b, m.Size)
}

func parseClientMapRequest(b []byte) Message {
	return ClientMapRequest{b[1], binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint32(b[12:])}
}

// ClientMapReply answers ClientMapRequest.
type ClientMapReply struct{ Status Status }

func (m ClientMapReply) Append(b []byte) []byte {
	return append(b, cmdClientMap|answer, byte(m.Status), 0, 0)
}

// ClientUnmapRequest takes the buffer back.
type ClientUnmapRequest struct{ Status Status }

func (m ClientUnmapRequest) Append(b []byte) []byte {
	return append(b, cmdClientUnmap, byte(m.Status), 0, 0)
}

// ClientUnmapReply answers ClientUnmapRequest.
type ClientUnmapReply struct{ Status Status }

func (m ClientUnmapReply) Append(b []byte) []byte {
	return append(b, cmdClientUnmap|answer, byte(m.Status), 0, 0)
}

// The messages of power gating, since HBM 1.1: the host lets the ME sleep, and the ME says when it is awake again.

// GateEntryRequest is by the host: nothing will come for a while.
type GateEntryRequest struct{}

func (m GateEntryRequest) Append(b []byte) []byte { return append(b, cmdGateEntry, 0, 0, 0) }

// GateEntryReply answers GateEntryRequest.
type GateEntryReply struct{}

func (m GateEntryReply) Append(b []byte) []byte { return append(b, cmdGateEntry|answer, 0, 0, 0) }

// GateExitRequest is by the ME: it is awake, or wants to be.
type GateExitRequest struct{}

func (m GateExitRequest) Append(b []byte) []byte { return append(b, cmdGateExit, 0, 0, 0) }

// GateExitReply answers GateExitRequest.
type GateExitReply struct{}

func (m GateExitReply) Append(b []byte) []byte { return append(b, cmdGateExit|answer, 0, 0, 0) }
