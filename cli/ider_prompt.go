package cli

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/ider"
)

// An iderBay is what stands in the drives of a session: images come and go while it is open.
type iderBay struct {
	app   *app
	host  string
	write bool // floppies may be written

	mu      sync.Mutex // guards what follows
	session *ider.Session
	images  []*console.Image // opened so far; a read may be under way on those that were ejected
	names   map[ider.Drive]string
	closed  bool
}

// open opens an image for a drive.
func (b *iderBay) open(ctx context.Context, d ider.Drive, name string) (*console.Image, error) {
	var m *console.Image
	var err error
	if b.write && d == ider.Floppy {
		m, err = console.OpenWritableImage(name)
	} else {
		m, err = console.OpenImage(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		m.Close()
		return nil, errHungUp
	}
	b.images = append(b.images, m)
	b.shows(d, m.Name)
	return m, nil
}

// shows notes what is in a drive. mu is held.
func (b *iderBay) shows(d ider.Drive, name string) {
	if b.names == nil {
		b.names = map[ider.Drive]string{}
	}
	b.names[d] = name
}

// use has the session's drives changed from now on.
func (b *iderBay) use(s *ider.Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.session = s
}

func (b *iderBay) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	var errs []error
	for _, m := range b.images {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// event takes out what the machine ejects.
func (b *iderBay) event(e ider.Event) {
	b.app.detail("%s: %s", b.host, e.Kind)
	if e.Kind != ider.Ejected {
		return
	}
	if b.eject(e.Drive) {
		b.app.note("%s: the machine has ejected the %v", b.host, e.Drive)
	}
}

// eject empties a drive. It reports false if there is no session yet.
func (b *iderBay) eject(d ider.Drive) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session == nil {
		return false
	}
	b.session.Eject(d)
	b.shows(d, "")
	return true
}

// prompt carries out commands, one a line, until the input ends.
func (b *iderBay) prompt(ctx context.Context, end context.CancelCauseFunc) {
	lines := bufio.NewScanner(b.app.in)
	for lines.Scan() && ctx.Err() == nil {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "quit" {
			end(errHungUp)
			return
		}
		if err := b.command(ctx, words); err != nil {
			b.app.note("%v", err)
		}
	}
}

const iderPromptHelp = "commands are insert cd|floppy IMAGE, eject cd|floppy, status, quit"

// command carries out one command.
func (b *iderBay) command(ctx context.Context, words []string) error {
	var drive ider.Drive
	if len(words) > 1 {
		drive = map[string]ider.Drive{"cd": ider.CD, "floppy": ider.Floppy}[words[1]]
	}
	switch {
	case words[0] == "status" && len(words) == 1:
		b.status()
		return nil
	case words[0] == "eject" && len(words) == 2 && drive != 0:
		b.eject(drive)
		b.app.note("%v: empty", drive)
		return nil
	case words[0] == "insert" && len(words) > 2 && drive != 0:
		m, err := b.open(ctx, drive, strings.Join(words[2:], " "))
		if err != nil {
			return err
		}
		b.mu.Lock()
		s := b.session
		b.mu.Unlock()
		if err := s.Insert(drive, m.Medium()); err != nil {
			return err
		}
		b.app.note("%v: %s", drive, m.Name)
		return nil
	}
	return errors.New(iderPromptHelp)
}

// status tells what is in the drives, and how much was read and written.
func (b *iderBay) status() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range []ider.Drive{ider.CD, ider.Floppy} {
		name := b.names[d]
		if name == "" {
			name = "empty"
		}
		b.app.note("%v: %s", d, name)
	}
	stats := b.session.Stats()
	b.app.note("read %s, written %s, %d commands", byteCount(stats.Read), byteCount(stats.Written), stats.Commands)
}
