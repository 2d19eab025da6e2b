package cli

import (
	"context"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

// A wifiStateRecord is the wireless port of one machine.
type wifiStateRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	*console.WiFi
	Error *problem `json:"error,omitempty"`
}

func wifiStateCells(host string, w *console.WiFi) []cell {
	state := cell{w.State, toneGood}
	if w.State == "off" {
		state.tone = toneBad
	}
	network := "none"
	if w.SSID != "" {
		network = w.SSID
	}
	if w.BSSID != "" {
		network += " at " + w.BSSID
	}
	return []cell{plain(host), state, plain(first(w.Control, "-")), plain(network), plain(first(w.Security, "-")), plain(w.MAC)}
}

func wifiSyncCells(host string, w *console.WiFi) []cell {
	return []cell{plain(host), plain(w.Sync), plain(first(onOff(w.UEFISharing), "-")), plain(first(w.NoHost, "-")), plain(w.LastSSID)}
}

// wifi does something that ends with the state, and shows a row of it.
func (m Many) wifi(a *app, columns []column, cells func(string, *console.WiFi) []cell, do func(context.Context, *console.Client) (console.WiFi, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(append([]column{hostColumn(list)}, columns...)...)
	return eachHost(a, list, m, do, func(h hosts.Host, w console.WiFi, bad *failure) error {
		if bad != nil {
			return out.failed(wifiStateRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(wifiStateRecord{Host: h.Name, OK: true, WiFi: &w}, cells(h.Name, &w)...)
	})
}

type wifiStateCmd struct {
	Many
	Set string `enum:",off,s0,s0-sx" default:"" placeholder:"off|s0|s0-sx" help:"Switch the port: off, on while the PC is, or on also while it is asleep or off, on mains."`
}

func (wifiStateCmd) Help() string {
	return example("outband wifi state nuc1", "outband wifi state @laptops --set s0-sx")
}

func (c *wifiStateCmd) Run(a *app) error {
	columns := []column{{"STATE", 5}, {"CONTROL", 7}, {"NETWORK", 16}, {"SECURITY", 11}, {"MAC", 0}}
	return c.wifi(a, columns, wifiStateCells, func(ctx context.Context, client *console.Client) (console.WiFi, error) {
		if c.Set == "" {
			return client.WiFi(ctx)
		}
		return client.SetWiFiState(ctx, c.Set)
	})
}

type wifiSyncCmd struct {
	Many
	Set    string `enum:",off,user,unrestricted" default:"" placeholder:"off|user|unrestricted" help:"Profiles that the operating system may write into AMT: none, its user's, or all."`
	UEFI   string `name:"uefi" enum:",on,off" default:"" placeholder:"on|off" help:"Give profiles to the BIOS, for boots over the network; from AMT 16 on."`
	NoHost string `enum:",relaxed,aggressive" default:"" placeholder:"relaxed|aggressive" help:"How AMT takes the adapter where the operating system lacks the vendor's software."`
}

func (wifiSyncCmd) Help() string {
	return example("outband wifi sync nuc1", "outband wifi sync nuc1 --set user", "outband wifi sync @laptops --uefi on")
}

func (c *wifiSyncCmd) Run(a *app) error {
	change := console.WiFiSync{Sync: c.Set, UEFISharing: toggle(c.UEFI), NoHost: c.NoHost}
	columns := []column{{"SYNC", 12}, {"UEFI", 4}, {"WITHOUT SOFTWARE", 16}, {"LAST NETWORK", 0}}
	return c.wifi(a, columns, wifiSyncCells, func(ctx context.Context, client *console.Client) (console.WiFi, error) {
		if change == (console.WiFiSync{}) {
			return client.WiFi(ctx)
		}
		return client.SetWiFiSync(ctx, change)
	})
}
