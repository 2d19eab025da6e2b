package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/wsman"
)

// An Interface is one of the two network ports that AMT uses.
type Interface string

// The interfaces.
const (
	Wired    Interface = "wired"
	Wireless Interface = "wireless"
)

// ParseInterface takes an Interface, "lan" or "wifi". Errors wrap [ErrUsage].
func ParseInterface(word string) (Interface, error) {
	switch strings.ToLower(word) {
	case "wired", "lan", "":
		return Wired, nil
	case "wireless", "wifi", "wlan":
		return Wireless, nil
	}
	return "", fmt.Errorf("%w: interface %q is neither wired nor wireless", ErrUsage, word)
}

// A Network is how a machine is in the network. Absent values are ones that the machine does not tell. Sources:
// AMT_EthernetPortSettings, IPS_IPv6PortSettings, AMT_GeneralSettings; spec wireless.md section 7.4.
type Network struct {
	Ports []Port `json:"ports"` // wired first

	HostName   string `json:"hostname,omitempty"` // of AMT
	Domain     string `json:"domain,omitempty"`
	SharedFQDN *bool  `json:"shared_fqdn,omitempty"` // AMT goes by the operating system's name
	OSName     string `json:"os_fqdn,omitempty"`     // as the operating system told it

	Ping     *bool `json:"ping,omitempty"`      // answers ICMP echo
	RMCPPing *bool `json:"rmcp_ping,omitempty"` // answers presence pings on UDP port 623
	DDNS     DDNS  `json:"ddns"`

	// Moved is the address under which the machine was found again after [Client.SetNetwork] had changed it; "": the old
	// one.
	Moved string `json:"moved,omitempty"`
}

// DDNS is how AMT's name gets into the DNS.
type DDNS struct {
	Enabled  *bool   `json:"enabled,omitempty"`          // AMT updates it
	ByDHCP   *bool   `json:"by_dhcp_server,omitempty"`   // the DHCP server is asked to; counts if not Enabled
	Interval *uint32 `json:"interval_minutes,omitempty"` // 0: no periodic updates
	TTL      *uint32 `json:"ttl_seconds,omitempty"`
}

// A Port is one interface.
type Port struct {
	Interface  Interface `json:"interface"`
	ID         string    `json:"-"` // InstanceID
	MAC        string    `json:"mac,omitempty"`
	Connection string    `json:"connection,omitempty"` // "integrated LAN", "Thunderbolt dock" ...; from AMT 15 on
	LinkUp     *bool     `json:"link_up,omitempty"`

	Mode    string `json:"mode"` // where the address comes from: "dhcp", "static", or "host": the operating system's static one
	Address string `json:"address,omitempty"`
	Mask    string `json:"mask,omitempty"`
	Gateway string `json:"gateway,omitempty"`
	DNS1    string `json:"dns1,omitempty"`
	DNS2    string `json:"dns2,omitempty"`
	IPSync  *bool  `json:"ip_sync,omitempty"` // address goes with the operating system's
	IPv6    *IPv6  `json:"ipv6,omitempty"`

	SharedMAC  *bool    `json:"shared_mac,omitempty"`
	VLAN       uint16   `json:"vlan,omitempty"`        // 0: none
	LinkPolicy []string `json:"link_policy,omitempty"` // states in which AMT keeps the link: "s0-ac", "sx-ac", "s0-dc", "sx-dc"

	// Of the wireless port.
	LinkPreference  string `json:"link_preference,omitempty"` // who is to have the link: "me" (AMT) or "host"
	LinkControl     string `json:"link_control,omitempty"`    // who has it
	Protection      string `json:"link_protection,omitempty"` // "override", "none", "passive", "high"
	Retransmissions uint32 `json:"tcp_retransmissions,omitempty"`
}

// IPv6 is the IPv6 part of a port.
type IPv6 struct {
	Enabled     *bool    `json:"enabled,omitempty"`
	InterfaceID string   `json:"interface_id"`         // "random", "mac" or 16 hex digits
	Address     string   `json:"address,omitempty"`    // set by hand, beside automatic ones
	Router      string   `json:"router,omitempty"`     // likewise
	DNS1        string   `json:"dns1,omitempty"`       // likewise
	DNS2        string   `json:"dns2,omitempty"`       // likewise
	Current     []string `json:"current,omitempty"`    // addresses in use, as the machine tells them
	NowRouter   string   `json:"now_router,omitempty"` // in use
	NowDNS1     string   `json:"now_dns1,omitempty"`   // in use
	NowDNS2     string   `json:"now_dns2,omitempty"`   // in use
	id          string   // InstanceID
}

// Port returns the port of an interface, or nil.
func (n *Network) Port(at Interface) *Port {
	for i := range n.Ports {
		if n.Ports[i].Interface == at {
			return &n.Ports[i]
		}
	}
	return nil
}

