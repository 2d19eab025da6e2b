package pc

import (
	"fmt"
	"image"
	"strings"

	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/font/inconsolata"

	"github.com/outband/outband/wire/rfb"
)

// A text screen: 80 columns, 25 rows, 16 colours, as a VGA has it.
const (
	textColumns = 80
	textRows    = 25
	cellWidth   = 8
	cellHeight  = 16
)

// A colour is one of 16, in the order of the VGA.
type colour uint8

const (
	black     colour = 0
	blue      colour = 1
	gray      colour = 7
	darkGray  colour = 8
	lightCyan colour = 11
	yellow    colour = 14
	white     colour = 15
)

// vga are the colours, 00RRGGBB.
var vga = [16]uint32{
	0x000000, 0x0000AA, 0x00AA00, 0x00AAAA, 0xAA0000, 0xAA00AA, 0xAA5500, 0xAAAAAA,
	0x555555, 0x5555FF, 0x55FF55, 0x55FFFF, 0xFF5555, 0xFF55FF, 0xFFFF55, 0xFFFFFF,
}

// ansi is the number that terminals have for each colour.
var ansi = [8]int{0, 4, 2, 6, 1, 5, 3, 7}

type cell struct {
	char   byte // printable ASCII
	fg, bg colour
}

// A text is a screen full of characters. Printing goes on at x, y.
type text struct {
	cells  [textRows][textColumns]cell
	x, y   int
	fg, bg colour
}

func newText(fg, bg colour) *text {
	t := &text{fg: fg, bg: bg}
	for y := range t.cells {
		t.fill(0, y, textColumns, ' ')
	}
	return t
}

func (t *text) colours(fg, bg colour) *text {
	t.fg, t.bg = fg, bg
	return t
}

func (t *text) at(x, y int) *text {
	t.x, t.y = x, y
	return t
}

// fill sets n cells of a row.
func (t *text) fill(x, y, n int, char byte) {
	for i := x; i < min(x+n, textColumns); i++ {
		t.cells[y][i] = cell{char, t.fg, t.bg}
	}
}

// print prints a line, cut at the edge, and goes on below it.
func (t *text) print(format string, args ...any) *text {
	line := fmt.Sprintf(format, args...)
	x := t.x
	for _, r := range line {
		if r < ' ' || r > '~' {
			r = '?'
		}
		if x < textColumns && t.y < textRows {
			t.cells[t.y][x] = cell{byte(r), t.fg, t.bg}
		}
		x++
	}
	t.y++
	return t
}

// row returns the characters of a row without the blanks at its end.
func (t *text) row(y int) string {
	var b strings.Builder
	for _, c := range t.cells[y] {
		b.WriteByte(c.char)
	}
	return strings.TrimRight(b.String(), " ")
}

func (t *text) String() string {
	rows := make([]string, textRows)
	for y := range rows {
		rows[y] = t.row(y)
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// draw draws the cells that differ from what was drawn last; nil is nothing.
func (t *text) draw(f *rfb.Frame, last *text) {
	var pix [cellWidth * cellHeight]uint32
	for y := range t.cells {
		for x, c := range t.cells[y] {
			if last != nil && last.cells[y][x] == c {
				continue
			}
			drawGlyph(pix[:], cellWidth, c.char, vga[c.fg], vga[c.bg])
			f.Draw(x*cellWidth, y*cellHeight, cellWidth, cellHeight, pix[:], cellWidth)
		}
	}
}

// drawGlyph draws a character of 8x16 pixels, on a ground of its own.
func drawGlyph(pix []uint32, stride int, char byte, fg, bg uint32) {
	face := inconsolata.Regular8x16
	mask, ok := face.Mask.(*image.Alpha)
	top := glyph(face, char) * (face.Ascent + face.Descent)
	for y := range cellHeight {
		for x := range cellWidth {
			p := bg
			if ok {
				p = blend(fg, bg, uint32(mask.AlphaAt(x, top+y).A))
			}
			pix[y*stride+x] = p
		}
	}
}

// glyph returns the number of a character in a face whose glyphs stand one below the other.
func glyph(face *basicfont.Face, char byte) int {
	for _, r := range face.Ranges {
		if rune(char) >= r.Low && rune(char) < r.High {
			return r.Offset + int(rune(char)-r.Low)
		}
	}
	return 0
}

func blend(fg, bg, alpha uint32) uint32 {
	mix := func(shift uint) uint32 {
		return ((fg>>shift&0xFF)*alpha + (bg>>shift&0xFF)*(255-alpha)) / 255 << shift
	}
	return mix(16) | mix(8) | mix(0)
}

// terminal returns what makes a terminal show the screen, given what it shows; nil is anything.
func (t *text) terminal(last *text) string {
	var b strings.Builder
	now := cell{}
	if last == nil {
		b.WriteString("\x1b[0m\x1b[2J")
	}
	for y := range t.cells {
		next := -1 // where the cursor stands, in this row
		for x, c := range t.cells[y] {
			if last != nil && last.cells[y][x] == c || last == nil && c == (cell{' ', gray, black}) {
				continue
			}
			if next != x {
				fmt.Fprintf(&b, "\x1b[%d;%dH", y+1, x+1)
			}
			if now.fg != c.fg || now.bg != c.bg || now.char == 0 {
				bright := 22
				if c.fg >= 8 {
					bright = 1
				}
				fmt.Fprintf(&b, "\x1b[%d;%d;%dm", bright, 30+ansi[c.fg&7], 40+ansi[c.bg&7])
			}
			b.WriteByte(c.char)
			now, next = c, x+1
		}
	}
	if b.Len() > 0 {
		fmt.Fprintf(&b, "\x1b[0m\x1b[%d;%dH", min(t.y, textRows-1)+1, min(t.x, textColumns-1)+1)
	}
	return b.String()
}
