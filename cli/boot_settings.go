package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type bootSettingsCmd struct{ Many }

func (bootSettingsCmd) Help() string {
	return "Options are those of the next boot that AMT starts; capabilities are what the BIOS can do.\n\n" + example("outband boot settings nuc1", "outband boot settings nuc1 -o json")
}

// A bootSettingsRecord is all that one machine tells about booting.
type bootSettingsRecord struct {
	Host         string            `json:"host"`
	OK           bool              `json:"ok"`
	Device       string            `json:"device,omitempty"`
	Armed        *bool             `json:"armed,omitempty"`
	LastStatus   string            `json:"last_status,omitempty"`
	Supported    []string          `json:"supported,omitempty"`
	Options      map[string]string `json:"options,omitempty"`      // AMT_BootSettingData
	Capabilities map[string]string `json:"capabilities,omitempty"` // AMT_BootCapabilities
	Local        []localRecord     `json:"local,omitempty"`        // options of the BIOS for a local recovery
	Recovery     *bool             `json:"recovery,omitempty"`     // One-Click Recovery is switched on
	EraseOn      *bool             `json:"platform_erase,omitempty"`
	EraseCan     []string          `json:"erases,omitempty"`
	Error        *problem          `json:"error,omitempty"`
}

type localRecord struct {
	Number int    `json:"number"`
	Kind   string `json:"kind"`
	WinRE  bool   `json:"winre"`
	Path   string `json:"path"`
}

func newBootSettingsRecord(host string, s *console.BootSettings) bootSettingsRecord {
	r := bootSettingsRecord{Host: host, OK: true, Device: string(s.Device), Armed: s.Armed, LastStatus: s.LastStatus, Supported: deviceWords(s.Supported),
		Recovery: s.Recovery, EraseOn: s.Erase, Options: map[string]string{}, Capabilities: map[string]string{}}
	options, capabilities := s.Values()
	for _, v := range options {
		r.Options[v[0]] = strings.TrimSpace(r.Options[v[0]] + " " + v[1])
	}
	for _, v := range capabilities {
		r.Capabilities[v[0]] = v[1]
	}
	for _, l := range s.Sources {
		r.Local = append(r.Local, localRecord{l.Number, l.Kind, l.WinRE, l.Path})
	}
	for _, p := range s.EraseCan {
		r.EraseCan = append(r.EraseCan, string(p))
	}
	return r
}

// lines is the record for people.
func (r *bootSettingsRecord) lines(s *console.BootSettings) [][2]string {
	lines := [][2]string{
		{"next boot", first(r.Device, "as set up")}, {"armed", yesNo(r.Armed)}, {"last boot", r.LastStatus}, {"can boot", strings.Join(r.Supported, " ")},
		{"recovery boot", yesNo(r.Recovery)}, {"platform erase", yesNo(r.EraseOn)}, {"can erase", strings.Join(r.EraseCan, " ")},
	}
	for _, l := range r.Local {
		lines = append(lines, [2]string{fmt.Sprintf("local option %d", l.Number), l.Kind + "  " + l.Path})
	}
	options, capabilities := s.Values()
	for _, v := range options {
		lines = append(lines, [2]string{"option " + v[0], v[1]})
	}
	for _, v := range capabilities {
		lines = append(lines, [2]string{"can " + v[0], v[1]})
	}
	return lines
}

func (c *bootSettingsCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.BootSettings, error) {
		return client.BootSettings(ctx)
	}, func(h hosts.Host, s console.BootSettings, bad *failure) error {
		if bad != nil {
			if a.Output == "table" {
				return nil
			}
			return out.object(bootSettingsRecord{Host: h.Name, Error: problemOf(bad)}, h.Name)
		}
		r := newBootSettingsRecord(h.Name, &s)
		return out.object(r, h.Name, r.lines(&s)...)
	})
}
