package rfb

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// picture draws what has tiles of every kind: one colour, few, many in runs, noise; and edges that are no whole tile.
func picture(t testing.TB, w, h int, seed uint64) *Frame {
	t.Helper()
	f, err := NewFrame(w, h)
	if err != nil {
		t.Fatal(err)
	}
	scribble(f, seed)
	return f
}

func scribble(f *Frame, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	w, h := f.Size()
	for y := 0; y < h; y += TileSize {
		for x := 0; x < w; x += TileSize {
			colours := []int{1, 2, 3, 9, 16, 17, 100, 120, 5000}[r.IntN(9)]
			run := []int{1, 3, 40, 700}[r.IntN(4)]
			palette := make([]uint32, colours)
			for i := range palette {
				palette[i] = r.Uint32() & 0xFFFFFF
			}
			pix := make([]uint32, TileSize*TileSize)
			for i := 0; i < len(pix); {
				c := palette[r.IntN(colours)]
				for n := 1 + r.IntN(run); n > 0 && i < len(pix); n-- {
					pix[i] = c
					i++
				}
			}
			f.Draw(x, y, TileSize, TileSize, pix, TileSize)
		}
	}
	f.Publish()
}

// settle waits until updates have made the one screen what the other is.
func settle(t *testing.T, u updates, want, got *Frame, format PixelFormat) {
	t.Helper()
	for {
		text := differs(want, got, format)
		if text == "" {
			return
		}
		select {
		case <-u.c:
		case <-time.After(20 * time.Second):
			t.Fatal(text)
		}
	}
}

// differs compares two screens, of which one was sent in a format.
func differs(want, got *Frame, format PixelFormat) string {
	a, b := want.Image(), got.Image()
	if a.Rect != b.Rect {
		return fmt.Sprintf("screen of %v, want %v", b.Rect, a.Rect)
	}
	p := newPacking(format, false)
	for i := 0; i < len(a.Pix); i += 4 {
		rgb := func(q []byte) uint32 { return uint32(q[0])<<16 | uint32(q[1])<<8 | uint32(q[2]) }
		if w, g := format.unpack(p.pack(rgb(a.Pix[i:]))), rgb(b.Pix[i:]); w != g {
			n := i / 4
			return fmt.Sprintf("pixel %d,%d: %06x, want %06x", n%a.Rect.Dx(), n/a.Rect.Dx(), g, w)
		}
	}
	return ""
}

func effortOf(compress bool) effort {
	if compress {
		return repeats
	}
	return store
}

// oneByte reads byte by byte.
type oneByte struct{ net.Conn }

func (c oneByte) Read(p []byte) (int, error) { return c.Conn.Read(p[:1]) }

type updates struct {
	c chan int
}

func (u updates) note(_, size int) { u.c <- size }

