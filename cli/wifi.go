package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type wifiCmd struct {
	List     wifiListCmd     `cmd:"" help:"List the wireless networks that AMT may join."`
	Add      wifiAddCmd      `cmd:"" help:"Add a wireless network: a profile."`
	Set      wifiSetCmd      `cmd:"" help:"Change a profile."`
	Remove   wifiRemoveCmd   `cmd:"" aliases:"delete" help:"Remove a profile."`
	Clear    wifiClearCmd    `cmd:"" help:"Remove all profiles of administrators, or all of the operating system."`
	Priority wifiPriorityCmd `cmd:"" help:"Say which profile is tried first."`
	State    wifiStateCmd    `cmd:"" help:"Show the wireless port and its connection, and switch it."`
	Sync     wifiSyncCmd     `cmd:"" help:"Show and change who shares profiles: the operating system, the BIOS."`
}

// A wifiRecord is one profile of one machine.
type wifiRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	*console.WiFiProfile
	Profile string   `json:"profile,omitempty"` // that was asked for, where it is not shown
	Removed bool     `json:"removed,omitempty"`
	Count   *int     `json:"count,omitempty"` // of profiles that were removed
	Error   *problem `json:"error,omitempty"`
}

func wifiColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"PROFILE", 16}, {"PRIORITY", 8}, {"SSID", 16}, {"SECURITY", 11}, {"ENCRYPTION", 10}, {"SIGNS IN", 0}}
}

func wifiCells(host string, p *console.WiFiProfile) []cell {
	how := ""
	switch {
	case p.Host:
		how = "(the operating system's)"
	case p.EAP != nil:
		how = strings.TrimSpace(p.EAP.Protocol + " " + p.EAP.Username)
	}
	return []cell{plain(host), plain(p.Name), plain(strconv.Itoa(int(p.Priority))), plain(p.SSID), plain(p.Security), plain(p.Encryption), plain(how)}
}

