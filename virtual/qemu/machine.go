package qemu

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/guid"
)

// A Phase is what a machine is doing while it has power. Values are words to print.
type Phase string

// The phases.
const (
	Off      Phase = "off" // or asleep; see Power
	BIOS     Phase = "BIOS"
	Menu     Phase = "boot menu"
	NoMedium Phase = "no bootable medium"
	Running  Phase = "guest running" // what a boot device holds has been started
)

// A Boot is what is remembered of a boot.
type Boot struct {
	Number int                 // from 1
	Remote bool                // asked for through the engine, so that Plan was followed
	Was    firmware.Sx         // the state before; S0 for a reset
	Plan   firmware.BootPlan   // of the engine; zero unless Remote
	From   firmware.BootSource // what it booted from; BootDefault until it did, or if nobody knows
}

// A Machine is a PC that is a QEMU process while it is on. Use [New].
type Machine struct {
	o      Options
	log    *slog.Logger
	ctx    context.Context // until Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	serial serial
	screen screen
	bay    bay
	retry  time.Duration // from a failure of a drive to the next try

	mu         sync.Mutex // guards what follows
	power      firmware.Sx
	phase      Phase
	p          *process // nil: off
	busy       bool     // a transition is under way
	closed     bool
	boot       Boot      // the last one
	began      time.Time // the last boot
	booted     bool      // EventBooted was told for it
	late       *time.Timer
	hibernates bool     // the guest is on its way to S4
	ended      *process // has shut down while busy
	again      rebootWish
	still      time.Time // a drive failed last, and the processors stand still
	watchers   []watcher
	watched    int
	queue      []func() // to be called in order, with no lock held
	draining   bool
}

// A rebootWish makes the guest's next way off a reboot.
type rebootWish struct {
	until time.Time
	plan  firmware.Plan
}

type watcher struct {
	id int
	f  func(firmware.Event)
}

// New returns a machine that is off. Close it when it is done with. The error wraps [ErrBinary] or [ErrArgs]; more is told
// by [Machine.Check].
func New(o Options) (*Machine, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if _, err := o.lookBinary(); err != nil {
		return nil, err
	}
	m := &Machine{o: o, log: o.Log, power: firmware.S5, phase: Off, retry: retryTime}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.screen.init()
	m.bay.machine = m
	return m, nil
}

// SetUUID sets the UUID that the guest finds in its SMBIOS, from the next start on.
func (m *Machine) SetUUID(id guid.GUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.o.UUID = id
}

// Extend has e add to the process, behind the extras of the options, from the next start on. What needs the engine, which
// needs the machine, comes this way.
func (m *Machine) Extend(e Extra) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.o.Extras = append(slices.Clone(m.o.Extras), e)
}

// Check starts QEMU and ends it again before a processor runs: so mistakes in the arguments, and a disk image that is not
// there, are told at once. The error wraps [ErrStart] and holds what QEMU says.
func (m *Machine) Check(ctx context.Context) error {
	m.mu.Lock()
	o := m.o
	m.mu.Unlock()
	p, err := o.start(ctx, need{}, nil)
	if err != nil {
		return err
	}
	defer p.quit(ctx)
	return p.findDevices(ctx, o.bootLetters())
}

// Close ends the process, hard, and waits for all that is under way. A closed machine is off.
func (m *Machine) Close() error {
	m.mu.Lock()
	m.closed = true
	m.queue = nil
	m.stopLate()
	m.mu.Unlock()
	m.cancel()
	m.bay.close()
	m.mu.Lock()
	p := m.p
	m.mu.Unlock()
	if p != nil {
		p.kill()
	}
	m.wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p != nil { // of a transition that was under way
		m.p.kill()
		m.p = nil
	}
	m.power, m.phase = firmware.S5, Off
	return nil
}

// Power returns the sleep state.
func (m *Machine) Power() firmware.Sx {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.power
}

// Phase returns what the machine is doing.
func (m *Machine) Phase() Phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.phase
}

// Agent reports whether the guest can be asked to shut down: it can by the ACPI power button, once it runs.
func (m *Machine) Agent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.power == firmware.S0 && m.phase == Running
}

// Takes reports what the guest can be asked for: its ACPI power button means shut down, and QEMU has no other.
func (m *Machine) Takes(wish firmware.Wish) bool {
	return wish == firmware.WishShutDown || wish == firmware.WishReboot
}

// LastBoot returns what is remembered of the last boot. Its Number is the count of boots, 0 for none.
func (m *Machine) LastBoot() Boot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot
}

// Running returns the version of the QEMU that runs, "" for none.
func (m *Machine) Running() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p == nil {
		return ""
	}
	return m.p.qmp.Version.String()
}

// Watch has f called with each event, in order, until cancel is called. f may be called once more while cancel runs.
func (m *Machine) Watch(f func(firmware.Event)) (cancel func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watched++
	id := m.watched
	m.watchers = append(m.watchers, watcher{id, f})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watchers = slices.DeleteFunc(slices.Clone(m.watchers), func(w watcher) bool { return w.id == id })
	}
}

// emit queues an event. mu is held.
func (m *Machine) emit(e firmware.Event) {
	if watchers := m.watchers; len(watchers) > 0 {
		e.Power = m.power
		m.call(func() {
			for _, w := range watchers {
				w.f(e)
			}
		})
	}
}

// call queues a function that is to be called without locks, after those queued before. mu is held.
func (m *Machine) call(f func()) {
	if m.closed {
		return
	}
	m.queue = append(m.queue, f)
	if !m.draining {
		m.draining = true
		m.wg.Go(m.drain)
	}
}

// drain calls what is queued, and ends when nothing is left.
func (m *Machine) drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > 0 {
		f := m.queue[0]
		m.queue = m.queue[1:]
		m.mu.Unlock()
		f()
		m.mu.Lock()
	}
	m.queue = nil
	m.draining = false
}

// errClosed is what a machine says that is done with.
var errClosed = errors.New("machine closed")

var _ interface {
	firmware.Platform
	firmware.Wisher
	firmware.CodeScreen
	firmware.Screen
	firmware.SerialPort
	firmware.Bay
} = (*Machine)(nil)
