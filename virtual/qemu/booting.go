package qemu

import (
	"context"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/qmp"
)

// Words of a [firmware.BootResult].
const (
	statusFailed      = 0xFFFF
	errorNotSupported = 3
)

// bootUp is a boot, of a process whose processors stand still: the engine hears of it and says how it is to go, drives and
// boot order are set, and the processors start.
func (m *Machine) bootUp(ask firmware.Plan, remote bool, was firmware.Sx) {
	m.mu.Lock()
	p := m.p
	if p == nil || m.closed {
		m.mu.Unlock()
		return
	}
	m.begin(remote, was)
	plan := make(chan firmware.BootPlan, 1)
	m.call(func() {
		b := firmware.BootPlan{}
		if ask != nil {
			b = ask()
		}
		plan <- b
	})
	m.mu.Unlock()
	b := firmware.BootPlan{}
	select {
	case b = <-plan:
	case <-time.After(askTime): // an engine that hangs does not hold the PC up for ever
	case <-p.exited:
		return
	case <-m.ctx.Done():
		return
	}
	m.mu.Lock()
	m.boot.Plan = b
	m.mu.Unlock()
	if want := (need{serial: b.SOL, menu: b.Setup || b.Pause}); want != p.need {
		if p = m.replace(p, want); p == nil {
			return
		}
	}
	if err := m.letGo(p, b); err != nil && m.ctx.Err() == nil {
		m.log.Warn("the machine does not boot as it should", "error", err)
	}
}

// begin is the start of a boot. mu is held.
func (m *Machine) begin(remote bool, was firmware.Sx) {
	m.lose()
	m.enter(firmware.S0)
	m.phase = BIOS
	m.began, m.booted = time.Now(), false
	m.boot = Boot{Number: m.boot.Number + 1, Remote: remote, Was: was}
	m.again = rebootWish{}
	m.emit(firmware.Event{Kind: firmware.EventBoot, Was: was})
	m.late = time.AfterFunc(def(m.o.BIOSTime, 10*time.Second), m.onLate)
}

// replace starts another process in place of one, since another command line is needed. nil: it does not start.
func (m *Machine) replace(p *process, want need) *process {
	m.mu.Lock()
	m.p = nil // so that its end is not the machine's
	m.mu.Unlock()
	m.screen.show(nil)
	p.quit(m.ctx)
	p, err := m.launch(m.ctx, want)
	if err != nil {
		m.log.Warn("the machine has gone off: QEMU does not start again", "error", err)
		m.switchOff(firmware.S5)
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adopt(p)
	return p
}

// letGo plugs the console's drives in, sets the boot order and starts the processors.
func (m *Machine) letGo(p *process, b firmware.BootPlan) error {
	ctx, cancel := context.WithTimeout(m.ctx, commandTime)
	defer cancel()
	plugged := m.bay.attach(p)
	p.ordering.Lock()
	defer p.ordering.Unlock()
	if err := p.setOrder(ctx, p.orderFor(b, plugged)); err != nil {
		return err
	}
	if err := p.qmp.Do(ctx, "system_reset", nil, nil); err != nil {
		return err
	}
	return p.qmp.Do(ctx, "cont", nil, nil)
}

// onBIOS hears a line of the BIOS's log.
func (m *Machine) onBIOS(p *process, log *biosLog, line string) {
	step := log.step(line)
	if step == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p != p || m.closed {
		return
	}
	switch step {
	case biosBegins:
		if m.phase != BIOS { // the guest has reset itself
			m.begin(false, m.power)
		}
		m.began = time.Now()
	case biosAsks:
		if p.need.menu {
			m.wg.Go(func() { m.pressEscape(p) })
		}
	case biosMenu:
		m.done()
		m.phase = Menu
		m.emit(firmware.Event{Kind: firmware.EventSetup})
	case biosTries:
		m.done()
	case biosStarts:
		m.starts(m.sourceOf(log.source))
	case biosNothing:
		m.done()
		if m.phase != NoMedium {
			m.phase = NoMedium
			m.emit(firmware.Event{Kind: firmware.EventNoMedium})
		}
	}
}

// sourceOf is what the BIOS's source is to the engine: it does not know that some drives are a console's. mu is held.
func (m *Machine) sourceOf(s firmware.BootSource) firmware.BootSource {
	switch want := m.boot.Plan.Source; {
	case want == firmware.BootIDERCD && s == firmware.BootCD, want == firmware.BootIDERFloppy && s == firmware.BootDisk:
		return want
	}
	return s
}

// done is the end of the BIOS's work. mu is held.
func (m *Machine) done() {
	if m.booted {
		return
	}
	m.booted = true
	m.stopLate()
	result := firmware.BootResult{}
	b := m.boot.Plan
	if _, _, ok := boots(b.Source); !ok || b.SecureErase || b.PlatformErase {
		result = firmware.BootResult{Status: statusFailed, Error: errorNotSupported}
	}
	m.emit(firmware.Event{Kind: firmware.EventBooted, Boot: result})
	if p := m.p; p != nil {
		m.wg.Go(func() { m.forget(p) })
	}
}

// forget sets the boot order back to the user's: a plan is for one boot.
func (m *Machine) forget(p *process) {
	ctx, cancel := context.WithTimeout(m.ctx, commandTime)
	defer cancel()
	p.ordering.Lock()
	defer p.ordering.Unlock()
	m.mu.Lock()
	stale := m.p != p || !m.booted
	m.mu.Unlock()
	if stale {
		return
	}
	if err := p.setOrder(ctx, p.orderFor(firmware.BootPlan{}, m.bay.plugged())); err != nil && ctx.Err() == nil {
		m.log.Debug("boot order not set back", "error", err)
	}
}

// starts is the moment when what is on a device takes over. mu is held.
func (m *Machine) starts(from firmware.BootSource) {
	m.done()
	m.phase = Running
	m.boot.From = from
	m.emit(firmware.Event{Kind: firmware.EventHandover})
	m.emit(firmware.Event{Kind: firmware.EventAgentUp})
}

// onLate is the end of a boot whose BIOS tells nothing.
func (m *Machine) onLate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase == BIOS && !m.booted && !m.closed {
		m.starts(firmware.BootDefault)
	}
}

