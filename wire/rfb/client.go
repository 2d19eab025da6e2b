package rfb

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"
)

// ClientOptions are what a [Client] may be told.
type ClientOptions struct {
	Frame      *Frame        // to draw in; nil makes one
	Format     PixelFormat   // to ask for; the zero value is [RGB565]. AMT takes 8 and 16 bits per pixel
	Native     bool          // take the format that the server begins with, instead
	Encodings  []Encoding    // default: ZRLE, Raw, the data channel, DesktopSize
	Password   string        // for the VNC challenge; at most 8 characters count
	Exclusive  bool          // ask the server to end the sessions of others
	Compress   *bool         // AMT only: whether ZRLE is to be compressed; nil leaves it
	Decimation uint8         // AMT only: 1 off, 2 automatic, 3 on; 0 leaves it
	Interval   time.Duration // least time from one request for an update to the next; 0: none
	Motion     time.Duration // least time between movements of the pointer; 0: none. AMT is slow: 50 ms

	// What the machine says. Called in order from one goroutine, which waits.
	Bell      func()
	Text      func(text []byte)     // its clipboard
	Extension func(x Extension)     // of AMT: answers to commands, data, credit
	Channel   func()                // its data channel is there; see [Client.SendData]
	Data      func(message []byte)  // of a program on the host, by the data channel
	Updated   func(rects, size int) // after each update: rectangles, and bytes on the wire
}

// A Phase is how far a session has come.
type Phase string

// The phases.
const (
	PhaseHandshake Phase = "handshake"
	PhaseSettings  Phase = "settings" // up to the first update
	PhaseRunning   Phase = "running"
)

