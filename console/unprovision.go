package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
)

// A SetupState is how far the setup of a machine has come. Source: AMT_SetupAndConfigurationService; spec activation.md
// section 10.
type SetupState string

// The states.
const (
	SetupPre  SetupState = "not set up"
	SetupIn   SetupState = "waiting for its setup server"
	SetupPost SetupState = "set up"
)

// A Setup is how a machine was set up, and what keeps it from being unprovisioned.
type Setup struct {
	State    SetupState
	Mode     string   // "admin control mode", "client control mode"; "" if not told
	Blocking []string // components that forbid to unprovision it: "audit log"
}

// Setup reads how a machine was set up.
func (c *Client) Setup(ctx context.Context) (Setup, error) {
	s, err := c.setupNow(ctx)
	if err != nil {
		return s, fmt.Errorf("setup: %w", err)
	}
	return s, nil
}

func (c *Client) setupNow(ctx context.Context) (s Setup, err error) {
	var service *amt.SetupAndConfigurationService
	var blocking amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponentsOut
	err = together(
		func() (err error) { service, err = class.Get[amt.SetupAndConfigurationService](ctx, c); return err },
		func() error {
			out, err := amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponents.Invoke(ctx, c, amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponentsIn{})
			blocking = out
			return lenient(err) // older firmware does not tell
		})
	if err != nil {
		return s, err
	}
	switch class.Value(service.ProvisioningState) {
	case amt.SetupAndConfigurationServiceProvisioningStatePost:
		s.State = SetupPost
	case amt.SetupAndConfigurationServiceProvisioningStateIn:
		s.State = SetupIn
	default:
		s.State = SetupPre
	}
	switch class.Value(service.ProvisioningMode) {
	case amt.SetupAndConfigurationServiceProvisioningModeAdminControlMode:
		s.Mode = "admin control mode"
	case amt.SetupAndConfigurationServiceProvisioningModeClientControlMode:
		s.Mode = "client control mode"
	}
	for _, component := range blocking.Component {
		if component == 1 {
			s.Blocking = append(s.Blocking, "audit log")
		} else {
			s.Blocking = append(s.Blocking, fmt.Sprintf("component %d", component))
		}
	}
	return s, nil
}

// ErrBlocked is an error of [Client.Unprovision]: a component of the machine forbids it.
var ErrBlocked = fmt.Errorf("%w: blocked", ErrNotOffered)

// By what it is known that a machine was unprovisioned.
const (
	ProofClosed Proof = "port closed"      // nothing listens any more
	ProofVoid   Proof = "account is void"  // it answers, and knows the account no more
	ProofSetup  Proof = "setup read again" // it tells itself
)

// An UnprovisionResult is what came of unprovisioning.
type UnprovisionResult struct {
	Before Setup
	Proof  Proof
	Took   time.Duration
}

// unprovisionWait is how long the ports may take to close. Source: spec activation.md section 9, "some 10 s".
const unprovisionWait = time.Minute

// Unprovision takes a machine out of management: fully, so that it is what it was in the factory and somebody must set
// it up anew, mostly at the machine; or partially, so that it keeps the administrator's account, its name and its setup
// server, and waits for that. What blocks it is an [ErrBlocked] before anything is sent. It returns when the machine's
// ports are closed, or it does not know the account any more, or says itself that it is not set up; else
// [ErrNotReached] after wait, 0 for a minute. As the answer may get lost when the ports close, a request that was not
// answered is judged by that as well.
func (c *Client) Unprovision(ctx context.Context, partial bool, wait time.Duration) (UnprovisionResult, error) {
	began := time.Now()
	res, err := c.unprovision(ctx, partial, wait)
	res.Took = time.Since(began)
	if err != nil {
		return res, fmt.Errorf("unprovision: %w", err)
	}
	return res, nil
}

func (c *Client) unprovision(ctx context.Context, partial bool, wait time.Duration) (res UnprovisionResult, err error) {
	if res.Before, err = c.setupNow(ctx); err != nil {
		return res, err
	}
	switch {
	case len(res.Before.Blocking) > 0:
		return res, fmt.Errorf("%w by the %s: its auditor must agree first", ErrBlocked, res.Before.Blocking[0])
	case partial && res.Before.Mode == "client control mode":
		return res, fmt.Errorf("%w: in client control mode there is no setup server to wait for; unprovision it fully", ErrNotOffered)
	}
	if partial {
		_, err = amt.SetupAndConfigurationServicePartialUnprovision.Invoke(ctx, c, amt.SetupAndConfigurationServicePartialUnprovisionIn{})
	} else {
		_, err = amt.SetupAndConfigurationServiceUnprovision.Invoke(ctx, c, amt.SetupAndConfigurationServiceUnprovisionIn{
			ProvisioningMode: new(amt.SetupAndConfigurationServiceUnprovisionProvisioningModeEnterprise)})
	}
	var no *status.Error
	switch {
	case errors.As(err, &no) && no.Code == status.BlockingComponent:
		return res, fmt.Errorf("%w by a component of the machine: %w", ErrBlocked, err)
	case err != nil && !errors.Is(err, ErrIndeterminate):
		return res, err
	}
	if wait <= 0 {
		wait = unprovisionWait
	}
	proof, bad := c.awaitUnprovisioned(ctx, wait)
	if bad != nil {
		if err != nil {
			return res, err // nobody knows, and the machine does not show it
		}
		return res, bad
	}
	res.Proof = proof
	return res, nil
}

// awaitUnprovisioned looks again and again whether the machine is still set up.
func (c *Client) awaitUnprovisioned(ctx context.Context, wait time.Duration) (Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var last error
	for {
		proof, err := c.isUnprovisioned(ctx)
		if err == nil && proof != "" {
			return proof, nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if last != nil {
				return "", fmt.Errorf("%w: it still answers: %v", ErrNotReached, last)
			}
			return "", fmt.Errorf("%w: it still says that it is set up", ErrNotReached)
		case <-time.After(time.Second):
		}
	}
}

// isUnprovisioned returns the proof, "" if there is none.
func (c *Client) isUnprovisioned(ctx context.Context) (Proof, error) {
	if c.over == nil {
		at, err := c.Endpoint(ctx)
		if err != nil {
			return "", err
		}
		conn, err := c.reachable(ctx, at.Port)
		var gone *UnreachableError
		switch {
		case errors.As(err, &gone) && gone.Reason == Refused:
			return ProofClosed, nil
		case err != nil:
			return "", err // no answer may as well be the network
		}
		conn.Close()
	}
	s, err := c.setupNow(ctx)
	switch {
	case errors.Is(err, ErrUnauthorized):
		return ProofVoid, nil
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrCut), errors.Is(err, ErrNotProvisioned):
		return "", nil // on its way; the next look will tell
	case err != nil:
		return "", err
	case s.State != SetupPost:
		return ProofSetup, nil
	}
	return "", nil
}
