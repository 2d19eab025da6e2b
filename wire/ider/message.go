package ider

import (
	"encoding/binary"
	"fmt"

	"github.com/outband/outband/wire/redir"
)

// Opcodes.
const (
	opEndSession    = 0x12 // EndRedirectionSession of package redir
	opOpen          = 0x40
	opOpenReply     = 0x41
	opClose         = 0x42
	opCloseReply    = 0x43
	opPing          = 0x44
	opPong          = 0x45
	opReset         = 0x46 // reset occurred
	opResetReply    = 0x47
	opFeatures      = 0x48 // disable/enable features
	opFeaturesReply = 0x49
	opError         = 0x4A // error occurred
	opHeartbeat     = 0x4B
	opCommand       = 0x50 // command written
	opCommandEnd    = 0x51
	opGetData       = 0x52 // from host
	opDataFromHost  = 0x53
	opDataToHost    = 0x54
	opRecorded      = 0xF0 // put in by the MeshCentral relay only. 1 byte
)

// Lengths of the fixed parts.
const (
	headerLen       = 8
	openLen         = 18
	openReplyLen    = 30
	resetLen        = 9
	featuresLen     = 9  // asking
	featuresSetLen  = 13 // setting, and all replies
	errorLen        = 11
	commandLen      = 28
	commandEndLen   = 31
	getDataLen      = 31
	dataFromHostLen = 14
	dataToHostLen   = 34
	endSessionLen   = 4
)

// MaxBuffer is the most data that a machine may announce to take or give in one message.
const MaxBuffer = 8192

// MaxData is the most data that one message can carry.
const MaxData = 65535

// Bits of the attributes, byte 3.
const (
	attrDMA       = 0x01
	attrCompleted = 0x02 // the last message of a command
)

// Length tells how long the message at the front of b is: 0 if b is too short to tell. It knows 40h to 54h and the end of
// the redirection session, but not the 40h and 41h of KVM, which have 8 bytes. The error wraps [redir.ErrOpcode].
func Length(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	switch b[0] {
	case opOpen:
		return openLen, nil
	case opOpenReply:
		if len(b) < openReplyLen {
			return 0, nil
		}
		return openReplyLen + int(b[29]), nil
	case opClose, opCloseReply, opPing, opPong, opResetReply, opHeartbeat:
		return headerLen, nil
	case opReset:
		return resetLen, nil
	case opFeatures:
		if len(b) < featuresLen {
			return 0, nil
		}
		if b[8] == FeatureSet {
			return featuresSetLen, nil
		}
		return featuresLen, nil
	case opFeaturesReply:
		return featuresSetLen, nil
	case opError:
		return errorLen, nil
	case opCommand:
		return commandLen, nil
	case opCommandEnd:
		return commandEndLen, nil
	case opGetData:
		return getDataLen, nil
	case opDataFromHost, opDataToHost:
		fixed := dataFromHostLen
		if b[0] == opDataToHost {
			fixed = dataToHostLen
		}
		if len(b) < 11 {
			return 0, nil
		}
		return fixed + int(binary.LittleEndian.Uint16(b[9:])), nil
	case opEndSession:
		return endSessionLen, nil
	case opRecorded:
		return 1, nil
	}
	return 0, fmt.Errorf("ider: %w %02xh", redir.ErrOpcode, b[0])
}

func check(b []byte, op byte, name string) (n int, err error) {
	if len(b) > 0 && b[0] != op {
		return 0, fmt.Errorf("ider: %s: %w %02xh", name, redir.ErrOpcode, b[0])
	}
	n, err = Length(b)
	if err == nil && (n == 0 || len(b) < n) {
		err = fmt.Errorf("ider: %s: %w (%d bytes)", name, redir.ErrShort, len(b))
	}
	return n, err
}

// appendHeader appends opcode, two zero bytes, attributes and sequence number.
func appendHeader(b []byte, op, attributes byte, seq uint32) []byte {
	b = append(b, op, 0, 0, attributes)
	return binary.LittleEndian.AppendUint32(b, seq)
}

func sequence(b []byte) uint32 { return binary.LittleEndian.Uint32(b[4:]) }

// A Message that is nothing but its header: close and its reply, ping, pong, reset response, heartbeat. 8 bytes.
type Message struct {
	Op       uint8
	Sequence uint32
}

// Append appends the message.
func (m Message) Append(b []byte) []byte { return appendHeader(b, m.Op, 0, m.Sequence) }

// ParseMessage reads one message off the front of b and returns the rest.
func ParseMessage(b []byte) (m Message, rest []byte, err error) {
	if len(b) > 0 {
		switch b[0] {
		case opClose, opCloseReply, opPing, opPong, opResetReply, opHeartbeat:
		default:
			return m, b, fmt.Errorf("ider: %w %02xh", redir.ErrOpcode, b[0])
		}
	}
	if len(b) < headerLen {
		return m, b, fmt.Errorf("ider: %w (%d bytes)", redir.ErrShort, len(b))
	}
	return Message{b[0], sequence(b)}, b[headerLen:], nil
}

