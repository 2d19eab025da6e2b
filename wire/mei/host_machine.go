package mei

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A step is what the host waits for between a reset and work: its place in the start-up conversation.
type step uint8

const (
	atRest      step = 0 // not begun, stopped or disabled
	wantReady   step = 1 // reset demanded
	wantStart   step = 2
	wantCaps    step = 3
	wantClients step = 4
	wantProps   step = 5
	started     step = 6
)

func (s step) String() string {
	switch s {
	case wantReady:
		return "want ready"
	case wantStart:
		return "want start answer"
	case wantCaps:
		return "want capabilities"
	case wantClients:
		return "want clients"
	case wantProps:
		return "want properties"
	case started:
		return "started"
	}
	return "at rest"
}

// hostTimes are the host's patience, as the driver's. Spec mei.md section 9.
type hostTimes struct {
	ready, start, clients, connect, gate time.Duration
}

func patience(slow bool) hostTimes {
	if slow {
		return hostTimes{ready: 2 * time.Second, start: 5 * time.Second, clients: 30 * time.Second, connect: 30 * time.Second, gate: time.Second}
	}
	return hostTimes{ready: 2 * time.Second, start: time.Second, clients: 30 * time.Second, connect: 15 * time.Second, gate: time.Second}
}

const (
	maxFailures = 3    // resets in a row
	maxAnswers  = 2048 // HBM messages waiting to be sent; beyond, the other side is broken
)

// hostClient is a client that the ME has.
type hostClient struct {
	addr   uint8
	props  Properties
	credit int // shared buffer: the client's
}

// gate is the state of power gating.
type gate uint8

const (
	awake    gate = 0
	dozing   gate = 1 // entry asked
	sleeping gate = 2
)

// hostMachine is the host's side as pure steps.
type hostMachine struct {
	log   *slog.Logger
	most  Version // we speak
	times hostTimes

	state    State
	step     step
	due1     time.Time // by when the step's answer must be here
	failures int
	why      error // of the last reset
	dead     error

	version Version
	caps    Capabilities
	asking  []uint8 // addresses whose properties are wanted, the first is asked
	clients map[uint8]*hostClient
	live    map[uint8]*channel // by host address
	fixed   map[uint8]*channel // by ME address

	gate    gate
	gateDue time.Time

	answers [][]byte // packets that go before all others
	last    uint8    // host address of the channel that sent last
	news    func()   // state or gate changed
}

func (m *hostMachine) begin(now time.Time) {
	m.clients, m.live, m.fixed = map[uint8]*hostClient{}, map[uint8]*channel{}, map[uint8]*channel{}
	m.failures, m.dead = 0, nil
	m.restart(now)
}

// restart demands a reset.
func (m *hostMachine) restart(now time.Time) {
	m.set(Resetting)
	m.forget()
	m.step, m.due1 = wantReady, now.Add(m.times.ready)
	m.answers = [][]byte{signal(signalReset)}
}

// forget drops all clients and connections.
func (m *hostMachine) forget() {
	for _, ch := range m.live {
		ch.finish(ENODEV)
	}
	for _, ch := range m.fixed {
		ch.finish(ENODEV)
	}
	clear(m.clients)
	clear(m.live)
	clear(m.fixed)
	m.asking, m.gate, m.gateDue = nil, awake, time.Time{}
}

// reset begins anew after an error, or gives up.
func (m *hostMachine) reset(now time.Time, why error) {
	m.failures++
	m.why = why
	m.log.Warn("mei: link reset", "reason", why, "step", m.step, "failures", m.failures)
	if m.failures >= maxFailures {
		m.stop(Disabled, fmt.Errorf("mei: host: gave up after %d resets in a row: %w", m.failures, why))
		return
	}
	m.restart(now)
}

// stop ends all work.
func (m *hostMachine) stop(s State, why error) {
	m.set(s)
	m.forget()
	m.step, m.due1, m.dead, m.answers = atRest, time.Time{}, why, nil
}

func (m *hostMachine) set(s State) {
	m.state = s
	m.news()
}

func (m *hostMachine) end() {
	m.forget()
	m.step = atRest
	if m.state != Disabled {
		m.set(PowerDown)
	}
}

func (m *hostMachine) over() error {
	if m.dead != nil && len(m.answers) == 0 {
		return m.dead
	}
	return nil
}

