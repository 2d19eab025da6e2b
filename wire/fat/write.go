package fat

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
)

// Options say what medium to make. Size must be set.
type Options struct {
	Size   int64     // of the medium; what is beyond the last whole sector stays as it is
	Type   Type      // FAT16 or FAT32; 0 is FAT32 from 33 MiB of partition on
	Label  string    // up to 11 characters; "": NO NAME
	Serial uint32    // of volume and disk
	Time   time.Time // of the files, as it is in its time zone; years outside 1980 to 2107 are written as 1980
}

// A File is to be written.
type File struct {
	Name    string // 8.3: "SETUP.BIN"
	Content []byte
}

// Limits of what is written.
const (
	MaxFiles = 16
	MaxSize  = 32 << 30 // of a medium; other systems refuse to make larger FAT32 volumes

	fat16Root     = 512 // entries of the root directory
	fat32Reserved = 32  // sectors
	fat32Info     = 1   // sector of FSInfo
	fat32Backup   = 6   // sector of the second boot sector
	media         = 0xf8
	fat32From     = 33 << 20
)

// Write makes a medium: a partition table, one partition at 1 MiB, and the files in its root directory, each in one
// piece, in this order. Everything that is in use is written, zeros too; free clusters stay as they are. Errors wrap
// [ErrSize], [ErrName] or [ErrTooLong], or come from w.
func Write(w io.WriterAt, o Options, files ...File) error {
	if err := write(w, o, files); err != nil {
		return fmt.Errorf("fat: %w", err)
	}
	return nil
}

func write(w io.WriterAt, o Options, files []File) error {
	if o.Size > MaxSize {
		return fmt.Errorf("%w: more than %d octets", ErrSize, int64(MaxSize))
	}
	sectors := o.Size/sectorSize - partitionAt
	v, err := layOut(sectors, o.Type)
	if err != nil {
		return err
	}
	label, err := labelOf(o.Label)
	if err != nil {
		return err
	}
	if len(files) > MaxFiles {
		return fmt.Errorf("%w: %d files, at most %d", ErrTooLong, len(files), MaxFiles)
	}
	start := int64(partitionAt * sectorSize)
	tableAt := start + v.reserved*v.sector

	// Entries and chains. FAT32 keeps its root directory in the first cluster.
	directory := make([]byte, 0, (MaxFiles+1)*entrySize)
	table := []uint32{0x0fffff00 | media, 0x0fffffff}
	if v.kind == FAT32 {
		table = append(table, 0x0fffffff)
	}
	type piece struct {
		at      int64
		content []byte
	}
	var pieces []piece
	for _, f := range files {
		name, err := shortName(f.Name)
		if err != nil {
			return err
		}
		first, n := uint32(0), (int64(len(f.Content))+v.cluster-1)/v.cluster
		if int64(len(table))+n > int64(v.clusters)+firstCluster {
			return fmt.Errorf("%s: %w: %d octets", f.Name, ErrTooLong, len(f.Content))
		}
		if n > 0 {
			first = uint32(len(table))
			pieces = append(pieces, piece{start + v.dataAt() + int64(first-firstCluster)*v.cluster, f.Content})
			for range n - 1 {
				table = append(table, uint32(len(table))+1)
			}
			table = append(table, 0x0fffffff)
		}
		directory = appendEntry(directory, name, attrArchive, first, uint32(len(f.Content)), o.Time)
	}
	directory = appendEntry(directory, label, attrVolume, 0, 0, o.Time) // behind the files: one must be first

	rootEnd := start + v.dataAt()
	if v.kind == FAT32 {
		rootEnd += v.cluster
	}
	if err := zero(w, 0, rootEnd); err != nil {
		return err
	}
	bootSector := v.bootSector(o.Serial, label, uint32(sectors))
	pieces = append(pieces,
		piece{0, partitionTable(o.Serial, v.kind, uint32(sectors))},
		piece{start, bootSector},
		piece{start + v.rootAt(), directory})
	for i := range v.tables {
		pieces = append(pieces, piece{tableAt + i*v.tableSize*v.sector, v.encodeTable(table)})
	}
	if v.kind == FAT32 {
		info := v.info(uint32(len(table)))
		pieces = append(pieces,
			piece{start + fat32Info*v.sector, info},
			piece{start + fat32Backup*v.sector, bootSector},
			piece{start + (fat32Backup+fat32Info)*v.sector, info})
	}
	for _, p := range pieces {
		if _, err := w.WriteAt(p.content, p.at); err != nil {
			return err
		}
	}
	return nil
}

