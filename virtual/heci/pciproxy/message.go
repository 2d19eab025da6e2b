package pciproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Commands. Source: mpqemu-link.h.
const (
	cmdSystemMemory int32 = 0 // MPQEMU_CMD_SYNC_SYSMEM
	cmdReply        int32 = 1 // MPQEMU_CMD_RET
	cmdConfigWrite  int32 = 2 // MPQEMU_CMD_PCI_CFGWRITE
	cmdConfigRead   int32 = 3 // MPQEMU_CMD_PCI_CFGREAD
	cmdBARWrite     int32 = 4 // MPQEMU_CMD_BAR_WRITE
	cmdBARRead      int32 = 5 // MPQEMU_CMD_BAR_READ
	cmdInterrupt    int32 = 6 // MPQEMU_CMD_SET_IRQFD
	cmdReset        int32 = 7 // MPQEMU_CMD_DEVICE_RESET
)

// Sizes in bytes.
const (
	headerLen = 16
	memoryLen = 192
	configLen = 12
	barLen    = 24
	replyLen  = 8
	maxData   = memoryLen // the longest of all
	maxFiles  = 8         // REMOTE_MAX_FDS
)

// Errors.
var (
	ErrShort   = errors.New("message too short")
	ErrCorrupt = errors.New("corrupt message")
)

// A Header stands before each message. 16 bytes.
type Header struct {
	Command int32
	Size    uint64 // of the data
}

func (h Header) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Command))
	b = append(b, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint64(b, h.Size)
}

// ParseHeader reads a header off the front of b. It refuses what is not of a command that QEMU sends, or not of its size.
func ParseHeader(b []byte) (h Header, rest []byte, err error) {
	if len(b) < headerLen {
		return h, b, fmt.Errorf("pciproxy: header: %w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	h.Command, h.Size = int32(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint64(b[8:])
	want, ok := map[int32]uint64{
		cmdSystemMemory: memoryLen, cmdReply: replyLen, cmdConfigWrite: configLen, cmdConfigRead: configLen,
		cmdBARWrite: barLen, cmdBARRead: barLen, cmdInterrupt: 0, cmdReset: 0,
	}[h.Command]
	if !ok || h.Size != want {
		return Header{}, b, fmt.Errorf("pciproxy: header: %w: command %d with %d bytes", ErrCorrupt, h.Command, h.Size)
	}
	return h, b[headerLen:], nil
}

// ConfigAccess is the data of commands 2 and 3. 12 bytes.
type ConfigAccess struct {
	Offset, Value uint32
	Size          int32 // 1, 2 or 4
}

func (c ConfigAccess) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, c.Offset)
	b = binary.LittleEndian.AppendUint32(b, c.Value)
	return binary.LittleEndian.AppendUint32(b, uint32(c.Size))
}

// ParseConfigAccess reads the data of commands 2 and 3.
func ParseConfigAccess(b []byte) (c ConfigAccess, rest []byte, err error) {
	if len(b) < configLen {
		return c, b, fmt.Errorf("pciproxy: config access: %w (%d of %d bytes)", ErrShort, len(b), configLen)
	}
	c = ConfigAccess{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), int32(binary.LittleEndian.Uint32(b[8:]))}
	if c.Size != 1 && c.Size != 2 && c.Size != 4 {
		return ConfigAccess{}, b, fmt.Errorf("pciproxy: config access: %w: of %d bytes", ErrCorrupt, c.Size)
	}
	return c, b[configLen:], nil
}

// BARAccess is the data of commands 4 and 5. 24 bytes.
type BARAccess struct {
	Address uint64 // in the guest, not in the BAR
	Value   uint64
	Size    uint32 // 1, 2, 4 or 8
	Memory  bool   // else a port
}

func (a BARAccess) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, a.Address)
	b = binary.LittleEndian.AppendUint64(b, a.Value)
	b = binary.LittleEndian.AppendUint32(b, a.Size)
	if a.Memory {
		return append(b, 1, 0, 0, 0)
	}
	return append(b, 0, 0, 0, 0)
}

// ParseBARAccess reads the data of commands 4 and 5.
func ParseBARAccess(b []byte) (a BARAccess, rest []byte, err error) {
	if len(b) < barLen {
		return a, b, fmt.Errorf("pciproxy: BAR access: %w (%d of %d bytes)", ErrShort, len(b), barLen)
	}
	a = BARAccess{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint32(b[16:]), b[20] != 0}
	if a.Size != 1 && a.Size != 2 && a.Size != 4 && a.Size != 8 {
		return BARAccess{}, b, fmt.Errorf("pciproxy: BAR access: %w: of %d bytes", ErrCorrupt, a.Size)
	}
	return a, b[barLen:], nil
}

// appendReply writes an answer, header and data.
func appendReply(b []byte, value uint64) []byte {
	return binary.LittleEndian.AppendUint64(Header{cmdReply, replyLen}.Append(b), value)
}