// Network reads the settings of both ports, of names and of pings.
func (c *Client) Network(ctx context.Context) (Network, error) {
	raw, err := c.readNetwork(ctx)
	if err != nil {
		return Network{}, fmt.Errorf("network: %w", err)
	}
	return raw.network(), nil
}

// rawNetwork is a Network as the machine tells it.
type rawNetwork struct {
	general *amt.GeneralSettings
	ports   []*amt.EthernetPortSettings
	v6      []*ips.IPv6PortSettings
	links   []*cim.ElementSettingData // which IPv6 settings are on
}

func (c *Client) readNetwork(ctx context.Context) (*rawNetwork, error) {
	raw := &rawNetwork{}
	err := together(
		func() (err error) {
			raw.ports, err = class.All[amt.EthernetPortSettings](ctx, c)
			return err
		},
		func() (err error) {
			raw.general, err = got[amt.GeneralSettings](ctx, c)
			return err
		},
		func() (err error) {
			raw.v6, err = list[ips.IPv6PortSettings](ctx, c)
			return lenient(err)
		},
		func() (err error) {
			raw.links, err = list[cim.ElementSettingData](ctx, c)
			return lenient(err)
		})
	return raw, err
}

func (raw *rawNetwork) network() Network {
	g := raw.general
	n := Network{HostName: class.Value(g.HostName), Domain: class.Value(g.DomainName), SharedFQDN: g.SharedFQDN, OSName: class.Value(g.HostOSFQDN),
		Ping: g.PingResponseEnabled, RMCPPing: g.RmcpPingResponseEnabled,
		DDNS: DDNS{Enabled: g.DDNSUpdateEnabled, ByDHCP: g.DDNSUpdateByDHCPServerEnabled, Interval: g.DDNSPeriodicUpdateInterval, TTL: g.DDNSTTL}}
	for _, p := range raw.ports {
		port := newPort(p)
		port.IPv6 = raw.ipv6(port.ID)
		n.Ports = append(n.Ports, port)
	}
	slices.SortStableFunc(n.Ports, func(a, b Port) int { return cmp.Compare(a.Interface, b.Interface) }) // wired first
	return n
}

// isWireless tells the ports apart: by what only a wireless one has, or by number. Source: spec wireless.md section 7.1.
func isWireless(p *amt.EthernetPortSettings) bool {
	return p.WLANLinkProtectionLevel != nil || strings.HasSuffix(class.Value(p.InstanceID), " 1") ||
		class.Value(p.PhysicalConnectionType) == amt.EthernetPortSettingsPhysicalConnectionTypeWirelessLAN
}

func newPort(p *amt.EthernetPortSettings) Port {
	port := Port{Interface: Wired, ID: class.Value(p.InstanceID), MAC: class.Value(p.MACAddress), LinkUp: p.LinkIsUp,
		Address: plainAddr(class.Value(p.IPAddress)), Mask: plainAddr(class.Value(p.SubnetMask)), Gateway: plainAddr(class.Value(p.DefaultGateway)),
		DNS1: plainAddr(class.Value(p.PrimaryDNS)), DNS2: plainAddr(class.Value(p.SecondaryDNS)), IPSync: p.IpSyncEnabled, SharedMAC: p.SharedMAC,
		VLAN: class.Value(p.VLANTag), Retransmissions: class.Value(p.ConsoleTcpMaxRetransmissions)}
	if isWireless(p) {
		port.Interface = Wireless
	}
	if port.MAC == "00-00-00-00-00-00" {
		port.MAC = "" // not known, or there is no adapter
	}
	switch {
	case class.Value(p.DHCPEnabled):
		port.Mode = "dhcp"
	case class.Value(p.IpSyncEnabled):
		port.Mode = "host"
	default:
		port.Mode = "static"
	}
	if t := p.PhysicalConnectionType; t != nil {
		port.Connection = map[amt.EthernetPortSettingsPhysicalConnectionType]string{0: "integrated LAN", 1: "discrete LAN", 2: "Thunderbolt dock", 3: "wireless"}[*t]
		if port.Connection == "" {
			port.Connection = t.String()
		}
	}
	for _, policy := range p.LinkPolicy {
		port.LinkPolicy = append(port.LinkPolicy, policyWord(policy))
	}
	port.LinkPreference, port.LinkControl = owner(p.LinkPreference), owner(p.LinkControl)
	if level := p.WLANLinkProtectionLevel; level != nil {
		port.Protection = strings.ToLower(level.String())
	}
	return port
}

func owner(p *amt.EthernetPortSettingsLinkPreference) string {
	switch {
	case p == nil:
		return ""
	case *p == amt.EthernetPortSettingsLinkPreferenceME:
		return "me"
	case *p == amt.EthernetPortSettingsLinkPreferenceHost:
		return "host"
	}
	return p.String()
}

