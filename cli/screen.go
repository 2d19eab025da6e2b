package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type screenCmd struct {
	List  screenListCmd  `cmd:"" help:"Tell which monitors a machine has, and which of them KVM shows."`
	Use   screenUseCmd   `cmd:"" help:"Have KVM show another monitor, at once and from now on."`
	Blank screenBlankCmd `cmd:"" help:"Darken the monitors of a machine while KVM shows its screen, or end that."`
}

// A screenRecord is the monitors of one machine.
type screenRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	console.Screens
	Error *problem `json:"error,omitempty"`
}

// screens does something to many machines whose outcome is what there is to be seen on their monitors.
func (a *app) screens(m Many, do func(ctx context.Context, c *console.Client) (console.Screens, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"MONITORS", 36}, column{"SHOWN", 6}, column{"DARK", 0})
	return eachHost(a, list, m, do, func(h hosts.Host, s console.Screens, bad *failure) error {
		if bad != nil {
			return out.failed(screenRecord{Host: h.Name, Screens: s, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		var all, shown []string
		for _, d := range s.Displays {
			all = append(all, fmt.Sprintf("%d: %dx%d", d.Number, d.Width, d.Height))
			if d.Shown {
				shown = append(shown, fmt.Sprint(d.Number))
			}
		}
		dark := "no"
		switch {
		case s.Dark:
			dark = "yes"
		case !s.CanBlank:
			dark = "cannot"
		}
		return out.record(screenRecord{Host: h.Name, OK: true, Screens: s}, plain(h.Name), plain(strings.Join(all, ", ")), plain(strings.Join(shown, " ")), plain(dark))
	})
}

type screenListCmd struct{ Many }

func (screenListCmd) Help() string {
	return example("outband screen list nuc1", "outband screen list @lab -o json")
}

func (c *screenListCmd) Run(a *app) error {
	return a.screens(c.Many, func(ctx context.Context, client *console.Client) (console.Screens, error) { return client.Screens(ctx) })
}

type screenUseCmd struct {
	Number int `arg:"" help:"Number of the monitor, from 1, as screen list tells it."`
	Many
}

func (screenUseCmd) Help() string {
	return "A session that is open changes to it. For one session alone there is --screen of outband kvm.\n\n" + example("outband screen use 2 nuc1")
}

func (c *screenUseCmd) Run(a *app) error {
	return a.screens(c.Many, func(ctx context.Context, client *console.Client) (console.Screens, error) {
		return client.ShowScreen(ctx, c.Number)
	})
}

type screenBlankCmd struct {
	State string `arg:"" enum:"on,off" help:"on: the monitors show nothing; off: they show the picture again."`
	Many
}

func (screenBlankCmd) Help() string {
	return "Who stands in front of the machine does not see what you do. It takes an open session of KVM, and ends with it.\n\n" +
		example("outband screen blank on nuc1", "outband screen blank off nuc1")
}

func (c *screenBlankCmd) Run(a *app) error {
	return a.screens(c.Many, func(ctx context.Context, client *console.Client) (console.Screens, error) {
		return client.BlankScreens(ctx, c.State == "on")
	})
}
