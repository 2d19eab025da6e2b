package rfb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// AMTName is the name that AMT gives its desktop. noVNC goes by it and asks for 64 colours.
const AMTName = "Intel(r) AMT KVM"

// FrameMemory is how many bytes of pixels AMT can hold: 2560x1600 at 16 bits per pixel, and a little.
const FrameMemory = 9216000

// DeviceOptions are what a machine's KVM is to be like.
type DeviceOptions struct {
	Old      bool          // says 4.0 as AMT up to 11 does; otherwise 3.8
	Redirect bool          // behind package redir: lists RFB 4's security type as well
	Password string        // asks for it, as on port 5900
	Compress bool          // can compress ZRLE, when told to
	Idle     time.Duration // ends the session after so long without key and pointer; 0: never
	Key      func(KeyEvent)
	Pointer  func(PointerEvent)
	Text     func(text []byte) // a clipboard: firmware ignores it
	Data     func(data []byte) // for a program on the host; called once per credit, see [Device.Credit]
	Decimate uint8             // can send half the size: the mode it begins with, such as [DecimationAuto]; 0: cannot
	Memory   int               // bytes of pixels it can hold; default [FrameMemory]
}

// A Device is the machine's end of a KVM session: AMT as spec kvm.md describes it. It takes 8 and 16 bits per pixel and
// wants Raw among the encodings; what else it gets ends the session. Its methods are safe for concurrent use.
type Device struct {
	serving
	o    DeviceOptions
	idle *time.Timer

	// The console's choices, guarded by serving.mu.
	format  PixelFormat
	zrle    bool
	size    bool // it knows DesktopSize
	deflate bool // ZRLE is to be compressed
	opened  bool // the data channel is announced

	decimation uint8

	// The writer's own.
	p     *packing
	using PixelFormat
	z     deflater
	tiles tileWriter
	plain []byte

	halved bool // the picture is at half its size
	half   halver
}

// ErrIdle ends a session in which nobody has touched a key for too long.
var ErrIdle = errors.New("nobody touched keyboard or mouse")

// Accept shakes hands with a console and serves it the frame until ctx ends, the connection does, or Close is called. conn
// is closed in the end.
func Accept(ctx context.Context, conn io.ReadWriteCloser, frame *Frame, o DeviceOptions) (*Device, error) {
	d := &Device{o: o, format: RGB565, decimation: o.Decimate}
	if err := d.open(ctx, conn, frame, d.start); err != nil {
		return nil, err
	}
	if o.Idle > 0 {
		d.idle = time.AfterFunc(o.Idle, func() { d.cancel(ErrIdle) })
		context.AfterFunc(d.ctx, func() { d.idle.Stop() })
	}
	d.run(d.take, d.update)
	return d, nil
}

func (d *Device) start() error {
	v := welcome{version: 3008, password: d.o.Password}
	if d.o.Old {
		v.version = 4000
	}
	if d.o.Redirect {
		v.security = []byte{securityNone, securityAMT}
	}
	if err := v.accept(d.r, d.conn); err != nil {
		return err
	}
	d.look.W, d.look.H = d.frame.Size()
	if d.halved = d.decimates(d.look.W, d.look.H); d.halved {
		d.look.W, d.look.H = half(d.look.W), half(d.look.H)
	}
	if err := d.fits(1); err != nil {
		return err
	}
	_, err := d.conn.Write(ServerInit{uint16(d.look.W), uint16(d.look.H), RGB565, AMTName}.Append(nil))
	return err
}

// fits tells whether the frame memory holds the screen at so many bytes per pixel.
func (d *Device) fits(bytes int) error {
	if w, h := d.look.W, d.look.H; w*h*bytes > cmp.Or(d.o.Memory, FrameMemory) {
		return fmt.Errorf("%dx%d at %d bits per pixel: %w", w, h, 8*bytes, ErrMemory)
	}
	return nil
}

// Credit lets the console send one more message for the host: the host has fetched the last one.
func (d *Device) Credit() { d.extend(Extension{}) }

// SendData passes a message of the host on to the console. It reports false when too many wait already, or the console
// does not know the data channel.
func (d *Device) SendData(data []byte) bool {
	d.mu.Lock()
	ok := d.opened
	d.mu.Unlock()
	return ok && d.extend(Extension{Values: data})
}

func (d *Device) extend(x Extension) bool { return d.put(appendText(nil, typeServerText, x.Text())) }