// policies are the words for link policies. Source: spec wireless.md section 7.4.
var policies = map[amt.EthernetPortSettingsLinkPolicy]string{1: "s0-ac", 14: "sx-ac", 16: "s0-dc", 224: "sx-dc"}

func policyWord(p amt.EthernetPortSettingsLinkPolicy) string {
	if word := policies[p]; word != "" {
		return word
	}
	return p.String()
}

// ipv6 returns the IPv6 settings of the port with that InstanceID: those with the same number.
func (raw *rawNetwork) ipv6(port string) *IPv6 {
	if port == "" {
		return nil
	}
	for _, v := range raw.v6 {
		id := class.Value(v.InstanceID)
		if !strings.HasSuffix(id, " "+port[len(port)-1:]) {
			continue
		}
		some := func(s *string) string {
			if class.Value(s) == "::" {
				return ""
			}
			return class.Value(s)
		}
		six := &IPv6{Address: some(v.IPv6Address), Router: some(v.DefaultRouter), DNS1: some(v.PrimaryDNS), DNS2: some(v.SecondaryDNS),
			Current: v.CurrentAddressInfo, NowRouter: some(v.CurrentDefaultRouter), NowDNS1: some(v.CurrentPrimaryDNS), NowDNS2: some(v.CurrentSecondaryDNS), id: id}
		switch class.Value(v.InterfaceIDType) {
		case ips.IPv6PortSettingsInterfaceIDTypeRandom:
			six.InterfaceID = "random"
		case ips.IPv6PortSettingsInterfaceIDTypeIntelMacBased:
			six.InterfaceID = "mac"
		default:
			six.InterfaceID = strings.ToLower(class.Value(v.ManualInterfaceID))
		}
		if link := raw.link(id); link != nil && link.IsCurrent != nil {
			six.Enabled = new(*link.IsCurrent == cim.ElementSettingDataIsCurrentIsCurrent)
		}
		return six
	}
	return nil
}

// link returns what says whether settings are the current ones.
func (raw *rawNetwork) link(id string) *cim.ElementSettingData {
	for _, l := range raw.links {
		if l.SettingData != nil && l.SettingData.Selectors.Value("InstanceID") == id {
			return l
		}
	}
	return nil
}

// PreferLink gives the wireless link to AMT for a time ("me"), or back to the operating system ("host"). While AMT has
// it the operating system has no Wi-Fi. It returns the port as it is then. Source: spec wireless.md section 7.4.
func (c *Client) PreferLink(ctx context.Context, who string, how time.Duration) (Port, error) {
	port, err := c.preferLink(ctx, who, how)
	if err != nil {
		return port, fmt.Errorf("link preference: %w", err)
	}
	return port, nil
}

func (c *Client) preferLink(ctx context.Context, who string, how time.Duration) (Port, error) {
	in := amt.EthernetPortSettingsSetLinkPreferenceIn{LinkPreference: new(amt.EthernetPortSettingsLinkPreferenceHost), Timeout: new(uint32(0))}
	switch seconds := how / time.Second; {
	case who == "host" && how == 0:
	case who == "me" && seconds >= 1 && seconds <= 65535:
		in.LinkPreference, in.Timeout = new(amt.EthernetPortSettingsLinkPreferenceME), new(uint32(seconds))
	case who == "me":
		return Port{}, fmt.Errorf("%w: AMT can have the link for 1s to 65535s, not for %v", ErrUsage, how)
	case who == "host":
		return Port{}, fmt.Errorf("%w: the host has the link without a limit of time", ErrUsage)
	default:
		return Port{}, fmt.Errorf("%w: %q is neither me nor host", ErrUsage, who)
	}
	port, err := c.wirelessPort(ctx)
	if err != nil {
		return port, err
	}
	if port.LinkPreference == "" {
		return port, fmt.Errorf("%w: its wireless port has no link preference", ErrUnsupported)
	}
	if _, err := amt.EthernetPortSettingsSetLinkPreference.Invoke(ctx, c, in, wsman.Selector{Name: "InstanceID", Value: port.ID}); err != nil {
		return port, err
	}
	if port, err = c.wirelessPort(ctx); err == nil && port.LinkPreference != who {
		err = ErrDiffers
	}
	return port, err
}

// wirelessPort reads the wireless port. Errors wrap [ErrUnsupported] if there is none.
func (c *Client) wirelessPort(ctx context.Context) (Port, error) {
	ports, err := class.All[amt.EthernetPortSettings](ctx, c)
	if err != nil {
		return Port{}, err
	}
	for _, p := range ports {
		if isWireless(p) {
			return newPort(p), nil
		}
	}
	return Port{}, errNoWireless
}

var errNoWireless = fmt.Errorf("%w: it has no wireless port that AMT can use", ErrUnsupported)
