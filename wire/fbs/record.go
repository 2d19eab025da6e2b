package fbs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/outband/outband/wire/rfb"
)

// RecordOptions are settings of [Record].
type RecordOptions struct {
	Name     string        // of the desktop, which players show
	Interval time.Duration // least time from picture to picture; 0: 100 ms
}

// Record records what a frame shows until ctx ends, which is no error, or w fails. No more than one picture is held in
// memory: while w is slow, changes add up to one.
func Record(ctx context.Context, frame *rfb.Frame, w *Writer, o RecordOptions) error {
	if o.Interval <= 0 {
		o.Interval = 100 * time.Millisecond
	}
	r := &recorder{w: w, start: time.Now(), interval: o.Interval, drawn: make(chan struct{}, 1), done: make(chan struct{})}
	r.say.Write(greeting())
	v, err := rfb.View(ctx, r, frame, rfb.ViewerOptions{Name: o.Name})
	if err == nil {
		err = v.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failed != nil:
		return r.failed
	case ctx.Err() != nil:
		return nil
	}
	return err
}

// version is what both ends speak in a recording: the server's own may be later, but players that choose it would miss
// what the recorder did not ask for.
const version = "RFB 003.003\n"

// greeting is all that a viewer says before its first request.
func greeting() []byte {
	b := []byte(version + "\x01") // and that it shares the screen
	b = rfb.SetEncodings{Encodings: []rfb.Encoding{rfb.EncodingZRLE, rfb.EncodingDesktopSize}}.Append(b)
	return request(false).Append(b)
}

// request asks for all of any screen.
func request(incremental bool) rfb.UpdateRequest {
	return rfb.UpdateRequest{Incremental: incremental, W: rfb.MaxWidth, H: rfb.MaxHeight}
}

// A recorder is the connection of a viewer that writes down what it is sent, and asks for the next picture when it has
// had one and the interval is over.
type recorder struct {
	w        *Writer
	start    time.Time
	interval time.Duration
	drawn    chan struct{} // a picture has come
	once     sync.Once
	done     chan struct{}

	say bytes.Buffer // to the server; the reader's own

	mu     sync.Mutex // guards what follows
	failed error
}

// Read gives what the viewer says.
func (r *recorder) Read(p []byte) (int, error) {
	if r.say.Len() == 0 {
		select {
		case <-r.drawn:
		case <-r.done:
			return 0, io.EOF
		}
		pause := time.NewTimer(r.interval)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-r.done:
			return 0, io.EOF
		}
		r.say.Write(request(true).Append(nil))
	}
	return r.say.Read(p)
}

// typeUpdate begins an update; a server writes it whole.
const typeUpdate = 0

// Write takes what the server sends.
func (r *recorder) Write(p []byte) (int, error) {
	if r.w.Size() == int64(len(magic)) {
		p = []byte(version) // as long as what the server says
	}
	if err := r.w.Append(p, time.Since(r.start)); err != nil {
		r.mu.Lock()
		r.failed = errors.Join(r.failed, err)
		r.mu.Unlock()
		return 0, err
	}
	if p[0] == typeUpdate {
		select {
		case r.drawn <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

func (r *recorder) Close() error {
	r.once.Do(func() { close(r.done) })
	return nil
}
