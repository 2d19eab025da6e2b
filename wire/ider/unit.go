package ider

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A Medium is a flat disk image.
type Medium struct {
	Image io.ReaderAt
	Size  int64 // bytes; the last block is filled up with zeros

	// Writer makes a floppy writable. It writes whole blocks only, up to Size rounded up. A CD is always read-only.
	Writer io.WriterAt
}

// blocks returns the size in blocks, or an error that wraps ErrMedium.
func (m *Medium) blocks(d Drive) (uint64, error) {
	size := uint64(d.BlockSize())
	switch {
	case m.Image == nil || m.Size <= 0:
		return 0, fmt.Errorf("%w: it is empty", ErrMedium)
	case (uint64(m.Size)+size-1)/size > 1<<32:
		return 0, fmt.Errorf("%w: %d bytes are more than 2^32 blocks of %d", ErrMedium, m.Size, size)
	}
	return (uint64(m.Size) + size - 1) / size, nil
}

// Operation codes, byte 0 of the CDB. SPC-3, SBC-2, MMC-5.
const (
	scsiTestUnitReady    = 0x00
	scsiRequestSense     = 0x03
	scsiRead6            = 0x08
	scsiWrite6           = 0x0A
	scsiInquiry          = 0x12
	scsiModeSense6       = 0x1A
	scsiStartStop        = 0x1B
	scsiPreventAllow     = 0x1E
	scsiFormatCapacities = 0x23
	scsiReadCapacity     = 0x25
	scsiRead10           = 0x28
	scsiWrite10          = 0x2A
	scsiWriteVerify10    = 0x2E
	scsiVerify10         = 0x2F
	scsiSyncCache        = 0x35
	scsiReadTOC          = 0x43
	scsiGetConfiguration = 0x46
	scsiGetEventStatus   = 0x4A
	scsiReadDiscInfo     = 0x51
	scsiModeSense10      = 0x5A
	scsiRead12           = 0xA8
	scsiGetPerformance   = 0xAC
)

// attention is what a host has not heard yet.
type attention string

const (
	nothing  attention = ""
	attached attention = "attached" // the medium was there from the start: told at TEST UNIT READY only
	changed  attention = "changed"  // in a running session: told at whatever needs the medium
)

// A unit is one drive as its host knows it: the command set, without any I/O.
type unit struct {
	drive     Drive
	medium    *Medium // nil: none
	blocks    uint64
	attention attention
	sense     Sense // of the last command, for REQUEST SENSE
	buf       [128]byte
}

// Things a response may ask for beside data or sense.
type request string

const (
	noRequest request = ""
	readData  request = "read"
	writeData request = "write"
	flush     request = "flush"
	eject     request = "eject"
)

// A response is what a unit makes of a command: sense if it has failed, else data for the host, or a request for I/O
// whose blocks are in range.
type response struct {
	sense  Sense
	data   []byte // good until the next command
	want   request
	lba    uint64
	blocks uint64
}

// insert puts a medium in, or takes it out (nil).
func (u *unit) insert(m *Medium, a attention) error {
	if m == nil {
		u.medium, u.blocks, u.attention = nil, 0, nothing
		return nil
	}
	blocks, err := m.blocks(u.drive)
	if err != nil {
		return fmt.Errorf("%v: %w", u.drive, err)
	}
	u.medium, u.blocks, u.attention = m, blocks, a
	return nil
}

// writable tells whether the host may write.
func (u *unit) writable() bool { return u.drive == Floppy && u.medium != nil && u.medium.Writer != nil }

// command is the whole command set. Every command has an answer: hosts wait for minutes where there is none.
func (u *unit) command(cdb *[12]byte) response {
	r := u.judge(cdb)
	if cdb[0] != scsiRequestSense {
		u.sense = r.sense
	}
	return r
}

