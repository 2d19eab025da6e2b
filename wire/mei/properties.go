package mei

import (
	"encoding/binary"
	"fmt"

	"github.com/outband/outband/wire/guid"
)

// Properties are what firmware tells about one of its clients. 24 bytes in HBM.
type Properties struct {
	Client         guid.GUID
	Version        uint8 // of the client's own protocol
	MaxConnections uint8 // at a time; 0 or 1 for a fixed client
	Fixed          bool  // takes messages without connecting, and without flow control
	SharedBuffer   bool  // its connections share one receive buffer, and so one credit (single_recv_buf)
	Tags           bool  // takes tagged connections
	MaxMsgLen      uint32
}

const propertiesLen = 24

// Append writes the block.
func (p Properties) Append(b []byte) []byte {
	b = append(b, p.Client[:]...)
	b = append(b, p.Version, p.MaxConnections, bit(p.Fixed, 0), bit(p.SharedBuffer, 0)|bit(p.Tags, 1))
	return binary.LittleEndian.AppendUint32(b, p.MaxMsgLen)
}

// ParseProperties reads a block off the front of b and returns the rest.
func ParseProperties(b []byte) (p Properties, rest []byte, err error) {
	if len(b) < propertiesLen {
		return p, b, fmt.Errorf("mei: properties: %w (%d of %d bytes)", ErrShort, len(b), propertiesLen)
	}
	return Properties{
		Client:         guid.GUID(b[:guid.Size]),
		Version:        b[16],
		MaxConnections: b[17],
		Fixed:          b[18] != 0,
		SharedBuffer:   b[19]&1 != 0,
		Tags:           b[19]&2 != 0,
		MaxMsgLen:      binary.LittleEndian.Uint32(b[20:]),
	}, b[propertiesLen:], nil
}

// bit returns bit n if on.
func bit(on bool, n uint) byte {
	if on {
		return 1 << n
	}
	return 0
}
