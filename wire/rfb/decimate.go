package rfb

// fullHD is how many pixels a screen may have before automatic decimation halves it.
const fullHD = 1920 * 1080

// A halver keeps a picture of half the width and half the height: each pixel is the middle of four.
type halver struct {
	frame *Frame
	look  Look // at the whole picture
	list  []int
	tile  Tile
	pix   [TileSize / 2 * TileSize / 2]uint32
}

// half is half a length, at least 1 pixel.
func half(n int) int { return (n + 1) / 2 }

// follow makes the picture show what whole shows now.
func (h *halver) follow(whole *Frame) *Frame {
	if h.frame == nil {
		h.frame = &Frame{}
	}
	var resized bool
	w, height := whole.Size()
	h.list, resized = whole.Changed(&h.look, UpdateRequest{W: uint16(w), H: uint16(height)}.rectangle(), false, h.list[:0])
	if resized {
		h.frame.Resize(half(h.look.W), half(h.look.H)) // smaller than one that fits
		h.list, _ = whole.Changed(&h.look, UpdateRequest{W: uint16(w), H: uint16(height)}.rectangle(), true, h.list[:0])
	}
	for _, i := range h.list {
		whole.Fetch(&h.look, i, &h.tile)
		t := &h.tile
		tw, th := half(t.W), half(t.H)
		for y := range th {
			above, below := 2*y*t.W, min(2*y+1, t.H-1)*t.W
			for x := range tw {
				left, right := 2*x, min(2*x+1, t.W-1)
				h.pix[y*tw+x] = middle(t.Pix[above+left], t.Pix[above+right], t.Pix[below+left], t.Pix[below+right])
			}
		}
		h.frame.Draw(t.X/2, t.Y/2, tw, th, h.pix[:], tw)
	}
	h.frame.Publish()
	return h.frame
}

// middle is the colour between four.
func middle(a, b, c, d uint32) uint32 {
	const outer, inner = 0xFF00FF, 0x00FF00
	o := a&outer + b&outer + c&outer + d&outer + 0x020002
	i := (a&inner)>>8 + (b&inner)>>8 + (c&inner)>>8 + (d&inner)>>8 + 2
	return o>>2&outer | i>>2<<8
}

// decimates reports whether a screen is sent at half its size.
func (d *Device) decimates(w, h int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.decimation == DecimationOn || d.decimation == DecimationAuto && w*h > fullHD
}

// picture returns what the console is to see: the screen, or that at half its size.
func (d *Device) picture() *Frame {
	on := d.decimates(d.shown.Size())
	if on != d.halved {
		d.halved = on
		d.look = Look{W: d.look.W, H: d.look.H} // what was seen is of no use any more
	}
	if on {
		return d.half.follow(d.shown)
	}
	return d.shown
}
