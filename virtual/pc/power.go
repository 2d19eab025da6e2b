package pc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/virtual/firmware"
)

// errState is what a PC says to an order that makes no sense in its state.
var errState = errors.New("not possible in this state")

// Do forces a transition. It is refused where it makes no sense: powering up what is on, and powering down what is off.
func (p *PC) Do(_ context.Context, action firmware.Action, plan firmware.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	on := p.power == firmware.S0
	asleep := p.power == firmware.S3
	switch {
	case p.power == firmware.G3:
	case action == firmware.PowerUp && asleep:
		p.after(p.o.Resume, p.wake)
		return nil
	case action == firmware.PowerUp && !on:
		p.after(p.o.Switch, func() { p.begin(plan, true) })
		return nil
	case action == firmware.PowerDown && (on || asleep):
		p.after(p.o.Switch, func() { p.off(firmware.S5) })
		return nil
	case action == firmware.Cycle && (on || asleep):
		p.after(p.o.Switch, func() {
			p.off(firmware.S5)
			p.after(p.o.CycleOff, func() { p.begin(plan, true) })
		})
		return nil
	case action == firmware.Reset && (on || asleep):
		p.after(p.o.Switch, func() { p.begin(plan, true) })
		return nil
	case action == firmware.NMI && on:
		p.nmis++
		p.say("Non-maskable interrupt: diagnostic interrupt from the management engine")
		p.look()
		p.emit(firmware.Event{Kind: firmware.EventNMI})
		return nil
	}
	return fmt.Errorf("%v in %v: %w", action, p.power, errState)
}

// Ask passes a wish on to the operating system, which follows it unless it is deaf, hung or on its way down.
func (p *PC) Ask(_ context.Context, wish firmware.Wish, plan firmware.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.agent {
		return firmware.ErrNoAgent
	}
	if p.o.Deaf || p.phase != Running {
		return nil
	}
	switch wish {
	case firmware.WishShutDown:
		p.shutdown(func() { p.off(firmware.S5) })
	case firmware.WishReboot:
		p.shutdown(func() { p.begin(plan, true) })
	case firmware.WishSleep:
		if !p.o.Standby {
			p.after(p.o.Shutdown, p.sleep)
		}
	case firmware.WishHibernate:
		p.shutdown(func() { p.off(firmware.S4) })
	}
	return nil
}

// HasStandby reports whether the PC has Modern Standby.
func (p *PC) HasStandby() bool { return p.o.Standby }

// Saving reports whether the operating system saves power in S0.
func (p *PC) Saving() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saving
}

// SetSaving has the operating system save power in S0, or wake up.
func (p *PC) SetSaving(_ context.Context, saving bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.o.Standby || p.phase != Running {
		return errState
	}
	p.saving = saving
	return nil
}

// shutdown takes the operating system down and does then. mu is held.
func (p *PC) shutdown(then func()) {
	p.phase = Stopping
	p.say("The system is going down")
	p.look()
	p.after(p.o.Shutdown, then)
}

// lose takes away what does not outlive the operating system. mu is held.
func (p *PC) lose() {
	p.leaveDrive()
	if p.agent {
		p.agent = false
		p.emit(firmware.Event{Kind: firmware.EventAgentDown})
	}
	if p.phase == Running || p.phase == Stopping || p.phase == Hung {
		p.emit(firmware.Event{Kind: firmware.EventOSDown})
	}
	p.phase = Off
	p.saving = false
}

// enter changes the sleep state. mu is held.
func (p *PC) enter(s firmware.Sx) {
	if was := p.power; was != s {
		p.power = s
		p.emit(firmware.Event{Kind: firmware.EventPower, Was: was})
	}
}

// off is the end of a way down to S4, S5 or G3. mu is held.
func (p *PC) off(s firmware.Sx) {
	p.stop()
	p.lose()
	p.enter(s)
}

// sleep is the end of a way down to S3. mu is held.
func (p *PC) sleep() {
	p.slept = p.phase
	p.lose()
	p.enter(firmware.S3)
}

// wake is the end of a way up from S3: no boot. mu is held.
func (p *PC) wake() {
	p.enter(firmware.S0)
	if p.phase = p.slept; p.phase == Running {
		p.running(true)
	}
}

// running says that the operating system is up, and brings the agent after it if that operating system has one. mu is
// held.
func (p *PC) running(agent bool) {
	p.phase = Running
	if p.face.lines == nil {
		p.face.started = time.Now()
	}
	p.say("The operating system is up; type help")
	p.emit(firmware.Event{Kind: firmware.EventOSUp})
	if agent && p.installed {
		p.after(p.o.AgentStart, p.agentUp)
	}
}

