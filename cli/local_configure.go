package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/amthi"
)

type localConfigureCmd struct {
	File   string `arg:"" help:"Profile to apply, as outband state save writes it; - is stdin."`
	Yes    bool   `short:"y" help:"Do not ask."`
	DryRun bool   `help:"Show the plan and end."`
	Bus
}

func (localConfigureCmd) Help() string {
	return "Makes the AMT of this PC what a profile says, as outband state apply does for machines elsewhere, with the same file. It goes over the " +
		"management engine interface, so the network need not be there yet. The plan is shown first, and what differs is changed and read again. " +
		"What was interrupted can be run again: what is done is left out. AMT must be set up (outband local activate); the password of admin is " +
		"AMT_PASSWORD, --password-file, or asked for.\n\n" +
		example("sudo outband local configure office.yaml", "sudo outband local configure office.yaml --dry-run", "outband local configure office.yaml --yes --bus unix:me.sock")
}

func (c *localConfigureCmd) Run(a *app) error {
	h := hosts.Host{Name: localName, Address: "localhost"}
	out := a.printer(changeColumns([]hosts.Host{h})...)
	fail := func(err error) error {
		f := judge(localFailure(err))
		if err := out.failed(changeRecord{Host: localName, Error: problemOf(f)}, false, nil); err != nil {
			return err
		}
		return f
	}
	want, err := a.readState(c.File)
	if err != nil {
		return err
	}
	client, shut, err := c.Bus.console(a, h)
	if err != nil {
		return fail(err)
	}
	defer shut()
	if want.TLS != nil { // its proof is a connection over the network
		want.TLS = nil
		a.note("TLS is left as it is: outband state apply %s HOST, from elsewhere, switches it", c.File)
	}
	plan, err := client.PlanState(a.ctx, want, &console.StateHelp{Secret: a.secrets(c.File)})
	if err != nil {
		return fail(err)
	}
	if c.DryRun || len(plan) == 0 {
		return showPlan(out, h, plan)
	}
	if !c.Yes {
		talk := &printer{w: a.err, form: "table", styled: a.styled(a.err), columns: changeColumns([]hosts.Host{h})}
		if err := showPlan(talk, h, plan); err != nil {
			return err
		}
		yes, err := a.confirm(fmt.Sprintf("make these %d changes?", len(plan)), false)
		if err != nil {
			return err
		}
		if !yes {
			return usage("--yes answers beforehand", "canceled; nothing was changed")
		}
	}
	var printed error
	err = client.ApplyState(a.ctx, plan, func(change console.Change) {
		r := changeOf(localName, change, true)
		printed = errors.Join(printed, out.record(r, r.cells()...))
	})
	if err != nil {
		return fail(err)
	}
	return printed
}

// console returns a client of the AMT of this PC, which goes over the management engine, and what closes it.
func (b *Bus) console(a *app, h hosts.Host) (*console.Client, func(), error) {
	ag, shut, err := b.agent(a)
	if err != nil {
		return nil, nil, err
	}
	info, err := ag.Info(a.ctx)
	switch {
	case err != nil:
	case info.Off:
		err = &failure{exitRefused, errors.New("AMT is switched off"), "outband local activate sets it up"}
	case info.Mode == amthi.NotProvisioned:
		err = &failure{exitRefused, errors.New("AMT is not set up"), "outband local activate sets it up"}
	}
	if err != nil {
		shut()
		return nil, nil, err
	}
	door, err := ag.Open(a.ctx)
	if err != nil {
		shut()
		return nil, nil, err
	}
	end := func() {
		door.Close()
		shut()
	}
	cfg, err := a.config(h)
	if err == nil {
		cfg.Dial, cfg.Port, cfg.Scheme = door.Dial, door.Port(), console.HTTP
		if cfg.Port == console.PortHTTPS {
			cfg.Scheme = console.HTTPS
		}
		// Between the engine and this program is nobody but the kernel.
		cfg.TLS.OnUnknown = func(context.Context, *x509.Certificate, error) bool { return true }
		var client *console.Client
		if client, err = console.New(cfg); err == nil {
			return client, func() {
				client.Close()
				end()
			}, nil
		}
	}
	end()
	return nil, nil, err
}
