package cli

import (
	"cmp"
	"strings"

	"github.com/outband/outband/console"
)

// setupbinSettings are what of a profile a Setup.bin can say, as NAME=VALUE, and the sections and settings of which it
// says nothing: those are for "outband state apply" or "outband local configure", with the same profile. SOL and
// IDE-R are one variable there: a profile must name both or neither.
func setupbinSettings(s *console.State) (settings, rest []string) {
	set := func(name, value string) { settings = append(settings, name+"="+value) }
	other := func(there bool, name string) {
		if there {
			rest = append(rest, name)
		}
	}
	word := func(on bool, yes, no string) string {
		if on {
			return yes
		}
		return no
	}
	if r := s.Redirection; r != nil {
		if r.SOL != nil && r.IDER != nil {
			words := []string{}
			for _, w := range []struct {
				on   bool
				name string
			}{{*r.SOL, "sol"}, {*r.IDER, "ider"}, {*r.SOL || *r.IDER, "password"}} {
				if w.on {
					words = append(words, w.name)
				}
			}
			set("redirection", cmp.Or(strings.Join(words, "+"), "none"))
		} else {
			other(r.SOL != nil, "redirection: sol")
			other(r.IDER != nil, "redirection: ider")
		}
		other(r.Listener != nil, "redirection: listener")
		if r.KVM != nil {
			set("kvm", word(*r.KVM, "on", "off"))
		}
	}
	for _, section := range []struct {
		there bool
		name  string
	}{
		{s.Time != nil, "time"}, {s.Features != nil, "features"}, {s.KVM != nil, "kvm"}, {s.Consent != nil, "consent"},
		{s.PowerPolicy != nil, "power_policy"}, {s.Audit != nil, "audit"}, {s.Alarms != nil, "alarms"}, {s.Users != nil, "users"},
		{s.Kerberos != nil, "kerberos"}, {s.TrustedRoots != nil, "trusted_roots"}, {s.WiFi != nil, "wifi"},
		{s.Wired8021x != nil, "wired_8021x"}, {s.CIRA != nil, "cira"}, {s.Defense != nil, "defense"},
		{s.Presence != nil, "presence"}, {s.Alerts != nil, "alerts"}, {s.TLS != nil, "tls"},
	} {
		other(section.there, section.name)
	}
	n := s.Network
	if n == nil {
		return settings, rest
	}
	if n.HostName != "" {
		set("host-name", n.HostName)
	}
	if n.Domain != "" {
		set("domain", n.Domain)
	}
	if n.SharedFQDN != nil {
		set("fqdn", word(*n.SharedFQDN, "shared", "dedicated"))
	}
	other(n.Ping != nil, "network: ping")
	other(n.RMCPPing != nil, "network: rmcp_ping")
	other(n.DDNS != "" || n.Interval != nil || n.TTL != nil, "network: ddns")
	other(n.Wireless != nil, "network: wireless")
	if w := n.Wired; w != nil {
		switch {
		case w.Mode == "dhcp":
			set("dhcp", "on")
		default:
			other(w.Mode != "", "network: wired: mode")
		}
		other(w.Address != "" || w.Gateway != "" || len(w.DNS) > 0, "network: wired: address")
		other(w.IPSync != nil, "network: wired: ip_sync")
		other(w.VLAN != nil, "network: wired: vlan")
		other(len(w.LinkPolicy) > 0, "network: wired: link_policy")
		other(w.IPv6 != nil, "network: wired: ipv6")
		other(w.SharedMAC != nil, "network: wired: shared_mac")
	}
	return settings, rest
}