// An Error tells in which phase a session ended, which tells why where AMT just closes: see the table of spec kvm.md
// section 12.
type Error struct {
	Phase Phase
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("rfb: %s: %v", e.Phase, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// A Client shows one machine. Its methods are safe for concurrent use.
type Client struct {
	Init  ServerInit // how the session began
	Frame *Frame

	o     ClientOptions
	conn  io.ReadWriteCloser
	r     *bufio.Reader
	tiles tileReader
	raw   *packing

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	writing sync.Mutex
	phase   Phase // guarded by writing
	pointer pointer
	channel channel

	buf  []byte
	pix  []uint32
	ask  []byte                             // the request for the next update
	draw func(x, y, w, h int, pix []uint32) // a tile of the rectangle at, made once
	at   Rect
}

// Connect opens a session on conn, on which the machine speaks first, and draws until ctx ends, the connection does, or
// Close is called. conn is closed in the end. The error is an [*Error].
func Connect(ctx context.Context, conn io.ReadWriteCloser, o ClientOptions) (*Client, error) {
	if o.Format == (PixelFormat{}) {
		o.Format = RGB565
	}
	if o.Encodings == nil {
		o.Encodings = []Encoding{EncodingZRLE, EncodingRaw, EncodingDataChannel, EncodingDesktopSize}
	}
	if o.Frame == nil {
		o.Frame = &Frame{}
	}
	c := &Client{Frame: o.Frame, o: o, conn: conn, r: bufio.NewReaderSize(conn, 64<<10), phase: PhaseHandshake}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.pointer.client, c.channel.client = c, c
	c.wg.Go(func() {
		<-c.ctx.Done()
		c.conn.Close()
	})
	if err := c.start(); err != nil {
		return nil, c.finish(err)
	}
	c.wg.Go(func() { c.cancel(c.receive()) })
	return c, nil
}

func (c *Client) start() (err error) {
	if c.Init, err = dial(c.r, c.conn, c.o.Password, !c.o.Exclusive); err != nil {
		return err
	}
	if err := c.Frame.Resize(int(c.Init.Width), int(c.Init.Height)); err != nil {
		return err
	}
	if c.o.Native {
		c.o.Format = c.Init.Format
	}
	c.setPhase(PhaseSettings)
	c.raw, c.tiles.p = newPacking(c.o.Format, false), newPacking(c.o.Format, true)
	c.pix = make([]uint32, TileSize*TileSize)
	c.draw = func(x, y, w, h int, pix []uint32) {
		c.Frame.Draw(int(c.at.X)+x, int(c.at.Y)+y, w, h, pix, w)
	}
	// The format is always set: some firmware keeps that of the last session.
	b := SetPixelFormat{c.o.Format}.Append(SetEncodings{c.o.Encodings}.Append(nil))
	if d := c.o.Decimation; d != 0 {
		b = ClientText{Extension{Command: SetDecimation, Values: []byte{d}}.Text()}.Append(b)
	}
	if z := c.o.Compress; z != nil {
		b = ClientText{Extension{Command: SetCompression, Values: []byte{bit(*z)}}.Text()}.Append(b)
	}
	return c.write(c.request(b, false))
}

func (c *Client) setPhase(p Phase) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.phase = p
}

// finish ends the session and says why it ended.
func (c *Client) finish(err error) error {
	c.cancel(err)
	c.wg.Wait()
	return &Error{c.phase, cut(cmp.Or(context.Cause(c.ctx), err))}
}

// Done is closed when the session has ended.
func (c *Client) Done() <-chan struct{} { return c.ctx.Done() }

// Err waits for the end of the session and returns why it ended, an [*Error]; nil after Close.
func (c *Client) Err() error {
	<-c.ctx.Done()
	c.wg.Wait()
	c.pointer.stop()
	c.channel.stop()
	err := context.Cause(c.ctx)
	if err == errClosed {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return &Error{c.phase, cut(err)}
}

// errClosed ends a session that was closed on purpose.
var errClosed = fmt.Errorf("session closed")

// Close ends the session and waits for its end.
func (c *Client) Close() error {
	c.cancel(errClosed)
	return c.Err()
}

// Send sends a message.
func (c *Client) Send(m ClientMessage) error { return c.write(m.Append(nil)) }

func (c *Client) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	_, err := c.conn.Write(b)
	return err
}

// Key presses or releases a key.
func (c *Client) Key(keysym uint32, down bool) error {
	return c.Send(KeyEvent{Down: down, Keysym: keysym})
}

// Pointer moves the pointer and sets its buttons. Mere movements are sent as often as the options allow; the last one
// always is.
func (c *Client) Pointer(buttons uint8, x, y int) error {
	return c.pointer.move(PointerEvent{buttons, coordinate(x), coordinate(y)})
}

func coordinate(n int) uint16 { return uint16(min(max(n, 0), MaxWidth)) }

// Extend sends an extension to AMT: a command, data for the host or a sign of life.
func (c *Client) Extend(x Extension) error { return c.Send(ClientText{x.Text()}) }

// request appends a request for an update of the whole screen.
func (c *Client) request(b []byte, incremental bool) []byte {
	w, h := c.Frame.Size()
	return UpdateRequest{incremental, 0, 0, uint16(w), uint16(h)}.Append(b)
}

// receive reads messages to the end.
func (c *Client) receive() error {
	for {
		kind, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		switch kind {
		case typeUpdate:
			err = c.update()
		case typeBell:
			if c.o.Bell != nil {
				c.o.Bell()
			}
		case typeServerText:
			err = c.text()
		case typeColourMap:
			err = c.colourMap()
		default:
			err = fmt.Errorf("message of type %d: %w", kind, ErrProtocol)
		}
		if err != nil {
			return err
		}
	}
}

// take reads n bytes, good until the next take.
func (c *Client) take(n int) ([]byte, error) {
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	_, err := io.ReadFull(c.r, c.buf)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return c.buf, err
}

func (c *Client) text() error {
	b, err := c.take(7)
	if err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(b[3:])
	if n > MaxText {
		return fmt.Errorf("text of %d bytes: %w", n, ErrTooLong)
	}
	if b, err = c.take(int(n)); err != nil {
		return err
	}
	if x, ok := ParseExtension(b); ok {
		x.Values = append([]byte(nil), x.Values...)
		if c.o.Extension != nil {
			c.o.Extension(x)
		}
		return c.channel.take(x)
	} else if c.o.Text != nil {
		c.o.Text(append([]byte(nil), b...))
	}
	return nil
}

// colourMap skips a colour map: no format that a Client asks for has one.
func (c *Client) colourMap() error {
	b, err := c.take(5)
	if err == nil {
		_, err = c.take(6 * int(binary.BigEndian.Uint16(b[3:])))
	}
	return err
}

// update reads one update, and asks for the next.
func (c *Client) update() error {
	b, err := c.take(3)
	if err != nil {
		return err
	}
	start := time.Now()
	n := int(binary.BigEndian.Uint16(b[1:]))
	resized, size, rects := false, 4, 0
	for i := 0; i < n; i++ {
		if b, err = c.take(rectLen); err != nil {
			return err
		}
		r := ParseRect(b)
		size += rectLen
		switch r.Encoding {
		case EncodingLastRect:
			n = i
			continue
		case EncodingDesktopSize:
			if err := c.Frame.Resize(int(r.W), int(r.H)); err != nil {
				return err
			}
			resized = true
			continue
		}
		m, err := c.rect(r)
		if err != nil {
			return fmt.Errorf("rectangle %d of %d, %dx%d at %d,%d in %v: %w", i+1, n, r.W, r.H, r.X, r.Y, r.Encoding, err)
		}
		size, rects = size+m, rects+1
	}
	c.Frame.Publish()
	if c.o.Updated != nil {
		c.o.Updated(rects, size)
	}
	c.setPhase(PhaseRunning)
	if rest := c.o.Interval - time.Since(start); rest > 0 && !resized {
		select {
		case <-time.After(rest):
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
	c.ask = c.request(c.ask[:0], !resized)
	return c.write(c.ask)
}

// rect reads the pixels of a rectangle and draws them. size is how many bytes they were.
func (c *Client) rect(r Rect) (size int, err error) {
	w, h := int(r.W), int(r.H)
	if fw, fh := c.Frame.Size(); int(r.X)+w > fw || int(r.Y)+h > fh {
		return 0, fmt.Errorf("it reaches out of the screen of %dx%d: %w", fw, fh, ErrProtocol)
	}
	switch r.Encoding {
	case EncodingRaw:
		return c.rawRect(r)
	case EncodingZRLE:
		head, err := c.take(4)
		if err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint32(head)
		// No tile is longer than its pixels as runs of one, and zlib adds little.
		if most := 1024 + 8*w*h; int64(n) > int64(most) {
			return 0, fmt.Errorf("%d bytes: %w", n, ErrTooLong)
		}
		b, err := c.take(int(n))
		if err != nil {
			return 0, err
		}
		c.at = r
		return 4 + int(n), c.tiles.rect(b, w, h, c.pix, c.draw)
	}
	return 0, fmt.Errorf("not asked for: %w", ErrProtocol)
}

func (c *Client) rawRect(r Rect) (size int, err error) {
	w, h := int(r.W), int(r.H)
	if w == 0 || h == 0 {
		return 0, nil
	}
	if cap(c.pix) < w {
		c.pix = make([]uint32, w)
	}
	rows := max(1, cap(c.pix)/w)
	c.pix = c.pix[:cap(c.pix)]
	for y := 0; y < h; y += rows {
		n := min(rows, h-y)
		b, err := c.take(n * w * c.raw.width)
		if err != nil {
			return 0, err
		}
		c.raw.expand(c.pix[:n*w], b)
		c.Frame.Draw(int(r.X), int(r.Y)+y, w, n, c.pix, w)
	}
	return w * h * c.raw.width, nil
}
