package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/outband/outband/wire/asciicast"
	"github.com/outband/outband/wire/fbs"
	"github.com/outband/outband/wire/rfb"
)

type playCmd struct {
	File   string        `arg:"" help:"Recording of a screen (FBS) or of a serial line (asciicast v2); what it is, is read in it."`
	Speed  float64       `default:"1" placeholder:"N" help:"Play N times as fast."`
	Listen string        `default:"127.0.0.1:0" placeholder:"ADDRESS" help:"Screen: where VNC viewers find it; default is a free port of this computer."`
	Viewer string        `default:"auto" placeholder:"PROGRAM" help:"Screen: VNC viewer to start; auto finds one, none starts none. It plays when the first viewer is there."`
	PNG    string        `name:"png" placeholder:"FOLDER" help:"Screen: write pictures to FOLDER instead, named by their time in seconds."`
	Every  time.Duration `default:"1s" placeholder:"TIME" help:"Least time from picture to picture of --png."`
}

func (playCmd) Help() string {
	return "Plays what kvm --record and sol --record wrote, and what rfbproxy and asciinema did. A screen goes to a VNC viewer or to\n" +
		"pictures, a serial line to this terminal. What somebody typed is in neither.\n\n" +
		example("outband play nuc1.cast --speed 4", "outband play nuc1.fbs", "outband play nuc1.fbs --png pictures --every 5s")
}

// A playRecord says what was played of a screen.
type playRecord struct {
	OK       bool   `json:"ok"`
	File     string `json:"file"`
	Address  string `json:"address,omitempty"` // of the VNC server
	Pictures int    `json:"pictures,omitempty"`
	Length   int64  `json:"length_ms,omitempty"`
}

