package upkeep

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// AddressEvery is how often the PC's address is looked at. Source: spec lms.md section 9.2.
const AddressEvery = 150 * time.Second

// An Address is how the operating system has set up IPv4 on an interface.
type Address struct {
	DHCP    bool // it changes with a lease; the rest is not known
	Prefix  netip.Prefix
	Gateway netip.Addr    // not valid: there is none
	DNS     [2]netip.Addr // not valid: there is none
}

// ErrNoInterface is what a source of addresses says of a card that it does not have, or that has no IPv4 address.
var ErrNoInterface = errors.New("no such interface with an IPv4 address")

// wiredPort is the instance of AMT_EthernetPortSettings for the card with the cable.
const wiredPort = "Intel(r) AMT Ethernet Port Settings 0"

// TellAddress returns what tells AMT the address of the wired card, as source has it, if AMT shares that address and
// wants to be told (IpSyncEnabled). Of an address by DHCP it is told only that: it gets that by itself.
func TellAddress(source func(mac net.HardwareAddr) (Address, error)) func(ctx context.Context, c *wsman.Client) error {
	return func(ctx context.Context, c *wsman.Client) error {
		port, err := class.Get[amt.EthernetPortSettings](ctx, c, wsman.Selector{Name: "InstanceID", Value: wiredPort})
		if err != nil {
			return err
		}
		if !class.Value(port.IpSyncEnabled) {
			return nil
		}
		mac, err := net.ParseMAC(strings.ReplaceAll(class.Value(port.MACAddress), "-", ":"))
		if err != nil {
			return fmt.Errorf("AMT's hardware address: %w", err)
		}
		is, err := source(mac)
		switch {
		case errors.Is(err, ErrNoInterface):
			return nil // the driver is not loaded, or the card is in use by a virtual machine
		case err != nil:
			return fmt.Errorf("address of this PC: %w", err)
		}
		return tell(ctx, c, is)
	}
}

// tell writes an address, unless AMT has it already, and reads it again.
func tell(ctx context.Context, c *wsman.Client, is Address) error {
	now, err := class.Get[ips.HostIPSettings](ctx, c)
	if err != nil {
		return err
	}
	want := *now
	want.DHCPEnabled = &is.DHCP
	want.IpAddress, want.SubnetMask, want.DefaultGateway, want.PrimaryDNS, want.SecondaryDNS = nil, nil, nil, nil, nil
	if !is.DHCP {
		mask := net.IP(net.CIDRMask(is.Prefix.Bits(), 32)).String()
		want.IpAddress, want.SubnetMask = new(is.Prefix.Addr().String()), &mask
		want.DefaultGateway, want.PrimaryDNS, want.SecondaryDNS = text(is.Gateway), text(is.DNS[0]), text(is.DNS[1])
	}
	if says(now, &want) {
		return nil
	}
	if _, err = class.Put(ctx, c, &want); err != nil {
		return err
	}
	if now, err = class.Get[ips.HostIPSettings](ctx, c); err == nil && !says(now, &want) {
		err = errors.New("AMT did not take the address of this PC")
	}
	return err
}

func text(a netip.Addr) *string {
	if !a.IsValid() {
		return nil
	}
	return new(a.String())
}

// says reports whether AMT has what it is to have. What is not to be there is not looked for: firmware keeps fields that a
// Put leaves out, and they mean nothing then.
func says(now, want *ips.HostIPSettings) bool {
	has := func(a, b *string) bool { return b == nil || class.Value(a) == *b }
	return class.Value(now.DHCPEnabled) == class.Value(want.DHCPEnabled) && has(now.IpAddress, want.IpAddress) && has(now.SubnetMask, want.SubnetMask) &&
		has(now.DefaultGateway, want.DefaultGateway) && has(now.PrimaryDNS, want.PrimaryDNS) && has(now.SecondaryDNS, want.SecondaryDNS)
}
