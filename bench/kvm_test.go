package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outband/outband/wire/rfb"
)

// A full HD screen.
const (
	screenWidth  = 1920
	screenHeight = 1080
)

// A scene is how a screen changes from one picture to the next; it draws number n into the frame.
type scene struct {
	name string
	draw func(pix []uint32, n int)
}

var scenes = []scene{
	{"full-change", drawOffice},
	{"photo", drawPhoto},
	{"scrolling-text", drawScroll},
	{"cursor", drawCursor},
}

// drawOffice is a desktop with large areas of one colour and windows with text, all of it different each time.
func drawOffice(pix []uint32, n int) {
	back, ink := uint32(0xF0F0F0), uint32(0x202020)
	if n%2 == 1 {
		back, ink = 0xE0E8F0, 0x103040
	}
	for i := range pix {
		x, y := i%screenWidth, i/screenWidth
		pix[i] = back
		if x/256%2 == 1 && y%16 < 11 && (x*7+y*13+y/16*5)%5 < 2 {
			pix[i] = ink + uint32(x*y%3)*0x303030
		}
	}
}

// drawPhoto is noise: what no encoding makes smaller.
func drawPhoto(pix []uint32, n int) {
	r := rand.NewPCG(uint64(n%2), 7)
	for i := 0; i < len(pix); i += 2 {
		v := r.Uint64()
		pix[i] = uint32(v) & 0xF8FCF8
		if i+1 < len(pix) {
			pix[i+1] = uint32(v>>32) & 0xF8FCF8
		}
	}
}

// drawScroll is a terminal of 1280x800 in which the text goes up a line each time.
func drawScroll(pix []uint32, n int) {
	for i := range pix {
		x, y := i%screenWidth, i/screenWidth
		pix[i] = 0x2E5E7E
		if x >= 320 && x < 1600 && y >= 140 && y < 940 {
			pix[i] = 0x101418
			line := y/16 + n%2
			if y%16 < 11 && (x-320)/8 < 40+line*13%100 && (x*7+y%16*13+line*29+x/8*3)%5 < 2 {
				pix[i] = 0xD8DEE2
			}
		}
	}
}

// drawCursor is a desktop on which nothing but a cursor blinks.
func drawCursor(pix []uint32, n int) {
	if n < 2 {
		drawOffice(pix, 0)
	}
	for y := range 16 {
		for x := range 8 {
			pix[(500+y)*screenWidth+900+x] = uint32(n%2) * 0xFFFFFF
		}
	}
}

// A tape is what a machine says in a session: the beginning, and one update each.
type tape struct {
	first   []byte
	updates [][]byte
}

// tee notes what is read.
type tee struct {
	net.Conn
	got bytes.Buffer
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.got.Write(p[:n])
	return n, err
}

// record is a session with a machine whose screen changes count times. The first update shows all of picture 0.
func record(b *testing.B, s scene, compress bool, count int) tape {
	b.Helper()
	f, err := rfb.NewFrame(screenWidth, screenHeight)
	if err != nil {
		b.Fatal(err)
	}
	pix := make([]uint32, screenWidth*screenHeight)
	show := func(n int) {
		s.draw(pix, n)
		f.Draw(0, 0, screenWidth, screenHeight, pix, screenWidth)
		f.Publish()
	}
	show(0)
	near, far := net.Pipe()
	conn := &tee{Conn: near}
	var t tape
	n := 0
	done := make(chan struct{})
	o := rfb.ClientOptions{Encodings: []rfb.Encoding{rfb.EncodingZRLE, rfb.EncodingRaw, rfb.EncodingDesktopSize}, Updated: func(int, int) {
		if n > count {
			return
		}
		chunk := bytes.Clone(conn.got.Bytes())
		conn.got.Reset()
		if n == 0 {
			t.first = chunk
		} else {
			t.updates = append(t.updates, chunk)
		}
		if n++; n > count {
			close(done)
			return
		}
		show(n)
	}}
	if compress {
		o.Compress = new(true)
		o.Extension = func(rfb.Extension) {}
	}
	var d *rfb.Device
	var wg sync.WaitGroup
	wg.Go(func() { d, err = rfb.Accept(context.Background(), far, f, rfb.DeviceOptions{Compress: compress}) })
	c, cerr := rfb.Connect(context.Background(), conn, o)
	wg.Wait()
	if err != nil || cerr != nil {
		b.Fatal(err, cerr)
	}
	<-done
	c.Close()
	d.Close()
	return t
}

