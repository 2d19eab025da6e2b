// Package lms is the Local Manageability Service: programs on a PC reach the PC's own AMT through it. It connects to the
// firmware's LME client over MEI, listens on the loopback interface on the ports that the firmware asks for, and carries
// each connection over an APF channel. It receives the firmware's local alerts, and tells the firmware what the operating
// system calls itself.
//
// There is one such service per PC: LME takes one connection. When the management engine restarts, or its driver goes
// away, the listeners are closed at once, so that programs see "connection refused" and no stall; then it starts over.
//
// It listens on loopback addresses only, whatever address the firmware asks for. It makes no connections and sends no
// datagrams for the firmware. What else the operating system owes AMT, packages power, upkeep and events know: they are
// handed the alerts by OnAlert, and do their [Task]s through this service. It does not edit the hosts file.
//
// Sources: spec lms.md, apf.md; intel/lms PortForwardingService, HostChangesNotificationService; RFC 4254.
package lms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/mei"
)

// Ports are those that may be forwarded: the ones of AMT. Others that the firmware asks for are refused.
var Ports = [...]int{16992, 16993, 16994, 16995, 623, 664}

// Limits and times.
const (
	channels   = 8                // firmware has so many on LME; spec apf.md section 4
	window     = 16 << 10         // octets that the firmware may send ahead on a channel: four of its messages
	maxConns   = 64               // connections of programs, those included that wait for a channel
	startTime  = 30 * time.Second // for the firmware to start port forwarding
	portsTime  = 5 * time.Second  // for it to ask for a port of WS-Management afterwards; spec lms.md section 3
	openTime   = 10 * time.Second // for a connection to get a channel
	leastPause = time.Second      // before starting over
	mostPause  = 30 * time.Second
)

// ErrNoPorts ends a session in which the firmware asks for no port of WS-Management, or none can be listened on.
var ErrNoPorts = errors.New("no port of AMT is forwarded")

// A State is what programs on the PC can expect.
type State struct {
	Ports []int // that are listened on, lowest first; none: AMT cannot be reached
	Err   error // why there are none, nil at first
}

// A Service forwards the ports of the PC's own AMT. The zero value of all fields but Bus works. Fields must not change
// once Run has begun.
type Service struct {
	Bus mei.Bus // to the management engine

	Addresses []netip.Addr // to listen on, loopback only; default 127.0.0.1 and ::1
	Channels  int          // connections that the firmware takes at once; default 8. More wait a while
	MaxConns  int          // connections at once, the waiting ones included; default 64. More are closed
	HostName  string       // of the operating system, for the firmware; "" tells it nothing

	Tasks []Task // what is told to AMT, or done to it, by the way

	OnState func(State)          // if set, is told each change; calls come one at a time
	OnAlert func(eventing.Alert) // if set, is told what the firmware has to say to the PC; must not block
	Log     *slog.Logger         // nil is silent

	// Listen, if set, opens the listeners instead of [net.ListenConfig]: for tests. Callers whose address is not a
	// loopback one are refused all the same.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
}

// Run forwards until ctx ends, and returns its cause then. It starts over by itself after a restart of the management
// engine. Other errors say that it cannot work here: no driver, no AMT, no permission; they wrap those of package mei.
func (s *Service) Run(ctx context.Context) error {
	for _, a := range s.Addresses {
		if !a.Unmap().IsLoopback() {
			return fmt.Errorf("lms: %v is not a loopback address", a)
		}
	}
	pause, worked, told := leastPause, false, ""
	for {
		up, err := s.session(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if up {
			worked, pause, told = true, leastPause, ""
		}
		s.state(State{Err: err})
		if !worked && !mei.Transient(err) && isBusError(err) {
			return fmt.Errorf("lms: %w", err)
		}
		if text := err.Error(); text != told { // once for each reason
			told = text
			s.log().Warn("AMT cannot be reached by programs on this PC; trying again", "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause = min(2*pause, mostPause)
	}
}

func isBusError(err error) bool {
	var e *mei.Error
	return errors.As(err, &e)
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func (s *Service) state(now State) {
	if s.OnState != nil {
		s.OnState(now)
	}
}

// session connects and forwards until ctx, or the session with the firmware, ends. up says that it has forwarded.
func (s *Service) session(ctx context.Context) (up bool, err error) {
	conn, err := s.Bus.Connect(ctx, mei.LME)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := newForwarder(ctx, s)
	defer f.close()
	starting, started := context.WithTimeoutCause(ctx, startTime, errors.New("the firmware does not start port forwarding"))
	defer started()
	f.session, err = apf.Server(starting, conn, apf.Config{
		LME: true, Direct: true, MaxMessage: conn.MaxMsgLen(), MaxChannels: f.most + alertChannels, Window: window,
		OnForward: f.forward, OnCancel: f.cancel,
	})
	if err != nil {
		return false, err
	}
	close(f.ready)
	defer f.session.Close()
	defer f.close() // first of all: nobody is to be taken who cannot be served
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { s.alerts(ctx, f) })
	waiting, waited := context.WithTimeoutCause(ctx, portsTime, ErrNoPorts)
	_, err = f.session.WaitForward(waiting, 16992, 16993)
	waited()
	if err != nil {
		return false, err
	}
	work.Go(func() { s.tellName(ctx) })
	work.Go(func() { f.tasks(ctx) })
	select {
	case <-f.session.Done():
		return true, f.session.Err()
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
}

// known reports whether a port is one of AMT's.
func known(port uint32) bool { return slices.Contains(Ports[:], int(port)) }
