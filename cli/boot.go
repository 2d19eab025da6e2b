package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type bootCmd struct {
	Status      bootStatusCmd      `cmd:"" help:"Tell what the next boot will be, and what the machine can boot from."`
	PXE         bootPXECmd         `cmd:"" name:"pxe" help:"Boot from the network, once."`
	Disk        bootDiskCmd        `cmd:"" aliases:"hd" help:"Boot from the disk, once."`
	CD          bootCDCmd          `cmd:"" name:"cd" help:"Boot from the CD or DVD drive, once."`
	BIOS        bootBIOSCmd        `cmd:"" name:"bios" aliases:"setup" help:"Stop in the BIOS setup, once."`
	Diagnostics bootDiagnosticsCmd `cmd:"" aliases:"diag" help:"Boot the diagnostic partition, once (until release 7)."`
	IDER        bootIDERCmd        `cmd:"" name:"ider" help:"Boot from a redirected CD or floppy, once; its session must be open."`
	HTTPS       bootHTTPSCmd       `cmd:"" name:"https" help:"Boot an image from a URL, once (One-Click Recovery, release 15 and newer)."`
	WinRE       bootWinRECmd       `cmd:"" name:"winre" help:"Boot Windows recovery, once (release 15 and newer)."`
	PBA         bootPBACmd         `cmd:"" name:"pba" help:"Boot an application that the BIOS has registered, once (release 15 and newer)."`
	Custom      bootCustomCmd      `cmd:"" help:"Boot as set up, with options, once."`
	Service     bootServiceCmd     `cmd:"" help:"Let recovery boot and platform erase be used, or not (release 15 and newer)."`
	Settings    bootSettingsCmd    `cmd:"" help:"Show all that a machine tells about booting."`
	Clear       bootClearCmd       `cmd:"" help:"Take the choice back."`
}

// A bootRecord is what one machine says about its next boot.
type bootRecord struct {
	Host       string       `json:"host"`
	OK         bool         `json:"ok"`
	Device     string       `json:"device,omitempty"` // for the next boot; absent if nothing is chosen or told
	Armed      *bool        `json:"armed,omitempty"`  // the choice acts on the next boot; absent if not told
	Supported  []string     `json:"supported,omitempty"`
	LastStatus string       `json:"last_status,omitempty"`
	Power      *powerRecord `json:"power,omitempty"` // with --now
	Error      *problem     `json:"error,omitempty"`
}

func deviceWords(devices []console.BootDevice) (out []string) {
	for _, d := range devices {
		if d != console.BootNone {
			out = append(out, string(d))
		}
	}
	return out
}

// nextBoot is what the next boot will be, for people. Some devices are chosen in a way that no machine tells again.
func nextBoot(s console.BootStatus) string {
	switch {
	case s.Device != "":
		return string(s.Device)
	case s.Armed != nil && *s.Armed:
		return "not told"
	}
	return "as set up"
}

type bootStatusCmd struct{ Many }

func (bootStatusCmd) Help() string { return example("outband boot status nuc1") }

func (c *bootStatusCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"NEXT BOOT", 12}, column{"ARMED", 8}, column{"SUPPORTED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.BootStatus, error) {
		return client.BootStatus(ctx)
	}, func(h hosts.Host, s console.BootStatus, bad *failure) error {
		if bad != nil {
			return out.failed(bootRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := bootRecord{Host: h.Name, OK: true, Device: string(s.Device), Armed: s.Armed, Supported: deviceWords(s.Supported), LastStatus: s.LastStatus}
		armed := cell{"not told", toneFaint}
		if s.Armed != nil {
			armed = plain("no")
			if *s.Armed {
				armed = cell{"yes", toneWarn}
			}
		}
		return out.record(r, plain(h.Name), plain(nextBoot(s)), armed, plain(strings.Join(r.Supported, " ")))
	})
}

// BootChoice are the flags of commands that choose what to boot.
type BootChoice struct {
	Many
	Now  bool     `help:"Start it now: switch on if the machine is off, reset if it is on."`
	Yes  bool     `short:"y" help:"Do not ask before restarting several machines."`
	Wait waitTime `placeholder:"TIME" help:"With --now: wait that long for the start."`
	SOL  bool     `name:"sol" help:"Redirect the text console to the serial port during this boot."`
	BootFlags
}

