package cli

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/wire/amthi"
)

// localDetails are what local info --all adds. What the firmware does not tell is left out.
type localDetails struct {
	SetupServer   string          `json:"setup_server,omitempty"` // where it looks for its setup server
	SetupBy       string          `json:"setup_by,omitempty"`     // PKI, PSK
	ZeroTouch     *bool           `json:"zero_touch,omitempty"`
	EHBC          *bool           `json:"ehbc,omitempty"`
	SetUpBy       string          `json:"set_up_by,omitempty"` // the server that set it up over TLS
	TLS           *bool           `json:"tls,omitempty"`
	Redirection   map[string]bool `json:"redirection,omitempty"` // what is switched on
	Sessions      map[string]bool `json:"sessions,omitempty"`    // what is open
	Defense       *bool           `json:"defense_active,omitempty"`
	WebUI         *bool           `json:"web_ui,omitempty"`
	ResetByRemote *bool           `json:"reset_by_remote,omitempty"` // the last reset of the PC
	ResetAt       *time.Time      `json:"reset_at,omitempty"`
	PowerPolicy   string          `json:"power_policy,omitempty"`
	HelpFrom      []string        `json:"help_from,omitempty"` // where a user may call for help: bios, os
	MAC           string          `json:"mac,omitempty"`       // AMT's own
	HostMAC       string          `json:"host_mac,omitempty"`
	Name          string          `json:"name,omitempty"`
	NameShared    *bool           `json:"name_shared,omitempty"`
	Gateway       string          `json:"gateway,omitempty"`
	DNS           []string        `json:"dns,omitempty"`
	IPv6          []string        `json:"ipv6,omitempty"`
	Inside        []string        `json:"inside,omitempty"` // DNS suffixes of networks that count as the company's
	TunnelsOpened *uint32         `json:"tunnels_opened,omitempty"`
	EngineReset   string          `json:"engine_reset,omitempty"` // of the last restart of the engine: none, engine, global, exception
}

func localDetailsOf(d *agent.Details) *localDetails {
	out := &localDetails{}
	flag := func(to **bool, b *amthi.Bool) {
		if b != nil {
			*to = new(bool(*b))
		}
	}
	flag(&out.ZeroTouch, d.ZeroTouch)
	flag(&out.EHBC, d.EHBC)
	if s := d.Server; s != nil && s.FQDN+s.Address != "" {
		out.SetupServer = fmt.Sprintf("%s:%d", first(s.FQDN, s.Address), s.Port)
	}
	if d.TLSMode != nil {
		out.SetupBy = d.TLSMode.String()
	}
	if d.Audit != nil {
		out.SetUpBy = first(d.Audit.ServerFQDN, d.Audit.Server)
	}
	if d.Security != nil {
		out.TLS = &d.Security.TLS
	}
	if r := d.Redirection; r != nil {
		out.Redirection = map[string]bool{"sol": *r&amthi.RedirectSOL != 0, "ider": *r&amthi.RedirectIDER != 0, "kvm": *r&amthi.RedirectKVM != 0}
	}
	if d.Sessions != nil && d.KVM != nil {
		out.Sessions = map[string]bool{"sol": d.Sessions.SOL, "ider": d.Sessions.IDER, "kvm": d.KVM.KVM&1 != 0}
	}
	if d.Defense != nil {
		out.Defense = &d.Defense.Active
	}
	if d.WebUI != nil {
		out.WebUI = &d.WebUI.Active
	}
	if r := d.HostReset; r != nil {
		out.ResetByRemote = new(r.Reason == 1)
		if r.Time != 0 {
			out.ResetAt = new(time.Unix(int64(r.Time), 0).UTC())
		}
	}
	if d.PowerPolicy != nil {
		out.PowerPolicy = string(*d.PowerPolicy)
	}
	if u := d.UserInitiated; u != nil {
		if *u&amthi.UserInitiatedBIOS != 0 {
			out.HelpFrom = append(out.HelpFrom, "bios")
		}
		if *u&amthi.UserInitiatedOS != 0 {
			out.HelpFrom = append(out.HelpFrom, "os")
		}
	}
	if d.MACs != nil {
		out.MAC, out.HostMAC = d.MACs.Dedicated.String(), d.MACs.Host.String()
	}
	if d.FQDN != nil {
		out.Name, out.NameShared = d.FQDN.Name, &d.FQDN.Shared
	}
	if t := d.TCPIP; t != nil {
		for _, a := range t.DNS {
			if a.IsValid() && a != netip.IPv4Unspecified() {
				out.DNS = append(out.DNS, a.String())
			}
		}
		if t.Gateway.IsValid() && t.Gateway != netip.IPv4Unspecified() {
			out.Gateway = t.Gateway.String()
		}
	}
	for _, v6 := range []*amthi.IPv6{d.WiredIPv6, d.WirelessIPv6} {
		if v6 != nil {
			for _, a := range v6.Addresses {
				out.IPv6 = append(out.IPv6, a.Address)
			}
		}
	}
	if d.Suffixes != nil {
		out.Inside = *d.Suffixes
	}
	if d.CIRALog != nil {
		out.TunnelsOpened = &d.CIRALog.Summary.Opened
	}
	if d.State != nil {
		out.EngineReset = word(int(d.State.LastReset), "none", "engine", "global", "exception")
	}
	return out
}

// word names a number; one without a name is shown as it is.
func word(n int, names ...string) string {
	if n < len(names) {
		return names[n]
	}
	return "unknown (" + strconv.Itoa(n) + ")"
}

// lines are the details for people.
func (d *localDetails) lines() [][2]string {
	yes := func(b *bool) string {
		switch {
		case b == nil:
			return ""
		case *b:
			return "yes"
		}
		return "no"
	}
	on := func(m map[string]bool) string {
		if m == nil {
			return ""
		}
		var names []string
		for _, name := range []string{"sol", "ider", "kvm"} {
			if m[name] {
				names = append(names, name)
			}
		}
		return first(strings.Join(names, " "), "none")
	}
	tunnels, reset := "", ""
	if d.TunnelsOpened != nil {
		tunnels = strconv.FormatUint(uint64(*d.TunnelsOpened), 10)
	}
	if d.ResetAt != nil {
		reset = d.ResetAt.Format(time.RFC3339)
	}
	return [][2]string{
		{"Name", d.Name}, {"Name is the PC's", yes(d.NameShared)}, {"AMT's MAC", d.MAC}, {"PC's MAC", d.HostMAC}, {"Gateway", d.Gateway},
		{"DNS servers", strings.Join(d.DNS, " ")}, {"IPv6", strings.Join(d.IPv6, " ")}, {"Inside", strings.Join(d.Inside, " ")}, {"TLS", yes(d.TLS)},
		{"Redirection", on(d.Redirection)}, {"Open sessions", on(d.Sessions)}, {"Web pages", yes(d.WebUI)}, {"Defense active", yes(d.Defense)},
		{"Power policy", d.PowerPolicy}, {"Reset by remote", yes(d.ResetByRemote)}, {"Reset at", reset}, {"Engine reset", d.EngineReset},
		{"Setup server", d.SetupServer}, {"Remote setup", d.SetupBy}, {"Set up by", d.SetUpBy}, {"Zero touch", yes(d.ZeroTouch)}, {"EHBC", yes(d.EHBC)},
		{"Help from", strings.Join(d.HelpFrom, " ")}, {"Tunnels opened", tunnels},
	}
}
