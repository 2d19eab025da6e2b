package wsman

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/outband/outband/wire/digest"
)

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"amt"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TLS brings records of its own, such as tickets and farewells, which must neither cost a connection nor hide its end.
func TestTLS(t *testing.T) {
	cert := selfSigned(t)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, over := range []string{"tcp", "pipe"} {
			t.Run(tls.VersionName(version)+" over "+over, func(t *testing.T) {
				g := newGuard(digest.ServerOptions{})
				m := &machine{answer: g.protect(serve(settings))}
				accept := func(c net.Conn) {
					m.accept(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}))
				}
				dial := pipeTo(accept)
				if over == "tcp" {
					dial = listenTo(t, accept)
				}
				c := m.client(t, &Client{Password: testPassword, Dial: func(ctx context.Context) (net.Conn, error) {
					nc, err := dial(ctx)
					if err != nil {
						return nil, err
					}
					tc := tls.Client(nc, &tls.Config{RootCAs: roots, ServerName: "amt"})
					return tc, tc.HandshakeContext(ctx)
				}})
				for range 5 {
					if _, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}}); err != nil {
						t.Fatal(err)
					}
				}
				if dials, requests, _ := m.count(); dials != 2 || requests != 6 {
					t.Errorf("%d dials, %d requests", dials, requests)
				}
				m.hangUp()
				if over == "tcp" {
					waitForFIN(t, c)
				}
				if _, err := Put(t.Context(), c, "CIM_Chip", nil, &Element{Name: Name{"", "x"}}); err != nil {
					t.Error(err)
				}
				if dials, requests, _ := m.count(); dials != 3 || requests != 7 {
					t.Errorf("%d dials, %d requests", dials, requests)
				}

				// Without TLS, the same port is no AMT.
				c = m.client(t, &Client{Dial: dial})
				if _, err := c.Probe(t.Context()); !errors.Is(err, ErrNotAMT) && !errors.Is(err, ErrCut) {
					t.Errorf("plain to TLS: %v", err)
				}
			})
		}
	}
}

// pipeTo returns a Dial over a pipe whose other end goes to accept.
func pipeTo(accept func(net.Conn)) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		accept(server)
		return client, nil
	}
}

// listenTo returns a Dial over a loopback port whose connections go to accept.
func listenTo(t testing.TB, accept func(net.Conn)) func(context.Context) (net.Conn, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accept(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}
}
