package qemu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/qmp"
)

// Errors of orders.
var (
	errState   = errors.New("not possible in this state")
	errBusy    = errors.New("another transition is under way")
	errNoSleep = errors.New("nobody can put the guest to sleep from outside")
)

const (
	commandTime = 10 * time.Second // for QEMU to carry out one command
	askTime     = 15 * time.Second // for the engine to hear of a boot and say how it is to go
	rebootTime  = 10 * time.Minute // for a guest to shut down that was asked to reboot
)

// Do forces a transition. It is refused where it makes no sense, while another one is under way, and if QEMU does not
// start: then the error says why.
func (m *Machine) Do(ctx context.Context, action firmware.Action, plan firmware.Plan) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	on, asleep := m.power == firmware.S0, m.power == firmware.S3
	off := m.power == firmware.S4 || m.power == firmware.S5
	switch {
	case m.closed:
		return errClosed
	case m.busy:
		return fmt.Errorf("%v: %w", action, errBusy)
	case action == firmware.PowerUp && off:
		return m.switchOn(ctx, plan, true)
	case action == firmware.PowerUp && asleep:
		return m.command(ctx, "system_wakeup")
	case action == firmware.PowerDown && (on || asleep):
		m.transition(func() { m.switchOff(firmware.S5) })
		return nil
	case action == firmware.Cycle && (on || asleep):
		m.transition(func() { m.cycle(plan) })
		return nil
	case action == firmware.Reset && (on || asleep):
		m.transition(func() { m.reset(plan, true) })
		return nil
	case action == firmware.NMI && on:
		if err := m.command(ctx, "inject-nmi"); err != nil {
			return err
		}
		m.emit(firmware.Event{Kind: firmware.EventNMI})
		return nil
	}
	return fmt.Errorf("%v in %v: %w", action, m.power, errState)
}

// Ask presses the ACPI power button. To reboot, the machine is switched on again when the guest has shut down.
func (m *Machine) Ask(ctx context.Context, wish firmware.Wish, plan firmware.Plan) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errClosed
	case m.busy:
		return fmt.Errorf("%v: %w", wish, errBusy)
	case m.power != firmware.S0 || m.phase != Running:
		return firmware.ErrNoAgent
	case !m.Takes(wish):
		return fmt.Errorf("%v: %w", wish, errNoSleep)
	}
	if err := m.command(ctx, "system_powerdown"); err != nil {
		return err
	}
	m.again = rebootWish{}
	if wish == firmware.WishReboot {
		m.again = rebootWish{time.Now().Add(rebootTime), plan}
	}
	return nil
}

// Press is the person in front of the PC who presses its power button: on if it is off, awake if it is asleep, else the
// guest is asked to shut down.
func (m *Machine) Press(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errClosed
	case m.busy:
		return errBusy
	case m.power == firmware.S3:
		return m.command(ctx, "system_wakeup")
	case m.power == firmware.S0:
		return m.command(ctx, "system_powerdown")
	}
	return m.switchOn(ctx, nil, false)
}

// command carries out a QMP command that does not take long. mu is held; QEMU's events wait meanwhile.
func (m *Machine) command(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	return m.p.qmp.Do(ctx, name, nil, nil)
}

// transition has f called without locks; until it returns no other transition begins. mu is held.
func (m *Machine) transition(f func()) {
	m.busy = true
	m.wg.Go(func() {
		f()
		m.mu.Lock()
		defer m.mu.Unlock()
		m.busy = false
		if m.ended != nil && m.ended == m.p && !m.closed {
			m.down()
		}
	})
}

// switchOn starts a process, and then the boot in another goroutine. mu is held, but not all the time.
func (m *Machine) switchOn(ctx context.Context, plan firmware.Plan, remote bool) error {
	m.busy = true
	m.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.ctx, func() { cancel(errClosed) })
	p, err := m.launch(ctx, need{})
	stop()
	cancel(nil)
	m.mu.Lock()
	if err != nil {
		m.busy = false
		m.log.Warn("the machine cannot be switched on", "error", err)
		return err
	}
	if m.closed {
		m.busy = false
		m.mu.Unlock()
		p.kill()
		m.mu.Lock()
		return errClosed
	}
	was := m.power
	m.adopt(p)
	m.transition(func() { m.bootUp(plan, remote, was) })
	return nil
}

// launch starts a process and looks at its devices.
func (m *Machine) launch(ctx context.Context, n need) (*process, error) {
	m.mu.Lock()
	o := m.o
	m.mu.Unlock()
	events := newMailbox[qmp.Event]()
	p, err := o.start(ctx, n, events.put)
	if err != nil {
		return nil, err
	}
	if err := p.findDevices(ctx, o.bootLetters()); err != nil {
		p.kill()
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	m.wg.Go(func() { // ends with the process
		for e, ok := events.get(p.exited); ok; e, ok = events.get(p.exited) {
			m.onQMP(p, e)
		}
		m.onExit(p)
	})
	m.wg.Go(func() { m.serial.pump(p.serial) })
	m.wg.Go(func() {
		log := &biosLog{}
		readLog(p.bios, func(line string) { m.onBIOS(p, log, line) })
	})
	return p, nil
}

// adopt makes a process the machine's. mu is held.
func (m *Machine) adopt(p *process) {
	m.p = p
	m.hibernates = false
	m.again = rebootWish{}
	m.screen.show(p)
}

// enter changes the sleep state. mu is held.
func (m *Machine) enter(s firmware.Sx) {
	if was := m.power; was != s {
		m.power = s
		m.emit(firmware.Event{Kind: firmware.EventPower, Was: was})
	}
}

// lose takes away what does not outlive the guest. mu is held.
func (m *Machine) lose() {
	m.stopLate()
	if m.phase == Running {
		m.emit(firmware.Event{Kind: firmware.EventAgentDown})
		m.emit(firmware.Event{Kind: firmware.EventOSDown})
	}
	m.phase = Off
}

// switchOff ends the process.
func (m *Machine) switchOff(s firmware.Sx) {
	m.mu.Lock()
	p := m.p
	m.p = nil
	m.mu.Unlock()
	m.screen.show(nil)
	if p != nil {
		p.quit(m.ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose()
	m.enter(s)
}

// cycle switches off and on.
func (m *Machine) cycle(plan firmware.Plan) {
	m.switchOff(firmware.S5)
	select {
	case <-time.After(def(m.o.CycleOff, time.Second)):
		m.startAgain(plan, firmware.S5)
	case <-m.ctx.Done():
	}
}

// startAgain starts a process and boots. The machine stays off if QEMU does not start.
func (m *Machine) startAgain(plan firmware.Plan, was firmware.Sx) {
	p, err := m.launch(m.ctx, need{})
	if err != nil {
		m.log.Warn("the machine cannot be switched on again", "error", err)
		return
	}
	m.mu.Lock()
	m.adopt(p)
	m.mu.Unlock()
	m.bootUp(plan, true, was)
}

// reset resets the machine and boots.
func (m *Machine) reset(plan firmware.Plan, remote bool) {
	m.mu.Lock()
	p, was := m.p, m.power
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(m.ctx, commandTime)
	defer cancel()
	if p == nil {
		return
	}
	if err := p.qmp.Do(ctx, "stop", nil, nil); err != nil {
		m.log.Warn("the machine cannot be reset", "error", err)
		return
	}
	m.bootUp(plan, remote, was)
}
