package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// An Entry is a file or directory in the root directory.
type Entry struct {
	Name      string // 8.3, upper case: "SETUP.BIN"
	Directory bool
	Size      int64 // octets; 0 for a directory

	cluster uint32
}

// An Extent is a part of a file on the medium.
type Extent struct{ Offset, Length int64 }

// Root returns what is in the root directory, in its order; labels, long names and what was deleted left out. Errors
// wrap [ErrDamaged] or come from the medium.
func (v *Volume) Root() ([]Entry, error) {
	list, err := v.root()
	if err != nil {
		return list, fmt.Errorf("fat: root directory: %w", err)
	}
	return list, nil
}

func (v *Volume) root() ([]Entry, error) {
	if v.kind != FAT32 {
		b := make([]byte, v.rootEntries*entrySize) // at most 2 MiB
		if err := readAt(v.r, b, v.start+v.rootAt()); err != nil {
			return nil, err
		}
		list, _ := parseEntries(nil, b)
		return list, nil
	}
	if err := v.valid(v.rootCluster); err != nil {
		return nil, err
	}
	var list []Entry
	b := make([]byte, v.cluster)
	for c, read := v.rootCluster, int64(0); ; {
		if err := readAt(v.r, b, v.clusterAt(c)); err != nil {
			return list, err
		}
		var end bool
		if list, end = parseEntries(list, b); end {
			return list, nil
		}
		if read += v.cluster; read >= MaxRoot*entrySize {
			return list, fmt.Errorf("%w: more than %d entries", ErrDamaged, MaxRoot)
		}
		next, more, err := v.next(c)
		if err != nil || !more {
			return list, err
		}
		c = next
	}
}

// parseEntries adds the entries of a part of a directory; end is true at the mark of its end.
func parseEntries(list []Entry, b []byte) (_ []Entry, end bool) {
	for ; len(b) >= entrySize; b = b[entrySize:] {
		attributes := b[11] & attrMask
		switch {
		case b[0] == 0:
			return list, true
		case b[0] == 0xe5, attributes == attrLongName, attributes&attrVolume != 0:
			continue
		}
		name := strings.TrimRight(printable(b[:8]), " ")
		if extension := strings.TrimRight(printable(b[8:11]), " "); extension != "" {
			name += "." + extension
		}
		e := Entry{Name: name, Directory: attributes&attrDirectory != 0, Size: int64(binary.LittleEndian.Uint32(b[28:])),
			cluster: uint32(binary.LittleEndian.Uint16(b[20:]))<<16 | uint32(binary.LittleEndian.Uint16(b[26:]))}
		if e.Directory {
			e.Size = 0
		}
		list = append(list, e)
	}
	return list, false
}

// Find returns the file of that 8.3 name in the root directory, upper or lower case. The error wraps [ErrNotFound] or is
// as of [Volume.Root].
func (v *Volume) Find(name string) (Entry, error) {
	list, err := v.Root()
	for _, e := range list {
		if !e.Directory && strings.EqualFold(e.Name, name) {
			return e, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("fat: %w: %.40q", ErrNotFound, name)
	}
	return Entry{}, err
}

// Extents returns where a file is, in the order of its octets; neighbours are one. More than limit octets are refused.
// Errors wrap [ErrTooLong] or [ErrDamaged], or come from the medium.
func (v *Volume) Extents(e Entry, limit int64) ([]Extent, error) {
	if e.Size > limit {
		return nil, fmt.Errorf("fat: %s: %w: %d of at most %d octets", e.Name, ErrTooLong, e.Size, limit)
	}
	var out []Extent
	c := e.cluster
	if v.kind != FAT32 {
		c &= 0xffff
	}
	for left := e.Size; left > 0; {
		if err := v.valid(c); err != nil {
			return nil, fmt.Errorf("fat: %s: %w", e.Name, err)
		}
		at, n := v.clusterAt(c), min(left, v.cluster)
		if last := len(out) - 1; last >= 0 && out[last].Offset+out[last].Length == at {
			out[last].Length += n
		} else {
			out = append(out, Extent{at, n})
		}
		if left -= n; left == 0 {
			break
		}
		next, more, err := v.next(c)
		if err == nil && !more {
			err = fmt.Errorf("%w: %d octets missing", ErrDamaged, left)
		}
		if err != nil {
			return nil, fmt.Errorf("fat: %s: %w", e.Name, err)
		}
		c = next
	}
	return out, nil
}

// Read returns the content of a file of at most limit octets. Errors are as of [Volume.Extents].
func (v *Volume) Read(e Entry, limit int64) ([]byte, error) {
	extents, err := v.Extents(e, limit)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer // grows with what is there: a damaged entry may say anything
	for _, x := range extents {
		if n, err := io.Copy(&out, io.NewSectionReader(v.r, x.Offset, x.Length)); err != nil || n < x.Length {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("fat: %s: %w", e.Name, err)
		}
	}
	return out.Bytes(), nil
}

// Overwrite writes new content of the same length in the place of a file. Only sectors that change are written. w is the
// medium that the volume was opened on. Errors are as of [Volume.Read], wrap [ErrSize], or come from w.
func (v *Volume) Overwrite(w io.WriterAt, e Entry, content []byte) error {
	if int64(len(content)) != e.Size {
		return fmt.Errorf("fat: %s: %w: %d octets in the place of %d", e.Name, ErrSize, len(content), e.Size)
	}
	extents, err := v.Extents(e, e.Size)
	if err != nil {
		return err
	}
	for _, x := range extents {
		part := content[:x.Length]
		content = content[x.Length:]
		var old [sectorSize]byte
		for at := int64(0); at < x.Length; at += sectorSize {
			now := part[at:min(at+sectorSize, x.Length)]
			if err := readAt(v.r, old[:len(now)], x.Offset+at); err != nil {
				return fmt.Errorf("fat: %s: %w", e.Name, err)
			}
			if bytes.Equal(now, old[:len(now)]) {
				continue
			}
			if _, err := w.WriteAt(now, x.Offset+at); err != nil {
				return fmt.Errorf("fat: %s: %w", e.Name, err)
			}
		}
	}
	return nil
}
