// Package fat reads and writes the FAT file systems of USB keys, as far as a BIOS needs them to find a file in the root
// directory: FAT12, FAT16 and FAT32, on a partition or on the whole medium. It is no file system driver: there are no
// subdirectories, no long names, and a file that is there is overwritten in place or not at all.
//
//	medium    partition table (MBR), or the volume at once
//	volume    boot sector, reserved sectors, file allocation tables, root directory (not FAT32), clusters from number 2
//	table     for each cluster the next one of the file: 12, 16 or 28 bits
//	entry     of a directory, 32 octets: name 8+3, attributes, time, first cluster, size
//
// Integers are little-endian. Sizes are in octets unless a name says sectors. [Write] makes a medium that minimal
// drivers read: a partition table with one partition at 1 MiB, files in one piece, the first file first.
//
// Sources: ECMA-107; Microsoft, "FAT: General Overview of On-Disk Format" 1.03; spec setupbin.md section 5.
package fat

import "errors"

// A Type is the width of the file allocation table. It follows from the number of clusters, whatever labels say.
type Type uint8

// The types.
const (
	FAT12 Type = 12
	FAT16 Type = 16
	FAT32 Type = 32
)

func (t Type) String() string {
	switch t {
	case FAT12:
		return "FAT12"
	case FAT16:
		return "FAT16"
	case FAT32:
		return "FAT32"
	}
	return "unknown"
}

// Numbers of clusters below which a volume is of the smaller type.
const (
	minFAT16 = 4085
	minFAT32 = 65525
	maxFAT32 = 0x0ffffff5
)

// Limits and fixed sizes.
const (
	MaxRoot       = 65536 // entries of a root directory, a driver's limit
	sectorSize    = 512   // of what is written; 512 to 4096 is read
	entrySize     = 32
	firstCluster  = 2
	partitionAt   = 2048 // sector of the partition that is written: 1 MiB
	bootSignature = 0xaa55
)

// Errors that this package wraps.
var (
	ErrNoVolume = errors.New("no FAT file system")
	ErrDamaged  = errors.New("file system damaged")
	ErrNotFound = errors.New("no such file")
	ErrTooLong  = errors.New("file too long")
	ErrSize     = errors.New("size not possible")
	ErrName     = errors.New("not an 8.3 name")
)

// Attributes of a directory entry.
const (
	attrVolume    = 0x08
	attrDirectory = 0x10
	attrArchive   = 0x20
	attrLongName  = 0x0f // and so all of its bits: part of a long name
	attrMask      = 0x3f
)
