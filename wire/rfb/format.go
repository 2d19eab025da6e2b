package rfb

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// A PixelFormat says how a pixel is written. 16 bytes. A colour of max 63 and shift 5 is bits 5 to 10 of the pixel.
type PixelFormat struct {
	BitsPerPixel uint8 // 8, 16 or 32
	Depth        uint8 // bits that count
	BigEndian    bool
	TrueColour   bool // otherwise the pixel is an index of a colour map
	RedMax       uint16
	GreenMax     uint16
	BlueMax      uint16
	RedShift     uint8
	GreenShift   uint8
	BlueShift    uint8
}

const pixelFormatLen = 16

// Formats with names. Gray has one value, in place of red; source: spec kvm.md section 4.
var (
	RGB565  = PixelFormat{16, 16, false, true, 31, 63, 31, 11, 5, 0} // AMT's own
	RGB332  = PixelFormat{8, 8, false, true, 7, 7, 3, 5, 2, 0}
	RGB222  = PixelFormat{8, 8, false, true, 3, 3, 3, 0, 2, 4} // what noVNC asks of AMT
	Gray8   = PixelFormat{8, 8, false, true, 255, 0, 0, 0, 0, 0}
	Gray4   = PixelFormat{8, 4, false, true, 15, 0, 0, 0, 0, 0}
	RGB8888 = PixelFormat{32, 24, false, true, 255, 255, 255, 16, 8, 0} // what viewers and emulators like
)

// Append appends the format.
func (f PixelFormat) Append(b []byte) []byte {
	b = append(b, f.BitsPerPixel, f.Depth, bit(f.BigEndian), bit(f.TrueColour))
	b = binary.BigEndian.AppendUint16(b, f.RedMax)
	b = binary.BigEndian.AppendUint16(b, f.GreenMax)
	b = binary.BigEndian.AppendUint16(b, f.BlueMax)
	return append(b, f.RedShift, f.GreenShift, f.BlueShift, 0, 0, 0)
}

// ParsePixelFormat reads a format off the front of b, which has 16 bytes or more. The error wraps [ErrProtocol].
func ParsePixelFormat(b []byte) (f PixelFormat, err error) {
	if len(b) < pixelFormatLen {
		return f, fmt.Errorf("pixel format of %d bytes: %w", len(b), ErrProtocol)
	}
	f = PixelFormat{b[0], b[1], b[2] != 0, b[3] != 0, binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]),
		binary.BigEndian.Uint16(b[8:]), b[10], b[11], b[12]}
	return f, f.check()
}

func (f *PixelFormat) check() error {
	switch f.BitsPerPixel {
	case 8, 16, 32:
	default:
		return fmt.Errorf("%d bits per pixel: %w", f.BitsPerPixel, ErrProtocol)
	}
	if !f.TrueColour {
		return nil
	}
	for _, c := range []struct {
		most  uint16
		shift uint8
	}{{f.RedMax, f.RedShift}, {f.GreenMax, f.GreenShift}, {f.BlueMax, f.BlueShift}} {
		if c.shift >= f.BitsPerPixel || uint64(c.most)<<c.shift >= 1<<f.BitsPerPixel {
			return fmt.Errorf("a colour of 0 to %d, %d bits up, in %d bits per pixel: %w", c.most, c.shift, f.BitsPerPixel, ErrProtocol)
		}
	}
	return nil
}

// Bytes returns how many bytes a pixel takes: 1, 2 or 4.
func (f PixelFormat) Bytes() int { return int(f.BitsPerPixel) / 8 }

// gray tells that red alone carries the luminance.
func (f *PixelFormat) gray() bool { return f.GreenMax == 0 && f.BlueMax == 0 }

