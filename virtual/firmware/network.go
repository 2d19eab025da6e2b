package firmware

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// Instances of AMT_EthernetPortSettings. Source: spec wireless.md section 7.1.
const (
	wiredPort    = "Intel(r) AMT Ethernet Port Settings 0"
	wirelessPort = "Intel(r) AMT Ethernet Port Settings 1"
)

// network is what is kept of the ports beside their settings.
type network struct {
	mu      sync.Mutex // guards what follows
	adapter *Wireless  // nil: the PC has none
	me      time.Time  // until when a console prefers AMT over the host on the wireless link; zero: it does not
}

type networkState struct {
	Wireless *Wireless  `json:",omitempty"`
	MEUntil  *time.Time `json:",omitempty"`
}

func (n *network) dump() (json.RawMessage, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := networkState{Wireless: n.adapter}
	if !n.me.IsZero() {
		s.MEUntil = &n.me
	}
	if s.Wireless == nil && s.MEUntil == nil {
		return nil, nil
	}
	return json.Marshal(s)
}

func (n *network) load(text json.RawMessage) error {
	var s networkState
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.adapter, n.me = s.Wireless, class.Value(s.MEUntil)
	return nil
}

// prefersME reports whether a console has taken the wireless link for AMT, and the time is not up.
func (m *Machine) prefersME() bool {
	m.network.mu.Lock()
	defer m.network.mu.Unlock()
	return m.hostTime().Before(m.network.me)
}

// registerNetwork gives the network ports and the names of the machine their life. Sources: spec wireless.md sections
// 7.1 and 7.4, classes.json.
func registerNetwork(t *table) {
	port := t.class("AMT_EthernetPortSettings")
	port.has = func(m *Machine, e *wsman.Element) bool {
		return e.ChildText("InstanceID") != wirelessPort || m.wireless() != nil
	}
	port.patch = patchPort
	port.onPut = putPort
	port.after = func(_ context.Context, m *Machine, _, now *wsman.Element) {
		if now.ChildText("InstanceID") == wiredPort {
			m.readdress(now)
		}
	}
	class.Handle(&t.methods, amt.EthernetPortSettingsSetLinkPreference, setLinkPreference)
	class.Handle(&t.methods, amt.EthernetPortSettingsCancelLinkProtection, cancelLinkProtection)
	class.Handle(&t.methods, amt.EthernetPortSettingsRestoreLinkProtection, restoreLinkProtection)
	t.class("AMT_GeneralSettings").onPut = putGeneral
	v6 := t.class("IPS_IPv6PortSettings")
	v6.onPut = putIPv6
	v6.patch = func(m *Machine, e *wsman.Element) {
		if m.ipv6Enabled() {
			set(e, "CurrentDefaultRouter", e.ChildText("DefaultRouter"))
			set(e, "CurrentPrimaryDNS", e.ChildText("PrimaryDNS"))
			set(e, "CurrentSecondaryDNS", e.ChildText("SecondaryDNS"))
		}
	}
}

// patchPort shows what a port has now, rather than what it was told.
func patchPort(m *Machine, e *wsman.Element) {
	if m.profile.Before(15, 0) {
		set(e, "PhysicalConnectionType")
		set(e, "PhysicalNicMedium")
	}
	if e.ChildText("InstanceID") == wirelessPort {
		m.patchWireless(e)
		return
	}
	id := m.Identity()
	set(e, "MACAddress", dashed(id.MAC))
	if address := m.address(); address != "" && !ownAddress(e) {
		set(e, "IPAddress", address)
	}
}

// ownAddress reports whether a port has an address of AMT's own, rather than one by DHCP or the host's.
func ownAddress(e *wsman.Element) bool {
	return e.ChildText("DHCPEnabled") == "false" && e.ChildText("IpSyncEnabled") != "true"
}

