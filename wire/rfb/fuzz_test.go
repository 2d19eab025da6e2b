package rfb

import (
	"bytes"
	"encoding/hex"
	"io"
	"slices"
	"testing"
)

func FuzzClientMessage(f *testing.F) {
	for _, m := range []ClientMessage{SetPixelFormat{RGB565}, SetEncodings{[]Encoding{EncodingZRLE, EncodingRaw, EncodingDataChannel, EncodingDesktopSize}},
		UpdateRequest{true, 0, 0, 800, 600}, KeyEvent{Down: true, Keysym: KeyDelete}, KeyEvent{true, 'a', 0x1E}, PointerEvent{1, 10, 20},
		SetDesktopSize{800, 600, []Screen{{1, 0, 0, 800, 600, 0}}},
		ClientText{[]byte("text")}, ClientText{Extension{Command: SetCompression, Values: []byte{1}}.Text()}} {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := ParseClientMessage(b)
		if err != nil {
			return
		}
		used := b[:len(b)-len(rest)]
		again, rest, err := ParseClientMessage(m.Append(nil))
		if err != nil || len(rest) != 0 {
			t.Fatalf("%x: written and read again: %v, %d bytes left", used, err, len(rest))
		}
		if !bytes.Equal(again.Append(nil), m.Append(nil)) {
			t.Errorf("%x: %v, and again %v", used, m, again)
		}
	})
}

func FuzzExtension(f *testing.F) {
	f.Add(Extension{Command: SetCompression, Values: []byte{1}}.Text())
	f.Add(Extension{}.Text())
	f.Add(Extension{Values: []byte(`{"action":"present","ver":1}`), Ack: true}.Text())
	f.Fuzz(func(t *testing.T, b []byte) {
		x, ok := ParseExtension(b)
		if !ok {
			return
		}
		y, ok := ParseExtension(x.Text())
		if !ok || y.Command != x.Command || !bytes.Equal(y.Values, x.Values) || y.Ack != x.Ack {
			t.Errorf("%+v, and again %+v", x, y)
		}
	})
}

// FuzzTile reads two rectangles of one zlib stream; what is read must come out again when written and read.
func FuzzTile(f *testing.F) {
	for _, text := range []string{"789C000200FDFF0100", "789C626400000000FFFF"} {
		b, _ := hex.DecodeString(text)
		f.Add(b, b[2:], uint8(64), uint8(64))
	}
	frame := &Frame{}
	frame.Resize(256, 256)
	scribble(frame, 3)
	var look Look
	list, _ := frame.Changed(&look, UpdateRequest{W: 256, H: 256}.rectangle(), true, nil)
	list, _ = frame.Changed(&look, UpdateRequest{W: 256, H: 256}.rectangle(), true, list[:0])
	for _, compress := range []bool{false, true} {
		for i := range list[:len(list)-1] {
			w := tileWriter{p: newPacking(RGB565, true)}
			var z deflater
			var packed [2][]byte
			for j := range packed {
				var tile Tile
				frame.Fetch(&look, list[i+j], &tile)
				packed[j] = z.append(nil, w.append(nil, &tile), effortOf(compress))
			}
			f.Add(packed[0], packed[1], uint8(64), uint8(64))
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte, w, h uint8) {
		tw, th := int(w%TileSize)+1, int(h%TileSize)+1
		p := newPacking(RGB565, true)
		r := &tileReader{p: p}
		writer := tileWriter{p: p}
		var z deflater
		again := &tileReader{p: p}
		pix := make([]uint32, TileSize*TileSize)
		for _, packed := range [][]byte{first, second} {
			if r.rect(packed, tw, th, pix, func(int, int, int, int, []uint32) {}) != nil {
				return
			}
			tile := &Tile{W: tw, H: th}
			copy(tile.Pix[:], pix[:tw*th])
			got := make([]uint32, TileSize*TileSize)
			if err := again.rect(z.append(nil, writer.append(nil, tile), []effort{store, repeats, entropy}[len(second)%3]), tw, th, got, func(int, int, int, int, []uint32) {}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got[:tw*th], tile.Pixels()) {
				t.Error("a tile did not survive")
			}
		}
	})
}

// script is a server that has said everything already.
type script struct{ io.Reader }

func (script) Write(b []byte) (int, error) { return len(b), nil }
func (script) Close() error                { return nil }

func FuzzServer(f *testing.F) {
	start := []byte("RFB 004.000\n\x02\x01\x80\x00\x00\x00\x00")
	start = ServerInit{100, 70, RGB565, AMTName}.Append(start)
	update := Rect{0, 0, 64, 64, EncodingZRLE}.Append(appendUpdate(bytes.Clone(start), 2))
	update = append(update, 0, 0, 0, 9)
	packed, _ := hex.DecodeString("789C000300FCFF010000")
	update = append(update, packed...)
	update = append(Rect{0, 0, 2, 1, EncodingRaw}.Append(update), 1, 2, 3, 4)
	f.Add(update)
	f.Add(appendText(Rect{W: 50, H: 50, Encoding: EncodingDesktopSize}.Append(appendUpdate(bytes.Clone(start), 1)), typeServerText, []byte("x")))
	f.Add([]byte("RFB 003.003\n\x00\x00\x00\x00\x00\x00\x00\x02no"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Connect(t.Context(), script{bytes.NewReader(b)}, ClientOptions{})
		if err == nil {
			err = c.Err()
		}
		if err == nil {
			t.Error("an end without a reason")
		}
	})
}

// FuzzViewers has a console, and a viewer, say anything at all to those who serve them.
func FuzzViewers(f *testing.F) {
	start := append([]byte("RFB 003.008\n"), 1, 1)
	all := bytes.Clone(start)
	for _, m := range []ClientMessage{SetEncodings{[]Encoding{EncodingZRLE, EncodingRaw, EncodingDataChannel, EncodingDesktopSize}}, SetPixelFormat{RGB332},
		ClientText{Extension{Command: SetDecimation, Values: []byte{DecimationOn}}.Text()}, UpdateRequest{false, 0, 0, 130, 70}, UpdateRequest{true, 0, 0, 130, 70},
		KeyEvent{Down: true, Keysym: KeyDelete}, PointerEvent{1, 10, 20}, ClientText{[]byte("text")}} {
		all = m.Append(all)
	}
	f.Add(all)
	f.Add(SetPixelFormat{RGB8888}.Append(bytes.Clone(start)))
	f.Add(SetEncodings{[]Encoding{EncodingTight, EncodingDesktopSet, EncodingCursor, EncodingExtendedKey}}.Append(bytes.Clone(start)))
	f.Add(append(bytes.Clone(start), typeClientText, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF))
	f.Add([]byte("RFB 003.003\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := NewFrame(130, 70)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Accept(t.Context(), script{bytes.NewReader(b)}, frame, DeviceOptions{Compress: true, Decimate: DecimationAuto}); err == nil && d.Err() == nil {
			t.Error("the console's session has no end")
		}
		if v, err := View(t.Context(), script{bytes.NewReader(b)}, frame, ViewerOptions{Name: "x"}); err == nil && v.Err() == nil {
			t.Error("the viewer's session has no end")
		}
	})
}
