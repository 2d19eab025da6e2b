package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type networkCmd struct {
	Show networkShowCmd `cmd:"" help:"Show addresses, link, names, pings and dynamic DNS of AMT."`
	Set  networkSetCmd  `cmd:"" help:"Change them."`
}

// A networkRecord is how one machine is in the network.
type networkRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	*console.Network
	Error *problem `json:"error,omitempty"`
}

type networkShowCmd struct{ Many }

func (networkShowCmd) Help() string {
	return example("outband network show nuc1", "outband network show @lab -o json")
}

func (c *networkShowCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	return c.network(a, list, func(ctx context.Context, client *console.Client) (console.Network, error) { return client.Network(ctx) })
}

// network does something that ends with a Network, and shows it.
func (m Many) network(a *app, list []hosts.Host, do func(context.Context, *console.Client) (console.Network, error)) error {
	out := a.printer()
	return eachHost(a, list, m, do, func(h hosts.Host, n console.Network, bad *failure) error {
		if bad != nil {
			return out.failedObject(networkRecord{Host: h.Name, Error: problemOf(bad)}, h.Name, bad, len(list) > 1)
		}
		title := ""
		if len(list) > 1 {
			title = h.Name
		}
		return out.object(networkRecord{Host: h.Name, OK: true, Network: &n}, title, networkLines(&n)...)
	})
}

// failedObject is failed for what is shown as an object.
func (p *printer) failedObject(v any, title string, bad *failure, several bool) error {
	if p.form == "table" && !several {
		return nil
	}
	return p.object(v, title, [2]string{"Failed", console.Kind(bad.code).String()})
}

// networkLines words a Network for people.
func networkLines(n *console.Network) [][2]string {
	lines := [][2]string{{"Host name", n.HostName}, {"Domain", n.Domain}}
	shared := yesNo(n.SharedFQDN)
	if n.OSName != "" {
		shared += ", which is " + n.OSName
	}
	lines = append(lines, [2]string{"Shares the OS name", shared}, [2]string{"Answers ping", yesNo(n.Ping)}, [2]string{"Answers RMCP ping", yesNo(n.RMCPPing)})
	ddns := onOff(n.DDNS.Enabled)
	if ddns == "off" && n.DDNS.ByDHCP != nil && *n.DDNS.ByDHCP {
		ddns = "by the DHCP server"
	}
	if n.DDNS.Interval != nil && *n.DDNS.Interval > 0 {
		ddns += fmt.Sprintf(", every %d min", *n.DDNS.Interval)
	}
	if n.DDNS.TTL != nil {
		ddns += fmt.Sprintf(", TTL %d s", *n.DDNS.TTL)
	}
	lines = append(lines, [2]string{"Dynamic DNS", ddns})
	for i := range n.Ports {
		lines = append(lines, portLines(&n.Ports[i])...)
	}
	return lines
}

func portLines(p *console.Port) [][2]string {
	link := "down"
	if p.LinkUp != nil && *p.LinkUp {
		link = "up"
	}
	if p.Connection != "" {
		link += ", " + p.Connection
	}
	if p.MAC != "" {
		link += ", MAC " + p.MAC
	}
	lines := [][2]string{{strings.ToUpper(string(p.Interface[:1])) + string(p.Interface[1:]) + " link", link}}
	address := map[string]string{"dhcp": "by DHCP", "static": "of AMT's own", "host": "that of the operating system"}[p.Mode]
	if p.Address != "" && p.Address != "0.0.0.0" {
		address = p.Address + " mask " + p.Mask + ", " + address
	}
	if p.IPSync != nil && *p.IPSync && p.Mode == "dhcp" {
		address += ", following the operating system"
	}
	add := func(title, text string) { lines = append(lines, [2]string{"  " + title, text}) }
	add("Address", address)
	add("Gateway", p.Gateway)
	add("DNS", strings.Join(strings.Fields(p.DNS1+" "+p.DNS2), ", "))
	if six := p.IPv6; six != nil {
		add("IPv6", strings.Join(ipv6Words(six), ", "))
	}
	add("Shares the OS MAC", yesNo(p.SharedMAC))
	if p.VLAN != 0 {
		add("VLAN", strconv.Itoa(int(p.VLAN)))
	}
	add("Keeps the link in", strings.Join(p.LinkPolicy, ", "))
	add("Link preference", p.LinkPreference)
	add("Link control", p.LinkControl)
	add("Link protection", p.Protection)
	if p.Retransmissions != 0 {
		add("TCP retransmissions", strconv.Itoa(int(p.Retransmissions)))
	}
	return lines
}

func ipv6Words(six *console.IPv6) []string {
	words := []string{onOff(six.Enabled)}
	if words[0] == "" {
		words = nil
	}
	words = append(words, "interface ID "+six.InterfaceID)
	for _, part := range [][2]string{{"address ", six.Address}, {"router ", six.Router}, {"DNS ", strings.TrimSpace(six.DNS1 + " " + six.DNS2)}, {"now ", strings.Join(six.Current, " ")}} {
		if part[1] != "" {
			words = append(words, part[0]+part[1])
		}
	}
	return words
}

// moved words an error after which the machine has another address.
func moved(err error) error {
	if !errors.Is(err, console.ErrMoved) {
		return err
	}
	return &failure{exitUnreachable, err, "outband discover finds machines; the settings can be changed back at the machine (MEBx) or from its operating system"}
}

// prefer carries out --link-preference, which is a request rather than a setting.
func (c *networkSetCmd) prefer(ctx context.Context, client *console.Client) error {
	if c.LinkPreference == "" {
		return nil
	}
	how := c.For
	if c.LinkPreference == "me" && how == 0 {
		how = 5 * time.Minute
	}
	_, err := client.PreferLink(ctx, c.LinkPreference, how)
	return err
}
