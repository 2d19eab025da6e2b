package pc

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/rfb"
)

// Sizes of the picture.
const (
	textWidth     = textColumns * cellWidth
	textHeight    = textRows * cellHeight
	splashWidth   = 800
	splashHeight  = 600
	desktopWidth  = 1024
	desktopHeight = 768
)

// frameTime is the least time between two pictures, and clockTime the most while the clock may go on.
const (
	frameTime = 20 * time.Millisecond
	clockTime = time.Second
)

// OpenScreen draws what the PC shows on a monitor until close. The mouse moves there from now on.
func (p *PC) OpenScreen(n int) (frame *rfb.Frame, close func()) {
	if n < 0 || n >= len(p.o.Monitors) {
		n = 0
	}
	s := &screen{frame: &rfb.Frame{}, number: n, monitor: p.o.Monitors[n]}
	p.mu.Lock()
	p.face.monitor = n
	p.mu.Unlock()
	s.frame.Resize(textWidth, textHeight) // a size that fits
	changed, done := p.attend()
	s.draw(p.view(false))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		clock := time.NewTicker(clockTime)
		defer clock.Stop()
		for {
			select {
			case <-changed:
			case <-clock.C:
			case <-stop:
				return
			}
			s.draw(p.view(false))
			select {
			case <-time.After(frameTime):
			case <-stop:
				return
			}
		}
	})
	return s.frame, sync.OnceFunc(func() {
		done()
		stopAndWait(stop, &wg)
	})
}

// Monitors returns where the monitors are.
func (p *PC) Monitors() []firmware.Monitor { return slices.Clone(p.o.Monitors) }

// Blank darkens the monitors, or shows the picture on them again.
func (p *PC) Blank(dark bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.face.dark = dark
}

// Blanked reports whether the monitors are dark, although somebody far away sees the picture.
func (p *PC) Blanked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.face.dark
}

// arrange puts monitors side by side.
func arrange(list []firmware.Monitor) []firmware.Monitor {
	if len(list) == 0 {
		list = []firmware.Monitor{{W: desktopWidth, H: desktopHeight}}
	}
	list = slices.Clone(list)
	x := 0
	for i := range list {
		list[i].X, list[i].Y = x, 0
		x += list[i].W
	}
	return list
}

func stopAndWait(stop chan struct{}, wg *sync.WaitGroup) {
	close(stop)
	wg.Wait()
}

// A screen is a picture under way.
type screen struct {
	frame   *rfb.Frame
	number  int // of the monitor, from 0
	monitor firmware.Monitor
	last    *text    // what is drawn, if text is
	canvas  []uint32 // of the desktop and the splash
}

// draw makes the frame show the view.
func (s *screen) draw(v view) {
	switch {
	case v.desktop != nil:
		w, h := s.monitor.W, s.monitor.H
		s.size(w, h)
		v.desktop.paint(canvas{s.canvas, w, h}, s.number)
		s.frame.Draw(0, 0, w, h, s.canvas, w)
	case v.splash && s.number == 0:
		s.size(splashWidth, splashHeight)
		paintSplash(canvas{s.canvas, splashWidth, splashHeight}, v.text)
		s.frame.Draw(0, 0, splashWidth, splashHeight, s.canvas, splashWidth)
	default:
		s.size(textWidth, textHeight)
		t := v.text
		if t == nil || s.number > 0 { // the BIOS knows one monitor
			t = newText(gray, black)
		}
		t.draw(s.frame, s.last)
		s.last = t
	}
	s.frame.Publish()
}

// size changes the size of the picture, if it has another one.
func (s *screen) size(w, h int) {
	if fw, fh := s.frame.Size(); fw == w && fh == h {
		return
	}
	s.frame.Resize(w, h) // one that fits
	s.last, s.canvas = nil, nil
	if w != textWidth || h != textHeight {
		s.canvas = make([]uint32, w*h)
	}
}

// A canvas is w x h pixels, 00RRGGBB.
type canvas struct {
	pix  []uint32
	w, h int
}

func (c canvas) box(x, y, w, h int, colour uint32) {
	for row := max(y, 0); row < min(y+h, c.h); row++ {
		line := c.pix[row*c.w : (row+1)*c.w]
		for i := max(x, 0); i < min(x+w, c.w); i++ {
			line[i] = colour
		}
	}
}

// print prints a line; what does not fit is left out.
func (c canvas) print(x, y int, text string, fg, bg uint32) {
	for i := range len(text) {
		at := x + i*cellWidth
		if at+cellWidth > c.w || y+cellHeight > c.h {
			return
		}
		drawGlyph(c.pix[y*c.w+at:], c.w, text[i], fg, bg)
	}
}

// Colours of the desktop.
const (
	wallpaper   = 0x2E5E7E
	panel       = 0x1C2B36
	panelText   = 0xE8EEF2
	windowFrame = 0xB8C4CC
	windowTitle = 0x3A4A56
	windowBack  = 0x101418
	windowText  = 0xD8DEE2
	accent      = 0xF0A830
)

// paint draws a monitor: a panel, on the first one a window with the terminal in it, and the pointer where it is.
func (d *desktop) paint(c canvas, number int) {
	c.box(0, 0, c.w, c.h, wallpaper)
	c.box(0, 0, c.w, 28, panel)
	c.box(8, 6, 16, 16, accent)
	title := "Outband virtual PC"
	if number > 0 {
		title += fmt.Sprintf(", monitor %d", number+1)
	}
	c.print(32, 6, title, panelText, panel)
	c.print(c.w-8-len(d.clock)*cellWidth, 6, d.clock, panelText, panel)
	if number == 0 {
		d.paintTerminal(c)
	}
	if d.monitor != number {
		return
	}
	if d.buttons&1 != 0 {
		c.box(d.x-6, d.y-6, 13, 13, accent)
	}
	for row := range 16 { // the pointer: an arrow
		c.box(d.x, d.y+row, min(row+1, 16-row)+2, 1, 0x000000)
		c.box(d.x+1, d.y+row, min(row+1, 16-row)-1, 1, 0xFFFFFF)
	}
}

func (d *desktop) paintTerminal(c canvas) {
	const left, top = 150, 120
	c.box(left-4, top-26, textWidth+8, textHeight+30, windowFrame)
	c.box(left-2, top-24, textWidth+4, 22, windowTitle)
	c.print(left+4, top-21, "Terminal", panelText, windowTitle)
	c.box(left, top, textWidth, textHeight, windowBack)
	t := console(d.lines, d.input)
	for y := range textRows {
		c.print(left, top+y*cellHeight, t.row(y), windowText, windowBack)
	}
	if !d.hung {
		c.box(left+t.x*cellWidth, top+t.y*cellHeight+13, cellWidth, 2, accent) // the cursor
	}
}

// paintSplash draws the maker's logo and the last lines of the self-test.
func paintSplash(c canvas, t *text) {
	c.box(0, 0, c.w, c.h, 0x000000)
	c.box(c.w/2-60, 180, 120, 120, accent)
	c.box(c.w/2-40, 200, 80, 80, 0x000000)
	c.box(c.w/2-60, 232, 20, 16, 0x000000) // the way out of the ring
	c.print(c.w/2-len(biosName)*cellWidth/2, 330, biosName, 0xFFFFFF, 0x000000)
	for i := range 3 {
		line := t.row(textRows - 3 + i)
		c.print(c.w/2-len(line)*cellWidth/2, c.h-80+i*cellHeight, line, 0xAAAAAA, 0x000000)
	}
}
