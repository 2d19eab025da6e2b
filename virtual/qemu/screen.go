package qemu

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/outband/outband/wire/rfb"
)

// Size of the picture while there is none: text mode's.
const (
	darkWidth  = 720
	darkHeight = 400
)

// vncInterval is the least time from one update to the next; QEMU looks for changes every 30 ms.
const vncInterval = 30 * time.Millisecond

// A screen is the monitor: it shows what QEMU draws, and the consent code over it. It is connected to QEMU's VNC server
// while somebody looks.
type screen struct {
	guest *rfb.Frame // what QEMU draws
	shown *rfb.Frame // guest, with the code

	composing sync.Mutex // held while shown is drawn

	mu     sync.Mutex // guards what follows
	p      *process   // nil: off
	users  int
	end    context.CancelFunc // of the goroutines below
	wg     sync.WaitGroup
	turned chan struct{} // closed when p changes
	code   string
	drawn  chan struct{} // capacity 1: code has changed

	typing sync.Mutex          // guards what follows; held while input is sent
	client *rfb.Client         // the session with QEMU
	typed  []rfb.ClientMessage // while there is none yet
}

func (s *screen) init() {
	s.guest, _ = rfb.NewFrame(darkWidth, darkHeight) // a size that fits
	s.shown, _ = rfb.NewFrame(darkWidth, darkHeight)
	s.turned, s.drawn = make(chan struct{}), make(chan struct{}, 1)
}

// OpenScreen returns the monitor's picture. There is one monitor, whatever n says.
func (m *Machine) OpenScreen(int) (frame *rfb.Frame, closeScreen func()) {
	s := &m.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users++; s.users == 1 {
		ctx, cancel := context.WithCancel(m.ctx)
		s.end = cancel
		s.wg.Go(func() { s.follow(ctx) })
		s.wg.Go(func() { s.compose(ctx) })
		s.wg.Go(func() { s.recompose(ctx) })
	}
	return s.shown, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.users--; s.users == 0 {
			s.end()
			s.mu.Unlock()
			s.wg.Wait()
			s.mu.Lock()
		}
	})
}

// show tells of another process, nil for none.
func (s *screen) show(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.p = p
	close(s.turned)
	s.turned = make(chan struct{})
}

// follow shows whatever process there is.
func (s *screen) follow(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		p, turned := s.p, s.turned
		s.mu.Unlock()
		retry := (<-chan time.Time)(nil)
		if p != nil && s.watch(ctx, p, turned) != nil {
			retry = time.After(time.Second) // QEMU is there, and its server is not: odd, but it may come
		}
		s.guest.Resize(darkWidth, darkHeight) // a size that fits
		select {
		case <-turned:
		case <-retry:
		case <-ctx.Done():
		}
	}
}

// watch shows one process until it ends, another one comes, or ctx ends. An error is that of a session that failed while
// the process lives.
func (s *screen) watch(ctx context.Context, p *process, turned <-chan struct{}) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.vnc)
	if err != nil {
		return err
	}
	client, err := rfb.Connect(ctx, conn, rfb.ClientOptions{
		Frame: s.guest, Format: rfb.RGB8888, Interval: vncInterval,
		Encodings: []rfb.Encoding{rfb.EncodingRaw, rfb.EncodingDesktopSize},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	s.use(client)
	defer s.use(nil)
	select {
	case <-client.Done():
		return client.Err()
	case <-turned:
	case <-ctx.Done():
	}
	return nil
}

// maxTyped bounds what is kept of input until the session with QEMU stands.
const maxTyped = 256

// use takes a session for input, nil for none. What was typed while it was on its way comes first.
func (s *screen) use(c *rfb.Client) {
	s.typing.Lock()
	defer s.typing.Unlock()
	s.client = c
	for _, m := range s.typed {
		if c != nil {
			c.Send(m) // a session that has ended takes none
		}
	}
	s.typed = nil
}

// send passes input on.
func (s *screen) send(m rfb.ClientMessage) {
	s.typing.Lock()
	defer s.typing.Unlock()
	switch {
	case s.client != nil:
		s.client.Send(m) // likewise
	case len(s.typed) < maxTyped:
		s.typed = append(s.typed, m)
	}
}

// KeyEvent presses or releases a key, named by its place on a US keyboard. It needs an open screen.
func (m *Machine) KeyEvent(k rfb.KeyEvent) {
	if m.takesInput() {
		m.screen.send(k.Scan())
	}
}

// PointerEvent moves the pointer and sets its buttons. It needs an open screen.
func (m *Machine) PointerEvent(e rfb.PointerEvent) {
	if m.takesInput() {
		m.screen.send(e)
	}
}

func (m *Machine) takesInput() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p != nil && !m.boot.Plan.LockKeyboard
}

// ShowCode draws the user consent code over the guest's picture.
func (m *Machine) ShowCode(code string) {
	s := &m.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
	select {
	case s.drawn <- struct{}{}:
	default:
	}
}

// HideCode takes the user consent code off the screen.
func (m *Machine) HideCode() { m.ShowCode("") }

// Code returns the user consent code that is on the screen, "" for none.
func (m *Machine) Code() string {
	m.screen.mu.Lock()
	defer m.screen.mu.Unlock()
	return m.screen.code
}
