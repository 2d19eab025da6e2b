package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/outband/outband/wire/apf"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/wsman"
)

// Ports of WS-Management.
const (
	portPlain = 16992
	portTLS   = 16993
)

// sessionTime is how long the firmware may take to open its ports to us.
const sessionTime = 30 * time.Second

// A channel leads to AMT's local ports. A session that ends is begun anew: some firmware ends it with each connection.
type channel struct {
	a    *Agent
	mu   sync.Mutex // guards what follows
	lme  *apf.Session
	port int // of WS-Management: 16992, or 16993 where there is TLS only
}

// open begins a session, or finds the program that has one.
func (a *Agent) open(ctx context.Context) (*channel, error) {
	ch := &channel{a: a}
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	err := ch.begin(ctx, true)
	if err == nil || a.Dial == nil || !errors.Is(err, mei.ErrBusy) {
		return ch, err
	}
	for _, port := range []int{portPlain, portTLS} {
		conn, failed := a.Dial(ctx, port)
		if failed == nil {
			conn.Close()
			ch.port = port
			return ch, nil
		}
		err = failed
	}
	return nil, fmt.Errorf("AMT's local ports: %w", err)
}

// begin begins a session. The lock is held.
func (ch *channel) begin(ctx context.Context, first bool) error {
	bus := ch.a.Bus
	if !first || ch.a.Dial == nil {
		bus = mei.Retry{Bus: bus}
	}
	conn, err := bus.Connect(ctx, mei.LME)
	if err != nil {
		return fmt.Errorf("AMT's local ports: %w", err)
	}
	s, err := apf.Server(ctx, conn, apf.Config{LME: true})
	if err != nil {
		return fmt.Errorf("AMT's local ports: %w", err)
	}
	f, err := s.WaitForward(ctx, portPlain, portTLS)
	if err != nil {
		s.Close()
		return fmt.Errorf("AMT's local ports: %w", err)
	}
	ch.lme = s
	if f.Port == portTLS { // which machines name first: is there a plain one?
		short, cancel := context.WithTimeout(ctx, announceTime)
		defer cancel()
		if plain, err := s.WaitForward(short, portPlain); err == nil {
			f = plain
		}
	}
	ch.port = int(f.Port)
	return nil
}

// announceTime is how long the next port may take to be named after the first.
const announceTime = 300 * time.Millisecond

// dial opens a connection to a port.
func (ch *channel) dial(ctx context.Context, port int) (net.Conn, error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.lme == nil {
		return ch.a.Dial(ctx, port)
	}
	select {
	case <-ch.lme.Done():
		if err := ch.begin(ctx, false); err != nil {
			return nil, err
		}
	default:
	}
	if _, err := ch.lme.WaitForward(ctx, port); err != nil {
		return nil, err
	}
	return ch.lme.Dial(ctx, port)
}

func (ch *channel) close() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.lme != nil {
		ch.lme.Close()
	}
}

// client returns a client of WS-Management that logs in as a user. Between the engine and us is nobody but the kernel,
// so whatever certificate AMT shows is taken.
func (ch *channel) client(user, password string) *wsman.Client {
	ch.mu.Lock()
	port := ch.port
	ch.mu.Unlock()
	return ch.over(port, user, password, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10})
}

// setupClient is client for setup over TLS: it shows the setup certificate, and wants the certificate that AMT has
// announced.
func (ch *channel) setupClient(c *Certificate, announced func(*x509.Certificate) error) *wsman.Client {
	return ch.over(portTLS, adminName, "", &tls.Config{
		InsecureSkipVerify: true, // its authorities are the chip maker's; the engine itself has named the certificate
		MinVersion:         tls.VersionTLS12,
		Certificates:       []tls.Certificate{c.tls()},
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrMaker
			}
			return announced(s.PeerCertificates[0])
		},
	})
}

func (ch *channel) over(port int, user, password string, config *tls.Config) *wsman.Client {
	return &wsman.Client{Username: user, Password: password, MaxConns: 1, Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := ch.dial(ctx, port)
		if err != nil || port == portPlain {
			return conn, err
		}
		c := tls.Client(conn, config)
		if err := c.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("TLS with AMT: %w", err)
		}
		return c, nil
	}}
}
