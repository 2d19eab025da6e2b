package firmware

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/eventing"
)

// How events are delivered. What real firmware does about a receiver that does not answer is not known.
const (
	maxQueued    = 32               // events that wait for one receiver; the oldest makes room
	alertTries   = 3                // for one event
	alertPause   = time.Second      // before the second try; twice that before the third
	alertTimeout = 10 * time.Second // for one try
)

// senders are the goroutines that deliver events, one for each receiver that has some waiting.
type senders struct {
	lock   sync.Mutex // guards what follows
	queues map[string][]func(ctx context.Context) error
	ctx    context.Context // of all deliveries; nil until the first
	cancel context.CancelFunc
	closed bool
	wg     sync.WaitGroup
}

// queue has an event sent to a receiver, after those that wait already.
func (s *senders) queue(m *Machine, key string, send func(ctx context.Context) error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		return
	}
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(context.Background())
		s.queues = make(map[string][]func(context.Context) error)
	}
	waiting, running := s.queues[key]
	if len(waiting) >= maxQueued {
		m.log.Warn("event dropped: the receiver is slow", "receiver", key)
		waiting = waiting[1:]
	}
	s.queues[key] = append(waiting, send)
	if !running {
		s.wg.Go(func() { s.run(m, key) })
	}
}

// run delivers to one receiver until nothing waits.
func (s *senders) run(m *Machine, key string) {
	for {
		s.lock.Lock()
		waiting := s.queues[key]
		if len(waiting) == 0 || s.closed {
			delete(s.queues, key)
			s.lock.Unlock()
			return
		}
		send := waiting[0]
		s.queues[key] = waiting[1:]
		s.lock.Unlock()
		var err error
		for try := range alertTries {
			if try > 0 && !wait(s.ctx, alertPause<<(try-1)) {
				break
			}
			if err = send(s.ctx); err == nil || errors.Is(err, errNoRetry) {
				break
			}
		}
		if err != nil && s.ctx.Err() == nil {
			m.log.Info("event not delivered", "receiver", key, "error", err)
		}
	}
}

// errNoRetry is an error of deliveries that would fail again.
var errNoRetry = errors.New("refused")

// forget drops what waits for a receiver.
func (s *senders) forget(key string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if waiting, ok := s.queues[key]; ok {
		s.queues[key] = waiting[:0]
	}
}

// close ends all deliveries and waits for them.
func (s *senders) close() {
	s.lock.Lock()
	s.closed = true
	if s.cancel != nil {
		s.cancel()
	}
	s.lock.Unlock()
	s.wg.Wait()
}

// closeWith returns what ends the deliveries after another thing.
func (s *senders) closeWith(other func()) func() {
	return func() {
		if other != nil {
			other()
		}
		s.close()
	}
}

// connect opens a connection to a receiver, from the machine's own address.
func (m *Machine) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if dial := m.hooks.Dial; dial != nil {
		return dial(ctx, network, address)
	}
	var d net.Dialer
	if ip := net.ParseIP(m.address()); ip != nil {
		if network == "udp" {
			d.LocalAddr = &net.UDPAddr{IP: ip}
		} else {
			d.LocalAddr = &net.TCPAddr{IP: ip}
		}
	}
	return d.DialContext(ctx, network, address)
}

// post delivers one event by HTTP, with digest authentication if the receiver asks for it.
func (m *Machine) post(ctx context.Context, s *subscription, d *eventing.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, alertTimeout)
	defer cancel()
	client := &http.Client{
		Transport: &http.Transport{
			DialContext:       m.connect,
			DisableKeepAlives: true, // nothing is left behind
			TLSClientConfig:   &tls.Config{RootCAs: m.trustedRoots(), MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	body := d.Append(nil)
	account := &digest.Client{Username: s.Username, Password: string(s.Password)}
	for try := 0; ; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Address, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("%w: %v", errNoRetry, err)
		}
		req.Header.Set("Content-Type", "application/soap+xml; charset=UTF-8")
		req.Header.Set("User-Agent", "Intel(R) AMT Agent")
		if try > 0 {
			header, ok := account.Authorize(http.MethodPost, req.URL.RequestURI(), body)
			if !ok {
				return fmt.Errorf("%w: no answer to the challenge", errNoRetry)
			}
			req.Header.Set("Authorization", header)
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, eventing.MaxEvent))
		resp.Body.Close()
		if resp.StatusCode == http.StatusUnauthorized && try == 0 && s.Username != "" {
			if _, err := account.Challenged(resp.Header.Values("WWW-Authenticate")); err != nil {
				return fmt.Errorf("%w: %v", errNoRetry, err)
			}
			continue
		}
		switch {
		case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
			return fmt.Errorf("%w: HTTP status %d", errNoRetry, resp.StatusCode)
		case resp.StatusCode/100 != 2:
			return fmt.Errorf("HTTP status %d", resp.StatusCode)
		case s.Ack && (err != nil || !eventing.IsAck(answer, d.MessageID)):
			return errors.New("not acknowledged")
		}
		return nil
	}
}

// trustedRoots returns the authorities that the machine trusts, for receivers with TLS.
func (m *Machine) trustedRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	ci := m.catalogue.classes["AMT_PublicKeyCertificate"]
	if ci == nil {
		return pool
	}
	for _, v := range m.views(ci) {
		if v.element.ChildText("TrustedRootCertficate") != "true" {
			continue
		}
		if der, err := base64.StdEncoding.DecodeString(v.element.ChildText("X509Certificate")); err == nil {
			if c, err := x509.ParseCertificate(der); err == nil {
				pool.AddCert(c)
			}
		}
	}
	return pool
}
