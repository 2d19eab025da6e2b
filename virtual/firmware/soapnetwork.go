package firmware

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/soap"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// portSettings returns the AMT_EthernetPortSettings of an interface as it is read now.
func (m *Machine) portSettings(handle uint32) (view, bool) {
	v, err := m.resolve(&wsman.EPR{
		ResourceURI: wsman.ClassURI("AMT_EthernetPortSettings"),
		Selectors:   wsman.Selectors{{Name: "InstanceID", Value: strings.TrimSuffix(wiredPort, "0") + itoa(handle)}},
	})
	return v, err == nil
}

func soapInterfaces(_ context.Context, m *Machine, _ *soap.Call) ([]wsman.Element, status.Status, error) {
	var handles []uint32
	for _, handle := range []uint32{soap.Wired, soap.Wireless} {
		if _, ok := m.portSettings(handle); ok {
			handles = append(handles, handle)
		}
	}
	return soap.HandleParams(handles...), status.Success, nil
}

func soapInterface(_ context.Context, m *Machine, call *soap.Call) ([]wsman.Element, status.Status, error) {
	handle, err := soap.ParseHandle(call)
	if err != nil {
		return nil, 0, err
	}
	v, ok := m.portSettings(handle)
	if !ok {
		return nil, status.InvalidHandle, nil
	}
	address := func(property string) netip.Addr {
		a, _ := netip.ParseAddr(v.element.ChildText(property)) // the zero Addr is written as 0.0.0.0
		return a
	}
	d := soap.InterfaceDescriptor{
		Mode:            soap.SharedMAC,
		HardwareAddress: v.element.ChildText("MACAddress"),
		IPv4: &soap.IPv4Parameters{ // amttool dies without it
			Local: address("IPAddress"), Mask: address("SubnetMask"), Gateway: address("DefaultGateway"),
			DNS1: address("PrimaryDNS"), DNS2: address("SecondaryDNS"),
		},
	}
	if v.element.ChildText("SharedMAC") == "false" || v.element.ChildText("DHCPEnabled") == "false" {
		d.Mode = soap.SeparateMAC
	}
	for p := range v.element.All("LinkPolicy") {
		n, _ := strconv.ParseUint(p.TrimText(), 10, 8)
		d.LinkPolicy |= uint8(n)
	}
	return []wsman.Element{d.Element()}, status.Success, nil
}

func soapSetInterface(ctx context.Context, m *Machine, call *soap.Call) ([]wsman.Element, status.Status, error) {
	handle, err := soap.ParseHandle(call)
	if err != nil {
		return nil, 0, err
	}
	d, err := soap.ParseInterfaceDescriptor(call.Param("InterfaceDescriptor"))
	if err != nil {
		return nil, 0, err
	}
	v, ok := m.portSettings(handle)
	switch {
	case !ok:
		return nil, status.InvalidHandle, nil
	case d.Mode != soap.SharedMAC && d.Mode != soap.SeparateMAC, d.Mode == soap.SeparateMAC && d.IPv4 == nil:
		return nil, status.InvalidParameter, nil
	case d.Mode == soap.SeparateMAC && !validMask(d.IPv4.Mask):
		return nil, status.InvalidNetmask, nil
	}
	// The change goes the way of a Put, so that what minds a Put minds it too.
	body := v.element
	body.Children = slices.Clone(body.Children)
	static := d.Mode == soap.SeparateMAC
	set(&body, "DHCPEnabled", strconv.FormatBool(!static))
	if handle == soap.Wired {
		set(&body, "IpSyncEnabled", strconv.FormatBool(!static))
		set(&body, "SharedStaticIp", "false")
	}
	if d.LinkPolicy != 0 {
		var policy []string
		for _, bits := range []uint8{1, 14, 16, 224} {
			if d.LinkPolicy&bits == bits {
				policy = append(policy, itoa(bits))
			}
		}
		set(&body, "LinkPolicy", policy...)
	}
	names := []string{"IPAddress", "SubnetMask", "DefaultGateway", "PrimaryDNS", "SecondaryDNS"}
	if static {
		for i, a := range []netip.Addr{d.IPv4.Local, d.IPv4.Mask, d.IPv4.Gateway, d.IPv4.DNS1, d.IPv4.DNS2} {
			set(&body, names[i], a.String())
		}
	} else {
		for _, name := range names {
			set(&body, name) // with DHCP they are left out
		}
	}
	if _, err := m.put(ctx, v.class, v.keys, &body); err != nil {
		m.log.DebugContext(ctx, "interface settings refused", "error", err)
		return nil, status.InvalidParameter, nil
	}
	return nil, status.Success, nil
}

// validMask reports whether an address is ones followed by zeros.
func validMask(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	octets := a.As4()
	n := ^binary.BigEndian.Uint32(octets[:])
	return n&(n+1) == 0
}