// take does what one message asks for.
func (d *Device) take(m ClientMessage) error {
	switch m := m.(type) {
	case SetPixelFormat:
		if !m.Format.TrueColour || m.Format.Bytes() > 2 {
			return fmt.Errorf("%v: %w", m.Format, ErrFormat)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.format = m.Format
	case SetEncodings:
		return d.setEncodings(m.Encodings)
	case KeyEvent:
		d.touched()
		if d.o.Key != nil {
			d.o.Key(m)
		}
	case PointerEvent:
		d.touched()
		if d.o.Pointer != nil {
			if d.decimates(d.screenSize()) {
				m.X, m.Y = 2*m.X, 2*m.Y
			}
			d.o.Pointer(m)
		}
	case SetDesktopSize:
		return fmt.Errorf("message of type %d: %w", typeSetDesktopSize, ErrProtocol)
	case ClientText:
		x, ok := ParseExtension(m.Text)
		switch {
		case !ok:
			if d.o.Text != nil {
				d.o.Text(m.Text)
			}
		case x.Command != 0:
			d.command(x)
		case len(x.Values) > 0 && d.o.Data != nil:
			d.o.Data(x.Values)
		}
	}
	return nil
}

func (d *Device) touched() {
	if d.idle != nil {
		d.idle.Reset(d.o.Idle)
	}
}

func (d *Device) setEncodings(list []Encoding) error {
	raw, zrle := slices.Index(list, EncodingRaw), slices.Index(list, EncodingZRLE)
	if raw < 0 {
		return ErrRaw
	}
	d.mu.Lock()
	d.zrle = zrle >= 0 && zrle < raw
	d.size = slices.Contains(list, EncodingDesktopSize)
	announce := !d.opened && slices.Contains(list, EncodingDataChannel)
	d.opened = d.opened || announce
	d.mu.Unlock()
	if announce {
		d.Credit()
	}
	return nil
}

// command answers an extension command. What the machine cannot do is left without an answer, as by old firmware.
func (d *Device) command(x Extension) {
	if x.Command == GetDecimation || x.Command == SetDecimation {
		d.decimate(x)
		return
	}
	if !d.o.Compress {
		return
	}
	switch {
	case x.Command == GetCompression:
		d.mu.Lock()
		on := d.deflate
		d.mu.Unlock()
		d.extend(Extension{Command: x.Command, Values: []byte{bit(on)}})
	case x.Command == SetCompression && len(x.Values) == 1 && x.Values[0] <= 1:
		d.mu.Lock()
		d.deflate = x.Values[0] == 1
		d.mu.Unlock()
		d.extend(Extension{Command: x.Command, Values: []byte{0}})
	case x.Command == SetCompression:
		d.extend(Extension{Command: x.Command, Values: []byte{1}})
	}
}

func (d *Device) screenSize() (w, h int) {
	d.mu.Lock()
	frame := d.frame
	d.mu.Unlock()
	return frame.Size()
}

// decimate answers a command of decimation.
func (d *Device) decimate(x Extension) {
	if d.o.Decimate == 0 {
		return
	}
	if x.Command == GetDecimation {
		active := d.decimates(d.screenSize())
		d.mu.Lock()
		mode := d.decimation
		d.mu.Unlock()
		d.extend(Extension{Command: x.Command, Values: []byte{mode, bit(active)}})
		return
	}
	if len(x.Values) != 1 || x.Values[0] < DecimationOff || x.Values[0] > DecimationOn {
		d.extend(Extension{Command: x.Command, Values: []byte{1}})
		return
	}
	d.mu.Lock()
	d.decimation = x.Values[0]
	d.mu.Unlock()
	d.extend(Extension{Command: x.Command, Values: []byte{0}})
}

// SendText passes a clipboard of the host on to the console. It reports false when too much waits already.
func (d *Device) SendText(text []byte) bool { return d.put(appendText(nil, typeServerText, text)) }

// A choice is what the console wants at the moment of an update.
type choice struct {
	asked      uint64
	request    UpdateRequest
	format     PixelFormat
	zrle, size bool
	deflate    bool
}

func (d *Device) choice() choice {
	d.mu.Lock()
	defer d.mu.Unlock()
	return choice{d.asked, d.request, d.format, d.zrle, d.size, d.deflate}
}

// update answers a request, unless nothing has changed.
func (d *Device) update() (done bool, err error) {
	c := d.choice()
	picture := d.picture()
	var resized bool
	d.list, resized = picture.Changed(&d.look, c.request.rectangle(), !c.request.Incremental, d.list[:0])
	if err := d.fits(c.format.Bytes()); err != nil {
		return false, err
	}
	d.out = d.out[:0]
	switch {
	case resized && !c.size:
		return false, fmt.Errorf("the console does not know how to change to %dx%d: %w", d.look.W, d.look.H, ErrProtocol)
	case resized:
		d.out = Rect{W: uint16(d.look.W), H: uint16(d.look.H), Encoding: EncodingDesktopSize}.Append(appendUpdate(d.out, 1))
	case len(d.list) == 0: // an update without rectangles would have consoles wait for ever
		return false, nil
	default:
		d.out = appendUpdate(d.out, len(d.list))
		for _, i := range d.list {
			picture.Fetch(&d.look, i, &d.tile)
			d.appendTile(c)
		}
	}
	d.answered(c.asked)
	_, err = d.conn.Write(d.out)
	return true, err
}

// appendTile appends one tile as a rectangle of its own: consoles of the MeshCommander family take no larger ones.
func (d *Device) appendTile(c choice) {
	if d.p == nil || d.using != c.format {
		d.p, d.using = newPacking(c.format, true), c.format
		d.tiles.p = d.p
	}
	head := Rect{uint16(d.tile.X), uint16(d.tile.Y), uint16(d.tile.W), uint16(d.tile.H), EncodingRaw}
	if !c.zrle {
		d.out = d.p.appendTile(head.Append(d.out), &d.tile)
		return
	}
	head.Encoding = EncodingZRLE
	d.plain = d.tiles.append(d.plain[:0], &d.tile)
	how := store
	if c.deflate {
		how = repeats
	}
	d.out = d.z.appendSized(head.Append(d.out), d.plain, how)
}
