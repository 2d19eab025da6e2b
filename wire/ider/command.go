package ider

import (
	"encoding/binary"
	"fmt"
)

// A Drive is one of the two that the host sees. The number is the one of the ATA drive select register.
type Drive uint8

// The drives.
const (
	Floppy Drive = 0xA0 // a floppy or LS-120 on IDE-R, a removable disk on USB-R
	CD     Drive = 0xB0
)

// driveBit of the drive select register tells the CD from the floppy.
const driveBit = 0x10

func driveOf(register uint8) Drive {
	if register&driveBit != 0 {
		return CD
	}
	return Floppy
}

// BlockSize is 2048 for the CD, 512 for the floppy.
func (d Drive) BlockSize() int {
	if d == CD {
		return 2048
	}
	return 512
}

func (d Drive) String() string {
	switch d {
	case Floppy:
		return "floppy"
	case CD:
		return "CD"
	}
	return fmt.Sprintf("unknown (%#02x)", uint8(d))
}

// ataPacket is the ATA command PACKET, the only one there is.
const ataPacket = 0xA0

// Command hands a packet command of the host to the console. Machine to console, 28 bytes.
type Command struct {
	Sequence    uint32
	Cable       uint8  // 8: 0
	Features    uint8  // 9: bit 0, the host wants DMA
	SectorCount uint8  // 10
	SectorNum   uint8  // 11
	ByteCount   uint16 // 12: the host's limit of one DRQ block
	DriveSelect uint8  // 14: a Drive; only bit 4 counts
	ATA         uint8  // 15: A0h, PACKET
	CDB         [12]byte
}

// Drive is the drive that is addressed.
func (m *Command) Drive() Drive { return driveOf(m.DriveSelect) }

// DMA tells whether the host wants data by DMA.
func (m *Command) DMA() bool { return m.Features&1 != 0 }

// Append appends the message.
func (m Command) Append(b []byte) []byte {
	b = appendHeader(b, opCommand, 0, m.Sequence)
	b = append(b, m.Cable, m.Features, m.SectorCount, m.SectorNum)
	b = binary.LittleEndian.AppendUint16(b, m.ByteCount)
	b = append(b, m.DriveSelect, m.ATA)
	return append(b, m.CDB[:]...)
}

// ParseCommand reads one message off the front of b and returns the rest.
func ParseCommand(b []byte) (m Command, rest []byte, err error) {
	n, err := check(b, opCommand, "command")
	if err != nil {
		return m, b, err
	}
	return Command{
		Sequence: sequence(b),
		Cable:    b[8], Features: b[9], SectorCount: b[10], SectorNum: b[11],
		ByteCount:   binary.LittleEndian.Uint16(b[12:]),
		DriveSelect: b[14], ATA: b[15],
		CDB: [12]byte(b[16:28]),
	}, b[n:], nil
}

// Bits and values of ATA registers in the messages below.
const (
	statusDRDY = 0x40
	statusDSC  = 0x10
	statusDRQ  = 0x08
	statusERR  = 0x01

	reasonIO = 0x02 // interrupt reason, in the sector count register: data goes to the host
	reasonCD = 0x01 // a command, not data

	maskSuccess = 0xC5 // which registers of a CommandEnd count: status, drive, sector count, interrupt
	maskError   = 0x87 // status, sector count, error, interrupt
	maskPIO     = 0xB5 // which of a DataToHost or GetData: status, byte count, sector count, interrupt
	maskDMA     = 0xB4
	maskData    = 0x85 // of the end that the last DataToHost brings: status, sector count, interrupt
)

// CommandEnd ends a command that ends without data. Console to machine, 31 bytes.
type CommandEnd struct {
	Sequence uint32
	Mask     uint8 // 20: which of the registers that follow count
	Error    uint8 // 21: sense key * 16
	Reason   uint8 // 22: 3
	Drive    Drive // 26
	Status   uint8 // 27: bit 0 is "check condition"
	Sense    Sense // 28
}

// End makes the CommandEnd that tells s: success, if that is zero.
func End(seq uint32, d Drive, s Sense) CommandEnd {
	m := CommandEnd{Sequence: seq, Mask: maskSuccess, Reason: reasonIO | reasonCD, Drive: d, Status: statusDRDY | statusDSC, Sense: s}
	if s != (Sense{}) {
		m.Mask, m.Error = maskError, s.Key<<4
		m.Status |= statusERR
	}
	return m
}

// Failed tells whether the command has failed; Sense says why.
func (m *CommandEnd) Failed() bool { return m.Status&statusERR != 0 }

