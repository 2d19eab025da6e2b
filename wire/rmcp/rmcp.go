// Package rmcp speaks the presence ping of RMCP: one UDP datagram asks "is there a management controller?", another
// says which. Consoles find AMT machines with it, without any account. AMT answers since release 4.0 (before setup since
// 6.1), unless AMT_GeneralSettings.RmcpPingResponseEnabled says no.
//
// Both ends live here. A message is a 4-byte RMCP header and an 8-byte ASF header, then data; integers are big-endian.
//
//	 0  1  RMCP version, 6
//	 1  1  0
//	 2  1  sequence number, 255 if no acknowledgement is wanted
//	 3  1  class: 6 ASF; 86h acknowledgement of it (4 bytes in all)
//	 4  4  enterprise that defines the type: 4542, ASF
//	 8  1  type: 80h presence ping, 40h presence pong
//	 9  1  tag, copied from ping to pong
//	10  1  0
//	11  1  length of data: 0 in a ping, 16 in a pong
//
// UDP port 623; AMT also listens on 664. By DSP0136 the latter carries an 8-byte session header in front (RSP); whether
// AMT wants it there is unknown, and this package does not write it.
//
// Sources: DMTF DSP0136 (ASF 2.0) 3.2.2, 3.2.4.2, 3.2.4.3; DMTF DSP0232 (DASH); Intel AMT Implementation and Reference
// Guide, "Use RMCP Ping to Determine the Platform State" and "Discovery"; Ylianst/MeshCentral amtscanner.js.
package rmcp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Ports, UDP.
const (
	Port       = 623
	PortSecure = 664
)

// Numbers of enterprises, as IANA gives them.
const (
	EnterpriseIntel uint32 = 343  // 0x157
	EnterpriseASF   uint32 = 4542 // 0x11be
)

// NoAck as a sequence number asks the other side not to acknowledge.
const NoAck = 255

const (
	version6  = 6
	classASF  = 6
	typePong  = 0x40
	typePing  = 0x80
	headerLen = 12
	pongData  = 16 // bytes of data in a pong
)

// PingLen and PongLen are the sizes of the messages.
const (
	PingLen = headerLen
	PongLen = headerLen + pongData
)

// Errors that parsers wrap.
var (
	ErrShort = errors.New("message too short")
	ErrOther = errors.New("not the expected message") // an acknowledgement, IPMI, or not RMCP at all
)

// PresencePing asks who is there. 12 bytes.
type PresencePing struct {
	Sequence uint8 // MeshCentral sends 0; see NoAck
	Tag      uint8 // comes back in the pong
}

// Append appends the message.
func (m PresencePing) Append(b []byte) []byte { return appendHeader(b, m.Sequence, typePing, m.Tag, 0) }

// ParsePing reads a whole datagram. Bytes behind the message are ignored.
func ParsePing(b []byte) (PresencePing, error) {
	seq, tag, _, err := parseHeader(b, typePing)
	if err != nil {
		return PresencePing{}, fmt.Errorf("rmcp: ping: %w", err)
	}
	return PresencePing{Sequence: seq, Tag: tag}, nil
}

// Pong says who is there. 28 bytes. For what Intel AMT puts into it see [Pong.AMT] and [AMT.Pong].
type Pong struct {
	Sequence     uint8
	Tag          uint8   // of the ping
	Enterprise   uint32  // who defines OEM: EnterpriseIntel, or EnterpriseASF and OEM is zero
	OEM          [4]byte // as the enterprise likes
	Entities     uint8   // bits 0-3: 1 is ASF 1.0; bit 5: DASH (AMT 4.x, 5.0); bit 7: IPMI
	Interactions uint8   // bit 5: DASH (AMT 5.1 and newer); bit 7: RMCP security extensions
	Reserved     [6]byte // 0 by DSP0136; AMT uses the first two
}

// Append appends the message.
func (m Pong) Append(b []byte) []byte {
	b = appendHeader(b, m.Sequence, typePong, m.Tag, pongData)
	b = binary.BigEndian.AppendUint32(b, m.Enterprise)
	b = append(b, m.OEM[:]...)
	b = append(b, m.Entities, m.Interactions)
	return append(b, m.Reserved[:]...)
}

// ParsePong reads a whole datagram. Bytes behind the message are ignored.
func ParsePong(b []byte) (m Pong, err error) {
	seq, tag, data, err := parseHeader(b, typePong)
	if err == nil && len(data) < pongData {
		err = fmt.Errorf("%w (%d of %d bytes of data)", ErrShort, len(data), pongData)
	}
	if err != nil {
		return Pong{}, fmt.Errorf("rmcp: pong: %w", err)
	}
	m = Pong{Sequence: seq, Tag: tag, Enterprise: binary.BigEndian.Uint32(data), Entities: data[8], Interactions: data[9]}
	copy(m.OEM[:], data[4:])
	copy(m.Reserved[:], data[10:])
	return m, nil
}

func appendHeader(b []byte, seq, kind, tag, length uint8) []byte {
	b = append(b, version6, 0, seq, classASF)
	b = binary.BigEndian.AppendUint32(b, EnterpriseASF)
	return append(b, kind, tag, 0, length)
}

func parseHeader(b []byte, kind uint8) (seq, tag uint8, data []byte, err error) {
	if len(b) < 4 {
		return 0, 0, nil, fmt.Errorf("%w (%d bytes)", ErrShort, len(b))
	}
	if b[0] != version6 || b[3] != classASF {
		return 0, 0, nil, fmt.Errorf("%w: version %d, class %#02x", ErrOther, b[0], b[3])
	}
	if len(b) < headerLen {
		return 0, 0, nil, fmt.Errorf("%w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	if e := binary.BigEndian.Uint32(b[4:]); e != EnterpriseASF || b[8] != kind {
		return 0, 0, nil, fmt.Errorf("%w: enterprise %d, type %#02x", ErrOther, e, b[8])
	}
	n := int(b[11])
	if len(b)-headerLen < n {
		return 0, 0, nil, fmt.Errorf("%w (%d of %d bytes of data)", ErrShort, len(b)-headerLen, n)
	}
	return b[2], b[9], b[headerLen : headerLen+n], nil
}
