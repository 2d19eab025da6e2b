package rfb

import (
	"fmt"
	"image"
	"testing"
)

// desktop is a screen as offices have it: large areas of one colour, and text.
func desktop(b *testing.B, w, h int) *Frame {
	f, err := NewFrame(w, h)
	if err != nil {
		b.Fatal(err)
	}
	line := make([]uint32, w*TileSize)
	for y := 0; y < h; y += TileSize {
		for i := range line {
			x, row := i%w, i/w
			line[i] = 0xF0F0F0
			if x/256%2 == 1 && row%16 < 11 && (x*7+row*13+y)%5 < 2 {
				line[i] = uint32(x*row%3) * 0x303030
			}
		}
		f.Draw(0, y, w, TileSize, line, w)
	}
	f.Publish()
	return f
}

type way struct {
	name  string
	write func(out []byte, t *Tile) []byte
}

func ways(format PixelFormat) []way {
	p, compact := newPacking(format, false), newPacking(format, true)
	zrle := func(compress bool) func(out []byte, t *Tile) []byte {
		w, z := &tileWriter{p: compact}, &deflater{}
		var plain []byte
		return func(out []byte, t *Tile) []byte {
			plain = w.append(plain[:0], t)
			return z.append(out, plain, effortOf(compress))
		}
	}
	tight := &tightWriter{}
	tight.use(format)
	return []way{{"raw", p.appendTile}, {"hextile", p.appendHextile}, {"zrle-stored", zrle(false)}, {"zrle", zrle(true)}, {"tight", tight.append}}
}

// One full HD screen, 510 tiles, in each encoding. Bytes are of the pixels at 32 bits.
func BenchmarkEncode(b *testing.B) {
	f := desktop(b, 1920, 1080)
	for _, format := range []PixelFormat{RGB565, RGB8888} {
		for _, w := range ways(format) {
			b.Run(fmt.Sprintf("%dbpp/%s", format.BitsPerPixel, w.name), func(b *testing.B) {
				var look Look
				var tile Tile
				f.Changed(&look, image.Rect(0, 0, 1920, 1080), true, nil)
				list, _ := f.Changed(&look, image.Rect(0, 0, 1920, 1080), true, nil)
				var out []byte
				b.SetBytes(1920 * 1080 * 4)
				for b.Loop() {
					out = out[:0]
					for _, i := range list {
						f.Fetch(&look, i, &tile)
						out = w.write(out, &tile)
					}
				}
				b.ReportMetric(float64(len(out)), "wire-B")
			})
		}
	}
}

// The same screen as AMT sends it, decoded and drawn; beside it what copying its pixels takes.
func BenchmarkDecode(b *testing.B) {
	f := desktop(b, 1920, 1080)
	var look Look
	f.Changed(&look, image.Rect(0, 0, 1920, 1080), true, nil)
	list, _ := f.Changed(&look, image.Rect(0, 0, 1920, 1080), true, nil)
	to, _ := NewFrame(1920, 1080)
	for _, format := range []PixelFormat{RGB332, RGB565} {
		for _, compress := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v/compressed=%v", format, compress), func(b *testing.B) {
				p := newPacking(format, true)
				w, z := &tileWriter{p: p}, &deflater{}
				tiles := make([]Tile, len(list))
				packed := make([][]byte, len(list))
				encode := func() {
					for n, i := range list {
						f.Fetch(&look, i, &tiles[n])
						packed[n] = z.append(nil, w.append(nil, &tiles[n]), effortOf(compress))
					}
				}
				encode()
				r := &tileReader{p: p}
				pix := make([]uint32, TileSize*TileSize)
				b.SetBytes(1920 * 1080 * 4)
				first := true
				for b.Loop() {
					if !first { // the stream goes on, so it must be new each time
						b.StopTimer()
						encode()
						b.StartTimer()
					}
					first = false
					for n := range packed {
						t := &tiles[n]
						if err := r.rect(packed[n], t.W, t.H, pix, func(x, y, w, h int, pix []uint32) {
							to.Draw(t.X, t.Y, w, h, pix, w)
						}); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
	b.Run("copy", func(b *testing.B) {
		src, dst := make([]uint32, 1920*1080), make([]uint32, 1920*1080)
		b.SetBytes(1920 * 1080 * 4)
		for b.Loop() {
			copy(dst, src)
		}
	})
}
