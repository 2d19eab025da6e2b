package pc

import (
	"strings"
	"time"

	"github.com/outband/outband/virtual/firmware"
)

// Status and error words of a [firmware.BootResult].
const (
	statusFailed       = 0xFFFF
	errorPasswordWrong = 2
	errorNotSupported  = 3
)

// begin is the start of a boot. plan is asked if the engine wanted the boot. mu is held.
func (p *PC) begin(plan firmware.Plan, remote bool) {
	p.stop()
	was := p.power
	p.lose()
	p.enter(firmware.S0)
	p.phase = SelfTest
	p.lines = nil
	p.forget()
	p.boot = Boot{Number: p.boot.Number + 1, Remote: remote, Was: was}
	p.emit(firmware.Event{Kind: firmware.EventBoot, Was: was})
	if plan == nil {
		p.test(firmware.BootPlan{})
		return
	}
	step := p.step
	p.call(func() {
		b := plan()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.step == step && !p.closed { // else the power went while the engine was asked
			p.boot.Plan = b
			p.test(b)
			p.look()
		}
	})
}

// test runs the self-test. mu is held.
func (p *PC) test(b firmware.BootPlan) {
	p.after(p.o.SelfTest, func() {
		result := p.erase(&b)
		p.emit(firmware.Event{Kind: firmware.EventBooted, Boot: result})
		switch {
		case b.Setup || p.face.entry == 1:
			p.phase = Setup
			p.emit(firmware.Event{Kind: firmware.EventSetup})
		case p.face.entry == 2:
			p.phase = Menu
		case b.Pause:
			p.phase = Paused
		default:
			p.start(b)
		}
	})
}

// start boots from a device, or finds that there is none. mu is held.
func (p *PC) start(b firmware.BootPlan) {
	if p.bay != nil && redirected(b.Source) {
		p.phase = Starting
		p.say("Reading the boot sector of the %v ...", b.Source)
		p.probe(b.Source, func(m medium, err error) {
			if err != nil {
				p.say("%v", err)
			}
			p.boots(b.Source, m.bootable)
			if m.bootable {
				p.face.disc = m
				p.say("Volume %q, %d files in its root directory:", m.label, len(m.files))
				p.say("%s", strings.Join(m.files, "  "))
			}
		})
		return
	}
	p.boots(p.find(b.Source))
}

// boots starts the operating system of a device. mu is held.
func (p *PC) boots(from firmware.BootSource, ok bool) {
	if !ok {
		p.phase = NoMedium
		p.emit(firmware.Event{Kind: firmware.EventNoMedium})
		return
	}
	p.boot.From = from
	p.phase = Starting
	p.face.started = time.Now()
	p.say("Booting from %v", from)
	p.emit(firmware.Event{Kind: firmware.EventHandover})
	p.after(p.o.OSStart, func() { p.running(from == firmware.BootDisk) })
}

// find resolves a boot source. A forced one does not fall through to others; a redirected drive that nobody serves is as
// good as none wanted.
func (p *PC) find(want firmware.BootSource) (from firmware.BootSource, ok bool) {
	if int(want) >= len(p.media) {
		return 0, false
	}
	if want == firmware.BootDefault || redirected(want) && !p.media[want] {
		for _, s := range []firmware.BootSource{firmware.BootDisk, firmware.BootCD, firmware.BootPXE} {
			if p.media[s] {
				return s, true
			}
		}
		return 0, false
	}
	return want, p.media[want]
}
