package ider

import "encoding/binary"

// Answers that describe drive and medium. To add a command, give its code a name in unit.go, a case in judge, and its
// data here.

// inquiry is for machines that do not answer it themselves. SPC-3 6.4.2.
func (u *unit) inquiry(allocation int) response {
	b := u.buf[:0]
	kind, product := byte(0x00), "Virtual Floppy  "
	if u.drive == CD {
		kind, product = 0x05, "Virtual CD      "
	}
	b = append(b, kind, 0x80, 0x00, 0x21, 31, 0, 0, 0)
	b = append(append(append(b, "Outband "...), product...), "1.00"...)
	return response{data: b[:min(len(b), allocation)]}
}

// formatCapacities: one descriptor, of formatted media. MMC-5 6.24.
func (u *unit) formatCapacities(cdb *[12]byte) response {
	if u.medium == nil {
		return response{sense: SenseField}
	}
	b := append(u.buf[:0], 0, 0, 0, 8)
	b = binary.BigEndian.AppendUint32(b, uint32(min(u.blocks, 1<<32-1)))
	b = binary.BigEndian.AppendUint32(b, 2<<24|uint32(u.drive.BlockSize()))
	return response{data: b[:min(len(b), int(binary.BigEndian.Uint16(cdb[7:])))]}
}

// eventStatus: polled only; that there is no event, and whether there is a medium. MMC-5 6.6.
func (u *unit) eventStatus(cdb *[12]byte) response {
	const mediaClass = 0x10
	if cdb[1]&1 == 0 && cdb[4] != mediaClass {
		return response{sense: SenseField}
	}
	present := byte(0)
	if u.medium != nil {
		present = 2
	}
	return u.reply(int(binary.BigEndian.Uint16(cdb[7:])), 0, present, 0x80, 0)
}

// readTOC: one data track. MMC-5 6.26. The format is in byte 2, or in old hosts in the top bits of byte 9.
func (u *unit) readTOC(cdb *[12]byte) response {
	format := cdb[2] & 7
	if format == 0 {
		format = cdb[9] >> 6
	}
	allocation := int(binary.BigEndian.Uint16(cdb[7:]))
	switch format {
	case 0:
		start, end := uint32(0), uint32(min(u.blocks, 1<<32-1))
		if cdb[1]&2 != 0 {
			start, end = msf(0), msf(u.blocks)
		}
		b := append(u.buf[:0], 0, 0x12, 1, 1, 0, 0x14, 1, 0)
		b = binary.BigEndian.AppendUint32(b, start)
		b = binary.BigEndian.AppendUint32(append(b, 0, 0x14, 0xAA, 0), end)
		return u.needs(response{data: b[:min(len(b), allocation)]})
	case 1: // sessions
		return u.needs(u.reply(allocation, 0, 0x0A, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0))
	}
	return response{sense: SenseField}
}

// msf turns a block address into minutes, seconds and frames: 75 blocks a second, the first two seconds are not data.
// What is beyond minute 255 shows as the last address there is.
func msf(lba uint64) uint32 {
	lba = min(lba+150, 256*60*75-1)
	return uint32(lba/75/60<<16 | lba/75%60<<8 | lba%75)
}

// features of a read-only drive for CD-ROM, by code. MMC-5 5.3.
var features = []struct {
	code uint16
	data []byte
}{
	{0x0000, []byte{0x00, 0x00, 0x03, 0x04, 0x00, 0x08, 0x01, 0x00}},                         // profile list: CD-ROM
	{0x0001, []byte{0x00, 0x01, 0x03, 0x04, 0x00, 0x00, 0x00, 0x02}},                         // core: ATAPI
	{0x0002, []byte{0x00, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00}},                         // morphing
	{0x0003, []byte{0x00, 0x03, 0x03, 0x04, 0x29, 0x00, 0x00, 0x02}},                         // removable: tray, eject, lock
	{0x0010, []byte{0x00, 0x10, 0x01, 0x08, 0x00, 0x00, 0x08, 0x00, 0x00, 0x01, 0x00, 0x00}}, // random readable: 2048, 1
	{0x001E, []byte{0x00, 0x1E, 0x03, 0x00}},                                                 // CD read
	{0x0100, []byte{0x01, 0x00, 0x03, 0x00}},                                                 // power management
	{0x0105, []byte{0x01, 0x05, 0x03, 0x00}},                                                 // time-out
}

// getConfiguration. MMC-5 6.5. Byte 1: 0 all features, 1 current ones, 2 just one; bytes 2-3: from this code on.
func (u *unit) getConfiguration(cdb *[12]byte) response {
	from, only := binary.BigEndian.Uint16(cdb[2:]), cdb[1]&3 == 2
	profile := byte(0)
	if u.medium != nil {
		profile = 8
	}
	b := append(u.buf[:0], 0, 0, 0, 0, 0, 0, 0, profile)
	for _, f := range features {
		if f.code == from || f.code > from && !only {
			b = append(b, f.data...)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return response{data: b[:min(len(b), int(binary.BigEndian.Uint16(cdb[7:])))]}
}

// discInformation: complete, one session, one track. MMC-5 6.22; 34 bytes.
var discInformation = [34]byte{
	0x00, 0x20, 0x0E, 0x01, 0x01, 0x01, 0x01, 0x20, 0xFF, 0, 0, 0, 0, 0, 0, 0,
	0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
}
