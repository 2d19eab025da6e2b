package firmware

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Ports of AMT. Source: spec wsman.md section 1.
const (
	PortHTTP     = 16992 // WS-Man, web pages, SOAP
	PortHTTPS    = 16993 // the same over TLS
	PortASF      = 623   // WS-Man for DASH consoles
	PortASFTLS   = 664   // the same over TLS
	PortRedir    = 16994 // redirection
	PortRedirTLS = 16995 // the same over TLS
	PortRFB      = 5900  // VNC
)

// ErrPortClosed tells that nothing answers on that port, on this release or as the machine is set up now.
var ErrPortClosed = errors.New("port closed")

func registerPorts(t *table) {
	plain := service{
		on: (*Machine).plainOpen,
		serve: func(ctx context.Context, m *Machine, conn net.Conn, from origin) error {
			return m.serveHTTP(ctx, conn, from)
		},
		slots: true,
	}
	secure := service{
		on: (*Machine).tlsOpen,
		serve: func(ctx context.Context, m *Machine, conn net.Conn, from origin) error {
			c, err := m.handshake(ctx, conn, from.local)
			if err != nil {
				return err
			}
			from.secure = true
			from.setup = from.local && m.setupPeer(c)
			return m.serveHTTP(ctx, c, from)
		},
		slots: true,
	}
	t.port(PortHTTP, plain)
	t.port(PortASF, plain)
	t.port(PortHTTPS, secure)
	t.port(PortASFTLS, secure)
	t.route("/wsman", route{serve: serveWSMan})
}

// tlsOpen reports whether the TLS ports are open: on the network always on releases that have nothing else, and where
// AMT_TLSSettingData said so when it was committed. Local and network interface have settings of their own.
func (m *Machine) tlsOpen(local bool) bool {
	if !local && m.ControlMode() == ModeNone || m.amtOff() {
		return false
	}
	return m.tlsOnly(local) || m.tls(local).Enabled || local && m.tlsSetup() != nil
}

// plainOpen reports whether ports without TLS are open. With TLS on they are if AcceptNonSecureConnections says so.
func (m *Machine) plainOpen(local bool) bool {
	if m.tlsOnly(local) || !local && m.ControlMode() == ModeNone || m.amtOff() {
		return false
	}
	s := m.tls(local)
	return !s.Enabled || s.Plain
}

// tlsOnly reports whether the release speaks nothing but TLS there: on the network since 16.1, on the local interface
// since 19. Source: spec wsman.md sections 1 and 12, ecosystem conclusion 4.
func (m *Machine) tlsOnly(local bool) bool {
	if local {
		return !m.profile.Before(19, 0)
	}
	return !m.profile.Plain
}

// ServeConn speaks on one connection, whatever carries it, as if it had come in on that port, until the client goes, the
// connection fails or the context ends. It closes the connection. A client that goes away is no error; a port that is
// not open is [ErrPortClosed].
func (m *Machine) ServeConn(ctx context.Context, conn net.Conn, port int) error {
	return m.serveConn(ctx, conn, origin{port: port})
}

// ServeLocalConn is ServeConn for a connection from the PC itself, which comes through the LMS of its operating system:
// accounts and TLS of the local interface count.
func (m *Machine) ServeLocalConn(ctx context.Context, conn net.Conn, port int) error {
	return m.serveConn(ctx, conn, origin{port: port, local: true})
}

