package conformance

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/outband/outband/wire/apf"
)

// TestChannelsAreConns: Go's own test of connections takes a channel for one, in both forms of the protocol.
func TestChannelsAreConns(t *testing.T) {
	for _, tt := range []struct {
		name            string
		device, gateway apf.Config
	}{
		{"CIRA", apf.Config{}, apf.Config{SkipAuth: true}},
		{"LME", apf.Config{LME: true, Window: 1024}, apf.Config{LME: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b := net.Pipe()
				type side struct {
					s   *apf.Session
					err error
				}
				started := make(chan side, 1)
				go func() {
					s, err := apf.Server(t.Context(), b, tt.gateway)
					started <- side{s, err}
				}()
				device, err := apf.Device(t.Context(), a, tt.device)
				gateway := <-started
				if err = errors.Join(err, gateway.err); err != nil {
					return nil, nil, nil, err
				}
				ln, err := device.Listen(t.Context(), "", 16992)
				if err != nil {
					return nil, nil, nil, err
				}
				if _, err := gateway.s.WaitForward(t.Context(), 16992); err != nil {
					return nil, nil, nil, err
				}
				accepted := make(chan net.Conn, 1)
				go func() {
					c, err := ln.Accept()
					if err == nil {
						accepted <- c
					}
				}()
				if c1, err = gateway.s.Dial(t.Context(), 16992); err != nil {
					return nil, nil, nil, err
				}
				c2 = <-accepted
				return c1, c2, func() {
					c1.Close()
					c2.Close()
					gateway.s.Close()
					device.Close()
				}, nil
			})
		})
	}
}
