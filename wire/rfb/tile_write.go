package rfb

// A tileWriter encodes tiles for ZRLE: of the ways to write one it takes the shortest.
type tileWriter struct {
	p      *packing
	pixels [TileSize * TileSize]uint32 // of the tile, as pixels of the format
	census census
}

// A census counts the colours of a tile and its runs.
type census struct {
	palette [127]uint32
	colours int                        // 128: too many to count
	indices [TileSize * TileSize]uint8 // by pixel, if colours are few enough
	slots   [256]uint8                 // hash table of palette indices, plus 1
	runs    int                        // of two pixels and more
	singles int                        // runs of one
	longs   int                        // further bytes for lengths beyond 255
}

// effort says how to squeeze the tile that was counted: a picture of many colours and hardly any runs has no repetitions.
func (c *census) effort() effort {
	if c.colours > len(c.palette) && c.runs < c.singles/4 {
		return entropy
	}
	return repeats
}

func hash(v uint32) uint8 { return uint8(v * 0x9E3779B1 >> 24) }

// take counts a tile.
func (c *census) take(pix []uint32) {
	c.colours, c.runs, c.singles, c.longs = 0, 0, 0, 0
	clear(c.slots[:])
	// Text goes to and fro between two colours: the last two need no search.
	var last, before uint32
	var lastIndex, beforeIndex uint8
	for at := 0; at < len(pix); {
		v, end := pix[at], at+1
		for end < len(pix) && pix[end] == v {
			end++
		}
		if n := end - at; n == 1 {
			c.singles++
		} else {
			c.runs++
			c.longs += (n - 1) / 255
		}
		if c.colours <= len(c.palette) {
			i := beforeIndex
			if c.colours < 2 || v != before {
				i = c.index(v)
			}
			before, beforeIndex, last, lastIndex = last, lastIndex, v, i
			indices := c.indices[at:end]
			for j := range indices {
				indices[j] = i
			}
		}
		at = end
	}
}

// index finds or gives the number of a colour.
func (c *census) index(v uint32) uint8 {
	for slot := hash(v); ; slot++ {
		switch i := c.slots[slot]; {
		case i == 0:
			if c.colours == len(c.palette) {
				c.colours++ // too many
				return 0
			}
			c.palette[c.colours] = v
			c.colours++
			c.slots[slot] = uint8(c.colours)
			return uint8(c.colours - 1)
		case c.palette[i-1] == v:
			return i - 1
		}
	}
}

// append appends a tile, first byte and all.
func (t *tileWriter) append(out []byte, tile *Tile) []byte {
	pix := t.p.packTile(t.pixels[:], tile)
	c := &t.census
	c.take(pix)
	if c.colours == 1 {
		return t.p.append(append(out, tileSolid), pix[0])
	}
	width := t.p.width
	kind, least := tileRaw, len(pix)*width
	if n := c.singles*(width+1) + c.runs*(width+1) + c.longs; n < least {
		kind, least = tileRLE, n
	}
	if c.colours <= len(c.palette) {
		if n := c.colours*width + c.singles + 2*c.runs + c.longs; n < least {
			kind, least = tilePalette+c.colours, n
		}
		// Rows that are no whole number of bytes are read differently by consoles of the MeshCommander family.
		if bits := indexBits(c.colours); c.colours <= tilePackedMost && tile.W*bits%8 == 0 {
			if n := c.colours*width + len(pix)*bits/8; n < least {
				kind = c.colours
			}
		}
	}
	out = append(out, byte(kind))
	switch {
	case kind == tileRaw:
		return t.raw(out, pix)
	case kind == tileRLE:
		return t.runs(out, pix)
	case kind > tilePalette:
		return t.paletteRuns(t.palette(out), c.indices[:len(pix)])
	}
	return t.packed(t.palette(out), c.indices[:len(pix)], indexBits(kind))
}

func (t *tileWriter) raw(out []byte, pix []uint32) []byte {
	for _, v := range pix {
		out = t.p.append(out, v)
	}
	return out
}

func (t *tileWriter) palette(out []byte) []byte {
	return t.raw(out, t.census.palette[:t.census.colours])
}

func appendLength(out []byte, n int) []byte {
	for n--; n >= 255; n -= 255 {
		out = append(out, 255)
	}
	return append(out, byte(n))
}

func (t *tileWriter) runs(out []byte, pix []uint32) []byte {
	for at := 0; at < len(pix); {
		end := at + 1
		for end < len(pix) && pix[end] == pix[at] {
			end++
		}
		out = appendLength(t.p.append(out, pix[at]), end-at)
		at = end
	}
	return out
}

func (t *tileWriter) paletteRuns(out []byte, indices []uint8) []byte {
	for at := 0; at < len(indices); {
		end := at + 1
		for end < len(indices) && indices[end] == indices[at] {
			end++
		}
		if end == at+1 {
			out = append(out, indices[at])
		} else {
			out = appendLength(append(out, indices[at]|0x80), end-at)
		}
		at = end
	}
	return out
}

func (t *tileWriter) packed(out []byte, indices []uint8, bits int) []byte {
	each := 8 / bits
	for ; len(indices) > 0; indices = indices[each:] {
		var b byte
		for _, i := range indices[:each] {
			b = b<<bits | i
		}
		out = append(out, b)
	}
	return out
}
