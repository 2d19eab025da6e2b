package rfb

import (
	"context"
	"fmt"
	"image"
	"slices"
	"sync"
)

// TileSize is the edge of a tile: the grid by which a [Frame] remembers changes, and by which AMT sends them.
const TileSize = 64

// A Frame is a screen: pixels that one side draws and others watch. Each change has a number, and each tile remembers its
// last: a watcher compares with a [Look], which is what it has seen. The zero Frame has no pixels; see [Frame.Resize]. It
// is safe for concurrent use.
type Frame struct {
	mu      sync.Mutex
	w, h    int
	columns int
	pix     []uint32 // 00RRGGBB, row by row
	tiles   []uint64 // by tile, row by row: its last change
	last    uint64   // change
	now     uint64   // the last change that is published
	changed chan struct{}
	wakes   []chan struct{} // of who watches all the time: each gets a token
}

// NewFrame returns a black screen.
func NewFrame(w, h int) (*Frame, error) {
	f := &Frame{}
	return f, f.Resize(w, h)
}

// CheckSize holds a screen's size against the limits. The error wraps [ErrTooLong].
func CheckSize(w, h int) error {
	if w < 1 || h < 1 || w > MaxWidth || h > MaxHeight || w*h > MaxPixels {
		return fmt.Errorf("screen of %dx%d: %w", w, h, ErrTooLong)
	}
	return nil
}

// Resize makes the screen another size, black, and publishes it. The error wraps [ErrTooLong].
func (f *Frame) Resize(w, h int) error {
	if err := CheckSize(w, h); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.w, f.h, f.columns = w, h, (w+TileSize-1)/TileSize
	f.pix = make([]uint32, w*h)
	f.tiles = make([]uint64, f.columns*((h+TileSize-1)/TileSize))
	f.last++
	for i := range f.tiles {
		f.tiles[i] = f.last
	}
	f.publish()
	return nil
}

// Size returns width and height.
func (f *Frame) Size() (w, h int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.w, f.h
}

// Draw copies a rectangle of pixels, stride pixels from row to row, to x, y. What is outside of the screen is left out.
// Only tiles in which a pixel changes are new. Nobody is woken before [Frame.Publish].
func (f *Frame) Draw(x, y, w, h int, pix []uint32, stride int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := image.Rect(x, y, x+w, y+h).Intersect(image.Rect(0, 0, f.w, f.h))
	next := f.last + 1
	for row := r.Min.Y; row < r.Max.Y; row++ {
		from := pix[(row-y)*stride:]
		for left := r.Min.X; left < r.Max.X; {
			right := min(left/TileSize*TileSize+TileSize, r.Max.X)
			src, dst := from[left-x:right-x], f.pix[row*f.w+left:row*f.w+right]
			if !same(dst, src) {
				copy(dst, src)
				f.tiles[row/TileSize*f.columns+left/TileSize] = next
				f.last = next
			}
			left = right
		}
	}
}

func same(a, b []uint32) bool {
	b = b[:len(a)]
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Publish wakes who waits for a change, if there was one since the last time.
func (f *Frame) Publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.publish()
}

func (f *Frame) publish() {
	if f.now == f.last {
		return
	}
	f.now = f.last
	for _, c := range f.wakes {
		select {
		case c <- struct{}{}:
		default: // it has one
		}
	}
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// watch has c, which has room for one token, get one whenever something is published, until unwatch.
func (f *Frame) watch(c chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakes = append(f.wakes, c)
}

func (f *Frame) unwatch(c chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakes = slices.DeleteFunc(f.wakes, func(w chan struct{}) bool { return w == c })
}

// A Look is what one watcher has seen of a Frame. The zero Look has seen nothing.
type Look struct {
	W, H  int
	tiles []uint64
	now   uint64
}

// Wait returns once something was published since the last look, or with an error when ctx ends first.
func (f *Frame) Wait(ctx context.Context, l *Look) error {
	for {
		changed := f.after(l)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// after returns what is closed when something is published, or nil if something was since the last look.
func (f *Frame) after(l *Look) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now > l.now {
		return nil
	}
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

// Changed looks, and appends the numbers of the tiles inside r to list: of those that the watcher has not seen, or of all.
// resized tells that the screen has another size than at the last look; then nothing of it was seen, and none are listed.
func (f *Frame) Changed(l *Look, r image.Rectangle, all bool, list []int) (tiles []int, resized bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.now = f.now
	if resized = l.W != f.w || l.H != f.h; resized || len(l.tiles) != len(f.tiles) {
		l.W, l.H, l.tiles = f.w, f.h, make([]uint64, len(f.tiles))
	}
	if r = r.Intersect(image.Rect(0, 0, f.w, f.h)); resized || r.Empty() {
		return list, resized
	}
	for row := r.Min.Y / TileSize; row*TileSize < r.Max.Y; row++ {
		for column := r.Min.X / TileSize; column*TileSize < r.Max.X; column++ {
			// What is being drawn waits until it is published: nobody is to see half a picture.
			if i := row*f.columns + column; all || f.tiles[i] > l.tiles[i] && f.tiles[i] <= f.now {
				list = append(list, i)
			}
		}
	}
	return list, false
}

// A Tile is a copy of one tile of a Frame.
type Tile struct {
	X, Y, W, H int // of the screen; W and H at most [TileSize]
	Pix        [TileSize * TileSize]uint32
}

// Pixels returns the pixels of the tile, row by row, without gaps.
func (t *Tile) Pixels() []uint32 { return t.Pix[:t.W*t.H] }

// Fetch copies a tile that Changed has listed; then the watcher has seen it. The tile is black if the screen has changed
// its size since.
func (f *Frame) Fetch(l *Look, i int, t *Tile) {
	columns := (l.W + TileSize - 1) / TileSize
	t.X, t.Y = i%columns*TileSize, i/columns*TileSize
	t.W, t.H = min(TileSize, l.W-t.X), min(TileSize, l.H-t.Y)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.w != l.W || f.h != l.H {
		clear(t.Pixels())
		return
	}
	for row := range t.H {
		copy(t.Pix[row*t.W:(row+1)*t.W], f.pix[(t.Y+row)*f.w+t.X:])
	}
	l.tiles[i] = f.tiles[i]
}

// Image returns a copy of the screen.
func (f *Frame) Image() *image.RGBA {
	f.mu.Lock()
	defer f.mu.Unlock()
	img := image.NewRGBA(image.Rect(0, 0, f.w, f.h))
	for i, p := range f.pix {
		q := img.Pix[i*4 : i*4+4 : i*4+4]
		q[0], q[1], q[2], q[3] = byte(p>>16), byte(p>>8), byte(p), 0xFF
	}
	return img
}
