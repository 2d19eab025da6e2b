package pc

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/rfb"
)

// A face is what a person sees of a PC and does to it. Most of the picture follows from the PC's state; this is the rest.
type face struct {
	watchers []chan struct{} // of screens and serial lines that are open: told to look again
	choice   int             // line of a menu
	entry    int             // how often the setup or the menu was asked for by key during the self-test: 1 setup, 2 menu
	lines    []string        // what the operating system has printed, the latest maxScrollback
	printed  int             // lines ever
	input    []byte          // the line that is being typed
	held     map[uint32]bool // keys that are down
	x, y     int             // the pointer
	buttons  uint8
	monitor  int  // where the pointer is
	dark     bool // the monitors are

	clipboard string
	onCopy    func(text []byte) // of a console; nil: none

	disc    medium // of what was booted from
	started time.Time
}

const (
	maxScrollback = 200
	maxInput      = 200
)

// look tells everybody who shows the PC that there may be something new. mu is held.
func (p *PC) look() {
	for _, c := range p.face.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// attend has c told when there is something new, until done is called. mu is not held.
func (p *PC) attend() (c chan struct{}, done func()) {
	c = make(chan struct{}, 1)
	c <- struct{}{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.face.watchers = append(p.face.watchers, c)
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.face.watchers = slices.DeleteFunc(p.face.watchers, func(w chan struct{}) bool { return w == c })
	}
}

// say prints a line of the operating system. mu is held.
func (p *PC) say(format string, args ...any) {
	f := &p.face
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		if len(f.lines) == maxScrollback {
			f.lines = slices.Delete(f.lines, 0, 1)
		}
		f.lines = append(f.lines, line)
		f.printed++
	}
}

// forget empties the screen: a boot begins, or the power is gone. mu is held.
func (p *PC) forget() {
	f := &p.face
	f.choice, f.entry, f.lines, f.input, f.disc = 0, 0, nil, nil, medium{}
}

// menuSources are the lines of the boot menu.
var menuSources = []firmware.BootSource{firmware.BootDisk, firmware.BootCD, firmware.BootPXE, firmware.BootDiagnostic, firmware.BootIDERFloppy, firmware.BootIDERCD}

// KeyEvent presses or releases a key. Keysyms are of the US keyboard.
func (p *PC) KeyEvent(k rfb.KeyEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.face.held == nil {
		p.face.held = map[uint32]bool{}
	}
	if !k.Down {
		delete(p.face.held, k.Keysym)
		return
	}
	if len(p.face.held) < 32 {
		p.face.held[k.Keysym] = true
	}
	if p.power != firmware.S0 || p.closed || p.boot.Plan.LockKeyboard {
		return
	}
	down := func(left uint32) bool { return p.face.held[left] || p.face.held[left+1] }
	if down(rfb.KeyControl) && down(rfb.KeyAlt) && k.Keysym == rfb.KeyDelete {
		if p.phase != Hung { // a kernel that does not run does not see it
			p.begin(nil, false)
		}
		return
	}
	p.stroke(k.Keysym, down(rfb.KeyShift))
	p.look()
}

// PointerEvent moves the mouse and presses its buttons.
func (p *PC) PointerEvent(m rfb.PointerEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.power == firmware.S0 && p.phase != Hung && !p.boot.Plan.LockKeyboard {
		p.face.x, p.face.y, p.face.buttons = int(m.X), int(m.Y), m.Buttons
		p.look()
	}
}

// stroke is one key of the keyboard, or one that the serial line stands for. mu is held.
func (p *PC) stroke(sym uint32, shift bool) {
	f := &p.face
	p.saving = false
	switch p.phase {
	case SelfTest:
		switch sym {
		case rfb.KeyF1 + 1, rfb.KeyDelete:
			f.entry = 1
		case rfb.KeyF1 + 11:
			f.entry = 2
		}
	case Setup, Menu:
		lines := len(setupLines)
		if p.phase == Menu {
			lines = len(menuSources)
		}
		switch sym {
		case rfb.KeyUp:
			f.choice = (f.choice + lines - 1) % lines
		case rfb.KeyDown, rfb.KeyTab:
			f.choice = (f.choice + 1) % lines
		case rfb.KeyEnter:
			p.choose()
		case rfb.KeyEscape, rfb.KeyF1 + 9:
			p.start(p.boot.Plan)
		}
	case Paused, NoMedium:
		p.start(p.boot.Plan)
	case Running:
		p.typed(sym, shift)
	}
}

// choose takes the line of a menu. mu is held.
func (p *PC) choose() {
	if p.phase == Setup {
		if p.face.choice == len(setupLines)-1 {
			p.start(p.boot.Plan)
		}
		return
	}
	b := p.boot.Plan
	b.Source = menuSources[p.face.choice]
	p.start(b)
}

// setupLines are the lines of the setup.
var setupLines = []string{"System information", "Boot order: disk, CD, network", "Wake on LAN: enabled", "AMT: enabled", "Save and exit"}

// typed is a key while the operating system runs: it edits a line, and Enter carries it out. mu is held.
func (p *PC) typed(sym uint32, shift bool) {
	f := &p.face
	switch {
	case sym == rfb.KeyEnter:
		line := string(f.input)
		f.input = nil
		p.say("%s%s", p.prompt(), line)
		p.command(strings.Fields(line))
	case sym == rfb.KeyBackspace:
		f.input = f.input[:max(0, len(f.input)-1)]
	case sym >= ' ' && sym <= '~' && len(f.input) < maxInput:
		f.input = append(f.input, shifted(byte(sym), shift))
	}
}

// shifted is the character of a key of the US keyboard.
func shifted(c byte, shift bool) byte {
	if !shift {
		return c
	}
	for upper := byte(' '); upper <= '~'; upper++ {
		if key, with, ok := rfb.TypeRune(rune(upper)); ok && with && key == uint32(c) {
			return upper
		}
	}
	return c
}

func (p *PC) prompt() string { return "pc# " }

// command carries out a line. mu is held.
func (p *PC) command(words []string) {
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "help":
		p.say("help  echo  copy  paste  ls  dir  read  write  eject  uname  uptime  reboot  poweroff  sleep  crash")
	case "echo":
		p.say("%s", strings.Join(words[1:], " "))
	case "copy":
		p.copied(strings.Join(words[1:], " "))
	case "paste":
		p.paste()
	case "dir", "read", "write", "eject":
		p.useDrive(words)
	case "uname":
		p.say("Outband virtual PC, boot %d from %v", p.boot.Number, p.boot.From)
	case "uptime":
		p.say("up %v", time.Since(p.face.started).Round(time.Second))
	case "ls":
		if len(p.face.disc.files) == 0 {
			p.say("nothing there")
			return
		}
		p.say("%s", strings.Join(p.face.disc.files, "\n"))
	case "reboot":
		p.shutdown(func() { p.begin(nil, false) })
	case "poweroff":
		p.shutdown(func() { p.off(firmware.S5) })
	case "sleep":
		if !p.o.Standby {
			p.after(p.o.Shutdown, p.sleep)
		}
	case "crash":
		p.say("Kernel panic: asked for by the user")
		p.stop()
		p.phase = Hung
	default:
		p.say("%s: not found; there is help", words[0])
	}
}
