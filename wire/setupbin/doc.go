// Package setupbin reads and writes Setup.bin, the file on a USB key that gives the BIOS (MEBx) its first AMT settings
// without typing: passwords, certificate hash, server, and which features are on. Both ends live here: what a console
// writes, and what a BIOS does with it ([File.Consume]).
//
// A file is a header of 512 octets and records of 512 octets (more, if the header says so). One record serves one
// machine; with [Reusable] the same record serves all. Integers are little-endian, lengths count octets.
//
//	header    0 16  type, tells the version         record    0  4  type, 1
//	         16  2  chunks of 512 octets, 1                   4  4  flags: 1 valid, 2 scrambled
//	         18  2  length, 42 + 2 per module                 8  8  0
//	         20  4  record number, 0                         16  2  chunks, 1
//	         24  2  version: major, minor                    18  2  length of the record's header, 24
//	         26  2  flags: 1 reusable                        20  4  record number, from 1
//	         28  4  records in the file                      24     variables, then zeros
//	         32  4  records consumed
//	         36  2  chunks of a record, 1           variable  0  2  module: 1 MEBx, 2 AMT; 0 ends the list
//	         38  2  0                                         2  2  number
//	         40     modules used, 2 octets each,              4  2  length of the value
//	                ended by 0; then zeros                    6  2  0
//	                                                          8     value, then zeros to a multiple of 4
//
// A scrambled body has 17 added to each of its octets. That is no protection: whoever finds the key has the passwords.
//
// What was read is written back octet by octet: unknown variables, padding, odd header fields. [File.Check] tells what
// a BIOS or another tool may stumble over. Of some variables the encoding is not known ([Definition.Uncertain]); they
// are set from raw octets only.
//
// Not here: the disk image, which package fat writes. The file must be the first one in the root directory, in one piece.
//
// Sources: spec setupbin.md; files written by Intel's Configuration Utility, MeshCommander and MeshCentral.
package setupbin

import (
	"errors"
	"fmt"

	"github.com/outband/outband/wire/guid"
)

// Sizes and limits.
const (
	ChunkSize  = 512      // unit of all records
	MaxSize    = 64 << 20 // octets of a file; 100,000 records are known to have been used
	MaxChunks  = 64       // chunks in a header or record; one is all that was ever seen
	bodyOffset = 24       // in a record
	varHeader  = 8
	moduleList = 40 // offset in the header
)

// Errors that this package wraps.
var (
	ErrOther     = errors.New("not a Setup.bin file")
	ErrShort     = errors.New("file too short")
	ErrTooLong   = errors.New("too long")
	ErrMalformed = errors.New("malformed")
	ErrValue     = errors.New("value not allowed")
	ErrUnknown   = errors.New("unknown variable")
)

// A Version of the file format, major*256+minor. A BIOS takes its own and lower major versions; a higher minor version
// must not disturb it.
type Version uint16

// The versions, and the AMT release they came with.
const (
	V1  Version = 0x0100 // 1.x and 2.x: PSK keys and passwords
	V2  Version = 0x0200 // 3.0: remote configuration, reusable files
	V21 Version = 0x0201 // 4.0: all MEBx parameters
	V3  Version = 0x0300 // 6.0: FQDN, KVM, consent, SHA-256 and SHA-384; MeshCentral writes it
	V4  Version = 0x0400 // scrambling; Intel's utility writes it
)

func (v Version) String() string { return fmt.Sprintf("%d.%d", v>>8, v&0xff) }

// The types of file, in the order of their octets.
var types = [...]struct {
	major uint8
	uuid  guid.GUID
}{
	{1, guid.GUID{0xB5, 0x16, 0xFB, 0x71, 0x87, 0xCB, 0xF9, 0x4A, 0xB4, 0x41, 0xCA, 0x7B, 0x38, 0x35, 0x78, 0xF9}},
	{2, guid.GUID{0x96, 0xB2, 0x81, 0x58, 0xCF, 0x6B, 0x72, 0x4C, 0x8B, 0x91, 0xA1, 0x5E, 0x51, 0x2E, 0x99, 0xC4}},
	{3, guid.GUID{0xA7, 0xF7, 0xF6, 0xC6, 0x89, 0xC4, 0xF6, 0x47, 0x93, 0xED, 0xE2, 0xE5, 0x02, 0x0D, 0xA5, 0x1D}},
	{4, guid.GUID{0xAA, 0xA9, 0x34, 0x52, 0xE1, 0x29, 0xA9, 0x44, 0x8D, 0x4D, 0x08, 0x1C, 0x07, 0xB9, 0x63, 0x53}},
}

// typeOf returns the type that goes with a major version.
func typeOf(major uint8) (guid.GUID, bool) {
	for _, t := range types {
		if t.major == major {
			return t.uuid, true
		}
	}
	return guid.GUID{}, false
}

// majorOf returns the major version that a type tells, 0 for another kind of file.
func majorOf(uuid guid.GUID) uint8 {
	for _, t := range types {
		if t.uuid == uuid {
			return t.major
		}
	}
	return 0
}
