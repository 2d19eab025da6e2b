package rfb

// Parts of Tight's control byte. Source: rfbproto, "Tight Encoding".
const (
	tightFill     = 0x80 // one colour
	tightExplicit = 0x40 // a filter is named
	tightPalette  = 1    // the filter: colours and indices
	tightLeast    = 12   // shorter data is not compressed
)

// Zlib streams of Tight, by what goes into each.
const (
	streamPixels  = 0
	streamBitmap  = 1
	streamIndices = 2
)

// A tightWriter encodes tiles for Tight, without loss: fills, palettes and plain pixels.
type tightWriter struct {
	format  PixelFormat
	p       *packing
	three   bool // pixels are 3 bytes: red, green, blue
	streams [3]deflater
	pixels  [TileSize * TileSize]uint32
	census  census
	data    []byte
}

func (t *tightWriter) use(f PixelFormat) {
	t.format, t.p = f, newPacking(f, false)
	t.three = f.BitsPerPixel == 32 && f.Depth == 24 && f.RedMax&f.GreenMax&f.BlueMax == 255
}

func (t *tightWriter) pixel(out []byte, v uint32) []byte {
	if t.three {
		return append(out, byte(v>>t.format.RedShift), byte(v>>t.format.GreenShift), byte(v>>t.format.BlueShift))
	}
	return t.p.append(out, v)
}

// append appends a tile.
func (t *tightWriter) append(out []byte, tile *Tile) []byte {
	pix := t.p.packTile(t.pixels[:], tile)
	c := &t.census
	c.take(pix)
	t.data = t.data[:0]
	switch {
	case c.colours == 1:
		return t.pixel(append(out, tightFill), pix[0])
	case c.colours == 2:
		out = t.palette(append(out, streamBitmap<<4|tightExplicit, tightPalette))
		for row := range tile.H {
			t.data = appendBits(t.data, c.indices[row*tile.W:(row+1)*tile.W])
		}
		return t.squeeze(out, streamBitmap)
	case c.colours <= len(c.palette):
		out = t.palette(append(out, streamIndices<<4|tightExplicit, tightPalette))
		t.data = append(t.data, c.indices[:len(pix)]...)
		return t.squeeze(out, streamIndices)
	}
	for _, v := range pix {
		t.data = t.pixel(t.data, v)
	}
	return t.squeeze(append(out, streamPixels<<4), streamPixels)
}

func (t *tightWriter) palette(out []byte) []byte {
	colours := t.census.palette[:t.census.colours]
	out = append(out, byte(len(colours)-1))
	for _, v := range colours {
		out = t.pixel(out, v)
	}
	return out
}

// appendBits packs indices of 0 and 1, most significant bit first.
func appendBits(out []byte, indices []uint8) []byte {
	for len(indices) > 0 {
		var b byte
		n := min(8, len(indices))
		for i, v := range indices[:n] {
			b |= v << (7 - i)
		}
		out, indices = append(out, b), indices[n:]
	}
	return out
}

// squeeze appends data through a zlib stream, with its length in front: 7 bits a byte, the lowest first.
func (t *tightWriter) squeeze(out []byte, stream int) []byte {
	if len(t.data) < tightLeast {
		return append(out, t.data...)
	}
	at := len(out)
	out = t.streams[stream].append(append(out, 0, 0, 0), t.data, t.census.effort())
	n := len(out) - at - 3
	head := [3]byte{byte(n&0x7F | 0x80), byte(n >> 7 & 0x7F), byte(n >> 14)}
	used := 2
	if head[2] != 0 {
		head[1] |= 0x80
		used = 3
	} else if head[1] == 0 {
		head[0] &= 0x7F
		used = 1
	}
	copy(out[at:], head[:used])
	if used < 3 {
		out = append(out[:at+used], out[at+3:]...)
	}
	return out
}
