package apf

// Types of channels.
const (
	TypeForwarded = "forwarded-tcpip" // to AMT: somebody has connected to a forwarded port
	TypeDirect    = "direct-tcpip"    // from AMT: it wants a connection. Port 0 is a local alert
)

// noPacketLimit is what everybody writes where SSH has a maximum packet size.
const noPacketLimit = 0xffffffff

// ChannelOpen asks for a channel. 33 bytes and the strings.
//
//	0  1  90
//	1  .  type, string
//	.  4  sender channel
//	.  4  window
//	.  4  FFFFFFFFh
//	.  .  connected address, string
//	.  4  connected port
//	.  .  originator's address, string
//	.  4  originator's port
//
// Unlike in SSH, the layout is the same for all types.
type ChannelOpen struct {
	Type          string
	Sender        uint32 // number that the sender of this message gives the channel
	Window        uint32 // bytes that the receiver of this message may send
	Address       string // LMS: 127.0.0.1 or ::1; MPS: what AMT gave in tcpip-forward
	Port          uint32 // of AMT: 16992, 16993, 16994, 16995, 623, 664, 5900
	OriginAddress string
	OriginPort    uint32
}

// Append appends the message.
func (m ChannelOpen) Append(b []byte) []byte {
	b = appendString(append(b, byte(KindChannelOpen)), m.Type)
	b = appendU32(b, m.Sender)
	b = appendU32(b, m.Window)
	b = appendU32(b, noPacketLimit)
	b = appendString(b, m.Address)
	b = appendU32(b, m.Port)
	b = appendString(b, m.OriginAddress)
	return appendU32(b, m.OriginPort)
}

// ParseChannelOpen reads one message off the front of b and returns the rest.
func ParseChannelOpen(b []byte) (m ChannelOpen, rest []byte, err error) {
	f := open(b, KindChannelOpen)
	m.Type, m.Sender, m.Window = f.str(), f.u32(), f.u32()
	f.u32()
	m.Address, m.Port = f.str(), f.u32()
	m.OriginAddress, m.OriginPort = f.str(), f.u32()
	rest, err = f.rest(KindChannelOpen)
	return m, rest, err
}

// ChannelOpenConfirmation grants a channel. 17 bytes.
//
//	 0  1  91
//	 1  4  recipient channel
//	 5  4  sender channel
//	 9  4  window
//	13  4  FFFFFFFFh
type ChannelOpenConfirmation struct {
	Recipient uint32 // channel number, as chosen by the receiver of this message
	Sender    uint32 // and by its sender
	Window    uint32 // bytes that the receiver of this message may send; AMT grants 4 to 16 KiB
}

// Append appends the message.
func (m ChannelOpenConfirmation) Append(b []byte) []byte {
	b = appendU32(append(b, byte(KindChannelOpenConfirmation)), m.Recipient)
	b = appendU32(b, m.Sender)
	b = appendU32(b, m.Window)
	return appendU32(b, noPacketLimit)
}

// ParseChannelOpenConfirmation reads one message off the front of b and returns the rest.
func ParseChannelOpenConfirmation(b []byte) (m ChannelOpenConfirmation, rest []byte, err error) {
	f := open(b, KindChannelOpenConfirmation)
	m.Recipient, m.Sender, m.Window = f.u32(), f.u32(), f.u32()
	f.u32()
	rest, err = f.rest(KindChannelOpenConfirmation)
	return m, rest, err
}

// ChannelOpenFailure refuses a channel. 17 bytes.
//
//	0  1  92
//	1  4  recipient channel
//	5  4  reason
//	9  8  0 (where SSH has two strings, both empty)
type ChannelOpenFailure struct {
	Recipient uint32 // channel number, as chosen by the receiver of this message
	Reason    OpenReason
}

// Append appends the message.
func (m ChannelOpenFailure) Append(b []byte) []byte {
	b = appendU32(append(b, byte(KindChannelOpenFailure)), m.Recipient)
	b = appendU32(b, uint32(m.Reason))
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// ParseChannelOpenFailure reads one message off the front of b and returns the rest.
func ParseChannelOpenFailure(b []byte) (m ChannelOpenFailure, rest []byte, err error) {
	f := open(b, KindChannelOpenFailure)
	m.Recipient, m.Reason = f.u32(), OpenReason(f.u32())
	f.bytes(8)
	rest, err = f.rest(KindChannelOpenFailure)
	return m, rest, err
}

// WindowAdjust lets the peer send more on a channel. 9 bytes.
//
//	0  1  93
//	1  4  recipient channel
//	5  4  bytes to add
type WindowAdjust struct {
	Recipient uint32 // channel number, as chosen by the receiver of this message
	Bytes     uint32 // added to the window
}

// Append appends the message.
func (m WindowAdjust) Append(b []byte) []byte {
	b = appendU32(append(b, byte(KindWindowAdjust)), m.Recipient)
	return appendU32(b, m.Bytes)
}

// ParseWindowAdjust reads one message off the front of b and returns the rest.
func ParseWindowAdjust(b []byte) (m WindowAdjust, rest []byte, err error) {
	f := open(b, KindWindowAdjust)
	m.Recipient, m.Bytes = f.u32(), f.u32()
	rest, err = f.rest(KindWindowAdjust)
	return m, rest, err
}

// Data carries bytes of a channel. 9 bytes and the payload.
//
//	0  1  94
//	1  4  recipient channel
//	5  4  length
//	9  .  payload
type Data struct {
	Recipient uint32 // channel number, as chosen by the receiver of this message
	Payload   []byte // after Parse, part of what was parsed
}

const dataHeaderLen = 9

// Append appends the message.
func (m Data) Append(b []byte) []byte {
	b = appendU32(append(b, byte(KindData)), m.Recipient)
	b = appendU32(b, uint32(len(m.Payload)))
	return append(b, m.Payload...)
}

// ParseData reads one message off the front of b and returns the rest.
func ParseData(b []byte) (m Data, rest []byte, err error) {
	f := open(b, KindData)
	m.Recipient, m.Payload = f.u32(), f.counted(MaxData)
	rest, err = f.rest(KindData)
	return m, rest, err
}

// ChannelClose ends a channel in both directions. Each side sends it once; after both, the numbers are free. 5 bytes.
//
//	0  1  97
//	1  4  recipient channel
type ChannelClose struct {
	Recipient uint32 // channel number, as chosen by the receiver of this message
}

// Append appends the message.
func (m ChannelClose) Append(b []byte) []byte {
	return appendU32(append(b, byte(KindChannelClose)), m.Recipient)
}

// ParseChannelClose reads one message off the front of b and returns the rest.
func ParseChannelClose(b []byte) (m ChannelClose, rest []byte, err error) {
	f := open(b, KindChannelClose)
	m.Recipient = f.u32()
	rest, err = f.rest(KindChannelClose)
	return m, rest, err
}
