package mei

// control answers an HBM message.
func (m *engineMachine) control(msg Message) {
	if m.ignore != nil && m.ignore(msg) {
		return
	}
	switch msg := msg.(type) {
	case StartRequest:
		ok := m.most.Least(msg.Version.Major, msg.Version.Minor)
		if ok {
			m.version = msg.Version
		}
		m.hbm(StartReply{Supported: ok, Version: m.most})
	case StopRequest:
		m.hbm(StopReply{})
		last := m.answers
		m.forget()
		m.up, m.answers = true, last
	case CapabilitiesRequest:
		m.caps = msg.Capabilities & m.grants
		m.hbm(CapabilitiesReply{m.caps})
	case DMASetupRequest: // no way into the host's memory
		m.hbm(DMASetupReply{StatusNotFound})
	case ClientMapRequest:
		m.hbm(ClientMapReply{StatusNotAllowed})
	case ClientUnmapRequest:
		m.hbm(ClientUnmapReply{StatusNotAllowed})
	case EnumerateRequest:
		m.dynamic = msg.AllowAdd && m.version.Least(2, 0)
		var valid [32]byte
		for addr := range m.clients {
			valid[addr/8] |= 1 << (addr % 8)
		}
		m.hbm(EnumerateReply{valid})
	case PropertiesRequest:
		c, ok := m.clients[msg.ME]
		if !ok {
			m.hbm(PropertiesReply{ME: msg.ME, Status: StatusNotFound})
			return
		}
		m.hbm(PropertiesReply{ME: msg.ME, Properties: c.Properties})
	case ConnectRequest:
		m.connect(msg)
	case DisconnectRequest:
		at := pair{msg.ME, msg.Host}
		status := StatusNotFound
		if m.live[at] != nil {
			m.part(at)
			status = StatusSuccess
		}
		m.hbm(DisconnectReply{msg.ME, msg.Host, status})
	case DisconnectReply:
		if at := (pair{msg.ME, msg.Host}); m.live[at] != nil && m.live[at].phase == disconnecting {
			delete(m.live, at)
		}
	case FlowControl:
		if ch := m.live[pair{msg.ME, msg.Host}]; ch != nil {
			*ch.credit++
		}
	case NotifyRequest:
		status := StatusNotFound
		if ch := m.live[pair{msg.ME, msg.Host}]; ch != nil && ch.phase == connected {
			ch.notify.on, status = msg.Start, StatusSuccess
		}
		m.hbm(NotifyReply{msg.ME, msg.Host, status, msg.Start})
	case GateEntryRequest:
		m.hbm(GateEntryReply{})
		m.dozing = m.version.Least(1, 1)
	}
	// Answers of the host (AddClientReply, GateExitReply and so on) need nothing more.
}

// connect judges a request.
func (m *engineMachine) connect(msg ConnectRequest) {
	at := pair{msg.ME, msg.Host}
	c, ok := m.clients[msg.ME]
	status := StatusSuccess
	switch {
	case !ok:
		status = StatusNotFound
	case msg.Host == 0 || c.Properties.Fixed:
		status = StatusNotAllowed
	case m.live[at] != nil && m.live[at].phase == connected:
		status = StatusAlreadyExists
	case m.count(msg.ME) >= int(max(c.Properties.MaxConnections, 1)):
		status = StatusRejected
	case m.admit != nil:
		status = m.admit(c.Properties.Client)
	}
	m.hbm(ConnectReply{msg.ME, msg.Host, status})
	if status != StatusSuccess {
		return
	}
	ch := &channel{me: msg.ME, host: msg.Host, props: c.Properties, phase: connected, credit: new(int), granted: new(int), admitted: m.admit != nil}
	m.live[at] = ch
	if c.Properties.SharedBuffer {
		ch.granted = &c.granted
		if c.granted == 0 && !m.occupied(msg.ME) {
			m.grant(ch)
		}
	} else {
		m.grant(ch)
	}
	m.join(c, ch, 0)
}

// count returns the connections of a client.
func (m *engineMachine) count(me uint8) (n int) {
	for at := range m.live {
		if at.me == me {
			n++
		}
	}
	return n
}

// join adds a connection to a channel and puts the client to work.
func (m *engineMachine) join(c *engineClient, ch *channel, tag uint8) *conn {
	end := &conn{ch: ch, tag: tag, empties: true}
	ch.conns = append(ch.conns, end)
	m.opened(c, end)
	return end
}

// grant lets the host send one message.
func (m *engineMachine) grant(ch *channel) {
	*ch.granted++
	msg := FlowControl{ch.me, ch.host}
	if ch.props.SharedBuffer {
		msg.Host = 0
	}
	m.hbm(msg)
}
