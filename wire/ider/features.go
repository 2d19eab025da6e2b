package ider

import (
	"encoding/binary"
	"fmt"
)

// Sub-commands of [Features].
const (
	FeatureSupported = 1 // reply, bit 0: drives can be enabled
	FeatureState     = 2 // reply, bit 1: drives are enabled
	FeatureSet       = 3 // reply: 1 done, anything else refused
)

// enable is bit 0 of a FeatureSet value; without it drives are disabled.
const enable = 0x01

// A Moment says when drives appear or vanish.
type Moment uint8

// The moments.
const (
	OnReboot   Moment = 0x08 // at the next reset of the host
	Gracefully Moment = 0x10 // when the host does not use the bus: the usual choice
	Now        Moment = 0x18 // even if the bus is busy
)

func (m Moment) String() string {
	switch m {
	case OnReboot:
		return "on reboot"
	case Gracefully:
		return "gracefully"
	case Now:
		return "now"
	}
	return fmt.Sprintf("unknown (%#02x)", uint8(m))
}

// Features asks whether drives can be or are enabled (9 bytes), or enables or disables them (13 bytes). Console to
// machine.
type Features struct {
	Sequence uint32
	Sub      uint8
	Value    uint32 // of FeatureSet: bit 0 enable, and a Moment
}

// Append appends the message.
func (m Features) Append(b []byte) []byte {
	b = append(appendHeader(b, opFeatures, 0, m.Sequence), m.Sub)
	if m.Sub == FeatureSet {
		b = binary.LittleEndian.AppendUint32(b, m.Value)
	}
	return b
}

// ParseFeatures reads one message off the front of b and returns the rest.
func ParseFeatures(b []byte) (m Features, rest []byte, err error) {
	n, err := check(b, opFeatures, "features")
	if err != nil {
		return m, b, err
	}
	m = Features{Sequence: sequence(b), Sub: b[8]}
	if m.Sub == FeatureSet {
		m.Value = binary.LittleEndian.Uint32(b[9:])
	}
	return m, b[n:], nil
}

// FeaturesReply answers [Features]. Machine to console, 13 bytes.
type FeaturesReply struct {
	Sequence uint32
	Sub      uint8
	Value    uint32
}

// Append appends the message.
func (m FeaturesReply) Append(b []byte) []byte {
	b = append(appendHeader(b, opFeaturesReply, 0, m.Sequence), m.Sub)
	return binary.LittleEndian.AppendUint32(b, m.Value)
}

// ParseFeaturesReply reads one message off the front of b and returns the rest.
func ParseFeaturesReply(b []byte) (m FeaturesReply, rest []byte, err error) {
	n, err := check(b, opFeaturesReply, "features reply")
	if err != nil {
		return m, b, err
	}
	return FeaturesReply{sequence(b), b[8], binary.LittleEndian.Uint32(b[9:])}, b[n:], nil
}
