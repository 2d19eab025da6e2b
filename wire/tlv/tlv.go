// Package tlv reads and writes the parameters of a recovery boot or a platform erase, the records in
// AMT_BootSettingData.UefiBootParametersArray (release 15 and newer). A console writes them, the BIOS reads them at the
// next boot. Integers are little-endian:
//
//	0  2  vendor: 8086h, or an OEM's
//	2  2  type
//	4  4  length of the value, octets
//	8     value
//
// An array has no count and no end mark; UefiBootNumberOfParams beside it is no help, as MeshCommander always writes 3.
//
// Sources: spec power-and-boot.md sections 5 and 6.2; Ylianst/MeshCommander; device-management-toolkit/go-wsman-messages
// pkg/wsman/amt/boot.
package tlv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits.
const (
	MaxSize   = 1024 // octets of the whole array, not in base64
	MaxParams = 64
	headerLen = 8
)

// Vendors.
const (
	Intel uint16 = 0x8086
	OEM   uint16 = 11 // as MeshCommander and the console name an OEM's erase data; one source
)

// Types of Intel's for a recovery boot: over HTTPS, to a pre-boot application, to Windows recovery.
const (
	NetworkPath    uint16 = 1  // the URL as text, at most 300
	FilePath       uint16 = 2  // EFI file device path, at most 300
	FilePathLength uint16 = 3  // uint16: octets of the FilePath
	ImageSHA256    uint16 = 4  // hash of the image
	ImageSHA384    uint16 = 5  //
	ImageSHA512    uint16 = 6  //
	BootData       uint16 = 10 // for the boot application, at most 50
	SyncRootCA     uint16 = 20 // 1 octet: hand AMT's root certificates to the BIOS
	ServerName     uint16 = 21 // of the server's certificate, or its suffix, at most 256
	NameMethod     uint16 = 22 // uint16: 1 is the full name
	ServerSHA256   uint16 = 23 // hash of the server's certificate
	ServerSHA384   uint16 = 24 //
	ServerSHA512   uint16 = 25 //
	RequestTimeout uint16 = 30 // uint16: seconds, 0 is the default
	HTTPUser       uint16 = 40
	HTTPPassword   uint16 = 41
)

// Types of Intel's for a platform erase.
const (
	EraseMask     uint16 = 1  // uint32: what to erase, the bits of AMT_BootCapabilities.PlatformErase
	ErasePSID     uint16 = 10 // text: the Pyrite PSID of the drive
	ErasePassword uint16 = 20 // of the SSD
)

// Errors that this package wraps.
var (
	ErrMalformed = errors.New("malformed boot parameters")
	ErrTooLong   = errors.New("too many boot parameters")
	ErrValue     = errors.New("boot parameter has the wrong length")
)

// A Param is one record. What a type means depends on the operation.
type Param struct {
	Vendor uint16
	Type   uint16
	Value  []byte // may be a secret: HTTPPassword, ErasePassword, ErasePSID
}

// Text is a Param of Intel's that is text or octets.
func Text(kind uint16, value string) Param {
	return Param{Vendor: Intel, Type: kind, Value: []byte(value)}
}

// Octet is a Param of Intel's of one octet.
func Octet(kind uint16, value uint8) Param {
	return Param{Vendor: Intel, Type: kind, Value: []byte{value}}
}

// Word is a Param of Intel's of two octets.
func Word(kind uint16, value uint16) Param {
	return Param{Vendor: Intel, Type: kind, Value: binary.LittleEndian.AppendUint16(nil, value)}
}

// DWord is a Param of Intel's of four octets.
func DWord(kind uint16, value uint32) Param {
	return Param{Vendor: Intel, Type: kind, Value: binary.LittleEndian.AppendUint32(nil, value)}
}

// Word reads a value of two octets.
func (p Param) Word() (uint16, bool) {
	if len(p.Value) != 2 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(p.Value), true
}

// DWord reads a value of four octets.
func (p Param) DWord() (uint32, bool) {
	if len(p.Value) != 4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(p.Value), true
}

// String tells all but the value, which may be a secret.
func (p Param) String() string {
	return fmt.Sprintf("type %d of vendor %#04x, %d octets", p.Type, p.Vendor, len(p.Value))
}

// GoString is String, so that %#v does not show the value.
func (p Param) GoString() string { return p.String() }

// Append appends the record.
func (p Param) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, p.Vendor)
	b = binary.LittleEndian.AppendUint16(b, p.Type)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Value)))
	return append(b, p.Value...)
}

// Append appends an array. The error wraps [ErrTooLong] if it is over a limit.
func Append(b []byte, params ...Param) ([]byte, error) {
	size := 0
	for _, p := range params {
		size += headerLen + len(p.Value)
	}
	if size > MaxSize || len(params) > MaxParams {
		return b, fmt.Errorf("tlv: %w: %d octets in %d records, at most %d and %d", ErrTooLong, size, len(params), MaxSize, MaxParams)
	}
	for _, p := range params {
		b = p.Append(b)
	}
	return b, nil
}

// Parse reads an array to its end. Values share memory with b. Errors wrap [ErrMalformed] or [ErrTooLong].
func Parse(b []byte) ([]Param, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("tlv: %w: %d octets, at most %d", ErrTooLong, len(b), MaxSize)
	}
	var out []Param
	for len(b) > 0 {
		if len(b) < headerLen {
			return nil, fmt.Errorf("tlv: %w: record cut short (%d of %d octets)", ErrMalformed, len(b), headerLen)
		}
		if len(out) == MaxParams {
			return nil, fmt.Errorf("tlv: %w: more than %d", ErrTooLong, MaxParams)
		}
		p := Param{Vendor: binary.LittleEndian.Uint16(b), Type: binary.LittleEndian.Uint16(b[2:])}
		n := binary.LittleEndian.Uint32(b[4:])
		b = b[headerLen:]
		if uint64(n) > uint64(len(b)) {
			return nil, fmt.Errorf("tlv: %w: record of type %d says %d octets, %d are left", ErrMalformed, p.Type, n, len(b))
		}
		p.Value, b = b[:n:n], b[n:]
		out = append(out, p)
	}
	return out, nil
}

// Find returns the first parameter of Intel's with a type.
func Find(params []Param, kind uint16) (Param, bool) {
	for _, p := range params {
		if p.Vendor == Intel && p.Type == kind {
			return p, true
		}
	}
	return Param{}, false
}

// CheckBoot tells whether the parameters of a recovery boot have lengths that a BIOS takes. Those of other vendors, and
// types that are not known, pass. The error wraps [ErrValue] and tells no value.
func CheckBoot(params []Param) error {
	for _, p := range params {
		if p.Vendor != Intel {
			continue
		}
		low, high := 0, MaxSize
		switch p.Type {
		case NetworkPath, FilePath:
			low, high = 1, 300
		case FilePathLength, NameMethod, RequestTimeout:
			low, high = 2, 2
		case ImageSHA256, ServerSHA256:
			low, high = 32, 32
		case ImageSHA384, ServerSHA384:
			low, high = 48, 48
		case ImageSHA512, ServerSHA512:
			low, high = 64, 64
		case BootData:
			high = 50
		case SyncRootCA:
			low, high = 1, 1
		case ServerName:
			high = 256
		}
		if n := len(p.Value); n < low || n > high {
			return fmt.Errorf("tlv: type %d: %w: %d octets, want %d to %d", p.Type, ErrValue, n, low, high)
		}
	}
	return nil
}
