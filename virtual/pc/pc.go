// Package pc is the PC around a virtual machine's management engine: what has power, a BIOS, an operating system and a
// person in front of it. This one is drawn in Go, takes half a kilobyte, and has no goroutine while nothing happens, so
// that thousands stand in one process. It is a [firmware.Platform].
//
// It behaves as a business desktop does towards the engine: times are much shorter by default, but none is zero, so a
// client that believes a transition is over when it has been accepted finds out. Its operating system does nothing but be
// up, down, hung or asleep. Sources: ACPI 6.5 chapter 16 (sleep states); spec power-and-boot.md.
//
// Timers are package time's, so a test in a testing/synctest bubble owns the clock.
package pc

import (
	"context"
	"sync"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/ider"
)

// Options are the settings of a PC. The zero value is a PC with a disk, an operating system and an agent, switched off.
type Options struct {
	On bool // stands there with its operating system running, instead of switched off

	SelfTest   time.Duration // from the start of a boot to the boot device; default 300 ms
	OSStart    time.Duration // from the boot device to a running operating system; default 500 ms
	AgentStart time.Duration // from then until the agent is there; default 200 ms
	Switch     time.Duration // from the order to power up or down until it is done; default 50 ms
	CycleOff   time.Duration // how long a power cycle stays off; default 1 s
	Resume     time.Duration // from S3 to S0; default 100 ms
	Shutdown   time.Duration // what the operating system takes to shut down or fall asleep; default 400 ms

	NoAgent  bool   // the agent (LMS) is not installed
	Deaf     bool   // the operating system takes wishes and does not follow them
	Standby  bool   // Modern Standby: no S3
	NoDisk   bool   // nothing to boot from but what the network and the drives bring
	Password string // of the drive, which erasing it needs; "" for none
	PSID     string // printed on the drive, which a Pyrite revert needs; "": the drive knows no such thing
	Decline  bool   // the person says no to what the BIOS asks
	Clock    string // what the desktop's clock shows, for pictures that are to be alike; "" for the time of day
	Programs bool   // programs of the operating system share its clipboard with consoles, and answer them by the data channel

	Monitors []firmware.Monitor // sizes alone count: they stand side by side; default is one of 1024x768
}

func def(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// A Phase is what a PC is doing while it has power. Values are words to print.
type Phase string

// The phases.
const (
	Off      Phase = "off" // or asleep; see Power
	SelfTest Phase = "self-test"
	Setup    Phase = "BIOS setup"
	Menu     Phase = "boot menu"
	Paused   Phase = "waiting for a key"
	NoMedium Phase = "no bootable medium"
	Starting Phase = "OS starting"
	Running  Phase = "OS running"
	Stopping Phase = "OS stopping"
	Hung     Phase = "OS hung"
)

// A Boot is what is remembered of a boot.
type Boot struct {
	Number int                 // from 1
	Remote bool                // asked for through the engine, so that Plan was followed
	Was    firmware.Sx         // the state before; S0 for a reset
	Plan   firmware.BootPlan   // of the engine; zero unless Remote
	From   firmware.BootSource // what it booted from; BootDefault until it did, or if it did not
}

// A PC is a personal computer. Use [New].
type PC struct {
	o Options

	mu        sync.Mutex // guards what follows
	power     firmware.Sx
	phase     Phase
	slept     Phase // before it fell asleep
	agent     bool
	installed bool // the agent
	saving    bool
	boot      Boot // the last one
	nmis      int
	code      string       // of user consent, on the screen
	key       firmware.Key // USB; nil: none
	lines     []string     // that the BIOS has written on the screen
	erased    Erased
	media     [firmware.BootLocalApp + 1]bool
	bay       *ider.Device // drives of a console; nil: none
	face      face

	closed   bool
	step     int // number of the timer that counts; others are void
	timer    *time.Timer
	reading  context.CancelFunc // ends a reading of a console's drive; nil if there is none
	using    context.CancelFunc // ends what the operating system does with one; nil: nothing
	watchers []watcher
	watched  int
	queue    []func() // to be called in order, with no lock held
	draining bool
	wg       sync.WaitGroup // timers and the goroutine that drains the queue
}

type watcher struct {
	id int
	f  func(firmware.Event)
}

// New returns a PC. Close it when it is done with.
func New(o Options) *PC {
	def(&o.SelfTest, 300*time.Millisecond)
	def(&o.OSStart, 500*time.Millisecond)
	def(&o.AgentStart, 200*time.Millisecond)
	def(&o.Switch, 50*time.Millisecond)
	def(&o.CycleOff, time.Second)
	def(&o.Resume, 100*time.Millisecond)
	def(&o.Shutdown, 400*time.Millisecond)
	o.Monitors = arrange(o.Monitors)
	p := &PC{o: o, power: firmware.S5, phase: Off, installed: !o.NoAgent}
	for _, s := range []firmware.BootSource{firmware.BootPXE, firmware.BootCD, firmware.BootDiagnostic, firmware.BootHTTPS, firmware.BootLocalApp} {
		p.media[s] = true
	}
	p.media[firmware.BootDisk] = !o.NoDisk
	if o.On {
		p.power, p.phase, p.agent = firmware.S0, Running, p.installed
	}
	return p
}

// Close stops whatever is under way and waits for it. A closed PC stays as it is.
func (p *PC) Close() error {
	p.mu.Lock()
	p.closed = true
	p.stop()
	p.leaveDrive()
	p.queue = nil
	p.mu.Unlock()
	p.wg.Wait()
	return nil
}

// Power returns the sleep state.
func (p *PC) Power() firmware.Sx {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.power
}

// Phase returns what the PC is doing.
func (p *PC) Phase() Phase {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase
}

// Agent reports whether the agent is connected to the engine.
func (p *PC) Agent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.agent
}

