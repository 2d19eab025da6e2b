package console

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
)

// A BootService is what CIM_BootService lets consoles do at all: 15 and newer.
type BootService struct {
	Recovery bool // One-Click Recovery: boots from a URL or an option of the BIOS
	Erase    bool // remote platform erase, 16 and newer
}

// SetBootService switches recovery boot and platform erase on and off; nil leaves one as it is. It is read again. A
// machine that does not know it is an error that wraps [ErrUnsupported]; one whose BIOS forbids it refuses.
func (c *Client) SetBootService(ctx context.Context, recovery, erase *bool) (BootService, error) {
	now, err := c.setBootService(ctx, recovery, erase)
	if err != nil {
		return now, fmt.Errorf("boot service: %w", err)
	}
	return now, nil
}

func (c *Client) setBootService(ctx context.Context, recovery, erase *bool) (BootService, error) {
	view, err := c.bootView(ctx)
	if err != nil {
		return BootService{}, err
	}
	bits, ok := view.serviceBits()
	switch {
	case !ok && !class.Value(view.caps.ForceUEFIHTTPSBoot) && !class.Value(view.caps.ForceWinREBoot) && !class.Value(view.caps.ForceUEFIPBABoot) && view.eraseParts() == nil:
		return BootService{}, fmt.Errorf("%w: neither recovery boot nor platform erase (15 and newer)", ErrUnsupported)
	case erase != nil && *erase && view.eraseParts() == nil:
		return BootService{}, fmt.Errorf("%w: no remote platform erase (AMT_BootCapabilities.PlatformErase)", ErrUnsupported)
	}
	for _, change := range []struct {
		to  *bool
		bit uint16
	}{{recovery, 1}, {erase, 2}} {
		if change.to != nil {
			bits &^= change.bit
			if *change.to {
				bits |= change.bit
			}
		}
	}
	if err := c.bootService(ctx, bits); err != nil {
		return BootService{}, err
	}
	return BootService{Recovery: bits&1 != 0, Erase: bits&2 != 0}, nil
}

// bootService sets both, bit 0 recovery boot and bit 1 platform erase, and reads it again.
func (c *Client) bootService(ctx context.Context, bits uint16) error {
	state := uint16(cim.BootServiceEnabledStateOCRAndRPEDisabled) | bits
	if _, err := cim.BootServiceRequestStateChange.Invoke(ctx, c, cim.BootServiceRequestStateChangeIn{RequestedState: new(cim.BootServiceRequestedState(state))}); err != nil {
		return fmt.Errorf("the BIOS may forbid it: %w", err)
	}
	service, err := class.Get[cim.BootService](ctx, c)
	if err == nil && uint16(class.Value(service.EnabledState)) != state {
		err = fmt.Errorf("%w; the BIOS may forbid it", ErrDiffers)
	}
	return err
}
