package sol

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/outband/outband/wire/redir"
)

// Opcodes.
const (
	opEndSession   = 0x12 // EndRedirectionSession of package redir
	opStart        = 0x20 // StartSOL
	opStartReply   = 0x21
	opEnd          = 0x22 // EndSOL
	opEndReply     = 0x23
	opPing         = 0x24 // console to machine
	opPong         = 0x25
	opControls     = 0x27 // controls to host
	opDataToHost   = 0x28
	opLine         = 0x29 // controls from host
	opDataFromHost = 0x2A
	opHeartbeat    = 0x2B
	opRecorded     = 0xF0 // put in by the MeshCentral relay only. 1 byte
)

// Lengths of the fixed parts.
const (
	headerLen     = 8 // opcode, 3 zero bytes, u32 sequence
	startLen      = 24
	startReplyLen = 23
	controlsLen   = 14
	lineLen       = 10
	dataLen       = 10
	endSessionLen = 4
)

// MaxData is the most data one message can carry.
const MaxData = 65535

// ErrShort tells that a message ends early. It is that of package redir.
var ErrShort = redir.ErrShort

// Length tells how long the message at the front of b is: 0 if b is too short to tell. It knows 20h to 2Bh and the end
// of the redirection session. The error wraps [redir.ErrOpcode].
func Length(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	switch b[0] {
	case opStart:
		return startLen, nil
	case opStartReply:
		if len(b) < startReplyLen {
			return 0, nil
		}
		return startReplyLen + int(b[22]), nil
	case opEnd, opEndReply, opPing, opPong, opHeartbeat:
		return headerLen, nil
	case opControls:
		return controlsLen, nil
	case opLine:
		return lineLen, nil
	case opDataToHost, opDataFromHost:
		if len(b) < dataLen {
			return 0, nil
		}
		return dataLen + int(binary.LittleEndian.Uint16(b[8:])), nil
	case opEndSession:
		return endSessionLen, nil
	case opRecorded:
		return 1, nil
	}
	return 0, fmt.Errorf("sol: %w %02xh", redir.ErrOpcode, b[0])
}

func check(b []byte, op byte, name string) (n int, err error) {
	if len(b) > 0 && b[0] != op {
		return 0, fmt.Errorf("sol: %s: %w %02xh", name, redir.ErrOpcode, b[0])
	}
	n, err = Length(b)
	if err == nil && (n == 0 || len(b) < n) {
		err = fmt.Errorf("sol: %s: %w (%d bytes)", name, ErrShort, len(b))
	}
	return n, err
}

func appendHeader(b []byte, op byte, seq uint32) []byte {
	b = append(b, op, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, seq)
}

// A Message that is nothing but its header: end, end reply, ping, pong, heartbeat. 8 bytes.
type Message struct {
	Op       uint8
	Sequence uint32 // of a pong: the ping's
}

// Append appends the message.
func (m Message) Append(b []byte) []byte { return appendHeader(b, m.Op, m.Sequence) }

// ParseMessage reads one message off the front of b and returns the rest.
func ParseMessage(b []byte) (m Message, rest []byte, err error) {
	if len(b) > 0 {
		switch b[0] {
		case opEnd, opEndReply, opPing, opPong, opHeartbeat:
		default:
			return m, b, fmt.Errorf("sol: %w %02xh", redir.ErrOpcode, b[0])
		}
	}
	if len(b) < headerLen {
		return m, b, fmt.Errorf("sol: %w (%d bytes)", ErrShort, len(b))
	}
	return Message{Op: b[0], Sequence: binary.LittleEndian.Uint32(b[4:])}, b[headerLen:], nil
}

// Settings are what a console asks of the machine. All times are milliseconds.
type Settings struct {
	MaxTxBuffer        uint16 // bytes the machine may collect before it sends them
	TxBufferTimeout    uint16 // how long it may hold collected bytes; 0: until there are MaxTxBuffer
	TxOverflowTimeout  uint16 // how long it holds the host when its buffer is full, before it drops; 0: for ever
	RxTimeout          uint16 // it ends the session after so much silence of the console; at least 10000, 0: never
	FifoRxFlushTimeout uint16 // bytes for the host that the host does not fetch are dropped after this; 0: never
	Heartbeat          uint16 // between heartbeats of the machine; 0: none
}

// DefaultSettings returns what Intel's library asks for.
func DefaultSettings() Settings {
	return Settings{MaxTxBuffer: 10000, TxBufferTimeout: 100, RxTimeout: 10000, Heartbeat: 5000}
}

// Start opens the serial line. Console to machine, 24 bytes.
type Start struct {
	Sequence uint32
	Settings Settings
}