// Append appends the message.
func (m CommandEnd) Append(b []byte) []byte {
	b = appendHeader(b, opCommandEnd, attrCompleted, m.Sequence)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(b, m.Mask, m.Error, m.Reason, 0, 0, 0, byte(m.Drive), m.Status, m.Sense.Key, m.Sense.ASC, m.Sense.ASCQ)
}

// ParseCommandEnd reads one message off the front of b and returns the rest.
func ParseCommandEnd(b []byte) (m CommandEnd, rest []byte, err error) {
	n, err := check(b, opCommandEnd, "command end")
	if err != nil {
		return m, b, err
	}
	return CommandEnd{sequence(b), b[20], b[21], b[22], Drive(b[26]), b[27], Sense{b[28], b[29], b[30]}}, b[n:], nil
}

// GetData asks for the data of a write. Console to machine, 31 bytes.
type GetData struct {
	Sequence uint32
	Bytes    uint16 // 9, and again 16
	Drive    Drive  // 18
}

// Append appends the message.
func (m GetData) Append(b []byte) []byte {
	b = append(appendHeader(b, opGetData, 0, m.Sequence), 0)
	b = binary.LittleEndian.AppendUint16(b, m.Bytes)
	b = append(b, 0, maskPIO, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, m.Bytes)
	b = append(b, byte(m.Drive), statusDRDY|statusDSC|statusDRQ)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// ParseGetData reads one message off the front of b and returns the rest.
func ParseGetData(b []byte) (m GetData, rest []byte, err error) {
	n, err := check(b, opGetData, "get data")
	if err != nil {
		return m, b, err
	}
	return GetData{sequence(b), binary.LittleEndian.Uint16(b[9:]), Drive(b[18])}, b[n:], nil
}

// DataFromHost brings data of a write, all or a part. Machine to console, 14 bytes and Data.
type DataFromHost struct {
	Sequence uint32
	Data     []byte // at most MaxData; a parsed one points into the parser's input
}

// Append appends the message.
func (m DataFromHost) Append(b []byte) []byte {
	data := m.Data[:min(len(m.Data), MaxData)]
	b = append(appendHeader(b, opDataFromHost, 0, m.Sequence), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
	return append(append(b, 0, 0, 0), data...)
}

// ParseDataFromHost reads one message off the front of b and returns the rest.
func ParseDataFromHost(b []byte) (m DataFromHost, rest []byte, err error) {
	n, err := check(b, opDataFromHost, "data from host")
	if err != nil {
		return m, b, err
	}
	return DataFromHost{sequence(b), b[dataFromHostLen:n]}, b[n:], nil
}

// DataToHost brings data of a read; the last one ends the command. Console to machine, 34 bytes and Data. Consoles
// differ in the registers; a machine needs none of them.
type DataToHost struct {
	Sequence uint32
	DMA      bool   // as in the command
	Last     bool   // the command is completed, with success
	Drive    Drive  // 18
	Data     []byte // at most MaxData; a parsed one points into the parser's input
}

// Append appends the message.
func (m DataToHost) Append(b []byte) []byte {
	data := m.Data[:min(len(m.Data), MaxData)]
	return append(m.appendHeader(b, len(data)), data...)
}

// appendHeader appends all but the n bytes of data.
func (m *DataToHost) appendHeader(b []byte, n int) []byte {
	var attributes, mask, count = byte(0), byte(maskPIO), uint16(n)
	if m.DMA {
		attributes, mask, count = attrDMA, maskDMA, 0
	}
	if m.Last {
		attributes |= attrCompleted
	}
	b = append(appendHeader(b, opDataToHost, attributes, m.Sequence), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	b = append(b, 0, mask, 0, reasonIO, 0)
	b = binary.LittleEndian.AppendUint16(b, count)
	b = append(b, byte(m.Drive), statusDRDY|statusDSC|statusDRQ)
	if m.Last {
		b = append(b, maskData, 0, reasonIO|reasonCD, 0, 0, 0, byte(m.Drive), statusDRDY|statusDSC)
	} else {
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return append(b, 0, 0, 0, 0, 0, 0)
}

// ParseDataToHost reads one message off the front of b and returns the rest.
func ParseDataToHost(b []byte) (m DataToHost, rest []byte, err error) {
	n, err := check(b, opDataToHost, "data to host")
	if err != nil {
		return m, b, err
	}
	return DataToHost{
		Sequence: sequence(b),
		DMA:      b[3]&attrDMA != 0, Last: b[3]&attrCompleted != 0,
		Drive: Drive(b[18]),
		Data:  b[dataToHostLen:n],
	}, b[n:], nil
}