func (p *PC) agentUp() {
	if p.phase == Running && !p.agent {
		p.agent = true
		p.emit(firmware.Event{Kind: firmware.EventAgentUp})
	}
}

// A Person is whoever sits in front of a PC. Its methods never fail: what cannot be done is not done.
type Person struct{ pc *PC }

// Person returns the one in front of the PC.
func (p *PC) Person() Person { return Person{p} }

// do calls f with the lock held if the PC has power.
func (h Person) do(f func(p *PC)) {
	h.pc.mu.Lock()
	defer h.pc.mu.Unlock()
	if h.pc.power != firmware.G3 && !h.pc.closed {
		f(h.pc)
		h.pc.look()
	}
}

// Press presses the power button for a moment: on if it is off or asleep; else the operating system shuts down, or, if
// none runs, the power goes off. A locked button does nothing.
func (h Person) Press() {
	h.do(func(p *PC) {
		switch {
		case p.boot.Plan.LockPower && p.power == firmware.S0:
		case p.power == firmware.S3:
			p.after(p.o.Resume, p.wake)
		case p.power != firmware.S0:
			p.after(p.o.Switch, func() { p.begin(nil, false) })
		case p.phase == Running:
			p.shutdown(func() { p.off(firmware.S5) })
		case p.phase != Hung && p.phase != Stopping:
			p.off(firmware.S5)
		}
	})
}

// Hold holds the power button down until the power goes off. Locked or not, this works.
func (h Person) Hold() {
	h.do(func(p *PC) {
		if p.power == firmware.S0 || p.power == firmware.S3 {
			p.off(firmware.S5)
		}
	})
}

// Reset presses the reset button.
func (h Person) Reset() {
	h.do(func(p *PC) {
		if p.power == firmware.S0 && !p.boot.Plan.LockReset {
			p.begin(nil, false)
		}
	})
}

// Sleep has the operating system go to S3, or save power where there is no S3.
func (h Person) Sleep() {
	h.do(func(p *PC) {
		switch {
		case p.phase != Running || p.boot.Plan.LockSleep:
		case p.o.Standby:
			p.saving = true
		default:
			p.after(p.o.Shutdown, p.sleep)
		}
	})
}

// Hibernate has the operating system go to S4.
func (h Person) Hibernate() {
	h.do(func(p *PC) {
		if p.phase == Running {
			p.shutdown(func() { p.off(firmware.S4) })
		}
	})
}

// Hang finds that the operating system does nothing any more. The agent's connection stays: nobody closes it.
func (h Person) Hang() {
	h.do(func(p *PC) {
		if p.phase == Running {
			p.stop()
			p.phase = Hung
		}
	})
}

// Key presses a key: what waits for one goes on, and the BIOS setup is left. A locked keyboard does nothing.
func (h Person) Key() {
	h.do(func(p *PC) {
		p.saving = false
		if (p.phase == Paused || p.phase == Setup || p.phase == Menu) && !p.boot.Plan.LockKeyboard {
			p.start(p.boot.Plan)
		}
	})
}

// RunAgent installs and starts the agent, or stops and removes it.
func (h Person) RunAgent(run bool) {
	h.do(func(p *PC) {
		p.installed = run
		switch {
		case run:
			p.agentUp()
		case p.agent:
			p.agent = false
			p.emit(firmware.Event{Kind: firmware.EventAgentDown})
		}
	})
}

// PullPlug takes the power away, the engine's as well.
func (h Person) PullPlug() {
	h.do(func(p *PC) { p.off(firmware.G3) })
}

// Plug brings it back. The PC stays off.
func (h Person) Plug() {
	h.pc.mu.Lock()
	defer h.pc.mu.Unlock()
	if h.pc.power == firmware.G3 {
		h.pc.enter(firmware.S5)
	}
}

var _ interface {
	firmware.Platform
	firmware.Standby
	firmware.CodeScreen
	firmware.Screen
	firmware.SerialPort
	firmware.Bay
} = (*PC)(nil)

// Settle returns how long the longest chain of transitions takes: a power cycle up to the agent. Tests wait so long
// before they look.
func (p *PC) Settle() time.Duration {
	return p.o.Shutdown + p.o.Switch + p.o.CycleOff + p.o.SelfTest + p.o.OSStart + p.o.AgentStart
}
