package cli

import (
	"context"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type bootServiceCmd struct {
	Many
	Recovery string `placeholder:"on|off" help:"One-Click Recovery: boots from a URL or an option of the BIOS."`
	Erase    string `placeholder:"on|off" help:"Remote platform erase."`
}

func (bootServiceCmd) Help() string {
	return "What is off is refused until it is switched on, except that outband erase switches it on itself.\n\n" +
		example("outband boot service nuc1 --recovery on", "outband boot service @lab --recovery off --erase off")
}

// A bootServiceRecord is what one machine lets consoles do.
type bootServiceRecord struct {
	Host     string   `json:"host"`
	OK       bool     `json:"ok"`
	Recovery *bool    `json:"recovery,omitempty"`
	Erase    *bool    `json:"platform_erase,omitempty"`
	Error    *problem `json:"error,omitempty"`
}

// bootServiceSwitch reads a flag that is on, off, or not given.
func bootServiceSwitch(flag, word string) (*bool, error) {
	switch word {
	case "":
		return nil, nil
	case "on", "off":
		return new(word == "on"), nil
	}
	return nil, usage("", "%s: %q is neither on nor off", flag, word)
}

func (c *bootServiceCmd) Run(a *app) error {
	recovery, err := bootServiceSwitch("--recovery", c.Recovery)
	if err != nil {
		return err
	}
	erase, err := bootServiceSwitch("--erase", c.Erase)
	if err != nil {
		return err
	}
	if recovery == nil && erase == nil {
		return usage("outband boot settings shows how it is", "neither --recovery nor --erase")
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"RECOVERY BOOT", 13}, column{"PLATFORM ERASE", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.BootService, error) {
		return client.SetBootService(ctx, recovery, erase)
	}, func(h hosts.Host, s console.BootService, bad *failure) error {
		if bad != nil {
			return out.failed(bootServiceRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(bootServiceRecord{Host: h.Name, OK: true, Recovery: &s.Recovery, Erase: &s.Erase}, plain(h.Name), bootServiceCell(s.Recovery), bootServiceCell(s.Erase))
	})
}

func bootServiceCell(on bool) cell {
	if on {
		return cell{"on", toneGood}
	}
	return plain("off")
}
