package mei

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/outband/outband/wire/guid"
)

// data takes a fragment.
func (m *hostMachine) data(p Packet) error {
	ch := m.fixed[p.ME]
	if p.Host != 0 {
		if ch = m.live[p.Host]; ch == nil || ch.me != p.ME {
			return fmt.Errorf("%w: data for unknown connection %d/%d", ErrProtocol, p.ME, p.Host)
		}
	}
	if ch == nil || ch.phase != connected {
		return nil // a fixed client nobody listens to, or a connection that is going
	}
	wanted := ch.free || *ch.granted > 0
	if !ch.arriving && !wanted {
		m.log.Warn("mei: message without credit dropped", "me", p.ME, "host", p.Host)
	}
	done, c, message, long := ch.arrive(p, wanted)
	if !done {
		return nil
	}
	if !ch.free {
		*ch.granted--
	}
	switch {
	case c == nil && ch.tagOK && ch.conns[0].tag != 0: // for one of the tags that has just gone
	case c == nil || !ch.tagOK: // a tag on a connection without, or an extended header without a tag
		for _, other := range ch.conns {
			if other.wants || ch.free {
				other.wants, other.fault = false, EPROTO
				other.changed()
				break
			}
		}
	case long:
		c.wants, c.fault = false, EMSGSIZE
		c.changed()
	case len(c.inbox) >= inboxLimit: // of a fixed client, or with a tag that nobody reads
		m.log.Warn("mei: message that nobody reads dropped", "me", p.ME, "host", p.Host, "tag", c.tag)
	default:
		c.wants, c.inbox = false, append(c.inbox, message)
		c.changed()
	}
	// With tags the message may have gone to another than the one whose credit it used up.
	for _, other := range ch.conns {
		if other.wants && !ch.free && *ch.granted == 0 {
			*ch.granted++
			m.hbm(FlowControl{ch.me, ch.host})
		}
	}
	return nil
}

// connectErrno is what the driver makes of a refusal.
func connectErrno(s Status) Errno {
	switch s {
	case StatusSuccess:
		return 0
	case StatusNotFound:
		return ENOTTY
	case StatusAlreadyExists, StatusRejected, StatusNotAllowed, StatusAlreadyStarted:
		return EBUSY
	}
	return EINVAL
}

// open begins a connection. Without an error c is in a channel, connected or connecting.
func (m *hostMachine) open(c *conn, client guid.GUID, unknown Errno, now time.Time) Errno {
	if m.state != Enabled {
		return ENODEV
	}
	var found *hostClient
	for _, addr := range slices.Sorted(maps.Keys(m.clients)) {
		if m.clients[addr].props.Client == client {
			found = m.clients[addr]
			break
		}
	}
	switch {
	case found == nil:
		return unknown
	case c.tag != 0 && (m.caps&CapTags == 0 || !found.props.Tags):
		return EOPNOTSUPP
	case found.props.Fixed:
		if !m.version.Least(2, 0) {
			return unknown
		}
		if m.fixed[found.addr] != nil {
			return EBUSY
		}
		c.ch = &channel{me: found.addr, props: found.props, phase: connected, free: true, conns: []*conn{c}}
		m.fixed[found.addr] = c.ch
		return 0
	}
	if c.tag != 0 { // tagged connections to one client share a channel
		for _, ch := range m.live {
			if ch.me != found.addr || ch.phase > connected || ch.conns[0].tag == 0 {
				continue
			}
			if ch.find(c.tag) != nil {
				return EINVAL
			}
			c.ch = ch
			ch.conns = append(ch.conns, c)
			return 0
		}
	}
	host := uint8(1)
	for m.live[host] != nil {
		if host++; host == 0 {
			return EMFILE
		}
	}
	c.ch = &channel{me: found.addr, host: host, props: found.props, phase: connecting, due: now.Add(m.times.connect),
		credit: new(int), granted: new(int), conns: []*conn{c}}
	if found.props.SharedBuffer {
		c.ch.credit = &found.credit
	}
	m.live[host] = c.ch
	m.hbm(ConnectRequest{found.addr, host})
	return 0
}

// want lets the client send a message for c.
func (m *hostMachine) want(c *conn) {
	if ch := c.ch; !c.wants && !ch.free {
		c.wants = true // its own message, or another's, brings it on; see data
		*ch.granted++
		m.hbm(FlowControl{ch.me, ch.host})
	}
}

func (m *hostMachine) taken(*conn) {}

// leave ends c, and its channel if nobody else uses it.
func (m *hostMachine) leave(c *conn) {
	ch := c.ch
	ch.drop(c)
	ch.remove(c)
	if len(ch.conns) > 0 || ch.phase > connected {
		return
	}
	if ch.free {
		ch.finish(ENODEV)
		delete(m.fixed, ch.me)
		return
	}
	ch.phase, ch.out = disconnecting, nil
	ch.due = time.Now().Add(m.times.connect)
	m.hbm(DisconnectRequest{ch.me, ch.host})
}
