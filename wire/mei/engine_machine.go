package mei

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outband/outband/wire/guid"
)

// engineClient is a client of the engine with what is shared by its connections.
type engineClient struct {
	Client
	granted int // shared buffer: credits given and unspent
}

// pair is the two addresses of a connection.
type pair struct{ me, host uint8 }

// engineMachine is the ME's side as pure steps.
type engineMachine struct {
	log     *slog.Logger
	most    Version
	grants  Capabilities
	payload int // bytes of payload in a packet
	ignore  func(Message) bool
	admit   func(guid.GUID) Status
	release func(guid.GUID)
	opened  func(*engineClient, *conn) // starts the client's work on a new connection

	clients map[uint8]*engineClient
	live    map[pair]*channel
	answers [][]byte
	last    pair // of the connection that sent last

	running bool // a link is there
	up      bool // between the host's reset and the next
	version Version
	caps    Capabilities
	dynamic bool // the host takes new clients
	dozing  bool // power gated once the answers are sent
	asleep  bool // power gated: before a message of ours comes an exit
	rousing bool // the exit is sent, the answer awaited
}

func (m *engineMachine) begin(time.Time) {
	m.running = true
	m.forget()
}

// forget is what a reset does.
func (m *engineMachine) forget() {
	for _, ch := range m.live {
		m.finish(ch)
	}
	clear(m.live)
	for _, c := range m.clients {
		c.granted = 0
	}
	m.answers, m.up, m.dynamic, m.dozing, m.asleep, m.rousing = nil, false, false, false, false, false
}

func (m *engineMachine) end()                   { m.forget(); m.running = false }
func (m *engineMachine) expire(time.Time)       {}
func (m *engineMachine) due() (never time.Time) { return never }
func (m *engineMachine) over() error            { return nil }
func (m *engineMachine) want(*conn)             {}
func (m *engineMachine) hbm(msg Message)        { m.answers = append(m.answers, control(msg)) }
func control(msg Message) []byte                { return Packet{Complete: true, Payload: msg.Append(nil)}.Append(nil) }

// errRestart is a reset that nobody's mistake brought about.
var errRestart = errors.New("restart")

// reset takes the ME down; it comes up again when the host has reset the link.
func (m *engineMachine) reset(why error) {
	level := slog.LevelWarn
	if why == errRestart {
		level = slog.LevelInfo
	}
	m.log.Log(context.Background(), level, "mei: engine: link reset", "reason", why)
	m.forget()
	m.answers = [][]byte{signal(signalReset)}
}

func (m *engineMachine) next(b []byte) []byte {
	if m.asleep {
		if m.rousing || len(m.answers) == 0 && m.chosen() == nil {
			return b
		}
		m.rousing = true
		return append(b, control(GateExitRequest{})...)
	}
	if len(m.answers) > 0 {
		b = append(b, m.answers[0]...)
		m.answers = m.answers[1:]
		if m.dozing && len(m.answers) == 0 {
			m.dozing, m.asleep = false, true
		}
		return b
	}
	if ch := m.chosen(); ch != nil {
		m.last = pair{ch.me, ch.host}
		return ch.fragment(b, m.payload)
	}
	return b
}

// chosen returns the next channel in turn that may send.
func (m *engineMachine) chosen() *channel {
	var first, after *channel // of those ready: the lowest, and the lowest after the last
	for at, ch := range m.live {
		if !ch.ready() {
			continue
		}
		if first == nil || at.less(pair{first.me, first.host}) {
			first = ch
		}
		if m.last.less(at) && (after == nil || at.less(pair{after.me, after.host})) {
			after = ch
		}
	}
	if after != nil {
		return after
	}
	return first
}

func (p pair) less(q pair) bool { return p.me < q.me || p.me == q.me && p.host < q.host }

func (m *engineMachine) receive(b []byte, _ time.Time) {
	if isSignal(b, signalReset) {
		m.forget()
		m.up = true
		m.version, m.caps = m.most, 0
		m.answers = [][]byte{signal(signalReady)}
		return
	}
	if !m.up {
		return
	}
	m.dozing, m.asleep, m.rousing = false, false, false // whatever the host says wakes the ME
	p, _, err := ParsePacket(b)
	switch {
	case err != nil:
	case p.ME == 0 && p.Host == 0 && p.Complete && p.Extensions == nil:
		var msg Message
		if msg, err = Parse(p.Payload); err == nil {
			m.control(msg)
		} else { // firmware's answer to what it does not know is not documented; hosts are newer than firmware at times
			m.log.Warn("mei: engine: message ignored", "error", err)
			err = nil
		}
	case p.ME == 0 || p.DMA:
		err = fmt.Errorf("%w: unexpected packet", ErrCorrupt)
	default:
		m.data(p)
	}
	if err == nil && len(m.answers) > maxAnswers {
		err = fmt.Errorf("%w: too many requests", ErrProtocol)
	}
	if err != nil {
		m.reset(err)
	}
}
