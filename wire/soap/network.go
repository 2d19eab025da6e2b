package soap

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/outband/outband/wire/wsman"
)

// Handles of interfaces.
const (
	Wired    uint32 = 0
	Wireless uint32 = 1
)

// Interface modes.
const (
	SharedMAC   = "SHARED_MAC_ADDRESS"   // DHCP, or whatever the host has
	SeparateMAC = "SEPARATE_MAC_ADDRESS" // static
)

// An InterfaceDescriptor is the setting of a network interface.
type InterfaceDescriptor struct {
	Mode            string // SharedMAC or SeparateMAC
	LinkPolicy      uint8  // bit set: 1 S0 AC, 2 S0 DC, 4 Sx AC ...; 0 leaves it out of requests
	HardwareAddress string // read-only: 00-11-22-33-44-55
	IPv4            *IPv4Parameters
}

// IPv4Parameters are the addresses of an interface. Invalid ones are written as 0.0.0.0.
type IPv4Parameters struct {
	Local, Mask, Gateway, DNS1, DNS2 netip.Addr
}

func (p *IPv4Parameters) fields() []ipv4Field {
	return []ipv4Field{
		{"LocalAddress", &p.Local}, {"SubnetMask", &p.Mask}, {"DefaultGatewayAddress", &p.Gateway},
		{"PrimaryDnsAddress", &p.DNS1}, {"SecondaryDnsAddress", &p.DNS2},
	}
}

type ipv4Field struct {
	name string
	addr *netip.Addr
}

// Element returns the InterfaceDescriptor element.
func (d *InterfaceDescriptor) Element() wsman.Element {
	space := NetworkAdministration.Space()
	e := wsman.Group(space, "InterfaceDescriptor", wsman.El(space, "InterfaceMode", d.Mode))
	if d.LinkPolicy != 0 {
		e.Children = append(e.Children, numberElement(space, "LinkPolicy", uint64(d.LinkPolicy)))
	}
	if d.HardwareAddress != "" {
		e.Children = append(e.Children, wsman.El(space, "HardwareAddress", d.HardwareAddress))
	}
	if d.IPv4 != nil {
		p := wsman.Element{Name: wsman.Name{Space: space, Local: "IPv4Parameters"}}
		for _, f := range d.IPv4.fields() {
			var n uint32
			if f.addr.Is4() {
				octets := f.addr.As4()
				n = binary.BigEndian.Uint32(octets[:])
			}
			p.Children = append(p.Children, numberElement(space, f.name, uint64(n)))
		}
		e.Children = append(e.Children, p)
	}
	return e
}

// ParseInterfaceDescriptor reads an InterfaceDescriptor element. Errors wrap [ErrMessage].
func ParseInterfaceDescriptor(e *wsman.Element) (*InterfaceDescriptor, error) {
	if e == nil || e.Child("InterfaceMode") == nil {
		return nil, fmt.Errorf("soap: %w: interface descriptor without a mode", ErrMessage)
	}
	policy, err := number(e.Child("LinkPolicy"), 8, 0)
	if err != nil {
		return nil, err
	}
	d := &InterfaceDescriptor{Mode: e.ChildText("InterfaceMode"), LinkPolicy: uint8(policy), HardwareAddress: e.ChildText("HardwareAddress")}
	if p := e.Child("IPv4Parameters"); p != nil {
		d.IPv4 = &IPv4Parameters{}
		for _, f := range d.IPv4.fields() {
			n, err := number(p.Child(f.name), 32, 0)
			if err != nil {
				return nil, err
			}
			var octets [4]byte
			binary.BigEndian.PutUint32(octets[:], uint32(n))
			*f.addr = netip.AddrFrom4(octets)
		}
	}
	return d, nil
}

// ParseHandle reads the InterfaceHandle of a call. Errors wrap [ErrMessage].
func ParseHandle(call *Call) (uint32, error) {
	e := call.Param("InterfaceHandle")
	if e == nil {
		return 0, fmt.Errorf("soap: %w: %s needs InterfaceHandle", ErrMessage, call.Method)
	}
	n, err := number(e, 32, 0)
	return uint32(n), err
}

// HandleParams returns interface handles as output parameters.
func HandleParams(handles ...uint32) []wsman.Element {
	out := make([]wsman.Element, len(handles))
	for i, h := range handles {
		out[i] = numberElement(NetworkAdministration.Space(), "InterfaceHandle", uint64(h))
	}
	return out
}
