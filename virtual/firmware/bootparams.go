package firmware

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A BootParam is a record of AMT_BootSettingData.UefiBootParametersArray: what a recovery boot or an erase needs beside
// flags. All integers are little-endian:
//
//	0  2  vendor: 0x8086, or an OEM's
//	2  2  type
//	4  4  length of the value
//	8  n  value
//
// Source: spec power-and-boot.md section 5.
type BootParam struct {
	Vendor uint16
	Type   uint16
	Value  []byte // may be a secret: types 20 of an erase, and 41
}

// String tells all but the value, which may be a secret.
func (p BootParam) String() string {
	return fmt.Sprintf("type %d of vendor %#04x, %d octets", p.Type, p.Vendor, len(p.Value))
}

const (
	bootParamHeader   = 8
	maxBootParams     = 64
	maxBootParamBytes = 1024 // of the whole array, decoded
)

// VendorIntel is the vendor of the parameters that AMT defines.
const VendorIntel uint16 = 0x8086

// Types of parameters of a recovery boot.
const (
	ParamURL            uint16 = 1 // network device path: the URL as text, at most 300 octets
	ParamFilePath       uint16 = 2 // EFI file device path, at most 300 octets
	ParamFilePathLength uint16 = 3 // uint16
	ParamSyncRootCA     uint16 = 20
	ParamServerName     uint16 = 21
	ParamNameMethod     uint16 = 22
	ParamTimeout        uint16 = 30 // seconds, uint16; 0 is the default
	ParamUser           uint16 = 40
	ParamPassword       uint16 = 41
)

// ErrBootParams is wrapped by errors about an array that cannot be read.
var ErrBootParams = errors.New("malformed boot parameters")

// ParseBootParams reads an array to its end. UefiBootNumberOfParams is no help: MeshCommander always writes 3.
func ParseBootParams(b []byte) ([]BootParam, error) {
	if len(b) > maxBootParamBytes {
		return nil, fmt.Errorf("%w: %d octets are over the limit of %d", ErrBootParams, len(b), maxBootParamBytes)
	}
	var out []BootParam
	for len(b) > 0 {
		if len(b) < bootParamHeader {
			return nil, fmt.Errorf("%w: record cut short (%d of %d octets)", ErrBootParams, len(b), bootParamHeader)
		}
		if len(out) == maxBootParams {
			return nil, fmt.Errorf("%w: more than %d records", ErrBootParams, maxBootParams)
		}
		p := BootParam{Vendor: binary.LittleEndian.Uint16(b), Type: binary.LittleEndian.Uint16(b[2:])}
		n := binary.LittleEndian.Uint32(b[4:])
		b = b[bootParamHeader:]
		if uint64(n) > uint64(len(b)) {
			return nil, fmt.Errorf("%w: record of type %d says %d octets, %d are left", ErrBootParams, p.Type, n, len(b))
		}
		p.Value, b = b[:n:n], b[n:]
		out = append(out, p)
	}
	return out, nil
}

// Append appends the record.
func (p BootParam) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, p.Vendor)
	b = binary.LittleEndian.AppendUint16(b, p.Type)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Value)))
	return append(b, p.Value...)
}