// A player is the machine's end of a connection: it says what stands on a tape, each update when play is told to.
type player struct {
	mu   sync.Mutex
	more *sync.Cond
	left []byte
	end  bool
}

func newPlayer(first []byte) *player {
	p := &player{left: first}
	p.more = sync.NewCond(&p.mu)
	return p
}

func (p *player) play(b []byte) {
	p.mu.Lock()
	p.left = b
	p.mu.Unlock()
	p.more.Signal()
}

func (p *player) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.left) == 0 && !p.end {
		p.more.Wait()
	}
	if p.end {
		return 0, io.EOF
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

func (p *player) Write(b []byte) (int, error) { return len(b), nil }

func (p *player) Close() error {
	p.mu.Lock()
	p.end = true
	p.mu.Unlock()
	p.more.Broadcast()
	return nil
}

// A watcher is a viewer's end of a connection: it asks for all, and for what changes whenever it has an update.
type watcher struct {
	ask     chan []byte
	left    []byte
	running bool // of the reader
	updates chan int
	closed  sync.Once
	end     chan struct{}
	full    []byte
}

func newWatcher(format rfb.PixelFormat, e rfb.Encoding) *watcher {
	w := &watcher{ask: make(chan []byte, 2), updates: make(chan int, 2), end: make(chan struct{})}
	w.left = append([]byte("RFB 003.008\n"), 1, 1) // security None, a shared session
	w.left = rfb.SetPixelFormat{Format: format}.Append(w.left)
	w.left = rfb.SetEncodings{Encodings: []rfb.Encoding{e}}.Append(w.left)
	w.full = rfb.UpdateRequest{W: screenWidth, H: screenHeight}.Append(nil)
	return w
}

var nextUpdate = rfb.UpdateRequest{Incremental: true, W: screenWidth, H: screenHeight}.Append(nil)

func (w *watcher) Read(b []byte) (int, error) {
	if len(w.left) == 0 {
		if !w.running {
			w.running, w.left = true, w.full
		} else {
			select {
			case w.left = <-w.ask:
			case <-w.end:
				return 0, io.EOF
			}
		}
	}
	n := copy(b, w.left)
	w.left = w.left[n:]
	return n, nil
}

// Write takes an update, which a server writes at once; what is short is of the handshake.
func (w *watcher) Write(b []byte) (int, error) {
	if len(b) > 64 {
		w.updates <- len(b)
		w.ask <- nextUpdate
	}
	return len(b), nil
}

func (w *watcher) Close() error {
	w.closed.Do(func() { close(w.end) })
	return nil
}

// BenchmarkTranscode is what stands between a machine and a viewer: a session as a console of AMT's, 16 bits per pixel in
// stored ZRLE as AMT sends it, and a server for a viewer at 32 bits. What is measured is all of it: decode, draw, compare,
// encode. With -cpu 1 it has one core.
func BenchmarkTranscode(b *testing.B) {
	for _, s := range scenes {
		t := record(b, s, false, 2)
		for _, e := range []rfb.Encoding{rfb.EncodingTight, rfb.EncodingZRLE, rfb.EncodingRaw} {
			b.Run(fmt.Sprintf("%s/%v", s.name, e), func(b *testing.B) { transcode(b, t, e) })
		}
	}
}

func transcode(b *testing.B, t tape, e rfb.Encoding) {
	source := newPlayer(slices.Clone(t.first))
	drawn := make(chan struct{}, 1)
	c, err := rfb.Connect(b.Context(), source, rfb.ClientOptions{Encodings: []rfb.Encoding{rfb.EncodingZRLE, rfb.EncodingRaw, rfb.EncodingDesktopSize},
		Updated: func(int, int) { drawn <- struct{}{} }})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	<-drawn
	sink := newWatcher(rfb.RGB8888, e)
	v, err := rfb.View(b.Context(), sink, c.Frame, rfb.ViewerOptions{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	<-sink.updates
	size, frames := 0, 0
	frame := func() {
		source.play(t.updates[frames%len(t.updates)])
		select {
		case <-drawn:
		case <-c.Done():
			b.Fatal(c.Err())
		}
		select {
		case n := <-sink.updates:
			size += n
		case <-c.Done():
			b.Fatal(c.Err())
		case <-v.Done():
			b.Fatal(v.Err())
		}
		frames++
	}
	for range 2 * len(t.updates) { // buffers are made here
		frame()
	}
	size, frames = 0, 0
	b.ReportAllocs()
	cpu := processorTime()
	for b.Loop() {
		frame()
	}
	spent := processorTime() - cpu
	reportProcessor(b, cpu)
	b.ReportMetric(float64(frames)/spent.Seconds(), "frames/core-s")
	b.ReportMetric(float64(size)/float64(frames), "wire-B")
	b.ReportMetric(float64(len(t.updates[0])), "amt-B")
}

// BenchmarkKVMLink is a screen that changes as fast as a console can see it, over a line with a round trip of 40 ms: each
// picture is asked for when the last one has come, so no more than 25 of them fit in a second. What is measured ends when
// the picture is in the console's frame; beside it stands the floor, as many bytes asked and answered by plain TCP.
func BenchmarkKVMLink(b *testing.B) {
	const delay = 40 * time.Millisecond
	for _, s := range []scene{scenes[2], scenes[3]} {
		size := len(record(b, s, false, 2).updates[0])
		b.Run(s.name+"/floor", func(b *testing.B) { exchange(b, delay, len(nextUpdate), size) })
		b.Run(s.name+"/outband", func(b *testing.B) { watchScreen(b, s, delay) })
	}
}

func watchScreen(b *testing.B, s scene, delay time.Duration) {
	f, err := rfb.NewFrame(screenWidth, screenHeight)
	if err != nil {
		b.Fatal(err)
	}
	var pictures [2][]uint32
	for n := range pictures {
		pictures[n] = make([]uint32, screenWidth*screenHeight)
		s.draw(pictures[n], n)
		if n == 0 {
			copy(pictures[1], pictures[0])
		}
	}
	show := func(n int) {
		f.Draw(0, 0, screenWidth, screenHeight, pictures[n%2], screenWidth)
		f.Publish()
	}
	show(0)
	near, far := link(b, delay)
	seen, next := make(chan struct{}, 1), make(chan int, 2)
	frames := 0
	o := rfb.ClientOptions{Encodings: []rfb.Encoding{rfb.EncodingZRLE, rfb.EncodingRaw, rfb.EncodingDesktopSize}, Updated: func(int, int) {
		frames++
		next <- frames // there is something new by the time the next request arrives
		seen <- struct{}{}
	}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range next {
			show(n)
		}
	})
	defer wg.Wait()
	defer close(next)
	var d *rfb.Device
	var derr error
	accepted := make(chan struct{})
	wg.Go(func() {
		d, derr = rfb.Accept(b.Context(), far, f, rfb.DeviceOptions{})
		close(accepted)
	})
	c, err := rfb.Connect(b.Context(), near, o)
	<-accepted
	if err != nil || derr != nil {
		b.Fatal(err, derr)
	}
	defer d.Close()
	defer c.Close()
	<-seen
	start := time.Now()
	n := 0
	for b.Loop() {
		select {
		case <-seen:
		case <-c.Done():
			b.Fatal(c.Err())
		}
		n++
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "frames/s")
}