// OpenRequest opens the session. Console to machine, 18 bytes. amtterm packs it wrongly, so that all fields are zero:
// a machine takes zeros for its defaults.
type OpenRequest struct {
	Sequence  uint32
	RxTimeout uint16 // ms of silence of the console after which the machine ends the session; default 30000
	TxTimeout uint16 // ms; 0
	Heartbeat uint16 // ms between heartbeats of the machine; default 5000
	Version   uint32 // 1
}

// Append appends the message.
func (m OpenRequest) Append(b []byte) []byte {
	b = appendHeader(b, opOpen, 0, m.Sequence)
	b = binary.LittleEndian.AppendUint16(b, m.RxTimeout)
	b = binary.LittleEndian.AppendUint16(b, m.TxTimeout)
	b = binary.LittleEndian.AppendUint16(b, m.Heartbeat)
	return binary.LittleEndian.AppendUint32(b, m.Version)
}

// ParseOpenRequest reads one message off the front of b and returns the rest.
func ParseOpenRequest(b []byte) (m OpenRequest, rest []byte, err error) {
	n, err := check(b, opOpen, "open")
	if err != nil {
		return m, b, err
	}
	return OpenRequest{
		Sequence:  sequence(b),
		RxTimeout: binary.LittleEndian.Uint16(b[8:]),
		TxTimeout: binary.LittleEndian.Uint16(b[10:]),
		Heartbeat: binary.LittleEndian.Uint16(b[12:]),
		Version:   binary.LittleEndian.Uint32(b[14:]),
	}, b[n:], nil
}

// OpenReply answers [OpenRequest]. Machine to console, 30 bytes and OEM.
type OpenReply struct {
	Status      redir.Status
	Sequence    uint32 // 0
	Major       uint8  // 8: of the protocol
	Minor       uint8  // 9
	Firmware    [2]uint8
	ReadBuffer  uint16 // 16: most data in one DataToHost; at most MaxBuffer
	WriteBuffer uint16 // 18: most data in one DataFromHost; at most MaxBuffer
	Proto       uint8  // 21: 0, or the console does not know the protocol
	Enterprise  uint32 // 25: redir.EnterpriseIntel
	OEM         []byte // at most 255 bytes
}

// Append appends the message.
func (m OpenReply) Append(b []byte) []byte {
	b = append(b, opOpenReply, byte(m.Status), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, m.Sequence)
	b = append(b, m.Major, m.Minor, m.Firmware[0], m.Firmware[1], 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, m.ReadBuffer)
	b = binary.LittleEndian.AppendUint16(b, m.WriteBuffer)
	b = append(b, 0, m.Proto, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, m.Enterprise)
	oem := m.OEM[:min(len(m.OEM), 255)]
	return append(append(b, byte(len(oem))), oem...)
}

// ParseOpenReply reads one message off the front of b and returns the rest.
func ParseOpenReply(b []byte) (m OpenReply, rest []byte, err error) {
	n, err := check(b, opOpenReply, "open reply")
	if err != nil {
		return m, b, err
	}
	return OpenReply{
		Status:   redir.Status(b[1]),
		Sequence: sequence(b),
		Major:    b[8], Minor: b[9], Firmware: [2]uint8(b[10:12]),
		ReadBuffer:  binary.LittleEndian.Uint16(b[16:]),
		WriteBuffer: binary.LittleEndian.Uint16(b[18:]),
		Proto:       b[21],
		Enterprise:  binary.LittleEndian.Uint32(b[25:]),
		OEM:         b[openReplyLen:n],
	}, b[n:], nil
}

// Reset tells that the host has reset a bus or a drive. Machine to console, 9 bytes.
type Reset struct {
	Sequence uint32
	Mask     uint8 // what was reset; the values are unknown
}

// Append appends the message.
func (m Reset) Append(b []byte) []byte {
	return append(appendHeader(b, opReset, 0, m.Sequence), m.Mask)
}

// ParseReset reads one message off the front of b and returns the rest.
func ParseReset(b []byte) (m Reset, rest []byte, err error) {
	n, err := check(b, opReset, "reset")
	if err != nil {
		return m, b, err
	}
	return Reset{sequence(b), b[8]}, b[n:], nil
}

// ErrorOccurred tells of an error of the machine's. 11 bytes.
type ErrorOccurred struct {
	Sequence uint32
	Mask     uint8
	More     [2]uint8 // meaning unknown
}

// Append appends the message.
func (m ErrorOccurred) Append(b []byte) []byte {
	return append(appendHeader(b, opError, 0, m.Sequence), m.Mask, m.More[0], m.More[1])
}

// ParseErrorOccurred reads one message off the front of b and returns the rest.
func ParseErrorOccurred(b []byte) (m ErrorOccurred, rest []byte, err error) {
	n, err := check(b, opError, "error occurred")
	if err != nil {
		return m, b, err
	}
	return ErrorOccurred{sequence(b), b[8], [2]uint8(b[9:11])}, b[n:], nil
}
