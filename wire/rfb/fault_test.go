package rfb

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// opening is what a machine says up to the first update: a screen of 200x100.
func opening() []byte {
	b := append([]byte("RFB 003.008\n"), 1, 1, 0, 0, 0, 0)
	return ServerInit{200, 100, RGB565, AMTName}.Append(b)
}

// zrle is a rectangle of some compressed bytes.
func zrle(r Rect, packed []byte) []byte {
	r.Encoding = EncodingZRLE
	return append(binary.BigEndian.AppendUint32(r.Append(nil), uint32(len(packed))), packed...)
}

// deflated is a zlib stream of plain, with a sync flush at its end.
func deflated(plain []byte) []byte {
	var out bytes.Buffer
	out.Write([]byte{0x78, 0x9C})
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	w.Write(plain)
	w.Flush()
	return out.Bytes()
}

// Rectangles that no machine sends end the session with an error that says what was wrong.
func TestGarbage(t *testing.T) {
	tile := Rect{W: 64, H: 64}
	solid := []byte{0x78, 0x9C, 0, 3, 0, 0xFC, 0xFF, 1, 0, 0}
	for _, tt := range []struct {
		name   string
		update []byte
		want   string
	}{
		{"outside of the screen", Rect{150, 50, 64, 64, EncodingRaw}.Append(nil), "reaches out of the screen"},
		{"far outside of it", Rect{65535, 65535, 65535, 65535, EncodingZRLE}.Append(nil), "reaches out of the screen"},
		{"an encoding that was not asked for", Rect{0, 0, 64, 64, EncodingTight}.Append(nil), "Tight: not asked for"},
		{"an encoding that nobody knows", Rect{0, 0, 64, 64, 4711}.Append(nil), "unknown (4711)"},
		{"a screen of no size", Rect{0, 0, 0, 0, EncodingDesktopSize}.Append(nil), "screen of 0x0"},
		{"a screen without end", Rect{0, 0, 65535, 65535, EncodingDesktopSize}.Append(nil), "screen of 65535x65535"},
		{"longer than any tile", append(Rect{0, 0, 64, 64, EncodingZRLE}.Append(nil), 0xFF, 0xFF, 0xFF, 0xFF), "4294967295 bytes: too long"},
		{"not zlib", zrle(tile, []byte("GET / HTTP/1.1\r\n")), "zlib header"},
		{"broken zlib", zrle(tile, append([]byte{0x78, 0x9C}, bytes.Repeat([]byte{0xFF}, 40)...)), "compressed data"},
		{"a tile of an unknown kind", zrle(tile, deflated([]byte{129, 0, 0, 0, 0})), "tile of kind 129"},
		{"a tile that ends early", zrle(tile, deflated([]byte{0, 1, 2, 3})), "tile ends early"},
		{"a run beyond the tile", zrle(tile, deflated(append([]byte{128, 0, 0}, bytes.Repeat([]byte{255}, 20)...))), "run of"},
		{"a colour that the palette does not have", zrle(tile, deflated(append([]byte{3, 1, 0, 2, 0, 3, 0}, bytes.Repeat([]byte{0xFF}, 1024)...))), "colour 3 of 3"},
		{"two bytes too many", zrle(tile, deflated([]byte{1, 0, 0, 7, 7})), "2 bytes behind the last tile"},
		{"a bomb", zrle(tile, deflated(append([]byte{1, 0, 0}, make([]byte, 2<<20)...))), "behind the last tile"},
		{"a bomb that looks like a tile", zrle(tile, deflated(append([]byte{0}, make([]byte, 2<<20)...))), "behind the last tile"},
		{"stored bytes, and more", zrle(tile, append(bytes.Clone(solid), solid[2:]...)), "behind the last tile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := append(appendUpdate(opening(), 1), tt.update...)
			c, err := Connect(t.Context(), script{bytes.NewReader(start)}, ClientOptions{})
			if err == nil {
				err = c.Err()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrCut) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

// A stream of rectangles that each hold more than they may must not pile up, whatever the tiles look like.
func TestBombsTakeNoMemory(t *testing.T) {
	bomb := deflated(append([]byte{1, 0, 0}, make([]byte, 1<<20)...)) // some KB
	r := tileReader{p: newPacking(RGB565, true)}
	pix := make([]uint32, TileSize*TileSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if err := r.rect(bomb, 64, 64, pix, func(int, int, int, int, []uint32) {}); err == nil {
			t.Fatal("a bomb was taken")
		}
		r.z = inflater{}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 30<<20 {
		t.Errorf("100 bombs of %d bytes took %d MB", len(bomb), took>>20)
	}
}

// Wherever the cable is cut, the console says so, and where it was in a message, that too.
func TestCutAnywhere(t *testing.T) {
	f := picture(t, 130, 70, 3)
	near, far := net.Pipe()
	var got bytes.Buffer
	var d *Device
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		d, _ = Accept(t.Context(), far, f, DeviceOptions{})
	}()
	first := make(chan struct{}, 1)
	c, err := Connect(t.Context(), teeConn{near, &got}, ClientOptions{Updated: func(int, int) {
		select {
		case first <- struct{}{}:
		default:
		}
	}})
	<-accepted
	if err != nil || d == nil {
		t.Fatal(err)
	}
	<-first
	c.Close()
	d.Close()
	said := got.Bytes()
	for n := 0; n < len(said); n += 1 + n/40 {
		c, err := Connect(t.Context(), script{bytes.NewReader(said[:n])}, ClientOptions{})
		if err == nil {
			err = c.Err()
		}
		if !errors.Is(err, ErrCut) {
			t.Fatalf("cut after %d of %d bytes: %v", n, len(said), err)
		}
	}
}

type teeConn struct {
	net.Conn
	got *bytes.Buffer
}

func (c teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.got.Write(p[:n])
	return n, err
}

// A console that stops reading holds nobody up and piles nothing up: what it is told is kept to a limit, and the session
// can be ended.
func TestConsoleStopsReading(t *testing.T) {
	f := picture(t, 640, 480, 3)
	near, far := net.Pipe()
	accepted := make(chan *Device)
	go func() {
		d, _ := Accept(t.Context(), far, f, DeviceOptions{})
		accepted <- d
	}()
	hello := append([]byte("RFB 003.008\n"), 1, 1)
	hello = SetEncodings{[]Encoding{EncodingZRLE, EncodingRaw, EncodingDataChannel}}.Append(hello)
	hello = UpdateRequest{W: 640, H: 480}.Append(hello)
	go near.Write(hello)
	b := make([]byte, 12+2+4+24+len(AMTName))
	for read := 0; read < len(b); {
		n, err := near.Read(b[read:])
		if err != nil {
			t.Fatal(err)
		}
		read += n
	}
	d := <-accepted // and now nothing is read any more
	for round := range uint64(50) {
		scribble(f, round)
	}
	kept := 0
	for range 1000 {
		if d.SendText([]byte("text")) {
			kept++
		}
	}
	if kept > 2*maxQueue {
		t.Errorf("%d messages are kept", kept)
	}
	ended := make(chan error)
	go func() { ended <- d.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the session cannot be ended")
	}
	near.Close()
}
