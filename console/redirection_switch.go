package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/redir"
)

// Bits of AMT_RedirectionService.EnabledState above 32768. Source: spec redirection.md section 2.
const (
	redirectionNone = 32768
	redirectionIDER = 1
	redirectionSOL  = 2
)

// RedirectionOff tells what keeps a session of a kind from starting: "the listener", "KVM", "SOL", "IDE-R"; nothing if
// all is switched on.
func (c *Client) RedirectionOff(ctx context.Context, kind redir.Kind) ([]string, error) {
	s, err := c.redirectionState(ctx)
	if err != nil {
		return nil, err
	}
	return s.off(kind), nil
}

// EnableRedirection switches on what a session of a kind needs. restore puts back what was off, and must be called when
// the session is over; it switches nothing off that was on before.
func (c *Client) EnableRedirection(ctx context.Context, kind redir.Kind) (restore func(ctx context.Context) error, err error) {
	before, err := c.redirectionState(ctx)
	if err != nil {
		return nil, err
	}
	want := *before
	if kind == redir.KVM {
		want.kvm = true
	} else {
		want.listener = true
		want.state |= redirectionBit(kind)
	}
	restore = func(ctx context.Context) error { return c.restoreRedirection(ctx, kind, before) }
	if err := c.setRedirection(ctx, before, &want); err != nil {
		// Part of it may have been done, or all, if ctx has ended behind it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTime)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("switch %v on: %w", kind, err), restore(ctx))
	}
	return restore, nil
}

// restoreTime is for taking back what was not to be.
const restoreTime = 20 * time.Second

// restoreRedirection switches off what was off before.
func (c *Client) restoreRedirection(ctx context.Context, kind redir.Kind, before *redirectionState) error {
	now, err := c.redirectionState(ctx)
	if err != nil {
		return fmt.Errorf("switch %v off again: %w", kind, err)
	}
	back := *now
	if kind == redir.KVM {
		back.kvm = back.kvm && before.kvm
	} else {
		back.listener = back.listener && before.listener
		back.state = now.state &^ (redirectionBit(kind) &^ before.state)
	}
	if err := c.setRedirection(ctx, now, &back); err != nil {
		return fmt.Errorf("switch %v off again: %w", kind, err)
	}
	return nil
}

func redirectionBit(kind redir.Kind) uint16 {
	if kind == redir.IDER {
		return redirectionIDER
	}
	return redirectionSOL
}

// A redirectionState is which switches of redirection are on.
type redirectionState struct {
	service  *amt.RedirectionService
	listener bool
	state    uint16 // bits of SOL and IDE-R
	kvm      bool
}

func (c *Client) redirectionState(ctx context.Context) (*redirectionState, error) {
	s := &redirectionState{}
	err := together(func() (err error) {
		s.service, err = class.Get[amt.RedirectionService](ctx, c)
		return err
	}, func() error {
		sap, err := ask[cim.KVMRedirectionSAP](ctx, c)
		if sap != nil {
			state := class.Value(sap.EnabledState)
			s.kvm = state == 2 || state == 6 // enabled; enabled, but nobody is there
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("switches of redirection: %w", err)
	}
	s.listener = class.Value(s.service.ListenerEnabled)
	s.state = uint16(class.Value(s.service.EnabledState)) & (redirectionIDER | redirectionSOL)
	return s, nil
}

func (s *redirectionState) off(kind redir.Kind) (off []string) {
	if kind == redir.KVM {
		if !s.kvm {
			off = append(off, kind.String())
		}
		return off
	}
	if s.state&redirectionBit(kind) == 0 {
		off = append(off, kind.String())
	}
	if !s.listener {
		off = append(off, "the listener")
	}
	return off
}

// setRedirection changes what differs, and reads it again.
func (c *Client) setRedirection(ctx context.Context, now, want *redirectionState) error {
	if now.kvm != want.kvm {
		state := cim.RequestedState(3)
		if want.kvm {
			state = 2
		}
		if _, err := cim.KVMRedirectionSAPRequestStateChange.Invoke(ctx, c, cim.KVMRedirectionSAPRequestStateChangeIn{RequestedState: &state}); err != nil {
			return err
		}
	}
	if now.state != want.state {
		state := amt.RedirectionServiceRequestedState(redirectionNone + want.state)
		if _, err := amt.RedirectionServiceRequestStateChange.Invoke(ctx, c, amt.RedirectionServiceRequestStateChangeIn{RequestedState: &state}); err != nil {
			return err
		}
	}
	if now.listener != want.listener {
		service := *now.service
		service.ListenerEnabled = &want.listener
		enabled := amt.RedirectionServiceEnabledState(redirectionNone + want.state)
		service.EnabledState = &enabled
		if _, err := class.Put(ctx, c, &service); err != nil {
			return err
		}
	}
	got, err := c.redirectionState(ctx)
	if err != nil {
		return err
	}
	if got.kvm != want.kvm || got.state != want.state || got.listener != want.listener {
		return fmt.Errorf("the machine accepted it, and did not do it: %w", ErrNotReached)
	}
	return nil
}
