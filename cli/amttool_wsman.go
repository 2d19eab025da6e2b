package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/console"
	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// amttoolWSMan is a machine that no longer answers SOAP, translated into the terms of amttool.
type amttoolWSMan struct{ client *console.Client }

func (m *amttoolWSMan) CoreVersion(ctx context.Context) (string, error) {
	for module, err := range class.Enumerate[cim.SoftwareIdentity](ctx, m.client) {
		if err != nil {
			return "", err
		}
		if class.Value(module.InstanceID) == "AMT" {
			return class.Value(module.VersionString), nil
		}
	}
	return "", fmt.Errorf("the machine does not tell its version")
}

func (m *amttoolWSMan) HostName(ctx context.Context) (string, error) {
	general, err := class.Get[amt.GeneralSettings](ctx, m.client)
	if err != nil {
		return "", err
	}
	return class.Value(general.HostName), nil
}

func (m *amttoolWSMan) DomainName(ctx context.Context) (string, error) {
	general, err := class.Get[amt.GeneralSettings](ctx, m.client)
	if err != nil {
		return "", err
	}
	return class.Value(general.DomainName), nil
}

func (m *amttoolWSMan) PowerState(ctx context.Context) (soap.SystemPowerState, error) {
	info, err := m.client.Power(ctx)
	if err != nil {
		return 0, err
	}
	switch info.State {
	case console.PowerOn:
		return soap.S0, nil
	case console.PowerSleepLight:
		return soap.S1, nil
	case console.PowerSleepDeep:
		return soap.S3, nil
	case console.PowerHibernate:
		return soap.S4, nil
	case console.PowerOffHard:
		return soap.G3, nil
	}
	if console.IsOff(info.State) {
		return soap.S5, nil
	}
	return 0, fmt.Errorf("power state %v has no name in amttool", info.State)
}

func (m *amttoolWSMan) Capabilities(ctx context.Context) (soap.Capabilities, error) {
	b, err := class.Get[amt.BootCapabilities](ctx, m.client)
	if err != nil {
		return soap.Capabilities{}, err
	}
	sum := func(bits ...capability) (n uint32) {
		for _, c := range bits {
			if class.Value(c.has) {
				n |= c.bit
			}
		}
		return n
	}
	return soap.Capabilities{
		IANA: soap.IANAIntel,
		OEM: sum(capability{b.IDER, soap.OEMIDER}, capability{b.SOL, soap.OEMSOL}, capability{b.BIOSReflash, soap.OEMReflash},
			capability{b.BIOSSetup, soap.OEMSetup}, capability{b.BIOSPause, soap.OEMPause}),
		Special: sum(capability{b.ForcePXEBoot, soap.CanPXE}, capability{b.ForceHardDriveBoot, soap.CanHD},
			capability{b.ForceHardDriveSafeModeBoot, soap.CanHDSafe}, capability{b.ForceDiagnosticBoot, soap.CanDiag},
			capability{b.ForceCDorDVDBoot, soap.CanCD}),
		System: soap.CanCycle | soap.CanPowerDown | soap.CanPowerUp | soap.CanReset,
		Firmware: sum(capability{b.VerbosityScreenBlank, 1}, capability{b.PowerButtonLock, soap.OptionLockPower},
			capability{b.ResetButtonLock, soap.OptionLockReset}, capability{b.KeyboardLock, soap.OptionLockKeyboard},
			capability{b.SleepButtonLock, soap.OptionLockSleep}, capability{b.UserPasswordBypass, soap.OptionBypassPassword},
			capability{b.ForcedProgressEvents, soap.OptionProgressEvents}, capability{b.VerbosityQuiet, soap.OptionQuiet},
			capability{b.VerbosityVerbose, soap.OptionVerbose}, capability{b.ConfigurationDataReset, soap.OptionResetConfig}),
	}, nil
}

type capability struct {
	has *bool
	bit uint32
}

