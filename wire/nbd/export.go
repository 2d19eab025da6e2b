package nbd

import (
	"encoding/binary"
	"fmt"
)

// Flags of an export. Source: proto.md, "Transmission flags".
const (
	flagHasFlags  = 1
	flagReadOnly  = 2
	flagSendFlush = 4
)

// Kinds of information about an export.
const (
	infoExport    = 0
	infoBlockSize = 3
)

// Info is what a client learns of an export.
type Info struct {
	Size      int64 // bytes
	ReadOnly  bool
	Flush     bool  // the command flush is known
	BlockSize int64 // least unit of places and lengths in bytes; 0: not told, and then 1
}

func (i Info) flags() uint16 {
	flags := uint16(flagHasFlags)
	if i.ReadOnly {
		flags |= flagReadOnly
	}
	if i.Flush {
		flags |= flagSendFlush
	}
	return flags
}

// appendExport appends the data of the reply with size and flags. 12 bytes.
func (i Info) appendExport(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, infoExport)
	b = binary.BigEndian.AppendUint64(b, uint64(i.Size))
	return binary.BigEndian.AppendUint16(b, i.flags())
}

// appendBlockSize appends the data of the reply with the least, the preferred and the greatest size of a piece. 14 bytes.
func (i Info) appendBlockSize(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, infoBlockSize)
	b = binary.BigEndian.AppendUint32(b, uint32(max(i.BlockSize, 1)))
	b = binary.BigEndian.AppendUint32(b, uint32(max(i.BlockSize, 4096)))
	return binary.BigEndian.AppendUint32(b, MaxData)
}

// parse reads the data of one reply with information; unknown kinds are passed over.
func (i *Info) parse(b []byte) error {
	if len(b) < 2 {
		return fmt.Errorf("information of %d bytes: %w", len(b), ErrProtocol)
	}
	switch kind := binary.BigEndian.Uint16(b); {
	case kind == infoExport && len(b) == 12:
		size, flags := binary.BigEndian.Uint64(b[2:]), binary.BigEndian.Uint16(b[10:])
		if size > 1<<62 {
			return fmt.Errorf("export of %d bytes: %w", size, ErrTooLong)
		}
		i.Size, i.ReadOnly, i.Flush = int64(size), flags&flagReadOnly != 0, flags&flagSendFlush != 0
	case kind == infoBlockSize && len(b) == 14:
		i.BlockSize = int64(binary.BigEndian.Uint32(b[2:]))
	case kind == infoExport || kind == infoBlockSize:
		return fmt.Errorf("information %d of %d bytes: %w", kind, len(b), ErrProtocol)
	}
	return nil
}

// appendGo appends the data of the options "go" and "info": the name of an export, and what is asked about it.
func appendGo(b []byte, name string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint16(b, 1)
	return binary.BigEndian.AppendUint16(b, infoBlockSize)
}

// parseGo reads them. sizes tells whether block sizes are asked for, which is the client's promise to keep to them.
func parseGo(b []byte) (name string, sizes bool, err error) {
	if len(b) < 6 {
		return "", false, fmt.Errorf("option of %d bytes: %w", len(b), ErrProtocol)
	}
	n := binary.BigEndian.Uint32(b)
	if n > MaxName || int(n) > len(b)-6 {
		return "", false, fmt.Errorf("name of %d bytes in %d: %w", n, len(b), ErrProtocol)
	}
	name, b = string(b[4:4+n]), b[4+n:]
	asked := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) != 2*asked {
		return "", false, fmt.Errorf("%d questions in %d bytes: %w", asked, len(b), ErrProtocol)
	}
	for ; len(b) > 0; b = b[2:] {
		sizes = sizes || binary.BigEndian.Uint16(b) == infoBlockSize
	}
	return name, sizes, nil
}
