package console

import (
	"context"
	"fmt"
	"slices"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/class/model"
)

// A Feature is something of a machine that can be switched on and off.
type Feature string

// The features.
const (
	FeatureListener Feature = "listener" // of redirection: without it there is neither SOL nor IDE-R
	FeatureSOL      Feature = "sol"
	FeatureIDER     Feature = "ider"
	FeatureKVM      Feature = "kvm"
	FeatureWeb      Feature = "web"      // the machine's own web page; gone with 16.1
	FeatureRecovery Feature = "recovery" // One-Click Recovery: boots from a URL or an option of the BIOS; 15 and newer
	FeatureErase    Feature = "erase"    // remote platform erase; 16 and newer
)

// AllFeatures returns them all.
func AllFeatures() []Feature {
	return []Feature{FeatureListener, FeatureSOL, FeatureIDER, FeatureKVM, FeatureWeb, FeatureRecovery, FeatureErase}
}

// A FeatureState is whether a feature is on.
type FeatureState struct {
	Feature Feature `json:"feature"`
	Has     bool    `json:"available"` // the machine has it
	On      bool    `json:"enabled"`
	Locked  bool    `json:"locked,omitempty"` // off in the setup menu of the firmware (MEBx): cannot be switched on from afar
}

// plainRelease is the last release with web pages and port 5900. Source: spec kvm.md section 1, wsman.md section 4.
var plainRelease = model.Release{Major: 16, Minor: 0}

// Features reads which features there are, and which are on.
func (c *Client) Features(ctx context.Context) ([]FeatureState, error) {
	v, err := c.switches(ctx)
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	return v.states(), nil
}

// switches is every switch of a machine, as read.
type switches struct {
	redirection *redirectionState
	kvm         bool // there is KVM
	locked      bool // and the setup menu forbids it
	web         *amt.WebUIService
	release     model.Release
	boot        bootView // service and caps only
}

func (c *Client) switches(ctx context.Context) (*switches, error) {
	v := &switches{}
	err := together(
		func() (err error) { v.redirection, err = c.redirectionState(ctx); return err },
		func() (err error) { v.web, err = ask[amt.WebUIService](ctx, c); return err },
		func() (err error) { v.release, err = c.firmwareRelease(ctx); return err },
		func() error {
			s, err := ask[ips.KVMRedirectionSettingData](ctx, c)
			v.locked = s != nil && s.EnabledByMEBx != nil && !*s.EnabledByMEBx
			return err
		},
		func() (err error) { v.boot.service, err = ask[cim.BootService](ctx, c); return err },
		func() (err error) { v.boot.caps, err = ask[amt.BootCapabilities](ctx, c); return err })
	if err != nil {
		return nil, err
	}
	v.kvm = c.knows("CIM_KVMRedirectionSAP")
	if v.boot.caps == nil {
		v.boot.caps = &amt.BootCapabilities{}
	}
	return v, nil
}

// states returns all features in the order of [AllFeatures].
func (v *switches) states() []FeatureState {
	r, web := v.redirection, v.web != nil && v.web.EnabledState != nil && v.release.Compare(plainRelease) <= 0
	bits, _ := v.boot.serviceBits()
	return []FeatureState{
		{Feature: FeatureListener, Has: true, On: r.listener},
		{Feature: FeatureSOL, Has: true, On: r.state&redirectionSOL != 0},
		{Feature: FeatureIDER, Has: true, On: r.state&redirectionIDER != 0},
		{Feature: FeatureKVM, Has: v.kvm, On: r.kvm && !v.locked, Locked: v.locked},
		{Feature: FeatureWeb, Has: web, On: web && *v.web.EnabledState == cim.EnabledStateEnabled},
		{Feature: FeatureRecovery, Has: v.boot.recovers(), On: bits&bootRecovery != 0},
		{Feature: FeatureErase, Has: v.boot.eraseParts() != nil, On: bits&bootErase != 0},
	}
}

// Bits of CIM_BootService.EnabledState above 32768. Source: spec power-and-boot.md section 4.
const (
	bootRecovery = 1
	bootErase    = 2
)

// recovers reports whether the BIOS knows any kind of recovery boot.
func (v *bootView) recovers() bool {
	return class.Value(v.caps.ForceUEFIHTTPSBoot) || class.Value(v.caps.ForceWinREBoot) || class.Value(v.caps.ForceUEFIPBABoot)
}

// SetFeatures switches features on or off, and returns all of them as the machine has them then. What is so already is
// left alone. To switch on what the machine does not have is an error that wraps [ErrUnsupported], what its setup menu forbids
// one that wraps [ErrNotOffered], and nothing is sent.
func (c *Client) SetFeatures(ctx context.Context, on bool, features ...Feature) ([]FeatureState, error) {
	now, err := c.setFeatures(ctx, on, features)
	if err != nil {
		return now, fmt.Errorf("switch features: %w", err)
	}
	return now, nil
}

func (c *Client) setFeatures(ctx context.Context, on bool, features []Feature) ([]FeatureState, error) {
	before, err := c.switches(ctx)
	if err != nil {
		return nil, err
	}
	now := before.states()
	after, web := *before.redirection, false
	had, _ := before.boot.serviceBits()
	boot := had
	for _, f := range features {
		i := slices.IndexFunc(now, func(s FeatureState) bool { return s.Feature == f })
		switch {
		case i < 0:
			return nil, fmt.Errorf("%w: unknown feature %q", ErrUsage, f)
		case !now[i].Has && on:
			return now, fmt.Errorf("%w: it has no %s", ErrUnsupported, f)
		case now[i].Locked && on:
			return now, fmt.Errorf("%w: %s is switched off in the setup menu of the firmware (MEBx), at the machine", ErrNotOffered, f)
		}
		switch f {
		case FeatureListener:
			after.listener = on
		case FeatureKVM:
			after.kvm = on
		case FeatureSOL:
			after.state = switchBit(after.state, redirectionSOL, on)
		case FeatureIDER:
			after.state = switchBit(after.state, redirectionIDER, on)
		case FeatureRecovery:
			boot = switchBit(boot, bootRecovery, on)
		case FeatureErase:
			boot = switchBit(boot, bootErase, on)
		case FeatureWeb:
			web = now[i].On != on
		}
	}
	if r := before.redirection; after.listener != r.listener || after.state != r.state || after.kvm != r.kvm {
		if err := c.setRedirection(ctx, r, &after); err != nil {
			return nil, err
		}
	}
	if web {
		state := cim.RequestedStateDisabled
		if on {
			state = cim.RequestedStateEnabled
		}
		if _, err := amt.WebUIServiceRequestStateChange.Invoke(ctx, c, amt.WebUIServiceRequestStateChangeIn{RequestedState: &state}); err != nil {
			return nil, err
		}
	}
	if boot != had {
		if err := c.bootService(ctx, boot); err != nil {
			return nil, err
		}
	}
	again, err := c.switches(ctx)
	if err != nil {
		return nil, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	now = again.states()
	for _, s := range now {
		if slices.Contains(features, s.Feature) && s.On != on {
			return now, fmt.Errorf("%s: %w", s.Feature, ErrDiffers)
		}
	}
	return now, nil
}

// switchBit returns bits with one of them as it is to be.
func switchBit(bits, bit uint16, on bool) uint16 {
	if on {
		return bits | bit
	}
	return bits &^ bit
}
