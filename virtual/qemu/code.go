package qemu

import (
	"context"
	"image"

	"golang.org/x/image/font/inconsolata"

	"github.com/outband/outband/wire/rfb"
)

// compose copies what changes of the guest's picture to the one that is shown, with the consent code on top.
func (s *screen) compose(ctx context.Context) {
	var look rfb.Look
	for s.guest.Wait(ctx, &look) == nil {
		s.copy(&look)
	}
}

// recompose copies everything when the code comes or goes.
func (s *screen) recompose(ctx context.Context) {
	for {
		s.copy(&rfb.Look{})
		select {
		case <-s.drawn:
		case <-ctx.Done():
			return
		}
	}
}

// copy copies the tiles that have changed since the look.
func (s *screen) copy(look *rfb.Look) {
	s.composing.Lock()
	defer s.composing.Unlock()
	whole := image.Rect(0, 0, rfb.MaxWidth, rfb.MaxHeight)
	tiles, resized := s.guest.Changed(look, whole, false, nil)
	if resized {
		tiles, _ = s.guest.Changed(look, whole, true, nil)
	}
	if w, h := s.shown.Size(); w != look.W || h != look.H {
		s.shown.Resize(look.W, look.H) // a size that fits
		*look = rfb.Look{}             // what others have copied is gone
		s.guest.Changed(look, whole, false, nil)
		tiles, _ = s.guest.Changed(look, whole, true, nil)
	}
	s.mu.Lock()
	box := newCodeBox(s.code, look.W, look.H)
	s.mu.Unlock()
	var t rfb.Tile
	for _, i := range tiles {
		s.guest.Fetch(look, i, &t)
		box.over(&t)
		s.shown.Draw(t.X, t.Y, t.W, t.H, t.Pixels(), t.W)
	}
	s.shown.Publish()
}

// A codeBox is the consent code in a box, in the middle of a screen; with no code it is nothing.
type codeBox struct {
	at  image.Rectangle
	pix []uint32
}

const (
	codeScale  = 4
	glyphW     = 8 // of the font
	glyphH     = 16
	boxMargin  = 12
	boxBack    = 0x1C2B36
	boxFront   = 0xF0A830
	codePrompt = "User consent code"
)

func newCodeBox(code string, w, h int) (b codeBox) {
	if code == "" {
		return b
	}
	width := max(len(code)*glyphW*codeScale, len(codePrompt)*glyphW) + 2*boxMargin
	height := glyphH + glyphH*codeScale + 2*boxMargin
	b.at = image.Rect(0, 0, width, height).Add(image.Pt((w-width)/2, (h-height)/2))
	b.pix = make([]uint32, width*height)
	for i := range b.pix {
		b.pix[i] = boxBack
	}
	b.print((width-len(codePrompt)*glyphW)/2, boxMargin, codePrompt, 1)
	b.print((width-len(code)*glyphW*codeScale)/2, boxMargin+glyphH, code, codeScale)
	return b
}

// print prints text of printable ASCII, each of the font's pixels scale pixels wide and high.
func (b *codeBox) print(x, y int, text string, scale int) {
	face := inconsolata.Bold8x16
	mask, ok := face.Mask.(*image.Alpha)
	if !ok {
		return
	}
	for i, r := range text {
		glyph := 0
		for _, part := range face.Ranges {
			if r >= part.Low && r < part.High {
				glyph = part.Offset + int(r-part.Low)
			}
		}
		for row := range glyphH * scale {
			for column := range glyphW * scale {
				if mask.AlphaAt(column/scale, glyph*(face.Ascent+face.Descent)+row/scale).A >= 0x80 {
					b.pix[(y+row)*b.at.Dx()+x+i*glyphW*scale+column] = boxFront
				}
			}
		}
	}
}

// over draws the part of the box that lies in a tile.
func (b *codeBox) over(t *rfb.Tile) {
	part := b.at.Intersect(image.Rect(t.X, t.Y, t.X+t.W, t.Y+t.H))
	for y := part.Min.Y; y < part.Max.Y; y++ {
		from := (y-b.at.Min.Y)*b.at.Dx() + part.Min.X - b.at.Min.X
		copy(t.Pix[(y-t.Y)*t.W+part.Min.X-t.X:][:part.Dx()], b.pix[from:from+part.Dx()])
	}
}
