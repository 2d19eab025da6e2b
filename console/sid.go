package console

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// maxSID is the longest SID that firmware takes, in octets: five subauthorities. Source: spec
// inventory-events-policies.md section 8.
const maxSID = 28

// ParseSID reads the text form of a Windows SID, "S-1-5-21-1-2-3-1104", and returns its octets: revision, count,
// authority of 6 octets big endian, subauthorities of 4 little endian. Errors wrap [ErrUsage]. Source: [MS-DTYP] 2.4.2.
func ParseSID(text string) ([]byte, error) {
	bad := fmt.Errorf("%w: %q is not a SID such as S-1-5-21-1-2-3-1104", ErrUsage, text)
	fields := strings.Split(text, "-")
	if len(fields) < 3 || !strings.EqualFold(fields[0], "S") || fields[1] != "1" {
		return nil, bad
	}
	base, digits := 10, fields[2] // large authorities are written in hexadecimal
	if hex, ok := strings.CutPrefix(digits, "0x"); ok {
		base, digits = 16, hex
	}
	authority, err := strconv.ParseUint(digits, base, 48)
	if err != nil {
		return nil, bad
	}
	sub := fields[3:]
	if size := 8 + 4*len(sub); size > maxSID {
		return nil, fmt.Errorf("%w: SID %s has %d octets; AMT takes %d", ErrUsage, text, size, maxSID)
	}
	var high [8]byte
	binary.BigEndian.PutUint64(high[:], authority)
	sid := append([]byte{1, byte(len(sub))}, high[2:]...)
	for _, f := range sub {
		n, err := strconv.ParseUint(f, 10, 32)
		if err != nil {
			return nil, bad
		}
		sid = binary.LittleEndian.AppendUint32(sid, uint32(n))
	}
	return sid, nil
}

// FormatSID returns the text form of a SID; octets that are none come out as hex digits.
func FormatSID(sid []byte) string {
	if len(sid) < 8 || sid[0] != 1 || len(sid) != 8+4*int(sid[1]) {
		return fmt.Sprintf("%x", sid)
	}
	var high [8]byte
	copy(high[2:], sid[2:8])
	text := fmt.Sprintf("S-1-%d", binary.BigEndian.Uint64(high[:]))
	for b := sid[8:]; len(b) > 0; b = b[4:] {
		text += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(b))
	}
	return text
}
