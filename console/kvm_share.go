package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/redir"
	"github.com/outband/outband/wire/rfb"
)

// ShareOptions are how a screen is shared.
type ShareOptions struct {
	Name     string            // that viewers show
	Password string            // viewers must know; "": none
	ViewOnly bool              // nobody may type
	Paste    []uint32          // keys that, pressed in a viewer, type its clipboard; nil: none
	KVM      rfb.ClientOptions // of the session with the machine; Frame and callbacks are taken

	// Event is told what happens to the session with the machine: nil when a session begins, why it ended otherwise.
	Event func(err error)
}

// A Share is one session with a machine's screen that any number of viewers watch. The session comes back by itself when
// it breaks; viewers see a dimmed picture meanwhile. Of the viewers one at a time has keyboard and mouse: the one that
// touched them last, until it has left them alone for a while.
type Share struct {
	client *Client
	o      ShareOptions
	frame  *rfb.Frame

	mu       sync.Mutex // guards what follows
	upstream *rfb.Client
	viewers  map[*rfb.Viewer]bool
	holder   *input    // of keyboard and mouse
	touched  time.Time // by the holder, last
	text     []byte    // the machine's clipboard
}

// handOver is how long who holds keyboard and mouse must leave them alone before another viewer gets them.
const handOver = 3 * time.Second

// Pauses before the session with the machine is tried again.
const (
	firstPause = time.Second
	maxPause   = 8 * time.Second
)

// Share opens the machine's screen for viewers. The first session must succeed; then it goes on until ctx ends.
func (c *Client) Share(ctx context.Context, o ShareOptions) (*Share, error) {
	s := &Share{client: c, o: o, frame: &rfb.Frame{}, viewers: map[*rfb.Viewer]bool{}}
	if o.KVM.Frame != nil {
		s.frame = o.KVM.Frame
	}
	s.o.KVM.Frame = s.frame
	s.o.KVM.Bell = func() { s.each((*rfb.Viewer).Ring) }
	s.o.KVM.Text = s.setText
	up, err := c.KVM(ctx, s.o.KVM)
	if err != nil {
		return nil, err
	}
	s.use(up)
	return s, nil
}

// Frame is the picture that all see.
func (s *Share) Frame() *rfb.Frame { return s.frame }

// Run keeps the session with the machine alive until ctx ends, or the machine refuses for good.
func (s *Share) Run(ctx context.Context) error {
	pause := firstPause
	for {
		s.mu.Lock()
		up := s.upstream
		s.mu.Unlock()
		if up != nil {
			select {
			case <-up.Done():
			case <-ctx.Done():
				up.Close()
				return context.Cause(ctx)
			}
			err := up.Err()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s.use(nil)
			s.dim()
			s.tell(err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		up, err := s.client.KVM(ctx, s.o.KVM)
		switch {
		case err == nil:
			pause = firstPause
			s.use(up)
			s.tell(nil)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, redir.ErrDenied), errors.Is(err, redir.ErrDisabled), errors.Is(err, redir.ErrConsent), errors.Is(err, ErrTrust):
			return err
		default:
			pause = min(2*pause, maxPause)
			s.tell(err)
		}
	}
}

func (s *Share) tell(err error) {
	if s.o.Event != nil {
		s.o.Event(err)
	}
}

// use goes on with another session, or none.
func (s *Share) use(up *rfb.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = up
}

// dim darkens the picture: it is not of now.
func (s *Share) dim() {
	img := s.frame.Image()
	w, h := img.Rect.Dx(), img.Rect.Dy()
	pix := make([]uint32, w*h)
	for i := range pix {
		q := img.Pix[4*i:]
		pix[i] = uint32(q[0]/3)<<16 | uint32(q[1]/3)<<8 | uint32(q[2]/3)
	}
	s.frame.Draw(0, 0, w, h, pix, w)
	s.frame.Publish()
}

// Serve serves one viewer until it goes or ctx ends. conn is closed in the end.
func (s *Share) Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	who := &input{held: map[uint32]bool{}, paste: s.o.Paste}
	defer who.wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := rfb.ViewerOptions{Name: s.o.Name, Password: s.o.Password}
	if !s.o.ViewOnly {
		o.Key = func(k rfb.KeyEvent) {
			if up := s.hold(who); up != nil {
				who.press(ctx, up, k.Position())
			}
		}
		o.Pointer = func(p rfb.PointerEvent) {
			if up := s.hold(who); up != nil {
				up.Pointer(p.Buttons, int(p.X), int(p.Y))
			}
		}
		o.Text = func(text []byte) {
			who.text = string(text)
			if up := s.hold(who); up != nil {
				up.Send(rfb.ClientText{Text: text})
			}
		}
	}
	v, err := rfb.View(ctx, conn, s.frame, o)
	if err != nil {
		return fmt.Errorf("viewer: %w", err)
	}
	s.mu.Lock()
	s.viewers[v] = true
	text := s.text
	s.mu.Unlock()
	if text != nil {
		v.SetText(text)
	}
	err = v.Err()
	s.mu.Lock()
	delete(s.viewers, v)
	if s.holder == who {
		s.holder = nil
	}
	up := s.upstream
	s.mu.Unlock()
	if up != nil {
		who.release(up)
	}
	if errors.Is(err, rfb.ErrCut) || ctx.Err() != nil {
		return nil
	}
	return err
}

