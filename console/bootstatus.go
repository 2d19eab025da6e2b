package console

import (
	"context"
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
)

// BootStatus reads what the next boot will be, in four requests.
func (c *Client) BootStatus(ctx context.Context) (BootStatus, error) {
	view, err := c.bootView(ctx)
	if err != nil {
		return BootStatus{}, fmt.Errorf("boot status: %w", err)
	}
	return view.status(), nil
}

// A bootView is everything about booting, as read.
type bootView struct {
	caps    *amt.BootCapabilities
	options *amt.BootSettingData
	service *cim.BootService
	consent *ips.OptInService
	armed   *bool
}

func (c *Client) bootView(ctx context.Context) (*bootView, error) {
	v := &bootView{}
	err := together(
		func() (err error) { v.options, err = class.Get[amt.BootSettingData](ctx, c); return err },
		func() (err error) { v.caps, err = class.Get[amt.BootCapabilities](ctx, c); return err },
		func() (err error) { v.service, err = ask[cim.BootService](ctx, c); return err },
		func() (err error) { v.armed, err = c.bootArmed(ctx); return err },
		func() (err error) { v.consent, err = ask[ips.OptInService](ctx, c); return err })
	return v, err
}

// bootArmed reads the role of the boot configuration: CIM_ElementSettingData.IsNext is 2 if its options do not act on
// the next boot.
func (c *Client) bootArmed(ctx context.Context) (*bool, error) {
	links, err := list[cim.ElementSettingData](ctx, c)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.SettingData != nil && l.IsNext != nil && l.SettingData.Selectors.Value("InstanceID") == bootConfig {
			switch *l.IsNext {
			case 1, 3: // is next, is next for single use
				return new(true), nil
			case 2: // is not next
				return new(false), nil
			}
		}
	}
	return nil, nil
}

func (v *bootView) status() BootStatus {
	s := BootStatus{Armed: v.armed, Options: v.options}
	o := v.options
	switch {
	case class.Value(o.BIOSSetup):
		s.Device = BootBIOS
	case class.Value(o.UseIDER) && class.Value(o.IDERBootDevice) == amt.BootSettingDataIDERBootDeviceCD:
		s.Device = BootIDERCD
	case class.Value(o.UseIDER):
		s.Device = BootIDERFloppy
	case class.Value(o.UseSafeMode):
		s.Device = BootSafeDisk
	case class.Value(o.UefiBootNumberOfParams) > 0:
		s.Device = BootHTTPS
	}
	for _, d := range BootDevices() {
		if v.offers(d) == nil {
			s.Supported = append(s.Supported, d)
		}
	}
	if len(o.BIOSLastStatus) == 2 {
		words := map[uint16]string{0: "success", 1: "in progress", 2: "not updated yet", 0xffff: "failed"}
		reasons := map[uint16]string{1: ", drive failure", 2: ", wrong password", 3: ", not supported"}
		s.LastStatus = words[o.BIOSLastStatus[0]] + reasons[o.BIOSLastStatus[1]]
	}
	return s
}

// offers returns why a device cannot be booted from, or nil.
func (v *bootView) offers(d BootDevice) error {
	has := func(capability *bool, name string) error {
		if class.Value(capability) {
			return nil
		}
		return fmt.Errorf("%w: the BIOS does not support %s (AMT_BootCapabilities.%s)", ErrUnsupported, d, name)
	}
	recovery := func(capability *bool, name string, enabled *bool) error {
		if err := has(capability, name); err != nil {
			return err
		}
		if v.service != nil && v.service.EnabledState != nil {
			if state := *v.service.EnabledState; state >= cim.BootServiceEnabledStateOCRAndRPEDisabled && state&1 == 0 {
				return fmt.Errorf("%w: One-Click Recovery is switched off; outband boot service --recovery on switches it on (CIM_BootService)", ErrNotOffered)
			}
		}
		if enabled != nil && !*enabled {
			return fmt.Errorf("%w: %s is switched off in the BIOS", ErrNotOffered, d)
		}
		return nil
	}
	switch d {
	case BootNone, BootAsSetUp:
		return nil
	case BootPXE:
		return has(v.caps.ForcePXEBoot, "ForcePXEBoot")
	case BootDisk:
		return has(v.caps.ForceHardDriveBoot, "ForceHardDriveBoot")
	case BootSafeDisk:
		return has(v.caps.ForceHardDriveSafeModeBoot, "ForceHardDriveSafeModeBoot")
	case BootCD:
		return has(v.caps.ForceCDorDVDBoot, "ForceCDorDVDBoot")
	case BootBIOS:
		return has(v.caps.BIOSSetup, "BIOSSetup")
	case BootDiagnostics:
		return has(v.caps.ForceDiagnosticBoot, "ForceDiagnosticBoot")
	case BootIDERCD, BootIDERFloppy:
		return has(v.caps.IDER, "IDER")
	case BootHTTPS:
		return recovery(v.caps.ForceUEFIHTTPSBoot, "ForceUEFIHTTPSBoot", v.options.UEFIHTTPSBootEnabled)
	case BootWinRE:
		return recovery(v.caps.ForceWinREBoot, "ForceWinREBoot", v.options.WinREBootEnabled)
	case BootPBA:
		return recovery(v.caps.ForceUEFIPBABoot, "ForceUEFIPBABoot", v.options.UEFILocalPBABootEnabled)
	}
	return fmt.Errorf("%w: unknown boot device %q", ErrUsage, d)
}
