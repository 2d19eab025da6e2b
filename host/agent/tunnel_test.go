package agent_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/status"
)

// A tunnel that is open is closed, and AMT asked until it says so; one that does not come is told.
func TestTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAgent(t, firmware.Config{Generation: 16})
		var refused *status.Error
		if _, err := a.Tunnel(t.Context(), false); !errors.As(err, &refused) {
			t.Errorf("without a gateway: %v", err)
		}
		slow := make(chan struct{})
		var closed func()
		closed = m.TunnelOpened(func() {
			go func() { // its gateway takes a while
				time.Sleep(5 * time.Second)
				closed()
				close(slow)
			}()
		})
		begun := time.Now()
		now, err := a.Tunnel(t.Context(), true)
		if err != nil || now.Status != amthi.RemoteNotConnected {
			t.Errorf("closed: %+v, %v after %v", now, err, time.Since(begun))
		}
		<-slow
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		details, err := a.Details(ctx)
		if err != nil || details.Redirection == nil || details.MACs == nil || details.CIRALog == nil || details.EHBC == nil || bool(*details.EHBC) {
			t.Errorf("details %+v, %v", details, err)
		}
	})
}

// Old firmware does not know all commands: what it does not tell is left out.
func TestDetailsOfOldFirmware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAgent(t, firmware.Config{Generation: 8})
		details, err := a.Details(t.Context())
		if err != nil || details.CIRALog != nil || details.Security == nil {
			t.Errorf("%+v, %v", details, err)
		}
	})
}