// An input is what one viewer's keyboard does. It is used by one goroutine, but for what it types itself.
type input struct {
	held  map[uint32]bool
	paste []uint32
	text  string // clipboard of the viewer
	wg    sync.WaitGroup
	typed atomic.Bool // a text is being typed
}

func (i *input) press(ctx context.Context, up *rfb.Client, k rfb.KeyEvent) {
	if k.Down {
		i.held[k.Keysym] = true
	} else {
		delete(i.held, k.Keysym)
	}
	if k.Down && i.pastes() {
		i.release(up) // the machine is not to see them with the text
		i.pasteText(ctx, up)
		return
	}
	up.Send(k) // a failure ends the session, and is told there
}

// pastes reports whether exactly the keys are down that type the clipboard. Left and right ones of a pair are the same.
func (i *input) pastes() bool {
	if len(i.paste) == 0 || len(i.held) != len(i.paste) {
		return false
	}
	for _, k := range i.paste {
		paired := k >= rfb.KeyShift && k <= rfb.KeySuper
		if !i.held[k] && !(paired && i.held[k+1]) {
			return false
		}
	}
	return true
}

// pasteText types the viewer's clipboard, what there is a key for of it.
func (i *input) pasteText(ctx context.Context, up *rfb.Client) {
	text := i.text[:min(len(i.text), maxTyped)]
	if !i.typed.CompareAndSwap(false, true) {
		return
	}
	i.wg.Go(func() {
		defer i.typed.Store(false)
		typeText(ctx, up, text) // a failure ends the session, and is told there
	})
}

// release lets go of the keys that are down, as the viewer has left.
func (i *input) release(up *rfb.Client) {
	for k := range i.held {
		up.Key(k, false)
	}
	clear(i.held)
}

// hold gives keyboard and mouse to who, and returns the session to use them on; nil if somebody else has them.
func (s *Share) hold(who *input) *rfb.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder != nil && s.holder != who && time.Since(s.touched) < handOver {
		return nil
	}
	s.holder, s.touched = who, time.Now()
	return s.upstream
}

// Press presses keys together and releases them, as in "ctrl-alt-del"; see [rfb.ParseKeys].
func (s *Share) Press(keys []uint32) error {
	s.mu.Lock()
	up := s.upstream
	s.mu.Unlock()
	if up == nil {
		return errNoSession
	}
	return press(up, keys)
}

var errNoSession = errors.New("no session with the machine at the moment")

// press presses keys in order and releases them in the opposite one.
func press(up *rfb.Client, keys []uint32) error {
	for _, k := range keys {
		if err := up.Key(k, true); err != nil {
			return err
		}
	}
	for i := len(keys) - 1; i >= 0; i-- {
		if err := up.Key(keys[i], false); err != nil {
			return err
		}
	}
	return nil
}

// Viewers returns how many there are.
func (s *Share) Viewers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.viewers)
}

// each calls f for all viewers.
func (s *Share) each(f func(*rfb.Viewer)) {
	s.mu.Lock()
	all := make([]*rfb.Viewer, 0, len(s.viewers))
	for v := range s.viewers {
		all = append(all, v)
	}
	s.mu.Unlock()
	for _, v := range all {
		f(v)
	}
}

func (s *Share) setText(text []byte) {
	s.mu.Lock()
	s.text = text
	s.mu.Unlock()
	s.each(func(v *rfb.Viewer) { v.SetText(text) })
}
