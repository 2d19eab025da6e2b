package console

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/ips"
)

// A Display is one of a machine's monitors, as its operating system has arranged them; pixels.
type Display struct {
	Number int  `json:"number"` // from 1
	X      int  `json:"x"`      // of the upper left corner, from that of the first
	Y      int  `json:"y"`
	Width  int  `json:"width"`
	Height int  `json:"height"`
	Shown  bool `json:"shown"` // by KVM
}

// Screens are a machine's monitors. Source: spec kvm.md section 10.
type Screens struct {
	Displays []Display `json:"displays"` // those in use
	CanBlank bool      `json:"can_blank"`
	Dark     bool      `json:"dark"` // the monitors show nothing, KVM does
}

// blankReboots is how many boots the monitors stay dark, if the session lasts so long. MeshCommander asks for as many.
const blankReboots = 3

// Screens reads which monitors there are. Firmware before 8.0 does not tell: the error wraps [ErrUnsupported].
func (c *Client) Screens(ctx context.Context) (Screens, error) {
	s, err := c.screens(ctx)
	if err != nil {
		return s, fmt.Errorf("screens: %w", err)
	}
	return s, nil
}

func (c *Client) screens(ctx context.Context) (s Screens, err error) {
	var screens *ips.ScreenSettingData
	var kvm *ips.KVMRedirectionSettingData
	var blank *ips.ScreenConfigurationService
	err = together(
		func() (err error) { screens, err = ask[ips.ScreenSettingData](ctx, c); return err },
		func() (err error) { kvm, err = c.kvmSettings(ctx); return err },
		func() (err error) { blank, err = ask[ips.ScreenConfigurationService](ctx, c); return err })
	switch {
	case err != nil:
		return s, err
	case screens == nil:
		return s, fmt.Errorf("%w: its firmware does not tell of monitors", ErrUnsupported)
	}
	for i, active := range screens.IsActive {
		if active {
			s.Displays = append(s.Displays, Display{i + 1, at(screens.UpperLeftX, i), at(screens.UpperLeftY, i), at(screens.ResolutionX, i), at(screens.ResolutionY, i),
				int(class.Value(kvm.DefaultScreen)) == i})
		}
	}
	if blank != nil {
		s.CanBlank = class.Value(blank.EnabledState)&1 != 0
		s.Dark = class.Value(blank.CurrentState) == ips.ScreenConfigurationServiceCurrentStateOpen
	}
	return s, nil
}

// at is an element of a list that may be too short.
func at[T int32 | uint32](list []T, i int) int {
	if i < len(list) {
		return int(list[i])
	}
	return 0
}

// ShowScreen has KVM show a monitor, from 1, at once and in sessions to come, and returns the state that the machine tells
// then. A monitor that is not there is an error that wraps [ErrNotOffered], and nothing is sent.
func (c *Client) ShowScreen(ctx context.Context, number int) (Screens, error) {
	s, err := c.showScreen(ctx, number)
	if err != nil {
		return s, fmt.Errorf("show screen %d: %w", number, err)
	}
	return s, nil
}

func (c *Client) showScreen(ctx context.Context, number int) (Screens, error) {
	s, err := c.screens(ctx)
	if err != nil {
		return s, err
	}
	there := false
	for _, d := range s.Displays {
		there = there || d.Number == number
	}
	if !there {
		return s, fmt.Errorf("%w: it has %d", ErrNotOffered, len(s.Displays))
	}
	if _, err := c.SetKVMSettings(ctx, KVMSettings{Screen: new(uint8(number - 1))}); err != nil {
		return s, err
	}
	return c.screens(ctx)
}

// BlankScreens darkens the monitors while a session of KVM is open, or ends that, and returns the state that the machine
// tells then. The machine ends it by itself when the session does. Where the firmware cannot or may not the error wraps
// [ErrUnsupported] or [ErrNotOffered], and nothing is sent.
func (c *Client) BlankScreens(ctx context.Context, dark bool) (Screens, error) {
	s, err := c.blankScreens(ctx, dark)
	if err != nil {
		return s, fmt.Errorf("blank screens: %w", err)
	}
	return s, nil
}

func (c *Client) blankScreens(ctx context.Context, dark bool) (Screens, error) {
	service, err := ask[ips.ScreenConfigurationService](ctx, c)
	switch {
	case err != nil:
		return Screens{}, err
	case service == nil:
		return Screens{}, fmt.Errorf("%w: its firmware cannot", ErrUnsupported)
	case dark && class.Value(service.EnabledState)&1 == 0:
		return Screens{}, fmt.Errorf("%w: it is not allowed in the settings of the machine", ErrNotOffered)
	}
	in := ips.ScreenConfigurationServiceSetSessionStateIn{SessionState: new(ips.ScreenConfigurationServiceSetSessionStateSessionStateClose), ConsecutiveRebootsNum: new(uint8(0))}
	if dark {
		*in.SessionState, *in.ConsecutiveRebootsNum = ips.ScreenConfigurationServiceSetSessionStateSessionStateOpen, blankReboots
	}
	if _, err := ips.ScreenConfigurationServiceSetSessionState.Invoke(ctx, c, in); err != nil {
		return Screens{}, err
	}
	s, err := c.screens(ctx)
	switch {
	case err != nil:
		return s, fmt.Errorf("accepted, but reading it again failed: %w", err)
	case s.Dark != dark:
		return s, ErrDiffers
	}
	return s, nil
}

// KVMAbilities are what the firmware can do to make a picture small.
type KVMAbilities struct {
	Compress bool // ZRLE
	Gray     bool
	Decimate bool // half the size
}

// KVMAbilities reads them.
func (c *Client) KVMAbilities(ctx context.Context) (KVMAbilities, error) {
	v, err := c.kvmSettings(ctx)
	if err != nil {
		return KVMAbilities{}, fmt.Errorf("KVM settings: %w", err)
	}
	return KVMAbilities{
		Compress: class.Value(v.ZlibControlSupported), Gray: class.Value(v.GrayscalePixelFormatSupported),
		Decimate: class.Value(v.InitialDecimationModeForLowRes) != ips.KVMRedirectionSettingDataInitialDecimationModeForLowResUnsupported,
	}, nil
}