// RemoteControl sets what to boot, if it is to be something, and switches.
func (m *amttoolWSMan) RemoteControl(ctx context.Context, r soap.RemoteControlRequest) error {
	device := console.BootNone
	switch r.Special {
	case soap.ForcePXE:
		device = console.BootPXE
	case soap.ForceHD:
		device = console.BootDisk
	case soap.ForceHDSafe:
		device = console.BootSafeDisk
	case soap.ForceDiag:
		device = console.BootDiagnostics
	case soap.ForceCD:
		device = console.BootCD
	case soap.IntelOEM:
		device = console.BootBIOS
	}
	if device != console.BootNone && r.Command != soap.PowerDown {
		if _, err := m.client.Boot(ctx, console.BootRequest{Device: device}); err != nil {
			return err
		}
	}
	want, ok := map[soap.Command]console.Power{soap.Reset: console.PowerReset, soap.PowerUp: console.PowerOn,
		soap.PowerDown: console.PowerOff, soap.PowerCycle: console.PowerCycleSoft}[r.Command]
	if !ok {
		return &status.Error{Op: "RemoteControl.RemoteControl", Code: status.InvalidCommand}
	}
	return m.client.SetPower(ctx, want)
}

func (m *amttoolWSMan) Interfaces(ctx context.Context) ([]uint32, error) {
	ports, err := class.All[amt.EthernetPortSettings](ctx, m.client)
	if err != nil {
		return nil, err
	}
	handles := make([]uint32, len(ports))
	for i := range handles {
		handles[i] = uint32(i)
	}
	return handles, nil
}

func portSelector(handle uint32) wsman.Selector {
	return wsman.Selector{Name: "InstanceID", Value: fmt.Sprintf("Intel(r) AMT Ethernet Port Settings %d", handle)}
}

func (m *amttoolWSMan) Interface(ctx context.Context, handle uint32) (*wsman.Element, error) {
	p, err := class.Get[amt.EthernetPortSettings](ctx, m.client, portSelector(handle))
	if err != nil {
		return nil, err
	}
	d := soap.InterfaceDescriptor{Mode: soap.SharedMAC, HardwareAddress: strings.ToUpper(class.Value(p.MACAddress))}
	if p.DHCPEnabled != nil && !*p.DHCPEnabled {
		d.Mode = soap.SeparateMAC
	}
	for _, policy := range p.LinkPolicy {
		d.LinkPolicy |= uint8(policy)
	}
	address := func(text *string) netip.Addr {
		ip, _ := netip.ParseAddr(class.Value(text)) // one that is no address stays empty
		return ip
	}
	d.IPv4 = &soap.IPv4Parameters{Local: address(p.IPAddress), Mask: address(p.SubnetMask), Gateway: address(p.DefaultGateway),
		DNS1: address(p.PrimaryDNS), DNS2: address(p.SecondaryDNS)}
	return new(d.Element()), nil
}

// SetInterface changes addresses. The link policy of WS-Management has other values and is left alone.
func (m *amttoolWSMan) SetInterface(ctx context.Context, handle uint32, d *soap.InterfaceDescriptor) error {
	p, err := class.Get[amt.EthernetPortSettings](ctx, m.client, portSelector(handle))
	if err != nil {
		return err
	}
	p.DHCPEnabled, p.SharedStaticIp, p.IpSyncEnabled = new(d.IPv4 == nil), new(false), new(d.IPv4 == nil)
	p.IPAddress, p.SubnetMask, p.DefaultGateway, p.PrimaryDNS, p.SecondaryDNS = nil, nil, nil, nil, nil
	if v4 := d.IPv4; v4 != nil {
		text := func(ip netip.Addr) *string {
			if !ip.IsValid() || ip.IsUnspecified() {
				return nil
			}
			return new(ip.String())
		}
		p.IPAddress, p.SubnetMask, p.DefaultGateway = text(v4.Local), text(v4.Mask), text(v4.Gateway)
		p.PrimaryDNS, p.SecondaryDNS = text(v4.DNS1), text(v4.DNS2)
	}
	_, err = class.Put(ctx, m.client, p)
	return err
}