func (f PixelFormat) String() string {
	switch f {
	case RGB565:
		return "RGB565"
	case RGB332:
		return "RGB332"
	case RGB222:
		return "RGB222"
	case Gray8:
		return "gray8"
	case Gray4:
		return "gray4"
	}
	return fmt.Sprintf("%d bits per pixel, depth %d", f.BitsPerPixel, f.Depth)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// A packing is a format ready for use in one encoding: how wide a pixel is there, and tables from and to 00RRGGBB.
type packing struct {
	width    int  // bytes of a pixel in this encoding: 1, 2, 3 or 4
	shift    uint // of a 3-byte pixel: bits below it that are left out
	big      bool
	gray     bool
	direct   bool        // a pixel is 00RRGGBB, but for the highest byte
	r, g, b  [256]uint32 // what a value of 0 to 255 adds to the pixel
	colours  []uint32    // of all pixels of 1 or 2 bytes: 00RRGGBB
	unpacked func(pixel uint32) uint32
}

// newPacking makes the tables. compact asks for pixels as in ZRLE: 3 bytes where 32 bits have one that is unused.
func newPacking(f PixelFormat, compact bool) *packing {
	p := &packing{width: f.Bytes(), big: f.BigEndian, gray: f.gray()}
	p.direct = f.BitsPerPixel == 32 && f.RedMax&f.GreenMax&f.BlueMax == 255 && f.RedShift == 16 && f.GreenShift == 8 && f.BlueShift == 0
	for v := range uint32(256) {
		p.r[v] = (v*uint32(f.RedMax) + 127) / 255 << f.RedShift
		p.g[v] = (v*uint32(f.GreenMax) + 127) / 255 << f.GreenShift
		p.b[v] = (v*uint32(f.BlueMax) + 127) / 255 << f.BlueShift
	}
	p.unpacked = f.unpack
	if p.width < 4 {
		p.colours = colours(f)
		return p
	}
	if used := p.r[255] | p.g[255] | p.b[255]; compact && f.Depth <= 24 {
		if used>>24 == 0 {
			p.width = 3
		} else if used&0xFF == 0 {
			p.width, p.shift = 3, 8
		}
	}
	return p
}

var colours565 = sync.OnceValue(func() []uint32 { return allColours(RGB565) })

func colours(f PixelFormat) []uint32 {
	if f.BigEndian = false; f == RGB565 {
		return colours565()
	}
	return allColours(f)
}

func allColours(f PixelFormat) []uint32 {
	all := make([]uint32, 1<<f.BitsPerPixel)
	for i := range all {
		all[i] = f.unpack(uint32(i))
	}
	return all
}

// unpack returns the colour of a pixel. Values are spread over 0 to 255 evenly, which for whole numbers of bits is nearly
// the repetition of bits.
func (f PixelFormat) unpack(pixel uint32) uint32 {
	value := func(most uint16, shift uint8) uint32 {
		if most == 0 {
			return 0
		}
		return ((pixel>>shift&uint32(most))*255 + uint32(most)/2) / uint32(most)
	}
	r := value(f.RedMax, f.RedShift)
	if f.gray() {
		return r<<16 | r<<8 | r
	}
	return r<<16 | value(f.GreenMax, f.GreenShift)<<8 | value(f.BlueMax, f.BlueShift)
}

// pack returns the pixel of a colour.
func (p *packing) pack(rgb uint32) uint32 {
	r, g, b := rgb>>16&0xFF, rgb>>8&0xFF, rgb&0xFF
	if p.gray {
		return p.r[(r*77+g*151+b*28)>>8]
	}
	return p.r[r] | p.g[g] | p.b[b]
}

// packTile returns the pixels of a tile in the format; in room, unless they are that already.
func (p *packing) packTile(room []uint32, t *Tile) []uint32 {
	from := t.Pixels()
	if p.direct {
		return from
	}
	room = room[:len(from)]
	if p.gray {
		for i, rgb := range from {
			room[i] = p.pack(rgb)
		}
		return room
	}
	r, g, b := &p.r, &p.g, &p.b
	for i, rgb := range from {
		room[i] = r[rgb>>16&0xFF] | g[rgb>>8&0xFF] | b[rgb&0xFF]
	}
	return room
}

// append appends one pixel.
func (p *packing) append(out []byte, pixel uint32) []byte {
	switch p.width {
	case 1:
		return append(out, byte(pixel))
	case 2:
		if p.big {
			return append(out, byte(pixel>>8), byte(pixel))
		}
		return append(out, byte(pixel), byte(pixel>>8))
	case 3:
		pixel >>= p.shift
		if p.big {
			return append(out, byte(pixel>>16), byte(pixel>>8), byte(pixel))
		}
		return append(out, byte(pixel), byte(pixel>>8), byte(pixel>>16))
	}
	if p.big {
		return binary.BigEndian.AppendUint32(out, pixel)
	}
	return binary.LittleEndian.AppendUint32(out, pixel)
}

// appendTile appends the pixels of a tile.
func (p *packing) appendTile(out []byte, t *Tile) []byte {
	if p.direct && p.width == 4 && !p.big {
		from := t.Pixels()
		at := len(out)
		out = slices.Grow(out, 4*len(from))[:at+4*len(from)]
		for to := out[at:]; len(from) > 0; from, to = from[1:], to[4:] {
			binary.LittleEndian.PutUint32(to, from[0])
		}
		return out
	}
	for _, rgb := range t.Pixels() {
		out = p.append(out, p.pack(rgb))
	}
	return out
}

// colour returns the colour of the pixel at the front of b, which has width bytes or more.
func (p *packing) colour(b []byte) uint32 {
	switch p.width {
	case 1:
		return p.colours[b[0]]
	case 2:
		if p.big {
			return p.colours[uint(b[0])<<8|uint(b[1])]
		}
		return p.colours[uint(b[1])<<8|uint(b[0])]
	case 3:
		if p.big {
			return p.unpacked((uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])) << p.shift)
		}
		return p.unpacked((uint32(b[2])<<16 | uint32(b[1])<<8 | uint32(b[0])) << p.shift)
	}
	if p.big {
		return p.unpacked(binary.BigEndian.Uint32(b))
	}
	return p.unpacked(binary.LittleEndian.Uint32(b))
}

// expand turns packed pixels into colours. src holds len(dst) pixels.
func (p *packing) expand(dst []uint32, src []byte) {
	switch {
	case p.width == 1:
		for i, v := range src[:len(dst)] {
			dst[i] = p.colours[v]
		}
	case p.width == 2 && !p.big:
		table := p.colours[:1<<16]
		src = src[:2*len(dst)]
		for i := range dst {
			dst[i] = table[binary.LittleEndian.Uint16(src[2*i:])]
		}
	case p.width == 4 && p.direct && !p.big:
		src = src[:4*len(dst)]
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint32(src[4*i:]) & 0xFFFFFF
		}
	default:
		for i := range dst {
			dst[i] = p.colour(src[i*p.width:])
		}
	}
}
