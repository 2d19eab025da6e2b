package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/status"
)

// A Configuration is remote configuration: AMT says hello to a setup server, which sets it up. Source: spec amthi.md
// section 3.8, activation.md section 5.
type Configuration struct {
	Mode   amthi.ControlMode
	State  amthi.ProvisioningState   // InProvisioning: it says hello, and lets a setup server in
	Server amthi.ConfigurationServer // an empty name: the host "ProvisionServer" of its own domain
	Done   bool                      // it was changed, rather than found so
}

// StartOptions are how remote configuration begins.
type StartOptions struct {
	IPv6 bool
	// OTP is a password of 8 to 32 characters that the setup server compares with what it was told; "": none.
	OTP string
}

// GoString keeps the password to itself.
func (StartOptions) GoString() string { return "agent.StartOptions{}" }

// lengths of the one-time password
const (
	minOTP = 8
	maxOTP = 32
)

// StartConfiguration has AMT look for its setup server, and returns when AMT says that it does. One that does already is
// left alone; one that is set up is an error that wraps ErrState.
func (a *Agent) StartConfiguration(ctx context.Context, o StartOptions) (Configuration, error) {
	if n := len(o.OTP); n != 0 && (n < minOTP || n > maxOTP) {
		return Configuration{}, fmt.Errorf("start configuration: %w: the one-time password has %d characters, not %d to %d", ErrWeak, n, minOTP, maxOTP)
	}
	c, err := a.configuration(ctx, amthi.InProvisioning, func(c *amthi.Client) error {
		if o.OTP != "" {
			if _, err := amthi.Do(ctx, c, amthi.SetServerOTP, amthi.Text(o.OTP)); err != nil {
				return err
			}
		}
		if o.IPv6 {
			_, err := amthi.Do(ctx, c, amthi.StartConfigurationEx, amthi.Bool(true))
			return err
		}
		_, err := amthi.Do(ctx, c, amthi.StartConfiguration, amthi.None{})
		return err
	})
	var refused *status.Error
	if errors.As(err, &refused) && refused.Code == status.NotReady {
		err = fmt.Errorf("%w: it knows no setup server and has no domain of its own from DHCP (option 15) to look for one in: %w", ErrState, err)
	}
	if err != nil {
		return c, fmt.Errorf("start configuration: %w", err)
	}
	return c, nil
}

// StopConfiguration has AMT look for no setup server any more, and returns when AMT says so. One that does not is left
// alone; one that is set up is an error that wraps ErrState.
func (a *Agent) StopConfiguration(ctx context.Context) (Configuration, error) {
	c, err := a.configuration(ctx, amthi.PreProvisioning, func(c *amthi.Client) error { return c.StopConfiguration(ctx) })
	if err != nil {
		return c, fmt.Errorf("stop configuration: %w", err)
	}
	return c, nil
}

// configuration brings AMT to a state by do, and reads it again.
func (a *Agent) configuration(ctx context.Context, want amthi.ProvisioningState, do func(*amthi.Client) error) (c Configuration, err error) {
	look := func() error {
		c.Mode, c.State, err = a.now(ctx)
		return err
	}
	if err := look(); err != nil {
		return c, err
	}
	if c.State == want {
		return c, a.server(ctx, &c)
	}
	if c.Mode != amthi.NotProvisioned {
		return c, fmt.Errorf("%w: it is set up, in %v", ErrState, c.Mode)
	}
	if err := a.ask(ctx, do); err != nil {
		return c, err
	}
	c.Done = true
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		err := look()
		if err == nil && c.State == want {
			return c, a.server(ctx, &c)
		}
		if !pause(ctx, lookEvery) {
			return c, errors.Join(err, fmt.Errorf("%w: AMT is in %v", ErrNotReached, c.State))
		}
	}
}

// server asks where the setup server is. Firmware that has no such command leaves it open.
func (a *Agent) server(ctx context.Context, c *Configuration) error {
	err := a.ask(ctx, func(client *amthi.Client) (err error) {
		c.Server, err = amthi.Do(ctx, client, amthi.GetConfigurationServer, amthi.None{})
		return err
	})
	var refused *status.Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}