// session connects a Client and a Device over a pipe.
func session(t *testing.T, f *Frame, co ClientOptions, do DeviceOptions) (*Client, *Device, updates) {
	t.Helper()
	a, b := net.Pipe()
	u := updates{make(chan int, 100)}
	if co.Updated == nil {
		co.Updated = u.note
	}
	var d *Device
	var derr error
	var wg sync.WaitGroup
	wg.Go(func() { d, derr = Accept(t.Context(), oneByte{b}, f, do) })
	c, err := Connect(t.Context(), a, co)
	wg.Wait()
	if err != nil || derr != nil {
		t.Fatal(err, derr)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c, d, u
}

func TestFormatsAndEncodings(t *testing.T) {
	for _, format := range []PixelFormat{RGB565, RGB332, RGB222, Gray8, Gray4, {16, 15, true, true, 31, 31, 31, 10, 5, 0}} {
		for name, o := range map[string]ClientOptions{
			"raw":        {Encodings: []Encoding{EncodingRaw}},
			"stored":     {},
			"compressed": {Compress: new(true)},
		} {
			t.Run(format.String()+" "+name, func(t *testing.T) {
				f := picture(t, 800, 600, 7)
				o.Format = format
				c, _, u := session(t, f, o, DeviceOptions{Compress: true, Redirect: true})
				for round := range uint64(3) {
					settle(t, u, f, c.Frame, format)
					scribble(f, round)
				}
			})
		}
	}
}

// Compression may change in the middle: the inflater must know what went before as stored blocks.
func TestCompressionChanges(t *testing.T) {
	f := picture(t, 200, 130, 3)
	c, _, u := session(t, f, ClientOptions{}, DeviceOptions{Compress: true})
	for round := range uint64(8) {
		settle(t, u, f, c.Frame, RGB565)
		if err := c.Extend(Extension{Command: SetCompression, Values: []byte{byte(round+1) & 1}}); err != nil {
			t.Fatal(err)
		}
		scribble(f, round)
	}
}

// All three ways to squeeze make one stream that reads as it was, in whatever order they come.
func TestEfforts(t *testing.T) {
	f := picture(t, 640, 640, 11)
	var look Look
	f.Changed(&look, image.Rect(0, 0, 640, 640), true, nil)
	list, _ := f.Changed(&look, image.Rect(0, 0, 640, 640), true, nil)
	w, r := tileWriter{p: newPacking(RGB565, true)}, tileReader{p: newPacking(RGB565, true)}
	var z deflater
	pix := make([]uint32, TileSize*TileSize)
	random := rand.New(rand.NewPCG(3, 4))
	for n := range 150 {
		var tile Tile
		f.Fetch(&look, list[n%len(list)], &tile)
		how := []effort{store, repeats, entropy}[random.IntN(3)]
		packed := z.append(nil, w.append(nil, &tile), how)
		if err := r.rect(packed, tile.W, tile.H, pix, func(int, int, int, int, []uint32) {}); err != nil {
			t.Fatalf("tile %d, %s: %v", n, how, err)
		}
		for i, rgb := range tile.Pixels() {
			if want := RGB565.unpack(w.p.pack(rgb)); pix[i] != want {
				t.Fatalf("tile %d, %s: pixel %d is %06x, want %06x", n, how, i, pix[i], want)
			}
		}
	}
}

func TestChangeOfSize(t *testing.T) {
	f := picture(t, 720, 400, 1)
	c, d, u := session(t, f, ClientOptions{}, DeviceOptions{Old: true})
	<-u.c
	other := picture(t, 1024, 768, 2)
	d.Show(other)
	settle(t, u, other, c.Frame, RGB565)
	if err := other.Resize(640, 480); err != nil {
		t.Fatal(err)
	}
	scribble(other, 9)
	settle(t, u, other, c.Frame, RGB565)
}

// Only what changed is sent, and nothing while nothing changes.
func TestChangesOnly(t *testing.T) {
	f := picture(t, 640, 480, 1)
	_, _, u := session(t, f, ClientOptions{}, DeviceOptions{})
	full := <-u.c
	f.Draw(100, 100, 1, 1, []uint32{0xFFFFFF}, 1)
	f.Publish()
	if one := <-u.c; one > 4+12+4+2+5+1+TileSize*TileSize*2 || one >= full {
		t.Errorf("%d bytes for one pixel, %d for all", one, full)
	}
	f.Draw(100, 100, 1, 1, []uint32{0xFFFFFF}, 1)
	f.Publish()
	select {
	case n := <-u.c:
		t.Errorf("%d bytes for no change", n)
	case <-time.After(20 * time.Millisecond):
	}
}

// What is drawn is seen when it is published, not before, however often somebody looks.
func TestUnpublished(t *testing.T) {
	f := picture(t, 256, 64, 1)
	all := image.Rect(0, 0, 256, 64)
	var look Look
	f.Changed(&look, all, true, nil)
	var tile Tile
	see := func() (tiles []int) {
		tiles, _ = f.Changed(&look, all, false, nil)
		for _, i := range tiles {
			f.Fetch(&look, i, &tile)
		}
		return tiles
	}
	see()
	dot := func(x int, colour uint32) { f.Draw(x, 3, 1, 1, []uint32{colour}, 1) }
	dot(10, 0x123456)
	if got := see(); len(got) > 0 {
		t.Errorf("tiles %v are seen before they are published", got)
	}
	f.Publish()
	dot(70, 0x123456)
	if got := see(); len(got) != 1 || got[0] != 0 {
		t.Errorf("tiles %v, want 0", got)
	}
	f.Publish()
	dot(70, 0x654321)
	if got := see(); len(got) > 0 {
		t.Errorf("tiles %v, which is drawn anew", got)
	}
	f.Publish()
	if got := see(); len(got) != 1 || got[0] != 1 {
		t.Errorf("tiles %v, want 1", got)
	}
}

// Bytes that firmware sent: a tile of one colour, 8 bits per pixel. Source: spec kvm.md section 5.2.
func TestRecordedTiles(t *testing.T) {
	for name, packed := range map[string][]string{
		"stored":     {"789C000200FDFF0100", "000200FDFF0100"},
		"compressed": {"789C626400000000FFFF", "626400000000FFFF"},
	} {
		r := &tileReader{p: newPacking(RGB332, true)}
		pix := make([]uint32, TileSize*TileSize)
		for _, text := range packed {
			b, _ := hex.DecodeString(text)
			fill(pix, 0xFFFFFF)
			if err := r.rect(b, 64, 64, pix, func(_, _, _, _ int, pix []uint32) {
				for _, v := range pix {
					if v != 0 {
						t.Fatalf("%s: colour %x", name, v)
					}
				}
			}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	w := tileWriter{p: newPacking(RGB332, true)}
	var z deflater
	black := &Tile{W: 64, H: 64}
	for _, want := range []string{"789c000200fdff0100", "000200fdff0100"} {
		if got := hex.EncodeToString(z.append(nil, w.append(nil, black), store)); got != want {
			t.Errorf("a black tile is %s, want %s", got, want)
		}
	}
}

func TestWhatAMTDoesNotTake(t *testing.T) {
	for name, c := range map[string]struct {
		o    ClientOptions
		want error
	}{
		"32 bits": {ClientOptions{Format: RGB8888}, ErrFormat},
		"no Raw":  {ClientOptions{Encodings: []Encoding{EncodingZRLE}}, ErrRaw},
		"memory":  {ClientOptions{}, ErrMemory},
	} {
		t.Run(name, func(t *testing.T) {
			f := picture(t, 300, 200, 1)
			o := DeviceOptions{}
			if name == "memory" {
				o.Memory = 300*200*2 - 1
			}
			a, b := net.Pipe()
			var wg sync.WaitGroup
			wg.Go(func() {
				d, err := Accept(t.Context(), b, f, o)
				if err != nil {
					t.Error(err)
				} else if err := d.Err(); !errors.Is(err, c.want) {
					t.Errorf("machine: %v, want %v", err, c.want)
				}
			})
			client, err := Connect(t.Context(), a, c.o)
			if err == nil {
				err = client.Err()
			}
			wg.Wait()
			var e *Error
			if !errors.Is(err, ErrCut) || !errors.As(err, &e) || e.Phase != PhaseSettings {
				t.Errorf("client: %v", err)
			}
		})
	}
}

func TestPassword(t *testing.T) {
	for _, c := range []struct {
		given string
		want  error
	}{{"P@ssw0rd", nil}, {"P@ssw0rx", ErrDenied}, {"", ErrSecurity}} {
		a, b := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			if d, err := Accept(t.Context(), b, picture(t, 64, 64, 1), DeviceOptions{Password: "P@ssw0rd"}); err == nil {
				d.Err()
			}
		})
		client, err := Connect(t.Context(), a, ClientOptions{Password: c.given})
		if !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.given, err, c.want)
		}
		if client != nil {
			client.Close()
		}
		wg.Wait()
	}
}