func (u *unit) judge(cdb *[12]byte) response {
	switch cdb[0] {
	case scsiTestUnitReady:
		if u.medium != nil && u.attention != nothing {
			u.attention = nothing
			return response{sense: SenseAttention}
		}
		return u.needs(response{})
	case scsiRequestSense:
		s := u.sense
		u.sense = Sense{}
		return u.reply(int(cdb[4]), 0x70, 0, s.Key, 0, 0, 0, 0, 10, 0, 0, 0, 0, s.ASC, s.ASCQ, 0, 0, 0, 0)
	case scsiInquiry:
		return u.inquiry(int(cdb[4]))
	case scsiModeSense6:
		return u.modeSense6(cdb)
	case scsiModeSense10:
		return u.modeSense10(cdb)
	case scsiStartStop:
		if cdb[4]&3 == 2 { // LoEj without Start
			return response{want: eject}
		}
		return response{}
	case scsiPreventAllow:
		return u.needs(response{})
	case scsiFormatCapacities:
		return u.formatCapacities(cdb)
	case scsiReadCapacity:
		b := binary.BigEndian.AppendUint32(u.buf[:0], uint32(u.blocks-1))
		b = binary.BigEndian.AppendUint32(b, uint32(u.drive.BlockSize()))
		return u.needs(response{data: b})
	case scsiRead6:
		return u.transfer(readData, lba6(cdb), count6(cdb))
	case scsiRead10:
		return u.transfer(readData, lba10(cdb), uint64(binary.BigEndian.Uint16(cdb[7:])))
	case scsiRead12:
		return u.transfer(readData, lba10(cdb), uint64(binary.BigEndian.Uint32(cdb[6:])))
	case scsiWrite6:
		return u.write(lba6(cdb), count6(cdb))
	case scsiWrite10, scsiWriteVerify10:
		return u.write(lba10(cdb), uint64(binary.BigEndian.Uint16(cdb[7:])))
	case scsiVerify10:
		r := u.transfer(readData, lba10(cdb), uint64(binary.BigEndian.Uint16(cdb[7:])))
		return response{sense: r.sense}
	case scsiSyncCache:
		return response{want: flush}
	case scsiGetEventStatus:
		return u.eventStatus(cdb)
	case scsiGetPerformance:
		return u.reply(8, 0, 0, 0, 4, 2, 0, 0, 0)
	}
	if u.drive == CD {
		switch cdb[0] {
		case scsiReadTOC:
			return u.readTOC(cdb)
		case scsiGetConfiguration:
			return u.getConfiguration(cdb)
		case scsiReadDiscInfo:
			return u.needs(u.replyBytes(discInformation[:], int(binary.BigEndian.Uint16(cdb[7:]))))
		}
	}
	return response{sense: SenseOpcode}
}

func lba6(cdb *[12]byte) uint64  { return uint64(binary.BigEndian.Uint32(cdb[:]) & 0x1FFFFF) }
func lba10(cdb *[12]byte) uint64 { return uint64(binary.BigEndian.Uint32(cdb[2:])) }

func count6(cdb *[12]byte) uint64 {
	if cdb[4] == 0 {
		return 256
	}
	return uint64(cdb[4])
}

// needs is r if there is a medium that the host knows of.
func (u *unit) needs(r response) response {
	switch {
	case u.medium == nil:
		return response{sense: SenseNotReady}
	case u.attention == changed:
		u.attention = nothing
		return response{sense: SenseAttention}
	}
	return r
}

func (u *unit) transfer(want request, lba, blocks uint64) response {
	r := u.needs(response{want: want, lba: lba, blocks: blocks})
	switch {
	case r.sense != Sense{}:
		return r
	case lba+blocks > u.blocks:
		return response{sense: SenseOutOfRange}
	case blocks == 0:
		return response{}
	}
	return r
}

// maxWrite is how many blocks one write can have, as their bytes must fit into 16 bits.
const maxWrite = 127

func (u *unit) write(lba, blocks uint64) response {
	r := u.needs(response{})
	switch {
	case r.sense != Sense{}:
		return r
	case !u.writable():
		return response{sense: SenseProtected}
	case blocks > maxWrite:
		return response{sense: SenseField}
	}
	return u.transfer(writeData, lba, blocks)
}

// reply makes a response of data, cut to the host's allocation length.
func (u *unit) reply(allocation int, data ...byte) response { return u.replyBytes(data, allocation) }

func (u *unit) replyBytes(data []byte, allocation int) response {
	n := copy(u.buf[:], data)
	return response{data: u.buf[:min(n, allocation)]}
}