// LastBoot returns what is remembered of the last boot. Its Number is the count of boots, 0 for none.
func (p *PC) LastBoot() Boot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.boot
}

// NMIs returns how many diagnostic interrupts there were.
func (p *PC) NMIs() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nmis
}

// Code returns the user consent code that stands on the screen, "" for none.
func (p *PC) Code() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code
}

// ShowCode draws the user consent code on the screen.
func (p *PC) ShowCode(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code = code
}

// HideCode takes the user consent code off the screen.
func (p *PC) HideCode() { p.ShowCode("") }

// Insert says whether there is something bootable at a source. At first there is everywhere but on redirected drives.
func (p *PC) Insert(source firmware.BootSource, bootable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(source) < len(p.media) {
		p.media[source] = bootable
	}
}

// Watch has f called with each event, in order, until cancel is called. f may be called once more while cancel runs.
func (p *PC) Watch(f func(firmware.Event)) (cancel func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched++
	id := p.watched
	p.watchers = append(p.watchers, watcher{id, f})
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i, w := range p.watchers {
			if w.id == id {
				p.watchers = append(p.watchers[:i:i], p.watchers[i+1:]...)
				return
			}
		}
	}
}

// emit queues an event. mu is held.
func (p *PC) emit(e firmware.Event) {
	if watchers := p.watchers; len(watchers) > 0 {
		e.Power = p.power
		p.call(func() {
			for _, w := range watchers {
				w.f(e)
			}
		})
	}
}

// call queues a function that is to be called without locks, after those queued before. mu is held.
func (p *PC) call(f func()) {
	if p.closed {
		return
	}
	p.queue = append(p.queue, f)
	if !p.draining {
		p.draining = true
		p.wg.Go(p.drain)
	}
}

// drain calls what is queued, and ends when nothing is left.
func (p *PC) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 {
		f := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		f()
		p.mu.Lock()
	}
	p.queue = nil
	p.draining = false
}

// after has f called with mu held when d has passed, unless another step is begun first. mu is held.
func (p *PC) after(d time.Duration, f func()) {
	p.stop()
	if p.closed {
		return
	}
	step := p.step
	p.wg.Add(1)
	p.timer = time.AfterFunc(d, func() {
		defer p.wg.Done()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.step == step && !p.closed {
			p.timer = nil
			f()
			p.look()
		}
	})
}

// stop voids the step under way. mu is held.
func (p *PC) stop() {
	p.step++
	if p.reading != nil {
		p.reading()
		p.reading = nil
	}
	if p.timer != nil && p.timer.Stop() {
		p.wg.Done()
	}
	p.timer = nil
}