func (m *Machine) serveConn(ctx context.Context, conn net.Conn, from origin) error {
	defer conn.Close()
	port := from.port
	s, ok := m.table.ports[port]
	if !ok || s.on != nil && !s.on(m, from.local) || m.powerOf() == G3 || m.closedOutside(from) || !from.local && m.asleep() {
		return fmt.Errorf("firmware: port %d: %w", port, ErrPortClosed)
	}
	if s.slots {
		select {
		case m.slots <- struct{}{}:
			defer func() { <-m.slots }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err := s.serve(ctx, m, conn, from)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Ports returns the ports that are open to the network now, lowest first.
func (m *Machine) Ports() []int { return m.ports(false) }

// LocalPorts returns the ports that are open to the PC itself now, lowest first.
func (m *Machine) LocalPorts() []int { return m.ports(true) }

func (m *Machine) ports(local bool) []int {
	var out []int
	if m.closedOutside(origin{local: local}) || !local && m.asleep() {
		return nil
	}
	for port, s := range m.table.ports {
		if s.on == nil || s.on(m, local) {
			out = append(out, port)
		}
	}
	slices.Sort(out)
	return out
}

// A Listener is a machine on an IP address, on the ports that AMT has. Ports come and go as the machine's settings
// change.
type Listener struct {
	m      *Machine
	home   string // address given to Listen
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	address string     // changes with the machine's settings; see move
	open    map[int]net.Listener
	rmcp    net.PacketConn // presence pings, UDP port 623
	refused map[int]error  // could not be opened: ports below 1024 want a privilege
	closed  bool
}

// listeners are those of one machine.
type listeners struct {
	mu  sync.Mutex
	all []*Listener
}

// Listen opens the ports that are open now on an IP address, and goes on until the context ends or Close. Ports 623 and
// 664, TCP and UDP, are left out where the process may not open them; the others must succeed.
func (m *Machine) Listen(ctx context.Context, address string) (*Listener, error) {
	ctx, cancel := context.WithCancel(ctx)
	l := &Listener{m: m, home: address, address: address, ctx: ctx, cancel: cancel, open: make(map[int]net.Listener), refused: make(map[int]error)}
	if err := l.refresh(); err != nil {
		l.Close()
		return nil, err
	}
	m.listeners.mu.Lock()
	m.listeners.all = append(m.listeners.all, l)
	m.listeners.mu.Unlock()
	l.listenRMCP()
	context.AfterFunc(ctx, l.shut)
	return l, nil
}

// listenRMCP opens UDP port 623, if the process may.
func (l *Listener) listenRMCP() {
	var config net.ListenConfig
	l.mu.Lock()
	address := l.address
	l.mu.Unlock()
	conn, err := config.ListenPacket(l.ctx, "udp", net.JoinHostPort(address, strconv.Itoa(PortASF)))
	if err != nil {
		l.m.log.Debug("no presence pings", "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return
	}
	l.rmcp = conn
	l.wg.Go(func() {
		if err := l.m.ServeRMCP(l.ctx, conn); err != nil && l.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
			l.m.log.Warn("presence pings", "error", err)
		}
	})
}

// refresh opens and closes ports until they are as the machine wants them.
func (l *Listener) refresh() error {
	want := l.m.Ports()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	for port, ln := range l.open {
		if !slices.Contains(want, port) {
			ln.Close()
			delete(l.open, port)
		}
	}
	var config net.ListenConfig
	for _, port := range want {
		if l.open[port] != nil {
			continue
		}
		ln, err := config.Listen(l.ctx, "tcp", net.JoinHostPort(l.address, strconv.Itoa(port)))
		if err != nil {
			l.refused[port] = err
			if port == PortASF || port == PortASFTLS {
				continue
			}
			return fmt.Errorf("firmware: %w", err)
		}
		delete(l.refused, port)
		l.open[port] = ln
		l.wg.Go(func() { l.accept(ln, port) })
	}
	return nil
}

// portsChanged has all listeners look again at what is open. Connections that stand are not cut, but for sessions of
// redirection that was switched off.
func (m *Machine) portsChanged() {
	m.redirectionChanged()
	m.me.localPortsChanged()
	m.requireWatchdog()
	m.listeners.mu.Lock()
	all := slices.Clone(m.listeners.all)
	m.listeners.mu.Unlock()
	for _, l := range all {
		if err := l.refresh(); err != nil {
			m.log.Warn("listen", "error", err)
		}
	}
}

func (l *Listener) accept(ln net.Listener, port int) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil {
				return
			}
			l.m.log.Warn("accept", "port", port, "error", err)
			if !wait(l.ctx, 50*time.Millisecond) { // out of file descriptors, mostly
				return
			}
			continue
		}
		l.wg.Go(func() {
			if err := l.m.ServeConn(l.ctx, conn, port); err != nil && l.ctx.Err() == nil {
				l.m.log.Info("connection", "port", port, "error", err)
			}
		})
	}
}

// Ports returns the ports that are open, lowest first.
func (l *Listener) Ports() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []int
	for port := range l.open {
		out = append(out, port)
	}
	slices.Sort(out)
	return out
}

// Refused returns why a port is not open that should be, or nil.
func (l *Listener) Refused(port int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused[port]
}

func (l *Listener) shut() {
	l.mu.Lock()
	l.closed = true
	for port, ln := range l.open {
		ln.Close()
		delete(l.open, port)
	}
	if l.rmcp != nil {
		l.rmcp.Close()
	}
	l.mu.Unlock()
	m := l.m
	m.listeners.mu.Lock()
	m.listeners.all = slices.DeleteFunc(m.listeners.all, func(other *Listener) bool { return other == l })
	m.listeners.mu.Unlock()
}

// Close closes ports and connections and waits until all are done.
func (l *Listener) Close() error {
	l.cancel()
	l.shut()
	l.wg.Wait()
	return nil
}

// handshake makes a TLS server connection with the settings of the network or of the local interface.
func (m *Machine) handshake(ctx context.Context, conn net.Conn, local bool) (net.Conn, error) {
	config, err := m.tlsConfig(local)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	c := tls.Server(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("firmware: tls: %w", err)
	}
	return c, nil
}