// What OpenSSL says: des-ecb under the key 0a02ceceee0c4e26, which is the password with the bits of each byte reversed.
func TestRespond(t *testing.T) {
	var challenge [16]byte
	for i := range challenge {
		challenge[i] = byte(i)
	}
	got, err := respond(challenge, "P@ssw0rd")
	if want := "045e369d4ad4f93423626dedad97de14"; err != nil || hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, %v; want %s", got, err, want)
	}
}

func TestInput(t *testing.T) {
	keys, pointers, data := make(chan KeyEvent, 10), make(chan PointerEvent, 10), make(chan string, 10)
	credit := make(chan Extension, 10)
	c, d, _ := session(t, picture(t, 64, 64, 1), ClientOptions{Extension: func(x Extension) { credit <- x }}, DeviceOptions{
		Key: func(m KeyEvent) { keys <- m }, Pointer: func(m PointerEvent) { pointers <- m },
		Data: func(b []byte) { data <- string(b) }})
	c.Key(KeyF1, true)
	c.Send(KeyEvent{true, 'y', 0x2C})
	c.Pointer(1, 10, 20)
	c.Pointer(0, -5, 1<<20)
	if got, want := <-keys, (KeyEvent{Down: true, Keysym: KeyF1}); got != want {
		t.Errorf("key %v, want %v", got, want)
	}
	if got, want := (<-keys).Position(), (KeyEvent{Down: true, Keysym: 'z'}); got != want {
		t.Errorf("key %v, want %v", got, want)
	}
	if got, want := <-pointers, (PointerEvent{1, 10, 20}); got != want {
		t.Errorf("pointer %v, want %v", got, want)
	}
	if got, want := <-pointers, (PointerEvent{0, 0, MaxWidth}); got != want {
		t.Errorf("pointer %v, want %v", got, want)
	}
	if x := <-credit; x.Command != 0 || len(x.Values) > 0 || !x.Ack {
		t.Errorf("first credit: %+v", x)
	}
	c.Extend(Extension{Values: []byte(`{"action":"present"}`)})
	if got := <-data; got != `{"action":"present"}` {
		t.Errorf("data %q", got)
	}
	d.SendData([]byte("hello"))
	if x := <-credit; string(x.Values) != "hello" || x.Ack {
		t.Errorf("data: %+v", x)
	}
}

