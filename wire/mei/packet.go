package mei

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Sizes on a link, in bytes.
const (
	slot       = 4
	headerLen  = 4
	maxLength  = 511                       // of the header's length field
	maxPacket  = headerLen + maxLength + 1 // padded
	maxPayload = 512 - headerLen           // what a sender puts into one; 128 slots with the header
	tagLen     = 2 * slot                  // extended header with one tag
	maxExtLen  = maxLength &^ (slot - 1)   // extended header, in whole slots
	extTag     = 1                         // MEI_EXT_HDR_VTAG
	bitExt     = 1 << 28
	bitDMA     = 1 << 29
	bitIntern  = 1 << 30 // the driver's own mark, ignored
	bitDone    = 1 << 31
	bitsRsvd   = 7 << 25
)

// A Packet is one bus message: a whole message of a connection or a fragment of one.
//
//	bits 0..7    address of the ME client, 0 for HBM
//	     8..15   address of the host's end, 0 for HBM and fixed clients
//	     16..24  length of all that follows, without padding
//	     25..27  0
//	     28      an extended header follows
//	     29      the payload is a length; the bytes are in the DMA ring
//	     30      driver internal, 0 on a link
//	     31      last fragment
type Packet struct {
	ME, Host   uint8
	Complete   bool // the last fragment of its message
	DMA        bool
	Extensions []Extension // nil: no extended header
	Payload    []byte      // of a parsed packet, part of what was parsed
}

// An Extension is one entry of the extended header. Type 1 is the tag, type 2 GSC.
type Extension struct {
	Type uint8
	Data []byte // two bytes, then whole slots
}

// Tag returns the tag in the extended header, or 0. ok is false if there is an extended header without one.
func (p Packet) Tag() (tag uint8, ok bool) {
	for _, x := range p.Extensions {
		if x.Type == extTag {
			return x.Data[0], true
		}
	}
	return 0, p.Extensions == nil
}

// withTag makes the extended header of a tagged message.
func withTag(tag uint8) []Extension {
	if tag == 0 {
		return nil
	}
	return []Extension{{Type: extTag, Data: []byte{tag, 0}}}
}

// Append writes the packet, padded to whole slots. It does not check lengths.
func (p Packet) Append(b []byte) []byte {
	var ext []byte
	if p.Extensions != nil {
		ext = append(ext, byte(len(p.Extensions)), 0, 0, 0)
		for _, x := range p.Extensions {
			slots := (2 + len(x.Data) + slot - 1) / slot
			ext[1] += byte(slots)
			ext = append(ext, x.Type, byte(slots))
			ext = append(ext, x.Data...)
			ext = append(ext, make([]byte, slots*slot-2-len(x.Data))...)
		}
	}
	length := len(ext) + len(p.Payload)
	b = slices.Grow(b, headerLen+pad(length))
	word := uint32(p.ME) | uint32(p.Host)<<8 | uint32(length&maxLength)<<16
	if p.Extensions != nil {
		word |= bitExt
	}
	if p.DMA {
		word |= bitDMA
	}
	if p.Complete {
		word |= bitDone
	}
	b = binary.LittleEndian.AppendUint32(b, word)
	b = append(b, ext...)
	b = append(b, p.Payload...)
	return append(b, make([]byte, pad(length)-length)...)
}

// ParsePacket reads one packet off the front of b and returns the rest. Errors wrap ErrShort, or ErrCorrupt for what
// makes a receiver reset the link: a header of zeros, a reserved bit, a length that cannot be.
func ParsePacket(b []byte) (p Packet, rest []byte, err error) {
	if len(b) < headerLen {
		return p, b, fmt.Errorf("mei: packet: %w (%d of %d bytes)", ErrShort, len(b), headerLen)
	}
	word := binary.LittleEndian.Uint32(b)
	if word&^bitIntern == 0 || word&bitsRsvd != 0 {
		return p, b, fmt.Errorf("mei: packet: %w: header %08x", ErrCorrupt, word)
	}
	length := int(word >> 16 & maxLength)
	if len(b)-headerLen < pad(length) {
		return p, b, fmt.Errorf("mei: packet: %w (%d of %d bytes)", ErrShort, len(b), headerLen+pad(length))
	}
	p = Packet{ME: byte(word), Host: byte(word >> 8), Complete: word&bitDone != 0, DMA: word&bitDMA != 0}
	body := b[headerLen:][:length]
	rest = b[headerLen+pad(length):]
	if word&bitExt != 0 {
		if p.Extensions, body, err = parseExtensions(body); err != nil {
			return Packet{}, b, err
		}
	}
	if p.DMA && len(body) < slot {
		return Packet{}, b, fmt.Errorf("mei: packet: %w: no length in a DMA message", ErrCorrupt)
	}
	p.Payload = body
	return p, rest, nil
}

// parseExtensions reads an extended header: count of entries, their size in slots, two bytes; then each entry's type and
// size in slots, itself included.
func parseExtensions(b []byte) (xs []Extension, rest []byte, err error) {
	if len(b) < slot || len(b) < slot+int(b[1])*slot {
		return nil, b, fmt.Errorf("mei: packet: %w: extended header is longer than the message", ErrCorrupt)
	}
	count, all := int(b[0]), b[slot:][:int(b[1])*slot]
	rest = b[slot+len(all):]
	if count*slot > len(all) {
		return nil, b, fmt.Errorf("mei: packet: %w: %d entries in %d bytes of extended header", ErrCorrupt, count, len(all))
	}
	xs = make([]Extension, 0, count)
	for range count {
		if len(all) < slot || all[1] == 0 || len(all) < int(all[1])*slot {
			return nil, b, fmt.Errorf("mei: packet: %w: entry of the extended header", ErrCorrupt)
		}
		n := int(all[1]) * slot
		xs = append(xs, Extension{Type: all[0], Data: all[2:n]})
		all = all[n:]
	}
	return xs, rest, nil
}

// pad rounds up to whole slots.
func pad(n int) int { return (n + slot - 1) &^ (slot - 1) }
