package firmware

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/mei"
)

// Limits of LME. Source: spec apf.md section 4.
const (
	lmeChannels = 8
	lmeStart    = 30 * time.Second // for the host to come to the point after it has connected
	lmePacket   = 4096             // octets of one message to the host, as real firmware sends them
	lmeWindow   = 16 << 10         // octets that a program on the PC may send ahead on a channel; machines grant 4 to 16 KiB
)

// lme is the session with the program on the PC that forwards its connections: LMS, or a program for setup that is its
// own.
type lme struct {
	m       *Machine
	ctx     context.Context
	session *apf.Session
	news    chan struct{} // holds one token when the ports may have changed
	work    sync.WaitGroup
	open    map[int]*apf.Listener // used by serve only

	closing bool // guarded by me.mu, like what follows
	alerts  int  // on their way to the PC
}

// serveLME forwards what programs on the PC want to say to AMT's ports, until the connection ends.
func (m *Machine) serveLME(ctx context.Context, c mei.Conn) {
	starting, cancel := context.WithTimeout(ctx, lmeStart)
	s, err := apf.Device(starting, c, apf.Config{LME: true, MaxChannels: lmeChannels, MaxMessage: min(lmePacket, c.MaxMsgLen()), Window: lmeWindow})
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			m.log.Info("LME", "error", err)
		}
		return
	}
	ctx, cancel = context.WithCancel(ctx)
	l := &lme{m: m, ctx: ctx, session: s, news: make(chan struct{}, 1), open: make(map[int]*apf.Listener)}
	m.me.mu.Lock()
	m.me.lme = l
	m.me.mu.Unlock()
	l.serve()
	m.me.mu.Lock()
	l.closing = true
	if m.me.lme == l { // not the next one already
		m.me.lme = nil
	}
	m.me.mu.Unlock()
	cancel()
	s.Close()
	l.work.Wait()
}

// serve keeps the ports forwarded that are open to the PC.
func (l *lme) serve() {
	for {
		l.refresh()
		select {
		case <-l.news:
		case <-l.session.Done():
			return
		case <-l.ctx.Done():
			return
		}
	}
}

// refresh asks for ports that were opened since, and takes those back that were closed. Ports with TLS come first, as
// real machines have it. Source: spec apf.md section 3.2.
func (l *lme) refresh() {
	want := l.m.LocalPorts()
	for port, ln := range l.open {
		if !slices.Contains(want, port) {
			ln.Close()
			delete(l.open, port)
		}
	}
	slices.SortFunc(want, func(a, b int) int { return rank(a) - rank(b) })
	for _, port := range want {
		if l.open[port] != nil {
			continue
		}
		ln, err := l.session.Listen(l.ctx, "", port)
		if err != nil {
			if l.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
				l.m.log.Info("the PC forwards no port", "port", port, "error", err)
			}
			continue
		}
		l.open[port] = ln
		l.work.Go(func() { l.accept(ln, port) })
	}
}

// lmePorts are the ports in the order in which machines ask for them.
var lmePorts = []int{PortHTTPS, PortHTTP, PortASFTLS, PortASF, PortRedirTLS, PortRedir}

func rank(port int) int {
	if at := slices.Index(lmePorts, port); at >= 0 {
		return at
	}
	return len(lmePorts) + port
}

// accept serves the connections to one port.
func (l *lme) accept(ln *apf.Listener, port int) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		l.work.Go(func() {
			if err := l.m.ServeLocalConn(l.ctx, conn, port); err != nil && l.ctx.Err() == nil {
				l.m.log.Info("connection from the PC", "port", port, "error", err)
			}
		})
	}
}

// localPortsChanged has the session with the PC look again at what is open.
func (x *me) localPortsChanged() {
	x.mu.Lock()
	l := x.lme
	x.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// LMS reports whether a program on the PC forwards its connections to AMT.
func (m *Machine) LMS() bool {
	m.me.mu.Lock()
	defer m.me.mu.Unlock()
	return m.me.lme != nil
}
