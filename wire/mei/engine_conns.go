package mei

// data takes a fragment.
func (m *engineMachine) data(p Packet) {
	at := pair{p.ME, p.Host}
	ch, c := m.live[at], m.clients[p.ME]
	if ch == nil && c != nil && c.Properties.Fixed && p.Host == 0 {
		ch = &channel{me: p.ME, props: c.Properties, phase: connected, free: true}
		m.live[at] = ch
		m.join(c, ch, 0)
	}
	if ch == nil || ch.phase != connected {
		m.log.Debug("mei: engine: data for nobody dropped", "me", p.ME, "host", p.Host)
		return
	}
	if !ch.arriving && !ch.free {
		if *ch.granted == 0 {
			m.log.Warn("mei: engine: message without credit", "me", p.ME, "host", p.Host)
			m.hangUp(at)
			return
		}
		*ch.granted--
		ch.holds = true
	}
	done, end, message, long := ch.arrive(p, true)
	if !done {
		return
	}
	if end == nil && ch.tagOK && ch.tag != 0 && m.caps&CapTags != 0 && ch.props.Tags {
		end = m.join(c, ch, ch.tag)
	}
	switch {
	case long || end == nil || !ch.tagOK:
		m.log.Warn("mei: engine: bad message", "me", p.ME, "host", p.Host, "tag", ch.tag)
		m.hangUp(at)
	case ch.free && len(end.inbox) >= inboxLimit:
	default:
		end.inbox = append(end.inbox, message)
		end.changed()
	}
}

// taken grants the next credit.
func (m *engineMachine) taken(c *conn) {
	if ch := c.ch; ch.phase == connected && !ch.free {
		ch.holds = false
		m.grant(ch)
	}
}

// hangUp ends a connection from this side.
func (m *engineMachine) hangUp(at pair) {
	ch := m.live[at]
	m.part(at)
	if !ch.free {
		m.live[at] = &channel{me: at.me, host: at.host, phase: disconnecting, credit: new(int), granted: new(int)}
		m.hbm(DisconnectRequest{at.me, at.host})
	}
}

// part forgets a connection. If it occupied the client's shared buffer, that is free again.
func (m *engineMachine) part(at pair) {
	ch := m.live[at]
	m.finish(ch)
	delete(m.live, at)
	if ch.props.SharedBuffer && ch.holds {
		m.grant(ch)
	}
}

// finish ends a connection; who has counted it may let in another.
func (m *engineMachine) finish(ch *channel) {
	ch.finish(ENODEV)
	if ch.admitted && m.release != nil {
		m.release(ch.props.Client)
	}
}

// occupied tells whether a message is in the buffer that the connections of a client share.
func (m *engineMachine) occupied(me uint8) bool {
	for at, ch := range m.live {
		if at.me == me && ch.holds {
			return true
		}
	}
	return false
}

// leave ends c, and its channel if nobody else uses it.
func (m *engineMachine) leave(c *conn) {
	ch := c.ch
	if ch.phase != connected {
		return
	}
	if len(ch.conns) == 1 {
		m.hangUp(pair{ch.me, ch.host})
		return
	}
	ch.drop(c)
	ch.remove(c)
	if len(c.inbox) > 0 {
		m.taken(c)
	}
}

// retire ends a client's connections and forgets it.
func (m *engineMachine) retire(me uint8) {
	for at := range m.live {
		if at.me == me && m.live[at].phase == connected {
			m.hangUp(at)
		}
	}
	delete(m.clients, me)
}