// stopLate stops the timer. mu is held.
func (m *Machine) stopLate() {
	if m.late != nil {
		m.late.Stop()
		m.late = nil
	}
}

// pressEscape opens the menu of SeaBIOS.
func (m *Machine) pressEscape(p *process) {
	ctx, cancel := context.WithTimeout(m.ctx, commandTime)
	defer cancel()
	key := map[string]any{"keys": []map[string]string{{"type": "qcode", "data": "esc"}}}
	if err := p.qmp.Do(ctx, "send-key", key, nil); err != nil && ctx.Err() == nil {
		m.log.Warn("the boot menu cannot be opened", "error", err)
	}
}

// onQMP hears an event of QEMU's.
func (m *Machine) onQMP(p *process, e qmp.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p != p || m.closed {
		return
	}
	switch e.Name {
	case "RESET":
		// A reset in the BIOS is SeaBIOS's own, which follows each warm one; one that is older than the boot began it.
		if m.phase != BIOS && e.Time.After(m.began) {
			m.begin(false, m.power)
		}
	case "SUSPEND":
		m.lose()
		m.enter(firmware.S3)
	case "WAKEUP":
		if m.power == firmware.S3 {
			m.enter(firmware.S0)
			m.phase = Running
			m.emit(firmware.Event{Kind: firmware.EventAgentUp})
		}
	case "SUSPEND_DISK":
		m.hibernates = true
	case "SHUTDOWN":
		m.ended = p
		if !m.busy { // otherwise at the end of the transition
			m.down()
		}
	case "BLOCK_IO_ERROR":
		m.onDriveError(p, e)
	case "GUEST_PANICKED":
		m.log.Warn("the guest has panicked")
	}
}

// down is the end of a guest that has switched itself off, or was switched off by somebody else. mu is held.
func (m *Machine) down() {
	m.ended = nil
	s, again := firmware.S5, m.again
	if m.hibernates {
		s = firmware.S4
	}
	m.transition(func() {
		m.switchOff(s)
		if time.Now().Before(again.until) {
			m.startAgain(again.plan, s)
		}
	})
}

// onExit hears that a process has ended.
func (m *Machine) onExit(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.qmp.Close()
	if m.p != p || m.closed {
		return
	}
	m.p = nil
	m.screen.show(nil)
	m.log.Warn("QEMU has ended by itself: the machine is off", "status", p.status, "said", p.talk.last())
	m.lose()
	m.enter(firmware.S5)
	m.wg.Go(p.kill) // cleans up
}
