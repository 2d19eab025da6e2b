package lms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/outband/outband/wire/apf"
)

// A forwarder is the listeners and connections of one session with the firmware.
type forwarder struct {
	s       *Service
	ctx     context.Context // ends with the session
	stop    context.CancelFunc
	most    int           // channels at once
	places  chan struct{} // holds a token per channel that is open
	session *apf.Session  // valid once ready is closed
	ready   chan struct{}
	work    sync.WaitGroup
	kicks   []chan struct{} // of each task: holds a token when it is to be done anew

	mu     sync.Mutex // guards what follows
	ports  map[uint32][]net.Listener
	waning map[*apf.Channel]time.Time // channels kept for the rest of an answer, and when AMT last said something there
	conns  int
	closed bool
}

func newForwarder(ctx context.Context, s *Service) *forwarder {
	most := s.Channels
	if most <= 0 {
		most = channels
	}
	f := &forwarder{s: s, most: most, places: make(chan struct{}, most), ready: make(chan struct{}), ports: make(map[uint32][]net.Listener),
		waning: make(map[*apf.Channel]time.Time),
		kicks:  make([]chan struct{}, len(s.Tasks))}
	for i := range f.kicks {
		f.kicks[i] = make(chan struct{}, 1)
	}
	f.ctx, f.stop = context.WithCancel(ctx)
	return f
}

// close ends all listeners and connections and waits for them. The session has ended, or never began.
func (f *forwarder) close() {
	f.stop()
	f.mu.Lock()
	f.closed = true
	for port := range f.ports {
		f.unlisten(port)
	}
	f.mu.Unlock()
	f.work.Wait()
}

// forward listens on a port of the PC for the firmware. Whatever address it asks for, only programs on the PC are let in.
func (f *forwarder) forward(ctx context.Context, w apf.Forward) error {
	err := f.listen(ctx, w.Port)
	if err != nil {
		f.s.log().Warn("port is not forwarded", "port", w.Port, "error", err)
	}
	return err
}

func (f *forwarder) listen(ctx context.Context, port uint32) error {
	if !known(port) {
		return fmt.Errorf("%d is no port of AMT", port)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return net.ErrClosed
	}
	if f.ports[port] != nil {
		return fmt.Errorf("port %d is forwarded already", port)
	}
	listeners, err := f.s.listeners(ctx, port)
	if err != nil {
		return err
	}
	f.ports[port] = listeners
	for _, ln := range listeners {
		f.work.Go(func() { f.accept(ln, int(port)) })
	}
	f.s.log().Info("listening", "port", port)
	f.told()
	return nil
}

// cancel ends listening; connections stay.
func (f *forwarder) cancel(_ context.Context, w apf.Forward) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ports[w.Port] == nil {
		return
	}
	f.unlisten(w.Port)
	f.s.log().Info("listening no more", "port", w.Port)
	f.told()
}

// unlisten closes the listeners of a port. The lock is held.
func (f *forwarder) unlisten(port uint32) {
	for _, ln := range f.ports[port] {
		ln.Close()
	}
	delete(f.ports, port)
}

// told tells which ports there are. The lock is held.
func (f *forwarder) told() {
	ports := make([]int, 0, len(f.ports))
	for port := range maps.Keys(f.ports) {
		ports = append(ports, int(port))
	}
	slices.Sort(ports)
	f.s.state(State{Ports: ports})
}

// listeners opens a port on all addresses. An address that this computer does not have (no IPv6) is passed over, unless
// it is the last; a port that another program has is an error.
func (s *Service) listeners(ctx context.Context, port uint32) (open []net.Listener, err error) {
	addresses := s.Addresses
	if len(addresses) == 0 {
		addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	listen := s.Listen
	if listen == nil {
		var config net.ListenConfig
		listen = config.Listen
	}
	for _, a := range addresses {
		ln, e := listen(ctx, "tcp", net.JoinHostPort(a.String(), strconv.Itoa(int(port))))
		if e == nil {
			open = append(open, ln)
			continue
		}
		err = e
		if !errors.Is(e, syscall.EADDRNOTAVAIL) && !errors.Is(e, syscall.EAFNOSUPPORT) {
			for _, ln := range open {
				ln.Close()
			}
			return nil, e
		}
	}
	if len(open) == 0 {
		return nil, err
	}
	return open, nil
}