// Append appends the message.
func (m Start) Append(b []byte) []byte {
	b = appendHeader(b, opStart, m.Sequence)
	s := m.Settings
	for _, v := range [...]uint16{
		s.MaxTxBuffer, s.TxBufferTimeout, s.TxOverflowTimeout, s.RxTimeout, s.FifoRxFlushTimeout, s.Heartbeat,
	} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return append(b, 0, 0, 0, 0)
}

// ParseStart reads one message off the front of b and returns the rest.
func ParseStart(b []byte) (m Start, rest []byte, err error) {
	n, err := check(b, opStart, "start")
	if err != nil {
		return m, b, err
	}
	m.Sequence = binary.LittleEndian.Uint32(b[4:])
	m.Settings = Settings{
		MaxTxBuffer:        binary.LittleEndian.Uint16(b[8:]),
		TxBufferTimeout:    binary.LittleEndian.Uint16(b[10:]),
		TxOverflowTimeout:  binary.LittleEndian.Uint16(b[12:]),
		RxTimeout:          binary.LittleEndian.Uint16(b[14:]),
		FifoRxFlushTimeout: binary.LittleEndian.Uint16(b[16:]),
		Heartbeat:          binary.LittleEndian.Uint16(b[18:]),
	}
	return m, b[n:], nil
}

// StartReply answers [Start]. Machine to console, 23 bytes and OEM. No known console reads more than Status and the
// length of OEM; the meaning of the others is a guess.
type StartReply struct {
	Status      redir.Status
	Sequence    uint32
	Major       uint8 // 8: of the protocol
	Minor       uint8 // 9
	Firmware    [2]uint8
	MaxTxBuffer uint16 // 12: as granted
	Enterprise  uint32 // 18: redir.EnterpriseIntel
	OEM         []byte // at most 255 bytes; to be left empty, as most consoles expect 23 bytes
}

// Append appends the message.
func (m StartReply) Append(b []byte) []byte {
	b = append(b, opStartReply, byte(m.Status), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, m.Sequence)
	b = append(b, m.Major, m.Minor, m.Firmware[0], m.Firmware[1])
	b = binary.LittleEndian.AppendUint16(b, m.MaxTxBuffer)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, m.Enterprise)
	oem := m.OEM[:min(len(m.OEM), 255)]
	return append(append(b, byte(len(oem))), oem...)
}

// ParseStartReply reads one message off the front of b and returns the rest.
func ParseStartReply(b []byte) (m StartReply, rest []byte, err error) {
	n, err := check(b, opStartReply, "start reply")
	if err != nil {
		return m, b, err
	}
	return StartReply{
		Status:   redir.Status(b[1]),
		Sequence: binary.LittleEndian.Uint32(b[4:]),
		Major:    b[8], Minor: b[9], Firmware: [2]uint8(b[10:12]),
		MaxTxBuffer: binary.LittleEndian.Uint16(b[12:]),
		Enterprise:  binary.LittleEndian.Uint32(b[18:]),
		OEM:         b[startReplyLen:n],
	}, b[n:], nil
}

// Controls goes from console to machine, 14 bytes. The MeshCommander family sends one after the start; its meaning is
// unknown (perhaps control lines), and machines do without.
type Controls struct {
	Sequence uint32
	Value    [6]byte // 00 00 1B 00 00 00
}

// Append appends the message.
func (m Controls) Append(b []byte) []byte {
	return append(appendHeader(b, opControls, m.Sequence), m.Value[:]...)
}

// ParseControls reads one message off the front of b and returns the rest.
func ParseControls(b []byte) (m Controls, rest []byte, err error) {
	n, err := check(b, opControls, "controls")
	if err != nil {
		return m, b, err
	}
	return Controls{Sequence: binary.LittleEndian.Uint32(b[4:]), Value: [6]byte(b[8:14])}, b[n:], nil
}

// Data carries bytes to the host (28h) or from it (2Ah). 10 bytes and Bytes.
type Data struct {
	FromHost bool
	Sequence uint32
	Bytes    []byte // at most MaxData; parsed ones point into the parser's input
}

// Append appends the message.
func (m Data) Append(b []byte) []byte {
	op := byte(opDataToHost)
	if m.FromHost {
		op = opDataFromHost
	}
	data := m.Bytes[:min(len(m.Bytes), MaxData)]
	b = appendHeader(b, op, m.Sequence)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// ParseData reads one message off the front of b and returns the rest.
func ParseData(b []byte) (m Data, rest []byte, err error) {
	op := byte(opDataToHost)
	if len(b) > 0 && b[0] == opDataFromHost {
		op = opDataFromHost
	}
	n, err := check(b, op, "data")
	if err != nil {
		return m, b, err
	}
	return Data{FromHost: op == opDataFromHost, Sequence: binary.LittleEndian.Uint32(b[4:]), Bytes: b[dataLen:n]}, b[n:], nil
}

// errEnded is how a step says that the session is over as it should be.
var errEnded = errors.New("ended")
