package pc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A medium is what the BIOS and the operating system find on a disc or a floppy.
type medium struct {
	label    string
	bootable bool
	files    []string // of the root directory, folders with a slash behind them
}

// maxListed is how many files of a medium are remembered.
const maxListed = 100

var errNoFileSystem = errors.New("no file system that is known here")

// Fields of ISO 9660. Source: ECMA-119 8.4, 9.1; El Torito 1.0.
const (
	isoSector    = 2048
	isoFirst     = 16 // sector of the first volume descriptor
	isoMost      = 32 // descriptors looked at
	isoBoot      = 0
	isoPrimary   = 1
	isoEnd       = 255
	isoDirectory = 0x02 // file flag
	maxDirectory = 1 << 20
)

// readISO reads the volume label, whether there is a boot record, and the files of the root directory.
func readISO(r io.ReaderAt) (m medium, err error) {
	sector := make([]byte, isoSector)
	var root []byte
	for i := range int64(isoMost) {
		if _, err := r.ReadAt(sector, (isoFirst+i)*isoSector); err != nil {
			return m, fmt.Errorf("volume descriptor: %w", err)
		}
		if string(sector[1:6]) != "CD001" {
			return m, errNoFileSystem
		}
		switch sector[0] {
		case isoBoot:
			m.bootable = m.bootable || bytes.HasPrefix(sector[7:], []byte("EL TORITO SPECIFICATION"))
		case isoPrimary:
			m.label = clean(sector[40:72])
			root = bytes.Clone(sector[156:190])
		case isoEnd:
			if root == nil {
				return m, errNoFileSystem
			}
			m.files, err = readDirectory(r, root)
			return m, err
		}
	}
	return m, errNoFileSystem
}

// readDirectory lists the directory that a record points to. Records do not cross sectors.
func readDirectory(r io.ReaderAt, record []byte) (files []string, err error) {
	at, size := binary.LittleEndian.Uint32(record[2:]), binary.LittleEndian.Uint32(record[10:])
	if size > maxDirectory {
		return nil, fmt.Errorf("directory of %d bytes", size)
	}
	sector := make([]byte, isoSector)
	for done := int64(0); done < int64(size); done += isoSector {
		if _, err := r.ReadAt(sector, int64(at)*isoSector+done); err != nil {
			return files, fmt.Errorf("directory: %w", err)
		}
		for b := sector; len(b) > 33 && b[0] != 0; b = b[b[0]:] {
			n, name := int(b[0]), int(b[32])
			if n < 33+name || n > len(b) {
				return files, errors.New("directory record does not fit")
			}
			if len(files) == maxListed {
				return files, nil
			}
			if name == 1 && b[33] <= 1 { // the directory itself, and the one above
				continue
			}
			text, _, _ := strings.Cut(clean(b[33:33+name]), ";")
			if b[25]&isoDirectory != 0 {
				text += "/"
			}
			files = append(files, text)
		}
	}
	return files, nil
}

// clean makes text of a padded field.
func clean(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.TrimRight(string(b), "\x00 ")))
}
