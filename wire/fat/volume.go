package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Volume is a file system that was found on a medium.
type Volume struct {
	r     io.ReaderAt
	start int64 // of the volume on the medium
	size  int64 // of the medium
	boot
}

// A boot is what the boot sector says.
type boot struct {
	kind        Type
	sector      int64 // octets of a sector
	cluster     int64 // octets of a cluster
	reserved    int64 // sectors before the first table
	tables      int64
	tableSize   int64 // sectors
	rootEntries int64 // 0 on FAT32
	rootCluster uint32
	clusters    uint32
	label       string
}

// Open finds the first FAT volume on a medium of size octets: on the medium itself, or on one of the four partitions of
// its table. Errors wrap [ErrNoVolume] or come from r.
func Open(r io.ReaderAt, size int64) (*Volume, error) {
	var first [sectorSize]byte
	if err := readAt(r, first[:], 0); err != nil {
		return nil, fmt.Errorf("fat: %w: %w", ErrNoVolume, err)
	}
	b, err := parseBoot(first[:], size)
	if err == nil {
		return &Volume{r, 0, size, b}, nil
	}
	if binary.LittleEndian.Uint16(first[510:]) != bootSignature {
		return nil, fmt.Errorf("fat: %w: no boot signature", ErrNoVolume)
	}
	why := fmt.Errorf("neither the medium nor a partition is one: %w", err)
	for i := range 4 {
		p := first[446+16*i:]
		start, sectors := int64(binary.LittleEndian.Uint32(p[8:]))*sectorSize, int64(binary.LittleEndian.Uint32(p[12:]))
		switch p[4] {
		case 0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e, 0xef:
		case 0xee:
			why = errors.New("a GUID partition table, which is not read")
			continue
		default:
			continue
		}
		var sector [sectorSize]byte
		if err = readAt(r, sector[:], start); err == nil {
			if b, err = parseBoot(sector[:], min(size-start, sectors*sectorSize)); err == nil {
				return &Volume{r, start, size, b}, nil
			}
		}
		why = fmt.Errorf("partition %d: %w", i+1, err)
	}
	return nil, fmt.Errorf("fat: %w: %w", ErrNoVolume, why)
}

// parseBoot reads the boot sector of a volume that has room octets.
func parseBoot(b []byte, room int64) (v boot, err error) {
	if binary.LittleEndian.Uint16(b[510:]) != bootSignature || b[0] != 0xeb && b[0] != 0xe9 {
		return v, errors.New("no boot sector")
	}
	u16 := func(at int) int64 { return int64(binary.LittleEndian.Uint16(b[at:])) }
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	v = boot{sector: u16(11), reserved: u16(14), tables: int64(b[16]), tableSize: u16(22), rootEntries: u16(17)}
	perCluster := int64(b[13])
	total := u16(19)
	if total == 0 {
		total = u32(32)
	}
	label := b[43:54]
	if v.tableSize == 0 {
		v.tableSize, v.rootCluster, label = u32(36), uint32(u32(44)), b[71:82]
	}
	switch {
	case v.sector != 512 && v.sector != 1024 && v.sector != 2048 && v.sector != 4096:
		return v, fmt.Errorf("sectors of %d octets", v.sector)
	case perCluster == 0 || perCluster&(perCluster-1) != 0:
		return v, fmt.Errorf("clusters of %d sectors", perCluster)
	case v.reserved == 0 || v.tables == 0 || v.tables > 4 || v.tableSize == 0 || b[21] < 0xf0:
		return v, errors.New("a boot sector of another file system")
	case total*v.sector > room:
		return v, fmt.Errorf("volume of %d octets, there is room for %d", total*v.sector, room)
	}
	v.cluster = perCluster * v.sector
	data := total - v.reserved - v.tables*v.tableSize - v.rootSectors()
	if data < perCluster {
		return v, errors.New("no room for data")
	}
	n := data / perCluster
	switch {
	case n < minFAT16:
		v.kind = FAT12
	case n < minFAT32:
		v.kind = FAT16
	case n < maxFAT32:
		v.kind = FAT32
	default:
		return v, fmt.Errorf("%d clusters", n)
	}
	v.clusters = uint32(n)
	if (v.kind == FAT32) != (v.rootEntries == 0) {
		return v, fmt.Errorf("%v with %d entries in the root directory", v.kind, v.rootEntries)
	}
	if (n+firstCluster)*int64(v.kind) > 8*v.tableSize*v.sector {
		return v, fmt.Errorf("table of %d sectors for %d clusters", v.tableSize, n)
	}
	v.label = strings.TrimRight(printable(label), " ")
	return v, nil
}

func (v *boot) rootSectors() int64 { return (v.rootEntries*entrySize + v.sector - 1) / v.sector }

// rootAt and dataAt are octets from the start of the volume.
func (v *boot) rootAt() int64 { return (v.reserved + v.tables*v.tableSize) * v.sector }
func (v *boot) dataAt() int64 { return v.rootAt() + v.rootSectors()*v.sector }

// Type returns the width of the table.
func (v *Volume) Type() Type { return v.kind }

// Label returns the label in the boot sector.
func (v *Volume) Label() string { return v.label }

// Start returns where the volume begins on the medium: 0 if there is no partition table.
func (v *Volume) Start() int64 { return v.start }

// next returns the cluster that follows in a chain, or ok false at its end.
func (v *Volume) next(c uint32) (next uint32, ok bool, err error) {
	var b [4]byte
	at, n, last := int64(0), 2, uint32(0)
	switch v.kind {
	case FAT12:
		at, last = int64(c)+int64(c)/2, 0xff8
	case FAT16:
		at, last = 2*int64(c), 0xfff8
	default:
		at, n, last = 4*int64(c), 4, 0x0ffffff8
	}
	if err := readAt(v.r, b[:n], v.start+v.reserved*v.sector+at); err != nil {
		return 0, false, err
	}
	switch v.kind {
	case FAT12:
		next = uint32(binary.LittleEndian.Uint16(b[:]))
		if c%2 == 1 {
			next >>= 4
		}
		next &= 0xfff
	case FAT16:
		next = uint32(binary.LittleEndian.Uint16(b[:]))
	default:
		next = binary.LittleEndian.Uint32(b[:]) & 0x0fffffff
	}
	if next >= last {
		return 0, false, nil
	}
	return next, true, v.valid(next)
}

// valid refuses numbers of no cluster.
func (v *Volume) valid(c uint32) error {
	if c < firstCluster || c-firstCluster >= v.clusters {
		return fmt.Errorf("%w: cluster %d of %d", ErrDamaged, c, v.clusters)
	}
	return nil
}

// clusterAt returns where a cluster begins on the medium.
func (v *Volume) clusterAt(c uint32) int64 {
	return v.start + v.dataAt() + int64(c-firstCluster)*v.cluster
}

// readAt fills b. A medium that ends early is an error.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// printable takes out what is no printable ASCII.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, string(b))
}
