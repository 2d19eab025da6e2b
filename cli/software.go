package cli

import (
	"context"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type softwareCmd struct{ Many }

func (softwareCmd) Help() string {
	return "These are the modules of AMT's own firmware and their versions; what the operating system has installed AMT does not know.\n\n" +
		example("outband software nuc1", "outband software @lab -o json")
}

// A softwareRecord is the firmware of one machine.
type softwareRecord struct {
	Host    string           `json:"host"`
	OK      bool             `json:"ok"`
	Modules []console.Module `json:"modules,omitempty"`
	Error   *problem         `json:"error,omitempty"`
}

func (c *softwareCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Module, error) {
		return client.Software(ctx)
	}, func(h hosts.Host, modules []console.Module, bad *failure) error {
		if bad != nil {
			return out.failed(softwareRecord{Host: h.Name, Error: problemOf(bad)}, false, nil)
		}
		lines := [][2]string{{"host", h.Name}}
		for _, m := range modules {
			value := m.Version
			if m.Note != "" {
				value += " (" + m.Note + ")"
			}
			lines = append(lines, [2]string{m.Name, value})
		}
		return out.object(softwareRecord{Host: h.Name, OK: true, Modules: modules}, "", lines...)
	})
}
