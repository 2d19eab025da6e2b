package ider

import "encoding/binary"

// Mode pages. SFF-8070i for the floppy, MMC for the CD. Page 03h of the MeshCommander family is two bytes shorter than
// it says, which here it is not.

const (
	floppyBlocks  = 2880 // up to here it is a floppy, beyond it an LS-120
	mediumFloppy  = 0x24
	mediumLS120   = 0x31
	mediumCD      = 0x01
	allPages      = 0x3F
	writeProtect  = 0x80
	modeHeaderLen = 8
)

var (
	pageErrorFloppy = []byte{0x01, 0x0A, 0x00, 0x01, 0, 0, 0, 0, 0x02, 0, 0, 0}
	pageErrorCD     = []byte{0x01, 0x06, 0x00, 0xFF, 0, 0, 0, 0}
	pageFormat      = []byte{0x03, 0x16, 0x00, 0xA0, 0, 0, 0, 0, 0, 0x12, 0x02, 0, 0, 0, 0, 0, 0, 0, 0xA0, 0, 0, 0, 0, 0}
	// transfer rate in kbit/s, heads, sectors per track, bytes per sector, cylinders; ... rotations per minute
	pageFlexible = []byte{0x05, 0x1E, 0x04, 0xB0, 2, 18, 0x02, 0x00, 0x00, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0xD0, 0, 0}
	pageLS120    = []byte{0x05, 0x1E, 0x10, 0xA9, 8, 32, 0x02, 0x00, 0x03, 0xC3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0xD0, 0, 0}
	pageCaching  = []byte{0x08, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	pageMedium   = []byte{0x0B, 0x06, 0x00, 0x00, 0x00, 0x11, 0x24, 0x31}
	pagePower    = []byte{0x1A, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	pageTimeout  = []byte{0x1D, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	pageCD       = []byte{0x2A, 0x18, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	pageCDAll    = []byte{0x2A, 0x18, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // as all pages have it
)

// modeSense10. SPC-3 6.10.
func (u *unit) modeSense10(cdb *[12]byte) response {
	allocation := int(binary.BigEndian.Uint16(cdb[7:]))
	page := cdb[2] & 0x3F
	if u.drive == CD {
		switch page {
		case 0x01:
			return u.pages(mediumCD, allocation, pageErrorCD)
		case 0x1A:
			return u.pages(mediumCD, allocation, pagePower)
		case 0x1D:
			return u.pages(mediumCD, allocation, pageTimeout)
		case 0x2A:
			return u.pages(mediumCD, allocation, pageCD)
		case allPages:
			return u.pages(mediumCD, allocation, pageErrorCD, pageCDAll)
		}
		return response{sense: SenseField}
	}
	medium, flexible := byte(mediumFloppy), pageFlexible
	if u.blocks > floppyBlocks {
		medium, flexible = mediumLS120, pageLS120
	}
	switch page {
	case 0x01:
		return u.pages(medium, allocation, pageErrorFloppy)
	case 0x05:
		return u.pages(medium, allocation, flexible)
	case allPages:
		return u.pages(mediumFloppy, allocation, pageErrorFloppy, pageFormat, flexible, pageCaching, pageMedium)
	}
	return response{sense: SenseField}
}

// pages puts the header in front: u16 length of what follows it, medium type, write protection.
func (u *unit) pages(medium byte, allocation int, pages ...[]byte) response {
	b := append(u.buf[:0], 0, 0, medium, u.protection(), 0, 0, 0, 0)
	for _, p := range pages {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	return response{data: b[:min(len(b), allocation)]}
}

func (u *unit) protection() byte {
	if u.writable() {
		return 0
	}
	return writeProtect
}

// modeSense6 gives its header only, and that for all pages only. SPC-3 6.9.
func (u *unit) modeSense6(cdb *[12]byte) response {
	if cdb[2]&0x3F != allPages || cdb[3] != 0 {
		return response{sense: SenseField}
	}
	medium := byte(0)
	if u.drive == CD {
		medium = 0x05
	}
	return u.needs(u.reply(int(cdb[4]), 0, medium, u.protection(), 0))
}
