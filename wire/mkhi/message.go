package mkhi

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/outband/outband/wire/mei"
)

// ErrShort is wrapped when a message ends early.
var ErrShort = errors.New("short message")

// Groups and commands.
const (
	groupCapabilities = 0x03 // MKHI_FWCAPS_GROUP_ID
	groupGeneral      = 0xFF // MKHI_GEN_GROUP_ID

	commandVersions = 0x02 // MKHI_GEN_GET_FW_VERSION_CMD
	commandSystem   = 0x06 // MKHI_FWCAPS_SET_OS_VER_APP_RULE_CMD

	bitAnswer = 0x80
)

// Header begins every message. 4 bytes.
type Header struct {
	Group   uint8
	Command uint8 // 7 bits
	Answer  bool
	Result  uint8 // 0: success; 0 in requests
}

const headerLen = 4

// Append writes the header.
func (h Header) Append(b []byte) []byte {
	command := h.Command &^ bitAnswer
	if h.Answer {
		command |= bitAnswer
	}
	return append(b, h.Group, command, 0, h.Result)
}

// ParseHeader reads a header off the front of b and returns the rest.
func ParseHeader(b []byte) (h Header, rest []byte, err error) {
	if len(b) < headerLen {
		return h, b, fmt.Errorf("mkhi: header: %w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	return Header{Group: b[0], Command: b[1] &^ bitAnswer, Answer: b[1]&bitAnswer != 0, Result: b[3]}, b[headerLen:], nil
}

const (
	versionLen  = 8
	maxVersions = 3 // the driver takes no more: code, recovery, settings
)

// AppendVersion writes a block of the answer to "get versions". 8 bytes; of the major number the wire has 8 bits.
func AppendVersion(b []byte, v mei.FirmwareVersion) []byte {
	b = binary.LittleEndian.AppendUint16(b, v.Minor)
	b = append(b, uint8(v.Major), v.Platform)
	b = binary.LittleEndian.AppendUint16(b, v.Build)
	return binary.LittleEndian.AppendUint16(b, v.Hotfix)
}

// ParseVersions reads the blocks behind the header of an answer: three of them at most, as the driver does. What is
// left of them is ignored.
func ParseVersions(b []byte) ([]mei.FirmwareVersion, error) {
	if len(b) < versionLen {
		return nil, fmt.Errorf("mkhi: versions: %w (%d of %d bytes)", ErrShort, len(b), versionLen)
	}
	var all []mei.FirmwareVersion
	for ; len(b) >= versionLen && len(all) < maxVersions; b = b[versionLen:] {
		all = append(all, mei.FirmwareVersion{
			Minor:    binary.LittleEndian.Uint16(b),
			Major:    uint16(b[2]),
			Platform: b[3],
			Build:    binary.LittleEndian.Uint16(b[4:]),
			Hotfix:   binary.LittleEndian.Uint16(b[6:]),
		})
	}
	return all, nil
}

// System is the operating system that has started, as the driver tells it: the rule of feature 16.
type System struct {
	Kind         uint8 // 2: Linux
	Major, Minor uint8 // the Linux driver sends 0
	Build        uint16
}

// Linux is the Kind of System.
const Linux = 2

const (
	featureSystem = 16 // MKHI_FEATURE_PTT
	ruleLen       = 5  // before the data
	systemLen     = 8
)

// Append writes the rule, without the header.
func (s System) Append(b []byte) []byte {
	b = append(b, 0, 0, featureSystem, 0, systemLen)
	b = binary.LittleEndian.AppendUint16(b, s.Build)
	return append(b, 0, 0, s.Kind, s.Major, s.Minor, 0)
}

// ParseSystem reads a rule behind its header. ok is false if it is one of another feature.
func ParseSystem(b []byte) (s System, ok bool, err error) {
	if len(b) < ruleLen || len(b) < ruleLen+int(b[4]) {
		return s, false, fmt.Errorf("mkhi: rule: %w (%d bytes)", ErrShort, len(b))
	}
	if binary.LittleEndian.Uint16(b) != 0 || b[2] != featureSystem || b[4] < systemLen {
		return s, false, nil
	}
	b = b[ruleLen:]
	return System{Build: binary.LittleEndian.Uint16(b), Kind: b[4], Major: b[5], Minor: b[6]}, true, nil
}