// putPort holds new settings of a port against the rules.
func putPort(_ context.Context, m *Machine, old, want *wsman.Element) error {
	refuse := func(code status.Status) error { return &status.Error{Op: "AMT_EthernetPortSettings.Put", Code: code} }
	for p := range want.All("LinkPolicy") {
		if !slices.Contains([]string{"1", "14", "16", "224"}, p.TrimText()) {
			return refuse(status.InvalidParameter)
		}
	}
	if tag, _ := strconv.Atoi(want.ChildText("VLANTag")); tag > maxVLAN {
		return refuse(status.InvalidParameter)
	}
	if n := want.ChildText("ConsoleTcpMaxRetransmissions"); n != "" && n != "5" && n != "6" && n != "7" {
		return refuse(status.InvalidParameter)
	}
	dhcp := want.ChildText("DHCPEnabled") == "true"
	if want.ChildText("InstanceID") == wirelessPort {
		if !dhcp {
			return refuse(status.InvalidDHCPMode) // wireless is DHCP only
		}
		return nil
	}
	addresses := []string{"IPAddress", "SubnetMask", "DefaultGateway", "PrimaryDNS", "SecondaryDNS"}
	if !ownAddress(want) {
		for _, name := range addresses { // they come from elsewhere
			if want.ChildText(name) != old.ChildText(name) && want.ChildText(name) != "" {
				return refuse(status.InvalidDHCPMode)
			}
		}
		if ownAddress(old) || old.ChildText("SubnetMask") == "" {
			m.lease(want, addresses)
		}
		return nil
	}
	address, mask := ipv4(want.ChildText("IPAddress")), ipv4(want.ChildText("SubnetMask"))
	switch {
	case !address.IsValid() || address.IsUnspecified() || address.IsMulticast():
		return refuse(status.InvalidIPAddress)
	case !validMask(mask):
		return refuse(status.InvalidNetmask)
	}
	for _, name := range addresses[2:] {
		if text := want.ChildText(name); text != "" && !ipv4(text).IsValid() {
			return refuse(status.InvalidIPAddress)
		}
	}
	return nil
}

// maxVLAN is the highest VLAN tag; 0 is none. Source: IEEE 802.1Q 9.6.
const maxVLAN = 4094

// lease gives a port what the DHCP server of the virtual network says: what a fresh machine has.
func (m *Machine) lease(want *wsman.Element, addresses []string) {
	ci := m.catalogue.classes["AMT_EthernetPortSettings"]
	for _, fresh := range ci.factory {
		if fresh.element.ChildText("InstanceID") == wiredPort {
			for _, name := range addresses {
				set(want, name)
				if text := fresh.element.ChildText(name); text != "" {
					set(want, name, text)
				}
			}
		}
	}
}

func ipv4(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}
	}
	return a
}

// Limits of names: RFC 1123 2.1.
const (
	maxHostName = 63
	maxDomain   = 191 // with the host name at most 255
)

// minDDNSInterval is the shortest interval of updates that is not off, in minutes. Source: the vendor's guide, "Dynamic
// DNS Update".
const minDDNSInterval = 20

// putGeneral holds names and intervals against the rules, and makes the names the machine's.
func putGeneral(_ context.Context, m *Machine, _, want *wsman.Element) error {
	host, domain := want.ChildText("HostName"), want.ChildText("DomainName")
	interval, _ := strconv.Atoi(want.ChildText("DDNSPeriodicUpdateInterval"))
	code := status.Success
	switch {
	case len(host) > maxHostName || strings.ContainsAny(host, "<>&\""):
		code = status.InvalidName
	case len(domain) > maxDomain || strings.ContainsAny(domain, "<>&\""):
		code = status.InvalidDomainName
	case interval != 0 && interval < minDDNSInterval || interval > 65535:
		code = status.InvalidParameter
	case want.ChildText("PreferredAddressFamily") > "1" || len(want.ChildText("PreferredAddressFamily")) > 1:
		code = status.InvalidParameter
	}
	if code != status.Success {
		return &status.Error{Op: "AMT_GeneralSettings.Put", Code: code}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.identity.HostName, m.identity.Domain = host, domain
	return nil
}

// ipv6Enabled reports whether the wired port has IPv6: its settings are the current ones.
func (m *Machine) ipv6Enabled() bool {
	ci := m.catalogue.classes["CIM_ElementSettingData"]
	if ci == nil {
		return false
	}
	for _, i := range m.store.of(ci) {
		if ref := i.keys.Get("SettingData"); ref != nil && ref.EPR != nil && ref.EPR.Class() == "IPS_IPv6PortSettings" {
			return i.element.ChildText("IsCurrent") == "1"
		}
	}
	return false
}

// putIPv6 holds new IPv6 settings against the rules: an interface identifier of 8 octets, and addresses that are
// addresses; "::" is none.
func putIPv6(_ context.Context, _ *Machine, _, want *wsman.Element) error {
	refuse := func(code status.Status) error { return &status.Error{Op: "IPS_IPv6PortSettings.Put", Code: code} }
	id := want.ChildText("ManualInterfaceID")
	kind := want.ChildText("InterfaceIDType")
	if kind != "0" && kind != "1" && kind != "2" || len(id) != 16 || !isHex(id) || kind == "2" && strings.Trim(id, "0") == "" {
		return refuse(status.InvalidParameter)
	}
	for _, name := range []string{"IPv6Address", "PrimaryDNS", "SecondaryDNS", "DefaultRouter"} {
		if a, err := netip.ParseAddr(want.ChildText(name)); err != nil || !a.Is6() || a.Is4In6() || a.Zone() != "" || a.IsMulticast() {
			return refuse(status.InvalidIPAddress)
		}
	}
	return nil
}
