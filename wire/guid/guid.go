// Package guid holds the GUIDs of AMT: a machine's platform GUID (UUID in CIRA and host interface messages,
// PlatformGUID in WS-Man), the clients of MEI, the agents of the watchdog.
//
// They travel as 16 bytes in SMBIOS order, which is also Microsoft's and UEFI's: the first three fields little-endian,
// the last eight bytes as they stand. Text is big-endian throughout, so the first eight bytes look swapped:
//
//	bytes                     13 AE E3 55  D2 BF  BB 61  17 A0 88 AE DD 70 37 EA
//	text                      55e3ae13-bfd2-61bb-17a0-88aedd7037ea
//	PlatformGUID in WS-Man    13AEE355D2BFBB6117A088AEDD7037EA
//
// Sources: DMTF DSP0134 (SMBIOS) 7.2.1; RFC 9562; spec wsman.md section 8, mei.md section 2.
package guid

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Size is the length on the wire.
const Size = 16

// ErrSyntax tells that something is not a GUID.
var ErrSyntax = errors.New("not a GUID")

// A GUID is 16 bytes in SMBIOS order: g[:] is what goes on the wire. It can be compared and be a map key.
type GUID [Size]byte

// Parse reads canonical text, 55e3ae13-bfd2-61bb-17a0-88aedd7037ea, in either case, with or without braces. 32 digits
// without dashes are refused, as they do not say which order they are in: see [ParseSMBIOSHex]. Errors wrap [ErrSyntax].
func Parse(s string) (GUID, error) {
	text := s
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		if text, ok = strings.CutSuffix(inner, "}"); !ok {
			return GUID{}, syntax(s)
		}
	}
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return GUID{}, syntax(s)
	}
	var digits [2 * Size]byte
	b := append(digits[:0], text[:8]...)
	b = append(b, text[9:13]...)
	b = append(b, text[14:18]...)
	b = append(b, text[19:23]...)
	b = append(b, text[24:]...)
	var u [Size]byte
	if _, err := hex.Decode(u[:], b); err != nil {
		return GUID{}, syntax(s)
	}
	return FromRFC(u), nil
}

// ParseSMBIOSHex reads 32 hex digits in SMBIOS order, as PlatformGUID gives them. Errors wrap [ErrSyntax].
func ParseSMBIOSHex(s string) (g GUID, err error) {
	if len(s) != 2*Size {
		return GUID{}, syntax(s)
	}
	if _, err := hex.Decode(g[:], []byte(s)); err != nil {
		return GUID{}, syntax(s)
	}
	return g, nil
}

// FromBytes takes 16 bytes in SMBIOS order off the wire. Errors wrap [ErrSyntax].
func FromBytes(b []byte) (g GUID, err error) {
	if len(b) != Size {
		return GUID{}, fmt.Errorf("guid: %w: %d bytes of %d", ErrSyntax, len(b), Size)
	}
	copy(g[:], b)
	return g, nil
}

func syntax(s string) error {
	if len(s) > 48 {
		s = s[:48] + "..."
	}
	return fmt.Errorf("guid: %w: %q", ErrSyntax, s)
}

// FromRFC takes 16 bytes in the order of the text, as RFC 9562 and most other software have them.
func FromRFC(u [Size]byte) GUID { return GUID(swap(u)) }

// RFC returns the bytes in the order of the text.
func (g GUID) RFC() [Size]byte { return swap(g) }

// swap turns SMBIOS order into RFC 9562 order, or back.
func swap(b [Size]byte) [Size]byte {
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5] = b[5], b[4]
	b[6], b[7] = b[7], b[6]
	return b
}

// New returns a random GUID (version 4).
func New() GUID {
	var u [Size]byte
	rand.Read(u[:]) // never fails: crypto/rand ends the program instead
	return stamp(u, 4)
}

// FromSeed returns the same GUID for the same seed, always (version 8, SHA-256): for virtual machines that shall keep
// their identity, and for tests.
func FromSeed(seed string) GUID {
	sum := sha256.Sum256([]byte(seed))
	return stamp([Size]byte(sum[:Size]), 8)
}

// stamp sets version and variant. RFC 9562 4.
func stamp(u [Size]byte, version byte) GUID {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	return FromRFC(u)
}

// IsZero tells the nil GUID, which a host sends where only the firmware has a name.
func (g GUID) IsZero() bool { return g == GUID{} }

// String returns canonical text in lower case.
func (g GUID) String() string {
	var text [36]byte
	return string(g.append(text[:0]))
}

func (g GUID) append(b []byte) []byte {
	u := g.RFC()
	b = hex.AppendEncode(b, u[:4])
	for _, group := range [...][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		b = append(b, '-')
		b = hex.AppendEncode(b, group)
	}
	return b
}

// SMBIOSHex returns 32 upper-case hex digits in SMBIOS order, the form of PlatformGUID.
func (g GUID) SMBIOSHex() string { return strings.ToUpper(hex.EncodeToString(g[:])) }

// AppendText appends String.
func (g GUID) AppendText(b []byte) ([]byte, error) { return g.append(b), nil }

// MarshalText returns String, for JSON and flags.
func (g GUID) MarshalText() ([]byte, error) { return g.append(nil), nil }

// UnmarshalText is [Parse].
func (g *GUID) UnmarshalText(text []byte) error {
	got, err := Parse(string(text))
	if err == nil {
		*g = got
	}
	return err
}