func (c *BootChoice) do(a *app, req console.BootRequest) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	if c.Now && len(list) > 1 && !c.Yes && a.interactive() {
		yes, err := a.confirm(fmt.Sprintf("boot %s: restart %d machines?", req.Device, len(list)), false)
		if err != nil {
			return err
		}
		if !yes {
			return usage("--yes answers beforehand", "canceled; nothing was sent")
		}
	}
	req.Now, req.Wait, req.Patience, req.SOL = c.Now, time.Duration(c.Wait), a.patience(), c.SOL
	if req.Options, err = c.BootFlags.options(); err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"NEXT BOOT", 12}, column{"POWER", 0})
	return eachHost(a, list, c.Many, agreed(a, len(list), func(ctx context.Context, client *console.Client) (console.BootResult, error) {
		if req.Device == console.BootIDERCD || req.Device == console.BootIDERFloppy {
			a.remarkDrives(ctx, client)
		}
		return client.Boot(ctx, req)
	}), func(h hosts.Host, res console.BootResult, bad *failure) error {
		r := bootRecord{Host: h.Name, OK: bad == nil, Device: string(req.Device), Armed: res.Status.Armed}
		state := plain("not started; the next boot that AMT starts uses it")
		if req.Device == console.BootNone {
			state = plain("unchanged")
		}
		if p := res.Power; p != nil {
			r.Power = &powerRecord{Host: h.Name, OK: bad == nil, Action: string(p.Verb), State: powerWord(p.After.State),
				Before: powerWord(p.Before.State), Proof: string(p.Proof), TookMS: p.Took.Milliseconds()}
			state = cell{fmt.Sprintf("%s (power %s: %s)", r.Power.State, p.Verb, proofWords(p.Proof)), powerTone(p.After.State)}
		}
		if bad != nil {
			r.Error = problemOf(bad)
			return out.failed(r, len(list) > 1, failedRow(h, bad))
		}
		return out.record(r, plain(h.Name), plain(string(req.Device)), state)
	})
}

type (
	bootPXECmd  struct{ BootChoice }
	bootDiskCmd struct {
		BootChoice
		Safe  bool   `help:"In safe mode."`
		Index uint16 `placeholder:"N" help:"Of several disks: 1 the first, 2 the second; default as set up."`
	}
	bootCDCmd          struct{ BootChoice }
	bootBIOSCmd        struct{ BootChoice }
	bootDiagnosticsCmd struct{ BootChoice }
	bootHTTPSCmd       struct {
		URL string `arg:"" help:"Where the image is."`
		BootChoice
		HTTPSFlags
	}
	bootClearCmd struct{ Many }
)

func (c *bootPXECmd) Run(a *app) error { return c.do(a, console.BootRequest{Device: console.BootPXE}) }
func (c *bootCDCmd) Run(a *app) error  { return c.do(a, console.BootRequest{Device: console.BootCD}) }
func (c *bootBIOSCmd) Run(a *app) error {
	return c.do(a, console.BootRequest{Device: console.BootBIOS})
}
func (c *bootDiagnosticsCmd) Run(a *app) error {
	return c.do(a, console.BootRequest{Device: console.BootDiagnostics})
}

func (c *bootDiskCmd) Run(a *app) error {
	req := console.BootRequest{Device: console.BootDisk, Index: c.Index}
	if c.Safe {
		req.Device = console.BootSafeDisk
	}
	return c.do(a, req)
}

func (c *bootHTTPSCmd) Run(a *app) error {
	req := console.BootRequest{Device: console.BootHTTPS, URL: c.URL}
	if err := c.HTTPSFlags.fill(a, &req); err != nil {
		return err
	}
	return c.do(a, req)
}

func (c *bootClearCmd) Run(a *app) error {
	choice := BootChoice{Many: c.Many}
	return choice.do(a, console.BootRequest{Device: console.BootNone})
}

func (bootPXECmd) Help() string {
	return "The machine keeps the choice until AMT starts it the next time.\n\n" + example("outband boot pxe nuc1 --now", "outband boot pxe @lab && outband power cycle @lab")
}
func (bootDiskCmd) Help() string        { return example("outband boot disk nuc1 --now") }
func (bootCDCmd) Help() string          { return example("outband boot cd nuc1 --now") }
func (bootBIOSCmd) Help() string        { return example("outband boot bios nuc1 --now") }
func (bootDiagnosticsCmd) Help() string { return example("outband boot diagnostics nuc1 --now") }
func (bootHTTPSCmd) Help() string {
	return "The authority of the server's certificate must be among the trusted roots of the machine, which the BIOS is handed for this boot.\n\n" +
		example("outband boot https https://boot.example/rescue.efi nuc1 --now",
			"outband boot https https://boot.example/rescue.efi nuc1 --http-user fetch --http-password-file pw --server-name boot.example --now")
}
func (bootClearCmd) Help() string { return example("outband boot clear nuc1") }