func TestPointerPace(t *testing.T) {
	var got []PointerEvent
	done := make(chan struct{})
	c, _, _ := session(t, picture(t, 64, 64, 1), ClientOptions{Motion: 5 * time.Millisecond}, DeviceOptions{Pointer: func(m PointerEvent) {
		if got = append(got, m); m.X == 999 {
			close(done)
		}
	}})
	for x := range 1000 {
		c.Pointer(0, x, 0)
	}
	<-done
	if len(got) > 500 {
		t.Errorf("%d of 1000 movements were sent", len(got))
	}
}

func TestIdle(t *testing.T) {
	_, d, _ := session(t, picture(t, 64, 64, 1), ClientOptions{}, DeviceOptions{Idle: time.Millisecond})
	if err := d.Err(); !errors.Is(err, ErrIdle) {
		t.Error(err)
	}
}

// A viewer sees what it asks for; a Client plays one, with what it can read.
func TestViewer(t *testing.T) {
	for _, format := range []PixelFormat{RGB8888, RGB565, {32, 24, true, true, 255, 255, 255, 8, 16, 24}, {32, 30, false, true, 1023, 1023, 1023, 20, 10, 0}} {
		for _, e := range []Encoding{EncodingRaw, EncodingZRLE} {
			f := picture(t, 500, 300, 4)
			a, b := net.Pipe()
			var v *Viewer
			var wg sync.WaitGroup
			keys := make(chan KeyEvent, 1)
			wg.Go(func() {
				v, _ = View(t.Context(), b, f, ViewerOptions{Name: "desk-7", Key: func(m KeyEvent) { keys <- m }})
			})
			u := updates{make(chan int, 100)}
			c, err := Connect(t.Context(), oneByte{a}, ClientOptions{Format: format, Encodings: []Encoding{e, EncodingDesktopSize}, Updated: u.note})
			wg.Wait()
			if err != nil || v == nil {
				t.Fatal(err)
			}
			if c.Init.Name != "desk-7" {
				t.Errorf("name %q", c.Init.Name)
			}
			settle(t, u, f, c.Frame, format)
			f.Resize(333, 77)
			scribble(f, 5)
			settle(t, u, f, c.Frame, format)
			c.Key('x', true)
			if k := <-keys; k.Keysym != 'x' {
				t.Errorf("key %v", k)
			}
			c.Close()
			v.Close()
		}
	}
}

func TestCut(t *testing.T) {
	a, b := net.Pipe()
	go func() {
		io.WriteString(b, "RFB 003.008\n")
		b.Read(make([]byte, 12))
		b.Write([]byte{1})
		b.Close()
	}()
	_, err := Connect(context.Background(), a, ClientOptions{})
	var e *Error
	if !errors.Is(err, ErrCut) || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &e) || e.Phase != PhaseHandshake {
		t.Error(err)
	}
}

func TestParseKeys(t *testing.T) {
	for text, want := range map[string][]uint32{"ctrl-alt-del": {KeyControl, KeyAlt, KeyDelete}, "Win-L": {KeyMeta, 'l'}, "f12": {KeyF1 + 11}} {
		if got, err := ParseKeys(text); err != nil || !equal(got, want) {
			t.Errorf("%s: %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ctrl-", "f13", "f01", "nosuch"} {
		if got, err := ParseKeys(text); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
	for r, want := range map[rune]uint32{'A': 'a', '?': '/', '_': '-', '\n': KeyEnter} {
		if sym, _, ok := TypeRune(r); sym != want || !ok {
			t.Errorf("%q: %x", r, sym)
		}
	}
}

func equal(a, b []uint32) bool { return bytes.Equal(asBytes(a), asBytes(b)) }

func asBytes(v []uint32) (b []byte) {
	p := newPacking(RGB8888, false)
	for _, n := range v {
		b = p.append(b, n)
	}
	return b
}
