package agent_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/amthi"
)

// TestConfiguration: AMT looks for its setup server and stops doing so; twice the same is nothing.
func TestConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAgent(t, firmware.Config{Generation: 16, Factory: true})
		for _, tt := range []struct {
			do    func() (agent.Configuration, error)
			state amthi.ProvisioningState
			done  bool
		}{
			{func() (agent.Configuration, error) { return a.StopConfiguration(t.Context()) }, amthi.PreProvisioning, false},
			{func() (agent.Configuration, error) {
				return a.StartConfiguration(t.Context(), agent.StartOptions{OTP: "one-time"})
			}, amthi.InProvisioning, true},
			{func() (agent.Configuration, error) {
				return a.StartConfiguration(t.Context(), agent.StartOptions{})
			}, amthi.InProvisioning, false},
			{func() (agent.Configuration, error) { return a.StopConfiguration(t.Context()) }, amthi.PreProvisioning, true},
		} {
			c, err := tt.do()
			if err != nil || c.State != tt.state || c.Done != tt.done || c.Server.Port != 9971 {
				t.Fatalf("%+v, %v; want %v, done %v", c, err, tt.state, tt.done)
			}
			if info, err := a.Info(t.Context()); err != nil || info.State != tt.state {
				t.Errorf("read again: %v, %v; want %v", info.State, err, tt.state)
			}
		}
		if _, err := a.StartConfiguration(t.Context(), agent.StartOptions{OTP: "short"}); !errors.Is(err, agent.ErrWeak) {
			t.Errorf("short password: %v", err)
		}
	})
}

// TestConfigurationRefused: a machine that is set up looks for no setup server.
func TestConfigurationRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAgent(t, firmware.Config{Generation: 16})
		if _, err := a.StartConfiguration(t.Context(), agent.StartOptions{}); !errors.Is(err, agent.ErrState) {
			t.Errorf("start: %v", err)
		}
		if _, err := a.StopConfiguration(t.Context()); !errors.Is(err, agent.ErrState) {
			t.Errorf("stop: %v", err)
		}
	})
}
