package console

import (
	"context"
	"fmt"
	"slices"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
)

// A Feature is something of a machine that can be switched on and off.
type Feature string

// The features.
const (
	FeatureListener Feature = "listener" // of redirection: without it there is neither SOL nor IDE-R
	FeatureSOL      Feature = "sol"
	FeatureIDER     Feature = "ider"
	FeatureKVM      Feature = "kvm"
	FeatureWeb      Feature = "web" // the machine's own web page
)

// AllFeatures returns them all.
func AllFeatures() []Feature {
	return []Feature{FeatureListener, FeatureSOL, FeatureIDER, FeatureKVM, FeatureWeb}
}

// A FeatureState is whether a feature is on.
type FeatureState struct {
	Feature Feature `json:"feature"`
	Has     bool    `json:"available"` // the machine has it
	On      bool    `json:"enabled"`
}

// Features reads which features there are, and which are on.
func (c *Client) Features(ctx context.Context) ([]FeatureState, error) {
	states, _, err := c.features(ctx)
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	return states, nil
}

func (c *Client) features(ctx context.Context) (states []FeatureState, r *redirectionState, err error) {
	var web *amt.WebUIService
	err = together(
		func() (err error) { r, err = c.redirectionState(ctx); return err },
		func() (err error) { web, err = ask[amt.WebUIService](ctx, c); return err })
	if err != nil {
		return nil, nil, err
	}
	return []FeatureState{
		{FeatureListener, true, r.listener},
		{FeatureSOL, true, r.state&redirectionSOL != 0},
		{FeatureIDER, true, r.state&redirectionIDER != 0},
		{FeatureKVM, c.knows("CIM_KVMRedirectionSAP"), r.kvm},
		{FeatureWeb, web != nil && web.EnabledState != nil, web != nil && class.Value(web.EnabledState) == cim.EnabledStateEnabled},
	}, r, nil
}

// SetFeatures switches features on or off, and returns all of them as the machine has them then. What is so already is
// left alone. A feature that the machine does not have is an error that wraps [ErrUnsupported], and nothing is sent.
func (c *Client) SetFeatures(ctx context.Context, on bool, features ...Feature) ([]FeatureState, error) {
	now, err := c.setFeatures(ctx, on, features)
	if err != nil {
		return now, fmt.Errorf("switch features: %w", err)
	}
	return now, nil
}

func (c *Client) setFeatures(ctx context.Context, on bool, features []Feature) ([]FeatureState, error) {
	now, before, err := c.features(ctx)
	if err != nil {
		return nil, err
	}
	after, web := *before, false
	for _, f := range features {
		i := slices.IndexFunc(now, func(s FeatureState) bool { return s.Feature == f })
		switch {
		case i < 0:
			return nil, fmt.Errorf("%w: unknown feature %q", ErrUsage, f)
		case !now[i].Has:
			return nil, fmt.Errorf("%w: the machine has no %s", ErrUnsupported, f)
		}
		switch f {
		case FeatureListener:
			after.listener = on
		case FeatureKVM:
			after.kvm = on
		case FeatureSOL, FeatureIDER:
			bit := uint16(redirectionSOL)
			if f == FeatureIDER {
				bit = redirectionIDER
			}
			if after.state &^= bit; on {
				after.state |= bit
			}
		case FeatureWeb:
			web = now[i].On != on
		}
	}
	if after.listener != before.listener || after.state != before.state || after.kvm != before.kvm {
		if err := c.setRedirection(ctx, before, &after); err != nil {
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
	if now, _, err = c.features(ctx); err != nil {
		return nil, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	for _, s := range now {
		if slices.Contains(features, s.Feature) && s.On != on {
			return now, fmt.Errorf("%s: %w", s.Feature, ErrDiffers)
		}
	}
	return now, nil
}

// KVMSettings are the settings of KVM. Nil is not told, or, in a change, left as it is. Source: spec kvm.md section 6.
type KVMSettings struct {
	VNCPort        *bool   `json:"vnc_port,omitempty"`                // port 5900 without redirection; gone with 16.1
	SessionTimeout *uint16 `json:"session_timeout_minutes,omitempty"` // of idle sessions; 0: none
	ConsentTimeout *uint16 `json:"consent_timeout_seconds,omitempty"` // for entering the code
	Screen         *uint8  `json:"default_screen,omitempty"`          // shown first, from 0

	Password string `json:"-"` // of port 5900, exactly 8 characters; never read back
}

// KVMSettings reads the settings of KVM. A machine without KVM is an error that wraps [ErrUnsupported].
func (c *Client) KVMSettings(ctx context.Context) (KVMSettings, error) {
	v, err := ask[ips.KVMRedirectionSettingData](ctx, c)
	if err == nil && v == nil {
		err = fmt.Errorf("%w: it has no KVM", ErrUnsupported)
	}
	if err != nil {
		return KVMSettings{}, fmt.Errorf("KVM settings: %w", err)
	}
	return KVMSettings{VNCPort: v.Is5900PortEnabled, SessionTimeout: v.SessionTimeout, ConsentTimeout: v.OptInPolicyTimeout, Screen: v.DefaultScreen}, nil
}

// checkRFBPassword tells what firmware will not like about the password of port 5900.
func checkRFBPassword(password string) error {
	if len(password) != 8 {
		return fmt.Errorf("%w: the password of port 5900 must have exactly 8 characters", ErrUsage)
	}
	return CheckPassword(password)
}

// SetKVMSettings changes settings of KVM and returns them as the machine has them then.
func (c *Client) SetKVMSettings(ctx context.Context, change KVMSettings) (KVMSettings, error) {
	now, err := c.setKVMSettings(ctx, change)
	if err != nil {
		return now, fmt.Errorf("set KVM settings: %w", err)
	}
	return now, nil
}

func (c *Client) setKVMSettings(ctx context.Context, change KVMSettings) (KVMSettings, error) {
	if change.Password != "" {
		if err := checkRFBPassword(change.Password); err != nil {
			return KVMSettings{}, err
		}
	}
	v, err := ask[ips.KVMRedirectionSettingData](ctx, c)
	if err != nil {
		return KVMSettings{}, err
	}
	if v == nil {
		return KVMSettings{}, fmt.Errorf("%w: it has no KVM", ErrUnsupported)
	}
	// New firmware refuses the port and its password even if they say what is so: they are sent only when asked for.
	v.Is5900PortEnabled, v.RFBPassword = change.VNCPort, nil
	if change.Password != "" {
		v.RFBPassword = &change.Password
	}
	if change.SessionTimeout != nil {
		v.SessionTimeout = change.SessionTimeout
	}
	if change.ConsentTimeout != nil {
		v.OptInPolicyTimeout = change.ConsentTimeout
	}
	if change.Screen != nil {
		v.DefaultScreen = change.Screen
	}
	if _, err := class.Put(ctx, c, v); err != nil {
		return KVMSettings{}, err
	}
	now, err := c.KVMSettings(ctx)
	if err != nil {
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if differs(change.VNCPort, now.VNCPort) || differs(change.SessionTimeout, now.SessionTimeout) ||
		differs(change.ConsentTimeout, now.ConsentTimeout) || differs(change.Screen, now.Screen) {
		return now, ErrDiffers
	}
	return now, nil
}

// differs tells that a wanted value is not the one that is there.
func differs[T comparable](want, now *T) bool { return want != nil && (now == nil || *now != *want) }
