package rfb

import (
	"image"
	"testing"
)

// What is done for each tile again and again, from the machine's bytes to a viewer's, takes no memory.
func TestTilesTakeNoMemory(t *testing.T) {
	f := picture(t, 320, 320, 4)
	all := image.Rect(0, 0, 320, 320)
	var look Look
	f.Changed(&look, all, true, nil)
	list, _ := f.Changed(&look, all, true, nil)
	machine := tileWriter{p: newPacking(RGB565, true)}
	var z deflater
	var packed [][]byte
	for _, i := range list {
		var tile Tile
		f.Fetch(&look, i, &tile)
		packed = append(packed, z.append(nil, machine.append(nil, &tile), store))
	}
	packed[0] = packed[0][2:] // the stream is begun below, and goes on from round to round
	to, err := NewFrame(320, 320)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Frame: to}
	c.tiles.p = newPacking(RGB565, true)
	c.tiles.z.headed = true
	c.pix = make([]uint32, TileSize*TileSize)
	c.draw = func(x, y, w, h int, pix []uint32) { to.Draw(int(c.at.X)+x, int(c.at.Y)+y, w, h, pix, w) }
	for _, e := range []Encoding{EncodingRaw, EncodingHextile, EncodingZRLE, EncodingTight} {
		v := &Viewer{}
		v.p, v.tiles.p = newPacking(RGB8888, false), newPacking(RGB8888, true)
		v.tight.use(RGB8888)
		var seen Look
		v.list, _ = to.Changed(&seen, all, true, v.list[:0])
		round := func() {
			for n, i := range list {
				c.at = Rect{X: uint16(i % 5 * TileSize), Y: uint16(i / 5 * TileSize)}
				if err := c.tiles.rect(packed[n], TileSize, TileSize, c.pix, c.draw); err != nil {
					t.Fatal(err)
				}
			}
			to.Publish()
			v.list, _ = to.Changed(&seen, all, true, v.list[:0])
			v.out = v.out[:0]
			for _, i := range v.list {
				to.Fetch(&seen, i, &v.tile)
				v.appendTile(e)
			}
		}
		for range 3 {
			round() // buffers are made here
		}
		if got := testing.AllocsPerRun(5, round); got > 0 {
			t.Errorf("%v: %v allocations for %d tiles", e, got, len(list))
		}
	}
}
