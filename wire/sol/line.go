package sol

import (
	"encoding/binary"
	"strings"
)

// Control is the first byte of a [Line]: lines that the host drives. Bits without a name are kept.
type Control uint8

// The bits of Control.
const (
	RTS   Control = 0x01 // request to send
	DTR   Control = 0x02 // data terminal ready: most operating systems raise it when the port is opened
	Break Control = 0x04 // the host sends a break
)

// LineStatus is the second byte of a [Line]. Bits without a name are kept.
type LineStatus uint8

// The bits of LineStatus.
const (
	Overflow LineStatus = 0x01 // bytes of the host were dropped
	Loopback LineStatus = 0x02 // the UART talks to itself: what the console sends does not arrive
	Powered  LineStatus = 0x04 // the host is on
	Flushed  LineStatus = 0x08 // bytes of the console were dropped, as the host did not fetch them
	TestMode LineStatus = 0x10
)

// Line tells the state of the host's serial port: once after the start and at every change. Machine to console, 10 bytes.
type Line struct {
	Sequence uint32
	Control  Control
	Status   LineStatus
}

// Append appends the message.
func (m Line) Append(b []byte) []byte {
	return append(appendHeader(b, opLine, m.Sequence), byte(m.Control), byte(m.Status))
}

// ParseLine reads one message off the front of b and returns the rest.
func ParseLine(b []byte) (m Line, rest []byte, err error) {
	n, err := check(b, opLine, "line")
	if err != nil {
		return m, b, err
	}
	return Line{binary.LittleEndian.Uint32(b[4:]), Control(b[8]), LineStatus(b[9])}, b[n:], nil
}

// String lists what is set: "RTS DTR powered".
func (m Line) String() string {
	var words []string
	for _, bit := range [...]struct {
		set  bool
		name string
	}{
		{m.Control&RTS != 0, "RTS"}, {m.Control&DTR != 0, "DTR"}, {m.Control&Break != 0, "break"},
		{m.Status&Powered != 0, "powered"}, {m.Status&Overflow != 0, "output lost"}, {m.Status&Flushed != 0, "input lost"},
		{m.Status&Loopback != 0, "loopback"}, {m.Status&TestMode != 0, "test mode"},
	} {
		if bit.set {
			words = append(words, bit.name)
		}
	}
	if words == nil {
		return "off"
	}
	return strings.Join(words, " ")
}
