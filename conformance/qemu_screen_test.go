package conformance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Text mode as SeaBIOS sets it: 80 by 25 cells of 9x16 pixels; glyphs are 8 wide.
const (
	cellW, cellH      = 9, 16
	textCols, textRow = 80, 25
)

// A glyphSet knows characters by their pixels.
type glyphSet map[[cellH]byte]byte

// readGlyphs reads the characters of the VGA BIOS that the guests draw with.
func readGlyphs(t testing.TB) glyphSet {
	t.Helper()
	const rom = "/usr/share/seabios/vgabios-stdvga.bin"
	b, err := os.ReadFile(rom)
	if err != nil {
		missing(t, fmt.Sprintf("%v (Debian package seabios)", err))
	}
	// the blank glyph 0, then the smiling face that is glyph 1
	start := bytes.Index(b, append(make([]byte, cellH), 0x00, 0x00, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e))
	if start < 0 || start+256*cellH > len(b) {
		t.Fatalf("no font in %s", rom)
	}
	set := glyphSet{}
	for c := 0x7E; c >= ' '; c-- {
		set[[cellH]byte(b[start+c*cellH:])] = byte(c)
	}
	return set
}

// read returns the text of a screen in text mode, line by line; cells that are no characters are blank.
func (set glyphSet) read(img *image.RGBA) string {
	var out strings.Builder
	for row := range textRow {
		var line strings.Builder
		for column := range textCols {
			var glyph [cellH]byte
			for y := range cellH {
				back := img.RGBAAt(column*cellW+cellW-1, row*cellH+y) // the ninth pixel is empty
				for x := range 8 {
					if img.RGBAAt(column*cellW+x, row*cellH+y) != back {
						glyph[y] |= 0x80 >> x
					}
				}
			}
			if c, ok := set[glyph]; ok {
				line.WriteByte(c)
			} else {
				line.WriteByte(' ')
			}
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.String()
}

// An xServer is a display without a monitor; its picture is a file.
type xServer struct{ display, file string }

// startX starts an X server with a screen of that size.
func startX(t testing.TB, width, height int) *xServer {
	t.Helper()
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(tool(t, "Xvfb", "xvfb"), "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height), "-fbdir", dir, "-nolisten", "tcp", "-noreset")
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	r.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(r).ReadString('\n') // to the end, or the server dies of the pipe
	number, bad := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || bad != nil {
		t.Fatalf("Xvfb: %v, %v", err, bad)
	}
	x := &xServer{fmt.Sprintf(":%d", number), filepath.Join(dir, "Xvfb_screen0")}
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // between two looks for a file
		if info, err := os.Stat(x.file); err == nil && info.Size() > int64(4*width*height) {
			return x
		}
		if time.Now().After(late) {
			t.Fatal("Xvfb shows nothing")
		}
	}
}

// picture reads what is on the screen: a file of the form XWD, 32 bits per pixel.
func (x *xServer) picture(t testing.TB) *image.RGBA {
	t.Helper()
	b, err := os.ReadFile(x.file)
	if err != nil || len(b) < 100 {
		t.Fatalf("the screen of Xvfb: %d bytes, %v", len(b), err)
	}
	field := func(i int) int { return int(binary.BigEndian.Uint32(b[4*i:])) }
	width, height, line := field(4), field(5), field(12)
	pixels := b[field(0)+12*field(19):]
	if field(11) != 32 || len(pixels) < line*height {
		t.Fatalf("the screen of Xvfb: %d bits per pixel, %d bytes", field(11), len(pixels))
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for i := range width {
			p := pixels[y*line+4*i:]
			img.SetRGBA(i, y, color.RGBA{p[2], p[1], p[0], 0xFF})
		}
	}
	return img
}

// readPPM reads a picture as QEMU's screendump writes it.
func readPPM(t testing.TB, path string) *image.RGBA {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var width, height int
	if _, err := fmt.Sscanf(string(b), "P6\n%d %d\n255\n", &width, &height); err != nil || len(b) < 3*width*height {
		t.Fatalf("%s: no PPM: %v", path, err)
	}
	b = b[len(b)-3*width*height:]
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		img.SetRGBA(i%width, i/width, color.RGBA{b[3*i], b[3*i+1], b[3*i+2], 0xFF})
	}
	return img
}

// cut returns the part of a picture that begins where like does: a window manager's place for a window is not known. Both
// are black around what they show.
func cut(img *image.RGBA, like *image.RGBA) *image.RGBA {
	corner := func(img *image.RGBA) (p image.Point) {
		b := img.Bounds()
		p = b.Max
		for y := range b.Dy() {
			for x := range b.Dx() {
				if c := img.RGBAAt(x, y); c.R|c.G|c.B != 0 {
					p.X, p.Y = min(p.X, x), min(p.Y, y)
				}
			}
		}
		return p
	}
	at := corner(img).Sub(corner(like))
	part := image.NewRGBA(like.Bounds())
	draw.Draw(part, part.Bounds(), img, at, draw.Src)
	return part
}

// savePicture writes a picture where -picture says, if it does.
func savePicture(t testing.TB, img *image.RGBA) {
	t.Helper()
	if *picture == "" {
		return
	}
	few := image.NewPaletted(img.Bounds(), nil) // text mode has 16 colours
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			c := img.RGBAAt(x, y)
			if !slices.Contains(few.Palette, color.Color(c)) && len(few.Palette) < 256 {
				few.Palette = append(few.Palette, c)
			}
			few.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, few)
	if err == nil {
		err = os.WriteFile(*picture, b.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// different counts the pixels of want that are another colour in got, by more than what 16 bits per pixel lose.
func different(got, want *image.RGBA) (n int) {
	near := func(a, b uint8) bool { return max(a, b)-min(a, b) < 1<<3 }
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			g, w := got.RGBAAt(x, y), want.RGBAAt(x, y)
			if !near(g.R, w.R) || !near(g.G, w.G) || !near(g.B, w.B) {
				n++
			}
		}
	}
	return n
}
