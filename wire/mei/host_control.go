package mei

import (
	"fmt"
	"maps"
	"time"
)

// control takes an HBM message. An error resets the link.
func (m *hostMachine) control(msg Message, now time.Time) error {
	switch msg := msg.(type) {
	case StartReply:
		if m.step == wantStart {
			return m.startReply(msg, now)
		}
	case CapabilitiesReply:
		if m.step == wantCaps {
			m.caps = msg.Capabilities & CapTags
			m.enumerate(now)
			return nil
		}
	case EnumerateReply:
		if m.step == wantClients {
			m.asking = nil
			for addr := 1; addr < 256; addr++ {
				if msg.Valid[addr/8]&(1<<(addr%8)) != 0 {
					m.asking = append(m.asking, uint8(addr))
				}
			}
			m.ask(now)
			return nil
		}
	case PropertiesReply:
		if m.step == wantProps && msg.ME == m.asking[0] && msg.Status <= StatusNotFound {
			if msg.Status == StatusSuccess {
				m.add(msg.ME, msg.Properties)
			}
			m.asking = m.asking[1:]
			m.ask(now)
			return nil
		}
	case StopReply:
		return nil
	case MEStopRequest:
		m.hbm(StopRequest(msg))
		last := m.answers
		m.reset(now, fmt.Errorf("the firmware stops (reason %d)", msg.Reason))
		m.answers = append(last, m.answers...)
		return nil
	default:
		if m.step == started {
			return m.connection(msg)
		}
	}
	return fmt.Errorf("%w: %T while %v", ErrProtocol, msg, m.step)
}

// startReply settles the version.
func (m *hostMachine) startReply(msg StartReply, now time.Time) error {
	if !msg.Supported {
		if msg.Version.Least(m.most.Major, m.most.Minor) && msg.Version != m.most {
			m.hbm(StopRequest{StopDriver})
			last := m.answers
			m.stop(Disabled, fmt.Errorf("mei: host: firmware speaks HBM %v only, newer than %v", msg.Version, m.most))
			m.answers = last
			return nil
		}
		m.version = msg.Version
	}
	if m.version.Least(2, 2) {
		m.step, m.due1 = wantCaps, now.Add(m.times.start)
		m.hbm(CapabilitiesRequest{CapTags})
		return nil
	}
	m.enumerate(now)
	return nil
}

func (m *hostMachine) enumerate(now time.Time) {
	m.step, m.due1 = wantClients, now.Add(m.times.clients)
	dynamic := m.version.Least(2, 0)
	m.hbm(EnumerateRequest{AllowAdd: dynamic, Immediate: dynamic})
}

// ask asks for the next client's properties, or is done.
func (m *hostMachine) ask(now time.Time) {
	if len(m.asking) > 0 {
		m.step, m.due1 = wantProps, now.Add(m.times.clients)
		m.hbm(PropertiesRequest{m.asking[0]})
		return
	}
	m.step, m.due1, m.failures = started, time.Time{}, 0
	m.set(Enabled)
}

func (m *hostMachine) add(addr uint8, p Properties) {
	p.MaxMsgLen = min(p.MaxMsgLen, MaxMessage)
	m.clients[addr] = &hostClient{addr: addr, props: p}
}

// connection takes the messages about connections.
func (m *hostMachine) connection(msg Message) error {
	switch msg := msg.(type) {
	case ConnectReply:
		if ch := m.live[msg.Host]; ch != nil && ch.me == msg.ME && ch.phase == connecting {
			ch.due = time.Time{}
			if errno := connectErrno(msg.Status); errno != 0 {
				ch.finish(errno)
				delete(m.live, msg.Host)
				return nil
			}
			ch.phase = connected
			ch.alert()
		}
	case DisconnectRequest:
		// If both sides end it at once, the address is free when our own request is answered.
		if ch := m.live[msg.Host]; ch != nil && ch.me == msg.ME && ch.phase != disconnecting {
			ch.finish(ENODEV)
			delete(m.live, msg.Host)
		}
		m.hbm(DisconnectReply{msg.ME, msg.Host, StatusSuccess})
	case DisconnectReply:
		if ch := m.live[msg.Host]; ch != nil && ch.me == msg.ME && ch.phase == disconnecting {
			ch.finish(ENODEV)
			delete(m.live, msg.Host)
		}
	case FlowControl:
		return m.flow(msg)
	case NotifyReply:
		if ch := m.live[msg.Host]; ch != nil && ch.me == msg.ME && ch.notify.waiting {
			ch.notify.waiting, ch.due = false, time.Time{}
			if msg.Status != StatusSuccess {
				ch.notify.failed = EFAULT
			} else {
				ch.notify.on = msg.Start
			}
			ch.alert()
		}
	case Notification:
		if ch := m.live[msg.Host]; ch != nil && ch.me == msg.ME && ch.notify.on {
			for _, c := range ch.conns {
				c.event = true
				c.changed()
			}
		}
	case AddClientRequest:
		// A client that comes back under the same GUID takes the place of the old one.
		maps.DeleteFunc(m.clients, func(_ uint8, c *hostClient) bool { return c.props.Client == msg.Properties.Client })
		m.add(msg.ME, msg.Properties)
		m.hbm(AddClientReply{msg.ME, StatusSuccess})
	case GateEntryReply:
		if m.gate != dozing {
			return fmt.Errorf("%w: %T unasked", ErrProtocol, msg)
		}
		m.gate, m.gateDue = sleeping, time.Time{}
		m.news()
	case GateExitRequest:
		m.gate, m.gateDue = awake, time.Time{}
		m.hbm(GateExitReply{})
		m.news()
	default:
		return fmt.Errorf("%w: %T", ErrProtocol, msg)
	}
	return nil
}

// flow books a credit. One for a connection that is not there is an error, save while it goes.
func (m *hostMachine) flow(msg FlowControl) error {
	if msg.Host == 0 {
		if c := m.clients[msg.ME]; c != nil && c.props.SharedBuffer {
			c.credit++
			return nil
		}
	} else if ch := m.live[msg.Host]; ch != nil && ch.me == msg.ME && ch.phase != connecting {
		*ch.credit++
		return nil
	}
	return fmt.Errorf("%w: credit for unknown connection %d/%d", ErrProtocol, msg.ME, msg.Host)
}
