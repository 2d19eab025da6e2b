package rfb

import "fmt"

// Sub-encodings of a ZRLE tile: its first byte. Source: RFC 6143 7.7.6.
const (
	tileRaw        = 0
	tileSolid      = 1
	tilePackedMost = 16  // 2 to 16: a palette of so many colours, packed indices
	tileRLE        = 128 // runs of colours
	tilePalette    = 128 // 130 to 255: a palette of so many less 128, runs of indices
)

// A tileReader decodes ZRLE tiles.
type tileReader struct {
	z       inflater
	p       *packing
	palette [127]uint32
}

// rect decodes the tiles of one rectangle and hands each over, with its place inside the rectangle.
func (r *tileReader) rect(packed []byte, w, h int, pix []uint32, tile func(x, y, w, h int, pix []uint32)) error {
	if err := r.z.begin(packed); err != nil {
		return err
	}
	for y := 0; y < h; y += TileSize {
		for x := 0; x < w; x += TileSize {
			tw, th := min(TileSize, w-x), min(TileSize, h-y)
			if err := r.tile(pix[:tw*th], tw); err != nil {
				return err
			}
			tile(x, y, tw, th, pix)
		}
	}
	if n := r.z.rest(); n > 0 {
		return fmt.Errorf("%d bytes behind the last tile: %w", n, ErrProtocol)
	}
	if n := r.z.unread(); n > maxUnread {
		return fmt.Errorf("%d compressed bytes behind the last tile: %w", n, ErrProtocol)
	}
	return nil
}

// tile decodes one tile of rows of w pixels.
func (r *tileReader) tile(pix []uint32, w int) error {
	b, err := r.z.next(1)
	if err != nil {
		return err
	}
	switch kind := int(b[0]); {
	case kind == tileRaw:
		if b, err = r.z.next(len(pix) * r.p.width); err == nil {
			r.p.expand(pix, b)
		}
		return err
	case kind == tileSolid:
		if b, err = r.z.next(r.p.width); err == nil {
			fill(pix, r.p.colour(b))
		}
		return err
	case kind <= tilePackedMost:
		return r.packed(pix, w, kind)
	case kind == tileRLE:
		return r.runs(pix)
	case kind >= tilePalette+2:
		return r.paletteRuns(pix, kind-tilePalette)
	default:
		return fmt.Errorf("tile of kind %d: %w", kind, ErrProtocol)
	}
}

func fill(pix []uint32, colour uint32) {
	for i := range pix {
		pix[i] = colour
	}
}

func (r *tileReader) readPalette(n int) error {
	b, err := r.z.next(n * r.p.width)
	if err == nil {
		r.p.expand(r.palette[:n], b)
	}
	return err
}

// indexBits is how many bits name one of n colours in packed indices.
func indexBits(n int) int {
	switch {
	case n <= 2:
		return 1
	case n <= 4:
		return 2
	}
	return 4
}

func (r *tileReader) packed(pix []uint32, w, n int) error {
	if err := r.readPalette(n); err != nil {
		return err
	}
	bits := indexBits(n)
	line := (w*bits + 7) / 8
	b, err := r.z.next(line * (len(pix) / w))
	if err != nil {
		return err
	}
	palette := &r.palette
	clear(palette[n:16]) // indices up to 15 can be written; those of no colour are refused below
	most := byte(0)
	for ; len(pix) > 0; pix, b = pix[w:], b[line:] {
		row, from := pix[:w], b[:line]
		switch bits {
		case 1:
			for len(row) >= 8 {
				v := from[0]
				to := row[:8:8]
				to[0], to[1], to[2], to[3] = palette[v>>7], palette[v>>6&1], palette[v>>5&1], palette[v>>4&1]
				to[4], to[5], to[6], to[7] = palette[v>>3&1], palette[v>>2&1], palette[v>>1&1], palette[v&1]
				row, from = row[8:], from[1:]
			}
		case 2:
			for len(row) >= 4 {
				v := from[0]
				to := row[:4:4]
				to[0], to[1], to[2], to[3] = palette[v>>6], palette[v>>4&3], palette[v>>2&3], palette[v&3]
				if n < 4 {
					most = max(most, v>>6, v>>4&3, v>>2&3, v&3)
				}
				row, from = row[4:], from[1:]
			}
		default:
			for len(row) >= 2 {
				v := from[0]
				row[0], row[1] = palette[v>>4], palette[v&15]
				most = max(most, v>>4, v&15)
				row, from = row[2:], from[1:]
			}
		}
		for x := range row { // what is less than a byte
			i := from[0] >> (8 - bits - x*bits) & (1<<bits - 1)
			most = max(most, i)
			row[x] = palette[i]
		}
	}
	if int(most) >= n {
		return fmt.Errorf("colour %d of %d: %w", most, n, ErrProtocol)
	}
	return nil
}

// length reads the length of a run: the sum of bytes up to the first that is not 255, and 1.
func (r *tileReader) length(most int) (int, error) {
	n := 1
	for {
		b, err := r.z.next(1)
		if err != nil {
			return 0, err
		}
		n += int(b[0])
		if n > most {
			return 0, fmt.Errorf("run of %d, with %d pixels left: %w", n, most, ErrProtocol)
		}
		if b[0] != 255 {
			return n, nil
		}
	}
}

func (r *tileReader) runs(pix []uint32) error {
	for len(pix) > 0 {
		b, err := r.z.next(r.p.width)
		if err != nil {
			return err
		}
		colour := r.p.colour(b)
		n, err := r.length(len(pix))
		if err != nil {
			return err
		}
		fill(pix[:n], colour)
		pix = pix[n:]
	}
	return nil
}

func (r *tileReader) paletteRuns(pix []uint32, colours int) error {
	if err := r.readPalette(colours); err != nil {
		return err
	}
	for len(pix) > 0 {
		b, err := r.z.next(1)
		if err != nil {
			return err
		}
		i, n := int(b[0]&0x7F), 1
		if i >= colours {
			return fmt.Errorf("colour %d of %d: %w", i, colours, ErrProtocol)
		}
		if b[0]&0x80 != 0 {
			if n, err = r.length(len(pix)); err != nil {
				return err
			}
		}
		fill(pix[:n], r.palette[i])
		pix = pix[n:]
	}
	return nil
}