// layOut divides a partition. Clusters are as large as is usual for its size: Microsoft's tables for formatting.
func layOut(sectors int64, kind Type) (v boot, err error) {
	if kind == 0 {
		kind = FAT16
		if sectors*sectorSize >= fat32From {
			kind = FAT32
		}
	}
	per := int64(1)
	v = boot{kind: kind, sector: sectorSize, tables: 2}
	switch size := sectors * sectorSize; kind {
	case FAT16:
		v.reserved, v.rootEntries = 1, fat16Root
		for per = 1; per < 64 && size/(per*sectorSize) > minFAT32/2; per *= 2 {
		}
	case FAT32:
		v.reserved, v.rootCluster = fat32Reserved, firstCluster
		if size > 260<<20 {
			per = 8
		}
		for ; per < 64 && size > per<<30; per *= 2 {
		}
	default:
		return v, fmt.Errorf("%w: %v is not written", ErrSize, kind)
	}
	v.cluster = per * sectorSize
	for v.tableSize = 1; ; v.tableSize++ { // until the table has room for the clusters that it leaves room for
		n := (sectors - v.reserved - v.rootSectors() - v.tables*v.tableSize) / per
		need := ((n+firstCluster)*int64(kind)/8 + sectorSize - 1) / sectorSize
		if need > v.tableSize {
			v.tableSize = max(v.tableSize, need-1-need/64) // a first guess; what is left is few steps
			continue
		}
		least, most := int64(minFAT16), int64(minFAT32)
		if kind == FAT32 {
			least, most = minFAT32, maxFAT32
		}
		if n < least || n >= most {
			return v, fmt.Errorf("%w: a partition of %d octets is too %s for %v", ErrSize, sectors*sectorSize, word(n < least), kind)
		}
		v.clusters = uint32(n)
		return v, nil
	}
}

func word(small bool) string {
	if small {
		return "small"
	}
	return "large"
}

// bootSector returns the first sector of the volume. It boots nothing: its program is an endless loop.
func (v *boot) bootSector(serial uint32, label [11]byte, sectors uint32) []byte {
	b := make([]byte, sectorSize)
	copy(b, "\xeb\xfe\x90OUTBAND ")
	le := binary.LittleEndian
	le.PutUint16(b[11:], sectorSize)
	b[13] = byte(v.cluster / v.sector)
	le.PutUint16(b[14:], uint16(v.reserved))
	b[16] = byte(v.tables)
	le.PutUint16(b[17:], uint16(v.rootEntries))
	if v.kind != FAT32 && sectors < 0x10000 {
		le.PutUint16(b[19:], uint16(sectors))
	} else {
		le.PutUint32(b[32:], sectors)
	}
	b[21] = media
	le.PutUint16(b[24:], 63) // sectors of a track, and heads, for those who still ask
	le.PutUint16(b[26:], 255)
	le.PutUint32(b[28:], partitionAt)
	extended := b[36:]
	if v.kind == FAT32 {
		le.PutUint32(b[36:], uint32(v.tableSize))
		le.PutUint32(b[44:], v.rootCluster)
		le.PutUint16(b[48:], fat32Info)
		le.PutUint16(b[50:], fat32Backup)
		extended = b[64:]
	} else {
		le.PutUint16(b[22:], uint16(v.tableSize))
	}
	extended[0], extended[2] = 0x80, 0x29 // a fixed disk; serial, label and type follow
	le.PutUint32(extended[3:], serial)
	copy(extended[7:], label[:])
	copy(extended[18:], v.kind.String()+"   ")
	le.PutUint16(b[510:], bootSignature)
	return b
}