func (c *playCmd) Run(a *app) error {
	if !(c.Speed >= 0.01 && c.Speed <= 1000) {
		return usage("", "--speed: %v is not in 0.01 to 1000", c.Speed)
	}
	if c.Every < 0 {
		return usage("", "--every: %v is negative", c.Every)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return usage("", "%w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	begin, err := r.Peek(1)
	switch {
	case err == nil && begin[0] == '{':
		return c.terminal(a, r)
	case err == nil && begin[0] == 'F' && c.PNG != "":
		return c.pictures(a, r)
	case err == nil && begin[0] == 'F':
		return c.screen(a, r)
	}
	return c.unusable(cmp.Or(err, fbs.ErrFormat))
}

// unusable is the error of a file that does not play.
func (c *playCmd) unusable(err error) error {
	if errors.Is(err, fbs.ErrFormat) || errors.Is(err, asciicast.ErrFormat) || errors.Is(err, io.EOF) {
		return usage("", "%s is no recording in a format that is known: %w", c.File, err)
	}
	return fmt.Errorf("play %s: %w", c.File, err)
}

// terminal plays a serial line.
func (c *playCmd) terminal(a *app, r io.Reader) error {
	cast, err := asciicast.NewReader(r)
	if err == nil {
		_, err = asciicast.Play(a.ctx, cast, a.out, c.Speed)
	}
	if err != nil && a.ctx.Err() == nil {
		return c.unusable(err)
	}
	return err
}

// connect begins to play a screen. wait returns when it has ended.
func (c *playCmd) connect(ctx context.Context, r io.Reader, speed float64, o rfb.ClientOptions) (p *fbs.Player, wait func() error, err error) {
	if p, err = fbs.NewPlayer(r, speed); err != nil {
		return nil, nil, c.unusable(err)
	}
	ended := func(err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil, errors.Is(err, rfb.ErrCut): // it has no other end
			return nil
		}
		return c.unusable(err)
	}
	o.Native = true
	s, err := rfb.Connect(ctx, p, o)
	if err != nil {
		if err = ended(err); err == nil {
			err = c.unusable(fbs.ErrCut)
		}
		return nil, nil, err
	}
	return p, func() error { return ended(s.Err()) }, nil
}

// pictures writes a screen to files, as fast as it can.
func (c *playCmd) pictures(a *app, r io.Reader) error {
	if err := os.MkdirAll(c.PNG, 0o700); err != nil {
		return usage("", "--png: %w", err)
	}
	p := &pictures{dir: c.PNG, every: c.Every, frame: &rfb.Frame{}, at: func() time.Duration { return 0 }}
	ctx, cancel := context.WithCancelCause(a.ctx)
	defer cancel(nil)
	ready := make(chan struct{})
	player, wait, err := c.connect(ctx, r, 0, rfb.ClientOptions{Frame: p.frame, Updated: func(rects, _ int) {
		<-ready
		if err := p.update(rects); err != nil {
			cancel(err)
		}
	}})
	if err != nil {
		return err
	}
	p.at = player.At
	close(ready)
	if err := wait(); err != nil {
		return err
	}
	if err := p.last(); err != nil {
		return err
	}
	return a.printer(column{"FILE", 20}, column{"PICTURES", 10}, column{"LENGTH", 0}).record(
		playRecord{OK: true, File: c.File, Pictures: p.n, Length: player.At().Milliseconds()},
		plain(c.File), plain(fmt.Sprint(p.n)), plain(player.At().Round(time.Second).String()))
}

// pictures are files that are written of a frame. Its methods are for one goroutine.
type pictures struct {
	dir   string
	every time.Duration
	frame *rfb.Frame
	at    func() time.Duration

	n       int
	written time.Duration // time of the last one
	changed bool          // since then
}

func (p *pictures) update(rects int) error {
	if rects == 0 {
		return nil
	}
	p.changed = true
	if p.n > 0 && p.at()-p.written < p.every {
		return nil
	}
	return p.write()
}

// last writes how it ended, if that is not written yet.
func (p *pictures) last() error {
	if !p.changed {
		return nil
	}
	return p.write()
}

func (p *pictures) write() (err error) {
	p.n, p.written, p.changed = p.n+1, p.at(), false
	f, err := os.Create(filepath.Join(p.dir, fmt.Sprintf("%010.3f.png", p.written.Seconds())))
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := png.Encode(f, p.frame.Image()); err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	return nil
}

// screen serves a screen to VNC viewers until they have seen all and left.
func (c *playCmd) screen(a *app, r io.Reader) error {
	view := &kvmCmd{Listen: c.Listen, Viewer: c.Viewer}
	password := a.env("VNC_PASSWORD")
	ln, err := view.open(a.ctx, password)
	if err != nil {
		return err
	}
	defer ln.Close()
	if err := a.printer(column{"FILE", 20}, column{"VNC SERVER", 0}).record(playRecord{OK: true, File: c.File, Address: ln.Addr().String()}, plain(c.File), plain(ln.Addr().String())); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(a.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer cancel(nil)
	o := rfb.ViewerOptions{Name: filepath.Base(c.File), Password: password}
	audience := &audience{came: make(chan struct{}), begun: make(chan struct{}), left: make(chan struct{}, 1)}
	frame := &rfb.Frame{}
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { audience.show(ctx, conn, frame, o) })
		}
	})
	if err := view.viewer(ctx, a, ln.Addr().String(), password, func() { cancel(errHungUp) }, &wg); err != nil {
		return err
	}
	select {
	case <-audience.came:
	case <-ctx.Done():
		return hungUp(ctx)
	}
	_, wait, err := c.connect(ctx, r, c.Speed, rfb.ClientOptions{Frame: frame})
	if err != nil {
		return err
	}
	close(audience.begun)
	if err := wait(); err != nil {
		if errors.Is(err, errHungUp) {
			return nil
		}
		return err
	}
	a.note("%s has ended", c.File)
	for audience.size() > 0 {
		select {
		case <-audience.left:
		case <-ctx.Done():
			return hungUp(ctx)
		}
	}
	return nil
}

// hungUp is why ctx ended; the end of the viewer is none to complain about.
func hungUp(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, errHungUp) {
		return err
	}
	return nil
}

// An audience is who watches.
type audience struct {
	came  chan struct{} // closed when the first is there
	begun chan struct{} // closed when the size of the screen is known
	left  chan struct{} // somebody has gone
	once  sync.Once

	mu sync.Mutex
	n  int
}

func (u *audience) size() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n
}

// show shows frame to one viewer, until it goes.
func (u *audience) show(ctx context.Context, conn net.Conn, frame *rfb.Frame, o rfb.ViewerOptions) {
	u.count(1)
	defer u.count(-1)
	u.once.Do(func() { close(u.came) })
	select {
	case <-u.begun:
	case <-ctx.Done():
		conn.Close()
		return
	}
	if v, err := rfb.View(ctx, conn, frame, o); err == nil {
		v.Err()
	}
}

func (u *audience) count(n int) {
	u.mu.Lock()
	u.n += n
	u.mu.Unlock()
	if n > 0 {
		return
	}
	select {
	case u.left <- struct{}{}:
	default:
	}
}
