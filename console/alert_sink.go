package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/eventing"
	"github.com/outband/outband/wire/eventlog"
	"github.com/outband/outband/wire/pet"
	"github.com/outband/outband/wire/wsman"
)

// A ReceivedAlert is an event that a machine has sent.
type ReceivedAlert struct {
	From  netip.Addr         // who sent it
	Event *eventing.Delivery // by WS-Eventing; nil for a trap
	Trap  *pet.Trap          // nil for WS-Eventing
	PET   *eventlog.Trap     // what a platform event trap says; nil for other traps
}

// A Sink receives what machines send to those who have subscribed. Set fields before its first use.
type Sink struct {
	// Username and Password are what machines must give (HTTP digest); "" asks nobody.
	Username, Password string

	// OnAlert is told of each event, one at a time per connection. It must be safe for concurrent use.
	OnAlert func(ReceivedAlert)

	// OnBad is told of what is no event, and of wrong passwords; nil: nobody is.
	OnBad func(from netip.Addr, err error)

	server   atomic.Pointer[digest.Server]
	messages atomic.Uint64
}

// sinkRealm is the realm of our digest.
const sinkRealm = "outband"

// Limits of the sink.
const (
	sinkTimeout = 30 * time.Second
	sinkHeader  = 16 << 10 // octets
)

// ErrSinkPassword is an error of events that come with a wrong name or password.
var ErrSinkPassword = errors.New("wrong name or password")

// ServeHTTP takes one event and acknowledges it.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := addressOf(r.RemoteAddr)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, eventing.MaxEvent))
	if err != nil {
		s.bad(from, err)
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
		return
	}
	if !s.admit(w, r, body, from) {
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "events are posted here", http.StatusMethodNotAllowed)
		return
	}
	d, err := eventing.ParseDelivery(body)
	if err != nil {
		s.bad(from, err)
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	s.OnAlert(ReceivedAlert{From: from, Event: &d})
	if d.Ack {
		w.Header().Set("Content-Type", "application/soap+xml; charset=UTF-8")
		w.Write(eventing.Ack(d.MessageID, wsman.MessageID(s.messages.Add(1))))
	}
}

// admit checks name and password, and challenges.
func (s *Sink) admit(w http.ResponseWriter, r *http.Request, body []byte, from netip.Addr) bool {
	if s.Username == "" {
		return true
	}
	server := s.server.Load()
	if server == nil {
		s.server.CompareAndSwap(nil, digest.NewServer(sinkRealm, digest.ServerOptions{QOP: []string{"auth"}}))
		server = s.server.Load()
	}
	header := r.Header.Get("Authorization")
	stale := false
	if header != "" {
		_, err := server.Admit(header, r.Method, r.RequestURI, body, func(user string) ([16]byte, bool) {
			return digest.HA1(s.Username, sinkRealm, s.Password), user == s.Username
		})
		if err == nil {
			return true
		}
		if stale = errors.Is(err, digest.ErrStale); !stale {
			s.bad(from, ErrSinkPassword)
		}
	}
	w.Header().Set("WWW-Authenticate", server.Challenge(stale).String())
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (s *Sink) bad(from netip.Addr, err error) {
	if s.OnBad != nil {
		s.OnBad(from, err)
	}
}

func addressOf(text string) netip.Addr {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// Serve takes events that come by HTTP from a listener, over TLS if that is one of package tls, until ctx ends. It
// closes the listener and waits for requests under way.
func (s *Sink) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadTimeout: sinkTimeout, WriteTimeout: sinkTimeout, IdleTimeout: sinkTimeout, MaxHeaderBytes: sinkHeader}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("receive events: %w", err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(late); err != nil {
		server.Close()
	}
	<-ended
	return nil
}

// ServeTraps takes traps that come by UDP until ctx ends. It closes conn.
func (s *Sink) ServeTraps(ctx context.Context, conn net.PacketConn) error {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	buffer := make([]byte, pet.MaxDatagram+1)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive traps: %w", err)
		}
		at := addressOf(from.String())
		trap, err := pet.Parse(buffer[:n])
		if err != nil {
			s.bad(at, err)
			continue
		}
		alert := ReceivedAlert{From: at, Trap: &trap}
		switch event, err := trap.Event(); {
		case err == nil:
			alert.PET = &event
		case !errors.Is(err, pet.ErrNotPET):
			s.bad(at, err)
			continue
		}
		s.OnAlert(alert)
	}
}