// info returns FSInfo of FAT32: how many clusters are free, and where to look for them.
func (v *boot) info(used uint32) []byte {
	b := make([]byte, sectorSize)
	le := binary.LittleEndian
	le.PutUint32(b, 0x41615252)
	le.PutUint32(b[484:], 0x61417272)
	le.PutUint32(b[488:], v.clusters+firstCluster-used)
	le.PutUint32(b[492:], used)
	le.PutUint32(b[508:], 0xaa550000)
	return b
}

func (v *boot) encodeTable(table []uint32) []byte {
	var b []byte
	for _, c := range table {
		if v.kind == FAT32 {
			b = binary.LittleEndian.AppendUint32(b, c)
		} else {
			b = binary.LittleEndian.AppendUint16(b, uint16(c))
		}
	}
	return b
}

// partitionTable returns the first sector of the medium.
func partitionTable(serial uint32, kind Type, sectors uint32) []byte {
	b := make([]byte, sectorSize)
	binary.LittleEndian.PutUint32(b[440:], serial)
	p := b[446:]
	putCHS(p[1:], partitionAt)
	switch {
	case kind == FAT32:
		p[4] = 0x0c
	case sectors < 0x10000:
		p[4] = 0x04
	default:
		p[4] = 0x06
	}
	putCHS(p[5:], partitionAt+sectors-1)
	binary.LittleEndian.PutUint32(p[8:], partitionAt)
	binary.LittleEndian.PutUint32(p[12:], sectors)
	binary.LittleEndian.PutUint16(b[510:], bootSignature)
	return b
}

// putCHS writes a sector as cylinder, head and sector of a disk with 255 heads and 63 sectors.
func putCHS(b []byte, lba uint32) {
	cylinder, head, sector := lba/(255*63), lba/63%255, lba%63+1
	if cylinder > 1023 {
		cylinder, head, sector = 1023, 254, 63
	}
	b[0], b[1], b[2] = byte(head), byte(sector|cylinder>>2&0xc0), byte(cylinder)
}

func appendEntry(b []byte, name [11]byte, attributes byte, cluster, size uint32, t time.Time) []byte {
	date, clock := uint16(1<<5|1), uint16(0) // 1980-01-01
	if y := t.Year(); 1980 <= y && y <= 2107 {
		date = uint16(y-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
		clock = uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
	}
	le := binary.LittleEndian
	b = append(b, name[:]...)
	b = append(b, attributes, 0, 0)
	b = le.AppendUint16(b, clock) // created
	b = le.AppendUint16(b, date)
	b = le.AppendUint16(b, date) // read
	b = le.AppendUint16(b, uint16(cluster>>16))
	b = le.AppendUint16(b, clock) // written
	b = le.AppendUint16(b, date)
	b = le.AppendUint16(b, uint16(cluster))
	return le.AppendUint32(b, size)
}

// shortName returns a name as an entry has it. Source: ECMA-107 11.1, the characters that all systems take.
func shortName(name string) (out [11]byte, err error) {
	base, extension, _ := strings.Cut(strings.ToUpper(name), ".")
	if base == "" || len(base) > 8 || len(extension) > 3 || !plainName(base) || !plainName(extension) {
		return out, fmt.Errorf("%w: %.40q", ErrName, name)
	}
	copy(out[:], fmt.Sprintf("%-8s%-3s", base, extension))
	return out, nil
}

func labelOf(label string) (out [11]byte, err error) {
	if label == "" {
		label = "NO NAME"
	}
	label = strings.ToUpper(label)
	if len(label) > len(out) || !plainName(strings.ReplaceAll(label, " ", "")) {
		return out, fmt.Errorf("%w: label %.40q: up to 11 letters, digits and signs such as - and _", ErrName, label)
	}
	copy(out[:], fmt.Sprintf("%-11s", label))
	return out, nil
}

func plainName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("$%'-_@~!(){}^#&", rune(c)) {
			return false
		}
	}
	return true
}

// zero writes zeros.
func zero(w io.WriterAt, from, to int64) error {
	zeros := make([]byte, 64<<10)
	for at := from; at < to; {
		n, err := w.WriteAt(zeros[:min(int64(len(zeros)), to-at)], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
