package fbs

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/wire/rfb"
)

// paint fills a rectangle of a frame and publishes it.
func paint(f *rfb.Frame, r image.Rectangle, colour uint32) {
	pix := make([]uint32, r.Dx()*r.Dy())
	for i := range pix {
		pix[i] = colour
	}
	f.Draw(r.Min.X, r.Min.Y, r.Dx(), r.Dy(), pix, r.Dx())
	f.Publish()
}

// A screen that changes colour and size is recorded, and played back as it was and when it was.
func TestRecordAndPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frame, err := rfb.NewFrame(200, 100)
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		w, err := NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- Record(ctx, frame, w, RecordOptions{Name: "nuc1"}) }()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		paint(frame, image.Rect(10, 10, 150, 60), 0x123456)
		time.Sleep(3 * time.Second)
		frame.Resize(320, 240)
		time.Sleep(time.Second)
		paint(frame, image.Rect(0, 0, 320, 200), 0xfedcba)
		time.Sleep(time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if w.Size() != int64(file.Len()) {
			t.Errorf("size %d of %d", w.Size(), file.Len())
		}

		start := time.Now()
		p, err := NewPlayer(bytes.NewReader(file.Bytes()), 2)
		if err != nil {
			t.Fatal(err)
		}
		shown := &rfb.Frame{}
		var seen []time.Duration // when there was which picture
		c, err := rfb.Connect(t.Context(), p, rfb.ClientOptions{Frame: shown, Native: true, Updated: func(rects, _ int) {
			if rects > 0 {
				seen = append(seen, time.Since(start).Round(100*time.Millisecond))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Err(); !errors.Is(err, rfb.ErrCut) {
			t.Errorf("it ends with %v", err)
		}
		if got, want := shown.Image(), frame.Image(); !bytes.Equal(got.Pix, want.Pix) || got.Rect != want.Rect {
			t.Errorf("the last picture is another: %v, want %v", got.Rect, want.Rect)
		}
		if c.Init.Name != "nuc1" || len(seen) < 3 || seen[0] != 0 || seen[1] != time.Second || seen[len(seen)-1] != 3*time.Second {
			t.Errorf("%q: pictures at %v", c.Init.Name, seen)
		}
	})
}

// A full disk ends the recording, and what was written whole plays.
func TestFullDisk(t *testing.T) {
	for room := 0; room < 2000; room += 37 {
		synctest.Test(t, func(t *testing.T) {
			frame, err := rfb.NewFrame(640, 480)
			if err != nil {
				t.Fatal(err)
			}
			full := &disk{room: room}
			w, err := NewWriter(full)
			if w == nil {
				if !errors.Is(err, errFull) {
					t.Errorf("room for %d bytes: %v", room, err)
				}
				return
			}
			ended := make(chan error, 1)
			go func() { ended <- Record(t.Context(), frame, w, RecordOptions{}) }()
			for n := uint32(1); len(ended) == 0; n++ {
				paint(frame, image.Rect(0, 0, 640, 480), n*7919)
				time.Sleep(time.Second)
			}
			if err := <-ended; !errors.Is(err, errFull) {
				t.Errorf("room for %d bytes: %v", room, err)
			}
			p, err := NewPlayer(bytes.NewReader(full.b[:w.Size()]), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(p); err != nil {
				t.Errorf("room for %d bytes, %d whole: %v", room, w.Size(), err)
			}
		})
	}
}

var errFull = errors.New("no space left on device")

type disk struct {
	b    []byte
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room-len(d.b))
	d.b = append(d.b, p[:n]...)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestPlayer(t *testing.T) {
	block := func(text string, at byte) string {
		return "\x00\x00\x00" + string(rune(len(text))) + text + string(make([]byte, padding(len(text)))) + "\x00\x00\x00" + string(rune(at))
	}
	for _, tt := range []struct {
		name, file, want string
		err              error
	}{
		{"two blocks", magic + block("RFB 003.003\n", 0) + block("hello", 9), "RFB 003.003\nhello", nil},
		{"nothing", magic, "", nil},
		{"an empty block", magic + block("", 1) + block("x", 2), "x", nil},
		{"later version", "FBS 001.002\n" + block("abc", 1), "abc", nil},
		{"time goes back", magic + block("a", 9) + block("b", 1), "ab", nil},
		{"cut in the bytes", magic + block("hello", 1)[:6], "", ErrCut},
		{"cut in the time", magic + block("hello", 1)[:14], "", ErrCut},
		{"cut in the length", magic + "\x00\x00", "", ErrCut},
		{"too long", magic + "\xff\xff\xff\xff", "", ErrFormat},
		{"something else", "GIF89a......", "", ErrFormat},
		{"empty", "", "", ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			p, err := NewPlayer(bytes.NewReader([]byte(tt.file)), 0)
			if err == nil {
				got, err = io.ReadAll(p)
			}
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// Close ends a pause.
func TestPlayerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPlayer(bytes.NewReader([]byte(magic+"\x00\x00\x00\x04late\x7f\x00\x00\x00")), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() {
			_, err := p.Read(make([]byte, 4))
			got <- err
		}()
		synctest.Wait()
		p.Close()
		if err := <-got; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzPlayer(f *testing.F) {
	f.Add([]byte(magic + "\x00\x00\x00\x0cRFB 003.003\n\x00\x00\x00\x00"))
	frame, err := rfb.NewFrame(64, 64)
	if err != nil {
		f.Fatal(err)
	}
	d := &disk{room: 400}
	if w, err := NewWriter(d); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		Record(ctx, frame, w, RecordOptions{})
		cancel()
	}
	f.Add(d.b)
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := NewPlayer(bytes.NewReader(file), 0)
		if err != nil {
			return
		}
		c, err := rfb.Connect(t.Context(), p, rfb.ClientOptions{Native: true})
		if err == nil && c.Err() == nil {
			t.Error("a recording without an end")
		}
	})
}
