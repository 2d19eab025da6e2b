package rfb

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// ViewerOptions are what a viewer is told and asked.
type ViewerOptions struct {
	Name     string // of the desktop. Not [AMTName]: noVNC goes down to 64 colours when it reads that
	Password string // asks for it with the VNC challenge; at most 8 characters count

	// What the person at the viewer does. nil: they may watch.
	Key     func(KeyEvent)
	Pointer func(PointerEvent)
	Text    func(text []byte) // their clipboard
}

// A Viewer is the session of one VNC viewer, of any kind: it gets the format it asks for and the best encoding that it
// knows, and of each tile the newest state when it has time for it. Its methods are safe for concurrent use.
type Viewer struct {
	serving
	o ViewerOptions

	// The viewer's choices, guarded by serving.mu.
	format    PixelFormat
	formats   uint64 // how often it chose one
	encoding  Encoding
	knows     map[Encoding]bool // pseudo encodings
	announced map[Encoding]bool
	resize    bool // it wants another size of the screen, and is owed an answer

	// The writer's own.
	using uint64 // of formats
	p     *packing
	z     deflater
	tiles tileWriter
	tight tightWriter
	plain []byte
}

// View shakes hands with a viewer and serves it the frame until ctx ends, the connection does, or Close is called. conn is
// closed in the end.
func View(ctx context.Context, conn io.ReadWriteCloser, frame *Frame, o ViewerOptions) (*Viewer, error) {
	v := &Viewer{o: o, format: RGB8888, formats: 1, announced: map[Encoding]bool{}}
	if err := v.open(ctx, conn, frame, v.start); err != nil {
		return nil, err
	}
	v.run(v.take, v.update)
	return v, nil
}

func (v *Viewer) start() error {
	if err := (welcome{version: 3008, password: v.o.Password}).accept(v.r, v.conn); err != nil {
		return err
	}
	v.look.W, v.look.H = v.frame.Size()
	if err := CheckSize(v.look.W, v.look.H); err != nil {
		return err
	}
	_, err := v.conn.Write(ServerInit{uint16(v.look.W), uint16(v.look.H), RGB8888, v.o.Name}.Append(nil))
	return err
}

// SetText gives the viewer the machine's clipboard.
func (v *Viewer) SetText(text []byte) { v.put(appendText(nil, typeServerText, text)) }

// Ring rings the viewer's bell.
func (v *Viewer) Ring() { v.put([]byte{typeBell}) }

// take does what one message asks for.
func (v *Viewer) take(m ClientMessage) error {
	switch m := m.(type) {
	case SetPixelFormat:
		v.setFormat(m.Format)
	case SetEncodings:
		v.setEncodings(m.Encodings)
	case KeyEvent:
		if v.o.Key != nil {
			v.o.Key(m)
		}
	case PointerEvent:
		if v.o.Pointer != nil {
			v.o.Pointer(m)
		}
	case SetDesktopSize:
		v.mu.Lock()
		v.resize = true
		v.mu.Unlock()
		v.nudge()
	case ClientText:
		// Extensions of AMT are for consoles, not for viewers: what begins with a zero byte does not get through.
		if v.o.Text != nil && (len(m.Text) == 0 || m.Text[0] != 0) {
			v.o.Text(m.Text)
		}
	}
	return nil
}

