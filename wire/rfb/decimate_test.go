package rfb

import (
	"testing"
	"time"
)

// halfOf is a picture at half its size, pixel by pixel.
func halfOf(t *testing.T, f *Frame) *Frame {
	t.Helper()
	img := f.Image()
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out, err := NewFrame(half(w), half(h))
	if err != nil {
		t.Fatal(err)
	}
	pix := make([]uint32, half(w)*half(h))
	for y := range half(h) {
		for x := range half(w) {
			var sum [3]uint32
			for _, p := range [][2]int{{2 * x, 2 * y}, {min(2*x+1, w-1), 2 * y}, {2 * x, min(2*y+1, h-1)}, {min(2*x+1, w-1), min(2*y+1, h-1)}} {
				q := img.RGBAAt(p[0], p[1])
				sum[0], sum[1], sum[2] = sum[0]+uint32(q.R), sum[1]+uint32(q.G), sum[2]+uint32(q.B)
			}
			pix[y*half(w)+x] = (sum[0]+2)/4<<16 | (sum[1]+2)/4<<8 | (sum[2]+2)/4
		}
	}
	out.Draw(0, 0, half(w), half(h), pix, half(w))
	out.Publish()
	return out
}

// Decimation halves the picture, from the first update on or in the middle of a session, and the pointer follows.
func TestDecimation(t *testing.T) {
	pointers := make(chan PointerEvent, 10)
	answers := make(chan Extension, 10)
	f := picture(t, 401, 257, 5)
	c, _, u := session(t, f, ClientOptions{Decimation: DecimationOn, Extension: func(x Extension) {
		if x.Command != 0 {
			answers <- x
		}
	}}, DeviceOptions{Decimate: DecimationOff, Pointer: func(m PointerEvent) { pointers <- m }})
	if x := <-answers; x.Command != SetDecimation || x.Values[0] != 0 {
		t.Errorf("answer %v", x)
	}
	settle(t, u, halfOf(t, f), c.Frame, RGB565)
	scribble(f, 6)
	settle(t, u, halfOf(t, f), c.Frame, RGB565)
	c.Pointer(1, 100, 50)
	if got, want := <-pointers, (PointerEvent{1, 200, 100}); got != want {
		t.Errorf("pointer %v, want %v", got, want)
	}
	for _, tt := range []struct {
		send Extension
		want []byte
	}{
		{Extension{Command: GetDecimation}, []byte{DecimationOn, 1}},
		{Extension{Command: SetDecimation, Values: []byte{9}}, []byte{1}},
		{Extension{Command: SetDecimation, Values: []byte{DecimationAuto}}, []byte{0}},
		{Extension{Command: GetDecimation}, []byte{DecimationAuto, 0}},
	} {
		c.Extend(tt.send)
		if x := <-answers; string(x.Values) != string(tt.want) {
			t.Errorf("%v: %v, want values %x", tt.send, x, tt.want)
		}
	}
	settle(t, u, f, c.Frame, RGB565) // small enough to be sent as it is
}

// Automatic decimation halves a screen of more than 1920x1080, and only that.
func TestAutomaticDecimation(t *testing.T) {
	f := picture(t, 2000, 1100, 5)
	c, _, u := session(t, f, ClientOptions{}, DeviceOptions{Decimate: DecimationAuto})
	if c.Init.Width != 1000 || c.Init.Height != 550 {
		t.Errorf("the session begins at %dx%d", c.Init.Width, c.Init.Height)
	}
	<-u.c
	if err := f.Resize(800, 600); err != nil {
		t.Fatal(err)
	}
	scribble(f, 2)
	settle(t, u, f, c.Frame, RGB565)
}

// Old firmware does not answer, and nothing waits for it.
func TestNoDecimation(t *testing.T) {
	f := picture(t, 200, 100, 5)
	c, _, u := session(t, f, ClientOptions{Decimation: DecimationOn}, DeviceOptions{})
	settle(t, u, f, c.Frame, RGB565)
}

// Messages wait for credit, one each, and go in order.
func TestDataChannelCredit(t *testing.T) {
	data, there, back := make(chan string, 10), make(chan struct{}), make(chan string, 10)
	c, d, _ := session(t, picture(t, 64, 64, 1), ClientOptions{Channel: func() { close(there) }, Data: func(b []byte) { back <- string(b) }},
		DeviceOptions{Data: func(b []byte) { data <- string(b) }})
	<-there
	for _, m := range []string{"one", "two", "three"} {
		if err := c.SendData([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"one", "two", "three"} {
		if got := <-data; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		select {
		case m := <-data:
			t.Errorf("%q came without credit", m)
		case <-time.After(time.Millisecond):
		}
		d.SendData([]byte("re " + want))
		d.Credit()
		if got := <-back; got != "re "+want {
			t.Errorf("back came %q", got)
		}
	}
	if err := c.SendData(make([]byte, MaxData+1)); err == nil {
		t.Error("a message without end was taken")
	}
	if err := c.SendData(nil); err == nil {
		t.Error("an empty message was taken: it would be a credit")
	}
}

// A console without a data channel keeps some messages, and no more.
func TestDataChannelAbsent(t *testing.T) {
	c, _, _ := session(t, picture(t, 64, 64, 1), ClientOptions{Encodings: []Encoding{EncodingZRLE, EncodingRaw}}, DeviceOptions{Data: func(b []byte) { t.Errorf("%q", b) }})
	var err error
	for n := 0; n < 1000 && err == nil; n++ {
		err = c.SendData([]byte("x"))
	}
	if err == nil {
		t.Error("1000 messages wait")
	}
}