// hbm queues a message.
func (m *hostMachine) hbm(msg Message) {
	m.answers = append(m.answers, Packet{Complete: true, Payload: msg.Append(nil)}.Append(nil))
}

// next appends answers first, then one fragment of each connection in turn.
func (m *hostMachine) next(b []byte) []byte {
	if len(m.answers) > 0 {
		b = append(b, m.answers[0]...)
		m.answers = m.answers[1:]
		m.rouse()
		return b
	}
	if m.step != started {
		return b
	}
	ch := m.chosen()
	if ch == nil {
		return b
	}
	m.rouse()
	return ch.fragment(b, maxPayload)
}

// chosen returns the next channel that may send: those of fixed clients first, then the others in turn.
func (m *hostMachine) chosen() *channel {
	for _, ch := range m.fixed {
		if ch.ready() {
			return ch
		}
	}
	var found *channel
	for host, ch := range m.live {
		// Addresses wrap around: the next after the last is the nearest.
		if ch.ready() && (found == nil || host-m.last-1 < found.host-m.last-1) {
			found = ch
		}
	}
	if found != nil {
		m.last = found.host
	}
	return found
}

// rouse notes that something is sent, which wakes a sleeping ME.
func (m *hostMachine) rouse() {
	if m.gate == sleeping {
		m.gate = awake
		m.news()
	}
}

func (m *hostMachine) due() time.Time {
	first := m.due1
	for _, ch := range m.live {
		first = earlier(first, ch.due)
	}
	for _, ch := range m.fixed {
		first = earlier(first, ch.due)
	}
	return earlier(first, m.gateDue)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func passed(due, now time.Time) bool { return !due.IsZero() && !now.Before(due) }

func (m *hostMachine) expire(now time.Time) {
	if passed(m.due1, now) {
		m.reset(now, fmt.Errorf("%w while the host had step %q", ErrNoAnswer, m.step))
		return
	}
	if passed(m.gateDue, now) {
		m.gate, m.gateDue = awake, time.Time{}
		m.reset(now, fmt.Errorf("%w to the request to power down", ErrNoAnswer))
		return
	}
	for host, ch := range m.live {
		if !passed(ch.due, now) {
			continue
		}
		switch {
		case ch.phase == connecting:
			ch.finish(EFAULT)
			delete(m.live, host)
			if m.version.Least(2, 0) { // the address stays taken until the firmware lets go
				m.live[host] = &channel{me: ch.me, host: host, phase: disconnecting, due: now.Add(m.times.connect),
					credit: new(int), granted: new(int)}
				m.hbm(DisconnectRequest{ch.me, host})
			}
		case ch.phase == disconnecting:
			ch.finish(ENODEV)
			delete(m.live, host)
		case ch.notify.waiting:
			ch.notify.waiting, ch.notify.failed, ch.due = false, EFAULT, time.Time{}
			ch.alert()
		}
	}
}

func (m *hostMachine) receive(b []byte, now time.Time) {
	switch {
	case isSignal(b, signalReady):
		if m.step == wantReady {
			m.version, m.caps = m.most, 0
			m.step, m.due1 = wantStart, now.Add(m.times.start)
			m.hbm(StartRequest{m.most})
			m.set(InitClients)
		}
		return
	case m.step == wantReady || m.step == atRest: // from before the reset, or crossing it
		return
	case isSignal(b, signalReset):
		m.reset(now, errors.New("the firmware is down"))
		return
	}
	p, _, err := ParsePacket(b)
	switch {
	case err != nil:
	case p.ME == 0 && p.Host == 0 && p.Complete && p.Extensions == nil:
		var msg Message
		if msg, err = Parse(p.Payload); err == nil {
			err = m.control(msg, now)
		}
	case p.ME == 0:
		err = fmt.Errorf("%w: host bus message to address %d", ErrCorrupt, p.Host)
	case p.DMA:
		err = fmt.Errorf("%w: a DMA ring that was never offered", ErrProtocol)
	default:
		err = m.data(p)
	}
	if err == nil && len(m.answers) > maxAnswers {
		err = fmt.Errorf("%w: too many requests", ErrProtocol)
	}
	if err != nil {
		m.reset(now, err)
	}
}