// profiles does something that ends with profiles, and shows them.
func (m Many) profiles(a *app, name string, do func(context.Context, *console.Client) ([]console.WiFiProfile, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(wifiColumns(list)...)
	return eachHost(a, list, m, do, func(h hosts.Host, all []console.WiFiProfile, bad *failure) error {
		if bad != nil {
			return out.failed(wifiRecord{Host: h.Name, Profile: name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		if len(all) == 0 && out.form != "table" {
			return out.record(wifiRecord{Host: h.Name, OK: true, Count: new(0)})
		}
		if len(all) == 0 {
			a.note("%s: no profiles", h.Name)
		}
		for _, p := range all {
			if err := out.record(wifiRecord{Host: h.Name, OK: true, WiFiProfile: &p}, wifiCells(h.Name, &p)...); err != nil {
				return err
			}
		}
		return nil
	})
}

type wifiListCmd struct{ Many }

func (wifiListCmd) Help() string {
	return "Keys and passwords are never shown: no machine gives them away.\n\n" + example("outband wifi list nuc1", "outband wifi list @lab -o json")
}

func (c *wifiListCmd) Run(a *app) error {
	return c.profiles(a, "", func(ctx context.Context, client *console.Client) ([]console.WiFiProfile, error) {
		return client.WiFiProfiles(ctx)
	})
}

// wifiProfile is which profile of which machines.
type wifiProfile struct {
	Name string `arg:"" help:"Name of the profile: letters and digits, 32 at most."`
	Many
}

// one does something to one profile of every machine.
func (c *wifiProfile) one(a *app, do func(context.Context, *console.Client) (console.WiFiProfile, error)) error {
	return c.profiles(a, c.Name, func(ctx context.Context, client *console.Client) ([]console.WiFiProfile, error) {
		p, err := do(ctx, client)
		return []console.WiFiProfile{p}, err
	})
}

const wifiKeyHelp = "The passphrase is asked for, or AMT_WIFI_KEY, or the first line of --key-file: 8 to 63 characters. "

type wifiAddCmd struct {
	wifiProfile
	SSID       string `name:"ssid" placeholder:"SSID" help:"Name of the network; default is the profile's."`
	Security   string `default:"wpa2" placeholder:"KIND" help:"wpa2, wpa3, wpa2-802.1x, wpa, wpa-802.1x or owe; with --eap the default is wpa2-802.1x."`
	Encryption string `placeholder:"KIND" help:"aes (the default), tkip, or with wpa3 gcmp."`
	Priority   uint8  `placeholder:"N" help:"1 is tried first; default is the first that is free."`
	KeyFile    string `placeholder:"FILE" help:"First line of FILE is the passphrase; default is AMT_WIFI_KEY, or to ask."`
	EAPFlags
}

func (wifiAddCmd) Help() string {
	return wifiKeyHelp + eapHelp + example("outband wifi add office nuc1 --ssid Office --key-file office.key",
		"outband wifi add corp @laptops --eap peap-mschapv2 --eap-user amt --eap-ca 1", "AMT_WIFI_KEY=... outband wifi add home nuc1 --security wpa3 --priority 2")
}

func (c *wifiAddCmd) Run(a *app) error {
	p := console.WiFiProfile{Name: c.Name, SSID: first(c.SSID, c.Name), Security: c.Security, Encryption: c.Encryption, Priority: c.Priority}
	var err error
	if p.EAP, err = c.settings(a); err != nil {
		return err
	}
	if p.EAP != nil && p.Security == "wpa2" {
		p.Security = "wpa2-802.1x"
	}
	if p.Security == "wpa" || p.Security == "wpa2" || p.Security == "wpa3" {
		if p.Key, err = (secret{file: c.KeyFile, flag: "--key-file", env: "AMT_WIFI_KEY", what: "passphrase"}).read(a); err != nil {
			return err
		}
		if err := console.CheckWiFiKey(p.Key); err != nil {
			return err
		}
	} else if c.KeyFile != "" {
		return usage("", "--key-file: %s has no passphrase", p.Security)
	}
	return c.one(a, func(ctx context.Context, client *console.Client) (console.WiFiProfile, error) {
		mine := p // each machine has certificates of its own
		if p.EAP != nil {
			mine.EAP = new(*p.EAP)
		}
		return client.AddWiFiProfile(ctx, mine)
	})
}

type wifiSetCmd struct {
	wifiProfile
	SSID       string `name:"ssid" placeholder:"SSID" help:"Name of the network."`
	Security   string `placeholder:"KIND" help:"wpa2, wpa3, wpa2-802.1x, wpa, wpa-802.1x or owe."`
	Encryption string `placeholder:"KIND" help:"aes, tkip, or with wpa3 gcmp."`
	ChangeKey  bool   `help:"Change the passphrase. It is asked for, never an argument; see above."`
	KeyFile    string `placeholder:"FILE" help:"First line of FILE is the new passphrase; default is AMT_WIFI_KEY, or to ask."`
	EAPFlags
}

func (wifiSetCmd) Help() string {
	return wifiKeyHelp + "802.1X settings are replaced as a whole. " + eapHelp + example("outband wifi set office nuc1 --change-key", "outband wifi set office @laptops --ssid Office5")
}

func (c *wifiSetCmd) Run(a *app) error {
	change := console.WiFiChange{SSID: c.SSID, Security: c.Security, Encryption: c.Encryption}
	var err error
	if change.EAP, err = c.settings(a); err != nil {
		return err
	}
	if c.ChangeKey || c.KeyFile != "" {
		if change.Key, err = (secret{file: c.KeyFile, flag: "--key-file", env: "AMT_WIFI_KEY", what: "passphrase"}).read(a); err != nil {
			return err
		}
	}
	return c.one(a, func(ctx context.Context, client *console.Client) (console.WiFiProfile, error) {
		mine := change
		if change.EAP != nil {
			mine.EAP = new(*change.EAP)
		}
		return client.ChangeWiFiProfile(ctx, c.Name, mine)
	})
}

type wifiRemoveCmd struct {
	wifiProfile
	Yes bool `short:"y" help:"Do not ask before removing it from several machines."`
}

func (wifiRemoveCmd) Help() string { return example("outband wifi remove office nuc1") }

func (c *wifiRemoveCmd) Run(a *app) error {
	return c.remove(a, c.Yes, "remove wireless profile "+c.Name, c.Name, func(ctx context.Context, client *console.Client) (int, error) {
		return 1, client.RemoveWiFiProfile(ctx, c.Name)
	})
}

// remove does something that ends with profiles gone, and says how many.
func (m Many) remove(a *app, yes bool, what, name string, do func(context.Context, *console.Client) (int, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(yes, len(list), what); err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"PROFILE", 16}, column{"STATE", 0})
	return eachHost(a, list, m, do, func(h hosts.Host, n int, bad *failure) error {
		if bad != nil {
			return out.failed(wifiRecord{Host: h.Name, Profile: name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		shown := first(name, fmt.Sprintf("all %d", n))
		return out.record(wifiRecord{Host: h.Name, OK: true, Profile: name, Removed: true, Count: &n}, plain(h.Name), plain(shown), cell{"removed", toneWarn})
	})
}

type wifiClearCmd struct {
	Many
	OS  bool `name:"os" help:"Remove the profiles of the operating system instead."`
	Yes bool `short:"y" help:"Do not ask before removing them from several machines."`
}

func (wifiClearCmd) Help() string {
	return example("outband wifi clear nuc1", "outband wifi clear nuc1 --os")
}

func (c *wifiClearCmd) Run(a *app) error {
	return c.remove(a, c.Yes, "remove all wireless profiles", "", func(ctx context.Context, client *console.Client) (int, error) {
		return client.ClearWiFiProfiles(ctx, c.OS)
	})
}

type wifiPriorityCmd struct {
	Name     string `arg:"" help:"Name of the profile."`
	Priority uint8  `arg:"" help:"1 is tried first. Profiles that are in the way move up by one."`
	Many
}

func (wifiPriorityCmd) Help() string { return example("outband wifi priority office 1 nuc1") }

func (c *wifiPriorityCmd) Run(a *app) error {
	return c.profiles(a, c.Name, func(ctx context.Context, client *console.Client) ([]console.WiFiProfile, error) {
		return client.SetWiFiPriority(ctx, c.Name, c.Priority)
	})
}
