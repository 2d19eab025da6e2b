package console

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/class/model"
)

// KVMSettings are the settings of KVM. Nil is not told, or, in a change, left as it is. Source: spec kvm.md section 6.
type KVMSettings struct {
	VNCPort        *bool   `json:"vnc_port,omitempty"`                // port 5900 without redirection; gone with 16.1
	SessionTimeout *uint16 `json:"session_timeout_minutes,omitempty"` // of idle sessions; 0: none
	ConsentTimeout *uint16 `json:"consent_timeout_seconds,omitempty"` // for entering the code
	Screen         *uint8  `json:"default_screen,omitempty"`          // shown first, from 0

	Password string `json:"-"` // of port 5900, exactly 8 characters; never read back
}

// rfbPasswordLength is what firmware takes, no more and no less. Source: spec kvm.md section 1.
const rfbPasswordLength = 8

// KVMSettings reads the settings of KVM. A machine without KVM is an error that wraps [ErrUnsupported].
func (c *Client) KVMSettings(ctx context.Context) (KVMSettings, error) {
	v, err := c.kvmSettings(ctx)
	if err != nil {
		return KVMSettings{}, fmt.Errorf("KVM settings: %w", err)
	}
	return kvmSettingsOf(v), nil
}

func (c *Client) kvmSettings(ctx context.Context) (*ips.KVMRedirectionSettingData, error) {
	v, err := ask[ips.KVMRedirectionSettingData](ctx, c)
	if err == nil && v == nil {
		err = fmt.Errorf("%w: it has no KVM", ErrUnsupported)
	}
	return v, err
}

func kvmSettingsOf(v *ips.KVMRedirectionSettingData) KVMSettings {
	return KVMSettings{VNCPort: v.Is5900PortEnabled, SessionTimeout: v.SessionTimeout, ConsentTimeout: v.OptInPolicyTimeout, Screen: v.DefaultScreen}
}

// SetKVMSettings changes settings of KVM and returns them as the machine has them then. Port 5900 is opened with a password
// only; a release that has none is an error that wraps [ErrUnsupported], and nothing is sent.
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
	vnc := change.Password != "" || class.Value(change.VNCPort)
	var v *ips.KVMRedirectionSettingData
	var release model.Release
	err := together(
		func() (err error) { v, err = c.kvmSettings(ctx); return err },
		func() (err error) {
			if vnc {
				release, err = c.firmwareRelease(ctx)
			}
			return err
		})
	if err != nil {
		return KVMSettings{}, err
	}
	switch {
	case vnc && release.Compare(plainRelease) > 0:
		return kvmSettingsOf(v), fmt.Errorf("%w: port 5900 is gone with release 16.1", ErrUnsupported)
	case class.Value(change.VNCPort) && !class.Value(v.Is5900PortEnabled) && change.Password == "":
		return kvmSettingsOf(v), fmt.Errorf("%w: port 5900 is opened with a password only", ErrUsage)
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
	switch {
	case err != nil:
		return now, fmt.Errorf("accepted, but reading it again failed: %w", err)
	case differs(change.VNCPort, now.VNCPort), differs(change.SessionTimeout, now.SessionTimeout),
		differs(change.ConsentTimeout, now.ConsentTimeout), differs(change.Screen, now.Screen):
		return now, ErrDiffers
	}
	return now, nil
}

// checkRFBPassword tells what firmware will not like about the password of port 5900.
func checkRFBPassword(password string) error {
	if len(password) != rfbPasswordLength {
		return fmt.Errorf("%w: the password of port 5900 must have exactly %d characters", ErrUsage, rfbPasswordLength)
	}
	return CheckPassword(password)
}

// firmwareRelease reads which release the firmware is; zero if it does not tell.
func (c *Client) firmwareRelease(ctx context.Context) (model.Release, error) {
	modules, err := list[cim.SoftwareIdentity](ctx, c)
	for _, m := range modules {
		if class.Value(m.InstanceID) == "AMT" {
			r, _ := model.ParseRelease(class.Value(m.VersionString))
			return r, err
		}
	}
	return model.Release{}, err
}

// differs tells that a wanted value is not the one that is there.
func differs[T comparable](want, now *T) bool { return want != nil && (now == nil || *now != *want) }
