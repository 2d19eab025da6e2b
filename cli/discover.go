package cli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/outband/outband/console"
)

type discoverCmd struct {
	Range []string      `arg:"" name:"cidr" help:"Networks such as 192.168.1.0/24, or addresses."`
	Wait  time.Duration `default:"2s" placeholder:"TIME" help:"Wait that long for each address."`
	Ping  bool          `default:"true" negatable:"" help:"Also send RMCP presence pings (UDP 623)."`
}

func (discoverCmd) Help() string {
	return "Nothing that needs a password is sent.\n\n" + example("outband discover 192.168.1.0/24", "outband discover 10.0.0.7 10.0.1.0/28 -o json")
}

// A foundRecord is one machine of a discovery.
type foundRecord struct {
	Address     string `json:"address"`
	Name        string `json:"name,omitempty"` // in the database
	Version     string `json:"version,omitempty"`
	Server      string `json:"server,omitempty"`
	Ports       []int  `json:"ports"`
	Fingerprint string `json:"tls_fingerprint,omitempty"`
	Ping        bool   `json:"ping"`
}

func (c *discoverCmd) Run(a *app) error {
	var ranges []netip.Prefix
	for _, text := range c.Range {
		if p, err := netip.ParsePrefix(text); err == nil {
			ranges = append(ranges, p)
		} else if ip, err := netip.ParseAddr(text); err == nil {
			ranges = append(ranges, netip.PrefixFrom(ip, ip.BitLen()))
		} else {
			return usage("such as 192.168.1.0/24", "%q is neither a network nor an address", text)
		}
	}
	found, err := console.Discover(a.ctx, ranges, &console.DiscoverOptions{Timeout: c.Wait, NoPing: !c.Ping})
	if err != nil {
		return err
	}
	names := map[string]string{}
	if db, err := a.database(); err == nil {
		for _, h := range db.List() {
			names[h.Address] = h.Name
		}
	} else {
		a.note("warning: %v", err)
	}
	out := a.printer(column{"ADDRESS", 15}, column{"AMT", 12}, column{"PORTS", 12}, column{"KNOWN AS", 8})
	for f := range found {
		r := foundRecord{
			Address: f.Address.String(), Version: f.Version, Server: f.Server, Ports: f.Ports,
			Fingerprint: f.Fingerprint, Ping: f.Ping, Name: names[f.Address.String()],
		}
		if r.Ports == nil {
			r.Ports = []int{}
		}
		ports := strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Ports), " ", ","), "[]")
		if ports == "" {
			ports = "ping only"
		}
		if err := out.record(r, plain(r.Address), plain(first(r.Version, "?")), plain(ports), cell{first(r.Name, "-"), toneFaint}); err != nil {
			return err
		}
	}
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	if out.records == 0 {
		return &failure{exitUnreachable, fmt.Errorf("no AMT found in %s", strings.Join(c.Range, " ")),
			"AMT answers in its own network only, and not until it is activated"}
	}
	return nil
}
