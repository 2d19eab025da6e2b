package pc

import "github.com/outband/outband/virtual/firmware"

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
		}
	})
}

// test runs the self-test. mu is held.
func (p *PC) test(b firmware.BootPlan) {
	p.after(p.o.SelfTest, func() {
		var result firmware.BootResult
		switch {
		case b.SecureErase && b.ErasePassword != firmware.Secret(p.o.Password):
			result = firmware.BootResult{Status: statusFailed, Error: errorPasswordWrong}
		case (b.SecureErase || b.PlatformErase) && !p.media[firmware.BootDisk]:
			result = firmware.BootResult{Status: statusFailed, Error: errorNotSupported}
		case b.SecureErase, b.PlatformErase:
			p.media[firmware.BootDisk] = false
		}
		p.emit(firmware.Event{Kind: firmware.EventBooted, Boot: result})
		switch {
		case b.Setup:
			p.phase = Setup
			p.emit(firmware.Event{Kind: firmware.EventSetup})
		case b.Pause:
			p.phase = Paused
		default:
			p.start(b)
		}
	})
}

// start boots from a device, or finds that there is none. mu is held.
func (p *PC) start(b firmware.BootPlan) {
	from, ok := p.find(b.Source)
	if !ok {
		p.phase = NoMedium
		p.emit(firmware.Event{Kind: firmware.EventNoMedium})
		return
	}
	p.boot.From = from
	p.phase = Starting
	p.emit(firmware.Event{Kind: firmware.EventHandover})
	p.after(p.o.OSStart, func() { p.running(from == firmware.BootDisk) })
}

// find resolves a boot source. A forced one does not fall through to others; a redirected drive that nobody serves is as
// good as none wanted.
func (p *PC) find(want firmware.BootSource) (from firmware.BootSource, ok bool) {
	redirected := want == firmware.BootIDERFloppy || want == firmware.BootIDERCD
	if int(want) >= len(p.media) {
		return 0, false
	}
	if want == firmware.BootDefault || redirected && !p.media[want] {
		for _, s := range []firmware.BootSource{firmware.BootDisk, firmware.BootCD, firmware.BootPXE} {
			if p.media[s] {
				return s, true
			}
		}
		return 0, false
	}
	return want, p.media[want]
}