func (v *Viewer) setFormat(f PixelFormat) {
	if !f.TrueColour { // it wants a colour map: it gets one, for the 256 colours of RGB332
		v.put(appendColourMap(nil))
		bits := f.BitsPerPixel
		f = RGB332
		f.BitsPerPixel = bits
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.format = f
	v.formats++
}

// appendColourMap appends the message that makes a pixel of 0 to 255 the colour it is in RGB332.
func appendColourMap(b []byte) []byte {
	b = append(b, typeColourMap, 0, 0, 0, 1, 0)
	for i := range uint32(256) {
		rgb := RGB332.unpack(i)
		for _, c := range [...]byte{byte(rgb >> 16), byte(rgb >> 8), byte(rgb)} {
			b = binary.BigEndian.AppendUint16(b, uint16(c)*257)
		}
	}
	return b
}

// setEncodings takes the first that we write, and remembers what else the viewer knows.
func (v *Viewer) setEncodings(list []Encoding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.encoding, v.knows = EncodingRaw, map[Encoding]bool{}
	ours := []Encoding{EncodingTight, EncodingZRLE, EncodingHextile, EncodingRaw}
	if i := slices.IndexFunc(list, func(e Encoding) bool { return slices.Contains(ours, e) }); i >= 0 {
		v.encoding = list[i]
	}
	for _, e := range []Encoding{EncodingDesktopSize, EncodingDesktopSet, EncodingCursor, EncodingExtendedKey} {
		v.knows[e] = slices.Contains(list, e)
	}
}

// A wish is what the viewer wants at the moment of an update.
type wish struct {
	asked    uint64
	request  UpdateRequest
	format   PixelFormat
	formats  uint64
	encoding Encoding
	knows    map[Encoding]bool
	resize   bool
}

func (v *Viewer) wish() wish {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := wish{v.asked, v.request, v.format, v.formats, v.encoding, v.knows, v.resize}
	v.resize = false // an update with the answer follows
	return w
}

// update answers a request, unless there is nothing to tell.
func (v *Viewer) update() (done bool, err error) {
	w := v.wish()
	if v.using != w.formats {
		v.using, v.p, v.tiles.p = w.formats, newPacking(w.format, false), newPacking(w.format, true)
		v.tight.use(w.format)
	}
	var resized bool
	v.list, resized = v.shown.Changed(&v.look, w.request.rectangle(), !w.request.Incremental, v.list[:0])
	rects, n := v.announce(w, resized)
	if resized && !w.knows[EncodingDesktopSize] && !w.knows[EncodingDesktopSet] {
		return false, fmt.Errorf("the viewer does not know how to change to %dx%d: %w", v.look.W, v.look.H, ErrProtocol)
	}
	if n+len(v.list) == 0 {
		return false, nil
	}
	v.out = append(appendUpdate(v.out[:0], n+len(v.list)), rects...)
	for _, i := range v.list {
		v.shown.Fetch(&v.look, i, &v.tile)
		v.appendTile(w.encoding)
	}
	v.answered(w.asked)
	_, err = v.conn.Write(v.out)
	return true, err
}

// Where a rectangle of [EncodingDesktopSet] has its place it says why it comes, and what became of the client's wish.
const (
	reasonClient     = 1 // this client has asked; 0: the server has changed it
	statusProhibited = 1 // only the machine itself changes it; 0: done
)

// appendDesktopSet appends such a rectangle: a screen of one monitor.
func appendDesktopSet(b []byte, r Rect) []byte {
	r.Encoding = EncodingDesktopSet
	return Screen{W: r.W, H: r.H}.append(append(r.Append(b), 1, 0, 0, 0))
}

// announce returns pseudo rectangles and their number: a new size, a no to the wish for another one, and once each that the
// screen's size is told in this way, that there is no cursor to draw (it is in the picture) and that scan codes are
// understood.
func (v *Viewer) announce(w wish, resized bool) (rects []byte, n int) {
	size := Rect{W: uint16(v.look.W), H: uint16(v.look.H)}
	once := func(e Encoding) bool {
		first := w.knows[e] && !v.announced[e]
		v.announced[e] = v.announced[e] || first
		return first
	}
	if once(EncodingDesktopSet) || resized && w.knows[EncodingDesktopSet] {
		rects = appendDesktopSet(rects, size)
		n++
	} else if resized && w.knows[EncodingDesktopSize] {
		size.Encoding = EncodingDesktopSize
		rects = size.Append(rects)
		n++
	}
	if w.resize && w.knows[EncodingDesktopSet] {
		no := size
		no.X, no.Y = reasonClient, statusProhibited
		rects = appendDesktopSet(rects, no)
		n++
	}
	if once(EncodingCursor) {
		rects = Rect{Encoding: EncodingCursor}.Append(rects)
		n++
	}
	if once(EncodingExtendedKey) {
		rects = Rect{Encoding: EncodingExtendedKey}.Append(rects)
		n++
	}
	return rects, n
}

func (v *Viewer) appendTile(e Encoding) {
	head := Rect{uint16(v.tile.X), uint16(v.tile.Y), uint16(v.tile.W), uint16(v.tile.H), e}
	v.out = head.Append(v.out)
	switch e {
	case EncodingTight:
		v.out = v.tight.append(v.out, &v.tile)
	case EncodingZRLE:
		v.plain = v.tiles.append(v.plain[:0], &v.tile)
		v.out = v.z.appendSized(v.out, v.plain, v.tiles.census.effort())
	case EncodingHextile:
		v.out = v.p.appendHextile(v.out, &v.tile)
	default:
		v.out = v.p.appendTile(v.out, &v.tile)
	}
}
